"""Kept runs: trained networks that lie in the project, under ``results/reference/``, so that nobody has to train them.

A kept run is a folder as :mod:`brainseg.runs` makes it, with its weights in half precision and with
``split.csv``: which patients, or which slices, it was trained, validated and tested on. Here is what their files say
without Keras, which takes seconds to load; :mod:`brainseg.runs` loads the networks themselves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from brainseg.paths import build_folder, project_root
from brainseg.summaries import summarise
from brainseg.tables import has_tables, read_record, read_table, results_folder
from brainseg.weights import weights_digest

STUDY = "reference"
NEW = "new"
"""The part of a split that holds the patients whom a kept run's split does not name."""


def kept_runs() -> list[Path]:
    """The folders of all runs that are kept with weights; none where the package is installed without its checkout."""
    if project_root() is None:
        return []
    return sorted(path.parent for path in results_folder(STUDY).glob("*/best.npz"))


def runs_on_record() -> list[Path]:
    """The folders of all runs of the reference edition, those whose weights are not kept among them."""
    if project_root() is None:
        return []
    return sorted(path.parent for path in results_folder(STUDY).glob("*/run.json"))


def read_run(folder: str | Path) -> dict:
    """The record of a finished run whose weights are there.

    Raises
    ------
    ValueError
        Where the folder holds no finished run, with the list of those that the project keeps and those in the build
        folder; where the record is damaged; where the run is kept without its weights.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        known = [*kept_runs(), *sorted(path.parent for path in (build_folder() / "runs").glob("*/run.json"))]
        listed = "\n  ".join(map(str, known)) or "none yet"
        raise ValueError(f"{folder} holds no finished run. There are:\n  {listed}")
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"The record {folder / 'run.json'} is damaged ({error}). Restore it where the project keeps it; otherwise remove the folder {folder} and train the run again."
        ) from error
    if "split_by" in record and not (folder / "best.npz").is_file():
        raise ValueError(f"{folder} is kept without its weights. Take another run, or train it again: book/reproduce.md says how.")
    return record


def kept_split(folder: Path, table: pd.DataFrame) -> pd.Series:
    """The split of a kept run for the slices of a cohort: "train", "validation", "test", or "new" for all others.

    Returns
    -------
    Series
        On the index of `table`.
    """
    known = pd.read_csv(folder / "split.csv")
    keys = [name for name in ("patient", "slice") if name in known]
    parts = table[keys].merge(known, on=keys, how="left")["part"].fillna(NEW)
    return pd.Series(parts.to_numpy(), index=table.index, name="split")


def kept_by_patient(model: str) -> list[Path]:
    """The kept runs of one model that were split by patient."""
    records = {folder: json.loads((folder / "run.json").read_text()) for folder in kept_runs()}
    wanted = (model, "patient")
    return [folder for folder, of in records.items() if (of["recipe"]["model"], of["split_by"]) == wanted]


def kept_networks(model: str) -> dict[str, str]:
    """The digest of the weights of each of :func:`kept_by_patient`, by its name: which edition a table stands beside."""
    return {folder.name: weights_digest(folder / "best.npz") for folder in kept_by_patient(model)}


def kept_patients() -> set[str]:
    """The patients whom the kept runs know: those that their splits name."""
    return {patient for folder in kept_runs() for patient in pd.read_csv(folder / "split.csv")["patient"]}


def kept_for(study: str, table: pd.DataFrame) -> bool:
    """Whether a study's kept tables may speak for a cohort.

    They do where it is the cohort that they were made of, or where the kept networks know some of its patients, as for the
    profile: a part of the data set, or all of it. Anybody else's patients get results of their own.

    Parameters
    ----------
    study : str
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    """
    if not has_tables(study):
        return False
    if read_record(study)["cohort"]["fingerprint"] == table.attrs["fingerprint"]:
        return True
    return bool(table["patient"].isin(kept_patients()).any())


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
        `brainseg.summaries.summarise`.

    Raises
    ------
    FileNotFoundError
        Where the reference edition has no tables.
    """
    patients = read_table(STUDY, "patients")
    patients = patients[(patients["protocol"] == "honest") & (patients["part"] == "test")]
    by_model = {name: table.set_index("patient") for name, table in patients.groupby("model")}
    shared = set.intersection(*(set(table.index) for table in by_model.values()))

    def lines(tables: dict[str, pd.DataFrame]) -> list[Line]:
        of = [Line(name, table, summarise(table, seed=seed)) for name, table in tables.items() if len(table)]
        return sorted(of, key=lambda one: -one.summary["mean"])

    whole = {name: table for name, table in by_model.items() if len(table) > len(shared)}
    return lines(whole) + lines({name: table[table.index.isin(shared)] for name, table in by_model.items()})
