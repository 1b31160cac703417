"""Smooth random fields, the one source of individual variation, and the few functions that shape them.

The phantom's files are to be the same on every machine. Sums of floats depend on their order, which a matrix product
chooses by the processor, and exponentials differ in their last digit. So fields are drawn and multiplied in steps that
float32 holds without rounding, and pixels are shaped by sums, products, quotients and roots alone, which every
processor rounds alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Block = tuple[slice, slice, slice]
"""A part of a patient's volume: which slices, rows and columns."""

# Steps of a field's values and of its kernels. A value stays below 64 = 2^24 / (256 * 1024), so that sums are exact.
_VALUE_STEPS, _KERNEL_STEPS = 256.0, 1024.0


class SmoothNoise:
    """A Gaussian random field on the grid that coordinates span: mean 0 and standard deviation 1 over draws.

    White noise sits on a coarse lattice of spacing `length_mm` and is carried to the grid by one Gaussian kernel an
    axis, so the cost is a few small matrix products whatever the grid. Where two slices lie further apart than the
    field is smooth, each has a field of its own.

    Parameters
    ----------
    axes_mm : sequence of three 1-D float arrays
        The coordinates along each axis, in millimetres (any unit that `length_mm` shares).
    length_mm : float
        The kernel's standard deviation. Structures in the field are about twice that wide.
    rng : numpy.random.Generator
    """

    def __init__(self, axes_mm: Sequence[np.ndarray], length_mm: float, rng: np.random.Generator):
        apart = len(axes_mm[0]) > 1 and abs(axes_mm[0][1] - axes_mm[0][0]) > 2 * length_mm
        first = np.eye(len(axes_mm[0]), dtype=np.float32) if apart else _kernel(axes_mm[0], length_mm)
        self._kernels = (first, *(_kernel(axis, length_mm) for axis in axes_mm[1:]))
        self._independent = apart
        lattice = rng.standard_normal([kernel.shape[1] for kernel in self._kernels], dtype=np.float32)
        self._lattice = _stepped(lattice)

    def on(self, block: Block) -> np.ndarray:
        """The field on a part of the grid: float32."""
        slices, rows, columns = (kernel[part] for kernel, part in zip(self._kernels, block, strict=True))
        field = self._lattice[block[0]] if self._independent else _stepped(np.tensordot(slices, self._lattice, axes=1))
        return _stepped(rows @ field) @ columns.T


def smooth_noise(axes_mm: Sequence[np.ndarray], length_mm: float, rng: np.random.Generator) -> np.ndarray:
    """A :class:`SmoothNoise` of three axes on its whole grid."""
    return SmoothNoise(axes_mm, length_mm, rng).on((slice(None),) * 3)


def _kernel(axis: np.ndarray, length_mm: float) -> np.ndarray:
    """Weights (grid, lattice) of one axis, multiples of 1 / `_KERNEL_STEPS`."""
    lattice = np.arange(axis.min() - 3 * length_mm, axis.max() + 4 * length_mm, length_mm)
    kernel = np.exp(-0.5 * ((axis[:, None] - lattice[None, :]) / length_mm) ** 2)
    # Unit variance at every point, because independent noise adds in squares.
    kernel /= np.sqrt((kernel**2).sum(1, keepdims=True))
    return (np.rint(kernel * _KERNEL_STEPS) / _KERNEL_STEPS).astype(np.float32)


def _stepped(values: np.ndarray) -> np.ndarray:
    """Rounded to multiples of 1 / `_VALUE_STEPS`."""
    values = values * np.float32(_VALUE_STEPS)
    np.rint(values, out=values)
    values *= np.float32(1 / _VALUE_STEPS)
    return values


def ramp(values: np.ndarray, centre: float | np.ndarray, width: float) -> np.ndarray:
    """Rise smoothly from 0 to 1 around `centre`: a soft threshold (a cubic step `width` wide)."""
    t = values - centre
    t *= 1 / width
    t += 0.5
    np.clip(t, 0.0, 1.0, out=t)
    squared = t * t
    t *= -2.0
    t += 3.0
    squared *= t
    return squared


def bump(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """1 at `centre`, falling smoothly to 0 at a distance of `width` from it."""
    t = values - centre
    t *= 1 / width
    t *= t
    np.subtract(1.0, t, out=t)
    np.maximum(t, 0.0, out=t)
    t *= t
    return t


def exponential(values: np.ndarray) -> np.ndarray:
    """The exponential of values of a few units at most, by squaring (1 + x / 64) six times: within 1 % up to 1."""
    result = values * (1 / 64)
    result += 1.0
    np.maximum(result, 0.0, out=result)
    for _ in range(6):
        result *= result
    return result
