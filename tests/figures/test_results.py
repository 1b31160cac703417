"""Figures of the training chapters and of the results: what they draw is what they were given."""

import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from brainseg.figures import results, training
from brainseg.figures.style import COLOURS, MODEL_NAMES

IMAGES = [np.full((8, 8, 3), level, np.uint8) for level in (10, 20)]
TRUTHS = [np.eye(8) > 0, np.zeros((8, 8), bool)]
MASKS = [np.zeros((8, 8), bool), np.ones((8, 8), bool)]


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def slices(model="unet", tumour_px=(0, 0, 40, 400)) -> pd.DataFrame:
    """Four slices: quiet, a false alarm of 7 pixels, and two with tumour."""
    rows = {"tumour_px": tumour_px, "dice": [np.nan, np.nan, 0.25, 0.75], "fp": [0, 7, 3, 3]}
    return pd.DataFrame(rows).assign(model=model)


def test_a_message_is_a_figure():
    assert texts(training.message("nothing here").axes[0]) == ["nothing here"]


def test_a_network_has_a_block_per_drawn_layer_and_its_legend():
    image = keras.Input((16, 16, 3))
    x = keras.layers.MaxPooling2D(2)(keras.layers.Conv2D(4, 3, padding="same")(image))
    x = keras.layers.Activation("relu")(keras.layers.Conv2D(8, 3, padding="same")(x))  # not drawn
    figure = training.network(keras.Model(image, keras.layers.UpSampling2D(2)(x)))
    (ax,) = figure.axes
    assert [patch.get_height() for patch in ax.patches] == [5, 4, 4, 5]  # log2 of the side, plus one
    widths = [patch.get_width() for patch in ax.patches]
    assert widths == pytest.approx([0.35 * 3, 0.35 * 3, 0.35 * 4, 0.35 * 4])
    assert texts(ax) == ["16", "8", "16"]
    assert legend(figure) == ["convolution", "max pooling", "upsampling"]


def test_learning_curves_mark_the_epoch_that_is_kept():
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "validation_dice": [0.1, 0.6, 0.5]})
    left, right = training.learning_curves(history, best_epoch=2).axes
    assert list(left.lines[0].get_ydata()) == [3, 2, 1]
    assert list(right.lines[0].get_ydata()) == [0.1, 0.6, 0.5]
    assert list(right.lines[1].get_xdata()) == [2, 2]
    assert texts(right) == ["kept: epoch 2, 0.600"]
    assert right.get_ylabel() == "Dice per patient, mean"


def test_augmentation_puts_prepared_over_augmented():
    images, masks = np.zeros((3, 8, 8, 3), np.float32), np.zeros((3, 8, 8, 1), np.float32)
    masks[:, 2:4, 2:4] = 1
    figure = training.augmentation(images, masks, images + 0.5, np.zeros_like(masks))
    assert [ax.get_title() for ax in figure.axes] == ["prepared"] * 3 + ["augmented"] * 3
    assert [float(ax.images[0].get_array().max()) for ax in figure.axes] == [0] * 3 + [0.5] * 3
    assert [len(ax.collections[-1].get_segments()) for ax in figure.axes] == [8] * 3 + [0] * 3


def test_bars_are_as_long_as_their_numbers():
    (ax,) = training.bars(pd.Series({"one": 0.25, "other": 0.5}), "score").axes
    assert [bar.get_width() for bar in ax.patches] == [0.25, 0.5]
    assert texts(ax) == ["0.250", "0.500"] and ax.get_xlabel() == "score"


def test_predictions_stand_beside_the_truth():
    figure = training.predictions(IMAGES, TRUTHS, MASKS, ["first", "second"])
    panels = np.reshape(figure.axes[:8], (2, 4))
    assert [row[0].get_title() for row in panels] == ["first", "second"]
    assert [int(row[1].images[0].get_array().sum()) for row in panels] == [8, 0]
    assert [int(row[2].images[0].get_array().sum()) for row in panels] == [0, 64]
    assert legend(figure) == ["truth", "prediction"]


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
    assert texts(ax) == ["0.50", "0.50"]
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
    (ax,) = figure.axes
    assert [cloud.get_offsets().tolist() for cloud in ax.collections] == [[[40, 0.25], [400, 0.75]]] * 2
    assert [to_hex(cloud.get_facecolor()[0]) for cloud in ax.collections] == [
        COLOURS[name].lower() for name in ("unet", "resunet")
    ]


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
        (lambda: training.augmentation(*[np.zeros((0, 8, 8, 3))] * 4), "with tumour"),
        (lambda: training.predictions([], [], [], []), "with tumour"),
        (lambda: results.side_by_side([], [], {"unet": []}, []), "with tumour"),
        (lambda: results.dice_against_size(slices(tumour_px=0)), "with tumour"),
        (lambda: results.false_alarms(slices(tumour_px=9)), "without tumour"),
    ],
)
def test_an_empty_group_is_said_not_drawn(figure, word):
    (ax,) = figure().axes
    assert word in texts(ax)[0] and not ax.patches and not ax.collections
