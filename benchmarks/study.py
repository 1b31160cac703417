"""What rerunning the study asks for: every training of its experiments, by their plans; nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.experiments.engine import EXPERIMENTS, plan_experiment
from brainseg.experiments.plan import Training
from brainseg.experiments.reference import plan as plan_reference
from brainseg.networks.models import build_model, multiply_adds
from brainseg.networks.recipe import MODELS
from brainseg.results import read_record
from brainseg.splits import N_FOLDS


def list_trainings(data: str) -> list[dict]:
    """A row for each network: its kind, the size of its slices, and how many of them it sees from first to last."""
    cost: dict[tuple, float] = {}
    rows, met = [], set()
    cohort = index_cohort(get_cohort(data))
    for experiment, training in _plans(cohort, data):
        if (folder := training.folder(cohort)) in met:  # two experiments may share a network
            continue
        met.add(folder)
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


def _plans(cohort: pd.DataFrame, data: str) -> Iterator[tuple[str, Training]]:
    for training in plan_reference(cohort, MODELS, range(N_FOLDS)):
        yield "reference", training
    for training in plan_reference(cohort, MODELS, [0], "article"):
        yield "reference, by the article's protocol", training
    for name in EXPERIMENTS:  # with the settings of its kept tables
        for training in plan_experiment(name, data, read_record(name)["settings"])[0]:
            yield name, training
