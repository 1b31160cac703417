"""What rerunning the study asks for: every training of every experiment, by its plan; nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator

from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.experiments.engine import EXPERIMENTS, plan_experiment
from brainseg.experiments.plan import Training
from brainseg.experiments.reference import plan as plan_reference
from brainseg.networks.models import build_model, multiply_adds
from brainseg.networks.recipe import MODELS
from brainseg.splits import N_FOLDS


def list_trainings(data: str) -> list[dict]:
    """A row for each training: its network, the size of its slices, and how many slices it sees from first to last."""
    cost: dict[tuple, float] = {}
    rows = []
    for experiment, training in _plans(data):
        recipe, size = training.recipe, training.preprocessing.image_size
        key = recipe.model, size, *sorted(recipe.options.items())
        if key not in cost:
            cost[key] = 2 * multiply_adds(build_model(recipe.model, size, **recipe.options)) / 1e9
        rows.append(
            {
                "experiment": experiment,
                "model": recipe.model,
                "image_size": size,
                "filters": recipe.options["filters"],
                "slices": training.steps * recipe.batch_size,
                "forward_gflop": cost[key],
            }
        )
    return rows


def _plans(data: str) -> Iterator[tuple[str, Training]]:
    cohort = index_cohort(get_cohort(data))
    for training in plan_reference(cohort, MODELS, range(N_FOLDS)):
        yield "reference", training
    for name in EXPERIMENTS:
        for training in plan_experiment(name, data)[0]:
            yield name, training
