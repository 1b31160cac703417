"""The shape of a segmented tumour in three numbers: two of its outline in one slice, one of its volume.

The features are those of Buda, Saha, Mazurowski 2019, doi:10.1016/j.compbiomed.2019.05.002, and of Czarnek et al.
2017, doi:10.1007/s11060-016-2359-7. The papers define them in words. Where the words leave something open, the choice
here is our own, and the docstring says so. None of the three has a unit.

One rule for tumours in several parts: every feature describes the largest part in 3D, where voxels that touch by a
face, an edge or a corner belong together. Parts are counted, so that nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.spatial import ConvexHull

#: Column of a feature -> its name in prose.
FEATURES = {
    "asd": "angular standard deviation",
    "bevr": "bounding ellipsoid volume ratio",
    "mf": "margin fluctuation",
}
BINS = 10  # equal angles of the angular standard deviation
WINDOW_SHARE = 0.1  # of the outline's pixels, the smoothing window of the margin fluctuation
FEWEST_OUTLINE_PX = 10  # one a bin; a shorter outline has no margin to speak of
TOLERANCE = 1e-4  # of the ellipsoid: a volume within 0.02 %. Some masks crawl below 1e-5 for ever
_TOUCHING = np.ones((3, 3, 3), bool)


class Radii(NamedTuple):
    """An outline seen from the tumour's centroid, in the order of the outline, one value per pixel of it.

    `points` (n, 2) are row and column, `centre` (2,) the centroid of the part's pixels, `angles` lie in -pi..pi,
    and `distances` are divided by their mean, so that size does not count.
    """

    points: np.ndarray
    centre: np.ndarray
    angles: np.ndarray
    distances: np.ndarray


class Ellipsoid(NamedTuple):
    """All x with ``(x - centre) @ matrix @ (x - centre) <= 1``; `volume` in voxels."""

    centre: np.ndarray
    matrix: np.ndarray
    volume: float


def largest_part(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The largest connected part of a mask, and how many parts there are.

    Parameters
    ----------
    mask : bool array (n, height, width) or (height, width)
        Pixels or voxels connect by faces, edges and corners. Of equal parts the first is taken.

    Raises
    ------
    ValueError
        The mask is empty, or not bool.
    """
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.ndim not in (2, 3):
        raise ValueError(f"mask has dtype {mask.dtype} and shape {mask.shape}: give a bool volume, or a bool slice")
    if not mask.any():
        raise ValueError("The mask is empty: no tumour has no shape. Count such a patient, do not measure it.")
    labels, parts = ndimage.label(mask, _TOUCHING[:: 4 - mask.ndim] if mask.ndim == 3 else _TOUCHING[0])
    return labels == 1 + np.bincount(labels.ravel())[1:].argmax(), parts


def largest_slice(part: np.ndarray) -> int:
    """Index of the slice with the most pixels of a volume (n, height, width); of equals the first."""
    return int(part.sum(axis=(1, 2)).argmax())


def radii(part: np.ndarray) -> Radii:
    """The outer outline of the largest part of a slice, as distances from its centroid.

    The outline runs through the centres of the border pixels, round the part; holes are left out.

    Parameters
    ----------
    part : bool array (height, width)

    Raises
    ------
    ValueError
        The slice is empty, or its outline has fewer than `FEWEST_OUTLINE_PX` pixels.
    """
    part, _ = largest_part(part)
    outlines, _ = cv2.findContours(part.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = outlines[0][:, 0, ::-1].astype(float)
    if len(points) < FEWEST_OUTLINE_PX:
        raise ValueError(f"The outline has {len(points)} pixels: {FEWEST_OUTLINE_PX} are needed to speak of a margin")
    centre = np.argwhere(part).mean(axis=0)
    down, right = (points - centre).T
    distances = np.hypot(down, right)
    return Radii(points, centre, np.arctan2(down, right), distances / distances.mean())


def bin_of(angles: np.ndarray) -> np.ndarray:
    """Which of the ten equal angles an angle in -pi..pi falls into, 0 to 9."""
    return np.minimum(((angles + np.pi) / (2 * np.pi) * BINS).astype(int), BINS - 1)


def angular_standard_deviation(outline: Radii) -> float:
    """ASD: the standard deviation of the distances within each of ten equal angles, averaged over the angles.

    0 for a disc. It grows with roughness, and with every departure from a disc, because the distance then changes
    within an angle. Our choices: deviations are from the mean of the angle, divided by the number of pixels;
    the first angle starts at the left of the frame; an angle without outline is left out.
    """
    bins = bin_of(outline.angles)
    return float(np.mean([outline.distances[bins == number].std() for number in np.unique(bins)]))


def smoothed(distances: np.ndarray) -> np.ndarray:
    """Moving average round a closed outline; its window is a tenth of the outline, in an odd number of pixels."""
    window = 2 * int(WINDOW_SHARE * len(distances) / 2) + 1
    return ndimage.uniform_filter1d(distances, window, mode="wrap")


def margin_fluctuation(outline: Radii) -> float:
    """MF: the standard deviation of what a moving average along the outline takes away from the distances.

    0 for a disc, near 0 for every smooth shape, large for a ragged one. The window is a tenth of the outline's pixels,
    and the distances have a mean of 1, as Buda et al. 2019 (doi:10.1016/j.compbiomed.2019.05.002) have it. Rounding it
    to an odd number of pixels is our choice.
    """
    return float(np.std(outline.distances - smoothed(outline.distances)))


def enclosing_ellipsoid(points: np.ndarray, tolerance: float = TOLERANCE, most_steps: int = 100_000) -> Ellipsoid:
    """The ellipsoid of least volume that holds all points, by Khachiyan's algorithm with away steps.

    Weights on the points climb towards the largest determinant of their scatter, a point at a time: the one farthest
    outside gains weight, or the weighted one deepest inside loses it (Khachiyan 1996, doi:10.1287/moor.21.2.307;
    away steps after Todd, Yildirim 2007, doi:10.1016/j.dam.2007.02.013). At the end the ellipsoid is blown up until
    the last point is in it.

    Parameters
    ----------
    points : float array (n, d)
        They must not all lie in one plane.
    tolerance : float
        The volume is at most ``(1 + tolerance) ** ((d + 1) / 2)`` times the least.

    Raises
    ------
    ValueError
        The points span no volume.
    RuntimeError
        `most_steps` did not reach the tolerance.
    """
    points = np.asarray(points, float)
    count, d = points.shape
    if np.linalg.matrix_rank(points - points[0]) < d:
        raise ValueError(f"{count} points span no volume in {d} dimensions")
    points = points[ConvexHull(points).vertices]  # only these can touch
    # The scale of the axes changes nothing but the rounding.
    origin, scale = points.mean(axis=0), points.std(axis=0)
    lifted = np.column_stack([(points - origin) / scale, np.ones(len(points))])
    weights = np.full(len(points), 1 / len(points))
    for _ in range(most_steps):
        scatter = lifted.T @ (weights[:, None] * lifted)
        reach = np.einsum("ij,ij->i", lifted @ np.linalg.inv(scatter), lifted)  # d + 1 on the ellipsoid's surface
        outside, inside = reach.argmax(), np.where(weights > 0, reach, np.inf).argmin()
        excess, slack = reach[outside] / (d + 1) - 1, 1 - reach[inside] / (d + 1)
        if max(excess, slack) <= tolerance:
            break
        chosen = outside if excess >= slack else inside
        # The step with the largest gain, unless the point has less weight than that to lose.
        gain = reach[chosen] - 1
        step = (reach[chosen] - d - 1) / ((d + 1) * gain) if gain > 0 else -np.inf
        step = max(step, -weights[chosen] / (1 - weights[chosen]))
        weights *= 1 - step
        weights[chosen] = max(weights[chosen] + step, 0.0)
    else:
        raise RuntimeError(
            f"{most_steps} steps left an excess of {max(excess, slack):.2g}: the tolerance is {tolerance:g}"
        )
    centre = weights @ points
    spread = (points - centre).T @ (weights[:, None] * (points - centre))
    matrix = np.linalg.inv(spread)
    matrix /= np.einsum("ij,jk,ik->i", points - centre, matrix, points - centre).max()
    ball = np.pi ** (d / 2) / float(np.prod(np.arange(d, 0, -2) / 2) * (np.sqrt(np.pi) if d % 2 else 1))
    return Ellipsoid(centre, matrix, float(ball / np.sqrt(np.linalg.det(matrix))))


def corners(part: np.ndarray) -> np.ndarray:
    """The corners of those voxels that end a row of voxels, float (n, 3): all that can lie on the hull.

    A voxel's centre has whole coordinates, so its corners lie half a voxel to each side.
    """
    rows = np.argwhere(part.any(axis=2))
    lines = part[part.any(axis=2)]
    first, last = lines.argmax(axis=1), part.shape[2] - 1 - lines[:, ::-1].argmax(axis=1)
    ends = np.column_stack([np.tile(rows, (2, 1)), np.concatenate([first - 0.5, last + 0.5])])
    shifts = np.array([(z, y, 0) for z in (-0.5, 0.5) for y in (-0.5, 0.5)])
    return (ends[:, None] + shifts).reshape(-1, 3)


def bounding_ellipsoid_volume_ratio(part: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """BEVR: the share of its smallest enclosing ellipsoid that a tumour fills.

    1 for an ellipsoid, less for every other shape; a box has 0.37. Stretching the volume along any axis stretches
    the ellipsoid with it, so the unknown spacing of slices does not matter. How many slices cut the tumour does: the
    ellipsoid holds the corners of the voxels, and a tumour of few slices is a coarse stack of plates.
    With corners, a tumour of one slice has a volume. That is our choice.

    Parameters
    ----------
    part : bool array (n, height, width)
    """
    return float(np.count_nonzero(part) / enclosing_ellipsoid(corners(part), tolerance).volume)


def shape_features(mask: np.ndarray) -> dict:
    """The three features of a patient's mask, and what they rest on.

    Parameters
    ----------
    mask : bool array (n, height, width)

    Returns
    -------
    dict
        ``asd, bevr, mf``; ``tumour_px`` of the whole mask, ``components``, ``largest_share`` (of the pixels, in the
        part that is measured), ``slices`` (that this part reaches). ASD and MF are NaN where the outline
        is shorter than `FEWEST_OUTLINE_PX`.

    Raises
    ------
    ValueError
        The mask is empty, or no bool volume.
    """
    mask = np.asarray(mask)
    if mask.ndim != 3:
        raise ValueError(f"mask has shape {mask.shape}: give a patient's volume (n, height, width)")
    part, components = largest_part(mask)
    reached = part.any(axis=(1, 2))
    try:
        outline = radii(part[largest_slice(part)])
        asd, mf = angular_standard_deviation(outline), margin_fluctuation(outline)
    except ValueError:
        asd = mf = np.nan
    pixels = np.count_nonzero(mask)
    return {
        "asd": asd,
        "bevr": bounding_ellipsoid_volume_ratio(part),
        "mf": mf,
        "tumour_px": pixels,
        "components": components,
        "largest_share": np.count_nonzero(part) / pixels,
        "slices": int(reached.sum()),
    }


def features_table(sources: Mapping[str, tuple[Callable[[str], np.ndarray], list[str], int]]) -> pd.DataFrame:
    """Features of many patients by many sources of masks; a bar shows where it takes longer than some seconds.

    Parameters
    ----------
    sources : mapping of a source's name to (masks, patients, trainings)
        A :class:`brainseg.experiments.shape_genomics.study.Source`: ``masks(patient)`` gives the bool volume
        (n, 256, 256), slices in their order.

    Returns
    -------
    DataFrame
        A row per source and patient: ``source, trainings, patient``, those of :func:`shape_features`, and ``empty``. A
        patient with an empty mask keeps its row: zero pixels and components, and NaN for the rest.
    """
    from tqdm import tqdm

    nothing = dict.fromkeys(FEATURES, np.nan) | {"tumour_px": 0, "components": 0, "largest_share": np.nan, "slices": 0}
    rows = []
    for source, (masks, patients, trainings) in sources.items():
        for patient in tqdm(patients, desc=f"shapes, {source}", unit="patient", delay=5, leave=False):
            mask = np.asarray(masks(patient), bool)
            empty = not mask.any()
            known = {"source": source, "trainings": trainings, "patient": patient}
            rows.append(known | (nothing if empty else shape_features(mask)) | {"empty": empty})
    columns = ["source", "trainings", "patient", *nothing, "empty"]
    return pd.DataFrame(rows, columns=columns)
