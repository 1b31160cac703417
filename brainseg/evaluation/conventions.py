"""Conventions of scoring: what each way to score, found in the wild, makes of one set of predictions.

The ratios are those of :mod:`brainseg.metrics`. Here they are put together as papers, notebooks and libraries put
them together. Predictions that know nothing about tumours are scored beside the network's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from brainseg import metrics
from brainseg.cohort import FLAIR, read_patient
from brainseg.evaluation.predict import article_scores, predict_probabilities
from brainseg.metrics import THRESHOLD, Confusion
from brainseg.networks.forward import predict_images
from brainseg.networks.runs import Run

BATCH_SIZE = 16


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
    slices = metrics.confusion(truth, probability >= THRESHOLD, axis=(1, 2))
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
"""Those that this book reports. No empty slice, background or smoothing lifts them, and no large tumour outvotes the
rest."""

CROPPED_VOLUME, CROPPED_BATCH = "Dice per volume, in the cropped frame", "soft Dice per batch, in the cropped frame"


def trivial_predictions(run: Run) -> dict[str, np.ndarray]:
    """Masks of the test slices that no network made, by name; each bool (n, 256, 256).

    Two are constant. One calls the same spot tumour on every slice: the pixels that are tumour most often in the
    training slices, as many as a middling tumour has. One calls the bright part of the head on FLAIR tumour, by
    Otsu's threshold (1979) on each volume, first against the air and then within the head.
    """
    test, table = run.rows("test"), run.prepared.table
    training = run.rows("train")
    tumours = run.prepared.truth(training[table["tumour_px"].to_numpy()[training] > 0])
    often, area = tumours.sum(axis=0).ravel(), int(np.median(tumours.sum(axis=(1, 2)))) if len(tumours) else 0
    spot = np.zeros(tumours.shape[1:], bool)
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
    predictions = {"U-Net": predict_probabilities(run, rows, both_ways=False), **trivial_predictions(run)}
    scores = []
    for predictor, probability in predictions.items():
        counts = count(truth, probability, patients, seed)
        scores += [(predictor, name, name in HONEST, float(score(counts))) for name, score in CONVENTIONS.items()]
    cropped = metrics.confusion(
        run.prepared.tumour(rows),
        predict_images(run.model, run.prepared.images, rows) >= THRESHOLD,
        axis=(1, 2),
    )
    in_cropped_frame = {
        CROPPED_VOLUME: _mean_where_tumour(metrics.pool(cropped, by=patients)),
        CROPPED_BATCH: article_scores(run, rows)["Dice"],
    }
    scores += [("U-Net", name, False, float(score)) for name, score in in_cropped_frame.items()]
    return pd.DataFrame(scores, columns=["predictor", "convention", "honest", "score"])
