"""Figures of the chapter on contrast: dark slices, what equalisation does to them, and whether it helps."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brainseg.figures.style import (
    COLOURS,
    OKABE_ITO,
    new_figure,
    nothing_to_show,
    outline,
    outline_legend,
    show_slice,
    slice_grid,
)
from brainseg.images.contrast import CONTRAST_NAMES, clahe

TREATMENT_COLOURS = {"none": "#595959", "he": OKABE_ITO["orange"], "clahe": OKABE_ITO["blue"]}
AIR_COLOUR = OKABE_ITO["yellow"]


def brightness(means: np.ndarray, marked: dict[str, float]) -> Figure:
    """Histogram of the slices' mean grey level (0..255), with named values marked by lines."""
    figure, ax = new_figure(height=3.6)
    ax.hist(means, bins=60, color=COLOURS["no tumour"])
    for (name, value), colour in zip(marked.items(), (OKABE_ITO["vermillion"], OKABE_ITO["blue"]), strict=False):
        ax.axvline(value, color=colour, linewidth=2.5, label=f"{name}: {value:.1f}")
    ax.set(xlabel="mean grey level of the FLAIR channel (0 to 255)", ylabel="slices", xlim=(0, None))
    if marked:
        ax.legend()
    return figure


def row_of_slices(images: list[np.ndarray], titles: list[str], masks: list[np.ndarray] | None = None) -> Figure:
    """Slices (uint8, FLAIR plane or three channels) side by side on the scale 0 to 255, with outlines where given."""
    figure, axes = slice_grid(1, len(images), captions=0.55)
    for i, (ax, image, title) in enumerate(zip(axes[0], images, titles, strict=True)):
        show_slice(ax, image, title)
        if masks is not None:
            outline(ax, masks[i])
    return figure


def with_histograms(planes: dict[str, np.ndarray]) -> Figure:
    """Each treated plane (uint8, H x W), its histogram, and the cumulative share of pixels.

    `planes` maps "none", "he" or "clahe" to the plane.
    """
    figure, axes = new_figure(2, len(planes), height=4.3, squeeze=False, sharey="row", height_ratios=[1.3, 1])
    for column, (treatment, plane) in enumerate(planes.items()):
        show_slice(axes[0, column], plane, CONTRAST_NAMES[treatment])
        _histogram(axes[1, column], plane, TREATMENT_COLOURS[treatment])
        axes[1, column].set_xlabel("grey level")
    axes[1, 0].set_ylabel("share of pixels")
    return figure


def _histogram(ax: Axes, plane: np.ndarray, colour: str) -> None:
    """Share of pixels in bars of four grey levels, and the cumulative share as a line.

    The scale is that of square roots, so that the few bright levels stay visible beside the air.
    """
    shares = np.bincount(plane.ravel(), minlength=256) / plane.size
    ax.bar(
        np.arange(0, 256, 4),
        np.sqrt(shares.reshape(-1, 4).sum(axis=1)),
        width=4,
        align="edge",
        color=colour,
        linewidth=0,
    )
    ax.plot(np.arange(256), np.sqrt(np.cumsum(shares)), color="black", linewidth=1.5)
    ticks = np.array([0, 0.01, 0.1, 0.4, 1])
    ax.set_yticks(np.sqrt(ticks), [f"{tick:.0%}" for tick in ticks])
    ax.set(xlim=(0, 256), ylim=(0, 1.03), xticks=[0, 128, 255])


def grey_level_curves(curves: dict[str, np.ndarray], counts: np.ndarray) -> Figure:
    """Curves (256 values each) that map an old grey level to a new one, over the histogram they come from."""
    figure, ax = new_figure(height=3.8)
    last = int(np.flatnonzero(counts)[-1])
    ax.bar(np.arange(256), counts / counts[1:].max() * 255, width=1, color="#D9D9D9", label="histogram (not to scale)")
    for (name, curve), colour in zip(curves.items(), TREATMENT_COLOURS.values(), strict=False):
        ax.plot(curve, color=colour, linewidth=2.5, label=name)
    ax.set(xlabel="grey level before", ylabel="grey level after", xlim=(0, max(last * 1.1, 10)), ylim=(0, 260))
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def clahe_grid(plane: np.ndarray, clip_limits: list[float], tiles: list[int], caption) -> Figure:
    """CLAHE of one plane for each clip limit (columns) and number of tiles (rows).

    `caption` takes the treated plane and gives one line of text that is written above it.
    """
    figure, axes = slice_grid(len(tiles), len(clip_limits), captions=0.5)
    for row, number in enumerate(tiles):
        for column, limit in enumerate(clip_limits):
            treated = clahe(plane, limit, number)
            show_slice(axes[row, column], treated, f"clip {limit:g}, {number} × {number}\n{caption(treated)}")
            axes[row, column].title.set_fontsize(10)
    return figure


def regions(plane: np.ndarray, lesion: np.ndarray, ring: np.ndarray, air: np.ndarray) -> Figure:
    """The regions that the measures compare: lesion, ring of brain around it, and air, outlined on one plane."""
    figure, axes = slice_grid(1, 2, captions=0.45)
    colours = {
        "tumour": COLOURS["truth"],
        "ring of brain around it": OKABE_ITO["orange"],
        "head with a rim; air lies outside": AIR_COLOUR,
    }
    for ax, title in zip(axes[0], ("the slice", "what is compared"), strict=True):
        show_slice(ax, plane, title, vmax=max(float(np.percentile(plane, 99.8)), 1.0))
    for region, colour in zip((lesion, ring, ~air), colours.values(), strict=True):
        outline(axes[0, 1], region, colour)
    outline_legend(figure, colours)
    return figure


def paired_measures(patients: pd.DataFrame, intervals: pd.DataFrame, labels: dict[str, str]) -> Figure:
    """One panel per measure: one thin line per patient from treatment to treatment, the mean and its interval on top.

    Parameters
    ----------
    patients : DataFrame
        Columns (measure, treatment), one row per patient.
    intervals : DataFrame
        Indexed by (measure, treatment); columns ``estimate``, ``low``, ``high``.
    labels : dict of measure to the axis label
    """
    if patients.empty:
        return nothing_to_show("No slice with tumour could be measured, so there is nothing to draw.")
    figure, axes = new_figure(1, len(labels), height=4.4, squeeze=False)
    for ax, (measure, label) in zip(axes[0], labels.items(), strict=True):
        treatments = list(patients[measure].columns)
        places = np.arange(len(treatments))
        ax.plot(places, patients[measure].T.to_numpy(), color="#8C8C8C", alpha=0.35, linewidth=0.8)
        means = intervals.loc[measure].loc[treatments]
        spread = np.nan_to_num(np.abs(means[["low", "high"]].sub(means["estimate"], axis=0).to_numpy().T))
        for place, treatment in zip(places, treatments, strict=True):
            ax.errorbar(
                place,
                means["estimate"].iloc[place],
                spread[:, [place]],
                fmt="o",
                markersize=9,
                capsize=6,
                linewidth=2.5,
                color=TREATMENT_COLOURS[treatment],
                zorder=3,
            )
        ax.set_xticks(places, [CONTRAST_NAMES[treatment] for treatment in treatments])
        ax.set(title=textwrap.fill(label, 18), xlim=(-0.4, len(treatments) - 0.6))
        ax.grid(axis="x", visible=False)
    return figure
