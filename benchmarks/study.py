"""What rerunning the study asks for: every training of its experiments, by records and plans; nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator

from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.experiments import EXPERIMENTS
from brainseg.experiments.engine import plan_experiment
from brainseg.networks.models import build_model, multiply_adds
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import reference_runs
from brainseg.results import has_tables, read_record


def list_trainings(data: str) -> list[dict]:
    """A row for each network: its kind, the size of its slices, and how many of them it sees from first to last."""
    cost: dict[tuple, float] = {}
    rows = []
    for experiment, recipe, size, steps in _trainings(data):
        key = recipe.model, size, *sorted(recipe.options.items())
        if key not in cost:
            cost[key] = 2 * multiply_adds(build_model(recipe.model, size, **recipe.options)) / 1e9
        rows.append(
            {
                "experiment": experiment,
                "model": recipe.model,
                "image_size": size,
                "filters": recipe.options["filters"],
                "slices": steps * recipe.batch_size,
                "forward_gflop": cost[key],
            }
        )
    return rows


def _trainings(data: str) -> Iterator[tuple[str, Recipe, int, int]]:
    """Experiment, recipe, size and steps of each training; a network that two experiments share comes once."""
    for record in reference_runs():
        name = "reference" if record.split_by == "patient" else "reference, by the article's protocol"
        steps = record.recipe.all_steps(record.training_slices)
        yield name, record.recipe, record.preprocessing.image_size, steps
    cohort, met = index_cohort(get_cohort(data)), set()
    for name in filter(has_tables, EXPERIMENTS):
        # With the settings of its kept tables.
        for training in plan_experiment(name, data, read_record(name)["settings"]).plan:
            if (folder := training.folder(cohort)) not in met:
                met.add(folder)
                yield name, training.recipe, training.preprocessing.image_size, training.steps
