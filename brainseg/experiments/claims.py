"""The article's claim about contrast put to the test: six arms, one primary contrast, the same patients in all.

The arms differ in preprocessing alone: same network, same budget, same slices in the same order. The article
has no volume normalisation, no augmentation, predicts a slice once and drops no pieces of a
prediction, and so it is in every arm. Normalisation and changes of brightness in training are other remedies for a
dark slice. With them, the question would no longer be what enhancing the contrast does in the article's pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from brainseg import statistics
from brainseg.chapters import study_recipe
from brainseg.evaluation.scores import score_patients
from brainseg.experiments.plan import Training
from brainseg.images.preprocess import Preprocessing
from brainseg.splits import make_split

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

NEITHER = "neither"
PRIMARY = "CLAHE and slice crop"
"""The arm whose difference to `NEITHER` is the one primary contrast, named before anything was trained: it is
the article's pipeline against none of it. All other differences count as secondary and are corrected by Holm."""

ARMS = {
    NEITHER: {"contrast": "none", "crop": "none"},
    "HE": {"contrast": "he", "crop": "none"},
    "CLAHE": {"contrast": "clahe", "crop": "none"},
    "slice crop": {"contrast": "none", "crop": "slice"},
    "patient crop": {"contrast": "none", "crop": "patient"},
    PRIMARY: {"contrast": "clahe", "crop": "slice"},
}

GREAT = 0.05
"""What counts as a great improvement, in Dice. Named beforehand: about what one wrong pixel all round costs (chapter
4)."""


LEARNING_RATE = 2e-3  # twice the study's: these trainings are short


# ---------------------------------------------------------------- the arms


def arm_preprocessing(arm: str, image_size: int) -> Preprocessing:
    """What is done to the slices in one arm; no volume is normalised, as in the article."""
    return Preprocessing(image_size=image_size, **ARMS[arm], normalise="none")


@dataclass(frozen=True)
class Settings:
    """The budget, the same for every arm.

    Attributes
    ----------
    image_size, filters, epochs, slices_per_epoch : int
    seeds : int
        Trainings per arm. A patient's score in an arm is the mean over them.
    fold : int
        The fold whose patients are the test side.
    seed : int
        Of the split. The trainings have the seeds from this one on.
    """

    image_size: int = 96
    filters: int = 16
    epochs: int = 8
    slices_per_epoch: int = 480
    seeds: int = 3
    fold: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds must be a whole number of at least 1, not {self.seeds}")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """U-Net in each arm, with each seed; tumour slices are half of what it sees, as in the rest of the study."""
    split = make_split(cohort, by="patient", fold=settings.fold, seed=settings.seed)
    trainings = []
    for arm in ARMS:
        for seed in range(settings.seed, settings.seed + settings.seeds):
            recipe = study_recipe(
                filters=settings.filters, epochs=settings.epochs, slices_per_epoch=settings.slices_per_epoch,
                learning_rate=LEARNING_RATE, augmentation=False, drop_sequence=0.0, seed=seed,
            )  # fmt: skip
            preprocessing = arm_preprocessing(arm, settings.image_size)
            trainings.append(Training(recipe, preprocessing, split, {"arm": arm, "seed": seed}))
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score the test patients of every training.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``arm, seed`` and what :func:`score_test_patients` gives. ``"conventions"``: what
        :func:`brainseg.evaluation.predict.conventions.score_conventions` gives for the first training of `PRIMARY`.
    """
    from brainseg.evaluation.conventions import score_conventions

    patients, conventions = [], pd.DataFrame()
    for training, run in runs:
        scored = score_test_patients(run)
        for place, (name, value) in enumerate(training.labels.items()):
            scored.insert(place, name, value)
        patients.append(scored)
        if training.labels == {"arm": PRIMARY, "seed": settings.seed}:
            conventions = score_conventions(run, settings.seed)
    return {"patients": pd.concat(patients, ignore_index=True), "conventions": conventions}


def score_test_patients(run: Run) -> pd.DataFrame:
    """One row per test patient, scored as one volume in the original frame; no piece of a prediction is dropped.

    Returns
    -------
    DataFrame
        ``patient, institution, mean_flair`` (grey level of the patient's slices, 0..255), ``tumour_px``,
        ``lost_px`` (tumour outside the crop box), ``tp, fp, fn, dice``. The Dice of a patient without tumour
        and without prediction is NaN.
    """
    from brainseg.evaluation.predict import evaluate_bare

    groups = run.prepared.table.iloc[run.rows("test")].groupby("patient", sort=True)
    described = groups.agg(mean_flair=("mean_flair", "mean"), lost_px=("lost_px", "sum"))
    scores = score_patients(evaluate_bare(run)).join(described).reset_index()
    return scores[["patient", "institution", "mean_flair", "tumour_px", "lost_px", "tp", "fp", "fn", "dice"]]


# ---------------------------------------------------------------- comparing


def mean_over_seeds(patients: pd.DataFrame) -> pd.DataFrame:
    """Dice of each patient (row) in each arm (column), averaged over seeds; patients without a Dice are left out."""
    wide = patients.pivot_table(index="patient", columns="arm", values="dice", aggfunc="mean")
    return wide.reindex(columns=[arm for arm in ARMS if arm in wide]).dropna().rename_axis(columns=None)


def seed_means(patients: pd.DataFrame) -> pd.DataFrame:
    """How far the trainings of one arm lie apart: each training's mean Dice over patients, summed up by arm.

    Returns
    -------
    DataFrame
        On the arm: ``trainings, mean, smallest, largest``. Only patients with a Dice in every arm count, as in
        :func:`mean_over_seeds`.
    """
    scores = mean_over_seeds(patients)
    means = patients[patients["patient"].isin(scores.index)].groupby(["arm", "seed"])["dice"].mean().groupby("arm")
    table = means.agg(trainings="size", mean="mean", smallest="min", largest="max")
    return table.reindex(list(scores)).rename_axis(None)


def compare(scores: pd.DataFrame, pairs: Iterable[tuple[str, str]], seed: int = 0) -> pd.DataFrame:
    """Paired differences between columns, patient by patient.

    Parameters
    ----------
    scores : DataFrame
        One row per patient, one column per condition, no gaps.
    pairs : (first, second)
        First minus second is taken.

    Returns
    -------
    DataFrame
        One row per pair: ``first, second, mean, low, high`` (95 % bootstrap over patients), ``p`` (Wilcoxon's
        signed ranks), ``patients`` and ``better_on``, those with a higher score in `first`.
    """
    rows = []
    for first, second in pairs:
        one, other = scores[first].to_numpy(), scores[second].to_numpy()
        difference = statistics.paired_difference(one, other, seed=seed)
        rows.append(
            {
                "first": first, "second": second,
                "mean": difference.estimate, "low": difference.low, "high": difference.high,
                "p": difference.p_value, "patients": difference.patients, "better_on": int((one > other).sum()),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def compare_arms(patients: pd.DataFrame) -> pd.DataFrame:
    """Every arm against `NEITHER`, the primary one first; see :func:`compare`.

    ``p_corrected`` is Holm's over the others. That of the primary contrast is its own p: it was named beforehand
    and is one.
    """
    scores = mean_over_seeds(patients)
    arms = [PRIMARY, *(arm for arm in scores if arm not in (NEITHER, PRIMARY))]
    table = compare(scores, [(arm, NEITHER) for arm in arms])
    return table.assign(p_corrected=[table["p"].iloc[0], *statistics.holm(table["p"].iloc[1:])])


def verdict(low: float, high: float, p_value: float, patients: int, trainings: int) -> str:
    """What a difference with this interval says about "greatly improves"; see `GREAT`."""
    if patients < statistics.FEWEST_PATIENTS:
        return "too few patients to tell"
    if trainings < statistics.FEWEST_TRAININGS:
        return "too few trainings to tell"
    if p_value < statistics.LARGEST_P and low > 0:
        if low >= GREAT:
            return "a great improvement"
        return "an improvement, but no great one" if high < GREAT else "an improvement; whether a great one stays open"
    if p_value < statistics.LARGEST_P and high < 0:
        return "a loss"
    if high < GREAT:
        return "no improvement shown, and a great one is unlikely"
    return "no improvement shown, and a great one not ruled out"
