"""The steps by which the phantom was to come nearer to real patients, judged by the patients who may steer it.

``benchmarks/steer_phantom.py`` adds the rows: a network is trained on the changed phantom alone, and scored on the
development set of :mod:`brainseg.experiments.synthetic`.
"""

from __future__ import annotations

import pandas as pd

from brainseg.networks.recipe import MODEL_NAMES
from brainseg.results import read_csv, results_folder

_COLUMNS = {
    "change": "the phantom",
    "network": "network",
    "epochs": "epochs",
    "calibration_distance": "distance",
    "phantom_validation_dice": "Dice on its own patients",
    "mean": "on the development patients",
    "low": "from",
    "high": "to",
    "failed": "tumours not found",
}


def read_steps() -> pd.DataFrame:
    """The kept table ``phantom_steps``, to read: a row a step, the first is the phantom before all of them.

    The distance is that of ``benchmarks/calibrate_phantom.py``: 0 where the phantom's statistics are those of the
    development patients.
    """
    steps = read_csv(results_folder("phantom_steps.csv"))
    steps["network"] = steps["model"].map(MODEL_NAMES)
    return steps[list(_COLUMNS)].rename(columns=_COLUMNS)


def sentence(steps: pd.DataFrame) -> str:
    """Which step the rule takes, in Markdown; the table of :func:`read_steps`."""
    first, *others = steps["on the development patients"]
    better = [number for number, reached in enumerate(others, start=1) if reached > first]
    taken = "none of them was" if not better else f"step {', '.join(map(str, better))} was"
    return (
        f"The rule goes by the Dice on the development patients. Of the {len(others)} steps that were tried, {taken} "
        "above the phantom as it was."
    )
