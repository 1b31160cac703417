"""Phantoms drawn otherwise, and what networks that have met nothing else are worth on real patients.

The study's phantom was fitted to real patients, and it is one cohort. So U-Net is trained on other cohorts of it, on
one of wider ranges, and on two whose readers draw beside the line. All are scored on the patients who did not steer the
phantom; :mod:`brainseg.experiments.ablation` asks the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from brainseg.chapters import study_recipe, trainings_text
from brainseg.evaluation.scores import VOLUME_COLUMNS
from brainseg.experiments.ingredients import NARROWER, WIDE, WIDER
from brainseg.experiments.plan import MAY_BE_EMPTY, PHANTOM, Phantom, Training, on_the_phantom
from brainseg.experiments.reference import participants
from brainseg.experiments.synthetic import (
    FAILURE,
    FLAT,
    MARGIN,
    MODEL,
    SYNTHETIC,
    development_patients,
    mean_dice,
    require_real,
    score_real,
)
from brainseg.images.preprocess import Preprocessing
from brainseg.results import read_table
from brainseg.statistics import Difference, Verdict, p_text, paired_difference, shown_together

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

PHANTOMS = "phantoms"
"""The folder of its results."""

OWN = "the study's"
"""The phantom of the study, in the tables."""


@dataclass(frozen=True)
class Settings:
    """What is trained.

    Attributes
    ----------
    cohorts : tuple of int
        Seeds of the study's phantom, each a cohort of other patients. That of the reference edition is among them.
    others : tuple of str
        Phantoms with other ranges or readers.
    seeds : tuple of int
        Of the trainings on each of all these.
    """

    cohorts: tuple[int, ...] = (PHANTOM.seed, 8, 9)
    others: tuple[str, ...] = field(default=(WIDE, NARROWER, WIDER), metadata=MAY_BE_EMPTY)
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if PHANTOM.seed not in self.cohorts:
            raise ValueError(f"cohorts has no {PHANTOM.seed}, the one that all other phantoms stand beside")
        if strangers := set(self.others) - {WIDE, NARROWER, WIDER}:
            raise ValueError(f"others has {min(strangers)!r}: choose from {WIDE}, {NARROWER}, {WIDER}")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """U-Net on every phantom: the study's cohorts first, then other ranges and readers.

    Raises
    ------
    ValueError
        On a synthetic cohort, which cannot say what a synthetic tumour is worth.
    """
    require_real(cohort)
    drawn = [("", number, seed) for number in settings.cohorts for seed in settings.seeds]
    drawn += [(name, PHANTOM.seed, seed) for name in settings.others for seed in settings.seeds]
    return [training_on(*each) for each in drawn]


def training_on(change: str, drawn: int, seed: int) -> Training:
    """U-Net on a phantom, by the recipe of the study.

    Parameters
    ----------
    change : str
        A name of :data:`brainseg.experiments.ingredients.CHANGES`, or empty for the study's own.
    drawn : int
        The seed of the phantom.
    seed : int
        Of the training.
    """
    return on_the_phantom(
        study_recipe(MODEL, seed=seed),
        Preprocessing(),
        {"phantom": change or OWN, "cohort": drawn, "seed": seed},
        Phantom(PHANTOM.patients, drawn, change),
    )


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every network on the real patients outside the development set; the table is that of :func:`scored_on`."""
    development = set(development_patients()["patient"])
    return {"patients": scored_on(set(participants(cohort)["patient"]) - development, cohort, runs)}


def scored_on(patients: set[str], cohort: pd.DataFrame, runs: Iterable[tuple[Training, Run]]) -> pd.DataFrame:
    """The scores of networks of :func:`training_on` on some real patients.

    Returns
    -------
    DataFrame
        ``phantom`` (`OWN` or a name of :data:`brainseg.experiments.ingredients.CHANGES`), ``cohort, seed``,
        ``patient, institution, tumour_px, tp, fp, fn, dice`` of the volume.
    """
    scored = []
    for training, run in runs:
        found = score_real(run, cohort.attrs["root"], patients).reset_index()
        scored.append(found.assign(**training.labels)[[*training.labels, *VOLUME_COLUMNS]])
    return pd.concat(scored, ignore_index=True)


# ---------------------------------------------------------------- what the tables say


@dataclass(frozen=True)
class PhantomFinding:
    """What a network is worth that has met one phantom alone, beside one that has met the study's.

    Attributes
    ----------
    name : str
    mean, own : float
        Dice of the same patients after this phantom, and after the study's.
    failures, own_failures : int
        Patients with a Dice below :data:`brainseg.experiments.synthetic.FAILURE`.
    difference : Difference
        This phantom minus the study's.
    p_corrected : float
    verdict : Verdict
    above_threshold : Difference, optional
        This phantom minus the flat threshold of :mod:`brainseg.experiments.synthetic`, where that was scored on the
        same patients: the primary question of that experiment, asked of another phantom.
    """

    name: str
    mean: float
    own: float
    failures: int
    own_failures: int
    difference: Difference
    p_corrected: float
    verdict: Verdict
    above_threshold: Difference | None

    def row(self) -> dict:
        """As a row of a table to read."""
        row = {
            "phantom": self.name,
            "mean Dice": f"{self.mean:.3f}",
            "tumours not found": self.failures,
            "minus the study's (95 %)": _with_interval(self.difference),
            "p": p_text(self.p_corrected),
            "the one rule": self.verdict.in_short,
        }
        if self.above_threshold is not None:
            row["minus the threshold (95 %)"] = _with_interval(self.above_threshold)
        return row


def _with_interval(found: Difference) -> str:
    return f"{found.estimate:+z.3f} ({found.low:+z.3f} to {found.high:+z.3f})"


def as_table(found: Sequence[PhantomFinding]) -> pd.DataFrame:
    """The study's phantom and each other one in a row, to read."""
    own = {"phantom": OWN, "mean Dice": f"{found[0].own:.3f}", "tumours not found": found[0].own_failures}
    return pd.DataFrame([own, *(finding.row() for finding in found)]).fillna("-")


def findings(patients: pd.DataFrame, flat: pd.Series | None = None, seed: int = 0) -> tuple[PhantomFinding, ...]:
    """Every phantom of a table beside the one that the study uses; p values corrected together.

    Parameters
    ----------
    patients : DataFrame
        From :func:`scored_on`.
    flat : Series, optional
        Patient -> Dice of the flat threshold.
    seed : int
        Of the bootstrap.

    Raises
    ------
    ValueError
        Where the threshold was not scored on one of these patients.
    """
    dice = dice_by_phantom(patients)
    others = [name for name in dice if name != OWN]
    differences = {name: paired_difference(dice[name], dice[OWN], seed=seed) for name in others}
    trainings = patients.groupby(["phantom", "cohort"])["seed"].nunique().min()
    judged = shown_together(differences, margin=MARGIN, trainings=int(trainings))
    missed = (dice < FAILURE).sum()
    above = {}
    if flat is not None:
        above = {name: paired_difference(dice[name], flat.reindex(dice.index), seed=seed) for name in others}
    return tuple(
        PhantomFinding(
            name, float(dice[name].mean()), float(dice[OWN].mean()), int(missed[name]), int(missed[OWN]),
            differences[name], *judged[name], above.get(name),
        )
        for name in others
    )  # fmt: skip


def dice_by_phantom(patients: pd.DataFrame) -> pd.DataFrame:
    """Each patient's Dice of the volume, the mean over the seeds: a row a patient, a column a phantom.

    The columns have the order of the table, and those of other cohorts of the study's phantom a name of their own.

    Parameters
    ----------
    patients : DataFrame
        From :func:`scored_on`.
    """
    other = patients["phantom"].eq(OWN) & patients["cohort"].ne(PHANTOM.seed)
    names = patients["phantom"].mask(other, patients["cohort"].map(_other_cohort))
    return mean_dice(patients.assign(phantom=names), by="phantom").dropna()[list(names.unique())]


def _other_cohort(number: int) -> str:
    """What the study's phantom is called with other patients."""
    return f"another cohort (seed {number})"


def read_findings(seed: int = 0) -> tuple[PhantomFinding, ...]:
    """The findings of the kept table ``patients``, beside the threshold of :mod:`brainseg.experiments.synthetic`."""
    flat = mean_dice(read_table(SYNTHETIC, "patients"))[FLAT]
    return findings(read_table(PHANTOMS, "patients"), flat, seed)


def described(record: Mapping) -> str:
    """What was trained, in Markdown; the record of `PHANTOMS`, or of an ablation."""
    return (
        f"U-Net was trained on {PHANTOM.patients} simulated patients of each phantom, by the study's recipe, "
        f"{len(record['settings']['seeds'])} times: {trainings_text(record)}."
    )
