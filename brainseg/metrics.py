"""How good a segmentation is: counts of pixels, ratios of counts, distances between borders.

Overlap is measured in three steps, each a function of its own, so that nothing is decided by accident.

1. Count: `confusion` (or `soft_confusion`) counts true and false positives and negatives, a slice or a volume at
   a time, by `axis`.
2. Pool: `pool` adds counts, over all slices or over those of a patient or of a batch.
3. Divide: `dice`, `iou`, `precision`, `recall`, `specificity`. Where a ratio is 0/0, `empty` is its value, and the
   caller says which: NaN (leave it out), 1 (nothing was there and nothing was claimed) or 0.

The definitions follow Maier-Hein et al. 2024, doi:10.1038/s41592-023-02151-z. Distances are in-plane pixels:
the data set gives no spacing. What such numbers show is the matter of `brainseg.statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

THRESHOLD = 0.5
"""Probability from which on a pixel is called tumour, wherever nothing else is said."""


Count = Any  # a number or an array; NumPy's types cannot say both


class Confusion(NamedTuple):
    """Counts of pixels; each a number or an array of one shape. Soft counts are floats."""

    tp: Count
    fp: Count
    fn: Count
    tn: Count


def confusion(truth: np.ndarray, prediction: np.ndarray, axis: int | tuple[int, ...] | None = None) -> Confusion:
    """Count the pixels of two masks.

    Parameters
    ----------
    truth, prediction : bool arrays of one shape
    axis : int or tuple, optional
        The axes counted over, as in NumPy: all by default (one slice, or one volume); `(1, 2)` gives the counts
        of every slice of a stack `(n, height, width)`.

    Raises
    ------
    ValueError
        The shapes differ, or an array is not bool.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    for name, mask in (("truth", truth), ("prediction", prediction)):
        if mask.dtype != bool:
            raise ValueError(f"{name} has dtype {mask.dtype}: threshold it first, for example `array > 0.5`")
    _check_shapes(truth, prediction)
    tp = np.count_nonzero(truth & prediction, axis=axis)
    fp = np.count_nonzero(prediction, axis=axis) - tp
    fn = np.count_nonzero(truth, axis=axis) - tp
    tn = np.count_nonzero(~truth, axis=axis) - fp
    return Confusion(tp, fp, fn, tn)


def soft_confusion(truth: np.ndarray, probability: np.ndarray, axis: int | tuple[int, ...] | None = None) -> Confusion:
    """Count without a threshold: the overlap of two values in 0..1 is the smaller of them.

    With masks of 0 and 1 these are the counts of `confusion`. The soft Dice of a probability map is
    `dice(soft_confusion(...), empty=...)`; it is the unsmoothed form of `brainseg.networks.losses`.

    Raises
    ------
    ValueError
        The shapes differ, or a value lies outside 0..1.
    """
    truth, probability = np.asarray(truth, float), np.asarray(probability, float)
    _check_shapes(truth, probability)
    for name, values in (("truth", truth), ("probability", probability)):
        if not np.all((values >= 0) & (values <= 1)):
            raise ValueError(f"{name} has values from {values.min()} to {values.max()}: they must lie in 0..1")
    tp = np.minimum(truth, probability).sum(axis)
    fp, fn = probability.sum(axis) - tp, truth.sum(axis) - tp
    return Confusion(tp, fp, fn, np.ones_like(truth).sum(axis) - tp - fp - fn)


def pool(counts: Confusion, by: np.ndarray | None = None) -> Confusion:
    """Add the counts of slices: all of them, or those that share a label.

    Parameters
    ----------
    counts : Confusion
        One value a slice, shape `(n,)`.
    by : array of shape (n,), optional
        The patient of every slice gives the volumes' counts, in the order of `numpy.unique(by)`.
    """
    if by is None:
        return Confusion(*(np.sum(count) for count in counts))
    labels, group = np.unique(np.asarray(by), return_inverse=True)
    if group.shape != np.shape(counts.tp):
        raise ValueError(
            f"by has shape {group.shape} and the counts have {np.shape(counts.tp)}: give one label a slice"
        )
    summed = (np.bincount(group, weights=count, minlength=len(labels)) for count in counts)
    return Confusion(*(total.astype(np.asarray(count).dtype) for total, count in zip(summed, counts, strict=True)))


def pool_batches(counts: Confusion, batch_size: int) -> Confusion:
    """Add the counts of every `batch_size` slices in their order, as a network is evaluated; the last may be short."""
    return pool(counts, np.arange(len(counts.tp)) // batch_size)


def dice(counts: Confusion, *, empty: float) -> np.ndarray:
    """Dice 1945: 2 TP / (2 TP + FP + FN); 0/0 where truth and prediction are both empty."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn, empty)


def iou(counts: Confusion, *, empty: float) -> np.ndarray:
    """Jaccard 1912: TP / (TP + FP + FN); 0/0 where truth and prediction are both empty."""
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn, empty)


def precision(counts: Confusion, *, empty: float) -> np.ndarray:
    """TP / (TP + FP), the share of the claimed pixels that are tumour; 0/0 where nothing is claimed."""
    return _ratio(counts.tp, counts.tp + counts.fp, empty)


def recall(counts: Confusion, *, empty: float) -> np.ndarray:
    """TP / (TP + FN), the share of the tumour that is found; 0/0 where there is no tumour."""
    return _ratio(counts.tp, counts.tp + counts.fn, empty)


def specificity(counts: Confusion, *, empty: float) -> np.ndarray:
    """TN / (TN + FP), the share of the rest that is left alone; 0/0 where all is tumour."""
    return _ratio(counts.tn, counts.tn + counts.fp, empty)


def accuracy(counts: Confusion) -> np.ndarray:
    """(TP + TN) / all pixels. Kept to show how little it says where nearly all pixels are background."""
    return (counts.tp + counts.tn) / (counts.tp + counts.fp + counts.fn + counts.tn)


def smoothed_dice(counts: Confusion, smooth: float) -> np.ndarray:
    """(2 TP + s) / (2 TP + FP + FN + s): a loss's coefficient, 1 on an empty pair, shown for comparison only."""
    return (2 * counts.tp + smooth) / (2 * counts.tp + counts.fp + counts.fn + smooth)


def boundary(mask: np.ndarray) -> np.ndarray:
    """The pixels of a 2D mask with a side towards background or towards the frame's outside; bool, same shape."""
    return mask & ~ndimage.binary_erosion(mask)


def surface_distances(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance from each boundary pixel of one mask to the nearest of the other, in pixels between centres.

    Both masks are bool, of one 2D shape. Returns truth to prediction, then prediction to truth. Where the other
    mask is empty there is no nearest pixel, and the distance is infinite.

    Every boundary pixel counts once. The surface-distance package of Nikolov et al. 2021, doi:10.2196/26151,
    places the border between pixels and weighs its elements by length; on smooth outlines the two differ by a
    fraction of a pixel.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.ndim != 2:
        raise ValueError(f"truth has shape {truth.shape}: border distances are defined on one slice, (height, width)")
    confusion(truth, prediction)  # the same demands on dtype and shapes
    # Borders and distances inside the box of both masks are the frame's, and the box is much smaller.
    either = truth | prediction
    rows, columns = (np.flatnonzero(either.any(axis)) for axis in (1, 0))
    if len(rows) == 0:
        return np.empty(0), np.empty(0)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    borders = [boundary(truth[box]), boundary(prediction[box])]
    to_truth, to_prediction = (
        ndimage.distance_transform_edt(~border) if border.any() else np.full(border.shape, np.inf) for border in borders
    )
    return to_prediction[borders[0]], to_truth[borders[1]]


def border_scores(
    truth: np.ndarray, prediction: np.ndarray, tolerances_px: Sequence[float]
) -> tuple[float, tuple[float, ...]]:
    """`hd95_px` of one slice, and its `nsd` at each tolerance, from one measurement of the distances.

    Parameters
    ----------
    truth, prediction : bool arrays of one shape (H, W)
    tolerances_px : sequence of float
        Of the surface Dice, in pixels; may be empty.

    Returns
    -------
    hd95 : float
        In pixels. The frame's diagonal for an empty prediction on a tumour slice, NaN on a slice without tumour.
    nsd : tuple of float
        In 0..1, one for each tolerance: 0 for an empty prediction on a tumour slice, NaN on a slice without tumour.

    Raises
    ------
    ValueError
        The shapes differ, an array is not bool, or it is not one slice.
    """
    distances = surface_distances(truth, prediction)
    if len(distances[0]) == 0:
        return np.nan, (np.nan,) * len(tolerances_px)
    if len(distances[1]) == 0:
        hd95 = np.hypot(*np.shape(truth))
    else:
        hd95 = max(np.percentile(directed, 95) for directed in distances)
    together = np.concatenate(distances)
    return float(hd95), tuple(float(np.mean(together <= tolerance)) for tolerance in tolerances_px)


def hd95_px(truth: np.ndarray, prediction: np.ndarray) -> float:
    """95 % Hausdorff distance of one slice, in pixels: the larger of the two directed 95th percentiles.

    An empty prediction on a tumour slice costs the frame's diagonal, so that a missed tumour is worse than any
    misplaced one. NaN where the slice has no tumour: false alarms there are counted by `specificity`.
    """
    return border_scores(truth, prediction, ())[0]


def nsd(truth: np.ndarray, prediction: np.ndarray, *, tolerance_px: float) -> float:
    """Normalised surface Dice of one slice: the share of both borders within `tolerance_px` of the other.

    0 for an empty prediction on a tumour slice, NaN where the slice has no tumour.
    """
    return border_scores(truth, prediction, (tolerance_px,))[1][0]


def _ratio(numerator: Count, denominator: Count, empty: float) -> np.ndarray:
    if not (np.isnan(empty) or empty in (0, 1)):
        raise ValueError(f"empty is {empty}: the value of 0/0 is NaN, 1 or 0")
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, float(empty)), where=denominator > 0)[()]


def _check_shapes(truth: np.ndarray, prediction: np.ndarray) -> None:
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape} and prediction {prediction.shape}: they must agree")
