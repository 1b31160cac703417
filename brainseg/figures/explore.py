"""Figures of chapter 1: what the cohort holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from brainseg.cohort import FLAIR, FRAME, SEQUENCES, read_image, read_mask
from brainseg.figures.style import (
    COLOURS,
    NO_TUMOUR,
    OKABE_ITO,
    new_figure,
    nothing_to_show,
    outline,
    show_slice,
    slice_grid,
    white,
)


def image_and_mask(image: np.ndarray, mask: np.ndarray) -> Figure:
    """A slice as the article shows it, its mask, and FLAIR with the mask's outline, scaled to the slice.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
    mask : ndarray of bool, shape (H, W)
    """
    figure, axes = slice_grid(1, 3)
    show_slice(axes[0, 0], image, "three channels as colours", sequence=None)
    show_slice(axes[0, 1], mask, "mask")
    show_slice(axes[0, 2], image, "FLAIR, mask outlined", vmax=white(image[..., FLAIR]))
    outline(axes[0, 2], mask)
    return figure


def three_sequences(
    image: np.ndarray, mask: np.ndarray, missing_pre: bool = False, missing_post: bool = False
) -> Figure:
    """The three channels of a slice apart, each scaled to itself, with the mask's outline; a missing one is named so.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
    mask : ndarray of bool, shape (H, W)
    missing_pre, missing_post : bool
        As in the slice table.
    """
    figure, axes = slice_grid(1, 3, captions=0.5)
    missing = (missing_pre, False, missing_post)
    for channel, ax in enumerate(axes[0]):
        state = "missing: a copy of FLAIR" if missing[channel] else "present"
        show_slice(ax, image, f"{SEQUENCES[channel]}\n{state}", channel, vmax=white(image[..., channel]))
        outline(ax, mask, width=1.2)
    return figure


def tumour_counts(table: pd.DataFrame) -> Figure:
    """Bars: slices without (0) and with tumour (1), as the article counts them."""
    tumour = table["tumour_px"] > 0
    counts = [int((~tumour).sum()), int(tumour.sum())]
    figure, ax = new_figure(height=3.2)
    bars = ax.barh(["0: no tumour", "1: tumour"], counts, color=[COLOURS["no tumour"], COLOURS["tumour"]])
    ax.bar_label(bars, [f"{count} ({count / len(table):.0%})" for count in counts], padding=5)
    ax.set(xlabel="slices", xlim=(0, max(counts) * 1.2))
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    return figure


def tumour_areas(table: pd.DataFrame) -> Figure:
    """Histogram of the tumour's area on the slices that have one, on a logarithmic scale; the median marked."""
    areas = table.loc[table["tumour_px"] > 0, "tumour_px"]
    if areas.empty:
        return nothing_to_show(NO_TUMOUR)
    median = areas.median()
    figure, ax = new_figure(height=4)
    bins = np.geomspace(max(areas.min() * 0.9, 1), areas.max() * 1.1, 25)
    ax.hist(areas, bins=bins, color=COLOURS["tumour"], edgecolor="white", linewidth=0.5)
    ax.axvline(median, color="black", linewidth=1.5)
    ax.annotate(
        f"median {median:.0f} px", (median, 1), xycoords=("data", "axes fraction"),
        xytext=(-6, -4), textcoords="offset points", ha="right", va="top",
    )  # fmt: skip
    ax.set(xscale="log", xlabel="tumour area (pixels)", ylabel="tumour slices")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    frame_px = FRAME[0] * FRAME[1]
    top = ax.secondary_xaxis("top", functions=(lambda px: px / frame_px, lambda share: share * frame_px))
    top.set_xlabel("share of the frame")
    top.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    return figure


def slices_per_patient(table: pd.DataFrame) -> Figure:
    """One bar per patient, by number of slices: how many without and with tumour."""
    counts = table.assign(tumour=table["tumour_px"] > 0).groupby("patient")["tumour"].agg(["size", "sum"])
    counts = counts.sort_values(["size", "sum"], ignore_index=True)
    figure, ax = new_figure(height=4)
    ax.bar(counts.index, counts["sum"], width=0.85, color=COLOURS["tumour"], label="with tumour")
    ax.bar(counts.index, counts["size"] - counts["sum"], 0.85, counts["sum"], color="#BFBFBF", label="without")
    ax.set(xlabel="patients, by number of slices", ylabel="slices", xticks=[], xlim=(-0.7, len(counts) - 0.3))
    ax.legend(loc="upper left")
    return figure


def tumour_frequency(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """How often each pixel of the frame is tumour, and a mean head to draw it on.

    Patients are counted, not slices: a patient with many slices weighs no more than one with few.

    Returns
    -------
    share : ndarray of float, shape (256, 256), 0 to 1
        The share of patients whose tumour covers the pixel on at least one slice.
    head : ndarray of float, shape (256, 256), 0 to 1
        The mean FLAIR of every patient's middle slice.
    """
    touched, head = np.zeros(FRAME), np.zeros(FRAME)
    patients = table.groupby("patient")
    for _, slices in patients:
        masks = [read_mask(path) for path in slices.loc[slices["tumour_px"] > 0, "mask_path"]]
        touched += np.any(masks, axis=0) if masks else 0
        head += read_image(slices["image_path"].iloc[len(slices) // 2])[..., FLAIR]
    return touched / patients.ngroups, head / max(head.max(), 1)


def tumour_places(table: pd.DataFrame, share: np.ndarray, head: np.ndarray) -> Figure:
    """Where tumours sit: a heat map of `tumour_frequency` in the frame, and their place along the stack of slices."""
    patients = table.groupby("patient")
    place = (patients.cumcount() + 0.5) / patients["slice"].transform("size")
    tenth = pd.cut(place, np.linspace(0, 1, 11), labels=False)
    along = (table["tumour_px"] > 0).groupby(tenth).mean()

    figure, (left, right) = new_figure(1, 2, height=4.2, width_ratios=(1.25, 1))
    show_slice(left, head, "in the frame")
    heat = left.imshow(np.ma.masked_equal(share, 0), cmap="inferno", vmin=0, alpha=np.where(share > 0, 0.85, 0))
    percent = PercentFormatter(1)
    figure.colorbar(heat, ax=left, shrink=0.85, label="patients with tumour there", format=percent)
    right.barh(along.index, along, height=0.9, color=COLOURS["tumour"])
    right.set(yticks=[0, 9], yticklabels=["first", "last"], xlabel="share of slices with tumour")
    right.set_title("along the stack, in tenths")
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.grid(visible=False, axis="y")
    return figure


def institutions(table: pd.DataFrame) -> Figure:
    """Patients per institution, and the mean brightness of each patient's FLAIR (0 to 255, the whole frame)."""
    patients = table.groupby("patient").agg(institution=("institution", "first"), brightness=("mean_flair", "mean"))
    order = patients["institution"].value_counts().index
    figure, (left, right) = new_figure(1, 2, height=0.5 * len(order) + 1.4, width_ratios=(1, 1.4), sharey=True)
    counts = patients["institution"].value_counts()
    bars = left.barh(counts.index, counts, color=OKABE_ITO["blue"])
    left.bar_label(bars, padding=4)
    left.set(xlabel="patients", ylabel="institution", xlim=(0, counts.max() * 1.2))
    left.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    left.grid(visible=False, axis="y")
    # Dots are moved up or down a little, by a fixed seed, so that they do not hide one another.
    heights = order.get_indexer(patients["institution"]) + np.random.default_rng(0).uniform(-0.25, 0.25, len(patients))
    right.scatter(patients["brightness"], heights, s=45, color=OKABE_ITO["blue"], alpha=0.6, linewidth=0)
    right.set(xlabel="mean FLAIR brightness per patient (0 to 255)", xlim=(0, None))
    right.tick_params(axis="y", left=False)
    left.invert_yaxis()
    return figure
