"""Figures of the chapter on metrics: counted cells, curves of the formulas, one prediction under many scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

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
)
from brainseg.metrics import confusion, dice, iou

# What a pixel is, by (truth, prediction), and how its cell is drawn: background, and the text on it.
CELLS = {
    (True, True): ("TP", OKABE_ITO["bluish green"], "white"),
    (False, True): ("FP", OKABE_ITO["orange"], "black"),
    (True, False): ("FN", OKABE_ITO["sky blue"], "black"),
    (False, False): ("TN", "#F2F2F2", "#595959"),
}
MARKERS = "osD^vP"


def counted_cells(truth: np.ndarray, predictions: dict[str, np.ndarray]) -> Figure:
    """Draw small masks as cells that say what each pixel is, with the counts and both ratios below.

    `truth` and each prediction are bool, of one small 2D shape. The border of the truth is drawn in black.
    """
    figure, axes = slice_grid(1, len(predictions), captions=0.9)
    for ax, (name, prediction) in zip(axes[0], predictions.items(), strict=True):
        for (row, column), is_tumour in np.ndenumerate(truth):
            word, colour, ink = CELLS[bool(is_tumour), bool(prediction[row, column])]
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
            ax.text(column, row, word, ha="center", va="center", color=ink, fontsize=11, weight="bold")
        outline(ax, truth, "black", 2.5)
        height, width = truth.shape
        ax.set(xlim=(-0.6, width - 0.4), ylim=(height - 0.4, -0.6), aspect="equal", xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(False)
        counts = confusion(truth, prediction)
        ax.set_title(name)
        ax.set_xlabel(
            f"TP {counts.tp}, FP {counts.fp}, FN {counts.fn}\n"
            f"IoU {iou(counts, empty=np.nan):.2f}   Dice {dice(counts, empty=np.nan):.2f}"
        )
    return figure


def dice_against_iou(points: dict[str, float]) -> Figure:
    """The curve Dice = 2 IoU / (1 + IoU), with named IoU values on it and the gap between the two shaded."""
    figure, ax = new_figure(height=4.2)
    x = np.linspace(0, 1, 201)
    ax.fill_between(
        x, x, 2 * x / (1 + x), color=COLOURS["prediction"], alpha=0.25, linewidth=0, label="Dice is larger by this"
    )
    ax.plot(x, 2 * x / (1 + x), color=OKABE_ITO["blue"], linewidth=2.5, label="Dice = 2 IoU / (1 + IoU)")
    ax.plot(x, x, color="#595959", linestyle="--", label="equal")
    for name, value in points.items():
        on_curve = value, 2 * value / (1 + value)
        ax.plot(*on_curve, "o", color="black", markersize=8)
        ax.annotate(name, on_curve, (-10, 4), textcoords="offset points", ha="right")
    ax.set(xlabel="IoU", ylabel="Dice", xlim=(0, 1), ylim=(0, 1.05))
    ax.legend(loc="lower right")
    return figure


def smoothing_on_empty(smooths: tuple[float, ...], marked_px: int | None) -> Figure:
    """The smoothed Dice `s / (n + s)` of an empty mask against one of `n` pixels, for several `s`.

    It is drawn over `n`, which may be false alarms on an empty slice or a tumour that was missed. `marked_px`
    puts a line at a tumour's area, where it is given.
    """
    figure, ax = new_figure(height=4.2)
    wrong_px = np.arange(0, 3001)
    colours = [OKABE_ITO[name] for name in ("blue", "vermillion", "bluish green", "reddish purple")]
    for smooth, colour, style in zip(smooths, colours, ("-", "--", "-.", ":"), strict=False):
        ax.plot(wrong_px, smooth / (wrong_px + smooth), style, color=colour, linewidth=2.5, label=f"s = {smooth:g}")
    if marked_px is not None:
        ax.axvline(marked_px, color="#595959", linewidth=1)
        # The words go to the side of the line that has the room.
        side, shift = ("right", 0.9) if marked_px > 50 else ("left", 1.1)
        ax.text(marked_px * shift, 1.03, f"a tumour of {marked_px} pixels, all missed", ha=side, va="bottom")
    ax.set_xscale("symlog", linthresh=1)
    ax.set(
        xlabel="pixels that are wrong, where the other mask is empty",
        ylabel="smoothed Dice",
        xlim=(0, wrong_px[-1]),
        ylim=(0, 1.15),
        yticks=np.linspace(0, 1, 6),
    )
    ticks = [0, 1, 10, 100, 1000]
    ax.set_xticks(ticks, [f"{tick}" for tick in ticks])
    ax.legend(loc="lower left")
    return figure


def conventions(scores: pd.DataFrame) -> Figure:
    """One row per prediction, one mark per way of averaging: how far apart the scores of the same pixels lie.

    `scores` has the predictions as rows, the ways as columns, and Dice values in 0..1.
    """
    figure, ax = new_figure(height=1.2 + 0.8 * len(scores))
    rows = np.arange(len(scores))[::-1]
    ax.hlines(rows[:-1] - 0.5, 0, 1, color="#BFBFBF", linewidth=1)
    # A step down from mark to mark, so that equal scores do not hide each other.
    steps = np.linspace(0.3, -0.3, scores.shape[1])
    for (name, column), marker, colour, step in zip(scores.items(), MARKERS, OKABE_ITO.values(), steps, strict=False):
        ax.plot(
            column, rows + step, marker, color=colour, markersize=10, markeredgecolor="black", label=name, clip_on=False
        )
    ax.set_yticks(rows, scores.index)
    ax.set(xlabel="Dice", xlim=(0, 1), ylim=(-0.6, len(scores) - 0.4))
    ax.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def baselines(scores: pd.DataFrame) -> Figure:
    """One panel per trivial prediction, one bar per metric, with the numbers written out.

    `scores` has the metrics as rows, the predictions as columns, and values in 0..1. The last row is drawn in
    its own colour: it is the score that is not fooled.
    """
    figure, axes = new_figure(1, scores.shape[1], height=1.1 + 0.5 * len(scores), sharey=True, squeeze=False)
    rows = np.arange(len(scores))[::-1]
    colours = [OKABE_ITO["sky blue"]] * (len(scores) - 1) + [OKABE_ITO["vermillion"]]
    for ax, (name, column) in zip(axes[0], scores.items(), strict=True):
        ax.barh(rows, column, color=colours, height=0.7)
        for row, value in zip(rows, column, strict=True):
            inside = value > 0.7
            ax.text(
                value - 0.03 if inside else np.nan_to_num(value) + 0.03,
                row,
                "no value" if np.isnan(value) else f"{value:.3f}",
                va="center",
                ha="right" if inside else "left",
            )
        ax.set(title=name, xlim=(0, 1.02), xticks=[0, 0.5, 1], xlabel="score")
        ax.set_yticks(rows, scores.index)
        ax.grid(axis="y", visible=False)
    return figure


def one_pixel(area_px: np.ndarray, scores: dict[str, np.ndarray]) -> Figure:
    """Dice against tumour area on a log axis, one cloud per prediction; a line through the medians of area bins."""
    if not len(area_px):
        return nothing_to_show(NO_TUMOUR)
    figure, ax = new_figure(height=4.2)
    edges = np.geomspace(max(area_px.min(), 1), area_px.max() + 1, 9)
    for (name, values), marker, colour in zip(
        scores.items(), MARKERS, (OKABE_ITO["orange"], OKABE_ITO["blue"]), strict=False
    ):
        ax.plot(area_px, values, marker, color=colour, markersize=4, alpha=0.3, markeredgewidth=0)
        bins = pd.Series(values).groupby(np.digitize(area_px, edges)).median()
        centres = pd.Series(area_px).groupby(np.digitize(area_px, edges)).median()
        ax.plot(
            centres, bins, marker + "-", color=colour, markeredgecolor="black", markersize=8, linewidth=2, label=name
        )
    ax.set_xscale("log")
    ax.set(xlabel="tumour area on the slice, pixels", ylabel="Dice", ylim=(0, 1.02))
    ticks = [tick for tick in (1, 10, 100, 1000, 10000) if area_px.min() <= tick <= area_px.max()]
    ax.set_xticks(ticks, [f"{tick}" for tick in ticks])
    ax.legend(loc="lower right")
    return figure


def same_dice(
    image: np.ndarray, truth: np.ndarray, predictions: dict[str, np.ndarray], notes: dict[str, str]
) -> Figure:
    """The same slice for each prediction, with both outlines, enlarged around all masks.

    `notes` holds the scores written under each name.
    """
    rows, columns = np.nonzero(np.any([truth, *predictions.values()], axis=0))
    middle = np.array([[rows.min() + rows.max()], [columns.min() + columns.max()]]) / 2
    half = max(np.ptp(rows), np.ptp(columns)) / 2 + 10
    (top, bottom), (left, right) = middle + [-half, half]
    figure, axes = slice_grid(1, len(predictions), captions=0.9)
    for ax, (name, prediction) in zip(axes[0], predictions.items(), strict=True):
        show_slice(ax, image, f"{name}\n{notes[name]}")
        outline(ax, prediction, COLOURS["prediction"])
        outline(ax, truth, COLOURS["truth"])
        ax.set(xlim=(left, right), ylim=(bottom, top))
    outline_legend(figure, {"truth": COLOURS["truth"], "prediction": COLOURS["prediction"]})
    return figure
