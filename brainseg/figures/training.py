"""Figures of the training chapters: a network drawn layer by layer, its learning curves, its first predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from brainseg.cohort import FLAIR, read_image
from brainseg.figures.style import (
    COLOURS,
    OKABE_ITO,
    new_figure,
    outline,
    outline_legend,
    show_slice,
    slice_grid,
    white,
    zoom_to_head,
)

if TYPE_CHECKING:
    import keras

    from brainseg.images.prepared import Prepared
    from brainseg.networks.record import RunRecord

_BLOCKS = {
    "Conv2D": ("convolution", OKABE_ITO["sky blue"]),
    "Conv2DTranspose": ("transposed convolution", OKABE_ITO["orange"]),
    "MaxPooling2D": ("max pooling", OKABE_ITO["reddish purple"]),
    "UpSampling2D": ("upsampling", OKABE_ITO["yellow"]),
    "Concatenate": ("bridge joined on", OKABE_ITO["bluish green"]),
    "Add": ("shortcut added", "#8C8C8C"),
}


def message(text: str) -> Figure:
    """A figure that says why there is nothing to draw, so that its number and caption stay in place."""
    figure, ax = new_figure(height=1.2)
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
    ax.set_axis_off()
    return figure


def network(model: keras.Model) -> Figure:
    """Draw a network from left to right: one block per layer, as high as its maps are, as wide as it has channels."""
    figure, ax = new_figure(height=3.8)
    position, seen, previous = 0.0, {}, None
    for layer in model.layers:
        kind = type(layer).__name__
        if kind not in _BLOCKS:
            continue
        side, channels = layer.output.shape[1], layer.output.shape[3]
        height, width = np.log2(side) + 1, 0.35 * (np.log2(channels) + 1)
        name, colour = _BLOCKS[kind]
        if previous not in (None, side):
            position += 0.8
        ax.add_patch(
            Rectangle((position, -height / 2), width, height, facecolor=colour, edgecolor="black", linewidth=0.8)
        )
        if previous != side:
            ax.text(position, height / 2 + 0.15, f"{side}", fontsize=10)
        seen.setdefault(name, colour)
        position += width + 0.15
        previous = side
    tallest = max(layer.output.shape[1] for layer in model.layers if type(layer).__name__ in _BLOCKS)
    top = np.log2(tallest) / 2 + 1.6
    ax.set(xlim=(-0.5, position + 0.5), ylim=(-top + 0.6, top))
    ax.set_axis_off()
    handles = [Rectangle((0, 0), 1, 1, facecolor=colour, edgecolor="black") for colour in seen.values()]
    figure.legend(handles, list(seen), loc="outside lower center", ncols=min(len(seen), 3))
    return figure


def learning_curves(record: RunRecord) -> Figure:
    """Training loss and validation Dice by epoch, the kept epoch marked; the loss alone where nobody validated."""
    history, best_epoch, colour = record.history, record.best_epoch, COLOURS[record.recipe.model]
    validated = record.validation_dice is not None
    figure, axes = new_figure(1, 1 + validated, height=3.4)
    left, *rest = np.atleast_1d(axes)
    left.plot(history["epoch"], history["loss"], color=colour, marker="o", markersize=3)
    left.set(xlabel="epoch", ylabel="training loss", title="What is minimised")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not validated:
        return figure
    (right,) = rest
    right.plot(history["epoch"], history["validation_dice"], color=colour, marker="o", markersize=3)
    best = history.loc[history["epoch"] == best_epoch, "validation_dice"].iloc[0]
    right.axvline(best_epoch, color="black", linestyle=":", linewidth=1)
    # Low down, where no curve of a training that learnt anything comes.
    late = best_epoch > history["epoch"].max() / 2
    right.annotate(
        f"kept: epoch {best_epoch}, {best:.3f}",
        (best_epoch, 0.04),
        xytext=(-6 if late else 6, 0),
        textcoords="offset points",
        ha="right" if late else "left",
        fontsize=10,
    )
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set(xlabel="epoch", ylabel="Dice per patient, mean", ylim=(0, 1), title="What is selected on (validation)")
    return figure


def augmentation(images: np.ndarray, masks: np.ndarray, changed: np.ndarray, changed_masks: np.ndarray) -> Figure:
    """Slices as prepared in the upper row, as augmented in the lower one, each with its true outline.

    Parameters
    ----------
    images, changed : float32 arrays (n, size, size, 3) in [0, 1]
    masks, changed_masks : float32 arrays (n, size, size, 1) in [0, 1]
    """
    if len(images) == 0:
        return message("There is no slice with tumour to show.")
    figure, axes = slice_grid(2, len(images))
    for row, pictures, outlines, title in ((0, images, masks, "prepared"), (1, changed, changed_masks, "augmented")):
        for ax, picture, mask in zip(axes[row], pictures, outlines, strict=True):
            show_slice(ax, picture, title)
            outline(ax, mask[..., 0] >= 0.5)
    return figure


def bars(values: pd.Series, xlabel: str, colour: str = COLOURS["unet"]) -> Figure:
    """Horizontal bars of a few named numbers between 0 and 1, each written beside its bar."""
    figure, ax = new_figure(height=0.6 + 0.5 * len(values))
    ax.barh(list(values.index), values, color=colour, height=0.6)
    for row, value in enumerate(values):
        ax.text(value + 0.01, row, f"{value:.3f}", va="center", fontsize=10)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.08), xlabel=xlabel)
    ax.grid(axis="y", visible=False)
    return figure


def predictions(prepared: Prepared, rows: np.ndarray, masks: np.ndarray, titles: Sequence[str] | None = None) -> Figure:
    """One row per slice: input, true mask, prediction, and both outlines on the input.

    Parameters
    ----------
    prepared : Prepared
    rows : ndarray of int (n,)
        Row numbers in the prepared table.
    masks : ndarray, bool (n, 256, 256)
        Predicted.
    titles : sequence of str, optional
        Written over the first panel of each row: the area of the tumour, unless told.
    """
    if len(rows) == 0:
        return message("There is no slice with tumour to show.")
    slices = prepared.table.iloc[rows]
    if titles is None:
        titles = [f"{px:,} px tumour" for px in slices["tumour_px"]]
    figure, axes = slice_grid(len(rows), 4)
    for panels, path, truth, mask, title in zip(
        axes, slices["image_path"], prepared.truth(rows), masks, titles, strict=True
    ):
        image = read_image(path)
        show_slice(panels[0], image, title, vmax=white(image[..., FLAIR]))
        show_slice(panels[1], truth, "truth")
        show_slice(panels[2], mask, "prediction")
        show_slice(panels[3], image, "both", vmax=white(image[..., FLAIR]))
        zoom_to_head(panels, image)
        outline(panels[3], truth, COLOURS["truth"])
        outline(panels[3], mask, COLOURS["prediction"])
    outline_legend(figure, {"truth": COLOURS["truth"], "prediction": COLOURS["prediction"]})
    return figure
