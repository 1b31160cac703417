"""Figures of networks that have met no real image: beside a threshold, and beside networks that have met some."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brainseg.cohort import FLAIR
from brainseg.evaluation.scores import summarise
from brainseg.experiments.exchange import ALL, ExchangeFindings
from brainseg.experiments.phantoms import OWN, dice_by_phantom, findings, in_order
from brainseg.experiments.synthetic import FLAT, MARGIN, MODEL, SOURCES
from brainseg.figures.results import effects
from brainseg.figures.style import (
    COLOURS,
    MARKERS,
    halo,
    new_figure,
    outline,
    outline_legend,
    show_slice,
    slice_grid,
    white,
    zoom_to_head,
)
from brainseg.images.preprocess import BRAIN_LEVEL
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.statistics import Answer

METHOD_COLOURS = {FLAT: COLOURS["no tumour"], **{model: COLOURS[model] for model in MODEL_NAMES}}


def simulated(
    images: Sequence[np.ndarray], truths: Sequence[np.ndarray], masks: Sequence[np.ndarray], titles: Sequence[str]
) -> Figure:
    """Slices of simulated patients on FLAIR, a column each: as they are, and with the truth and a threshold's mask.

    Parameters
    ----------
    images : sequence of uint8 arrays (H, W, 3)
    truths, masks : sequences of bool arrays (H, W)
    titles : sequence of str
    """
    figure, axes = slice_grid(2, len(images))
    for column, image, truth, mask, title in zip(axes.T, images, truths, masks, titles, strict=True):
        for ax, text in zip(column, ("", title), strict=True):
            show_slice(ax, image, text, vmax=white(image[..., FLAIR]))
        outline(column[1], truth, COLOURS["truth"])
        outline(column[1], mask, COLOURS["prediction"])
        zoom_to_head(column, image)
    outline_legend(figure, {"truth": COLOURS["truth"], "flat threshold": COLOURS["prediction"]})
    return figure


def phantoms(rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Slices of several phantoms on FLAIR with their outlines, a row each.

    Parameters
    ----------
    rows : sequence of tuple
        Of a phantom's slices, uint8 (n, H, W, 3), and their masks, bool (n, H, W).
    """
    figure, axes = slice_grid(len(rows), len(rows[0][0]), captions=0)
    for line, (images, masks) in zip(axes, rows, strict=True):
        for ax, image, mask in zip(line, images, masks, strict=True):
            show_slice(ax, image, vmax=white(image[..., FLAIR]))
            outline(ax, mask, COLOURS["truth"])
    return figure


def changes_in_dice(patients: pd.DataFrame, seed: int) -> Figure:
    """What other phantoms change, from the greatest loss to the greatest gain; in colour what is shown to differ.

    Parameters
    ----------
    patients : DataFrame
        From `brainseg.experiments.phantoms.score`.
    seed : int
        Of the bootstrap.
    """
    dice, found = dice_by_phantom(patients), in_order(findings(patients, seed))
    changes = [(each.difference.estimate, each.difference.low, each.difference.high) for each in found]
    return effects(
        pd.DataFrame(changes, index=[each.name for each in found], columns=["mean", "low", "high"]),
        dice.sub(dice[OWN], axis=0),
        [each.name for each in found if each.verdict.answer is Answer.DIFFERENCE],
        MARGIN,
        beyond="matters",
    )


def thresholds(tried: pd.DataFrame) -> Figure:
    """Mean Dice of phantom patients against the threshold, a line for each width of the rim; the best is marked.

    Parameters
    ----------
    tried : DataFrame
        From `brainseg.experiments.synthetic.try_thresholds`.
    """
    figure, ax = new_figure(height=3.8)
    mean = tried.groupby(["rim_px", "level"])["dice"].mean()
    dashes = ("-", "--", "-.", ":")
    for dash, (rim_px, line) in zip(dashes, mean.groupby(level="rim_px"), strict=False):
        levels = line.index.get_level_values("level")
        ax.plot(levels, line, dash, color="black", linewidth=1.6, label=f"{rim_px} px")
    (_, level), best = mean.idxmax(), mean.max()
    ax.plot(level, best, "D", color=COLOURS["tumour"], markersize=8, zorder=3)
    ax.annotate(f"{best:.2f}", (level, best), xytext=(8, 6), textcoords="offset points", fontsize=11)
    ax.set(
        xlabel=f"threshold (the brain's median lies at {BRAIN_LEVEL:g})",
        ylabel="mean Dice of phantom patients",
        ylim=(0, 1),
    )
    ax.legend(title="rim left out", loc="upper right")
    return figure


def methods(alone: pd.DataFrame, trained: pd.DataFrame) -> Figure:
    """A row a method: every patient as a dot, the mean with its interval. Rows with real patients have open dots.

    Parameters
    ----------
    alone, trained : DataFrame
        From `brainseg.experiments.synthetic.mean_dice`: networks without a real image and the threshold, and networks
        with real patients.
    """
    rows = [
        (model, source, trained_too, table[model].reindex(alone.index).dropna())
        for model in (FLAT, *MODEL_NAMES)
        for source, trained_too, table in zip(SOURCES, (False, True), (alone, trained), strict=True)
        if model in table
    ]
    figure, ax = new_figure(height=1.2 + 0.62 * len(rows))
    rng = np.random.default_rng(0)
    for row, (model, _, open_dots, dice) in enumerate(rows):
        colour, summary = METHOD_COLOURS[model], summarise(dice.rename("dice").to_frame())
        face = {"facecolors": "none", "edgecolors": colour} if open_dots else {"color": colour, "linewidths": 0}
        ax.scatter(dice, row + rng.uniform(-0.2, 0.2, len(dice)), s=18, alpha=0.45, **face)
        ends = [summary["low"], summary["high"]]
        ax.plot(ends, [row, row], color=colour, linewidth=4, solid_capstyle="butt", path_effects=halo(7))
        ax.plot(
            summary["mean"], row, "o", color="white" if open_dots else colour, markersize=9, markeredgewidth=2,
            markeredgecolor=colour if open_dots else "white",
        )  # fmt: skip
        ax.text(
            summary["mean"], row + 0.24, f"{summary['mean']:.2f}", ha="center", va="top", fontsize=12, weight="bold",
            path_effects=halo(4),
        )  # fmt: skip
    labels = [f"{MODEL_NAMES.get(model, model)}\n{source}" for model, source, *_ in rows]
    ax.set_yticks(range(len(rows)), labels, fontsize=11)
    ax.set(xlim=(-0.02, 1), ylim=(len(rows) - 0.35, -0.6), xlabel="Dice per patient, mean and 95 % interval")
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return figure


def patient_by_patient(alone: pd.DataFrame, trained: pd.DataFrame) -> Figure:
    """Dice without a real image against Dice with real patients, a mark a patient and network; tables as `methods`."""
    figure, ax = new_figure(height=5.2)
    ax.plot([0, 1], [0, 1], "--", color="black", linewidth=1)
    handles = []
    for model in MODEL_NAMES:
        if model not in alone or model not in trained:
            continue
        both = pd.DataFrame({"alone": alone[model], "real": trained[model]}).dropna()
        look = {"marker": MARKERS[model], "color": COLOURS[model]}
        ax.scatter(both["real"], both["alone"], s=30, alpha=0.6, linewidths=0, **look)
        handles.append(Line2D([], [], linestyle="", label=MODEL_NAMES[model], **look))
    ax.set(
        xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="Dice after real patients",
        ylabel="Dice after the phantom alone",
    )  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def exchange(found: ExchangeFindings) -> Figure:
    """Mean Dice against the number of real patients, a line a start, and the level of the phantom alone.

    A small mark is the mean of one draw of patients. The place where the line from drawn weights reaches that level is
    marked, if it does so between fewest and all.
    """
    figure, ax = new_figure(height=4.6)
    lines = {
        "from drawn weights": ("scratch", COLOURS["no tumour"], "s--", 0.97),
        "after the phantom": ("simulated", COLOURS[MODEL], "o-", 1.03),
    }
    counts = np.array([size.real_patients for size in found.sizes])
    for label, (start, colour, style, aside) in lines.items():
        intervals, draws = ([getattr(size, name) for size in found.sizes] for name in (start, f"{start}_by_draw"))
        for count, each in zip(counts * aside**2, draws, strict=True):
            if len(each) > 1:
                ax.plot([count] * len(each), each, style[0], color=colour, markersize=4, alpha=0.5)
        means, low, high = np.array(intervals).T
        # A hair to the side, so that no bar hides another.
        ax.errorbar(
            counts * aside, means, [means - low, high - means], fmt=style, color=colour, label=label, capsize=3,
            linewidth=1.8, elinewidth=1.2, markersize=7,
        )  # fmt: skip
    ax.axhspan(found.alone.low, found.alone.high, color=COLOURS[MODEL], alpha=0.12, linewidth=0)
    ax.axhline(found.alone.estimate, color=COLOURS[MODEL], linewidth=1.2, linestyle=":", label="the phantom alone")
    if 0 < (worth := found.worth.estimate) < np.inf:
        ax.plot(worth, found.alone.estimate, "D", color=COLOURS["tumour"], markersize=9, zorder=4)
        ax.annotate(
            f"{worth:.0f}", (worth, found.alone.estimate), xytext=(8, -16), textcoords="offset points", fontsize=12,
            weight="bold", path_effects=halo(4),
        )  # fmt: skip
    ax.set_xscale("log")
    labels = [f"all {size.real_patients:.0f}" if size.given == ALL else size.given for size in found.sizes]
    ax.set_xticks(counts, labels)
    ax.minorticks_off()
    ax.set(ylim=(0, 1), xlabel="real patients in training", ylabel="mean Dice per patient")
    ax.legend(loc="lower right")
    return figure
