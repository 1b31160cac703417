"""The figures of the measured speeds show what their tables hold."""

import pandas as pd
import pytest

from brainseg.experiments.speed import FACTORS
from brainseg.figures import speed as figures


def test_a_bar_is_a_median():
    speeds = pd.DataFrame(
        [
            {"network": name, "task": task, "median": value, "low": value - 1, "high": value + 2}
            for name, value in (("unet", 90.0), ("plain PyTorch loop", 50.0))
            for task in ("training", "prediction")
        ]
    )
    left, right = figures.networks(speeds).axes
    assert [bar.get_width() for bar in left.patches] == [90, 50]
    assert [label.get_text() for label in left.get_yticklabels()] == ["U-Net", "U-Net,\nplain PyTorch loop"]
    assert right.get_title() == "prediction"


def test_settings_stand_in_their_order():
    ratios = pd.DataFrame(
        [
            {"setting": name, "task": task, "median": 1.0, "low": 0.9, "high": 1.1}
            for task in ("training", "prediction")
            for name in ("as the study has it", "batches of 8")
        ]
    )
    (ax,) = figures.settings(ratios).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["as the study has it", "batches of 8"]


def test_the_parts_of_a_step_fill_its_bar():
    shares = pd.DataFrame({"unet": [0.75, 0.25], "fcn32": [1.0, 0.0]}, index=["convolution", "pooling"])
    (ax,) = figures.operations(shares).axes
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == pytest.approx([0.75, 1.0, 0.25, 0.0])


def test_growth_has_a_line_for_each_step():
    ones = {f"{what}{end}": 1.0 for what in ("time", "memory") for end in ("", "_low", "_high")}
    rows = [{"step": step, "factor": factor, **ones} for step in figures.STEPS for factor in FACTORS]
    figure = figures.growth(pd.DataFrame(rows))
    assert [len(ax.containers) for ax in figure.axes] == [4, 4]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [name for name, *_ in figures.STEPS.values()]
