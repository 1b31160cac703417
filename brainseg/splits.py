"""Who trains, who validates, who tests.

`split_by_patient` is the honest split: every slice of a person falls on one side. A folder, the table's `patient`,
is one examination: it carries a date. Where two folders are one `case`, they stay together.
`split_by_institution` is stricter: one institution is the test side, and stands on no other.
`split_size_matched` is its control: as many patients train, and half of the institution is among them.
`split_by_slice` is the article's: neighbouring slices of one tumour stand on both sides, and so its scores flatter.

All use the same two steps. The units (cases or slices) are put in an order in which neighbours are alike,
and the lot is cast only among neighbours. Every fold then gets its share of each institution and of small and
large tumours. scikit-learn's stratified splitters need classes with at least as many members as folds; an
institution with one patient, and a tumour load that is a number and not a class, are what this way can take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from typing import Literal

import numpy as np
import pandas as pd

N_FOLDS = 5

VALIDATION_SHARE = 0.15
"""Of the cases, or slices, outside the test side: so many are drawn as the validation side, at least one."""


def split_by_patient(
    table: pd.DataFrame,
    n_folds: int | None = None,
    fold: int = 0,
    seed: int = 0,
) -> pd.Series:
    """Split so that no patient stands on two sides, and no case either.

    Cases are dealt to folds, whose numbers of cases differ by one at most, so that each is tested once. The cases of
    `fold` are the test side. Of the others, `VALIDATION_SHARE` are drawn as the validation side, stratified like the
    folds; the rest train.

    Parameters
    ----------
    table : DataFrame
        One row per slice, with `patient`, `case`, `institution`, `slice` and `tumour_px` (see `brainseg.cohort`).
    n_folds : int, optional
        Number of folds; by default five, or as many as there are cases where these are fewer.
    fold : int
        From 0.
    seed : int
        The same seed and the same cases give the same folds, whatever the order of the rows.

    Returns
    -------
    Series
        "train", "validation" or "test" for every row, on `table.index`.

    Raises
    ------
    ValueError
        A column is missing, there are no rows, fewer than two folds are asked for or more than there are cases; a fold
        is out of range; no case is left to train on.
    """
    folds = _case_folds(table, n_folds, seed)
    _check_fold(fold, int(folds.max()) + 1)
    return _sides(table, folds.eq(fold), np.random.default_rng([seed, fold]))


def split_by_institution(table: pd.DataFrame, institution: str, seed: int = 0) -> pd.Series:
    """Leave one institution out: its patients are the test side, and the network meets none of them.

    The validation side is drawn from the other institutions' cases, as in `split_by_patient`.

    Returns
    -------
    Series
        "train", "validation" or "test" for every row, on `table.index`.

    Raises
    ------
    ValueError
        As `split_by_patient`; also for an institution that the table does not have.
    """
    return _sides(table, _stands_in(table, institution), np.random.default_rng(seed))


def split_size_matched(table: pd.DataFrame, institution: str, half: int, seed: int = 0) -> pd.Series:
    """The control of :func:`split_by_institution`: as many cases are learned from, and they know the institution.

    Whoever leaves an institution out also learns from fewer cases. Here the institution's cases are dealt to two
    halves. One is the test side. The other takes the places of as many cases of other institutions, which are drawn
    as in :func:`draw_patients` and stand on no side. Both halves tested, each case of the institution is tested once.

    Parameters
    ----------
    half : int
        0 or 1: the half that is tested.

    Returns
    -------
    Series
        "train", "validation" or "test" for every row of the cases that take part, on their part of `table.index`.

    Raises
    ------
    ValueError
        As `split_by_institution`; also for an institution of one case, or of more than the others can make room for.
    """
    if half not in (0, 1):
        raise ValueError(f"half {half}: choose 0 or 1")
    its = _stands_in(table, institution)
    cases, others = its.index[its], its.index[~its].tolist()
    if len(cases) < 2 or (len(cases) + 1) // 2 >= len(others):
        raise ValueError(
            f"{institution} has {len(cases)} of {len(its)} cases: a control of the same size needs two of them, and "
            "more of other institutions than half of them"
        )
    tested = cases[_deal(cases, 2, np.random.default_rng(seed)) == half]
    room = len(others) - (len(cases) - len(tested))
    rng = np.random.default_rng([seed, half])
    drawn = _draw_from_stretches(others, room, rng)
    part = table[table["case"].isin([*cases, *drawn])]
    ordered = pd.Index(_cases_in_order(part), name="case")
    return _sides(part, pd.Series(ordered.isin(tested), ordered), rng)


def split_by_slice(
    table: pd.DataFrame,
    n_folds: int | None = None,
    fold: int = 0,
    seed: int = 0,
) -> pd.Series:
    """Split slices at random, as the article does, with the same share of tumour slices on every side.

    Slices of one patient fall on all sides: the test side holds near-copies of training slices. Use it to
    show that effect, not to report a result.

    Parameters, result and errors are those of `split_by_patient`, with slices in the place of cases.
    """
    _check_table(table)
    # The lot is cast in an order of the slices' own, so that the order of the rows does not matter.
    rows = table.reset_index(drop=True).sort_values(["patient", "slice"])
    rows = rows.sample(frac=1, random_state=np.random.default_rng(seed))
    ordered = rows["tumour_px"].gt(0).sort_values(kind="stable").index.to_numpy()

    n_folds = _checked_folds(n_folds, len(ordered), "slices")
    _check_fold(fold, n_folds)
    folds = _deal(ordered, n_folds, np.random.default_rng(seed))
    validation = _draw(ordered[folds != fold], np.random.default_rng([seed, fold]), "slices")
    side = pd.Series("train", index=table.index, name="split")
    side.iloc[ordered[folds == fold]] = "test"
    side.iloc[validation] = "validation"
    return side


def draw_patients(table: pd.DataFrame, count: int, seed: int = 0) -> list[str]:
    """Draw patients that stand for a cohort: its institutions, and small and large tumours in their shares.

    The order of the cases is cut into as many equal stretches as patients are asked for, and each gives one case.

    Parameters
    ----------
    table : DataFrame
        As in :func:`split_by_patient`.
    count : int
        How many cases. Where two folders are one case, both are drawn.
    seed : int

    Returns
    -------
    list of str
        The patients, sorted.

    Raises
    ------
    ValueError
        As `split_by_patient`; also where `count` is not at least 1 and below the number of cases.
    """
    cases = _cases_in_order(table)
    if not 0 < count < len(cases):
        raise ValueError(f"{count} of {len(cases)} cases: draw at least 1, and leave at least 1")
    drawn = _draw_from_stretches(cases, count, np.random.default_rng(seed))
    return sorted(table.loc[table["case"].isin(drawn), "patient"].unique())


def make_split(
    table: pd.DataFrame,
    by: Literal["patient", "slice"] = "patient",
    n_folds: int | None = None,
    fold: int = 0,
    seed: int = 0,
) -> pd.Series:
    """Split by patient or by slice: the choice as a word, for a recipe or a notebook's parameter."""
    ways = {"patient": split_by_patient, "slice": split_by_slice}
    if by not in ways:
        raise ValueError(f"cannot split by {by!r}: choose one of {', '.join(map(repr, ways))}")
    return ways[by](table, n_folds, fold, seed)


def _case_folds(table: pd.DataFrame, n_folds: int | None, seed: int) -> pd.Series:
    """Case -> fold, the cases in the order in which neighbours are alike."""
    cases = _cases_in_order(table)
    folds = _deal(cases, _checked_folds(n_folds, len(cases), "cases"), np.random.default_rng(seed))
    return pd.Series(folds, index=pd.Index(cases, name="case"))


def _sides(table: pd.DataFrame, tested: pd.Series, rng: np.random.Generator) -> pd.Series:
    """The side of every row: `tested` says it of the cases, in their order; of the rest, some validate."""
    validation = _draw(tested.index[~tested].tolist(), rng, "cases")
    side = tested.map({True: "test", False: "train"})
    side[validation] = "validation"
    return table["case"].map(side).rename("split")


def _stands_in(table: pd.DataFrame, institution: str) -> pd.Series:
    """Whether each case is of an institution, the cases in order."""
    cases = _cases_in_order(table)
    home = table.drop_duplicates("case").set_index("case")["institution"]
    if institution not in set(home):
        raise ValueError(f"no institution {institution!r} in the table: choose from {', '.join(sorted(set(home)))}")
    return home[cases].eq(institution)


def _cases_in_order(table: pd.DataFrame) -> list[str]:
    """The cases, institution after institution, the tumour load rising in one and falling in the next.

    The turn at every border keeps neighbours alike where one institution ends and another begins.
    """
    _check_table(table)
    cases = table.groupby("case", as_index=False).agg(institution=("institution", "first"), load=("tumour_px", "sum"))
    ordered: list[str] = []
    for turn, (_, group) in zip(count(), cases.groupby("institution")):
        rising = group.sort_values(["load", "case"])["case"].tolist()
        ordered += reversed(rising) if turn % 2 else rising
    return ordered


def _deal(ordered: Sequence, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Deal neighbours to different folds: each run of `n_folds` units gets the folds in a random order."""
    runs = math.ceil(len(ordered) / n_folds)
    return np.concatenate([rng.permutation(n_folds) for _ in range(runs)])[: len(ordered)]


def _draw(ordered: Sequence, rng: np.random.Generator, unit: str) -> list:
    """Draw those who validate, one unit from each of as many equal stretches of the order."""
    if len(ordered) < 2:
        raise ValueError(
            f"{len(ordered)} {unit} left beside the test side: training and validation need one each; "
            "take a larger cohort or a smaller test side"
        )
    return _draw_from_stretches(ordered, max(1, round(VALIDATION_SHARE * len(ordered))), rng)


def _draw_from_stretches(ordered: Sequence, size: int, rng: np.random.Generator) -> list:
    """One unit from each of `size` equal stretches of the order."""
    # Rounded borders spread the longer stretches evenly; array_split would put them all first.
    borders = np.linspace(0, len(ordered), size + 1).round().astype(int)
    return [ordered[i] for i in rng.integers(borders[:-1], borders[1:])]


def _check_table(table: pd.DataFrame) -> None:
    missing = {"patient", "case", "institution", "slice", "tumour_px"} - set(table.columns)
    if missing:
        raise ValueError(f"the table lacks the columns {sorted(missing)}: pass the one that index_cohort returns")
    if table.empty:
        raise ValueError("the table has no rows, so there is nothing to split")


def _checked_folds(n_folds: int | None, units: int, unit: str) -> int:
    if n_folds is None:
        n_folds = min(N_FOLDS, units)
    if n_folds < 2:
        raise ValueError(f"{n_folds} fold(s) of {units} {unit}: a test side and a training side need at least 2")
    if n_folds > units:
        raise ValueError(f"{n_folds} folds of {units} {unit}: ask for at most {units} folds")
    return n_folds


def _check_fold(fold: int, n_folds: int) -> None:
    if not 0 <= fold < n_folds:
        raise ValueError(f"fold {fold} of {n_folds}: folds count from 0 to {n_folds - 1}")
