"""Figures of the results: what they draw is what they were given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from brainseg.figures import results
from brainseg.figures.style import COLOURS
from brainseg.networks.recipe import MODEL_NAMES

IMAGES = [np.full((8, 8, 3), level, np.uint8) for level in (10, 20)]
TRUTHS = [np.eye(8) > 0, np.zeros((8, 8), bool)]


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def slices(model="unet", tumour_px=(0, 0, 40, 400)) -> pd.DataFrame:
    """Four slices: quiet, a false alarm of 7 pixels, and two with tumour."""
    rows = {"tumour_px": tumour_px, "dice": [np.nan, np.nan, 0.25, 0.75], "fp": [0, 7, 3, 3]}
    return pd.DataFrame(rows).assign(model=model)


def test_effects_stand_on_their_rows_with_a_dot_per_patient():
    table = pd.DataFrame(
        {"mean": [0.1, -0.2], "low": [0.0, -0.3], "high": [0.3, np.nan]}, index=["main", "other (here)"]
    )
    differences = pd.DataFrame({"other (here)": [-0.3, -0.1], "main": [0.0, 0.2]})
    figure = results.effects(table, differences, coloured=["main"], margin=0.05, beyond="great")
    (ax,) = figure.axes
    assert "great beyond these" in legend(figure)
    dots = [cloud.get_offsets()[:, 0].tolist() for cloud in ax.collections if len(cloud.get_offsets()) == 2]
    assert dots[0] == [0.0, 0.2] and [-0.3, -0.1] in dots
    assert texts(ax) == ["+0.100", "-0.200"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["main", "other\n(here)"]
    assert {line.get_xdata()[0] for line in ax.lines if line.get_xdata()[0] == line.get_xdata()[-1]} >= {0, 0.05, -0.05}


def test_patient_dice_draws_every_patient_and_the_mean():
    patients = {"unet": pd.DataFrame({"dice": [0.2, 0.8]}), "resunet": pd.DataFrame({"dice": [0.5]})}
    summaries = {
        "unet": {"mean": 0.5, "low": 0.2, "high": 0.8},
        "resunet": {"mean": 0.5, "low": np.nan, "high": np.nan},  # of one patient there is no interval
    }
    figure = results.patient_dice(patients, summaries)
    (ax,) = figure.axes
    drawn = [list(cloud.get_offsets()[:, 1]) for cloud in ax.collections if len(cloud.get_offsets()) > 0]
    assert [0.2, 0.8] in drawn and [0.5] in drawn
    assert texts(ax) == ["0.500", "0.500"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["U-Net", "ResUNet"]
    assert legend(figure) == ["one patient", "mean and 95 % bootstrap interval"]


def test_paired_differences_stand_on_their_rows():
    table = pd.DataFrame(
        {"mean": [0.1, -0.2], "low": [0.0, -0.3], "high": [0.3, 0.1]}, index=["a minus b", "a minus c"]
    )
    (ax,) = results.paired_differences(table).axes
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0.1, 0], [-0.2, 1]])
    bars = ax.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([bar[:, 0] for bar in bars], [[0.0, 0.3], [-0.3, 0.1]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a minus b", "a minus c"]


def test_side_by_side_outlines_truth_and_prediction_per_model():
    everything, nothing = np.ones((8, 8), bool), np.zeros((8, 8), bool)
    predictions = {"unet": [everything, nothing], "resunet": [nothing, nothing]}
    figure = results.side_by_side(IMAGES, TRUTHS, predictions, ["first", "second"])
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["first", "U-Net", "ResUNet", "second", "U-Net", "ResUNet"]
    edges = [len(ax.collections[-1].get_segments()) for ax in figure.axes if ax.collections]
    assert edges == [32, 0, 0, 0]  # the prediction is the outline drawn last


def test_dice_against_size_leaves_empty_slices_out():
    figure = results.dice_against_size(pd.concat([slices("unet"), slices("resunet")]))
    (cloud,) = figure.axes[0].collections
    drawn = sorted(
        (*place, to_hex(colour)) for place, colour in zip(cloud.get_offsets(), cloud.get_facecolor(), strict=True)
    )
    blue, green = sorted(COLOURS[name].lower() for name in ("unet", "resunet"))
    assert drawn == [(40, 0.25, blue), (40, 0.25, green), (400, 0.75, blue), (400, 0.75, green)]
    assert legend(figure) == ["U-Net", "ResUNet"]


def test_no_network_covers_the_others():
    many = pd.concat([slices("unet", [9] * 4)] * 20 + [slices("resunet", [9] * 4)] * 20)
    (cloud,) = results.dice_against_size(many).axes[0].collections
    later = [to_hex(colour) for colour in cloud.get_facecolor()[80:]]
    assert 0.25 < later.count(COLOURS["unet"].lower()) / len(later) < 0.75


def test_the_interval_of_the_headline_stands_on_the_dots():
    patients = pd.DataFrame({"dice": [0.2, 0.8], "fold": 0})
    (ax,) = results.headline([("unet", patients, {"mean": 0.5, "low": 0.3, "high": 0.7, "patients": 2})]).axes
    (bar,) = (line for line in ax.lines if list(line.get_xdata()) == [0.3, 0.7])
    assert bar.get_alpha() is None and bar.zorder > ax.collections[0].zorder


def test_dice_against_pairs_value_and_score_by_patient():
    values = pd.Series({"b": 0.6, "a": 0.9})
    figure = results.dice_against(
        values, {"unet": pd.DataFrame({"dice": [0.8, 0.1, 0.5]}, index=["a", "b", "c"])}, "value"
    )
    (ax,) = figure.axes
    assert ax.collections[0].get_offsets().tolist() == [[0.6, 0.1], [0.9, 0.8]]
    assert ax.get_xlabel() == "value" and [text.get_text() for text in figure.legends[0].get_texts()] == ["U-Net"]


def test_false_alarms_count_slices_without_tumour_only():
    left, right = results.false_alarms(slices()).axes
    assert [bar.get_height() for bar in left.patches] == [0.5]
    assert texts(left) == ["50.0%"]
    assert [cloud.get_offsets()[:, 1].tolist() for cloud in right.collections] == [[7]]
    assert [label.get_text() for label in left.get_xticklabels()] == [MODEL_NAMES["unet"]]


def test_no_false_alarm_at_all():
    left, right = results.false_alarms(slices().assign(fp=0)).axes
    assert texts(left) == ["0.0%"] and not right.collections


def test_rules_draw_both_predictors():
    scores = pd.DataFrame({"network": [0.9, 0.4], "nothing": [0.6, 0.0]}, index=["one rule", "another"])
    figure = results.rules(scores)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.9, 0.4, 0.6, 0.0]
    assert legend(figure) == ["network", "nothing"]


@pytest.mark.parametrize(
    ("figure", "word"),
    [
        (lambda: results.side_by_side([], [], {"unet": []}, []), "with tumour"),
        (lambda: results.dice_against_size(slices(tumour_px=0)), "with tumour"),
        (lambda: results.false_alarms(slices(tumour_px=9)), "without tumour"),
    ],
)
def test_an_empty_group_is_said_not_drawn(figure, word):
    (ax,) = figure().axes
    assert word in texts(ax)[0] and not ax.patches and not ax.collections


def test_alarms_are_scattered_alike_in_every_call_and_nobody_else_s_draws_change():
    slices = pd.DataFrame({"model": ["unet"] * 6, "tumour_px": 0, "fp": [3, 5, 8, 13, 21, 0]})

    def places():
        return results.false_alarms(slices).axes[1].collections[0].get_offsets().tolist()

    first = places()
    assert np.ptp([x for x, _ in first]) > 0
    np.random.uniform()  # noqa: NPY002
    assert places() == first
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.uniform(size=2).tolist()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    drawn = [np.random.uniform()]  # noqa: NPY002
    places()
    assert [*drawn, np.random.uniform()] == expected  # noqa: NPY002
