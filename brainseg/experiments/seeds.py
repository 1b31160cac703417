"""The seeds of the reference edition beside each other: how much of a score is the luck of a training.

The seed decides the starting weights, the order of the slices and their augmentation. Recipe, slices and folds stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from brainseg.experiments.ranking import Ranking, rank_networks
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.statistics import Difference, interval_text, paired_difference


@dataclass(frozen=True)
class Luck:
    """One network trained with one seed and with another.

    Attributes
    ----------
    name : str
    first_seed, other_seed : int
    first_mean, other_mean : float
        Mean Dice over the patients.
    difference : Difference
        Other minus first.
    largest : float
        The difference of the patient that moved furthest.
    """

    name: str
    first_seed: int
    other_seed: int
    first_mean: float
    other_mean: float
    difference: Difference
    largest: float

    def sentence(self) -> str:
        """As an item of a list, in Markdown."""
        found = self.difference
        return (
            f"- **{self.name}** has {self.first_mean:.3f} with seed {self.first_seed} and {self.other_mean:.3f} with "
            f"seed {self.other_seed}: {interval_text(found)} over "
            f"{found.patients} patients. One patient moved by {self.largest:+z.3f}."
        )


@dataclass(frozen=True)
class SeedFindings:
    """What the trainings with other seeds say.

    Attributes
    ----------
    luck : tuple of Luck
        Each network beside itself.
    ahead : mapping
        Seed -> the network with the highest mean, of those that have all seeds.
    ranking : Ranking
        These networks in the mean over the seeds.
    """

    luck: tuple[Luck, ...]
    ahead: dict[int, str]
    ranking: Ranking

    def sentences(self) -> str:
        """All of it, in Markdown."""
        if not self.luck:
            return "Each network has been trained with one seed so far, so how much is luck is not known yet."
        ahead = ", ".join(f"{name} with seed {seed}" for seed, name in self.ahead.items())
        order = f"The higher mean is that of {ahead}."
        if len(set(self.ahead.values())) == 1 and len(self.ahead) > 1:
            times = len(self.ranking.means) ** (len(self.ahead) - 1)
            order += f" By chance, {len(self.ahead)} seeds agree once in {times} times."
        pairs = "\n".join(pair.sentence() for pair in self.ranking.pairs)
        own = "\n".join(each.sentence() for each in self.luck)
        return f"{own}\n\n{order} With each patient's Dice averaged over the seeds:\n\n{pairs}"


def findings(patients: pd.DataFrame, seed: int = 0) -> SeedFindings:
    """What another seed shows: each network beside itself, and the networks in the mean over the seeds.

    Parameters
    ----------
    patients : DataFrame
        ``model, seed, patient, dice``: the kept table ``seeds`` of the reference edition.
    seed : int
        Of the bootstrap.
    """
    dice = patients.pivot(index="patient", columns=["model", "seed"], values="dice")
    seeds = {model: sorted(map(int, dice[model])) for model in MODEL_NAMES if model in dice}
    luck = []
    for model, (first, *others) in seeds.items():
        for other in others:
            both = dice[model][[first, other]].dropna()
            gap = both[other] - both[first]
            luck.append(
                Luck(
                    MODEL_NAMES[model], first, other, float(both[first].mean()), float(both[other].mean()),
                    paired_difference(both[other], both[first], seed=seed), float(gap[gap.abs().idxmax()]),
                )
            )  # fmt: skip
    # Networks are compared where they were trained equally often: a mean of two is no match for one.
    everything = max(seeds.values(), key=len)
    whole = dice[[model for model, own in seeds.items() if own == everything]]
    by_seed = {number: whole.xs(number, axis=1, level="seed").dropna() for number in everything}
    ahead = {number: MODEL_NAMES[table.mean().idxmax()] for number, table in by_seed.items()}
    mean = whole.T.groupby(level="model").mean().T
    return SeedFindings(tuple(luck), ahead, rank_networks(mean, trainings=len(by_seed), seed=seed))
