"""Figures of the training chapters: what they draw is what they were given."""

from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

from brainseg.figures import training
from brainseg.figures.style import COLOURS
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


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
    record = SimpleNamespace(history=history, best_epoch=2, recipe=Recipe(model="resunet"), validation_dice=0.6)
    left, right = training.learning_curves(record).axes
    assert list(left.lines[0].get_ydata()) == [3, 2, 1]
    assert list(right.lines[0].get_ydata()) == [0.1, 0.6, 0.5]
    assert list(right.lines[1].get_xdata()) == [2, 2]
    assert texts(right) == ["kept: epoch 2, 0.600"]
    assert right.get_ylabel() == "Dice per patient, mean"
    assert left.lines[0].get_color() == COLOURS["resunet"]
    record.validation_dice = None
    (alone,) = training.learning_curves(record).axes
    assert list(alone.lines[0].get_ydata()) == [3, 2, 1]


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


def test_predictions_stand_beside_the_truth(tiny_cohort_once):
    prepared = prepare(tiny_cohort_once, Preprocessing(image_size=32))
    rows = np.flatnonzero(prepared.table["tumour_px"])[:2]
    masks = np.stack([np.zeros((256, 256), bool), np.ones((256, 256), bool)])
    figure = training.predictions(prepared, rows, masks)
    panels = np.reshape(figure.axes[:8], (2, 4))
    areas = [int(px) for px in prepared.table["tumour_px"].iloc[rows]]
    assert [row[0].get_title() for row in panels] == [f"{px:,} px tumour" for px in areas]
    assert [int(row[1].images[0].get_array().sum()) for row in panels] == areas
    assert [int(row[2].images[0].get_array().sum()) for row in panels] == [0, 256 * 256]
    assert legend(figure) == ["truth", "prediction"]


def test_without_a_slice_a_sentence_is_drawn():
    for figure in (
        training.augmentation(*[np.zeros((0, 8, 8, 3))] * 4),
        training.predictions(None, np.array([], int), np.zeros((0, 256, 256), bool)),
    ):
        (ax,) = figure.axes
        assert "with tumour" in texts(ax)[0] and not ax.patches and not ax.collections
