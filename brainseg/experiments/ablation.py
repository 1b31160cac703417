"""Which ingredient of the phantom matters: one at a time is taken out, and a network meets what is left.

The question is asked of the development patients, because they may steer the phantom by its answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from brainseg.experiments.ingredients import INGREDIENTS
from brainseg.experiments.phantoms import described, findings, scored_on, training_on
from brainseg.experiments.plan import PHANTOM, Training
from brainseg.experiments.synthetic import development_patients, require_real
from brainseg.results import has_tables, read_record, read_table

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

ABLATION = "ablation"
"""The folder of its results."""


@dataclass(frozen=True)
class Settings:
    """What is trained.

    Attributes
    ----------
    seeds : tuple of int
        Of the trainings on the whole phantom, and without each ingredient.
    """

    seeds: tuple[int, ...] = (0, 1, 2)


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """U-Net on the whole phantom and without each ingredient; a seed is whole before the next one begins.

    Raises
    ------
    ValueError
        On a synthetic cohort, which cannot say what a synthetic tumour is worth.
    """
    require_real(cohort)
    return [training_on(name, PHANTOM.seed, seed) for seed in settings.seeds for name in ("", *INGREDIENTS)]


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every network on the development set, by :func:`brainseg.experiments.phantoms.scored_on`."""
    return {"patients": scored_on(set(development_patients()["patient"]), cohort, runs)}


def sentences(seed: int = 0) -> str:
    """What the kept table says of the phantom without each ingredient, and where it comes from; in Markdown."""
    if not has_tables(ABLATION):
        left_out = ", ".join(INGREDIENTS)
        return f"**These trainings are still to come** ({left_out}): `python -m brainseg experiment {ABLATION}`."
    found = findings(read_table(ABLATION, "patients"), seed=seed)
    return "\n".join([*(finding.sentence() for finding in found), "", described(read_record(ABLATION))])
