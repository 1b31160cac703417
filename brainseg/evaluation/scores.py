"""From masks to tables: a row a slice, a row a patient, and the few numbers that a page prints. No Keras.

Everything reported is computed in the original 256x256 frame against the original masks. What a crop box cut off
counts as missed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import ndimage

from brainseg import metrics
from brainseg.cohort import FRAME
from brainseg.statistics import bootstrap_interval

SMALLEST_PIECE = 0.2
"""Of the largest piece's voxels: what a piece must have to be kept."""

TOLERANCES_PX = (1, 2)
"""Of the normalised surface Dice."""

VOLUME_COLUMNS = ["patient", "institution", "tumour_px", "tp", "fp", "fn", "dice"]
"""What the table of an experiment says of a patient, scored as one volume."""

SIZE_EDGES_PX = (1, 200, 500, FRAME[0] * FRAME[1] + 1)
SIZE_NAMES = ("under 200 px", "200 to 499 px", "500 px and more")

HEADINGS = {
    "mean_dice": "mean Dice",
    "median_dice": "median Dice",
    "tenth_percentile": "10th percentile",
    "median_hd95_px": "median HD95 (px)",
    "nsd_2px": "NSD at 2 px",
    "low": "95 % interval from",
    "high": "to",
}
"""Columns of the tables of scores as a page prints them."""


def drop_small_pieces(mask: np.ndarray) -> np.ndarray:
    """A volume without its small pieces: those with less than a fifth of the largest one's voxels.

    Most patients of this data set have one tumour, so a small piece apart is more often a false alarm. The largest
    piece alone would be too strict: an outline that breaks in two slices would lose a part. Voxels that share a corner
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


def score_slices(
    prediction: np.ndarray, truth: np.ndarray, table: pd.DataFrame, *, borders: bool = True
) -> pd.DataFrame:
    """One row a slice: counts and scores of its prediction.

    Parameters
    ----------
    prediction : ndarray, bool (n, 256, 256)
    truth : ndarray, bool (n, 256, 256)
    table : DataFrame of n rows
        With ``patient, institution, slice, tumour_px``.
    borders : bool
        Whether distances between outlines are measured, which takes most of the time.

    Returns
    -------
    DataFrame
        On the table's index: its four columns, ``tp, fp, fn, tn`` in pixels, ``dice, iou, precision, recall``, and with
        `borders` ``hd95_px, nsd_1px, nsd_2px``. The scores are NaN on slices without tumour, where they
        say nothing; an empty prediction on a tumour slice has precision 0.
    """
    counts = metrics.confusion(truth, prediction, axis=(1, 2))
    scores = table[["patient", "institution", "slice", "tumour_px"]].assign(**counts._asdict())
    tumour = truth.any(axis=(1, 2))
    for name in ("dice", "iou", "precision", "recall"):
        scores[name] = np.where(tumour, getattr(metrics, name)(counts, empty=0), np.nan)
    if borders:
        measured = [metrics.border_scores(t, p, TOLERANCES_PX) for t, p in zip(truth, prediction, strict=True)]
        scores["hd95_px"] = [hd95 for hd95, _ in measured]
        for place, tolerance in enumerate(TOLERANCES_PX):
            scores[f"nsd_{tolerance}px"] = [shares[place] for _, shares in measured]
    return scores


def score_patients(slices: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """One row a patient, each scored as one volume: the counts of the slices are added, then divided.

    Parameters
    ----------
    slices : DataFrame
        From :func:`score_slices`, of one network or of several.
    by : sequence of str
        Further columns whose values are kept apart, such as the arm and the seed of an experiment.

    Returns
    -------
    DataFrame
        On the patients, sorted, below `by`: ``institution, slices, tumour_slices, tumour_px, tp, fp, fn, tn, dice, iou,
        precision, recall, specificity, slice_dice`` (mean Dice of the tumour slices, NaN without one),
        ``missed_slices`` (tumour slices without one pixel found) and ``false_alarm_slices`` (slices without tumour
        where one was seen).
    """
    tumour = slices["tumour_px"] > 0
    found = slices["tp"] + slices["fp"] > 0
    marked = slices.assign(
        slices=1, tumour_slices=tumour, missed_slices=tumour & (slices["tp"] == 0), false_alarm_slices=~tumour & found
    )
    counted = ["slices", "tumour_slices", "tumour_px", "tp", "fp", "fn", "tn", "missed_slices", "false_alarm_slices"]
    groups = marked.groupby([*by, "patient"], sort=True, dropna=False)
    patients = groups[counted].sum()
    patients.insert(0, "institution", groups["institution"].first())
    counts = metrics.Confusion(*(patients[name].to_numpy() for name in metrics.Confusion._fields))
    for name in ("dice", "iou", "precision", "recall", "specificity"):
        patients[name] = getattr(metrics, name)(counts, empty=np.nan)
    patients["slice_dice"] = groups["dice"].mean()
    return patients


def summarise(patients: pd.DataFrame, seed: int = 0) -> dict[str, float]:
    """Per-volume Dice over patients: mean with its 95 % bootstrap interval, median, worst.

    A patient without tumour and without prediction has no Dice and is left out; ``patients`` counts the others.
    """
    patients = patients[patients["dice"].notna()]
    mean = bootstrap_interval(patients["dice"].to_numpy(), seed=seed)
    return {
        "patients": len(patients),
        "mean": mean.estimate,
        "low": mean.low,
        "high": mean.high,
        "median": float(patients["dice"].median()),
        "worst": float(patients["dice"].min()),
    }


def summarise_by_size(slices: pd.DataFrame) -> pd.DataFrame:
    """Tumour slices by the size of the tumour: how many, mean and median Dice, how many were missed."""
    tumour = slices[slices["tumour_px"] > 0]
    size = pd.cut(tumour["tumour_px"], SIZE_EDGES_PX, right=False, labels=SIZE_NAMES)
    groups = tumour.assign(missed=tumour["tp"] == 0).groupby(size, observed=False)
    table = groups.agg(
        slices=("dice", "size"),
        mean_dice=("dice", "mean"),
        median_dice=("dice", "median"),
        tenth_percentile=("dice", lambda d: d.quantile(0.1)),
        missed=("missed", "sum"),
    )
    return table.rename_axis("tumour in the slice")


def summarise_empty(slices: pd.DataFrame) -> dict[str, float]:
    """Slices without tumour: share left clean, and false-positive pixels where they were not. Never a Dice."""
    empty = slices[slices["tumour_px"] == 0]
    alarms = empty.loc[empty["fp"] > 0, "fp"]
    return {
        "slices": len(empty),
        "left clean": float((empty["fp"] == 0).mean()) if len(empty) else np.nan,
        "median false pixels in an alarm": float(alarms.median()) if len(alarms) else 0.0,
        "most false pixels": int(alarms.max()) if len(alarms) else 0,
        "specificity of pixels": float(empty["tn"].sum() / (empty["tn"] + empty["fp"]).sum()) if len(empty) else np.nan,
    }
