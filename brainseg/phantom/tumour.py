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
from brainseg.phantom.fields import smooth_noise
from brainseg.phantom.plan import Growth

# The density at which FLAIR is half as bright as it gets, and at which the mask's border lies.
VISIBLE_DENSITY = 0.4
# sqrt(D / rho) in grey matter: the infiltration length, in millimetres.
INFILTRATION_MM = 0.8
_HALF_BOX = 30
_MAX_STEPS = 900


@dataclass(frozen=True)
class Tumour:
    """`density` 0..1 and `depth` 0..1 (how early the place was overgrown: 1 at the seed), both in MNI space."""

    density: Volume
    depth: Volume


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
    diffusivity *= np.exp(growth.roughness * smooth_noise(axes, 5.0, rng))
    diffusivity = np.minimum(diffusivity, 12.0)
    diffusivity[_falx(start, solid[box].shape, white[box])] = 0.0
    fluxes, fastest = _face_diffusivity(diffusivity, growth.anisotropy, int(rng.integers(3)))
    # Explicit steps are stable below h^2 / (6 D); the reaction asks for less than one of its time units.
    step = min(0.9 * COARSE_MM**2 / (2 * fastest), 0.3)

    grid = np.indices(solid[box].shape) - np.reshape(np.array(seed) - start, (3, 1, 1, 1))
    density = (np.exp(-(grid**2).sum(0) / 4.0) * (diffusivity > 0)).astype(np.float32)
    grown_by = np.zeros_like(density)
    target = volume_ml * 1000 / COARSE_MM**3
    living = (diffusivity > 0).astype(np.float32)
    for steps in range(1, _MAX_STEPS + 1):  # noqa: B007
        change = density * (1 - density) * living
        for axis, face in enumerate(fluxes):
            flow = face * np.diff(density, axis=axis)
            change[_part(axis, slice(None, -1))] += flow
            change[_part(axis, slice(1, None))] -= flow
        density += step * change
        above = density > VISIBLE_DENSITY
        grown_by += above
        if np.count_nonzero(above) >= target:
            break
    return Tumour(_embed(density, start), _embed(grown_by / steps, start))


def visible(density: np.ndarray, sharpness: float) -> np.ndarray:
    """How much of the full lesion signal shows at a density: 0..1, 0.5 at `VISIBLE_DENSITY` (a Hill curve)."""
    powered = np.clip(density, 0, None) ** sharpness
    return powered / (powered + VISIBLE_DENSITY**sharpness)


def annotate(density: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the mask as a human would: the visible edge, about one pixel off in a smooth random way.

    Each slice is outlined on its own, as the real masks were: the border is displaced by a random field of about one
    pixel's spread (0.9 that bends over ten pixels, 0.6 over four, times the reader's own slack, 0.6 to 1.8), the
    reader's threshold moves a little from slice to slice, and specks below 20 pixels are dropped.

    Parameters
    ----------
    density : (n, H, W) float array, 0..1
    rng : numpy.random.Generator

    Returns
    -------
    (n, H, W) bool array
    """
    masks = np.zeros(density.shape, bool)
    # Only the tumour's own rectangle, with room for the deviation: noise for whole frames would be thrown away.
    rows, columns = (np.flatnonzero((density > VISIBLE_DENSITY / 2).any(axis=(0, other))) for other in (2, 1))
    if not len(rows):
        return masks
    window = tuple(
        slice(max(i[0] - 8, 0), min(i[-1] + 9, size))
        for i, size in zip((rows, columns), density.shape[1:], strict=True)
    )
    place = [np.arange(part.start, part.stop, dtype=float) for part in window]
    slack = rng.uniform(0.6, 1.8)
    for index, frame in enumerate(density):
        threshold = VISIBLE_DENSITY * np.exp(rng.normal(0, 0.12))
        shift = slack * np.stack(
            [0.9 * smooth_noise(place, 5.0, rng) + 0.6 * smooth_noise(place, 2.0, rng) for _ in range(2)]
        )
        drawn = (
            ndimage.map_coordinates(frame, np.stack(np.meshgrid(*place, indexing="ij")) + shift, order=1) > threshold
        )
        labels, found = ndimage.label(drawn)
        sizes = np.bincount(labels.ravel())
        masks[index][window] = np.isin(labels, [label for label in range(1, found + 1) if sizes[label] >= 20])
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
    return Volume(values.astype(np.float32), COARSE_LOW + start * COARSE_MM, COARSE_MM)
