"""Figures of what leaks from slice to slice: copied masks, the design of the comparison, and what the leak is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from brainseg.experiments.leakage import FARTHEST, IMAGE_FREE, MARGIN, MOST, LeakFindings, arm_name, smallest_leak
from brainseg.figures.style import COLOURS, OKABE_ITO, new_figure, outline, outline_legend, show_slice

ARM_COLOURS = {
    "copy": COLOURS["no tumour"],
    "interpolation": OKABE_ITO["bluish green"],
    "honest": OKABE_ITO["blue"],
    "leak": OKABE_ITO["vermillion"],
}
WAYS = dict(zip(IMAGE_FREE, (":", "--"), strict=True))  # how their lines are dashed
ARM_NAMES = {"copy": "copied mask, no image", "interpolation": "drawn between two, no image"}


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


def turns(design: pd.DataFrame, most: int = 8) -> Figure:
    """The probe patients as strips, one cell per slice: tested, or the dose from which on it leaks; tumour in colour.

    Parameters
    ----------
    design : DataFrame
        From `brainseg.experiments.leakage.score`, of one fold and seed.
    most : int
        So many patients are drawn; the first ones.
    """
    names = design["patient"].drop_duplicates().tolist()[:most]
    figure, ax = new_figure(height=1.6 + 0.42 * len(names))
    for row, name in enumerate(names):
        own = design[design["patient"] == name]
        colours = [_turn_colour(turn, tumour) for turn, tumour in zip(own["turn"], own["tumour_px"] > 0, strict=True)]
        ax.bar(own["slice"], 0.8, width=0.9, bottom=row - 0.4, color=colours)
    ax.set_yticks(range(len(names)), [f"probe {row + 1}" for row in range(len(names))])
    ax.set(xlabel="slice of the volume", ylim=(len(names) - 0.4, -0.6))
    ax.grid(visible=False)
    handles = [
        Patch(color=_turn_colour(100, True), label="tested"),
        Patch(color=_turn_colour(25, True), label="leaks from a small dose on"),
        Patch(color=_turn_colour(MOST, True), label=f"leaks from {MOST} % on"),
        Patch(color=to_rgba("black", 0.25), label="pale: no tumour"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _turn_colour(turn: float, tumour: bool) -> tuple:
    """Tested slices in one colour; those that leak in another, the darker the earlier they do."""
    colour = COLOURS["test"] if turn > MOST else ARM_COLOURS["leak"]
    shade = 1 if turn > MOST else 1 - 0.6 * turn / MOST
    return to_rgba(colour, shade if tumour else 0.25 * shade)


def doses(by_arm: pd.DataFrame, found: LeakFindings, score: str) -> Figure:
    """Left: the mean of each dose beside the ways without an image, a line a patient. Right: what each dose gains.

    Parameters
    ----------
    by_arm : DataFrame
        From `brainseg.experiments.leakage.paired`: one row per patient, one column per arm.
    found : LeakFindings
    score : str
        What the axis says.
    """
    networks = [arm for arm in by_arm if arm not in IMAGE_FREE]
    figure, (left, right) = new_figure(1, 2, height=4.8, width_ratios=(1.25, 1))
    places = range(len(networks))
    for _, row in by_arm.iterrows():
        left.plot(places, row[networks], color="#B0B0B0", linewidth=0.6, alpha=0.6, zorder=1)
    means = by_arm[networks].mean()
    left.plot(places, means, "D-", color="black", markersize=7)
    for place, mean in zip(places, means, strict=True):
        left.annotate(f"{mean:.2f}", (place, mean), (0, 8), textcoords="offset points", ha="center", fontweight="bold")
    for way, dashes in WAYS.items():
        left.axhline(by_arm[way].mean(), color=ARM_COLOURS[way], linestyle=dashes, linewidth=2)
    left.set_xticks(places, networks)
    left.set(
        xlim=(-0.5, len(networks) - 0.5), ylim=(-0.02, 1.02), xlabel="share of the probes' slices that leak",
        ylabel=score,
    )  # fmt: skip

    gains = [*found.doses, *([found.control] if found.control else [])]
    for place, gain in enumerate(gains):
        shown = gain.difference
        reach = np.array([[shown.estimate - shown.low], [shown.high - shown.estimate]])
        right.errorbar(place, shown.estimate, reach, fmt="D", color="black", capsize=5)
    right.axhspan(-MARGIN, MARGIN, color=COLOURS["no tumour"], alpha=0.25, linewidth=0)
    right.axhline(0, color=COLOURS["no tumour"], linestyle="--", linewidth=1.2)
    right.set_xticks(range(len(gains)), [f"{gain.dose} %" for gain in gains])
    right.set(xlim=(-0.6, len(gains) - 0.4), xlabel="share that leaks", ylabel="gain over no leak")
    for ax in (left, right):
        ax.grid(axis="x", visible=False)
    handles = [
        Line2D([], [], color="#B0B0B0", label="one patient, seeds averaged"),
        Line2D([], [], marker="D", color="black", label="mean; right: with 95 % interval"),
        *(
            Line2D([], [], color=ARM_COLOURS[way], linestyle=dashes, linewidth=2, label=ARM_NAMES[way])
            for way, dashes in WAYS.items()
        ),
        Patch(color=COLOURS["no tumour"], alpha=0.25, label=f"within {MARGIN:g}: too small to matter"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def distances(by_distance: pd.DataFrame) -> Figure:
    """Dice of tumour slices against the distance to the nearest leaked slice (left), and what the leak gains (right).

    Parameters
    ----------
    by_distance : DataFrame
        From `brainseg.experiments.leakage.gap_by_distance`.
    """
    figure, (left, right) = new_figure(1, 2, height=4.4, width_ratios=(1.25, 1))
    dose = smallest_leak(by_distance)
    drawn = {
        arm_name(0): ("o--", ARM_COLOURS["honest"], "network without a leak"),
        arm_name(dose): ("D-", ARM_COLOURS["leak"], f"network, {dose} % leaked"),
    }
    for arm, (style, colour, name) in drawn.items():
        own = by_distance[by_distance["arm"] == arm]
        left.plot(own["distance"], own["dice"], style, color=colour, linewidth=2, markersize=7, label=name)
    gap = by_distance[by_distance["arm"] == "gap"]
    error = [gap["dice"] - gap["low"], gap["high"] - gap["dice"]]
    right.errorbar(gap["distance"], gap["dice"], yerr=error, fmt="D", color="black", capsize=5)
    right.axhline(0, color=COLOURS["no tumour"], linestyle="--", linewidth=1.2)
    farthest = gap["distance"].max()
    labels = [
        f"{distance}{'+' if distance == FARTHEST else ''}\n{n}"
        for distance, n in zip(gap["distance"], gap["slices"], strict=True)
    ]
    for ax in (left, right):
        ax.set_xticks(gap["distance"], labels)
        ax.set(xlabel="slices to the leaked one;\nbelow: tumour slices", xlim=(0.5, farthest + 0.5))
        ax.grid(axis="x", visible=False)
    left.set(ylabel="Dice of tumour slices", ylim=(-0.02, 1.02))
    right.set(ylabel="with the leak minus without")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
