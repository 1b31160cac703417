"""Figures of the chapter on the article's claims: arms, and one prediction scored in every way."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from brainseg.figures.style import COLOURS, new_figure, outline, show_slice, slice_grid


def arms_of_a_slice(images: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray]) -> Figure:
    """One slice as the network sees it in every arm, three in a row, with the tumour's outline.

    Parameters
    ----------
    images : mapping of arm to uint8 array (S, S, 3)
    masks : mapping of arm to bool array (S, S)
    """
    rows = -(-len(images) // 3)
    figure, axes = slice_grid(rows, 3)
    for ax in axes.flat[len(images) :]:
        ax.set_axis_off()
    for ax, (arm, image) in zip(axes.flat, images.items(), strict=False):
        show_slice(ax, image, arm)
        outline(ax, masks[arm])
    return figure


def by_brightness(mean_flair: np.ndarray, difference: np.ndarray) -> Figure:
    """What CLAHE gained on each patient, against how bright the patient's FLAIR slices are (0..255)."""
    figure, ax = new_figure(height=3.6)
    ax.axhline(0, color="black", linewidth=1)
    ax.scatter(mean_flair, difference, s=40, alpha=0.7, linewidths=0, color=COLOURS["tumour"])
    ax.set(xlabel="mean grey level of the patient's FLAIR slices (0 to 255)", ylabel="gain in Dice per volume")
    return figure


def conventions(scores: pd.DataFrame, honest: tuple[str, ...]) -> Figure:
    """Predictions (columns) by conventions (rows) as shaded cells with their numbers; the honest rows framed.

    Parameters
    ----------
    scores : DataFrame of floats 0..1
        The honest conventions last.
    honest : names of the last rows
    """
    figure, ax = new_figure(height=1.6 + 0.42 * len(scores))
    ax.imshow(scores.to_numpy(), cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for (row, column), value in np.ndenumerate(scores.to_numpy()):
        words = "-" if np.isnan(value) else f"{value:.2f}"
        ax.text(column, row, words, ha="center", va="center", fontsize=11, color="white" if value > 0.65 else "black")
    first = len(scores) - len(honest) - 0.5
    ax.axhline(first, color=COLOURS["tumour"], linewidth=2.5)
    ax.xaxis.tick_top()
    ax.set_xticks(range(len(scores.columns)), list(scores), rotation=35, ha="left", rotation_mode="anchor")
    ax.set_yticks(range(len(scores)), list(scores.index))
    for label in ax.get_yticklabels()[-len(honest) :]:
        label.set(color=COLOURS["tumour"], weight="bold")
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return figure


def inflation(scores: pd.Series, honest: tuple[str, ...]) -> Figure:
    """One set of predictions by every convention, sorted, each score written at its bar; honest bars in colour."""
    scores = scores.sort_values(ascending=False)
    colours = [COLOURS["tumour"] if name in honest else COLOURS["no tumour"] for name in scores.index]
    figure, ax = new_figure(height=1.2 + 0.36 * len(scores))
    ax.barh(range(len(scores)), scores, color=colours, height=0.68)
    for row, value in enumerate(scores):
        ax.text(value + 0.01, row, f"{value:.2f}", va="center", fontsize=11)
    ax.set_yticks(range(len(scores)), list(scores.index))
    for label in ax.get_yticklabels():
        if label.get_text() in honest:
            label.set(color=COLOURS["tumour"], weight="bold")
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.1), xlabel="score of the same predictions")
    ax.grid(axis="y", visible=False)
    handles = [
        Patch(color=COLOURS["tumour"], label="reported in this book"),
        Patch(color=COLOURS["no tumour"], label="also found in the wild"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
