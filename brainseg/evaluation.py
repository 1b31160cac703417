"""From a trained run to tables: predictions in the original frame, scored by slice and by patient.

Everything reported is computed in the original 256x256 frame against the original masks. What a
crop box cut off counts as missed.
"""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd

from brainseg import losses, metrics
from brainseg.batches import SliceBatches, predict_prepared
from brainseg.recipe import LOSSES
from brainseg.runs import Run

THRESHOLD = 0.5

# Tumour sizes in pixels of the original frame, from the issue that small tumours are found less often.
SIZES = ((1, 200), (200, 500), (500, 256 * 256 + 1))


def predict(run: Run, rows: np.ndarray, flip: bool = False) -> np.ndarray:
    """Probabilities of slices in the original frame.

    Parameters
    ----------
    run : Run
    rows : ndarray of int
        Row numbers in the prepared table.
    flip : bool
        Average with the prediction for the mirrored slice.

    Returns
    -------
    ndarray, float32 (n, 256, 256) in [0, 1]
        Zero outside the crop box.
    """
    rows = np.asarray(rows)
    probabilities = predict_prepared(run.model, run.prepared, rows)
    if flip:
        mirrored = predict_prepared(run.model, run.prepared, rows, mirror=True)
        probabilities = (probabilities + mirrored) / 2
    return run.prepared.restore(probabilities, rows)


def score_slices(
    probabilities: np.ndarray, truth: np.ndarray, table: pd.DataFrame, threshold: float = THRESHOLD
) -> pd.DataFrame:
    """One row a slice: counts and scores of its prediction.

    Parameters
    ----------
    probabilities : ndarray, float (n, 256, 256) in [0, 1]
    truth : ndarray, bool (n, 256, 256)
    table : DataFrame of n rows
        With ``patient, institution, slice, tumour_px``.
    threshold : float
        A pixel at or above it is called tumour.

    Returns
    -------
    DataFrame
        The table's four columns and ``predicted_px, tp, fp, fn, tn`` (pixels), ``dice, iou,
        precision, recall, hd95_px, nsd_1px, nsd_2px`` (NaN on slices without tumour, where they
        say nothing), on the table's index.
    """
    prediction = probabilities >= threshold
    tp, fp, fn, tn = metrics.confusion(truth, prediction, axis=(1, 2))
    scores = table[["patient", "institution", "slice", "tumour_px"]].copy()
    scores = scores.assign(predicted_px=tp + fp, tp=tp, fp=fp, fn=fn, tn=tn)
    tumour = (tp + fn) > 0
    for name in ("dice", "iou", "precision", "recall"):
        scores[name] = np.where(tumour, getattr(metrics, name)(tp, fp, fn, empty=0.0), np.nan)
    surface = np.full((len(scores), 3), np.nan)
    for row in np.flatnonzero(tumour):
        surface[row] = (
            metrics.hd95_px(truth[row], prediction[row]),
            metrics.nsd(truth[row], prediction[row], tolerance_px=1),
            metrics.nsd(truth[row], prediction[row], tolerance_px=2),
        )
    scores[["hd95_px", "nsd_1px", "nsd_2px"]] = surface
    return scores
