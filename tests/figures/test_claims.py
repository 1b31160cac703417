"""Figures of the chapter on the claims: what they draw is what they were given."""

import numpy as np
import pandas as pd

from brainseg.figures import claims as draw
from brainseg.figures.style import COLOURS


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_every_arm_is_shown_with_its_outline():
    arms = ("one", "two", "three", "four")
    figure = draw.arms_of_a_slice(
        {arm: np.full((4, 4, 3), 9, np.uint8) for arm in arms},
        {arm: np.eye(4) > 2 if arm == "two" else np.eye(4) > 0 for arm in arms},
    )
    assert [ax.get_title() for ax in figure.axes] == [*arms, "", ""]
    assert [len(ax.collections[-1].get_segments()) for ax in figure.axes[:4]] == [16, 0, 16, 16]


def test_brightness_is_drawn_per_patient():
    (ax,) = draw.by_brightness(np.array([10.0, 40.0]), np.array([0.2, -0.1])).axes
    assert ax.collections[0].get_offsets().tolist() == [[10, 0.2], [40, -0.1]]


def test_conventions_write_every_score_and_mark_the_honest_rows():
    scores = pd.DataFrame({"net": [0.9, np.nan], "nothing": [0.6, 0.0]}, index=["wild", "honest"])
    (ax,) = draw.conventions(scores, ("honest",)).axes
    assert texts(ax) == ["0.90", "0.60", "-", "0.00"]
    assert [label.get_color() == COLOURS["tumour"] for label in ax.get_yticklabels()] == [False, True]
    assert ax.lines[0].get_ydata()[0] == 0.5


def test_inflation_is_sorted_and_marks_the_honest_bar():
    (ax,) = draw.inflation(pd.Series({"low": 0.2, "honest": 0.5, "high": 0.9}), ("honest",)).axes
    assert [bar.get_width() for bar in ax.patches] == [0.9, 0.5, 0.2]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["high", "honest", "low"]
    assert [label.get_color() == COLOURS["tumour"] for label in ax.get_yticklabels()] == [False, True, False]
    assert texts(ax) == ["0.90", "0.50", "0.20"]
