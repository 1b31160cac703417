"""What the scanner and the archive do to a signal: coils, noise, grey levels, resampling to one frame."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from brainseg.cohort import FLAIR, FRAME, POST, PRE
from brainseg.phantom.fields import smooth_noise
from brainseg.phantom.plan import PatientPlan

_CHANNELS = {"pre": PRE, "post": POST}


def slice_grid(plan: PatientPlan, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The patient's own coordinates in mm: slice, row and column positions (up, front, left are positive).

    Slices run from below the skull base to above the vertex, so that the first ones hold no brain to speak of
    and the last ones hold little or nothing.
    """
    bottom, top = rng.uniform(-88, -62), rng.uniform(92, 110)
    heights = np.linspace(bottom, top, plan.slices)
    rows = (127.5 - np.arange(FRAME[0])) * plan.pixel_mm
    columns = (np.arange(FRAME[1]) - 127.5) * plan.pixel_mm
    return heights, rows, columns


def head_points(axes_mm: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """MNI coordinates of every pixel: an individual scale, tilt and shift, then a smooth individual warp.

    Columns run towards the patient's left, as radiologists look at a slice.

    Returns
    -------
    (3, n, 256, 256) float32, mm
    """
    up, front, left = np.meshgrid(*(axis.astype(np.float32) for axis in axes_mm), indexing="ij")
    # The frame's centre lies a little in front of the head's middle, and slices are tilted towards the brow.
    position = np.stack([-left, front, up])
    angles = np.deg2rad(rng.normal((0, 0, 0), (6, 2.5, 3.5)))
    scale = rng.normal((1.0, 1.0, 1.0), (0.05, 0.045, 0.03))
    shift = rng.normal((0, -14, 0), (2.0, 4.0, 3.0))
    turned = np.tensordot(_rotation(angles) / scale, position, axes=1).astype(np.float32)
    turned += shift.reshape(3, 1, 1, 1).astype(np.float32)
    for length_mm, spread_mm in ((45.0, 3.5), (20.0, 1.6)):
        for axis in range(3):
            turned[axis] += spread_mm * smooth_noise(axes_mm, length_mm, rng)
    return turned


def acquire(signal: np.ndarray, plan: PatientPlan, axes_mm, rng: np.random.Generator) -> np.ndarray:
    """Turn noise-free signals into the uint8 frames of the archive.

    A coil's smooth shading and Rician noise (the magnitude of a complex signal with Gaussian noise in both parts:
    Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618), the point spread, the institution's grey levels; in
    some patients the T1 volumes were resampled to FLAIR and their slab ends in a slanted cut.

    Parameters
    ----------
    signal : (3, n, 256, 256) float, fraction of fat

    Returns
    -------
    (n, 256, 256, 3) uint8
    """
    site = plan.institution
    brightness = rng.uniform(*site.brightness)
    noise = brightness * np.exp(rng.uniform(*np.log(site.noise)))
    # The archive cut the noise floor away to various degrees: in some patients the air is simply 0.
    floor = rng.choice([0.0, 1.0, 2.0, 3.0]) * noise
    frames = np.empty((*signal.shape[1:], 3), np.uint8)
    for channel in range(3):
        level = brightness * rng.uniform(0.85, 1.15)
        shading = np.exp(site.bias * smooth_noise(axes_mm, 70.0, rng))
        blurred = ndimage.gaussian_filter(signal[channel], (0, site.blur_px, site.blur_px)) * shading * level
        real = blurred + noise * rng.standard_normal(blurred.shape, dtype=np.float32)
        imaginary = noise * rng.standard_normal(blurred.shape, dtype=np.float32)
        magnitude = np.hypot(real, imaginary)
        magnitude = np.clip(np.where(blurred > 2 * floor, magnitude, magnitude - floor), 0, 255)
        if channel != FLAIR and rng.random() < 0.4:
            magnitude *= _slab(axes_mm, rng)
        frames[..., channel] = np.round(magnitude)
    if plan.missing:
        frames[..., _CHANNELS[plan.missing]] = frames[..., FLAIR]
    return frames


def _slab(axes_mm, rng: np.random.Generator) -> np.ndarray:
    """1 inside a slab tilted against the slices, 0 beyond it: the black wedges of a resampled volume."""
    up, front, left = (axis.reshape([-1 if a == b else 1 for b in range(3)]) for a, axis in enumerate(axes_mm))
    slope = rng.normal(0, 0.06, 2)
    height = up + slope[0] * front + slope[1] * left
    return (height > axes_mm[0][0] - rng.uniform(0, 3)) & (height < axes_mm[0][-1] + rng.uniform(0, 3))


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation matrix about x, y, z in that order (radians)."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix
