"""The head: brain tissue from the MNI152 maps, skull, scalp, face and neck built around it.

The brain is real anatomy, the average of 152 volunteers. What surrounds it is a drawing in distance
fields: it gives cropping and intensity scaling something to deal with, and claims no more than that.
Coordinates are MNI millimetres (x to the right, y to the front, z to the top).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

COARSE_MM = 2.0
# The box of the coarse grid: wide enough for the face and the neck, which the MNI maps do not have.
COARSE_LOW = np.array([-104.0, -140.0, -130.0])
COARSE_HIGH = np.array([104.0, 130.0, 116.0])

NOTICE = """\
Synthetic images: not patient data. Not for clinical use.

The brains in this folder are warped copies of the MNI ICBM 152 (2009a) maps of T1 intensity, grey matter
and white matter that nilearn ships; skulls, scalps, tumours, contrasts and masks are simulated. The names,
dates and clinical codes belong to nobody. A result on these images supports no claim about real MRI.

The MNI maps come with this notice, which has to stay with every copy:

Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute,
McGill University. Permission to use, copy, modify, and distribute this software and its documentation for
any purpose and without fee is hereby granted, provided that the above copyright notice appear in all copies.
The authors and McGill University make no representations about the suitability of this software for any
purpose. It is provided "as is" without express or implied warranty. The authors are not responsible for any
data loss, equipment damage, property loss, or injury to subjects or patients resulting from the use or
misuse of this software package.

VS Fonov, AC Evans, K Botteron, CR Almli, RC McKinstry, DL Collins and BDCG, Unbiased average age-appropriate
atlases for pediatric studies, NeuroImage 54 (2011), doi:10.1016/j.neuroimage.2010.07.033
"""


@dataclass(frozen=True)
class Volume:
    """A 3-D map in MNI space: `values` (x, y, z) float32, its first voxel at `low` mm, `spacing` mm a voxel."""

    values: np.ndarray
    low: np.ndarray
    spacing: float

    def sample(self, points: np.ndarray) -> np.ndarray:
        """Interpolate linearly at `points` (3, ...) in MNI mm; beyond the map its border goes on."""
        return sample([self], points)[0]


def sample(volumes: Sequence[Volume], points: np.ndarray) -> list[np.ndarray]:
    """Interpolate maps of one grid linearly at `points` (3, ...) float32 in MNI mm: as :meth:`Volume.sample`."""
    grid = volumes[0]
    shape = grid.values.shape
    place, parts = np.zeros(points.shape[1:], np.int32), []
    for axis in range(3):
        index = points[axis] - np.float32(grid.low[axis])
        index *= np.float32(1 / grid.spacing)
        np.clip(index, 0, np.float32(shape[axis] - 1.001), out=index)
        whole = index.astype(np.int32)
        index -= whole
        parts.append(index)
        place *= shape[axis]
        place += whole
    strides = (shape[1] * shape[2], shape[2], 1)
    results = []
    for volume in volumes:
        flat = volume.values.reshape(-1)

        def between(axis: int, shift: int, flat: np.ndarray = flat) -> np.ndarray:
            """Interpolated along `axis` and the axes after it, in the half of the cell that `shift` says."""
            if axis == 3:
                return flat.take(place + shift)
            low, high = between(axis + 1, shift), between(axis + 1, shift + strides[axis])
            high -= low
            high *= parts[axis]
            high += low
            return high

        results.append(between(0, 0))
    return results


@dataclass(frozen=True)
class Head:
    """The maps that every patient is warped from.

    `grey` and `white` are tissue fractions 0..1 at 1 mm, `coarse_grey` and `coarse_white` the same at 2 mm, where
    tumours grow. The others are signed distances in mm at 2 mm, negative inside: `cranium` from the inner table of
    the skull, `outline` from the skin, `eyes` from the eyeballs.
    """

    grey: Volume
    white: Volume
    coarse_grey: Volume
    coarse_white: Volume
    cranium: Volume
    outline: Volume
    eyes: Volume


@functools.cache
def load_head() -> Head:
    """Read the MNI152 maps that nilearn ships and build the head around them (once a process, about 4 s)."""
    # Here and not above: nilearn takes seconds to import, and only the making of a cohort needs it.
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    template = load_mni152_template(resolution=1)
    low = template.affine[:3, 3]
    brain = template.get_fdata() > 0
    # In the order in which `sample` reads them; they come in the other one.
    grey = np.ascontiguousarray(load_mni152_gm_template(resolution=1).get_fdata(dtype=np.float32))
    white = np.ascontiguousarray(load_mni152_wm_template(resolution=1).get_fdata(dtype=np.float32))

    cranium = _cranium(_halved(brain, low))
    x, y, z = np.meshgrid(*_coarse_axes(), indexing="ij", sparse=True)
    # Flesh over the bone is thinner at the vertex and the brow than at the back and the temples.
    outline = _union(
        cranium - 13.0,
        _ellipsoid(x, y, z, (0, 22, -72), (64, 72, 66)),
        _ellipsoid(x, y, z, (0, -42, -95), (58, 62, 90)),
        _ellipsoid(x, y, z, (0, 92, -58), (13, 24, 22)),
    )
    ears = np.minimum(*(_ellipsoid(x, y, z, (side * 77, -24, -34), (7, 15, 26)) for side in (-1, 1)))
    eyes = np.minimum(*(_ellipsoid(x, y, z, (side * 32, 58, -38), (12, 12, 12)) for side in (-1, 1)))

    def coarse(values: np.ndarray) -> Volume:
        return Volume(values.astype(np.float32), COARSE_LOW, COARSE_MM)

    fine_grey, fine_white = Volume(grey, low, 1.0), Volume(white, low, 1.0)
    return Head(
        grey=fine_grey,
        white=fine_white,
        coarse_grey=coarse(_halved(grey, low)),
        coarse_white=coarse(_halved(white, low)),
        cranium=coarse(cranium),
        outline=coarse(np.minimum(outline, ears)),
        eyes=coarse(eyes),
    )


def _coarse_axes() -> list[np.ndarray]:
    return [np.arange(a, b + 1e-6, COARSE_MM) for a, b in zip(COARSE_LOW, COARSE_HIGH, strict=True)]


def _halved(values: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Every second voxel of a 1 mm map, laid into the coarse box; both grids meet at even millimetres."""
    result = np.zeros([len(axis) for axis in _coarse_axes()], values.dtype)
    start = ((low - COARSE_LOW) / COARSE_MM).astype(int)
    part = values[::2, ::2, ::2]
    result[tuple(slice(a, a + n) for a, n in zip(start, part.shape, strict=True))] = part
    return result


def _cranium(inside: np.ndarray) -> np.ndarray:
    """Signed distance in mm from a smooth hull of the brain, on the coarse grid."""
    # Fill the sulci and the fissures: grow by 22 mm, then shrink by 20.5, which leaves room for fluid.
    grown = ndimage.distance_transform_edt(~inside) * COARSE_MM < 22.0
    hull = ndimage.distance_transform_edt(grown) * COARSE_MM > 20.5
    distance = ndimage.distance_transform_edt(~hull) - ndimage.distance_transform_edt(hull)
    return ndimage.gaussian_filter(distance * COARSE_MM, 2.5)


def _ellipsoid(x, y, z, centre, radii) -> np.ndarray:
    """First-order signed distance from an ellipsoid, in mm."""
    parts = [(axis - c) / r for axis, c, r in zip((x, y, z), centre, radii, strict=True)]
    norm = np.sqrt(sum(part**2 for part in parts))
    gradient = np.sqrt(sum((part / r) ** 2 for part, r in zip(parts, radii, strict=True)))
    return norm * (norm - 1.0) / np.maximum(gradient, 1e-6)


def _union(*distances: np.ndarray, blend_mm: float = 4.0) -> np.ndarray:
    """Join shapes with rounded creases (a smooth minimum of their distances)."""
    smallest = functools.reduce(np.minimum, distances)
    return smallest - blend_mm * np.log(sum(np.exp((smallest - d) / blend_mm) for d in distances))
