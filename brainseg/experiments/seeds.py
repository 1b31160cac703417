"""The networks of the reference edition, trained with another seed: how much of a score is the luck of a training.

The seed decides the starting weights, the order of the slices and their augmentation. Recipe, slices and splits stay.
Named before any of these trainings was scored: the measure is the Dice of each test patient, seed against seed within a
network, and network against network in the mean over the seeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainseg.evaluation.scores import VOLUME_COLUMNS, score_patients
from brainseg.experiments.plan import Training
from brainseg.experiments.ranking import Ranking, rank_networks
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.networks.record import RunRecord, reference_runs
from brainseg.results import REFERENCE, read_table
from brainseg.statistics import Difference, interval_text, paired_difference

if TYPE_CHECKING:
    from brainseg.networks.runs import Run


@dataclass(frozen=True)
class Settings:
    """Which networks are trained again.

    Attributes
    ----------
    seeds : tuple of int
        Other ones than that of the reference edition.
    models : tuple of str
        Names of :data:`brainseg.networks.recipe.MODELS`.
    folds : tuple of int
    """

    seeds: tuple[int, ...] = (1,)
    models: tuple[str, ...] = ("unet", "resunet")
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """One training for each seed, network and fold, on the sides of the reference run.

    Raises
    ------
    ValueError
        For an empty list, for a network and fold that the reference edition does not have, for the seed that it has
        already or one below 0, and for a cohort that lacks patients of the reference edition.
    """
    if not (settings.seeds and settings.models and settings.folds):
        raise ValueError("nothing to do: seeds, models and folds name at least one each")
    trainings = []
    for seed, model, fold in product(settings.seeds, settings.models, settings.folds):
        record = _reference(model, fold)
        recipe = replace(record.recipe, seed=seed)
        if recipe == record.recipe:
            raise ValueError(f"seed {seed} is that of {record.name} itself: name others")
        if lacking := set(record.sides()["patient"]) - set(cohort["patient"]):
            raise ValueError(
                f"{cohort.attrs['root']} lacks {len(lacking)} patients of {record.name}, {min(lacking)} among them: "
                "name the whole cohort"
            )
        labels = {"model": model, "fold": fold, "seed": seed}
        trainings.append(Training(recipe, record.preprocessing, record.split(cohort), labels))
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score each network on its test patients, beside the run of the reference edition.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``model, fold, seed, patient, institution, tumour_px, tp, fp, fn, dice`` per volume in the
        original frame, and ``reference_seed, reference_dice`` of the same patient in the reference edition.
    """
    from brainseg.evaluation.predict import evaluate

    reference = read_table(REFERENCE, "patients").query("part == 'test'").set_index(["run", "patient"])
    scored = []
    for training, run in runs:
        patients = score_patients(evaluate(run)).reset_index()[VOLUME_COLUMNS]
        name = _reference(training.labels["model"], training.labels["fold"]).name
        beside = reference.loc[name].reindex(patients["patient"])[["seed", "dice"]].add_prefix("reference_")
        scored.append(patients.assign(**training.labels).join(beside, on="patient"))
    columns = ["model", "fold", "seed", *VOLUME_COLUMNS, "reference_seed", "reference_dice"]
    return {"patients": pd.concat(scored, ignore_index=True)[columns]}


def _reference(model: str, fold: int) -> RunRecord:
    for record in reference_runs(model, "patient", fold):
        return record
    raise ValueError(
        f"the reference edition has no {model!r} of fold {fold}: python -m brainseg experiment reference trains it"
    )


# ---------------------------------------------------------------- what another seed shows


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
        Seed -> the network with the higher mean.
    ranking : Ranking
        The networks in the mean over the seeds.
    """

    luck: tuple[Luck, ...]
    ahead: dict[int, str]
    ranking: Ranking

    def sentences(self) -> str:
        """All of it, in Markdown."""
        ahead = ", ".join(f"{name} with seed {seed}" for seed, name in self.ahead.items())
        order = f"The higher mean is that of {ahead}."
        if len(set(self.ahead.values())) == 1 and len(self.ahead) > 1:
            order += f" By chance, {len(self.ahead)} seeds agree once in {2 ** (len(self.ahead) - 1)} times."
        pairs = "\n".join(pair.sentence() for pair in self.ranking.pairs)
        own = "\n".join(each.sentence() for each in self.luck)
        return f"{own}\n\n{order} In the mean over the seeds:\n\n{pairs}"


def findings(patients: pd.DataFrame, seed: int = 0) -> SeedFindings:
    """What another seed shows: each network beside itself, and the networks in the mean over the seeds.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`.
    seed : int
        Of the bootstrap.
    """
    by_seed = patients.pivot(index="patient", columns=["model", "seed"], values="dice")
    first_seed = int(patients["reference_seed"].iloc[0])
    first = patients.drop_duplicates(["model", "patient"]).pivot(
        index="patient", columns="model", values="reference_dice"
    )
    models = [model for model in MODEL_NAMES if model in first]
    luck = []
    for model in models:
        for other in sorted(by_seed[model].columns):
            both = pd.concat([first[model], by_seed[model, other]], axis=1, keys=["first", "other"]).dropna()
            gap = both["other"] - both["first"]
            luck.append(
                Luck(
                    MODEL_NAMES[model], first_seed, int(other),
                    float(both["first"].mean()), float(both["other"].mean()),
                    paired_difference(both["other"], both["first"], seed=seed),
                    float(gap[gap.abs().idxmax()]),
                )
            )  # fmt: skip
    seeds = sorted({first_seed, *(int(other) for _, other in by_seed.columns)})
    dice = {
        number: pd.DataFrame({m: first[m] if number == first_seed else by_seed[m, number] for m in models})
        for number in seeds
    }
    ahead = {number: MODEL_NAMES[table.dropna().mean().idxmax()] for number, table in dice.items()}
    mean = sum(dice.values()) / len(dice)
    return SeedFindings(tuple(luck), ahead, rank_networks(mean, trainings=len(seeds), seed=seed))


def still_beside_the_reference(patients: pd.DataFrame, reference: pd.DataFrame) -> bool:
    """Whether the scores of the reference edition that stand in the table are those of today's networks.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`.
    reference : DataFrame
        Patients of the reference edition, ``model, patient, dice``.
    """
    now = reference.set_index(["model", "patient"])["dice"].reindex(
        pd.MultiIndex.from_frame(patients[["model", "patient"]])
    )
    return bool(np.allclose(patients["reference_dice"], now, equal_nan=True))
