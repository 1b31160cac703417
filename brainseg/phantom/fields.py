"""Smooth random fields: the one source of individual variation, from warps to oedema texture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def smooth_noise(axes_mm: Sequence[np.ndarray], length_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a Gaussian random field on the grid that the coordinates span.

    White noise sits on a coarse lattice of spacing `length_mm` and is carried to the grid by one Gaussian
    kernel an axis, so the cost is a few small matrix products whatever the grid.

    Parameters
    ----------
    axes_mm : sequence of two or three 1-D float arrays
        The coordinates along each axis, in millimetres (any unit that `length_mm` shares).
    length_mm : float
        The kernel's standard deviation. Structures in the field are about twice that wide.
    rng : numpy.random.Generator

    Returns
    -------
    float32 array, one axis a coordinate array
        Mean 0 and standard deviation 1 over draws.
    """
    kernels = []
    for axis in axes_mm:
        first, last = axis.min() - 3 * length_mm, axis.max() + 3 * length_mm
        lattice = np.arange(first, last + length_mm, length_mm)
        kernel = np.exp(-0.5 * ((axis[:, None] - lattice[None, :]) / length_mm) ** 2)
        # Unit variance at every point, because independent noise adds in squares.
        kernels.append((kernel / np.linalg.norm(kernel, axis=1, keepdims=True)).astype(np.float32))
    field = rng.standard_normal([kernel.shape[1] for kernel in kernels], dtype=np.float32)
    field = np.tensordot(kernels[0], field, axes=1)
    if len(kernels) == 3:
        field = kernels[1] @ field
    return field @ kernels[-1].T


def ramp(values: np.ndarray, centre: float | np.ndarray, width: float) -> np.ndarray:
    """Rise smoothly from 0 to 1 around `centre`: a soft threshold (a cubic step `width` wide)."""
    t = np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
