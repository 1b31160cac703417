"""Tumour growth by reaction and diffusion, and the mask that a reader would draw of it.

The cell density u (0..1) follows the Fisher-Kolmogorov equation

    du/dt = div(D(x) grad u) + rho u (1 - u)

with a diffusivity D that is higher in white matter than in grey and zero in fluid and across the falx
(Swanson, Alvord, Murray 2000, Cell Proliferation 33, doi:10.1046/j.1365-2184.2000.00177.x). Time is in units of
1/rho, so a tumour has no age in years here: it grows until it has the volume that the plan asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from brainseg.phantom.anatomy import COARSE_LOW, COARSE_MM, Head, Volume
from brainseg.phantom.fields import Block, exponential, ramp, smooth_noise
from brainseg.phantom.plan import Growth

# The density at which FLAIR is half as bright as it gets, and at which the mask's border lies.
VISIBLE_DENSITY = 0.4
# sqrt(D / rho) in grey matter: the infiltration length, in millimetres.
INFILTRATION_MM = 0.8
_HALF_BOX = 30
_MAX_STEPS = 900
_LEAST_DENSITY = 1e-4
_WIDEN_EVERY = 8
_SMALLEST_PX = 20


@dataclass(frozen=True)
class Tumour:
    """`density` 0..1 and `depth` 0..1 (how early the place was overgrown: 1 at the seed), on one grid in MNI space."""

    density: Volume
    depth: Volume

    def place(self, points: np.ndarray) -> Block | None:
        """The part of a block, whose MNI coordinates are `points` (3, n, h, w), that holds the tumour, or None."""
        coarse = points[..., ::4, ::4]
        low = self.density.low
        high = low + (np.array(self.density.values.shape) - 1) * self.density.spacing
        hit = np.ones(coarse.shape[1:], bool)
        for axis in range(3):
            hit &= (coarse[axis] > low[axis] - 4) & (coarse[axis] < high[axis] + 4)
        if not hit.any():
            return None
        slices, rows, columns = (np.flatnonzero(hit.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1)))
        height, width = points.shape[2:]
        return (
            slice(int(slices[0]), int(slices[-1]) + 1),
            slice(int(rows[0]) * 4, min(int(rows[-1]) * 4 + 4, height)),
            slice(int(columns[0]) * 4, min(int(columns[-1]) * 4 + 4, width)),
        )


def grow(
    head: Head, growth: Growth, seed_mm: tuple[float, float, float], volume_ml: float, rng: np.random.Generator
) -> Tumour:
    """Grow a tumour from the tissue nearest to `seed_mm` until it fills `volume_ml` above the visible density."""
    grey, white = head.coarse_grey.values, head.coarse_white.values
    solid = grey + white > 0.6
    seed = _nearest(solid & (white > 0.4), seed_mm)
    box = tuple(slice(max(i - _HALF_BOX, 0), i + _HALF_BOX) for i in seed)
    start = np.array([part.start for part in box])
    axes = [start[a] * COARSE_MM + np.arange(solid[box].shape[a]) * COARSE_MM for a in range(3)]

    diffusivity = (grey[box] + growth.white_to_grey * white[box]) * solid[box] * INFILTRATION_MM**2
    diffusivity *= exponential(growth.roughness * smooth_noise(axes, 5.0, rng))
    diffusivity = np.minimum(diffusivity, 12.0)
    diffusivity[_falx(start, solid[box].shape, white[box])] = 0.0
    fluxes, fastest = _face_diffusivity(diffusivity, growth.anisotropy, int(rng.integers(3)))
    # Explicit steps are stable below h^2 / (6 D); the reaction asks for less than one of its time units.
    step = min(0.9 * COARSE_MM**2 / (2 * fastest), 0.3)

    middle = np.array(seed) - start
    density, grown_by = np.zeros((2, *diffusivity.shape), np.float32)
    living = (diffusivity > 0).astype(np.float32)
    density[tuple(middle)] = living[tuple(middle)]
    target = volume_ml * 1000 / COARSE_MM**3
    front = _around(middle, middle, density.shape)
    for steps in range(1, _MAX_STEPS + 1):
        if steps % _WIDEN_EVERY == 1:
            # Only where there are cells, with room for those that come before the box is widened again. Where hardly
            # anything is, nothing is: the front then has an end.
            density[density < _LEAST_DENSITY] = 0.0
            cells = [np.flatnonzero((density > 0).any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
            front = _around([c[0] for c in cells], [c[-1] for c in cells], density.shape)
            inner = [(axis, *_faces(front, axis)) for axis in range(3)]
            now, alive, counted = density[front], living[front], grown_by[front]
        change = 1 - now
        change *= now
        change *= alive
        for axis, face, lower, upper in inner:
            flow = now[upper] - now[lower]
            flow *= fluxes[axis][face]
            change[lower] += flow
            change[upper] -= flow
        change *= step
        now += change
        above = now > VISIBLE_DENSITY
        counted += above
        if np.count_nonzero(above) >= target:
            break
    front = _around(*([function(c) for c in cells] for function in (np.min, np.max)), density.shape)
    place = start + [part.start for part in front]
    return Tumour(_embed(density[front], place), _embed(grown_by[front] / np.float32(steps), place))


def visible(density: np.ndarray, sharpness: float) -> np.ndarray:
    """How much of the full lesion signal shows at a density: 0..1, 0.5 at `VISIBLE_DENSITY`.

    A soft threshold with the slope that a Hill curve of the exponent `sharpness` has there.
    """
    return ramp(density, VISIBLE_DENSITY, 6.0 * VISIBLE_DENSITY / sharpness)


def annotate(density: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the mask as a human would: the visible edge, about one pixel off in a smooth random way.

    Each slice is outlined on its own, as the real masks were: the border is displaced by a random field of about one
    pixel's spread (0.9 that bends over ten pixels, 0.6 over four, times the reader's own slack, 0.6 to 1.8), the
    reader's threshold moves a little from slice to slice, and specks below 20 pixels are dropped.

    Parameters
    ----------
    density : (n, H, W) float32 array, 0..1
    rng : numpy.random.Generator

    Returns
    -------
    (n, H, W) bool array
    """
    masks = np.zeros(density.shape, bool)
    # Only the tumour's own box, with room for the deviation: noise for whole frames would be thrown away.
    seen = density > VISIBLE_DENSITY / 2
    if not seen.any():
        return masks
    spans = [np.flatnonzero(seen.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    window = tuple(
        slice(max(int(i[0]) - room, 0), int(i[-1]) + 1 + room) for i, room in zip(spans, (0, 8, 8), strict=True)
    )
    frames = density[window]
    # A million pixels apart: no slice knows of the next.
    axes = [np.arange(size) * unit for size, unit in zip(frames.shape, (1e6, 1.0, 1.0), strict=True)]
    slack = float(rng.uniform(0.6, 1.8))
    places = np.stack(np.meshgrid(*(np.arange(size, dtype=np.float32) for size in frames.shape), indexing="ij"))
    for axis in (1, 2):
        places[axis] += slack * (0.9 * smooth_noise(axes, 5.0, rng) + 0.6 * smooth_noise(axes, 2.0, rng))
    threshold = VISIBLE_DENSITY * np.exp(rng.normal(0, 0.12, len(frames)))
    drawn = Volume(frames, np.zeros(3), 1.0).sample(places) > threshold.astype(np.float32)[:, None, None]
    # Pieces are those of a slice, so that no neighbour saves a speck.
    labels, _ = ndimage.label(
        drawn, structure=np.pad([ndimage.generate_binary_structure(2, 1)], ((1, 1), (0, 0), (0, 0)))
    )
    masks[window] = drawn & (np.bincount(labels.ravel()) >= _SMALLEST_PX)[labels]
    return masks


def _nearest(allowed: np.ndarray, point_mm: tuple[float, float, float]) -> tuple[int, ...]:
    """Index of the allowed voxel nearest to the point."""
    candidates = np.argwhere(allowed)
    distance = ((candidates * COARSE_MM + COARSE_LOW - np.asarray(point_mm)) ** 2).sum(1)
    return tuple(int(i) for i in candidates[distance.argmin()])


def _falx(start: np.ndarray, shape: tuple[int, ...], white: np.ndarray) -> np.ndarray:
    """The sheet between the hemispheres, open where the corpus callosum crosses it."""
    x = COARSE_LOW[0] + (start[0] + np.arange(shape[0])) * COARSE_MM
    return (np.abs(x) < 1.5)[:, None, None] & (white < 0.5)


def _around(first, last, shape: tuple[int, ...]) -> Block:
    """The box from `first` to `last` with as much room as cells need until it is widened again."""
    return tuple(
        slice(max(int(a) - _WIDEN_EVERY, 0), min(int(b) + 1 + _WIDEN_EVERY, size))
        for a, b, size in zip(first, last, shape, strict=True)
    )


def _faces(front: Block, axis: int) -> tuple[Block, Block, Block]:
    """The faces across `axis` inside a box, in the whole grid, and the voxels below and above them, in the box."""
    inside = list(front)
    inside[axis] = slice(front[axis].start, front[axis].stop - 1)
    return tuple(inside), _part(axis, slice(None, -1)), _part(axis, slice(1, None))


def _face_diffusivity(diffusivity: np.ndarray, anisotropy: float, along: int) -> tuple[list[np.ndarray], float]:
    """Diffusivity between neighbours (harmonic mean, so that a barrier blocks) over h^2, and a bound for the step."""
    faces = []
    for axis in range(3):
        factor = (anisotropy if axis == along else 1.0) / anisotropy ** (1 / 3)
        a = diffusivity[_part(axis, slice(None, -1))]
        b = diffusivity[_part(axis, slice(1, None))]
        faces.append((factor * 2 * a * b / np.maximum(a + b, 1e-9) / COARSE_MM**2).astype(np.float32))
    return faces, float(sum(face.max() for face in faces)) * COARSE_MM**2


def _part(axis: int, part: slice) -> tuple[slice, ...]:
    return tuple(part if a == axis else slice(None) for a in range(3))


def _embed(values: np.ndarray, start: np.ndarray) -> Volume:
    """A part of the coarse grid as a map of its own, with nothing around it."""
    return Volume(np.pad(values.astype(np.float32), 1), COARSE_LOW + (start - 1) * COARSE_MM, COARSE_MM)
