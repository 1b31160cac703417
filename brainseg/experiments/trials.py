"""What moves the score: trainings compared on inner patients alone, before a recipe is frozen.

The patients outside the test side of reference fold 0 are divided into three inner folds, stratified as the outer ones
are. A trial is trained three times, each time without one inner fold, and scored on that fold. No test patient of
fold 0 is read.
"""

from __future__ import annotations

import pandas as pd

from brainseg.splits import split_by_patient

INNER_FOLDS = 3
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5)


def inner_split(table: pd.DataFrame, outer: pd.Series, fold: int) -> pd.Series:
    """The side of each slice in one inner fold; "new" for the test side of the outer one. Nobody validates.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    outer : Series
        The outer side of each slice.
    fold : int
        From 0 to `INNER_FOLDS` - 1.
    """
    inside = outer.isin(["train", "validation"])
    sides = split_by_patient(table[inside], n_folds=INNER_FOLDS, fold=fold, seed=0).replace("validation", "train")
    return sides.reindex(table.index, fill_value="new").rename("split")
