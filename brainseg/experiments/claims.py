"""The article's claim about contrast put to the test: six arms, one primary contrast, the same patients in all.

The arms differ in preprocessing alone: same network, same budget, same slices in the same order. The article
has no volume normalisation, no augmentation, no neighbouring slices, predicts a slice once and drops no pieces of a
prediction, and so it is in every arm. Normalisation and changes of brightness in training are other remedies for a
dark slice. With them, the question would no longer be what enhancing the contrast does in the article's pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from brainseg import evaluation, metrics
from brainseg.cohort import index_cohort
from brainseg.conventions import score_conventions
from brainseg.prepare import Preprocessing, prepare
from brainseg.recipe import Recipe
from brainseg.runs import Run, train_or_load
from brainseg.splits import make_split
from brainseg.tables import origin

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
"""What counts as a great improvement, in Dice. Named beforehand: about what one wrong pixel all round costs (chapter 4)."""


# ---------------------------------------------------------------- the arms


def arm_preprocessing(arm: str, image_size: int) -> Preprocessing:
    """What is done to the slices in one arm; no volume is normalised, as in the article."""
    return Preprocessing(image_size=image_size, **ARMS[arm], normalise="none")


def arm_run(
    root: str | Path,
    arm: str,
    *,
    image_size: int,
    filters: int,
    epochs: int,
    slices_per_epoch: int,
    fold: int,
    split_seed: int,
    seed: int,
) -> Run:
    """U-Net trained in one arm, or loaded where it was trained before; `seed` is that of the training alone."""
    prepared = prepare(root, arm_preprocessing(arm, image_size))
    split = make_split(prepared.table, by="patient", fold=fold, seed=split_seed)
    recipe = Recipe(
        model="unet",
        options={"filters": filters},
        epochs=epochs,
        slices_per_epoch=slices_per_epoch,
        tumour_share=0.5,  # as in the rest of the study: a short training gets further
        augmentation=False,
        seed=seed,
    )
    return train_or_load(recipe, prepared, split)


def score_test_patients(run: Run) -> pd.DataFrame:
    """One row per test patient, scored as one volume in the original frame; no piece of a prediction is dropped.

    Returns
    -------
    DataFrame
        ``patient, institution, mean_flair`` (grey level of the patient's slices, 0..255), ``tumour_px``,
        ``lost_px`` (tumour outside the crop box), ``tp, fp, fn, dice``. The Dice of a patient without tumour
        and without prediction is NaN.
    """
    rows = run.rows("test")
    table = run.prepared.table.iloc[rows]
    counts = metrics.confusion(
        run.prepared.truth(rows), evaluation.predict(run, rows, both_ways=False) >= evaluation.THRESHOLD, axis=(1, 2)
    )
    volumes = metrics.pool(counts, by=table["patient"])
    scores = (
        table.groupby("patient", sort=True)
        .agg(
            institution=("institution", "first"), mean_flair=("mean_flair", "mean"), tumour_px=("tumour_px", "sum"),
            lost_px=("lost_px", "sum"),
        )
        .reset_index()
    )  # fmt: skip
    return scores.assign(tp=volumes.tp, fp=volumes.fp, fn=volumes.fn, dice=metrics.dice(volumes, empty=np.nan))


def compute(
    root: str | Path,
    *,
    image_size: int = 96,
    filters: int = 16,
    epochs: int = 8,
    slices_per_epoch: int = 480,
    seeds: int = 3,
    fold: int = 0,
    seed: int = 0,
) -> tuple[dict[str, pd.DataFrame], dict]:
    """Train what is not trained yet, and make the chapter's tables.

    Parameters
    ----------
    root : str or path
        From :func:`brainseg.cohort.find_cohort`.
    image_size, filters, epochs, slices_per_epoch : int
        The budget, the same for every arm.
    seeds : int
        Trainings per arm. A patient's score in an arm is the mean over them.
    fold : int
        The fold whose patients are the test side.
    seed : int
        Of the split. The trainings have the seeds from this one on.

    Returns
    -------
    tables : dict of DataFrame
        ``"patients"``: arm, seed and what :func:`score_test_patients` gives. ``"conventions"``: what
        :func:`brainseg.conventions.score_conventions` gives for the first training of `PRIMARY`.
    record : dict
        Parameters, seconds of training, and where all this comes from.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be a whole number of at least 1, not {seeds}")
    budget = {"image_size": image_size, "filters": filters, "epochs": epochs, "slices_per_epoch": slices_per_epoch}
    training_seeds = range(seed, seed + seeds)
    patients, seconds = [], 0.0
    for arm in ARMS:
        for training_seed in training_seeds:
            run = arm_run(root, arm, **budget, fold=fold, split_seed=seed, seed=training_seed)
            patients.append(score_test_patients(run).assign(arm=arm, seed=training_seed))
            seconds += run.record["seconds"]
            if (arm, training_seed) == (PRIMARY, seed):
                scored = score_conventions(run, seed)
    table = pd.concat(patients, ignore_index=True)
    table = table[["arm", "seed", *table.columns.drop(["arm", "seed"])]]
    sides = run.prepared.table["patient"].groupby(run.split).nunique()
    record = {
        **budget,
        "fold": fold,
        "seed": seed,
        "training_seeds": list(training_seeds),
        "arms": ARMS,
        "primary": PRIMARY,
        "normalise": run.prepared.preprocessing.normalise,
        "recipe": {name: value for name, value in asdict(run.recipe).items() if name != "seed"},
        "threshold": evaluation.THRESHOLD,
        "patients": {part: int(number) for part, number in sides.items()},
        "training_seconds": round(seconds, 1),
        **origin(index_cohort(root)),
    }
    return {"patients": table, "conventions": scored}, record


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
        On the arm: ``trainings, mean, smallest, largest``. Only patients with a Dice in every arm count, as in :func:`mean_over_seeds`.
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
        difference = metrics.paired_difference(one, other, seed=seed)
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
    return table.assign(p_corrected=[table["p"].iloc[0], *metrics.holm(table["p"].iloc[1:])])


def verdict(low: float, high: float, p_value: float, patients: int, trainings: int) -> str:
    """What a difference with this interval says about "greatly improves"; see `GREAT`."""
    if patients < metrics.FEWEST_PATIENTS:
        return "too few patients to tell"
    if trainings < metrics.FEWEST_TRAININGS:
        return "too few trainings to tell"
    if p_value < metrics.LARGEST_P and low > 0:
        if low >= GREAT:
            return "a great improvement"
        return "an improvement, but no great one" if high < GREAT else "an improvement; whether a great one stays open"
    if p_value < metrics.LARGEST_P and high < 0:
        return "a loss"
    if high < GREAT:
        return "no improvement shown, and a great one is unlikely"
    return "no improvement shown, and a great one not ruled out"
