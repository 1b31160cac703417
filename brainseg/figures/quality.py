"""Figures on trust: agreement against Dice, and the reliability diagram."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from brainseg.figures.style import COLOURS, new_figure


def agreement(patients: pd.DataFrame, threshold: float) -> Figure:
    """Dice against the agreement of the looks, a dot a patient; `threshold` is where the warning begins."""
    figure, ax = new_figure(height=4.2)
    ax.scatter(patients["agreement"], patients["dice"], color=COLOURS["unet"], alpha=0.7, s=28)
    ax.axvline(threshold, color="black", linestyle="--", linewidth=1)
    ax.set(xlabel="agreement (Dice between the two looks)", ylabel="Dice of the volume")
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    return figure


def reliability(curve: pd.DataFrame) -> Figure:
    """Share of tumour against the probability that was said; a row a bin, ``probability, tumour``."""
    figure, ax = new_figure(height=4.2)
    ax.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1)
    ax.plot(curve["probability"], curve["tumour"], color=COLOURS["unet"], marker="o")
    ax.set(xlabel="probability that was said", ylabel="share that is tumour", xlim=(0, 1), ylim=(0, 1))
    return figure
