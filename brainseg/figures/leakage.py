"""Figures of what leaks from slice to slice: copied masks, the design of the comparison, and what the leak is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from brainseg.experiments.leakage import FARTHEST
from brainseg.figures.style import COLOURS, OKABE_ITO, new_figure, outline, outline_legend, show_slice

ARM_COLOURS = {"copy": COLOURS["no tumour"], "honest": OKABE_ITO["blue"], "leaky": OKABE_ITO["vermillion"]}
ARM_NAMES = {"copy": "copied mask, no network", "honest": "honest network", "leaky": "leaky network"}


def copied(source: np.ndarray, source_mask: np.ndarray, target: np.ndarray, truth: np.ndarray, dice: float) -> Figure:
    """A training slice with its mask, and the test slice beside it with that mask and its own.

    Parameters
    ----------
    source, target : uint8 arrays (H, W, 3)
    source_mask, truth : bool arrays (H, W)
    dice : float
        Of the copied mask on the target.
    """
    figure, (left, right) = new_figure(1, 2, height=4.6)
    show_slice(left, source, "training slice")
    outline(left, source_mask, COLOURS["prediction"])
    show_slice(right, target, f"test slice: Dice {dice:.2f}")
    outline(right, truth, COLOURS["truth"])
    outline(right, source_mask, COLOURS["prediction"])
    outline_legend(figure, {"truth": COLOURS["truth"], "copied mask": COLOURS["prediction"]})
    return figure


def copies(by_distance: pd.DataFrame) -> Figure:
    """Dice of a copied mask against the distance to its source: one faint line per patient, and their mean.

    Parameters
    ----------
    by_distance : DataFrame
        From `brainseg.experiments.leakage.copies_by_distance`.
    """
    figure, ax = new_figure(height=4.2)
    for _, patient in by_distance.groupby("patient"):
        ax.plot(patient["distance"], patient["dice"], color=ARM_COLOURS["copy"], alpha=0.5, linewidth=0.8)
    mean = by_distance.groupby("distance")["dice"].mean()
    ax.plot(mean.index, mean, "D-", color="black", linewidth=2, markersize=6)
    for distance, value in mean.items():
        ax.text(distance, value + 0.035, f"{value:.2f}", ha="center", fontsize=10, fontweight="bold")
    ax.set(xlabel="distance between the slices, in slices", ylabel="Dice of the copied mask", ylim=(-0.02, 1.02))
    ax.set_xticks(mean.index)
    handles = [
        Line2D([], [], color=ARM_COLOURS["copy"], label="one patient"),
        Line2D([], [], color="black", marker="D", linewidth=2, label="mean over patients"),
    ]
    ax.legend(handles=handles, loc="upper right")
    return figure


def blocks(design: pd.DataFrame, most: int = 8) -> Figure:
    """The probe patients as strips, one cell per slice: test blocks and leaked blocks, tumour slices in full colour.

    Parameters
    ----------
    design : DataFrame
        From `brainseg.experiments.leakage.design`.
    most : int
        So many patients are drawn; the first ones.
    """
    probes = design[design["role"].isin(["test", "leaked"])]
    names = probes["patient"].drop_duplicates().tolist()[:most]
    figure, ax = new_figure(height=1.5 + 0.42 * len(names))
    colours = {"test": COLOURS["test"], "leaked": ARM_COLOURS["leaky"]}
    for row, name in enumerate(names):
        own = probes[probes["patient"] == name]
        cells = [
            to_rgba(colours[role], 1 if tumour else 0.3)
            for role, tumour in zip(own["role"], own["tumour_px"] > 0, strict=False)
        ]
        ax.bar(own["slice"], 0.8, width=0.9, bottom=row - 0.4, color=cells)
    ax.set_yticks(range(len(names)), [f"probe {row + 1}" for row in range(len(names))])
    ax.set(xlabel="slice of the volume", ylim=(len(names) - 0.4, -0.6))
    ax.grid(visible=False)
    handles = [
        Patch(color=colours["test"], label="tested in both arms"),
        Patch(color=colours["leaked"], label="leaked: trains the leaky arm only"),
        Patch(color=to_rgba("black", 0.3), label="pale: no tumour"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def arms(by_arm: pd.DataFrame, score: str) -> Figure:
    """One line per patient from the honest network to the leaky one, the copy beside them; means as diamonds.

    Parameters
    ----------
    by_arm : DataFrame
        From `brainseg.experiments.leakage.paired`: one row per patient, one column per arm.
    score : str
        What the axis says.
    """
    figure, ax = new_figure(height=4.6)
    order = list(ARM_NAMES)
    for _, row in by_arm.iterrows():
        ax.plot([1, 2], [row["honest"], row["leaky"]], color="#B0B0B0", linewidth=1, zorder=1)
    for position, arm in enumerate(order):
        ax.scatter([position] * len(by_arm), by_arm[arm], color=ARM_COLOURS[arm], alpha=0.7, s=30, linewidths=0)
        mean = by_arm[arm].mean()
        beside = position + (0.1 if arm == "leaky" else -0.1)
        ax.scatter(beside, mean, marker="D", color="black", s=45)
        ax.text(
            beside + (0.06 if arm == "leaky" else -0.06), mean, f"{mean:.2f}", va="center", fontsize=12,
            ha="left" if arm == "leaky" else "right",
        )  # fmt: skip
    ax.set(xlim=(-0.5, 2.5), ylim=(-0.02, 1.02), ylabel=score)
    ax.set_xticks(range(3), [ARM_NAMES[arm].replace(", ", ",\n") for arm in order])
    ax.grid(axis="x", visible=False)
    handles = [
        Line2D([], [], marker="o", color="#B0B0B0", markerfacecolor="grey", label="one patient, seeds averaged"),
        Line2D([], [], marker="D", linestyle="", color="black", label="mean over patients"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def distances(by_distance: pd.DataFrame) -> Figure:
    """Dice of tumour slices against the distance to the nearest leaked slice (left), and the gap of the arms (right).

    Parameters
    ----------
    by_distance : DataFrame
        From `brainseg.experiments.leakage.by_distance`.
    """
    figure, (left, right) = new_figure(1, 2, height=4.4, width_ratios=(1.25, 1))
    for arm, name in ARM_NAMES.items():
        own = by_distance[by_distance["arm"] == arm]
        style = {"copy": "s:", "honest": "o--", "leaky": "D-"}[arm]
        left.plot(own["distance"], own["dice"], style, color=ARM_COLOURS[arm], linewidth=2, markersize=7, label=name)
    gap = by_distance[by_distance["arm"] == "gap"]
    error = [gap["dice"] - gap["low"], gap["high"] - gap["dice"]]
    right.errorbar(gap["distance"], gap["dice"], yerr=error, fmt="D", color="black", capsize=5)
    right.axhline(0, color=COLOURS["no tumour"], linestyle="--", linewidth=1.2)
    farthest = gap["distance"].max()
    labels = [
        f"{distance}{'+' if distance == FARTHEST else ''}\n{n}"
        for distance, n in zip(gap["distance"], gap["slices"], strict=False)
    ]
    for ax in (left, right):
        ax.set_xticks(gap["distance"], labels)
        ax.set(xlabel="slices to the leaked one;\nbelow: tumour slices", xlim=(0.5, farthest + 0.5))
        ax.grid(axis="x", visible=False)
    left.set(ylabel="Dice of tumour slices", ylim=(-0.02, 1.02))
    right.set(ylabel="leaky minus honest")
    figure.legend(loc="outside lower center", ncols=3)
    return figure
