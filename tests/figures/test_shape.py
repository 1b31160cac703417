"""Figures of the chapters on shape: what they draw is what they were given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from brainseg.experiments.shape_genomics import features
from brainseg.experiments.shape_genomics.analysis import CODES
from brainseg.figures import shape as draw

VOLUME = ((np.indices((7, 40, 40)).transpose(1, 2, 3, 0) - (3, 20, 20)) ** 2).sum(axis=-1) < 150
IMAGES = np.zeros((*VOLUME.shape, 3), np.uint8)
OUTLINE = features.radii(VOLUME[3])
SHAPES = pd.DataFrame({"source": "manual", "patient": list("abcd"), "asd": [1.0, 2, 3, 9], "bevr": 0.5, "mf": 0.1})


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def dots(ax) -> list[np.ndarray]:
    """The places of the dots of each cloud."""
    return [cloud.get_offsets() for cloud in ax.collections if isinstance(cloud, PathCollection)]


def test_drawn_shapes_carry_their_numbers():
    figure = draw.silhouettes({"disc": VOLUME[3]}, {"disc": {"asd": 0.25, "mf": 0.125}})
    assert figure.axes[0].get_title() == "disc\nASD 0.250\nMF 0.125"


def test_each_angle_has_its_band_and_all_pixels_their_dot():
    left, right = draw.angular_bins(IMAGES[3], OUTLINE).axes
    assert sum(map(len, dots(right))) == len(OUTLINE.points)
    assert len(left.lines) == 1 + features.BINS  # the centroid, and the cuts


def test_the_margin_is_drawn_before_and_after_smoothing():
    _, right = draw.margin_profile(IMAGES[3], OUTLINE).axes
    np.testing.assert_allclose(right.lines[0].get_ydata(), OUTLINE.distances)
    np.testing.assert_allclose(right.lines[1].get_ydata(), features.smoothed(OUTLINE.distances))


def test_the_ellipsoid_is_cut_in_every_slice_that_it_reaches():
    figure = draw.ellipsoid_slices(IMAGES, VOLUME, features.enclosing_ellipsoid(features.corners(VOLUME)), most=3)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["slice 1", "slice 4", "slice 7"]
    assert all(len(ax.collections) > 1 for ax in figure.axes[:3])  # mask and ellipsoid


def test_lines_follow_slices_and_pixels():
    (ax,) = draw.ratio_by_slices([1, 2], [0.5, 0.6]).axes
    assert ax.lines[0].get_ydata().tolist() == [0.5, 0.6]
    grids = pd.DataFrame({"shape": ["disc"] * 2 + ["star"] * 2, "width": [20, 40] * 2, "asd": [4, 3, 2, 1], "mf": 0})
    asd, mf = draw.by_pixels([20, 40], grids).axes
    assert [line.get_ydata().tolist() for line in asd.lines] == [[4, 3], [2, 1]]
    assert [tick.get_text() for tick in mf.get_xticklabels()] == ["20", "40"]


def test_patients_without_a_code_are_left_out_of_their_cluster():
    first, *_ = draw.by_cluster(SHAPES, pd.Series([1, 1, 2, np.nan], name="RNASeqCluster")).axes
    assert sorted(sorted(cloud[:, 1].tolist()) for cloud in dots(first)) == [[1, 2], [3]]
    assert "No patient has a code" in "".join(texts(draw.by_cluster(SHAPES, pd.Series(np.nan, range(4))).axes[0]))


def test_a_star_marks_what_stands_after_the_correction():
    rows = pd.DataFrame(
        {"code": "CNCluster", "feature": ["asd", "bevr", "mf"] * 2, "test": ["fisher"] * 3 + ["kruskal"] * 3,
         "p_value": [0.01, 0.5, 0.6, 0.02, 0.7, np.nan], "holm": [0.03, 1, 1, 0.06, 1, np.nan]}
    )  # fmt: skip
    by_split, by_ranks, _ = draw.heat_map(rows, CODES).axes
    assert texts(by_split) == ["0.0100 *", "0.5000", "0.6000"]
    assert texts(by_ranks)[:2] == ["0.0200", "0.7000"]


def test_shuffles_stand_beside_the_codes_as_they_are():
    (ax,) = draw.shuffles(np.array([[0.2, 0.04], [0.5, 0.3], [0.9, 0.8]]), smallest=0.001).axes
    assert sum(bar.get_height() for bar in ax.patches) == 3
    assert [line.get_xdata()[0] for line in ax.lines] == [0.001, 0.05]


def test_overlaps_stand_in_a_triangle():
    table = pd.DataFrame({"first": ["ACluster", "ACluster", "B"], "second": ["B", "C", "C"], "v": [0.25, 0.5, 0.75]})
    ax = draw.overlaps(table).axes[0]
    assert sorted(texts(ax)) == ["0.25", "0.50", "0.75"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["A", "B"]
    assert "no two" in "".join(texts(draw.overlaps(table[:0]).axes[0]))


def test_agreement_has_a_dot_a_patient_and_its_limits():
    other = SHAPES.assign(source="other", asd=[2.0, 2, 3, np.nan])
    agreement = pd.DataFrame(
        {"source": "other", "feature": ["asd", "bevr", "mf"], "icc": 0.5, "bias": 0.25, "low": -1.0, "high": 1.0}
    )
    figure = draw.bland_altman(pd.concat([SHAPES, other]), ["other", "nobody"], agreement)
    asd = figure.axes[0]
    assert dots(asd)[0].tolist() == [[1.5, 1], [2, 0], [3, 0]]
    assert {line.get_ydata()[0] for line in asd.lines} == {0.25, -1, 1} and asd.get_title() == "ASD, ICC 0.50"
    assert "Fewer than two" in "".join(texts(draw.bland_altman(SHAPES, ["nobody"], agreement).axes[0]))


def test_differences_of_effects_stand_beside_the_margin():
    effects = pd.DataFrame(
        {"source": "other", "feature": ["asd", "bevr", "mf"], "code": "CNCluster", "difference": [0.1, 0, -0.3],
         "low": -0.4, "high": 0.4}
    )  # fmt: skip
    axes = draw.effect_differences(effects, CODES, margin=0.07).axes
    assert [ax.lines[0].get_xdata()[0] for ax in axes] == [0.1, 0, -0.3]
    for ax in axes:
        (band,) = ax.patches
        assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((-0.07, 0.07))
    nothing = draw.effect_differences(effects[:0], CODES, margin=0.07)
    assert "Too few patients" in "".join(texts(nothing.axes[0]))


def test_aucs_have_their_intervals():
    rows = pd.DataFrame({"source": "manual", "score": ["asd", "all three"], "auc": [0.6, 0.7], "low": 0.5, "high": 0.9})
    (ax,) = draw.aucs(rows).axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["ASD alone", "all three, cross-validated"]
    assert ax.lines[0].get_xdata().tolist() == [0.6, 0.7]
    assert "Too few patients" in "".join(texts(draw.aucs(rows[:0]).axes[0]))
