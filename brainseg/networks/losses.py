"""What training minimises, and the coefficients that it reports batch by batch.

Every loss takes `y_true` and `y_pred` of one shape `(n, ...)`, values in 0..1, and returns one value a sample,
shape `(n,)`, float32 also under mixed precision. They go straight into `model.compile(loss=...)`; another
setting is a `functools.partial` away.

Four choices hold for all of them.

- `smooth` is added to numerator and denominator. It keeps the loss defined where nothing is tumour, and it is
  why a loss is no metric: `brainseg.metrics` reports without it.
- `batch=True` sums over the whole batch before the ratio is taken, so that a slice without tumour adds its false
  alarms and nothing else; every sample then gets the batch's one value. `batch=False` takes one ratio a sample.
- The truth lies in 0..1. A mask of 0 and 255 is refused.
- The overlap of two values in 0..1 is the smaller of them. With masks of 0 and 1 that is their product, the usual
  soft Dice of Milletari et al. 2016, doi:10.1109/3DV.2016.79. With the soft borders of a resized mask the product
  would leave a perfect prediction below 1 (Wang et al. 2023, doi:10.1007/978-3-031-43898-1_46).

Only the public Keras 3 API is used, so that TensorFlow, JAX and PyTorch run the same code.
"""

from __future__ import annotations

import numpy as np
from keras import ops

SMOOTH = 1.0
TOLERANCE = 1e-3  # by which rounding may carry a share beyond 1


def dice_loss(y_true, y_pred, smooth: float = SMOOTH, batch: bool = True):
    """Dice loss as `1 - d`, in [0, 1]; 0 is a perfect prediction."""
    return 1.0 - _dice(y_true, y_pred, smooth, batch)


def negative_dice(y_true, y_pred, smooth: float = SMOOTH, batch: bool = True):
    """Dice loss as `-d`, in [-1, 0]; -1 is a perfect prediction. Its gradient is that of `dice_loss`."""
    return -_dice(y_true, y_pred, smooth, batch)


def bce(y_true, y_pred):
    """Binary cross-entropy, the mean over a sample's pixels: every pixel weighs the same, tumour or not."""
    y_true, y_pred = _shares(y_true), ops.cast(y_pred, "float32")
    return ops.mean(ops.binary_crossentropy(y_true, y_pred), axis=tuple(range(1, len(y_pred.shape))))


def bce_dice(y_true, y_pred, smooth: float = SMOOTH, batch: bool = True):
    """The sum of `bce` and `dice_loss`: the first steadies the start, the second heeds the small tumour."""
    return bce(y_true, y_pred) + dice_loss(y_true, y_pred, smooth, batch)


def dice_coefficient(y_true, y_pred, smooth: float = SMOOTH):
    """Smoothed soft Dice of one batch, a scalar, for `model.compile(metrics=...)`.

    Keras averages it over the batches. That mean depends on the batch size and on the order of the slices:
    it follows a training, and `brainseg.metrics` says how good the result is.
    """
    return ops.mean(_dice(y_true, y_pred, smooth, batch=True))


def iou(y_true, y_pred, smooth: float = SMOOTH):
    """Smoothed soft IoU of one batch, a scalar; what holds for `dice_coefficient` holds here."""
    return ops.mean(_iou(y_true, y_pred, smooth, batch=True))


def _shares(y_true):
    """The truth in float32. A mask of 0 and 255, whose loss would fall for ever, is refused.

    An array is refused by an error. A compiled step cannot raise one, so its loss becomes NaN, which is seen at once.
    """
    if isinstance(y_true, np.ndarray) and y_true.size and y_true.max() > 1 + TOLERANCE:
        raise ValueError(f"y_true goes up to {y_true.max()}, and a mask to 1 at most. Divide it by {y_true.max()}.")
    y_true = ops.cast(y_true, "float32")
    return ops.where(ops.max(y_true) > 1.0 + TOLERANCE, float("nan"), y_true)


def _dice(y_true, y_pred, smooth, batch):
    overlap, total = _overlap_and_total(y_true, y_pred, batch)
    return (2.0 * overlap + smooth) / (total + smooth)


def _iou(y_true, y_pred, smooth, batch):
    overlap, total = _overlap_and_total(y_true, y_pred, batch)
    return (overlap + smooth) / (total - overlap + smooth)


def _overlap_and_total(y_true, y_pred, batch):
    """Overlap and summed areas, each of shape `(n,)`, in float32: a half-precision sum of a slice overflows."""
    y_true, y_pred = _shares(y_true), ops.cast(y_pred, "float32")
    if tuple(y_true.shape[1:]) != tuple(y_pred.shape[1:]):
        raise ValueError(f"y_true has shape {tuple(y_true.shape)} and y_pred {tuple(y_pred.shape)}: they must agree")
    pixels = tuple(range(1, len(y_pred.shape)))
    sums = ops.sum(ops.minimum(y_true, y_pred), axis=pixels), ops.sum(y_true + y_pred, axis=pixels)
    # One value for all samples keeps the shape (n,), which Keras averages and weighs as it does for any loss.
    return tuple(ops.ones_like(s) * ops.sum(s) for s in sums) if batch else sums


BY_NAME = {"bce": bce, "dice": dice_loss, "bce_dice": bce_dice}
"""The losses that a `brainseg.networks.recipe.Recipe` may name."""
