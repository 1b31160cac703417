"""From a trained run to tables: predictions in the original frame, scored by slice and by patient.

Everything reported is computed in the original 256x256 frame against the original masks. What a
crop box cut off counts as missed. The one exception is :func:`article_scores`, which follows the
article's convention on purpose.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
from scipy import ndimage

from brainseg import metrics
from brainseg.batches import SliceBatches, predict_images
from brainseg.cohort import FRAME
from brainseg.runs import Run

THRESHOLD = 0.5
SMALLEST_PIECE = 0.2
"""Of the largest piece's voxels: what a piece must have to be kept."""

TOLERANCES_PX = (1, 2)
"""Of the normalised surface Dice."""


def predict_both_ways(
    model: keras.Model, images: np.ndarray, patients: np.ndarray, rows: np.ndarray | None = None
) -> np.ndarray:
    """The mean of two predictions: of a slice as it is, and of its mirror image, mirrored back.

    A head is nearly symmetric, and the training mirrors slices at random, so both are equally good witnesses.
    ``results/mirror_selection.csv`` has what it is worth on validation patients.

    Parameters, result and frame are those of :func:`brainseg.batches.predict_images`.
    """
    as_it_is = predict_images(model, images, patients, rows)
    mirrored = predict_images(model, images[:, :, ::-1], patients, rows)[:, :, ::-1]
    return (as_it_is + mirrored) / 2


def predict(run: Run, rows: np.ndarray, both_ways: bool = True) -> np.ndarray:
    """Probabilities of slices in the original frame.

    Parameters
    ----------
    run : Run
    rows : ndarray of int
        Row numbers in the prepared table.
    both_ways : bool
        As :func:`predict_both_ways`, which is what the study reports; a slice as it is where not.

    Returns
    -------
    ndarray, float32 (n, 256, 256) in [0, 1]
        Zero outside the crop box.
    """
    patients = run.prepared.table["patient"].to_numpy()
    way = predict_both_ways if both_ways else predict_images
    return run.prepared.restore(way(run.model, run.prepared.images, patients, rows), rows)


def segment(run: Run, rows: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
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
        mask = drop_small_pieces(predict(run, volume) >= threshold)
        of = patients[rows] == patient
        masks[of] = mask[np.searchsorted(volume, rows[of])]
    return masks


def drop_small_pieces(mask: np.ndarray) -> np.ndarray:
    """A volume without its small pieces: those with less than a fifth of the largest one's voxels.

    Most patients of this data set have one tumour, so a small piece apart is more often a false alarm. The largest piece
    alone would be too strict: an outline that breaks in two slices would lose a part. Voxels that share a corner
    are connected.

    Parameters
    ----------
    mask : ndarray, bool (slices, height, width)
        All slices of one patient, in their order.

    Returns
    -------
    ndarray, bool, of the same shape
    """
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    voxels = np.bincount(labels.ravel())
    voxels[0] = 0
    return ((voxels > 0) & (voxels >= SMALLEST_PIECE * voxels.max()))[labels]


def score_slices(prediction: np.ndarray, truth: np.ndarray, table: pd.DataFrame) -> pd.DataFrame:
    """One row a slice: counts and scores of its prediction.

    Parameters
    ----------
    prediction : ndarray, bool (n, 256, 256)
    truth : ndarray, bool (n, 256, 256)
    table : DataFrame of n rows
        With ``patient, institution, slice, tumour_px``.

    Returns
    -------
    DataFrame
        On the table's index: its four columns, ``tp, fp, fn, tn`` in pixels, and ``dice, iou, precision,
        recall, hd95_px, nsd_1px, nsd_2px``. The scores are NaN on slices without tumour, where they
        say nothing; an empty prediction on a tumour slice has precision 0.
    """
    counts = metrics.confusion(truth, prediction, axis=(1, 2))
    scores = table[["patient", "institution", "slice", "tumour_px"]].assign(**counts._asdict())
    tumour = truth.any(axis=(1, 2))
    for name in ("dice", "iou", "precision", "recall"):
        scores[name] = np.where(tumour, getattr(metrics, name)(counts, empty=0), np.nan)
    borders = [metrics.border_scores(t, p, TOLERANCES_PX) for t, p in zip(truth, prediction, strict=True)]
    scores["hd95_px"] = [hd95 for hd95, _ in borders]
    for which, tolerance in enumerate(TOLERANCES_PX):
        scores[f"nsd_{tolerance}px"] = [shares[which] for _, shares in borders]
    return scores


def evaluate(run: Run, part: str = "test") -> pd.DataFrame:
    """Segment and score all slices of one part of the run's split; see :func:`score_slices`."""
    rows = run.rows(part)
    return score_slices(segment(run, rows), run.prepared.truth(rows), run.prepared.table.iloc[rows])


def score_patients(slices: pd.DataFrame) -> pd.DataFrame:
    """One row a patient, each scored as one volume: the counts of the slices are added, then divided.

    Returns
    -------
    DataFrame
        On the patients, sorted: ``institution, slices, tumour_slices, tumour_px, tp, fp, fn, tn, dice, iou,
        precision, recall, specificity, missed_slices`` (tumour slices without one pixel found) and
        ``false_alarm_slices`` (slices without tumour where one was seen).
    """
    tumour = slices["tumour_px"] > 0
    found = slices["tp"] + slices["fp"] > 0
    marked = slices.assign(
        slices=1, tumour_slices=tumour, missed_slices=tumour & (slices["tp"] == 0), false_alarm_slices=~tumour & found
    )
    counted = ["slices", "tumour_slices", "tumour_px", "tp", "fp", "fn", "tn", "missed_slices", "false_alarm_slices"]
    groups = marked.groupby("patient", sort=True)
    patients = groups[counted].sum()
    patients.insert(0, "institution", groups["institution"].first())
    counts = metrics.Confusion(*(patients[name].to_numpy() for name in metrics.Confusion._fields))
    for name in ("dice", "iou", "precision", "recall", "specificity"):
        patients[name] = getattr(metrics, name)(counts, empty=np.nan)
    return patients


def article_scores(run: Run, rows: np.ndarray) -> dict[str, float]:
    """Loss, IoU and Dice as the article has them: smoothed, soft, in the cropped frame, averaged over batches.

    This is what ``model.evaluate`` prints: of the losses a mean weighted by the slices in a batch, of the metrics a plain one.
    Slices with and without tumour share a batch, and its pixels are counted together.
    """
    recipe = replace(run.recipe, slices_per_epoch=0, tumour_share=0.0, augmentation=False)
    results, sizes = [], []
    for images, masks in SliceBatches(run.prepared, rows, recipe).of_epoch(0):
        results.append(run.model.test_on_batch(images, masks, return_dict=True))
        sizes.append(len(images))
    loss, iou, dice = (np.array([result[name] for result in results]) for name in ("loss", "iou", "dice_coefficient"))
    return {"loss": float(np.average(loss, weights=sizes)), "IoU": float(iou.mean()), "Dice": float(dice.mean())}
