"""Which ingredient of the phantom matters: one at a time is taken out, and a network meets what is left.

The question is asked of the development patients, because they may steer the phantom by its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from brainseg.experiments.ingredients import INGREDIENTS
from brainseg.experiments.phantoms import PhantomFinding, findings, scored_on, training_on
from brainseg.experiments.plan import PHANTOM, Training
from brainseg.experiments.synthetic import MARGIN, development_patients, require_real
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.results import read_csv, read_table, results_folder
from brainseg.statistics import Answer

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


def read_findings(seed: int = 0) -> tuple[PhantomFinding, ...]:
    """The findings of the kept table, the phantom without each ingredient beside the whole one."""
    return findings(read_table(ABLATION, "patients"), seed=seed)


def sentence(found: Sequence[PhantomFinding]) -> str:
    """After which phantoms a network is shown to lose, to gain, or to be as good, in Markdown."""
    verdicts = {finding.name: finding.verdict for finding in found}
    groups = {
        "show a loss": [name for name, verdict in verdicts.items() if verdict.direction < 0],
        "show a gain": [name for name, verdict in verdicts.items() if verdict.direction > 0],
        f"show equivalence within {MARGIN:g}": [
            name for name, verdict in verdicts.items() if verdict.answer is Answer.EQUIVALENT
        ],
        "cannot tell": [name for name, verdict in verdicts.items() if verdict.answer is Answer.CANNOT_TELL],
    }
    said = [f"{what} for {', '.join(f'*{name}*' for name in names)}" for what, names in groups.items() if names]
    return f"The data {'; they '.join(said)}."


# ---------------------------------------------------------------- steps that were tried before


def read_steps() -> pd.DataFrame:
    """The changes of the phantom that the development patients judged, to read: a row a step, the first as it was.

    ``benchmarks/steer_phantom.py`` adds the rows. The distance is that of its ``calibrate_phantom.distance``: 0 where
    the phantom's statistics are those of the development patients.
    """
    steps = read_csv(results_folder("phantom_steps.csv"))
    steps["model"] = steps["model"].map(MODEL_NAMES)
    return steps[list(_STEPS)].rename(columns=_STEPS)


_STEPS = {
    "change": "the phantom",
    "model": "network",
    "epochs": "epochs",
    "calibration_distance": "distance",
    "mean": "mean Dice",
    "low": "from",
    "high": "to",
    "failed": "tumours not found",
}
