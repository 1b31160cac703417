"""Figures of the chapter on cropping: the five steps, what is kept, what is lost, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from brainseg.cohort import FLAIR, read_image, read_mask
from brainseg.figures.style import (
    COLOURS,
    NO_TUMOUR,
    OKABE_ITO,
    new_figure,
    nothing_to_show,
    outline,
    outline_legend,
    show_slice,
    slice_grid,
    white,
)
from brainseg.images.crop import Box, CropStages, crop_and_resize

CROP_NAMES = {"none": "whole frame", "slice": "one box per slice (article)", "patient": "one box per patient (ours)"}
CROP_COLOURS = {"none": "#595959", "slice": OKABE_ITO["orange"], "patient": OKABE_ITO["blue"]}


def draw_box(ax: Axes, box: Box) -> None:
    """Draw a box along the edges of its pixels."""
    corner = (box.left - 0.5, box.top - 0.5)
    ax.add_patch(Rectangle(corner, box.width, box.height, fill=False, edgecolor=COLOURS["box"], linewidth=2))


def five_steps(stages: CropStages) -> Figure:
    """The article's five steps on one slice, in six panels; the last two show the contour, and the crop."""
    figure, axes = slice_grid(2, 3, captions=0.3)
    panels = axes.ravel()
    show_slice(panels[0], stages.image, "1  load")
    show_slice(panels[1], stages.enhanced, "2  CLAHE")
    show_slice(panels[2], stages.edges, "3  edges")
    show_slice(panels[3], stages.dilated, "4  dilate")
    show_slice(panels[4], stages.enhanced, "5  contour, extremes")
    show_slice(panels[5], stages.cropped, f"crop: {stages.box.height} × {stages.box.width}")
    if stages.found:
        panels[4].plot(*np.vstack([stages.contour, stages.contour[:1]]).T, color=OKABE_ITO["sky blue"], linewidth=1)
        panels[4].plot(*np.array(list(stages.extremes.values())).T, "o", color=OKABE_ITO["vermillion"], markersize=7)
    draw_box(panels[4], stages.box)
    # The frame's pixels are as large in the crop as in the slice, so that the cut is seen as a cut.
    height, width = stages.image.shape[:2]
    panels[5].set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    return figure


def dilation(parts: dict[str, np.ndarray]) -> Figure:
    """Small binary images side by side, pixel by pixel."""
    figure, axes = slice_grid(1, len(parts), captions=0.35)
    for ax, (name, part) in zip(axes[0], parts.items(), strict=True):
        show_slice(ax, part > 0, name)
    return figure


def kept_shares(shares: dict[str, np.ndarray]) -> Figure:
    """Histogram of the share of the frame that each way of cropping keeps, one panel per way, with the mean."""
    figure, axes = new_figure(len(shares), 1, height=1.9 * len(shares) + 0.4, sharex=True, squeeze=False)
    for ax, (crop, values) in zip(axes[:, 0], shares.items(), strict=True):
        ax.hist(values, bins=np.linspace(0, 1, 51), color=CROP_COLOURS[crop])
        ax.axvline(np.mean(values), color="black", linewidth=2, linestyle="--")
        ax.set(title=f"{CROP_NAMES[crop]}: {np.mean(values):.0%} on average", ylabel="slices", xlim=(0, 1.01))
    axes[-1, 0].set_xlabel("share of the frame that is kept")
    axes[-1, 0].xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return figure


def stretched(path: str) -> np.ndarray:
    """FLAIR of a slice with its grey levels stretched for display, float32 (H, W) in 0..1."""
    flair = read_image(path)[..., FLAIR]
    return np.clip(flair / white(flair), 0, 1).astype(np.float32)


def worst_slices(table: pd.DataFrame, worst: pd.DataFrame) -> Figure:
    """Slices with their box; the tumour inside it outlined, and the tumour outside it filled.

    Parameters
    ----------
    table : DataFrame
        The cohort's, with ``image_path, mask_path``.
    worst : DataFrame
        With ``row`` (of the table), ``canny, box, lost_px, kept``.
    """
    if worst.empty:
        return nothing_to_show(NO_TUMOUR)
    columns = min(3, len(worst))
    figure, axes = slice_grid(-(-len(worst) // columns), columns, captions=0.55)
    for ax in axes.ravel()[len(worst) :]:
        ax.set_axis_off()
    for ax, found in zip(axes.ravel(), worst.itertuples(), strict=False):
        box, mask = found.box, read_mask(table.loc[found.row, "mask_path"])
        title = f"Canny {found.canny[0]}, {found.canny[1]}\n{found.lost_px} px lost, {found.kept:.0%} kept"
        show_slice(ax, stretched(table.loc[found.row, "image_path"]), title)
        outside = np.ones_like(mask)
        outside[box.top : box.bottom, box.left : box.right] = False
        lost = np.zeros((*mask.shape, 4))
        lost[mask & outside] = to_rgba(COLOURS["tumour"], 0.85)
        ax.imshow(lost, interpolation="nearest")
        outline(ax, mask, width=1.2)
        draw_box(ax, box)
    outline_legend(figure, {"tumour": COLOURS["truth"], "lost": COLOURS["tumour"], "box": COLOURS["box"]})
    return figure


def neighbours(slices: pd.DataFrame, ways: Mapping[str, Sequence[Box]], size: int = 128) -> Figure:
    """Neighbouring slices in the first row; below, one row for each way of cropping and resizing them.

    Parameters
    ----------
    slices : DataFrame
        Rows of the cohort's table.
    ways : mapping
        The boxes of these slices by a name of `CROP_NAMES`.
    size : int
        Side of the resized slices in pixels.
    """
    figure, axes = slice_grid(1 + len(ways), len(slices), captions=0.3)
    for column, (path, number) in enumerate(zip(slices["image_path"], slices["slice"], strict=True)):
        plane = stretched(path)
        show_slice(axes[0, column], plane, f"slice {number}")
        for row, boxes in enumerate(ways.values(), start=1):
            show_slice(axes[row, column], crop_and_resize(plane, boxes[column], size))
    for row, crop in enumerate(ways, start=1):
        axes[row, 0].set_title(CROP_NAMES[crop], loc="left")
    return figure


def margin_sweep(sweep: pd.DataFrame, chosen_px: int) -> Figure:
    """Against the margin: tumour pixels lost (upper panel) and the share of the frame kept (lower panel).

    Parameters
    ----------
    sweep : DataFrame
        Indexed by margin in px, with the columns ``lost_px`` (all patients together) and ``kept`` (mean share).
    chosen_px : int
        Marked with a line.
    """
    figure, (above, below) = new_figure(2, 1, height=5.2, sharex=True)
    above.plot(sweep.index, sweep["lost_px"], "o-", color=COLOURS["tumour"], linewidth=2)
    above.set_yscale("symlog", linthresh=10)
    above.set(ylabel="tumour pixels lost", ylim=(-1, None))
    below.plot(sweep.index, sweep["kept"], "o-", color=CROP_COLOURS["patient"], linewidth=2)
    below.set(xlabel="margin (px, negative: into the head)", ylabel="share of frame kept", ylim=(0, 1.02))
    below.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    for ax in (above, below):
        ax.axvline(chosen_px, color="black", linestyle="--", linewidth=1.5)
    above.annotate(f" default: {chosen_px} px", (chosen_px, 0.9), xycoords=("data", "axes fraction"), fontsize=10)
    return figure


def round_trip(scores: pd.DataFrame) -> Figure:
    """Dice of a mask with itself after the way there and back, against the image size; one line per way of cropping.

    `scores` is indexed by image size in px, with a column for each of "none", "slice" and "patient".
    """
    if scores.isna().all(axis=None):
        return nothing_to_show(NO_TUMOUR)
    figure, ax = new_figure(height=4)
    for (crop, values), marker in zip(scores.items(), "osD", strict=False):
        ax.plot(
            scores.index,
            values,
            marker + "-",
            color=CROP_COLOURS[crop],
            linewidth=2,
            markersize=7,
            label=CROP_NAMES[crop],
        )
    ax.set(xlabel="image size (px)", ylabel="Dice after the round trip", xticks=list(scores.index), ylim=(None, 1.002))
    ax.legend(loc="lower right")
    return figure
