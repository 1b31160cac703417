"""Kept runs: trained networks that lie in the project, under ``results/reference/``, so that nobody has to train them.

A kept run is a folder as :mod:`brainseg.runs` makes it, with its weights in half precision and with
``split.csv``: which patients, or which slices, it was trained, validated and tested on.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from brainseg.evaluation import summarise
from brainseg.models import MODELS
from brainseg.paths import folder_atomically, project_root
from brainseg.prepare import Prepared, Preprocessing, prepare
from brainseg.recipe import Recipe
from brainseg.runs import Run, load_run
from brainseg.tables import read_table, results_folder
from brainseg.weights import save_weights, weights_digest

STUDY = "reference"
NEW = "new"
"""The part of a split that holds the patients whom a kept run's split does not name."""


def kept_runs() -> list[Path]:
    """The folders of all runs that are kept with weights; none where the package is installed without its checkout."""
    if project_root() is None:
        return []
    return sorted(path.parent for path in results_folder(STUDY).glob("*/best.npz"))


def find_kept(recipe: Recipe, prepared: Prepared, split_by: str, fold: int) -> Path | None:
    """The kept run of this recipe, preprocessing and fold, where the cohort has patients for each part of its split."""
    wanted = json.dumps([asdict(recipe), asdict(prepared.preprocessing), split_by, fold], sort_keys=True)
    for folder in kept_runs():
        record = json.loads((folder / "run.json").read_text())
        is_same = [record["recipe"], record["preprocessing"], record["split_by"], record["fold"]]
        if json.dumps(is_same, sort_keys=True) == wanted:
            return folder if {"train", "validation", "test"} <= set(kept_split(folder, prepared.table)) else None
    return None


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


def prepare_for(folder: Path, root: str | Path) -> Prepared:
    """The slices of the cohort in `root`, prepared as those that a kept run was trained on."""
    record = json.loads((folder / "run.json").read_text())
    return prepare(root, Preprocessing(**record["preprocessing"]))


def load_kept(folder: Path, prepared: Prepared) -> Run:
    """A kept run, with its own split of the prepared cohort."""
    return load_run(folder, prepared, kept_split(folder, prepared.table))


def keep(run: Run, split_by: str, fold: int, weights: bool = True) -> Path:
    """Copy a run to the kept ones: weights in half precision, record, history and split.

    Without weights it is a document of a training: nothing finds or loads it.

    Returns
    -------
    Path
        ``results/reference/MODEL-by-SPLIT-foldN``. A run of this name is replaced.
    """
    folder = results_folder(STUDY) / f"{run.recipe.model}-by-{split_by}-fold{fold}"
    shutil.rmtree(folder, ignore_errors=True)
    keys = ["patient"] if split_by == "patient" else ["patient", "slice"]
    split = run.prepared.table[keys].assign(part=run.split.to_numpy()).drop_duplicates()
    with folder_atomically(folder) as part:
        if weights:
            save_weights(run.model, part / "best.npz", dtype="float16")
        run.history.to_csv(part / "history.csv", index=False, float_format="%.6g")
        split.to_csv(part / "split.csv", index=False)
        record = {**run.record, "split_by": split_by, "fold": fold}
        (part / "run.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return folder


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
        every network on the shared ones, the highest mean first. The summaries are those of
        `brainseg.evaluation.summarise`.

    Raises
    ------
    FileNotFoundError
        Where the reference edition has no tables.
    """
    patients = read_table(STUDY, "patients")
    patients = patients[(patients["protocol"] == "honest") & (patients["part"] == "test")]
    by_model = {name: patients[patients["model"] == name].set_index("patient") for name in MODELS}
    by_model = {name: table for name, table in by_model.items() if len(table)}
    shared = set.intersection(*(set(table.index) for table in by_model.values()))

    def line(name: str, table: pd.DataFrame) -> Line:
        return Line(name, table, summarise(table, seed=seed))

    whole = [line(name, table) for name, table in by_model.items() if len(table) > len(shared)]
    same = [line(name, table[table.index.isin(shared)]) for name, table in by_model.items()] if shared else []
    return whole + sorted(same, key=lambda one: -one.summary["mean"])
