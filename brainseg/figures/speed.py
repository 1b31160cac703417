"""Figures of the measured speeds: networks, settings that were tried, where a step's time goes, growth."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, PercentFormatter

from brainseg.figures.style import COLOURS, OKABE_ITO, new_figure
from brainseg.networks.recipe import MODEL_NAMES

STEPS = {
    "check": ("checking the files", OKABE_ITO["black"], "s"),
    "prepare": ("preparing", OKABE_ITO["orange"], "o"),
    "train": ("an epoch of training", OKABE_ITO["blue"], "D"),
    "evaluate": ("predicting and scoring", OKABE_ITO["bluish green"], "^"),
}
"""A step of a growing cohort -> how it is written, its colour and its mark."""


def networks(speeds: pd.DataFrame) -> Figure:
    """Slices a second of each network, training on the left and prediction on the right.

    Parameters
    ----------
    speeds : DataFrame
        From `brainseg.experiments.speed.network_speeds`: ``network, task, median, low, high``.
    """
    names = list(speeds["network"].unique())
    figure, axes = new_figure(1, 2, height=1.3 + 0.42 * len(names), sharey=True)
    for ax, task in zip(axes, ("training", "prediction"), strict=True):
        part = speeds[speeds["task"] == task].set_index("network").loc[names]
        rows = np.arange(len(names))
        error = [part["median"] - part["low"], part["high"] - part["median"]]
        ax.barh(rows, part["median"], color=[COLOURS.get(name, "#8C8C8C") for name in names], height=0.6)
        ax.errorbar(part["median"], rows, xerr=error, fmt="none", color="black", capsize=4)
        ax.set(title=task, xlabel="slices a second")
        ax.grid(axis="y", visible=False)
    axes[0].set_yticks(rows, [_network(name) for name in names])
    axes[0].invert_yaxis()
    return figure


def settings(ratios: pd.DataFrame) -> Figure:
    """What each setting does to the speed: a ratio to the study's own setting, a dot for each task.

    Parameters
    ----------
    ratios : DataFrame
        From `brainseg.experiments.speed.setting_ratios`: ``setting, task, median, low, high``.
    """
    names = list(ratios["setting"].unique())
    figure, ax = new_figure(height=1.4 + 0.4 * len(names))
    for shift, (task, colour, mark) in zip(
        (-0.13, 0.13),
        (("training", COLOURS["unet"], "o"), ("prediction", COLOURS["prediction"], "D")),
        strict=True,
    ):
        part = ratios[ratios["task"] == task].set_index("setting").loc[names]
        error = [part["median"] - part["low"], part["high"] - part["median"]]
        ax.errorbar(
            part["median"], np.arange(len(names)) + shift, xerr=error, fmt=mark, color=colour, capsize=3, label=task
        )
    ax.axvline(1, color="black", linestyle="--", linewidth=1)
    ax.set_yticks(range(len(names)), [fill(name, 26) for name in names])
    ax.invert_yaxis()
    ax.set(xlabel="ratio to the study's setting", xlim=(0, None))
    ax.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def operations(shares: pd.DataFrame) -> Figure:
    """Where the time of a training step goes: one bar a network, one part a kind of operation.

    Parameters
    ----------
    shares : DataFrame
        From `brainseg.experiments.speed.operation_shares`: kinds as rows, networks as columns, each summing to 1.
    """
    figure, ax = new_figure(height=1.9 + 0.5 * shares.shape[1])
    colours = [*OKABE_ITO.values(), "#8C8C8C"]
    left = np.zeros(shares.shape[1])
    for (kind, row), colour in zip(shares.iterrows(), colours, strict=False):
        ax.barh(range(len(row)), row, left=left, height=0.6, color=colour, label=kind, edgecolor="white", linewidth=0.5)
        left += row.to_numpy()
    ax.set_yticks(range(shares.shape[1]), [_network(name) for name in shares])
    ax.invert_yaxis()
    ax.set(xlim=(0, 1), xlabel="share of the time of all operations in a training step")
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def growth(table: pd.DataFrame) -> Figure:
    """Time a slice (left) and memory (right) of each step, against the size of the cohort; level is as good as it gets.

    Parameters
    ----------
    table : DataFrame
        From `brainseg.experiments.speed.growth`.
    """
    figure, axes = new_figure(1, 2, height=4.2, sharex=True)
    for ax, what, title in zip(axes, ("time", "memory"), ("time a slice", "memory"), strict=True):
        for step, (label, colour, mark) in STEPS.items():
            part = table[table["step"] == step]
            error = [part[what] - part[f"{what}_low"], part[f"{what}_high"] - part[what]]
            ax.errorbar(
                part["factor"], part[what], yerr=error, marker=mark, color=colour, capsize=3,
                label=label if what == "time" else None,
            )  # fmt: skip
        ax.axhline(1, color="black", linestyle="--", linewidth=1)
        ax.set(xscale="log", ylim=(0, None), title=title, xlabel="patients, as a multiple")
        ax.xaxis.set_major_locator(FixedLocator(sorted(table["factor"].unique())))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set(ylabel="ratio to the smallest cohort")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _network(name: str) -> str:
    return MODEL_NAMES.get(name, name.replace("plain PyTorch loop", "U-Net,\nplain PyTorch loop").replace(
        "segmentation_models_pytorch", "U-Net of\nsegmentation_models"))  # fmt: skip
