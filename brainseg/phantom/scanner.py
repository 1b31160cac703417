"""What the scanner and the archive do to a signal: coils, noise, grey levels, resampling to one frame."""

from __future__ import annotations

import numpy as np

from brainseg.cohort import FLAIR, FRAME, POST, PRE
from brainseg.phantom.anatomy import Head
from brainseg.phantom.fields import Block, SmoothNoise, exponential
from brainseg.phantom.plan import PatientPlan

_CHANNELS = {"pre": PRE, "post": POST}
_POOL = 2**20
"""Complex noise values of a patient: pictures take their noise from the pool, each from a place of its own."""


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


class Pose:
    """Where a head lies: an individual scale, tilt and shift, then a smooth individual warp."""

    def __init__(self, axes_mm: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator):
        self._axes_mm = axes_mm
        # The frame's centre lies a little in front of the head's middle, and slices are tilted towards the brow.
        angles = np.deg2rad(rng.normal((0, 0, 0), (6, 2.5, 3.5)))
        scale = rng.normal((1.0, 1.0, 1.0), (0.05, 0.045, 0.03))
        self._turn = _rotation(angles) / scale
        self._shift = rng.normal((0, -14, 0), (2.0, 4.0, 3.0))
        self._warps = [
            [(spread_mm, SmoothNoise(axes_mm, length_mm, rng)) for length_mm, spread_mm in ((45.0, 3.5), (20.0, 1.6))]
            for _ in range(3)
        ]

    def points(self, block: Block) -> np.ndarray:
        """MNI coordinates in mm of the pixels of a block: float32 (3, slices, rows, columns).

        Columns run towards the patient's left, as radiologists look at a slice.
        """
        up, front, left = (axis[part] for axis, part in zip(self._axes_mm, block, strict=True))
        points = np.empty((3, len(up), len(front), len(left)), np.float32)
        for axis in range(3):
            right, forward, upward = self._turn[axis]
            points[axis] = (upward * up + self._shift[axis]).astype(np.float32)[:, None, None]
            points[axis] += (forward * front).astype(np.float32)[:, None]
            points[axis] -= (right * left).astype(np.float32)
            for spread_mm, warp in self._warps[axis]:
                points[axis] += spread_mm * warp.on(block)
        return points

    def window(self, head: Head) -> tuple[slice, slice]:
        """Rows and columns that hold the head in all slices, an odd number of each."""
        coarse = (slice(None), slice(None, None, 4), slice(None, None, 4))
        near = head.outline.sample(self.points(coarse)) < 8.0
        return tuple(_span(near.any(axis=axes)) for axes in ((0, 2), (0, 1)))


def _span(hit: np.ndarray) -> slice:
    """From the first to the last hit of every fourth pixel, with room for what lies between: an odd length."""
    places = np.flatnonzero(hit) * 4
    first, last = max(int(places[0]) - 4, 0), min(int(places[-1]) + 4, len(hit) * 4 - 1)
    return slice(first, last + 1 - (last - first) % 2)


class Scanner:
    """The settings of one patient's scan, which turn noise-free signals into the uint8 frames of the archive.

    A coil's smooth shading and Rician noise (the magnitude of a complex signal with Gaussian noise in both parts:
    Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618), the point spread, the institution's grey levels; in
    some patients the T1 volumes were resampled to FLAIR and their slab ends in a slanted cut.
    """

    def __init__(self, plan: PatientPlan, axes_mm: tuple[np.ndarray, ...], rng: np.random.Generator):
        site = plan.institution
        self._axes_mm, self._missing = axes_mm, plan.missing
        brightness = rng.uniform(*site.brightness)
        noise = brightness * np.exp(rng.uniform(*np.log(site.noise)))
        # The archive cut the noise floor away to various degrees: in some patients the air is simply 0.
        self._floor = float(rng.choice([0.0, 1.0, 2.0, 3.0]) * noise)
        self._blur_px, self._bias = site.blur_px, site.bias
        self._levels, self._shadings, self._slabs = [], [], []
        for channel in range(3):
            self._levels.append(float(brightness * rng.uniform(0.85, 1.15)))
            self._shadings.append(SmoothNoise(axes_mm, 70.0, rng))
            self._slabs.append(_slab(axes_mm, rng) if channel != FLAIR and rng.random() < 0.4 else None)
        self._pool = rng.standard_normal((2, _POOL), dtype=np.float32) * np.float32(noise)
        pixels = FRAME[0] * FRAME[1]
        self._starts = rng.integers(_POOL - pixels, size=(3, len(axes_mm[0])))

    def shading(self, block: Block) -> np.ndarray:
        """What the coil multiplies each signal by: float32 (3, n, h, w), about 1."""
        return exponential(self._bias * np.stack([field.on(block) for field in self._shadings]))

    def frames(self, signal: np.ndarray, block: Block) -> np.ndarray:
        """The pictures of a block.

        Parameters
        ----------
        signal : (3, n, h, w) float32, fraction of fat, shaded
            What lies outside the block's rows and columns is air.

        Returns
        -------
        (n, 256, 256, 3) uint8
        """
        slices, rows, columns = block
        frames = np.empty((signal.shape[1], *FRAME, 3), np.uint8)
        for channel in range(3):
            shaded = _blurred(signal[channel], self._blur_px)
            shaded *= self._levels[channel]
            for index, number in enumerate(range(*slices.indices(len(self._axes_mm[0])))):
                start = int(self._starts[channel, number])
                real, imaginary = self._pool[:, start : start + FRAME[0] * FRAME[1]].reshape(2, *FRAME)
                true = np.zeros(FRAME, np.float32)
                true[rows, columns] = shaded[index]
                magnitude = real + true
                magnitude *= magnitude
                magnitude += imaginary * imaginary
                np.sqrt(magnitude, out=magnitude)
                if self._floor:
                    magnitude -= self._floor * (true <= 2 * self._floor)
                if self._slabs[channel] is not None:
                    magnitude *= self._inside_slab(channel, number)
                np.clip(magnitude, 0, 255, out=magnitude)
                frames[index, ..., channel] = np.rint(magnitude, out=magnitude)
        if self._missing:
            frames[..., _CHANNELS[self._missing]] = frames[..., FLAIR]
        return frames

    def _inside_slab(self, channel: int, number: int) -> np.ndarray:
        """1 inside a slab tilted against the slices, 0 beyond it: the black wedges of a resampled volume."""
        slope, bottom, top = self._slabs[channel]
        up, front, left = self._axes_mm
        height = up[number] + slope[0] * front[:, None] + slope[1] * left
        return (height > bottom) & (height < top)


def _slab(axes_mm: tuple[np.ndarray, ...], rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Slopes along rows and columns, and the heights in mm between which a resampled volume holds anything."""
    return rng.normal(0, 0.06, 2), axes_mm[0][0] - rng.uniform(0, 3), axes_mm[0][-1] + rng.uniform(0, 3)


def _blurred(pictures: np.ndarray, width_px: float) -> np.ndarray:
    """Slices (n, h, w) after a point spread of variance `width_px` squared along rows and columns: three taps, twice.

    Each pass adds a variance of twice its side weight.
    """
    side = width_px**2 / 4
    for axis in (1, 2, 1, 2):
        result = pictures * (1 - 2 * side)
        inner, before, after = (
            tuple(part if a == axis else slice(None) for a in range(3))
            for part in (slice(1, -1), slice(None, -2), slice(2, None))
        )
        result[inner] += side * pictures[before]
        result[inner] += side * pictures[after]
        pictures = result
    return pictures


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
