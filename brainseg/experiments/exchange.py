"""The exchange rate: how many real patients the phantom is worth.

U-Net is trained on 1, 2, 5, ... and all real patients of a fold's training side, once from drawn weights and once from
a network that was trained on the phantom. Both take the same number of steps in all: from drawn weights all of them
with real slices, from the phantom the first half with simulated ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainseg.chapters import study_recipe, trainings_text
from brainseg.evaluation.scores import VOLUME_COLUMNS
from brainseg.experiments.plan import Training, after_the_phantom, on_the_phantom
from brainseg.experiments.reference import fold_sides
from brainseg.experiments.synthetic import MARGIN, MODEL, development_patients, require_real, score_real
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.record import NEW
from brainseg.results import read_table
from brainseg.statistics import (
    DRAWS,
    Difference,
    Interval,
    Verdict,
    bootstrap_interval,
    interval_text,
    paired_difference,
    shown_together,
)

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

EXCHANGE = "exchange"
"""The folder of its results."""

SCRATCH, SIMULATED = "drawn weights", "phantom"
"""From where a network starts."""

ALL, NONE = "all", "none"
"""In the column of how many real patients were given."""


@dataclass(frozen=True)
class Settings:
    """What is trained.

    Attributes
    ----------
    sizes : tuple of int
        Numbers of real patients; all of the training side come on top, and none after the phantom.
    folds : tuple of int
        Of the reference edition.
    draws : tuple of int
        Of the patients; each is the seed of its trainings too.
    """

    sizes: tuple[int, ...] = (1, 2, 5, 10, 20, 40)
    folds: tuple[int, ...] = (0, 1, 2)
    draws: tuple[int, ...] = (0, 1)

    def __post_init__(self) -> None:
        if list(self.sizes) != sorted(set(self.sizes)) or min(self.sizes) < 1:
            raise ValueError(f"sizes is {self.sizes}: give numbers of 1 and more, each larger than the one before")


def training_sides(cohort: pd.DataFrame, fold: int, count: int | None, draw: int) -> pd.Series:
    """The side of each slice where some patients of a fold's training side are given: "train", "test" or "new".

    The patients of a smaller number are among those of a larger one of the same draw.

    Parameters
    ----------
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    fold : int
    count : int, optional
        How many are given; all without it.
    draw : int

    Raises
    ------
    ValueError
        Where the training side has fewer.
    """
    sides = fold_sides(cohort, fold)
    if count is None:
        return sides
    # Only who has a tumour can teach what one looks like, and one patient has to suffice.
    there = cohort.loc[(sides == "train") & (cohort["tumour_px"] > 0), "patient"].unique()
    if count > len(there):
        raise ValueError(f"fold {fold} has {len(there)} patients with a tumour to train on: fewer than {count}")
    given = np.random.default_rng([fold, draw]).permutation(np.sort(there))[:count]
    return sides.where((sides != "train") | cohort["patient"].isin(given), NEW)


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """U-Net for each number of real patients, fold, draw and start; a draw is whole before the next one begins.

    Raises
    ------
    ValueError
        On a synthetic cohort; where a fold is unknown or has too few patients.
    """
    require_real(cohort)
    trainings = []
    for draw in settings.draws:
        recipe = study_recipe(MODEL, seed=draw)
        longer = replace(recipe, epochs=2 * recipe.epochs)
        for fold in settings.folds:
            labels = {"start": SIMULATED, "given": NONE, "fold": fold, "draw": draw}
            trainings.append(on_the_phantom(recipe, Preprocessing(), labels))
            for count in (*settings.sizes, None):
                sides = training_sides(cohort, fold, count, draw)
                labels = {**labels, "given": str(count or ALL)}
                started = Training(recipe, Preprocessing(), sides, labels)
                trainings.append(after_the_phantom(started, cohort))
                trainings.append(Training(longer, Preprocessing(), sides, {**labels, "start": SCRATCH}))
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every network on the test side of its fold, without the development patients.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``start`` (`SCRATCH` or `SIMULATED`), ``given`` (how many real patients, or `ALL`, `NONE`),
        ``real_patients`` (the number itself), ``fold, draw``, ``patient, institution, tumour_px, tp, fp, fn, dice`` of
        the volume.
    """
    scored = []
    for training, run in runs:
        labels = training.labels
        real = 0 if labels["given"] == NONE else cohort.loc[training.split == "train", "patient"].nunique()
        patients = score_real(run, cohort.attrs["root"], tested(cohort, labels["fold"])).reset_index()
        columns = {"start": labels["start"], "given": labels["given"], "real_patients": real}
        columns |= {"fold": labels["fold"], "draw": labels["draw"]}
        scored.append(patients.assign(**columns)[[*columns, *VOLUME_COLUMNS]])
    return {"patients": pd.concat(scored, ignore_index=True)}


def tested(cohort: pd.DataFrame, fold: int) -> list[str]:
    """The patients of a fold's test side who did not steer the phantom."""
    patients = set(cohort.loc[fold_sides(cohort, fold) == "test", "patient"])
    return sorted(patients - set(development_patients()["patient"]))


# ---------------------------------------------------------------- what the table says


@dataclass(frozen=True)
class SizeFinding:
    """What so many real patients make of a network, from drawn weights and after the phantom.

    Attributes
    ----------
    given : str
        A number, or `ALL`.
    scratch, simulated : Interval
        Mean Dice.
    difference : Difference
        After the phantom minus from drawn weights.
    p_corrected : float
    verdict : Verdict
    """

    given: str
    scratch: Interval
    simulated: Interval
    difference: Difference
    p_corrected: float
    verdict: Verdict

    def row(self) -> dict:
        """As a row of a table to read."""
        return {
            "real patients": self.given,
            "drawn weights": self.scratch.estimate,
            "after the phantom": self.simulated.estimate,
            "difference": self.difference.estimate,
            "from": self.difference.low,
            "to": self.difference.high,
            "p": self.p_corrected,
        }


@dataclass(frozen=True)
class ExchangeFindings:
    """How far real patients take a network, and how many of them the phantom stands for.

    Attributes
    ----------
    alone : Interval
        Mean Dice after the phantom, without a real patient.
    sizes : tuple of SizeFinding
        From few real patients to all.
    worth : Interval
        So many real patients take a network from drawn weights as far as the phantom alone; 0 where the smallest number
        is enough, infinite where all are not.
    most : float
        How many all are, the mean over the folds.
    patients, draws : int
        Scored, and draws of the given ones.
    """

    alone: Interval
    sizes: tuple[SizeFinding, ...]
    worth: Interval
    most: float
    patients: int
    draws: int

    def table(self) -> pd.DataFrame:
        """A row for each number of real patients, to read."""
        return pd.DataFrame([size.row() for size in self.sizes])

    def _count(self, number: float) -> str:
        if number == 0:
            return f"at most {self.sizes[0].given}"
        return f"{number:.0f}" if math.isfinite(number) else f"more than all {self.most:.0f}"

    def sentence(self) -> str:
        """The exchange rate, in Markdown."""
        low, high = self._count(self.worth.low), self._count(self.worth.high)
        return (
            f"U-Net that was trained on the phantom alone reaches {self.alone.estimate:.3f} on these {self.patients} "
            f"patients. From drawn weights, and in twice as many steps, it takes "
            f"**{self._count(self.worth.estimate)}** real patients to get as far (95 % interval {low} to {high})."
        )

    def ends(self) -> str:
        """What the phantom adds to the fewest and to all real patients, in Markdown."""
        lines = []
        for size in (self.sizes[0], self.sizes[-1]):
            few = f"{size.given} real patient{'s' * (size.given != '1')}"
            whom = f"all {self.most:.0f} real patients" if size.given == ALL else few
            lines.append(
                f"- With **{whom}**: {size.simulated.estimate:.3f} after the phantom, {size.scratch.estimate:.3f} from "
                f"drawn weights, {interval_text(size.difference)}. {size.verdict.sentence}"
            )
        return "\n".join(lines)


def findings(patients: pd.DataFrame, seed: int = 0) -> ExchangeFindings:
    """What the table of :func:`score` shows. The p values of all numbers of patients are corrected together.

    Parameters
    ----------
    patients : DataFrame
        With one draw or more; of each the same patients, starts and numbers.
    seed : int
        Of the bootstrap.
    """
    dice, most = curves(patients), mean_given(patients)
    given = list(dice[SCRATCH])
    differences = {name: paired_difference(dice[SIMULATED, name], dice[SCRATCH, name], seed=seed) for name in given}
    draws = int(patients["draw"].nunique())
    judged = shown_together(differences, margin=MARGIN, trainings=draws)
    return ExchangeFindings(
        alone=bootstrap_interval(dice[SIMULATED, NONE], seed=seed),
        sizes=tuple(
            SizeFinding(
                name,
                *(bootstrap_interval(dice[start, name], seed=seed) for start in (SCRATCH, SIMULATED)),
                differences[name],
                *judged[name],
            )
            for name in given
        ),
        worth=_worth(dice, [most[name] for name in given], seed),
        most=most[ALL],
        patients=len(dice),
        draws=draws,
    )


def curves(patients: pd.DataFrame) -> pd.DataFrame:
    """Each patient's Dice, the mean over the draws: a row a patient, columns (start, given) from few to all.

    Patients without a score in one of the columns are left out.
    """
    counts = mean_given(patients)
    wide = patients.groupby(["patient", "start", "given"])["dice"].mean().unstack(["start", "given"])
    return wide[sorted(wide, key=lambda name: (name[0], counts[name[1]]))].dropna()


def mean_given(patients: pd.DataFrame) -> Mapping[str, float]:
    """How many real patients a network was given, by the name of the number; of all, the mean over the folds."""
    given = patients.drop_duplicates(["given", "fold"])
    return given.groupby("given")["real_patients"].mean().to_dict()


def _worth(dice: pd.DataFrame, counts: list[float], seed: int) -> Interval:
    """Where the curve from drawn weights reaches the phantom alone, with its interval over patients."""
    scratch, alone = dice[SCRATCH].to_numpy(), dice[SIMULATED, NONE].to_numpy()
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(dice), size=(DRAWS // 5, len(dice)))
    reached = np.array([_crossing(counts, scratch[rows].mean(axis=0), alone[rows].mean()) for rows in drawn])
    low, high = np.quantile(reached, [0.025, 0.975], method="nearest")
    return Interval(_crossing(counts, scratch.mean(axis=0), alone.mean()), float(low), float(high))


def _crossing(counts: list[float], means: np.ndarray, level: float) -> float:
    """How many patients a curve needs for a level, between two of its points by the logarithm of their number.

    A curve that falls again by chance counts from its first crossing on. 0 where it begins above the level, infinite
    where it stays below.
    """
    above = np.flatnonzero(means >= level)
    if not len(above):
        return math.inf
    if (first := int(above[0])) == 0:
        return 0.0
    share = (level - means[first - 1]) / (means[first] - means[first - 1])
    low, high = np.log(counts[first - 1 : first + 1])
    return float(np.exp(low + share * (high - low)))


def read_findings(seed: int = 0) -> ExchangeFindings:
    """The findings of the kept table."""
    return findings(read_table(EXCHANGE, "patients"), seed)


def described(record: Mapping) -> str:
    """Who trained on what and who is scored, in Markdown; the record of :data:`EXCHANGE`."""
    settings = record["settings"]
    draws = len(settings["draws"])
    return (
        f"Trained in {len(settings['folds'])} of the reference edition's folds, with {draws} "
        f"draw{'s' * (draws != 1)} of patients each: {trainings_text(record)}. A smaller number of patients is part of "
        "the larger ones. Scored are the patients of the folds' test sides without the phantom's development set."
    )
