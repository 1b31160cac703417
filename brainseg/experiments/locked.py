"""The locked test: patients whom no network and no choice has met, looked at once.

They are the patients of the data set whom no reference run's split names. Each kind of network answers as the mean of
those whose weights are kept: of the first seed, in all folds. What comes out lies in ``results/locked/``::

    slices.csv       one row per network and slice
    patients.csv     one row per network and patient
    MODEL-masks.npz  the masks, for :func:`brainseg.evaluation.masks.read_masks`
    record.json      which weights, which cohort, which commit

The look is written to the log before it begins, so one that was interrupted is not repeated without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from brainseg.cohort import index_cohort
from brainseg.cohort.kaggle import PUBLISHED
from brainseg.data import get_cohort
from brainseg.evaluation.masks import pack_masks, save_masks
from brainseg.evaluation.scores import score_patients, summarise
from brainseg.networks.recipe import MODEL_NAMES, MODELS
from brainseg.networks.record import (
    NEW,
    RunRecord,
    locked_patients,
    reference_digests,
    reference_patients,
    reference_runs,
)
from brainseg.provenance import origin
from brainseg.results import (
    changing,
    has_tables,
    log_test,
    read_log,
    read_record,
    read_table,
    results_folder,
    write_tables,
)

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

LOCKED = "locked"
"""The folder of its results."""

LOOK = "the locked test"
"""What the log says in its column ``why`` of a look that counts."""


def run_locked_test(data: str | Path) -> Path:
    """Score the locked patients with every network's reference runs together, once.

    Parameters
    ----------
    data : str or path
        As :func:`brainseg.data.get_cohort`: the whole data set, or the locked patients alone.

    Returns
    -------
    Path
        ``results/locked``.

    Raises
    ------
    ValueError
        Where the test has been taken, or begun; where the cohort does not hold the locked patients, all of them and no
        other whom the reference runs do not know; where no weights are kept.
    """
    with changing("locked_test"):  # two calls at once are two looks
        _require_untaken()
        cohort = index_cohort(get_cohort(data))
        by_model = {model: reference_runs(model, "patient", with_weights=True) for model in MODELS}
        if not all(by_model.values()):
            without = ", ".join(MODEL_NAMES[model] for model, records in by_model.items() if not records)
            raise ValueError(f"results/reference has no weights of {without}: the test is of all three networks")
        locked = _locked(cohort)
        runs = {model: _together(records, cohort, locked) for model, records in by_model.items()}
        record = {"networks": reference_digests(), **origin(cohort[locked])}
        look = {"commit": record["commit"], "why": LOOK}
        counted = {"patients": record["cohort"]["patients"], "slices": record["cohort"]["slices"]}
        log_test(run="locked test", **counted, **look)
        slices, patients = _score(runs)
        patients["networks"] = patients["model"].map({model: len(records) for model, records in by_model.items()})
        for model, own in patients.groupby("model", sort=False):
            log_test(run=f"locked test, {model}", **counted, mean_dice=own["dice"].mean(), **look)
        return write_tables(LOCKED, {"slices": slices, "patients": patients}, record)


def _require_untaken() -> None:
    if has_tables(LOCKED):
        raise ValueError(
            f"The locked test has been taken: {results_folder(LOCKED)} has its scores, made with commit "
            f"{read_record(LOCKED)['commit']}. A second look would make it one more validation set."
        )
    log = read_log()
    for look in log[log["why"] == LOOK].itertuples():
        raise ValueError(
            f"The log of looks says that the locked test was begun on {look.date} with commit {look.commit}, and "
            f"{results_folder(LOCKED)} has no scores. If somebody has seen one, the test has been taken. If it was "
            f'stopped before that, write so into results/reference/test_log.csv, in the place of "{LOOK}", and call '
            "this again."
        )


def _locked(cohort: pd.DataFrame) -> pd.Series:
    """Which slices are of the locked patients; a cohort that holds others, or not all of them, is refused."""
    known = reference_patients()
    unknown = set(cohort["patient"]) - known
    locked = locked_patients(unknown)
    expected, strangers = PUBLISHED["patients"] - len(known), unknown - locked
    if strangers or len(locked) != expected:
        stranger = f"; {min(strangers)} is none of them" if strangers else ""
        raise ValueError(
            f"{cohort.attrs['root']} holds {len(locked)} patients of the locked test, which has {expected}"
            f"{stranger}. Nobody was scored. Give the folder of the locked patients, or of the whole data set."
        )
    return cohort["patient"].isin(locked)


def _score(runs: Mapping[str, Run]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a network and slice, and a row a network and patient; the masks are written."""
    from brainseg.evaluation.predict import evaluate_with_masks

    slices, patients = [], []
    for model, run in runs.items():
        scored, masks = evaluate_with_masks(run)
        save_masks(results_folder(LOCKED) / f"{model}-masks.npz", pack_masks(scored, masks))
        slices.append(scored.assign(model=model))
        patients.append(score_patients(scored).reset_index().assign(model=model))
    return pd.concat(slices), pd.concat(patients)


def _together(records: list[RunRecord], cohort: pd.DataFrame, locked: pd.Series) -> Run:
    """Reference runs as one, with the locked patients as its test side."""
    from brainseg.images.prepared import prepare
    from brainseg.networks.backend import configure_backend
    from brainseg.networks.models import mean_network
    from brainseg.networks.runs import Run, load_network

    if len({record.preprocessing for record in records}) > 1:
        raise ValueError(f"the runs {', '.join(record.name for record in records)} prepare slices in several ways")
    configure_backend()
    prepared = prepare(cohort.attrs["root"], records[0].preprocessing)
    split = locked.map({True: "test", False: NEW}).rename("split")
    return Run(mean_network([load_network(record) for record in records]), prepared, split, records[0])


# ---------------------------------------------------------------- what it says


@dataclass(frozen=True)
class LockedFinding:
    """One network on the locked patients.

    Attributes
    ----------
    model : str
    networks : int
        Whose mean it is.
    patients : int
    mean, low, high, median, worst : float
        Dice of the volume: mean with its 95 % interval, and so on.
    """

    model: str
    networks: int
    patients: int
    mean: float
    low: float
    high: float
    median: float
    worst: float

    def sentence(self) -> str:
        """As an item of a list, in Markdown."""
        return (
            f"- **{MODEL_NAMES[self.model]}**, the mean of {self.networks} trainings: {self.mean:.3f} ({self.low:.3f} "
            f"to {self.high:.3f}) on {self.patients} patients, median {self.median:.3f}, worst {self.worst:.3f}."
        )


def findings(patients: pd.DataFrame, seed: int = 0) -> list[LockedFinding]:
    """Each network on the locked patients, in the order of the table.

    Parameters
    ----------
    patients : DataFrame
        ``model, networks, patient, dice``, as :func:`run_locked_test` keeps them.
    seed : int
        Of the bootstrap.
    """
    return [
        LockedFinding(model, int(part["networks"].iloc[0]), **summarise(part, seed=seed))
        for model, part in patients.groupby("model", sort=False)
    ]


def sentences(seed: int = 0) -> str:
    """What the locked test says, or that it has not been taken, in Markdown."""
    if not has_tables(LOCKED):
        return (
            "**The locked test has not been taken.** 22 patients of the data set are held elsewhere. Somebody else "
            "will score them once, with the command `python -m brainseg locked-test`, now that the recipe is frozen."
        )
    return "\n".join(finding.sentence() for finding in findings(read_table(LOCKED, "patients"), seed))
