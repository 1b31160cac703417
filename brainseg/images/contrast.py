"""Contrast: histogram equalisation, CLAHE, and numbers that say what they did to a lesion.

Every function takes slices as ``uint8`` arrays ``(H, W)`` or ``(H, W, C)`` and works a channel at a
time: the channels are MR sequences, not colours, and a mixture of them means nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

CONTRAST_NAMES = {"none": "as it is", "he": "HE", "clahe": "CLAHE"}
"""How a treatment is written in sentences and figures."""

CONTRASTS = tuple(CONTRAST_NAMES)
"""The names that `enhance` knows."""


def _each_channel(image: np.ndarray, operation: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a function of one ``uint8 (H, W)`` plane to every channel of `image`."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise ValueError(f"an image must be uint8 with shape (H, W) or (H, W, C), not {image.dtype} {image.shape}")
    if image.ndim == 2:
        return operation(np.ascontiguousarray(image))
    return cv2.merge([operation(plane) for plane in cv2.split(image)]).reshape(image.shape)


def equalise(image: np.ndarray) -> np.ndarray:
    """Histogram equalisation, a channel at a time.

    Every grey level is replaced by the share of the channel's pixels that are as dark or darker,
    stretched to 0..255. One curve serves the whole slice, so the order of the grey levels stays.

    Parameters
    ----------
    image : uint8 array (H, W) or (H, W, C)

    Returns
    -------
    uint8 array of the same shape. `image` is not changed.

    Raises
    ------
    ValueError
        Where `image` has another dtype or another number of axes.
    """
    return _each_channel(image, cv2.equalizeHist)


def clahe(image: np.ndarray, clip_limit: float = 2.0, tiles: int = 8) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation, a channel at a time (Zuiderveld 1994).

    The slice is cut into `tiles` x `tiles` tiles, each with its own curve, and curves are blended
    between tile centres. No bin of a tile's histogram may hold more than `clip_limit` times the mean
    bin: this limits how steep a curve, and so how loud the noise, can become. OpenCV spreads what is cut off evenly
    over all bins and does so once, so that a bin may end a little above the limit.

    Parameters
    ----------
    image : uint8 array (H, W) or (H, W, C)
    clip_limit : float, above 0
        Highest bin over mean bin. Large values come near to plain local equalisation.
    tiles : int, at least 1
        Tiles along each axis.

    Returns
    -------
    uint8 array of the same shape. `image` is not changed.

    Raises
    ------
    ValueError
        Where `image`, `clip_limit` or `tiles` is out of range.

    References
    ----------
    Zuiderveld K. Contrast limited adaptive histogram equalization. Graphics Gems IV, 1994, 474-485.
    """
    if clip_limit <= 0:
        raise ValueError(f"clip_limit must be above 0, not {clip_limit}")
    if tiles < 1 or int(tiles) != tiles:
        raise ValueError(f"tiles must be a whole number of at least 1, not {tiles}")
    # Made anew at each call: one object must not be shared between threads.
    enhancer = cv2.createCLAHE(clipLimit=float(clip_limit), tileGridSize=(int(tiles), int(tiles)))
    return _each_channel(image, enhancer.apply)


def enhance(image: np.ndarray, contrast: str) -> np.ndarray:
    """`image` after the named treatment: ``"none"``, ``"he"`` or ``"clahe"`` with its defaults."""
    if contrast == "none":
        return np.array(image)
    if contrast == "he":
        return equalise(image)
    if contrast == "clahe":
        return clahe(image)
    raise ValueError(f"contrast must be one of {', '.join(CONTRASTS)}, not {contrast!r}")
