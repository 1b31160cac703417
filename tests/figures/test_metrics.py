"""Figures of the metrics chapter: what they draw is what was counted."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from brainseg.figures import metrics as draw

TRUTH = np.zeros((4, 4), bool)
TRUTH[1:3, 1:3] = True
SHIFTED = np.roll(TRUTH, 1, axis=1)


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_every_cell_is_named_and_counted():
    figure = draw.counted_cells(TRUTH, {"shifted": SHIFTED, "same": TRUTH})
    first, second = figure.axes
    words = [text.get_text() for text in first.texts]
    assert {word: words.count(word) for word in ("TP", "FP", "FN", "TN")} == {"TP": 2, "FP": 2, "FN": 2, "TN": 10}
    at = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in first.texts}
    assert (at[1, 1], at[1, 2], at[1, 3], at[0, 0]) == ("FN", "TP", "FP", "TN")
    assert (
        "TP 2, FP 2, FN 2" in first.get_xlabel()
        and "IoU 0.33" in first.get_xlabel()
        and "Dice 0.50" in first.get_xlabel()
    )
    assert "IoU 1.00" in second.get_xlabel()


def test_points_lie_on_the_curve():
    figure = draw.dice_against_iou({"a third": 1 / 3})
    (point,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(point.get_xydata(), [[1 / 3, 0.5]])


def test_smoothing_curves_start_at_one_and_halve_at_s():
    figure = draw.smoothing_on_empty((1, 100), marked_px=40)
    for line, smooth in zip(figure.axes[0].lines, (1, 100), strict=False):
        x, y = line.get_data()
        assert y[0] == 1 and y[list(x).index(smooth)] == 0.5


def test_conventions_mark_every_score():
    scores = pd.DataFrame({"per slice": [0.9, 0.4], "per volume": [0.8, 0.6]}, index=["good", "poor"])
    figure = draw.conventions(scores)
    marks = {tuple(line.get_xdata()) for line in figure.axes[0].lines}
    assert marks == {(0.9, 0.4), (0.8, 0.6)}


def test_baselines_write_every_number():
    scores = pd.DataFrame({"nothing": [0.99, 0.0], "everything": [0.01, 0.02]}, index=["accuracy", "Dice"])
    assert texts(draw.baselines(scores)) == ["0.990", "0.000", "0.010", "0.020"]


@pytest.mark.parametrize("n", [1, 2, 300])
def test_one_pixel_takes_few_and_many_slices(n):
    area = np.geomspace(5, 5000, n) if n > 1 else np.array([40.0])
    figure = draw.one_pixel(area, {"larger": area / 6000, "smaller": area / 7000})
    assert isinstance(figure, Figure) and len(figure.axes[0].lines) == 4


def test_same_dice_shows_each_prediction_with_its_note():
    figure = draw.same_dice(np.zeros((8, 8, 3), np.uint8), np.eye(8) > 0, {"a": np.eye(8) > 0}, {"a": "Dice 1"})
    assert figure.axes[0].get_title() == "a\nDice 1"


def test_no_text_is_below_ten_points():
    scores = pd.DataFrame({"nothing": [0.99, 0.0]}, index=["accuracy", "Dice"])
    for figure in (
        draw.counted_cells(TRUTH, {"x": SHIFTED}),
        draw.baselines(scores),
        draw.conventions(scores),
    ):
        for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")):
            assert text.get_fontsize() >= 10
