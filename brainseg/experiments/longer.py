"""What more of the phantom does, in the steps in which the reference runs meet real patients.

The reference runs start from networks of the phantom alone and go on with real patients for as many steps again. So
their gain may come from the patients or from the longer training. Here networks stay with the phantom for as many steps
as the reference runs take before and after. Beside them stand those of :mod:`brainseg.experiments.synthetic`, which
stop where the reference runs begin with real patients, and the reference runs themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from brainseg.chapters import study_recipe
from brainseg.experiments.plan import Training, on_the_phantom
from brainseg.experiments.synthetic import (
    MARGIN,
    MODEL,
    SYNTHETIC,
    judges,
    mean_dice,
    require_real,
    scored_on,
    trained_on_real,
)
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import MODEL_NAMES, MODELS
from brainseg.results import read_table
from brainseg.statistics import Difference, Verdict, interval_text, paired_difference, shown_together

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

LONGER = "longer"
"""The folder of its results."""

MORE, INSTEAD = "more of the phantom", "real patients instead"
"""The two questions: more of the phantom or none, and real patients or more of the phantom."""


@dataclass(frozen=True)
class Settings:
    """What is trained.

    Attributes
    ----------
    models : tuple of str
        Names of :data:`brainseg.networks.recipe.MODELS`, U-Net among them. FCN-32 takes longest and is left out by
        default.
    seeds : tuple of int
    """

    models: tuple[str, ...] = ("unet", "resunet")
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if strangers := set(self.models) - set(MODELS):
            raise ValueError(f"unknown {', '.join(sorted(strangers))}: choose from {', '.join(MODELS)}")
        if MODEL not in self.models:
            raise ValueError(f"models has no {MODEL}, the one that chapter 16 answers for")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """Each network with each seed on the phantom alone, for twice as many epochs as the study's recipe.

    Raises
    ------
    ValueError
        On a synthetic cohort, which cannot say what a synthetic tumour is worth.
    """
    require_real(cohort)
    trainings = []
    for model in settings.models:
        for seed in settings.seeds:
            recipe = study_recipe(model, seed=seed)
            recipe = replace(recipe, epochs=2 * recipe.epochs)
            trainings.append(on_the_phantom(recipe, Preprocessing(), {"model": model, "seed": seed}))
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every network on the real patients outside the development set.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``model, seed, patient, institution, tumour_px, tp, fp, fn, dice`` of the volume.
    """
    return {"patients": scored_on(judges(cohort), cohort, runs)}


# ---------------------------------------------------------------- what the tables say


@dataclass(frozen=True)
class Comparison:
    """Two ways of training a kind of network, on the patients whom both were scored on.

    Attributes
    ----------
    model : str
    asked : str
        `MORE` or `INSTEAD`.
    before, after : float
        Mean Dice of the two.
    difference : Difference
        The second minus the first.
    verdict : Verdict
    """

    model: str
    asked: str
    before: float
    after: float
    difference: Difference
    verdict: Verdict

    def sentence(self) -> str:
        """As an item of a list, in Markdown."""
        return (
            f"- **{MODEL_NAMES[self.model]}, {self.asked}:** {self.after:.3f} instead of {self.before:.3f}, "
            f"{interval_text(self.difference)} on {self.difference.patients} patients. {self.verdict.sentence}"
        )


@dataclass(frozen=True)
class LongerFindings:
    """What longer training on the phantom does, and what real patients do in the same steps: network by network."""

    comparisons: tuple[Comparison, ...]

    def sentences(self) -> str:
        """A line a comparison, in Markdown."""
        return "\n".join(each.sentence() for each in self.comparisons)

    def in_short(self) -> str:
        """What longer training does to `MODEL`, as a clause of a sentence."""
        more = next(each for each in self.comparisons if (each.model, each.asked) == (MODEL, MORE))
        return f"as many steps again on the phantom alone move it by {more.difference.estimate:+.2f}"


def findings(longer: pd.DataFrame, usual: pd.DataFrame, real: pd.DataFrame, seed: int = 0) -> LongerFindings:
    """Every network of a table beside the two others of its kind; all p values are corrected together.

    Parameters
    ----------
    longer : DataFrame
        From :func:`score`.
    usual : DataFrame
        From :func:`brainseg.experiments.synthetic.score`.
    real : DataFrame
        From :func:`brainseg.experiments.synthetic.trained_on_real`.
    seed : int
        Of the bootstrap.
    """
    tables = (usual, longer, real)
    short, long, patients = map(mean_dice, tables)
    models = [model for model in MODEL_NAMES if model in long]
    pairs = {}
    for model in models:
        for asked, before, after in ((MORE, short, long), (INSTEAD, long, patients)):
            pairs[model, asked] = pd.DataFrame({"before": before[model], "after": after[model]}).dropna()
    differences = {key: paired_difference(pair["after"], pair["before"], seed=seed) for key, pair in pairs.items()}
    trainings = min(table.groupby("model")["seed"].nunique()[models].min() for table in tables)
    judged = shown_together(differences, margin=MARGIN, trainings=int(trainings))
    return LongerFindings(
        tuple(
            Comparison(*key, pair["before"].mean(), pair["after"].mean(), differences[key], judged[key][1])
            for key, pair in pairs.items()
        )
    )


def read_findings(seed: int = 0) -> LongerFindings:
    """The findings of the kept tables."""
    return findings(read_table(LONGER, "patients"), read_table(SYNTHETIC, "patients"), trained_on_real(), seed)
