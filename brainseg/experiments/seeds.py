"""The networks of the reference edition, trained again with another seed: how much of a score is the luck of a training.

The seed decides the starting weights, the order of the slices and their augmentation. Recipe, slices and splits stay.
Named before any of these trainings was scored: the measure is the Dice of each test patient, seed against seed within a
network, and network against network in the mean over the seeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import pandas as pd

from brainseg.evaluation.scores import score_patients
from brainseg.experiments.plan import Training
from brainseg.networks.record import RunRecord, reference_runs
from brainseg.results import REFERENCE, read_table

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

COLUMNS = ["patient", "institution", "tumour_px", "tp", "fp", "fn", "dice"]


@dataclass(frozen=True)
class Settings:
    """Which networks are trained again.

    Attributes
    ----------
    seeds : tuple of int
        Other ones than that of the reference edition.
    models : tuple of str
        Names of :data:`brainseg.networks.recipe.MODELS`.
    folds : tuple of int
    """

    seeds: tuple[int, ...] = (1,)
    models: tuple[str, ...] = ("unet", "resunet")
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """One training for each seed, network and fold, on the sides of the reference run.

    Raises
    ------
    ValueError
        For an empty list, for a network and fold that the reference edition does not have, for the seed that it has
        already or one below 0, and for a cohort that lacks patients of the reference edition.
    """
    if not (settings.seeds and settings.models and settings.folds):
        raise ValueError("nothing to do: seeds, models and folds name at least one each")
    trainings = []
    for seed, model, fold in product(settings.seeds, settings.models, settings.folds):
        record = _reference(model, fold)
        recipe = replace(record.recipe, seed=seed)
        if recipe == record.recipe:
            raise ValueError(f"seed {seed} is that of {record.name} itself: name others")
        if lacking := set(record.sides()["patient"]) - set(cohort["patient"]):
            raise ValueError(
                f"{cohort.attrs['root']} lacks {len(lacking)} patients of {record.name}, {min(lacking)} among them: "
                "name "
                "the whole cohort"
            )
        labels = {"model": model, "fold": fold, "seed": seed}
        trainings.append(Training(recipe, record.preprocessing, record.split(cohort), labels))
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score each network on its test patients, beside the run of the reference edition.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``model, fold, seed, patient, institution, tumour_px, tp, fp, fn, dice`` per volume in the
        original frame, and ``reference_seed, reference_dice`` of the same patient in the reference edition.
    """
    from brainseg.evaluation.predict import evaluate

    reference = read_table(REFERENCE, "patients").query("part == 'test'").set_index(["run", "patient"])
    scored = []
    for training, run in runs:
        patients = score_patients(evaluate(run)).reset_index()[COLUMNS]
        name = _reference(training.labels["model"], training.labels["fold"]).name
        beside = reference.loc[name].reindex(patients["patient"])[["seed", "dice"]].add_prefix("reference_")
        scored.append(patients.assign(**training.labels).join(beside, on="patient"))
    columns = ["model", "fold", "seed", *COLUMNS, "reference_seed", "reference_dice"]
    return {"patients": pd.concat(scored, ignore_index=True)[columns]}


def _reference(model: str, fold: int) -> RunRecord:
    for record in reference_runs(model, "patient", fold):
        return record
    raise ValueError(f"the reference edition has no {model!r} of fold {fold}: python -m brainseg reference trains it")
