"""The figures of the chapters on contrast and cropping: what is drawn is what was given, in legible letters."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import write_slice
from matplotlib.figure import Figure
from matplotlib.text import Text

from brainseg.figures import contrast, crop
from brainseg.images.contrast import CONTRASTS, enhance
from brainseg.images.crop import Box, crop_stages


@pytest.fixture
def head():
    y, x = np.mgrid[:256, :256]
    image = np.where(((y - 130) / 90) ** 2 + ((x - 120) / 70) ** 2 < 1, 90 + x // 8, y % 3)
    return np.stack([image] * 3, axis=-1).astype(np.uint8)


@pytest.fixture
def lesion():
    mask = np.zeros((256, 256), bool)
    mask[100:120, 100:130] = True
    return mask


@pytest.fixture
def table(head, lesion, tmp_path):
    """A cohort's table of three slices, as far as the figures ask for it."""
    folder = tmp_path / "TEST_AA_0001_20000101"
    for number in (1, 2, 3):
        write_slice(folder, number, head, lesion)
    names = [f"{folder}/{folder.name}_{number}" for number in (1, 2, 3)]
    return pd.DataFrame(
        {"slice": [1, 2, 3], "image_path": [f"{n}.tif" for n in names], "mask_path": [f"{n}_mask.tif" for n in names]}
    )


def worst(*boxes) -> pd.DataFrame:
    return pd.DataFrame(
        {"row": range(len(boxes)), "box": boxes, "canny": [(50, 150)] * len(boxes), "lost_px": 9, "kept": 0.5}
    )


def every_figure(head, lesion, table):
    plane = head[..., 1]
    ring, air = np.roll(lesion, 40, axis=0), head[..., 0] < 3
    patients = pd.DataFrame(
        np.random.default_rng(0).random((5, 6)), columns=pd.MultiIndex.from_product([["cnr", "air"], CONTRASTS])
    )
    intervals = pd.DataFrame({"estimate": 0.5, "low": 0.4, "high": 0.7}, index=patients.columns)
    sweep = pd.DataFrame({"lost_px": [90, 0, 0], "kept": [0.4, 0.6, 0.8]}, index=[-20, 0, 4])
    box, counts = Box(20, 220, 40, 200), np.bincount(plane.ravel(), minlength=256)
    scores = pd.DataFrame({"none": [0.97, 1], "slice": [0.98, 1], "patient": [0.98, 1]}, index=[64, 256])
    return {
        "brightness": contrast.brightness(np.arange(90.0), {"darkest": 3.0, "median": 40.0}),
        "row": contrast.row_of_slices([plane] * 4, ["a"] * 4, [lesion] * 4),
        "histograms": contrast.with_histograms({name: enhance(plane, name) for name in CONTRASTS}),
        "curves": contrast.grey_level_curves({"unchanged": np.arange(256), "HE": np.arange(256)}, counts),
        "grid": contrast.clahe_grid(plane, [1, 4], [2, 8], lambda treated: f"{treated.mean():.0f}"),
        "regions": contrast.regions(plane, lesion, ring, air),
        "measures": contrast.paired_measures(patients, intervals, {"cnr": "ratio", "air": "noise"}),
        "steps": crop.five_steps(crop_stages(head)),
        "steps without a contour": crop.five_steps(crop_stages(np.zeros_like(head))),
        "dilation": crop.dilation({"one": plane, "two": plane}),
        "kept": crop.kept_shares({"slice": np.array([0.5, 1]), "patient": np.array([0.8, 0.8])}),
        "worst": crop.worst_slices(table, worst(box, box)),
        "neighbours": crop.neighbours(table, {"slice": [box] * 3, "patient": [box] * 3}),
        "sweep": crop.margin_sweep(sweep, 4),
        "round trip": crop.round_trip(scores),
    }


def test_every_figure_is_legible_and_closed(head, lesion, table):
    for name, figure in every_figure(head, lesion, table).items():
        assert isinstance(figure, Figure), name
        figure.canvas.draw()
        assert figure.get_figwidth() <= 8.01, name
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        small = [text.get_text() for text in texts if text.get_fontsize() < 10 and "$" not in text.get_text()]
        assert not small, (name, small)
    assert plt.get_fignums() == [], "an open figure would be shown twice by a notebook"


def test_a_box_is_drawn_along_the_edges_of_its_pixels():
    figure = plt.figure()
    crop.draw_box(figure.subplots(), Box(20, 220, 40, 200))
    (drawn,) = figure.axes[0].patches
    assert (drawn.get_x(), drawn.get_y(), drawn.get_width(), drawn.get_height()) == (39.5, 19.5, 160, 200)
    plt.close(figure)


def test_only_tumour_outside_the_box_is_filled(lesion, table):
    figure = crop.worst_slices(table, worst(Box(0, 110, 0, 256)))
    filled = figure.axes[0].images[1].get_array()[..., 3] > 0
    expected = lesion.copy()
    expected[:110] = False
    assert np.array_equal(filled, expected)
    assert figure.axes[0].get_title() == "Canny 50, 150\n9 px lost, 50% kept"


def test_neighbours_are_resized_from_their_own_boxes(table):
    boxes = [Box(0, 64, 0, 64), Box(100, 164, 90, 154), Box(0, 256, 0, 256)]
    figure = crop.neighbours(table, {"slice": boxes}, size=64)
    drawn = [ax.images[0].get_array() for ax in figure.axes]
    whole = crop.stretched(table.loc[0, "image_path"])
    assert np.array_equal(drawn[1], whole) and whole.dtype == np.float32 and whole.max() == 1
    assert np.array_equal(drawn[4], whole[100:164, 90:154])
    assert drawn[5].shape == (64, 64)
    assert figure.axes[1].get_title() == "slice 2"


def test_the_figures_do_not_change_what_they_are_given(head, lesion, table):
    before = head.copy(), lesion.copy()
    every_figure(head, lesion, table)
    assert np.array_equal(head, before[0]) and np.array_equal(lesion, before[1])
