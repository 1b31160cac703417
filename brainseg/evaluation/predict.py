"""From a trained run to masks in the original frame, and to the tables of :mod:`brainseg.evaluation.scores`.

The one exception is :func:`article_scores`, which follows the article's convention on purpose, in the cropped frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from brainseg.cohort import FRAME
from brainseg.evaluation.scores import drop_small_pieces, score_slices
from brainseg.metrics import THRESHOLD
from brainseg.networks.batches import epoch_batches
from brainseg.networks.forward import predict_both_ways, predict_images, predict_looks
from brainseg.networks.runs import Run


def predict_probabilities(run: Run, rows: np.ndarray, both_ways: bool = True) -> np.ndarray:
    """Probabilities of slices in the original frame.

    Parameters
    ----------
    run : Run
    rows : ndarray of int
        Row numbers in the prepared table.
    both_ways : bool
        As :func:`brainseg.networks.forward.predict_both_ways`, which is what the study reports; a slice as it is where
        not.

    Returns
    -------
    ndarray, float32 (n, 256, 256) in [0, 1]
        Zero outside the crop box.
    """
    predict = predict_both_ways if both_ways else predict_images
    return run.prepared.restore(predict(run.model, run.prepared.images, rows), rows)


def predict_both_looks(run: Run, rows: np.ndarray) -> np.ndarray:
    """Both looks at slices, whose mean :func:`predict_probabilities` gives: float32 (2, n, 256, 256)."""
    return np.stack([run.prepared.restore(look, rows) for look in predict_looks(run.model, run.prepared.images, rows)])


def predict_masks(run: Run, rows: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """The masks that a run predicts: what is reported, and what the pictures show.

    A pixel at or above the threshold is called tumour. Small pieces apart from a patient's largest one
    are dropped, so all slices of the patients are predicted, whichever of them are asked for.

    Parameters
    ----------
    run : Run
    rows : ndarray of int
        Row numbers in the prepared table.
    threshold : float

    Returns
    -------
    ndarray, bool (n, 256, 256)
    """
    patients = run.prepared.table["patient"].to_numpy()
    rows = np.asarray(rows, int)
    masks = np.zeros((len(rows), *FRAME), bool)
    for patient in dict.fromkeys(patients[rows]):
        volume = np.flatnonzero(patients == patient)
        mask = drop_small_pieces(predict_probabilities(run, volume) >= threshold)
        wanted = patients[rows] == patient
        masks[wanted] = mask[np.searchsorted(volume, rows[wanted])]
    return masks


def evaluate(run: Run, part: str = "test", *, borders: bool = True) -> pd.DataFrame:
    """Predict and score all slices of one part of the run's split; :func:`brainseg.evaluation.scores.score_slices`."""
    return _score(run, run.rows(part), lambda rows: predict_masks(run, rows), borders=borders)


def evaluate_with_masks(run: Run, *, borders: bool = True) -> tuple[pd.DataFrame, np.ndarray]:
    """As :func:`evaluate` of the test side, with the masks that were scored: bool (n, 256, 256), a mask a row."""
    rows = run.rows("test")
    masks = predict_masks(run, rows)
    return score_slices(masks, run.prepared.truth(rows), run.prepared.table.iloc[rows], borders=borders), masks


def evaluate_bare(run: Run, rows: np.ndarray | None = None) -> pd.DataFrame:
    """As :func:`evaluate`, of the article's bare prediction: each slice once, no piece dropped, no outline measured.

    Parameters
    ----------
    run : Run
    rows : array of int, optional
        Which rows of the table; those of the test side without it.
    """
    rows = run.rows("test") if rows is None else rows
    return _score(run, rows, lambda some: predict_probabilities(run, some, both_ways=False) >= THRESHOLD, borders=False)


def _score(
    run: Run, rows: np.ndarray, predict: Callable[[np.ndarray], np.ndarray], *, borders: bool = True
) -> pd.DataFrame:
    """Scores of some rows, in their order; a patient at a time, so that one volume is in memory."""
    table = run.prepared.table
    volumes = [rows[places] for places in pd.Series(rows).groupby(table["patient"].to_numpy()[rows]).indices.values()]
    scored = (score_slices(predict(v), run.prepared.truth(v), table.iloc[v], borders=borders) for v in volumes)
    return pd.concat(scored).loc[table.index[rows]]


def article_scores(run: Run, rows: np.ndarray) -> dict[str, float]:
    """Loss, IoU and Dice as the article has them: smoothed, soft, in the cropped frame, averaged over batches.

    This is what ``model.evaluate`` prints: of the losses a mean weighted by the slices in a batch, of the metrics a
    plain one. Slices with and without tumour share a batch, and its pixels are counted together.
    """
    recipe = replace(run.recipe, slices_per_epoch=0, tumour_share=0.0, augmentation=False)
    results, sizes = [], []
    for images, masks in epoch_batches(run.prepared, rows, recipe, 0):
        results.append(run.model.test_on_batch(images, masks, return_dict=True))
        sizes.append(len(images))
    loss, iou, dice = (np.array([result[name] for result in results]) for name in ("loss", "iou", "dice_coefficient"))
    return {"loss": float(np.average(loss, weights=sizes)), "IoU": float(iou.mean()), "Dice": float(dice.mean())}
