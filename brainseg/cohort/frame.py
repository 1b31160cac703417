"""The study's frame of 256 x 256 pixels: a plane of any size put into it, and taken out again."""

from __future__ import annotations

import cv2
import numpy as np

from brainseg.cohort.read import FRAME


def framed(plane: np.ndarray, tall: float = 1.0) -> np.ndarray:
    """A plane scaled to the frame as a whole, in its middle, on black.

    Parameters
    ----------
    plane : ndarray (rows, columns) of uint8 or float32
    tall : float
        A pixel's height over its width.

    Returns
    -------
    ndarray (256, 256) of the plane's type
    """
    top, left, height, width = _place(plane.shape, tall)
    shrinks = height <= plane.shape[0] and width <= plane.shape[1]
    whole = np.zeros(FRAME, plane.dtype)
    resized = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    whole[top : top + height, left : left + width] = resized
    return whole


def unframed(mask: np.ndarray, shape: tuple[int, int], tall: float = 1.0) -> np.ndarray:
    """A mask in the frame, as a mask of the plane that :func:`framed` put there.

    Parameters
    ----------
    mask : bool (256, 256)
    shape : tuple of int
        Rows and columns of the plane.
    tall : float
        As for :func:`framed`.

    Returns
    -------
    bool ndarray of `shape`
    """
    top, left, height, width = _place(shape, tall)
    inside = mask[top : top + height, left : left + width].astype(np.float32)
    return cv2.resize(inside, shape[::-1], interpolation=cv2.INTER_LINEAR) >= 0.5


def _place(shape: tuple[int, ...], tall: float) -> tuple[int, int, int, int]:
    """Top, left, height and width of a plane in the frame, px."""
    scale = min(FRAME[0] / (shape[0] * tall), FRAME[1] / shape[1])
    height = min(max(round(shape[0] * tall * scale), 1), FRAME[0])
    width = min(max(round(shape[1] * scale), 1), FRAME[1])
    return (FRAME[0] - height) // 2, (FRAME[1] - width) // 2, height, width
