"""What a synthetic tumour is worth: networks that met no real image, on real patients.

Three questions, each with a table of its own.

- *Transfer*: how well do networks that trained on a phantom alone outline real tumours, and which phantom does it take?
- *Exchange*: how many real patients does the phantom replace, and what does a start from it add to them?
- *Ingredients*: which part of the phantom can it not do without?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainseg.evaluation.scores import summarise
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.statistics import (
    DRAWS,
    Difference,
    Interval,
    Verdict,
    interval_text,
    paired_difference,
    percentile_interval,
    shown,
)

FAILURE = 0.1
"""Of Dice: below it, a tumour was not found."""

MARGIN = 0.03
"""Of Dice: two phantoms, or two starts, that differ by less are equally good for a teacher or a training."""

STEERED, FLAT = "steered", "flat threshold"
"""The phantom that the development patients steered, and the rule that no network is needed for."""


@dataclass(frozen=True)
class TransferFinding:
    """One network that trained on one phantom, on real patients; or the flat threshold.

    Attributes
    ----------
    phantom, model : str
    trainings : int
        Over which each patient's Dice is averaged.
    patients : int
    mean, low, high, median, worst : float
        Dice of the volume, the mean with its 95 % interval.
    failures : int
        Patients with a Dice below `FAILURE`.
    """

    phantom: str
    model: str
    trainings: int
    patients: int
    mean: float
    low: float
    high: float
    median: float
    worst: float
    failures: int

    def row(self) -> dict:
        """As a row of a table to read."""
        return {
            "trained on": self.phantom,
            "network": MODEL_NAMES.get(self.model, self.model),
            "trainings": self.trainings,
            "patients": self.patients,
            "mean Dice": self.mean,
            "from": self.low,
            "to": self.high,
            "median": self.median,
            "failures": self.failures,
        }


@dataclass(frozen=True)
class Primary:
    """The answer to the primary question, whether the steered phantom teaches more than a threshold does.

    Attributes
    ----------
    model : str
    difference : Difference
        The network that trained on the steered phantom, minus the flat threshold.
    verdict : Verdict
    """

    model: str
    difference: Difference
    verdict: Verdict

    def sentence(self) -> str:
        """In Markdown."""
        return (
            f"**{MODEL_NAMES[self.model]} that met the phantom alone, minus a flat FLAIR threshold tuned on the same "
            f"phantom:** {interval_text(self.difference)} on {self.difference.patients} real patients. "
            f"{self.verdict.sentence}"
        )


def transfer_findings(transfer: pd.DataFrame, seed: int = 0) -> list[TransferFinding]:
    """Each phantom and network on real patients, in the order of the table.

    Parameters
    ----------
    transfer : DataFrame
        ``phantom, model, cohort_seed, seed, patient, dice``: a row a training and patient.
    seed : int
        Of the bootstrap.
    """
    found = []
    for (phantom, model), part in transfer.groupby(["phantom", "model"], sort=False):
        dice = part.groupby("patient")["dice"].mean()
        trainings = len(part[["cohort_seed", "seed"]].drop_duplicates())
        failures = int((dice < FAILURE).sum())
        found.append(
            TransferFinding(phantom, model, trainings, **summarise(dice.reset_index(), seed=seed), failures=failures)
        )
    return found


def primary_finding(transfer: pd.DataFrame, model: str, seed: int = 0) -> Primary:
    """The primary question, for one network; the table as in :func:`transfer_findings`."""
    steered = transfer[(transfer["phantom"] == STEERED) & (transfer["model"] == model)]
    flat = transfer[transfer["phantom"] == FLAT]
    both = pd.concat(
        [part.groupby("patient")["dice"].mean() for part in (steered, flat)], axis=1, keys=["steered", "flat"]
    ).dropna()
    difference = paired_difference(both["steered"], both["flat"], seed=seed)
    trainings = len(steered[["cohort_seed", "seed"]].drop_duplicates())
    return Primary(model, difference, shown(difference, margin=MARGIN, trainings=trainings))


# ---------------------------------------------------------------- the exchange rate


@dataclass(frozen=True)
class Exchange:
    """How many real training patients the phantom is worth.

    Attributes
    ----------
    curve : DataFrame
        ``start, real_patients, mean, low, high``: mean Dice over the test patients, with its 95 % interval.
    phantom_only : float
        Mean Dice of the networks that met no real patient.
    worth : Interval
        Real patients from which on a training from scratch is as good as the phantom alone; infinite where it never is.
    most : int
        Real patients of the longest training.
    """

    curve: pd.DataFrame
    phantom_only: float
    worth: Interval
    most: int

    def sentence(self) -> str:
        """In Markdown."""
        low, high = (self._patients(number) for number in (self.worth.low, self.worth.high))
        return (
            f"Without a real image the networks reach a mean Dice of {self.phantom_only:.3f}. From scratch it takes "
            f"**{self._patients(self.worth.estimate)} real patients** to reach as much (95 % interval {low} to {high})."
        )

    def _patients(self, number: float) -> str:
        return f"more than {self.most}" if number > self.most else f"{number:.0f}"


def exchange_finding(exchange: pd.DataFrame, seed: int = 0) -> Exchange:
    """The learning curves from scratch and from the phantom, and what the phantom is worth.

    The curve from scratch is made to rise, because more patients cannot be worth less, and is read between two sizes
    on a logarithmic scale. The interval comes from bootstrap samples of test patients, each with its own curves.

    Parameters
    ----------
    exchange : DataFrame
        ``start`` ("scratch" or "phantom"), ``real_patients, fold, draw, patient, dice``.
    seed : int
        Of the bootstrap.
    """
    dice = exchange.groupby(["start", "real_patients", "patient"])["dice"].mean().unstack("patient")
    dice = dice.dropna(axis=1)
    sizes = dice.loc["scratch"].index.to_numpy(float)
    scratch, alone = dice.loc["scratch"].to_numpy(), dice.loc[("phantom", 0)].to_numpy()
    rng = np.random.default_rng(seed)
    drawn = rng.integers(dice.shape[1], size=(DRAWS // 5, dice.shape[1]))
    draws = np.array([_worth(sizes, scratch[:, rows].mean(axis=1), alone[rows].mean()) for rows in drawn])
    estimate = _worth(sizes, scratch.mean(axis=1), alone.mean())
    # Beyond the last size an interval has no number of its own; a number larger than it keeps the order.
    worth = percentile_interval(estimate, np.where(np.isinf(draws), 2 * sizes.max(), draws))
    rows = [
        {"start": start, "real_patients": number, **_mean_interval(values.to_numpy(), seed)}
        for (start, number), values in dice.iterrows()
    ]
    return Exchange(pd.DataFrame(rows), float(alone.mean()), worth, int(sizes.max()))


def _mean_interval(values: np.ndarray, seed: int) -> dict[str, float]:
    scored = summarise(pd.DataFrame({"dice": values}), seed=seed)
    return {name: scored[name] for name in ("mean", "low", "high")}


def _worth(sizes: np.ndarray, curve: np.ndarray, target: float) -> float:
    """The size at which a rising curve meets the target; the smallest where it starts above it, infinite where never.

    A training needs a patient, so sizes below the smallest are not told apart.
    """
    rising = np.maximum.accumulate(curve)
    if target > rising[-1]:
        return np.inf
    first = int(np.argmax(rising >= target))
    if first == 0:
        return float(sizes[0])
    share = (target - rising[first - 1]) / (rising[first] - rising[first - 1])
    return float(np.exp(np.interp(share, (0, 1), np.log(sizes[[first - 1, first]]))))


# ---------------------------------------------------------------- ingredients


@dataclass(frozen=True)
class Ingredient:
    """What leaving one thing out of the phantom costs on the development patients.

    Attributes
    ----------
    removed : str
    mean : float
    cost : Difference
        Whole phantom minus the one without it.
    """

    removed: str
    mean: float
    cost: Difference


def ingredient_findings(ingredients: pd.DataFrame, whole: str, seed: int = 0) -> Sequence[Ingredient]:
    """Each ingredient by its cost, the dearest first. One training each: the order is a hint, not a result.

    Parameters
    ----------
    ingredients : DataFrame
        ``removed, patient, dice``; the rows of the whole phantom have `whole` in ``removed``.
    """
    dice = ingredients.pivot(index="patient", columns="removed", values="dice").dropna()
    found = [
        Ingredient(name, float(dice[name].mean()), paired_difference(dice[whole], dice[name], seed=seed))
        for name in dice
        if name != whole
    ]
    return sorted(found, key=lambda each: -each.cost.estimate)
