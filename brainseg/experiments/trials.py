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
from brainseg.data import phantom_table
from brainseg.experiments.plan import Training
from brainseg.images.preprocess import Preprocessing
from brainseg.metrics import THRESHOLD, confusion, dice
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.networks.record import reference_runs
from brainseg.splits import split_by_patient

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

INNER_FOLDS = 3
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, THRESHOLD)
EPOCHS = 24
PHANTOM = (160, 7)
"""Patients and seed of the phantom that a trial may start from."""


@dataclass(frozen=True)
class Trial:
    """One way of training, by its departures from the study's.

    Attributes
    ----------
    recipe : mapping
        Fields of :class:`brainseg.networks.recipe.Recipe`.
    preprocessing : mapping
        Fields of :class:`brainseg.images.preprocess.Preprocessing`.
    phantom : bool
        Whether it starts from a network of the same kind that was trained on `PHANTOM`.
    """

    recipe: Mapping = field(default_factory=dict)
    preprocessing: Mapping = field(default_factory=dict)
    phantom: bool = False


TRIALS = {
    "head": Trial(),
    "brain": Trial(preprocessing={"normalise": "brain"}),
    "brain, twice as long": Trial({"epochs": 2 * EPOCHS}, {"normalise": "brain"}),
    "brain, after the phantom": Trial({}, {"normalise": "brain"}, phantom=True),
    "brain, after the phantom, twice as long": Trial({"epochs": 2 * EPOCHS}, {"normalise": "brain"}, phantom=True),
}
"""Name of a trial in the tables -> how it is trained. The first is what the others stand beside."""
BASELINE = next(iter(TRIALS))


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
    inside = outer.isin(["train", "validation"])
    sides = split_by_patient(table[inside], n_folds=INNER_FOLDS, fold=fold, seed=0).replace("validation", "train")
    return sides.reindex(table.index, fill_value="new").rename("split")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """Three trainings for each trial and network.

    Raises
    ------
    ValueError
        For a trial that is not known, or where there is no reference U-Net whose test side could be left out.
    """
    if unknown := set(settings.trials) - set(TRIALS):
        raise ValueError(f"no trial {', '.join(map(repr, sorted(unknown)))}: choose from {', '.join(TRIALS)}")
    outer = next((record.split(cohort) for record in reference_runs("unet", "patient", 0)), None)
    if outer is None:
        raise ValueError("there is no reference U-Net of fold 0: python -m brainseg reference makes it")
    return [
        _training(name, model, inner_split(cohort, outer, fold), cohort, {"trial": name, "model": model, "fold": fold})
        for name in settings.trials
        for model in settings.models
        for fold in range(INNER_FOLDS)
    ]


def _training(name: str, model: str, split: pd.Series, cohort: pd.DataFrame, labels: Mapping) -> Training:
    trial = TRIALS[name]
    preprocessing = Preprocessing(**trial.preprocessing)
    training = Training(study_recipe(model, **{"epochs": EPOCHS, **trial.recipe}), preprocessing, split, labels)
    if not trial.phantom:
        return training
    everyone = pd.Series("train", index=phantom_table(*PHANTOM).index, name="split")
    first = Training(study_recipe(model, epochs=EPOCHS), preprocessing, everyone, {"model": model}, phantom=PHANTOM)
    return training.starting_from(first, cohort)


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every training on its inner fold, at several thresholds.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``trial, model, fold, patient, tumour_px, threshold``; ``dice`` of the volume in the original
        frame as the study predicts, and ``dice_all_pieces`` before small pieces are dropped.
    """
    from brainseg.evaluation.predict import predict_probabilities
    from brainseg.evaluation.scores import drop_small_pieces

    rows = []
    for training, run in runs:
        patients = run.prepared.table["patient"].to_numpy()
        for patient in dict.fromkeys(patients[run.rows("test")]):
            mine = np.flatnonzero(patients == patient)
            probabilities, truth = predict_probabilities(run, mine), run.prepared.truth(mine)
            for threshold in THRESHOLDS:
                marked = probabilities >= threshold
                rows.append(
                    {
                        **training.labels,
                        "patient": patient,
                        "tumour_px": np.count_nonzero(truth),
                        "threshold": threshold,
                        "dice": _dice(truth, drop_small_pieces(marked)),
                        "dice_all_pieces": _dice(truth, marked),
                    }
                )
    return {"patients": pd.DataFrame(rows)}


def _dice(truth: np.ndarray, marked: np.ndarray) -> float:
    return float(dice(confusion(truth, marked), empty=np.nan))


# ---------------------------------------------------------------- what the trials show


@dataclass(frozen=True)
class TrialFinding:
    """One trial beside the baseline of the same network, on the same inner patients.

    Attributes
    ----------
    trial, model : str
    patients : int
    mean, median : float
        Dice of the volume at the usual threshold.
    threshold : float
        With the highest mean.
    gain, error : float
        Mean difference to the baseline, and its standard error over patients.
    without_best : float
        The gain without the patient who gains most.
    """

    trial: str
    model: str
    patients: int
    mean: float
    median: float
    threshold: float
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
            "trial": self.trial,
            "network": MODEL_NAMES[self.model],
            "patients": self.patients,
            "mean Dice": self.mean,
            "median": self.median,
            "best threshold": self.threshold,
            "gain": self.gain,
            "standard error": self.error,
            "counts": "yes" if self.counts else "no",
        }


def findings(patients: pd.DataFrame) -> list[TrialFinding]:
    """Every trial beside the baseline, in the order of the table.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`, with the baseline among the trials.
    """
    usual = patients[patients["threshold"] == THRESHOLD].pivot(
        index="patient", columns=["model", "trial"], values="dice"
    )
    found = []
    for (model, trial), part in patients.groupby(["model", "trial"], sort=False):
        own = usual[model, trial].dropna()
        gains = (own - usual[model, BASELINE]).dropna()
        found.append(
            TrialFinding(
                trial=trial,
                model=model,
                patients=len(own),
                mean=float(own.mean()),
                median=float(own.median()),
                threshold=float(part.groupby("threshold")["dice"].mean().idxmax()),
                gain=float(gains.mean()),
                error=float(gains.std(ddof=1) / np.sqrt(len(gains))),
                without_best=float(gains.drop(gains.idxmax()).mean()),
            )
        )
    return found
