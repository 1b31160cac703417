"""The headline: the reference edition's scores, so that only scores of the same patients stand side by side."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from brainseg.evaluation.scores import summarise
from brainseg.results import REFERENCE, read_table


class Line(NamedTuple):
    """One line of the headline: a network, the patients that it is scored on here, and their summary."""

    model: str
    patients: pd.DataFrame
    summary: dict[str, float]


def headline(seed: int = 0) -> list[Line]:
    """The reference edition's scores by network, so that only scores of the same patients stand side by side.

    Returns
    -------
    list of Line
        First the networks that were tested on more patients than all of them share, each on all of its own; then
        every network on the shared ones; the highest mean first in both. The summaries are those of
        :func:`brainseg.evaluation.scores.summarise`.

    Raises
    ------
    FileNotFoundError
        Where the reference edition has no tables.
    """
    patients = read_table(REFERENCE, "patients")
    patients = patients[patients["protocol"] == "honest"]
    by_model = {name: table.set_index("patient") for name, table in patients.groupby("model")}
    shared = set.intersection(*(set(table.index) for table in by_model.values()))

    def lines(tables: dict[str, pd.DataFrame]) -> list[Line]:
        found = [Line(name, table, summarise(table, seed=seed)) for name, table in tables.items() if len(table)]
        return sorted(found, key=lambda line: -line.summary["mean"])

    whole = {name: table for name, table in by_model.items() if len(table) > len(shared)}
    return lines(whole) + lines({name: table[table.index.isin(shared)] for name, table in by_model.items()})
