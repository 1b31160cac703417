"""The exchange rate: how many real patients the phantom is worth.

U-Net is trained on 1, 2, 5, ... and all real patients of a fold's training side, once from drawn weights and once from
a network that was trained on the phantom. Both take the same number of steps in all: from drawn weights all of them
with real slices, from the phantom the first half with simulated ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainseg.chapters import study_recipe
from brainseg.evaluation.scores import VOLUME_COLUMNS
from brainseg.experiments.plan import Training, after_the_phantom, on_the_phantom
from brainseg.experiments.reference import fold_sides
from brainseg.experiments.synthetic import MODEL, development_patients, require_real, score_real
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.record import NEW

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

EXCHANGE = "exchange"
"""The folder of its results."""

SCRATCH, SIMULATED = "drawn weights", "phantom"
"""From where a network starts."""

ALL, NONE = "all", "none"
"""In the column of how many real patients were given."""


@dataclass(frozen=True)
class Settings:
    """What is trained.

    Attributes
    ----------
    sizes : tuple of int
        Numbers of real patients; all of the training side come on top, and none after the phantom.
    folds : tuple of int
        Of the reference edition.
    draws : tuple of int
        Of the patients; each is the seed of its trainings too.
    """

    sizes: tuple[int, ...] = (1, 2, 5, 10, 20, 40)
    folds: tuple[int, ...] = (0, 1, 2)
    draws: tuple[int, ...] = (0, 1)

    def __post_init__(self) -> None:
        if list(self.sizes) != sorted(set(self.sizes)) or min(self.sizes) < 1:
            raise ValueError(f"sizes is {self.sizes}: give numbers of 1 and more, each larger than the one before")


def training_sides(cohort: pd.DataFrame, fold: int, count: int | None, draw: int) -> pd.Series:
    """The side of each slice where some patients of a fold's training side are given: "train", "test" or "new".

    The patients of a smaller number are among those of a larger one of the same draw.

    Parameters
    ----------
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    fold : int
    count : int, optional
        How many are given; all without it.
    draw : int

    Raises
    ------
    ValueError
        Where the training side has fewer.
    """
    sides = fold_sides(cohort, fold)
    if count is None:
        return sides
    # Only who has a tumour can teach what one looks like, and one patient has to suffice.
    there = cohort.loc[(sides == "train") & (cohort["tumour_px"] > 0), "patient"].unique()
    if count > len(there):
        raise ValueError(f"fold {fold} has {len(there)} patients with a tumour to train on: fewer than {count}")
    given = np.random.default_rng([fold, draw]).permutation(np.sort(there))[:count]
    return sides.where((sides != "train") | cohort["patient"].isin(given), NEW)


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """U-Net for each number of real patients, fold, draw and start; a draw is whole before the next one begins.

    Raises
    ------
    ValueError
        On a synthetic cohort; where a fold is unknown or has too few patients.
    """
    require_real(cohort)
    trainings = []
    for draw in settings.draws:
        recipe = study_recipe(MODEL, seed=draw)
        longer = replace(recipe, epochs=2 * recipe.epochs)
        for fold in settings.folds:
            labels = {"start": SIMULATED, "given": NONE, "fold": fold, "draw": draw}
            trainings.append(on_the_phantom(recipe, Preprocessing(), labels))
            for count in (*settings.sizes, None):
                sides = training_sides(cohort, fold, count, draw)
                labels = {**labels, "given": str(count or ALL)}
                started = Training(recipe, Preprocessing(), sides, labels)
                trainings.append(after_the_phantom(started, cohort))
                trainings.append(Training(longer, Preprocessing(), sides, {**labels, "start": SCRATCH}))
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every network on the test side of its fold, without the development patients.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``start`` (`SCRATCH` or `SIMULATED`), ``given`` (how many real patients, or `ALL`, `NONE`),
        ``fold, draw``, ``patient, institution, tumour_px, tp, fp, fn, dice`` of the volume.
    """
    scored = []
    for training, run in runs:
        patients = score_real(run, cohort.attrs["root"], tested(cohort, training.labels["fold"])).reset_index()
        scored.append(patients.assign(**training.labels)[[*training.labels, *VOLUME_COLUMNS]])
    return {"patients": pd.concat(scored, ignore_index=True)}


def tested(cohort: pd.DataFrame, fold: int) -> list[str]:
    """The patients of a fold's test side who did not steer the phantom."""
    patients = set(cohort.loc[fold_sides(cohort, fold) == "test", "patient"])
    return sorted(patients - set(development_patients()["patient"]))
