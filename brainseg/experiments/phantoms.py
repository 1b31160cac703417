"""Phantoms drawn otherwise, and what networks that have met nothing else are worth on real patients.

The study's phantom was fitted to real patients, and it is one cohort. So U-Net is trained on other cohorts of it, on
one whose ranges nobody fitted, and on two whose readers draw beside the line. Then one ingredient at a time is taken
out. That is asked of the development patients, who may steer the phantom; everything else of all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from brainseg.chapters import study_recipe
from brainseg.evaluation.scores import VOLUME_COLUMNS
from brainseg.experiments.ingredients import INGREDIENTS, NARROWER, WIDE, WIDER
from brainseg.experiments.plan import PHANTOM, Phantom, Training, on_the_phantom
from brainseg.experiments.synthetic import MODEL, development_patients, require_real, score_real
from brainseg.images.preprocess import Preprocessing

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
    seeds : tuple of int
        Of the trainings on each of them and on each phantom with other ranges or readers.
    ingredient_seeds : tuple of int
        Of the trainings without one ingredient, some of `seeds`.
    """

    cohorts: tuple[int, ...] = (PHANTOM.seed, 8, 9)
    seeds: tuple[int, ...] = (0, 1, 2)
    ingredient_seeds: tuple[int, ...] = (0, 1)

    def __post_init__(self) -> None:
        if PHANTOM.seed not in self.cohorts:
            raise ValueError(f"cohorts has no {PHANTOM.seed}, the one that all other phantoms stand beside")
        if extra := set(self.ingredient_seeds) - set(self.seeds):
            raise ValueError(f"seed {min(extra)} has no training with all ingredients to stand beside: add it to seeds")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """U-Net on every phantom: the study's cohorts first, then other ranges and readers, then without an ingredient.

    Raises
    ------
    ValueError
        On a synthetic cohort, which cannot say what a synthetic tumour is worth.
    """
    require_real(cohort)
    drawn = [("", number, seed) for number in settings.cohorts for seed in settings.seeds]
    drawn += [(name, PHANTOM.seed, seed) for name in (WIDE, NARROWER, WIDER) for seed in settings.seeds]
    drawn += [(name, PHANTOM.seed, seed) for seed in settings.ingredient_seeds for name in INGREDIENTS]
    return [
        on_the_phantom(
            study_recipe(MODEL, seed=seed),
            Preprocessing(),
            {"phantom": name or OWN, "cohort": number, "seed": seed},
            Phantom(PHANTOM.patients, number, name),
        )
        for name, number, seed in drawn
    ]


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every network on real patients.

    Returns
    -------
    dict of DataFrame
        Both have ``phantom`` (`OWN` or a name of :data:`brainseg.experiments.ingredients.CHANGES`), ``cohort, seed``,
        ``patient, institution, tumour_px, tp, fp, fn, dice`` of the volume. ``"patients"``: the patients outside the
        development set. ``"ingredients"``: the development set, by networks without an ingredient and by those of the
        study's phantom with the same seeds.
    """
    development = set(development_patients()["patient"])
    sides = {"ingredients": development, "patients": set(cohort["patient"]) - development}
    scored = {name: [] for name in sides}
    for training, run in runs:
        for name in _asked(training, settings):
            patients = score_real(run, cohort.attrs["root"], sides[name]).reset_index()
            scored[name].append(patients.assign(**training.labels)[[*training.labels, *VOLUME_COLUMNS]])
    return {name: pd.concat(scored[name], ignore_index=True) for name in ("patients", "ingredients")}


def _asked(training: Training, settings: Settings) -> Iterator[str]:
    """Which of the tables a training belongs to."""
    phantom, number, seed = (training.labels[name] for name in ("phantom", "cohort", "seed"))
    if phantom not in INGREDIENTS:
        yield "patients"
    beside = phantom == OWN and number == PHANTOM.seed and seed in settings.ingredient_seeds
    if phantom in INGREDIENTS or beside:
        yield "ingredients"
