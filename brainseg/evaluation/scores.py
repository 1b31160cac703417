"""From tables of scores to the few numbers that a page prints. Needs no network, so no Keras."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainseg import metrics
from brainseg.cohort import FRAME

SIZE_EDGES_PX = (1, 200, 500, FRAME[0] * FRAME[1] + 1)
SIZE_NAMES = ("under 200 px", "200 to 499 px", "500 px and more")


def summarise(patients: pd.DataFrame, seed: int = 0) -> dict[str, float]:
    """Per-volume Dice over patients: mean with its 95 % bootstrap interval, median, worst.

    A patient without tumour and without prediction has no Dice and is left out; ``patients`` counts the others.
    """
    patients = patients[patients["dice"].notna()]
    mean = metrics.bootstrap_interval(patients["dice"].to_numpy(), seed=seed)
    return {
        "patients": len(patients),
        "mean": mean.estimate,
        "low": mean.low,
        "high": mean.high,
        "median": float(patients["dice"].median()),
        "worst": float(patients["dice"].min()),
    }


def summarise_by_size(slices: pd.DataFrame) -> pd.DataFrame:
    """Tumour slices by the size of the tumour: how many, mean and median Dice, how many were missed."""
    tumour = slices[slices["tumour_px"] > 0]
    size = pd.cut(tumour["tumour_px"], SIZE_EDGES_PX, right=False, labels=SIZE_NAMES)
    groups = tumour.assign(missed=tumour["tp"] == 0).groupby(size, observed=False)
    table = groups.agg(
        slices=("dice", "size"), mean_dice=("dice", "mean"), median_dice=("dice", "median"),
        tenth_percentile=("dice", lambda d: d.quantile(0.1)), missed=("missed", "sum"),
    )
    return table.rename_axis("tumour in the slice")


def summarise_empty(slices: pd.DataFrame) -> dict[str, float]:
    """Slices without tumour: share left clean, and false-positive pixels where they were not. Never a Dice."""
    empty = slices[slices["tumour_px"] == 0]
    alarms = empty.loc[empty["fp"] > 0, "fp"]
    return {
        "slices": len(empty),
        "left clean": float((empty["fp"] == 0).mean()) if len(empty) else np.nan,
        "median false pixels in an alarm": float(alarms.median()) if len(alarms) else 0.0,
        "most false pixels": int(alarms.max()) if len(alarms) else 0,
        "specificity of pixels": float(empty["tn"].sum() / (empty["tn"] + empty["fp"]).sum()) if len(empty) else np.nan,
    }
