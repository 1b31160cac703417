"""What moves the score: trainings compared on inner patients alone, before a recipe is frozen.

The patients outside the test side of reference fold 0 are divided into three inner folds, stratified as the outer ones
are. A trial is trained three times, each time without one inner fold, and scored on that fold. No test patient of
fold 0 is read. Nobody validates: the schedule is fixed, and the last epoch is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainseg.chapters import study_recipe
from brainseg.experiments.plan import Training, after_the_phantom
from brainseg.experiments.reference import fold_sides
from brainseg.images.preprocess import Preprocessing
from brainseg.metrics import THRESHOLD, confusion, dice
from brainseg.splits import split_by_patient

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

INNER_FOLDS = 3
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, THRESHOLD)


@dataclass(frozen=True)
class Trial:
    """One way of training, by its departures from the study's.

    Attributes
    ----------
    preprocessing : mapping
        Fields of :class:`brainseg.images.preprocess.Preprocessing`.
    phantom : bool
        Whether it starts from a network of the same kind that was trained on :data:`brainseg.experiments.plan.PHANTOM`.
    """

    preprocessing: Mapping = field(default_factory=dict)
    phantom: bool = False


TRIALS = {
    "head": Trial(preprocessing={"normalise": "volume"}),
    "head, after the phantom": Trial(preprocessing={"normalise": "volume"}, phantom=True),
    "brain": Trial(preprocessing={"normalise": "brain"}),
    "brain, after the phantom": Trial(preprocessing={"normalise": "brain"}, phantom=True),
}
"""Name of a trial in the tables -> how it is trained."""


@dataclass(frozen=True)
class Settings:
    """What is trained.

    Attributes
    ----------
    trials : tuple of str
        Names of `TRIALS`.
    models : tuple of str
        Names of :data:`brainseg.networks.recipe.MODELS`.
    """

    trials: tuple[str, ...] = tuple(TRIALS)
    models: tuple[str, ...] = ("unet",)


def inner_split(table: pd.DataFrame, outer: pd.Series, fold: int) -> pd.Series:
    """The side of each slice in one inner fold: "train", "test", or "new" for the test side of the outer fold.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    outer : Series
        The outer side of each slice.
    fold : int
        From 0 to `INNER_FOLDS` - 1.
    """
    inside = outer == "train"
    sides = split_by_patient(table[inside], n_folds=INNER_FOLDS, fold=fold, seed=0).replace("validation", "train")
    return sides.reindex(table.index, fill_value="new").rename("split")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """Three trainings for each trial and network.

    Raises
    ------
    ValueError
        For a trial that is not known, or where no patient of the cohort is tested in fold 0.
    """
    if unknown := set(settings.trials) - set(TRIALS):
        raise ValueError(f"no trial {', '.join(map(repr, sorted(unknown)))}: choose from {', '.join(TRIALS)}")
    outer = fold_sides(cohort, 0)
    return [
        _training(name, model, inner_split(cohort, outer, fold), cohort, {"trial": name, "model": model, "fold": fold})
        for name in settings.trials
        for model in settings.models
        for fold in range(INNER_FOLDS)
    ]


def _training(name: str, model: str, split: pd.Series, cohort: pd.DataFrame, labels: Mapping) -> Training:
    trial = TRIALS[name]
    preprocessing = Preprocessing(**trial.preprocessing)
    training = Training(study_recipe(model), preprocessing, split, labels)
    return after_the_phantom(training, cohort) if trial.phantom else training


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every training on its inner fold, with several ways of making a mask of its probabilities.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``trial, model, fold, patient, tumour_px, threshold``; ``dice`` of the volume in the original
        frame as the study predicts, ``dice_all_pieces`` before small pieces are dropped, and ``dice_one_way`` of each
        slice as it is, without its mirror image.
    """
    from brainseg.evaluation.predict import predict_probabilities
    from brainseg.evaluation.scores import drop_small_pieces

    rows = []
    for training, run in runs:
        patients = run.prepared.table["patient"].to_numpy()
        for patient in dict.fromkeys(patients[run.rows("test")]):
            mine = np.flatnonzero(patients == patient)
            truth = run.prepared.truth(mine)
            both_ways, one_way = (predict_probabilities(run, mine, both_ways=both) for both in (True, False))
            for threshold in THRESHOLDS:
                marked = both_ways >= threshold
                rows.append(
                    {
                        **training.labels,
                        "patient": patient,
                        "tumour_px": np.count_nonzero(truth),
                        "threshold": threshold,
                        "dice": _dice(truth, drop_small_pieces(marked)),
                        "dice_all_pieces": _dice(truth, marked),
                        "dice_one_way": _dice(truth, drop_small_pieces(one_way >= threshold)),
                    }
                )
    return {"patients": pd.DataFrame(rows)}


def _dice(truth: np.ndarray, marked: np.ndarray) -> float:
    return float(dice(confusion(truth, marked), empty=np.nan))


# ---------------------------------------------------------------- what the trials show


@dataclass(frozen=True)
class Gain:
    """What a change gains, patient by patient.

    Attributes
    ----------
    change : str
        In words.
    patients : int
    mean, median : float
        Dice of the volume with the change.
    gain, error : float
        Mean difference to what it stands beside, and the standard error of it over patients.
    without_best : float
        The gain without the patient who gains most.
    """

    change: str
    patients: int
    mean: float
    median: float
    gain: float
    error: float
    without_best: float

    @property
    def counts(self) -> bool:
        """Whether the gain is above one standard error, and not by one patient."""
        return self.gain > self.error and self.without_best > 0

    def row(self) -> dict:
        """As a row of a table to read."""
        return {
            "": self.change,
            "patients": self.patients,
            "mean Dice": self.mean,
            "median": self.median,
            "gain": self.gain,
            "standard error": self.error,
            "counts": "yes" if self.counts else "no",
        }


def _gain(change: str, dice: pd.Series, beside: pd.Series) -> Gain:
    """Of two scores of the same patients, on their names."""
    gains = (dice - beside).dropna()
    return Gain(
        change=change,
        patients=len(gains),
        mean=float(dice.mean()),
        median=float(dice.median()),
        gain=float(gains.mean()),
        error=float(gains.std(ddof=1) / np.sqrt(len(gains))),
        without_best=float(gains.drop(gains.idxmax()).mean()),
    )


def findings(patients: pd.DataFrame) -> list[Gain]:
    """Every other trial beside the first of the table, predicted as the study predicts.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`, of one network.
    """
    usual = patients[patients["threshold"] == THRESHOLD]
    first, *others = ((name, part.set_index("patient")["dice"]) for name, part in usual.groupby("trial", sort=False))
    return [_gain(name, dice, first[1]) for name, dice in others]


def beside(patients: pd.DataFrame, trial: str) -> str:
    """What the rows of a table of gains stand beside, as a sentence: a trial, predicted as the study predicts.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`, of one network.
    trial : str
        The first of the table for :func:`findings`, the one that predicts for :func:`prediction_findings`.
    """
    dice = patients.query("trial == @trial and threshold == @THRESHOLD")["dice"]
    return f"Beside *{trial}*, which has a mean Dice of {dice.mean():.3f} (median {dice.median():.3f}):"


def prediction_findings(patients: pd.DataFrame, trial: str) -> list[Gain]:
    """Other ways of making masks of one trial's probabilities, beside the study's: thresholds, pieces, the mirror.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`, of one network.
    trial : str
        Whose networks predict.
    """
    by_threshold = {
        threshold: part.set_index("patient")
        for threshold, part in patients[patients["trial"] == trial].groupby("threshold")
    }
    usual = by_threshold[THRESHOLD]
    found = [
        _gain(f"threshold {threshold:g}", part["dice"], usual["dice"])
        for threshold, part in by_threshold.items()
        if threshold != THRESHOLD
    ]
    found.append(_gain("no piece dropped", usual["dice_all_pieces"], usual["dice"]))
    found.append(_gain("each slice once", usual["dice_one_way"], usual["dice"]))
    return found
