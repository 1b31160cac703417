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
from scipy.optimize import isotonic_regression

from brainseg.chapters import study_recipe, trainings_text
from brainseg.evaluation.scores import VOLUME_COLUMNS
from brainseg.experiments.plan import Training, after_the_phantom, on_the_phantom
from brainseg.experiments.reference import fold_sides
from brainseg.experiments.synthetic import MARGIN, MODEL, development_patients, require_real, score_real
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.record import NEW
from brainseg.results import read_table
from brainseg.statistics import (
    FEWEST_TRAININGS,
    RANK_DRAWS,
    Difference,
    Interval,
    Verdict,
    bootstrap_interval,
    interval_text,
    p_text,
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
    draws: tuple[int, ...] = (0, 1, 2)

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
            place = {"fold": fold, "draw": draw}
            trainings.append(on_the_phantom(recipe, Preprocessing(), {"start": SIMULATED, "given": NONE, **place}))
            for count in (*settings.sizes, None):
                sides, given = training_sides(cohort, fold, count, draw), str(count or ALL)
                started = Training(recipe, Preprocessing(), sides, {"start": SIMULATED, "given": given, **place})
                trainings.append(after_the_phantom(started, cohort))
                drawn = {"start": SCRATCH, "given": given, **place}
                trainings.append(Training(longer, Preprocessing(), sides, drawn))
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
    real_patients : float
        The number itself; of all, the mean over the folds.
    scratch, simulated : Interval
        Mean Dice.
    scratch_by_draw, simulated_by_draw : tuple of float
        The same of each draw of patients.
    difference : Difference
        After the phantom minus from drawn weights.
    p_corrected : float
    verdict : Verdict
    from_alone : Difference
        After the phantom and real patients minus after the phantom alone.
    from_alone_verdict : Verdict
    """

    given: str
    real_patients: float
    scratch: Interval
    simulated: Interval
    scratch_by_draw: tuple[float, ...]
    simulated_by_draw: tuple[float, ...]
    difference: Difference
    p_corrected: float
    verdict: Verdict
    from_alone: Difference
    from_alone_verdict: Verdict

    @property
    def name(self) -> str:
        """As in a sentence."""
        if self.given == ALL:
            return f"all {self.real_patients:.0f} real patients"
        return f"{self.given} real patient{'s' * (self.given != '1')}"

    def row(self) -> dict:
        """As a row of a table to read."""
        found = self.difference
        each = np.subtract(self.simulated_by_draw, self.scratch_by_draw)
        return {
            "real patients": self.given,
            "drawn weights": f"{self.scratch.estimate:.3f}",
            "after the phantom": f"{self.simulated.estimate:.3f}",
            "difference (95 %)": f"{found.estimate:+z.3f} ({found.low:+z.3f} to {found.high:+z.3f})",
            "by draw": f"{each.min():+z.3f} to {each.max():+z.3f}",
            "p": p_text(self.p_corrected),
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
        So many real patients take a network from drawn weights as far as the phantom alone; 0 where the fewest are
        enough, infinite where all are not.
    worth_by_draw : tuple of float
        The same of each draw of patients.
    patients : int
        Scored.
    draws : int
        Of the given patients, in the part that has the fewest.
    """

    alone: Interval
    sizes: tuple[SizeFinding, ...]
    worth: Interval
    worth_by_draw: tuple[float, ...]
    patients: int
    draws: int

    @property
    def answers(self) -> bool:
        """Whether there are enough draws for the one rule."""
        return self.draws >= FEWEST_TRAININGS

    def table(self) -> pd.DataFrame:
        """A row for each number of real patients, to read; with p values where the one rule can use them."""
        rows = pd.DataFrame([size.row() for size in self.sizes])
        return rows if self.answers else rows.drop(columns="p")

    def sentence(self) -> str:
        """The exchange rate, in Markdown."""
        fewest, most = self.sizes[0], self.sizes[-1]
        if self.worth.estimate == 0:
            found = f"**{fewest.name}** {'is' if fewest.given == '1' else 'are'} enough to get as far"
        elif math.isinf(self.worth.estimate):
            found = f"**even {most.name}** do not take it as far"
        else:
            found = f"it takes **{self.worth.estimate:.0f} real patients** to get as far"
        low, high = map(self.patients_text, (self.worth.low, self.worth.high))
        apart = (
            f" The {len(self.worth_by_draw)} draws by themselves give {self._by_draw()}."
            if len(self.worth_by_draw) > 1
            else ""
        )
        return (
            f"U-Net that was trained on the phantom alone reaches {self.alone.estimate:.3f} on these {self.patients} "
            f"patients. From drawn weights, and in twice as many steps, {found} (95 % interval over the scored "
            f"patients, {low} to {high}; which patients were drawn is not in it).{apart}"
        )

    def in_short(self) -> str:
        """The exchange rate in clauses of a sentence."""
        worth = self.worth.estimate
        needed = f"about {worth:.0f}" if 0 < worth < math.inf else self.patients_text(worth)
        low, high = map(self.patients_text, (self.worth.low, self.worth.high))
        apart = f"; by draw {self._by_draw()}" if len(self.worth_by_draw) > 1 else ""
        most = self.sizes[-1]
        beside = most.verdict.phrase(
            "the phantom helps", "the phantom harms", "the phantom adds nothing that matters", MARGIN
        )
        return (
            f"From drawn weights it takes {needed} real patients, and twice the steps, to get as far as the phantom "
            f"alone does (95 % interval over the scored patients {low} to {high}{apart}); beside {most.name}, {beside}"
        )

    def _by_draw(self) -> str:
        return ", ".join(map(self.patients_text, self.worth_by_draw))

    def patients_text(self, number: float) -> str:
        """A number of real patients as it is printed: 0 is the fewest or fewer, infinity more than all."""
        if math.isinf(number):
            return f"more than all {self.sizes[-1].real_patients:.0f}"
        return f"{number:.0f}" if number else f"{self.sizes[0].given} or fewer"

    def ends(self) -> str:
        """What the fewest real patients do to the phantom's network, and what it adds to all of them, in Markdown."""
        fewest, most = self.sizes[0], self.sizes[-1]
        few = f"With {self.draws} draw{'s' * (self.draws != 1)} of patients, the table describes, and the"
        rule = self._verdicts() if self.answers else f"{few} one rule of this study gives no verdict."
        return (
            f"- Going on with **{fewest.name}** moves Dice after the phantom by {interval_text(fewest.from_alone)}.\n"
            f"- With **{most.name}**, Dice is {most.simulated.estimate:.3f} after the phantom and "
            f"{most.scratch.estimate:.3f} from drawn weights: {interval_text(most.difference)}.\n\n{rule}"
        )

    def _verdicts(self) -> str:
        """What the one rule says of each number of real patients, in Markdown."""
        from_drawn = ("the phantom helps", "the phantom harms", "both starts do as well")
        from_alone = ("real patients help", "real patients harm", "nothing changes")
        return (
            f"Beside as many real patients from drawn weights:\n\n{self._listed('verdict', from_drawn)}\n\n"
            f"Beside the phantom alone:\n\n{self._listed('from_alone_verdict', from_alone)}"
        )

    def _listed(self, which: str, phrases: tuple[str, str, str]) -> str:
        groups: dict[str, list[str]] = {}
        for size in self.sizes:
            said = getattr(size, which).phrase(*phrases, MARGIN)
            groups.setdefault(said, []).append(f"all {size.real_patients:.0f}" if size.given == ALL else size.given)
        return "\n".join(f"- with {', '.join(given)}: {said}" for said, given in groups.items())


def findings(patients: pd.DataFrame, seed: int = 0) -> ExchangeFindings:
    """What the table of :func:`score` shows. The p values of all numbers of patients are corrected together.

    Parameters
    ----------
    patients : DataFrame
        With one draw or more; of each the same patients, starts and numbers.
    seed : int
        Of the bootstrap.
    """
    counts = patients.drop_duplicates(["given", "fold"]).groupby("given")["real_patients"].mean()
    # Each patient's mean over the draws, a column a start and number, from few to all.
    dice = patients.groupby(["patient", "start", "given"])["dice"].mean().unstack(["start", "given"])
    dice = dice[sorted(dice, key=lambda name: (name[0], counts[name[1]]))].dropna()
    given = list(dice[SCRATCH])
    differences = {name: paired_difference(dice[SIMULATED, name], dice[SCRATCH, name], seed=seed) for name in given}
    alone = {name: paired_difference(dice[SIMULATED, name], dice[SIMULATED, NONE], seed=seed) for name in given}
    draws = int(patients.groupby(["start", "given", "fold"])["draw"].nunique().min())
    judged, from_alone = (shown_together(each, margin=MARGIN, trainings=draws) for each in (differences, alone))
    of_draw = (
        patients[patients["patient"].isin(dice.index)].groupby(["draw", "start", "given"])["dice"].mean().unstack(0)
    )
    return ExchangeFindings(
        alone=bootstrap_interval(dice[SIMULATED, NONE], seed=seed),
        sizes=tuple(
            SizeFinding(
                name,
                float(counts[name]),
                *(bootstrap_interval(dice[start, name], seed=seed) for start in (SCRATCH, SIMULATED)),
                *(tuple(of_draw.loc[start, name].dropna()) for start in (SCRATCH, SIMULATED)),
                differences[name],
                *judged[name],
                alone[name],
                from_alone[name][1],
            )
            for name in given
        ),
        worth=_worth(dice[SCRATCH].to_numpy(), dice[SIMULATED, NONE].to_numpy(), counts[given].to_numpy(), seed),
        worth_by_draw=tuple(
            _crossing(counts[given].to_numpy(), means[SCRATCH][given].to_numpy(), means[SIMULATED, NONE])
            for _, means in of_draw.dropna(axis="columns").items()
        ),
        patients=len(dice),
        draws=draws,
    )


def longer_sentence(found: ExchangeFindings, patients: pd.DataFrame, longer: pd.Series, seed: int = 0) -> str:
    """What the phantom alone is worth after as many steps as the networks from drawn weights take, in Markdown.

    Parameters
    ----------
    found : ExchangeFindings
        Of the same table.
    patients, seed
        As :func:`findings`.
    longer : Series
        Patient -> Dice after the phantom alone, for all these steps.
    """
    curve, given = patients[patients["start"] == SCRATCH], [size.given for size in found.sizes]
    dice = curve.groupby(["patient", "given"])["dice"].mean().unstack("given")[given].dropna()
    dice = dice[dice.index.isin(longer.dropna().index)]
    counts = np.array([size.real_patients for size in found.sizes])
    worth = _worth(dice.to_numpy(), longer[dice.index].to_numpy(), counts, seed)
    estimate, low, high = map(found.patients_text, worth)
    return (
        "After as many steps as the networks from drawn weights take, the phantom alone has "
        f"{longer[dice.index].mean():.3f} (on {len(dice)} patients), and is worth {estimate} real patients (95 % "
        f"interval {low} to {high})."
    )


def _worth(scratch: np.ndarray, alone: np.ndarray, counts: np.ndarray, seed: int) -> Interval:
    """Where the curve from drawn weights reaches the phantom alone, with a percentile interval over patients.

    Parameters
    ----------
    scratch : float array (patients, numbers)
    alone : float array (patients,)
    counts : float array (numbers,)
    seed : int
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(alone), size=(RANK_DRAWS, len(alone)))
    reached = [_crossing(counts, scratch[rows].mean(axis=0), alone[rows].mean()) for rows in drawn]
    # One of the draws and nothing between two: 0 and infinity have no mean.
    low, high = np.quantile(reached, [0.025, 0.975], method="nearest")
    return Interval(_crossing(counts, scratch.mean(axis=0), alone.mean()), float(low), float(high))


def _crossing(counts: np.ndarray, means: np.ndarray, level: float) -> float:
    """How many patients a curve needs for a level, between two of its points by the logarithm of their number.

    The curve is made to rise first, by isotonic regression: more patients of the same kind do not teach less. 0 where
    it begins at the level or above, infinite where it stays below.
    """
    rising = isotonic_regression(means).x
    above = np.flatnonzero(rising >= level)
    if not len(above):
        return math.inf
    if (first := int(above[0])) == 0:
        return 0.0
    return float(np.exp(np.interp(level, rising[first - 1 : first + 1], np.log(counts[first - 1 : first + 1]))))


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
        "the larger ones. The patients of the folds' test sides are scored, but for the phantom's development set."
    )
