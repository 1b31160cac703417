"""The steps by which the phantom was to come nearer to real patients, judged by the patients who may steer it.

``benchmarks/steer_phantom.py`` adds the rows: a network is trained on the changed phantom alone, and scored on the
development set of :mod:`brainseg.experiments.synthetic`.
"""

from __future__ import annotations

import pandas as pd

from brainseg.networks.recipe import MODEL_NAMES
from brainseg.results import read_csv, results_folder

_COLUMNS = {
    "step": "step",
    "calibration_distance": "distance",
    "phantom_validation_dice": "own patients",
    "mean": "development patients",
    "low": "from",
    "high": "to",
    "failed": "not found",
}


def read_steps() -> pd.DataFrame:
    """The kept table ``phantom_steps``: a row a step, the first is the phantom before all of them."""
    return read_csv(results_folder("phantom_steps.csv")).rename_axis("step").reset_index()


def as_table(steps: pd.DataFrame) -> pd.DataFrame:
    """The numbers of :func:`read_steps`, to read.

    The distance is that of ``benchmarks/calibrate_phantom.py``: 0 where the phantom's statistics are those of the
    development patients.
    """
    return steps[list(_COLUMNS)].rename(columns=_COLUMNS)


def sentences(steps: pd.DataFrame) -> str:
    """What was changed in each step of :func:`read_steps`, and which one the rule takes, in Markdown."""
    listed = [
        f"- **Step {row.step}:** {row.change} ({MODEL_NAMES[row.model]}, {row.epochs} epochs)."
        for row in steps.itertuples()
    ]
    first, *others = steps["mean"]
    better = [str(number) for number, reached in enumerate(others, start=1) if reached > first]
    taken = f"step {', '.join(better)} is" if better else "none is"
    rule = f"The rule goes by the Dice on the development patients. Of the {len(others)} steps, {taken} above step 0."
    return "\n".join([*listed, "", rule])
