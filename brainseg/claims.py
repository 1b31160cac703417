"""The article's claims put to the test: what contrast and crop are worth, and what a way of scoring makes of a prediction.

The arms differ in preprocessing alone: same network, same budget, same slices in the same order. The article
has no volume normalisation, no augmentation and no missing sequences drawn at random, so no arm has them
either. Normalisation and changes of brightness in training are other remedies for a dark slice. With them, the
question would no longer be what enhancing the contrast does in the article's pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from brainseg import evaluation, metrics
from brainseg.batches import predict_images
from brainseg.cohort import FLAIR, index_cohort, read_patient
from brainseg.metrics import Confusion
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
FEWEST_PATIENTS = 10
LARGEST_P = 0.05
BATCH_SIZE = 16


@dataclass(frozen=True)
class Budget:
    """The size of the experiment, the same for every arm.

    Attributes
    ----------
    image_size : int, px
    filters : int
        Width of U-Net's first level.
    epochs, slices_per_epoch : int
    seeds : int
        Trainings per arm. A patient's score in an arm is the mean over them.
    """

    image_size: int = 96
    filters: int = 16
    epochs: int = 8
    slices_per_epoch: int = 480
    seeds: int = 3


# ---------------------------------------------------------------- the arms


def arm_preprocessing(arm: str, image_size: int) -> Preprocessing:
    """What is done to the slices in one arm: no margin and no normalisation, as in the article."""
    return Preprocessing(image_size=image_size, **ARMS[arm], margin_px=0, normalise="none")


def arm_run(root: str | Path, arm: str, budget: Budget, fold: int, split_seed: int, seed: int) -> Run:
    """U-Net trained in one arm, or loaded where it was trained before; `seed` is that of the training alone."""
    prepared = prepare(root, arm_preprocessing(arm, budget.image_size))
    split = make_split(prepared.table, by="patient", fold=fold, seed=split_seed)
    recipe = Recipe(
        model="unet",
        options={"filters": budget.filters},
        epochs=budget.epochs,
        slices_per_epoch=budget.slices_per_epoch,
        tumour_share=0.5,  # as in the rest of the study: a short training gets further
        augmentation=False,
        seed=seed,
    )
    return train_or_load(recipe, prepared, split)


def score_test_patients(run: Run) -> pd.DataFrame:
    """One row per test patient, scored as one volume in the original frame.

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
        run.prepared.truth(rows), evaluation.predict(run, rows) >= evaluation.THRESHOLD, axis=(1, 2)
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


def compute(root: str | Path, budget: Budget, fold: int = 0, seed: int = 0) -> tuple[dict[str, pd.DataFrame], dict]:
    """Train what is not trained yet, and make the chapter's tables.

    Parameters
    ----------
    root : str or path
        From :func:`brainseg.cohort.find_cohort`.
    budget : Budget
    fold : int
        The fold whose patients are the test side.
    seed : int
        Of the split. The trainings have the seeds from this one on.

    Returns
    -------
    tables : dict of DataFrame
        ``"patients"``: arm, seed and what :func:`score_test_patients` gives. ``"conventions"``: predictor, convention,
        honest, score; see :func:`score_conventions`.
    record : dict
        Parameters, seconds of training, and where all this comes from.
    """
    seeds = range(seed, seed + budget.seeds)
    patients, seconds = [], {}
    for arm in ARMS:
        for training_seed in seeds:
            run = arm_run(root, arm, budget, fold, seed, training_seed)
            patients.append(score_test_patients(run).assign(arm=arm, seed=training_seed))
            seconds[f"{arm}, seed {training_seed}"] = round(run.record["seconds"], 1)
            if (arm, training_seed) == (PRIMARY, seed):
                scored = score_conventions(run, seed)
    table = pd.concat(patients, ignore_index=True)
    leading = ["arm", "seed", "patient"]
    sides = run.prepared.table.groupby(run.split)["patient"].nunique()
    record = {
        "budget": asdict(budget),
        "fold": fold,
        "seed": seed,
        "arms": ARMS,
        "primary": PRIMARY,
        "recipe": asdict(run.recipe) | {"seed": list(seeds)},
        "normalise": run.prepared.preprocessing.normalise,
        "threshold": evaluation.THRESHOLD,
        "patients": {part: int(number) for part, number in sides.items()},
        "training_seconds": seconds,
        **origin(index_cohort(root)),
    }
    return {"patients": table[[*leading, *table.columns.difference(leading, sort=False)]], "conventions": scored}, record


# ---------------------------------------------------------------- comparing


def mean_over_seeds(patients: pd.DataFrame) -> pd.DataFrame:
    """Dice of each patient (row) in each arm (column), averaged over seeds; patients without a Dice are left out."""
    wide = patients.pivot_table(index="patient", columns="arm", values="dice", aggfunc="mean")
    return wide.reindex(columns=[arm for arm in ARMS if arm in wide]).dropna().rename_axis(columns=None)


def holm(p_values: Iterable[float]) -> np.ndarray:
    """P values corrected for being several, by Holm 1979: the smallest times m, the next times m - 1, and so on.

    No corrected value is below one that stood before it in that order, nor above 1.
    """
    p = np.asarray(list(p_values), float)
    order = p.argsort()
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected


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
    return table.assign(p_corrected=[table["p"].iloc[0], *holm(table["p"].iloc[1:])])


def verdict(low: float, high: float, p_value: float, patients: int) -> str:
    """What a difference with this interval says about "greatly improves"; see `GREAT`."""
    if patients < FEWEST_PATIENTS:
        return "too few patients to tell"
    if p_value < LARGEST_P and low > 0:
        if low >= GREAT:
            return "a great improvement"
        return "an improvement, but no great one" if high < GREAT else "an improvement; whether a great one stays open"
    if p_value < LARGEST_P and high < 0:
        return "a loss"
    if high < GREAT:
        return "no improvement shown, and a great one is unlikely"
    return "no improvement shown, and a great one not ruled out"


# ---------------------------------------------------------------- scoring


class Counts(NamedTuple):
    """One prediction, counted in every way that a convention asks for."""

    slices: Confusion  # one value per slice
    batches: Confusion  # soft, one value per batch of shuffled slices
    volumes: Confusion  # one value per patient
    total: Confusion


def count(truth: np.ndarray, probability: np.ndarray, patients: np.ndarray, seed: int = 0) -> Counts:
    """Count a prediction by slice, batch, volume and data set.

    Parameters
    ----------
    truth : bool (n, H, W)
    probability : float or bool (n, H, W) in 0..1
        At or above one half a pixel is called tumour.
    patients : (n,) names
    seed : int
        Of the order in which slices fall into batches: a random split leaves them shuffled.
    """
    slices = metrics.confusion(truth, probability >= evaluation.THRESHOLD, axis=(1, 2))
    order = np.random.default_rng(seed).permutation(len(truth))
    batches = [
        metrics.soft_confusion(truth[rows], probability[rows])
        for rows in np.split(order, range(BATCH_SIZE, len(order), BATCH_SIZE))
    ]
    soft = Confusion(*np.array(batches).T)
    return Counts(slices, soft, metrics.pool(slices, by=patients), metrics.pool(slices))


def _both_classes(ratio: Callable[..., np.ndarray], counts: Confusion) -> float:
    """The mean of a ratio for tumour and for background, whose hits are the true negatives."""
    background = Confusion(counts.tn, counts.fn, counts.fp, counts.tp)
    return (ratio(counts, empty=1) + ratio(background, empty=1)) / 2


def _mean_where_tumour(counts: Confusion) -> float:
    tumour = counts.tp + counts.fn > 0
    return np.mean(metrics.dice(counts, empty=np.nan)[tumour]) if tumour.any() else np.nan


CONVENTIONS: dict[str, Callable[[Counts], float]] = {
    "pixel accuracy": lambda c: metrics.accuracy(c.total),
    "Dice, mean of tumour and background": lambda c: _both_classes(metrics.dice, c.total),
    "IoU, mean of tumour and background": lambda c: _both_classes(metrics.iou, c.total),
    "Dice per slice, empty counts as 1": lambda c: np.mean(metrics.dice(c.slices, empty=1)),
    "IoU per slice, empty counts as 1": lambda c: np.mean(metrics.iou(c.slices, empty=1)),
    "Dice per slice, smoothed by 1": lambda c: np.mean(metrics.smoothed_dice(c.slices, 1)),
    "Dice per slice, smoothed by 100": lambda c: np.mean(metrics.smoothed_dice(c.slices, 100)),
    "soft Dice per batch, smoothed by 1": lambda c: np.mean(metrics.smoothed_dice(c.batches, 1)),
    "soft Dice per batch, smoothed by 100": lambda c: np.mean(metrics.smoothed_dice(c.batches, 100)),
    "Dice of all pixels pooled": lambda c: metrics.dice(c.total, empty=np.nan),
    "Dice per tumour slice": lambda c: _mean_where_tumour(c.slices),
    "Dice per volume": lambda c: _mean_where_tumour(c.volumes),
}
"""Ways to score that are found in papers, notebooks and libraries. A batch has `BATCH_SIZE` slices."""

HONEST = ("Dice per tumour slice", "Dice per volume")
"""Those that no empty slice, no background and no smoothing lifts."""

CROPPED_VOLUME, CROPPED_BATCH = "Dice per volume, in the cropped frame", "soft Dice per batch, in the cropped frame"


def trivial_predictions(run: Run) -> dict[str, np.ndarray]:
    """Masks of the test slices that no network made, by name; each bool (n, 256, 256).

    Two are constant. One calls the same spot tumour on every slice: the pixels that are tumour most often in the
    training slices, as many as a middling tumour has. One calls the bright part of the head on FLAIR tumour, by
    Otsu's threshold (1979) on each volume, first against the air and then within the head.
    """
    test, table = run.rows("test"), run.prepared.table
    training = run.rows("train")
    known = run.prepared.truth(training[table["tumour_px"].to_numpy()[training] > 0])
    often, area = known.sum(axis=0).ravel(), int(np.median(known.sum(axis=(1, 2)))) if len(known) else 0
    spot = np.zeros(known.shape[1:], bool)
    spot.flat[np.argsort(-often, kind="stable")[:area]] = True
    names = table["patient"].to_numpy()[test]
    bright = np.zeros((len(test), *spot.shape), bool)
    for patient in np.unique(names):
        # A patient's test slices are all of its slices, in the table's order.
        bright[names == patient] = bright_on_flair(read_patient(table, patient)[0][..., FLAIR])
    return {
        "nothing": np.zeros_like(bright),
        "everything": np.ones_like(bright),
        "the usual spot": np.broadcast_to(spot, bright.shape),
        "Otsu on FLAIR": bright,
    }


def bright_on_flair(flair: np.ndarray) -> np.ndarray:
    """The bright part of the head: Otsu's threshold on all pixels, then on those above it; bool, as `flair` (uint8)."""
    head = flair > _otsu(flair)
    return flair > _otsu(flair[head]) if head.any() else head


def _otsu(values: np.ndarray) -> float:
    return cv2.threshold(values.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0]


def score_conventions(run: Run, seed: int = 0) -> pd.DataFrame:
    """A run's test slices, and the trivial predictions of them, by every convention.

    Returns
    -------
    DataFrame
        ``predictor`` ("U-Net" or a name of :func:`trivial_predictions`), ``convention``, ``honest`` (bool), ``score``.
        U-Net is also scored in the frame that it was trained in, where what the crop cut off is forgotten.
    """
    rows = run.rows("test")
    truth, patients = run.prepared.truth(rows), run.prepared.table["patient"].to_numpy()[rows]
    predictions = {"U-Net": evaluation.predict(run, rows), **trivial_predictions(run)}
    scores = []
    for predictor, probability in predictions.items():
        counts = count(truth, probability, patients, seed)
        scores += [(predictor, name, name in HONEST, float(score(counts))) for name, score in CONVENTIONS.items()]
    cropped = metrics.confusion(
        run.prepared.masks[rows] >= 128,
        predict_images(run.model, run.prepared.images[rows]) >= evaluation.THRESHOLD,
        axis=(1, 2),
    )
    in_cropped_frame = {
        CROPPED_VOLUME: _mean_where_tumour(metrics.pool(cropped, by=patients)),
        CROPPED_BATCH: evaluation.article_scores(run, rows)["Dice"],
    }
    scores += [("U-Net", name, False, float(score)) for name, score in in_cropped_frame.items()]
    return pd.DataFrame(scores, columns=["predictor", "convention", "honest", "score"])
