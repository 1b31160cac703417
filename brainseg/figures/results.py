"""Figures of the results: models compared patient by patient, and slices with and without tumour apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from brainseg.cohort import FLAIR
from brainseg.evaluation.headline import Line
from brainseg.figures.style import (
    COLOURS,
    MARKERS,
    OKABE_ITO,
    halo,
    new_figure,
    outline,
    outline_legend,
    same_jitter,
    show_slice,
    slice_grid,
    white,
    zoom_to_head,
)
from brainseg.figures.training import message
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.results import CROSS_VALIDATED, TWO_READERS


def patient_dice(
    patients: Mapping[str, pd.DataFrame],
    summaries: Mapping[str, Mapping[str, float]],
) -> Figure:
    """One dot per patient and model, its per-volume Dice; the mean with its interval beside them.

    Parameters
    ----------
    patients : mapping of model name to DataFrame with ``dice``
    summaries : mapping of model name to a summary of `brainseg.evaluation.scores.summarise`
    """
    figure, ax = new_figure(height=4.6)
    rng = np.random.default_rng(0)
    for position, (name, table) in enumerate(patients.items()):
        summary, colour = summaries[name], COLOURS[name]
        spread = rng.uniform(-0.12, 0.12, len(table))
        ax.scatter(position - 0.12 + spread, table["dice"], color=colour, alpha=0.6, s=28, linewidths=0)
        error = [[summary["mean"] - summary["low"]], [summary["high"] - summary["mean"]]]
        ax.errorbar(position + 0.2, summary["mean"], yerr=error, fmt="D", color="black", markersize=6, capsize=5)
        ax.text(position + 0.27, summary["mean"], f"{summary['mean']:.3f}", va="center", fontsize=11)
    ax.set(ylim=(-0.02, 1.02), xlim=(-0.5, len(patients) - 0.4), ylabel="Dice of a patient's volume")
    ax.set_xticks(range(len(patients)), [MODEL_NAMES[name] for name in patients])
    ax.grid(axis="x", visible=False)
    handles = [
        Line2D([], [], marker="o", linestyle="", color="grey", label="one patient"),
        Line2D([], [], marker="D", linestyle="", color="black", label="mean and 95 % bootstrap interval"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def paired_differences(differences: pd.DataFrame) -> Figure:
    """Mean difference in Dice between two models on the same patients, with its interval; zero is no difference.

    Parameters
    ----------
    differences : DataFrame
        On a label such as "U-Net minus FCN-32"; with ``mean, low, high``.
    """
    figure, ax = new_figure(height=1.2 + 0.5 * len(differences))
    rows = np.arange(len(differences))
    error = [differences["mean"] - differences["low"], differences["high"] - differences["mean"]]
    ax.errorbar(differences["mean"], rows, xerr=error, fmt="D", color="black", capsize=5)
    ax.axvline(0, color=COLOURS["tumour"], linestyle="--", linewidth=1.2)
    ax.set_yticks(rows, list(differences.index))
    ax.invert_yaxis()
    ax.set(xlabel="difference in per-volume Dice, mean over patients", ylim=(len(rows) - 0.5, -0.5))
    ax.locator_params(axis="x", nbins=6)  # labels with a sign and two digits are wide
    ax.grid(axis="y", visible=False)
    return figure


def effects(
    comparisons: pd.DataFrame, differences: pd.DataFrame, coloured: Collection[str], margin: float, beyond: str
) -> Figure:
    """What each effect changes: a dot per patient, the mean with its interval below the dots.

    Parameters
    ----------
    comparisons : DataFrame
        On the effect; with ``mean, low, high``. Drawn from top to bottom. What a name says in brackets stands on a
        line of its own.
    differences : DataFrame
        One row per patient, one column per effect.
    coloured : collection of str
        The effects whose rows are drawn in colour.
    margin : float
        To both sides of zero: what lies within is small.
    beyond : str
        What a change outside the margin is called, such as "great".
    """
    figure, ax = new_figure(height=1.6 + 0.8 * len(comparisons))
    rng = np.random.default_rng(0)
    for row, (name, effect) in enumerate(comparisons.iterrows()):
        colour = COLOURS["tumour"] if name in coloured else "#595959"
        spread = row - 0.22 + rng.uniform(-0.09, 0.09, len(differences))
        ax.scatter(differences[name], spread, s=22, alpha=0.55, linewidths=0, color=colour)
        error = [[effect["mean"] - effect["low"]], [effect["high"] - effect["mean"]]]
        ax.errorbar(effect["mean"], row + 0.1, xerr=error, fmt="D", color=colour, capsize=5, markersize=7, linewidth=2)
        beside = (1.01, row + 0.1)  # beside the axes, where no line crosses the number
        ax.text(
            *beside,
            f"{effect['mean']:+z.3f}",
            va="center",
            fontsize=11,
            color=colour,
            transform=ax.get_yaxis_transform(),
        )
    ax.axvline(0, color="black", linewidth=1)
    for side in (-margin, margin):
        ax.axvline(side, color=OKABE_ITO["bluish green"], linestyle="--", linewidth=1.5)
    ax.set_yticks(range(len(comparisons)), [name.replace(" (", "\n(") for name in comparisons.index])
    ax.set(ylim=(len(comparisons) - 0.4, -0.6), xlabel="difference in Dice")
    ax.locator_params(axis="x", nbins=6)
    ax.grid(axis="y", visible=False)
    handles = [
        Line2D([], [], marker="o", linestyle="", color="#595959", alpha=0.55, label="one patient"),
        Line2D([], [], marker="D", color="#595959", label="mean and 95 % interval"),
        Line2D([], [], linestyle="--", color=OKABE_ITO["bluish green"], label=f"{beyond} beyond these"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def side_by_side(
    images: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Mapping[str, Sequence[np.ndarray]],
    titles: Sequence[str],
) -> Figure:
    """One row per slice: the input, then the outlines of truth and prediction, a panel each.

    Parameters
    ----------
    images : sequence of uint8 arrays (H, W, 3)
    truths : sequence of bool arrays (H, W)
    predictions : mapping to sequences of bool arrays (H, W)
        By model, or by what else stands above a panel.
    titles : sequence of str
    """
    if len(images) == 0:
        return message("There is no slice with tumour to show.")
    figure, axes = slice_grid(len(images), 1 + len(predictions))
    for row, (image, truth, title) in enumerate(zip(images, truths, titles, strict=True)):
        show_slice(axes[row, 0], image, title, vmax=white(image[..., FLAIR]))
        for ax, (name, masks) in zip(axes[row, 1:], predictions.items(), strict=True):
            show_slice(ax, image, MODEL_NAMES.get(name, name), vmax=white(image[..., FLAIR]))
            outline(ax, truth, COLOURS["truth"])
            outline(ax, masks[row], COLOURS["prediction"])
        zoom_to_head(axes[row], image)
    outline_legend(figure, {"truth": COLOURS["truth"], "prediction": COLOURS["prediction"]})
    return figure


def dice_against_size(slices: pd.DataFrame) -> Figure:
    """Dice of each tumour slice against the size of its tumour, for one or more models (column ``model``)."""
    tumour = slices[slices["tumour_px"] > 0]
    if tumour.empty:
        return message("There is no slice with tumour to show.")
    figure, ax = new_figure(height=4.2)
    mixed = tumour.sample(frac=1, random_state=0)  # in order, the last network would cover the others
    ax.scatter(mixed["tumour_px"], mixed["dice"], s=14, alpha=0.45, linewidths=0, color=mixed["model"].map(COLOURS))
    ax.set(xscale="log", ylim=(-0.03, 1.03), xlabel="tumour in the slice, pixels", ylabel="Dice of the slice")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=COLOURS[name], label=MODEL_NAMES[name])
        for name in tumour["model"].unique()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def dice_against(values: pd.Series, patients: Mapping[str, pd.DataFrame], label: str) -> Figure:
    """Per-volume Dice of each patient against a value of the patient.

    Parameters
    ----------
    values : Series on the patients
    patients : mapping of model name to DataFrame with ``dice``, on the patients
    label : str
        Of the values' axis.
    """
    figure, ax = new_figure(height=4.2)
    for name, table in patients.items():
        ax.scatter(
            values,
            table["dice"].reindex(values.index),
            s=32,
            alpha=0.6,
            linewidths=0,
            color=COLOURS[name],
            marker=MARKERS[name],
            label=MODEL_NAMES[name],
        )
    ax.set(ylim=(-0.03, 1.03), xlabel=label, ylabel="Dice of a patient's volume")
    for handle in figure.legend(loc="outside lower center", ncols=3).legend_handles:
        handle.set_alpha(1)
    return figure


def false_alarms(slices: pd.DataFrame) -> Figure:
    """Slices without tumour: the share with a false alarm (left) and how large the alarms are (right), by model."""
    empty = slices[slices["tumour_px"] == 0]
    if empty.empty:
        return message("There is no slice without tumour to show.")
    names = list(dict.fromkeys(empty["model"]))
    figure, (left, right) = new_figure(1, 2, height=3.6)
    share = empty.assign(alarm=empty["fp"] > 0).groupby("model")["alarm"].mean().reindex(names)
    left.bar([MODEL_NAMES[n] for n in names], share, color=[COLOURS[n] for n in names], width=0.6)
    for position, value in enumerate(share):
        left.annotate(
            f"{value:.1%}", (position, value), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=10
        )
    left.set(ylim=(0, max(1.25 * share.max(), 0.02)), ylabel="empty slices with a false alarm")
    left.yaxis.set_major_formatter(PercentFormatter(1))
    left.grid(axis="x", visible=False)
    alarms = empty[empty["fp"] > 0].assign(name=lambda table: table["model"].map(MODEL_NAMES))
    if len(alarms):
        with same_jitter():
            sns.stripplot(
                alarms, x="name", y="fp", hue="model", palette={n: COLOURS[n] for n in names}, legend=False,
                order=[MODEL_NAMES[n] for n in names], size=4, alpha=0.6, ax=right,
            )  # fmt: skip
        right.set_yscale("log")
    right.set(xlabel="", ylabel="false pixels in an alarm")
    return figure


def rules(scores: pd.DataFrame) -> Figure:
    """The same predictions by several rules: one group of bars per rule (row), one bar per predictor (column)."""
    figure, ax = new_figure(height=0.9 + 0.75 * len(scores))
    rows = np.arange(len(scores))
    for shift, (name, colour) in zip(
        (-0.19, 0.19), zip(scores.columns, (COLOURS["resunet"], COLOURS["no tumour"]), strict=False), strict=False
    ):
        ax.barh(rows + shift, scores[name], height=0.36, color=colour, label=name)
        for row, value in zip(rows, scores[name], strict=True):
            ax.text(value + 0.01, row + shift, f"{value:.2f}", va="center", fontsize=10)
    ax.set_yticks(rows, list(scores.index))
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.1), xlabel="score")
    ax.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def headline(lines: Sequence[Line]) -> Figure:
    """The study in one picture: Dice per patient, its mean and interval, and what to hold it against.

    Parameters
    ----------
    lines : sequence of brainseg.evaluation.headline.Line
        One row each, from the top. The intervals of one patient, whose ends are NaN, are not drawn.
    """
    figure, ax = new_figure(height=1.6 + 0.62 * len(lines))
    rng = np.random.default_rng(0)
    ax.axvspan(*TWO_READERS, color="#D9D9D9", linewidth=0)
    ax.text(TWO_READERS[1] + 0.008, -0.62, "two readers", va="center", fontsize=11)
    ax.axvline(CROSS_VALIDATED, color="black", linestyle="--", linewidth=1)
    ax.text(TWO_READERS[0] - 0.008, -0.62, "published", ha="right", va="center", fontsize=11)
    for row, (name, patients, summary) in enumerate(lines):
        colour, dice = COLOURS[name], patients["dice"].dropna()
        ax.scatter(dice, row + rng.uniform(-0.2, 0.2, len(dice)), s=18, alpha=0.35, color=colour, linewidths=0)
        ends = [summary["low"], summary["high"]]
        ax.plot(ends, [row, row], color=colour, linewidth=4, solid_capstyle="butt", path_effects=halo(7))
        ax.plot(summary["mean"], row, "o", color=colour, markersize=9, markeredgecolor="white", markeredgewidth=1.5)
        ax.text(
            summary["mean"], row + 0.25, f"{summary['mean']:.3f}", ha="center", va="top", fontsize=13, weight="bold",
            path_effects=halo(4),
        )  # fmt: skip
    labels = [
        f"{MODEL_NAMES[name]}, {_folds(patients)}\n{summary['patients']} patients" for name, patients, summary in lines
    ]
    ax.set_yticks(range(len(lines)), labels, fontsize=12)
    ax.set(xlim=(-0.02, 1), ylim=(len(lines) - 0.35, -0.95), xlabel="Dice per patient, mean and 95 % interval")
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return figure


def _folds(patients: pd.DataFrame) -> str:
    folds = sorted(patients["fold"].unique())
    return f"fold {folds[0]}" if len(folds) == 1 else f"{len(folds)} folds"
