"""Shapes with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from brainseg.experiments.shape_genomics import features

ROWS, COLUMNS = np.mgrid[-60:61, -60:61]
ANGLE, REACH = np.arctan2(ROWS, COLUMNS), np.hypot(ROWS, COLUMNS)


def asd(mask):
    return features.angular_standard_deviation(features.radii(mask))


def mf(mask):
    return features.margin_fluctuation(features.radii(mask))


def ellipsoid(radii, frame=(61, 121, 121)):
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in frame), indexing="ij", sparse=True)
    return sum((axis / radius) ** 2 for axis, radius in zip(axes, radii, strict=True)) <= 1


def test_a_disc_has_neither_asd_nor_mf_but_for_its_pixels():
    assert asd(REACH < 50) < 0.01 and mf(REACH < 50) < 0.01
    assert asd(REACH < 50) < asd(REACH < 10)  # coarser pixels


@pytest.mark.parametrize("radii", [(50, 50), (50, 35), (50, 20)])
def test_asd_of_an_ellipse_is_that_of_its_formula(radii):
    """The pixels of an outline follow the ellipse at max(|dx|, |dy|) = 1, so the formula is sampled in such steps."""
    turn = np.linspace(-np.pi, np.pi, 400_001)[:-1]
    x, y = radii[0] * np.cos(turn), radii[1] * np.sin(turn)
    weight = np.maximum(abs(np.gradient(x)), abs(np.gradient(y)))
    distance = np.hypot(x, y) / np.average(np.hypot(x, y), weights=weight)
    bins = features.bin_of(np.arctan2(y, x))
    spreads = []
    for number in range(10):
        here = bins == number
        mean = np.average(distance[here], weights=weight[here])
        spreads.append(np.sqrt(np.average((distance[here] - mean) ** 2, weights=weight[here])))
    drawn = (COLUMNS / radii[0]) ** 2 + (ROWS / radii[1]) ** 2 <= 1
    assert asd(drawn) == pytest.approx(np.mean(spreads), abs=0.006)


def test_mf_tells_ragged_from_smooth_and_asd_alone_does_not():
    ellipse = (COLUMNS / 58) ** 2 + (ROWS / 35) ** 2 <= 1
    ragged = 50 * (1 + 0.08 * np.cos(31 * ANGLE)) > REACH
    assert mf(ragged) > 3 * mf(ellipse)
    assert asd(ellipse) > asd(ragged)


def test_mf_of_a_fine_wave_is_the_spread_of_the_wave():
    """A wave much shorter than the window is all taken away by it; its spread is its height over the root of two."""
    distances = 1 + 0.1 * np.cos(np.linspace(0, 2 * np.pi * 50, 1000, endpoint=False))
    outline = features.Radii(np.zeros((1000, 2)), np.zeros(2), np.zeros(1000), distances)
    assert features.margin_fluctuation(outline) == pytest.approx(0.1 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("measure", [asd, mf])
def test_features_of_the_outline_do_not_see_size_place_or_holes(measure):
    star = 25 * (1 + 0.3 * np.cos(5 * ANGLE)) > REACH
    large = 50 * (1 + 0.15 * np.cos(5 * ANGLE)) > REACH
    small = 25 * (1 + 0.15 * np.cos(5 * ANGLE)) > REACH
    assert measure(large) == pytest.approx(measure(small), abs=0.012)
    assert measure(np.roll(star, (7, -9), (0, 1))) == pytest.approx(measure(star))
    assert measure(star) > measure(small)
    ring = (REACH < 50) & (REACH > 20)
    assert measure(ring) < 0.01


def test_the_ten_angles_hold_all_pixels_once():
    angles = np.array([-np.pi, -np.pi + 1e-9, -1e-9, 0, np.pi - 1e-9, np.pi])
    assert features.bin_of(angles).tolist() == [0, 0, 4, 5, 9, 9]


def test_the_smallest_ellipsoid_of_known_points():
    """A cube's is the ball through its corners; a regular simplex's too; a scaled cube's is scaled."""
    cube = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T.astype(float)
    found = features.enclosing_ellipsoid(cube)
    np.testing.assert_allclose(found.matrix, np.eye(3) / 3, atol=1e-9)
    assert found.volume == pytest.approx(4 / 3 * np.pi * 3**1.5)
    simplex = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)
    assert features.enclosing_ellipsoid(simplex).volume == pytest.approx(4 / 3 * np.pi * 3**1.5)
    moved = cube * (1, 5, 0.2) + (3, -2, 7)
    found = features.enclosing_ellipsoid(moved)
    np.testing.assert_allclose(found.centre, (3, -2, 7), atol=1e-9)
    assert found.volume == pytest.approx(4 / 3 * np.pi * 3**1.5)
    square = np.array([[0, 0], [2, 0], [0, 2], [2, 2]], float)
    assert features.enclosing_ellipsoid(square).volume == pytest.approx(2 * np.pi)


def test_the_ellipsoid_holds_all_points_and_converges():
    """No point is outside, and the volume falls towards a limit as the tolerance does, never by more than promised."""
    points = np.random.default_rng(0).standard_normal((300, 3)) ** 3
    volumes = {}
    for tolerance in (1e-2, 1e-4, 1e-9):
        found = features.enclosing_ellipsoid(points, tolerance)
        offset = points - found.centre
        assert np.einsum("ij,jk,ik->i", offset, found.matrix, offset).max() <= 1 + 1e-9
        volumes[tolerance] = found.volume
    for tolerance in (1e-2, 1e-4):
        assert 1 - 1e-8 <= volumes[tolerance] / volumes[1e-9] <= (1 + tolerance) ** 2


def test_an_ellipsoid_is_refused_without_volume_and_without_convergence():
    flat = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], float)
    with pytest.raises(ValueError, match="span no volume"):
        features.enclosing_ellipsoid(flat)
    with pytest.raises(RuntimeError, match="tolerance"):
        features.enclosing_ellipsoid(np.random.default_rng(0).standard_normal((100, 3)), most_steps=3)


def test_bevr_of_balls_and_ellipsoids_nears_one_and_of_any_box_is_known():
    for radius in (12, 28):
        # Corners lie up to half a diagonal beyond the ball: so much is lost to the grid, and no more.
        ratio = features.bounding_ellipsoid_volume_ratio(ellipsoid((radius,) * 3))
        assert 0.99 * (radius / (radius + np.sqrt(3) / 2)) ** 3 < ratio < 1
    assert features.bounding_ellipsoid_volume_ratio(ellipsoid((14, 28, 56))) == pytest.approx(ratio, abs=0.03)
    box = np.zeros((9, 30, 30), bool)
    box[2:4, 5:12, 3:25] = True
    assert features.bounding_ellipsoid_volume_ratio(box) == pytest.approx(2 / (np.pi * np.sqrt(3)))
    one = np.zeros((3, 8, 8), bool)
    one[1, 4, 4] = True  # one voxel, one slice: it has corners, so it has a volume
    assert features.bounding_ellipsoid_volume_ratio(one) == pytest.approx(2 / (np.pi * np.sqrt(3)))


def test_bevr_does_not_depend_on_the_spacing_of_slices():
    rng = np.random.default_rng(1)
    blob = ellipsoid((5, 20, 30), (15, 80, 80)) & (rng.random((15, 80, 80)) < 0.9)
    part, _ = features.largest_part(blob)
    ratio = features.bounding_ellipsoid_volume_ratio(part)
    assert 0.5 < ratio < 0.9
    for axis in range(3):
        assert features.bounding_ellipsoid_volume_ratio(np.repeat(part, 3, axis)) == pytest.approx(ratio, rel=1e-5)


def test_corners_have_the_hull_of_all_corners():
    part, _ = features.largest_part(np.random.default_rng(2).random((4, 9, 9)) < 0.4)
    every = (np.argwhere(part)[:, None] + np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T).reshape(-1, 3)
    hulls = [features.ConvexHull(points).volume for points in (features.corners(part), every)]
    assert hulls[0] == pytest.approx(hulls[1])


def test_only_the_largest_part_is_measured_and_all_are_counted():
    alone = ellipsoid((5, 20, 20), (15, 80, 80))
    both = alone.copy()
    both[0, :4, :4] = True
    one, two = features.shape_features(alone), features.shape_features(both)
    assert (one["components"], two["components"]) == (1, 2)
    assert two["largest_share"] == pytest.approx(alone.sum() / both.sum())
    assert two["tumour_px"] == both.sum()
    assert [two[name] for name in features.FEATURES] == [one[name] for name in features.FEATURES]
    assert one["slices"] == 11
    corner = np.zeros((2, 4, 4), bool)
    corner[0, 1, 1] = corner[1, 2, 2] = True
    assert features.largest_part(corner)[1] == 1  # touching by a corner
    assert features.largest_part(corner.any(axis=0))[1] == 1


def test_what_has_no_shape_is_refused_or_kept_as_empty():
    with pytest.raises(ValueError, match="The mask is empty"):
        features.shape_features(np.zeros((3, 8, 8), bool))
    with pytest.raises(ValueError, match="bool"):
        features.largest_part(np.ones((3, 8, 8)))
    with pytest.raises(ValueError, match="volume"):
        features.shape_features(np.ones((8, 8), bool))
    tiny = np.zeros((3, 8, 8), bool)
    tiny[1, 3:5, 3:5] = True
    with pytest.raises(ValueError, match="4 pixels"):
        features.radii(tiny[1])
    masks = {"none": np.zeros((3, 8, 8), bool), "tiny": tiny}
    table = features.features_table({"drawn": (masks.get, ["none", "tiny"], 2)}).set_index("patient")
    assert table["trainings"].tolist() == [2, 2] and table["empty"].tolist() == [True, False]
    assert table["tumour_px"].tolist() == [0, 4]
    assert table.loc["none", list(features.FEATURES)].isna().all()
    assert np.isnan(table.loc["tiny", "asd"]) and table.loc["tiny", "bevr"] > 0
