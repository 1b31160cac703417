"""Random changes of a slice that a segmentation should not mind, applied to image and mask together."""

from __future__ import annotations

import cv2
import numpy as np

from brainseg.cohort import FLAIR, POST, PRE

# How far a head may be moved. Wider than patients differ after cropping, narrow enough to stay a head.
ROTATION_DEGREES = 15.0
SCALE = 0.15
SHIFT = 0.06
BEND = 0.02  # of the side: displacement of the coarse grid that bends the slice


def augment(
    image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, drop_sequence: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Move, bend, mirror and re-window one slice.

    The geometry is one map for image and mask. Intensities change a sequence at a time, because
    scanners scale each sequence on its own.

    Parameters
    ----------
    image : ndarray, float32 (size, size, 3) in [0, 1]
    mask : ndarray, float32 (size, size) in [0, 1]
    rng : numpy.random.Generator
    drop_sequence : float
        Probability of replacing each T1 sequence by FLAIR, which is how this data set fills a
        sequence that was not acquired.

    Returns
    -------
    image, mask : ndarrays of the same shapes, dtypes and ranges
    """
    rows, columns = _geometry(mask.shape[0], rng)
    image = cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    mask = cv2.remap(mask, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    gamma = np.exp(rng.uniform(-0.3, 0.3, 3)).astype(np.float32)
    gain = np.exp(rng.uniform(-0.2, 0.2, 3)).astype(np.float32)
    image = np.clip(np.power(image, gamma) * gain, 0, 1)
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.03))
    image = np.clip(image, 0, 1)
    for sequence in (PRE, POST):
        if rng.random() < drop_sequence:
            image[..., sequence] = image[..., FLAIR]
    return image, mask


def _geometry(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the new slice comes from: float32 row and column maps (size, size)."""
    angle = np.deg2rad(rng.uniform(-ROTATION_DEGREES, ROTATION_DEGREES))
    scale = np.exp(rng.uniform(-SCALE, SCALE))
    mirror = rng.choice((-1.0, 1.0))
    shift = rng.uniform(-SHIFT, SHIFT, 2) * size
    centre = (size - 1) / 2
    row, column = np.mgrid[:size, :size].astype(np.float32) - centre
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    coarse = rng.normal(0, BEND * size, (2, 5, 5)).astype(np.float32)
    bend = [cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC) for field in coarse]
    rows = cosine * row - sine * column + centre + shift[0] + bend[0]
    columns = mirror * (sine * row + cosine * column) + centre + shift[1] + bend[1]
    return rows.astype(np.float32), columns.astype(np.float32)
