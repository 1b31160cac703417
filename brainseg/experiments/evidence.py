"""The best evidence at hand on which network is better: the reference edition, or the runs of chapters 5 to 7."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from brainseg.chapters import study_run
from brainseg.evaluation.scores import score_patients
from brainseg.experiments.outcome import read_scores, wide_dice
from brainseg.experiments.ranking import Ranking, rank_networks
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.networks.record import shares_reference_patients
from brainseg.results import REFERENCE, has_tables, of_which_cohort, read_record


@dataclass(frozen=True)
class NetworkDice:
    """Per-volume Dice of networks on the same patients, and where it comes from.

    Attributes
    ----------
    dice : DataFrame
        A row a patient, a column a network.
    source : str
        In words.
    trainings : int
        How many trainings of a network each value rests on.
    note : str
        A sentence where the evidence is of another cohort than the page; empty otherwise.
    """

    dice: pd.DataFrame
    source: str
    trainings: int
    note: str = ""

    def rank(self, seed: int = 0) -> Ranking:
        """All pairs of networks."""
        return rank_networks(self.dice, trainings=self.trainings, seed=seed)

    def sentence(self) -> str:
        """Where the evidence comes from, in Markdown."""
        patients = len(self.dice.dropna())
        each = "one training" if self.trainings == 1 else f"{self.trainings} trainings"
        return f"From {self.source}: {patients} test patient{'s' * (patients != 1)}, {each} each.{self.note}"


def network_dice(data: str | Path, cohort: pd.DataFrame, recompute: bool = False, **parameters) -> NetworkDice:
    """The Dice of each network's test patients.

    Parameters
    ----------
    data : str or path
        As :func:`brainseg.data.get_cohort`.
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    recompute : bool
        Take the runs of chapters 5 to 7 even where the reference edition knows patients of the cohort.
    **parameters
        Those of :func:`brainseg.chapters.study_run`; networks that are missing are trained.
    """
    if not recompute and has_tables(REFERENCE) and shares_reference_patients(cohort):
        note = of_which_cohort(read_record(REFERENCE), cohort)
        patients = read_scores().patients
        trainings = int(patients["networks"].min())
        return NetworkDice(wide_dice(patients), "the reference edition, `results/reference`", trainings, note)
    from brainseg.evaluation.predict import evaluate

    dice = {name: score_patients(evaluate(study_run(name, data, **parameters)))["dice"] for name in MODEL_NAMES}
    return NetworkDice(pd.DataFrame(dice), "the runs of chapters 5 to 7", trainings=1)
