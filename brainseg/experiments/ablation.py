"""Which ingredient of the phantom matters: one at a time is taken out, and a network meets what is left.

The question is asked of the development patients, because they may steer the phantom by its answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from brainseg.experiments import phantoms
from brainseg.experiments.ingredients import INGREDIENTS, WIDE
from brainseg.experiments.literature import LITERATURE
from brainseg.experiments.phantoms import findings, in_order, training_on
from brainseg.experiments.plan import PHANTOM, Training
from brainseg.experiments.synthetic import development_patients, require_real, scored_on
from brainseg.statistics import interval_text

if TYPE_CHECKING:
    from brainseg.networks.runs import Run


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
    """Score every network on the development set; the table is that of :func:`brainseg.experiments.phantoms.score`."""
    return {"patients": scored_on(set(development_patients()["patient"]), cohort, runs)}


# ---------------------------------------------------------------- what the table says


class Ingredient(NamedTuple):
    """What a page says of an ingredient of the phantom that is taken out.

    Attributes
    ----------
    phrase : str
        As in "U-Net does worse without the skull".
    changed, stays : str
        What is done to the phantom, and what of the ingredient is left.
    """

    phrase: str
    changed: str
    stays: str


TOLD = {
    "no skull": Ingredient(
        "the skull",
        "All outside the brain is black: scalp, skull, eyes, neck, and the noise of the air.",
        "The brain. The crop follows it, so it fills more of a slice than in a whole head.",
    ),
    "no shading": Ingredient("shading", "No slow shading across the head.", "Nothing of it."),
    "no noise": Ingredient(
        "noise", "Next to no noise of the scanner.",
        "The augmentation adds some noise.",
    ),
    "no cysts or rims": Ingredient(
        "cysts and enhancement", "No cystic cores, and no part of a tumour takes up contrast agent.", "All else.",
    ),
    "one contrast": Ingredient(
        "contrasts of many kinds", "Each tumour stands out on FLAIR as the median one does.",
        "Its T1 levels and the softness of its edge vary. The augmentation changes contrast a little.",
    ),
    "one size": Ingredient("sizes of many kinds", "Each tumour has the median volume.", "Shapes and places."),
    "round tumours": Ingredient(
        "shapes of many kinds", "Tumours grow evenly to all sides, through white and grey matter alike.",
        "They end at the brain's edge and its folds, and a reader's line wobbles.",
    ),
    "one scanner": Ingredient(
        "several scanners",
        "Brightness, noise, blur and shading of one institution for all, and no sequence is missing.",
        "Numbers of slices and sizes of pixels. The augmentation changes brightness and drops sequences.",
    ),
}  # fmt: skip
"""Name of a phantom in :data:`brainseg.experiments.ingredients.INGREDIENTS` -> what a page says of it."""


def ingredients() -> pd.DataFrame:
    """What is taken out each time, and what is left of it, to read."""
    rows = [(name, told.changed, told.stays) for name, told in TOLD.items()]
    return pd.DataFrame(rows, columns=["phantom", "what is changed", "what stays"])


def sentence(patients: pd.DataFrame, seed: int = 0) -> str:
    """Without which ingredients a network is shown to do worse, better, or as well, in Markdown.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`.
    seed : int
        Of the bootstrap.
    """
    return phantoms.sentence(findings(patients, seed), {name: told.phrase for name, told in TOLD.items()}, "without")


def conclusion(patients: pd.DataFrame, others: pd.DataFrame, seed: int = 0) -> str:
    """What is missed most, and whether the phantom has to fit its judges, in Markdown.

    Parameters
    ----------
    patients, seed
        As :func:`sentence`.
    others : DataFrame
        The first of :func:`brainseg.experiments.phantoms.questions`.
    """
    found = in_order(findings(patients, seed))
    missed = [each for each in found if each.verdict.direction < 0 and not each.verdict.within_margin]
    said = f"On {found[0].difference.patients} development patients, "
    if missed:
        phrase, loss = TOLD[missed[0].name].phrase, missed[0].difference.estimate
        said += (
            f"U-Net is shown to do worse without {len(missed)} of {len(found)} ingredients of the phantom, by an "
            f"amount that may matter, most of all without {phrase} ({loss:+.3f} of Dice)"
        )
    else:
        said += f"none of {len(found)} ingredients of the phantom is shown to be missed by an amount that may matter"
    unfitted = {WIDE: "a phantom of wider ranges", LITERATURE: "one whose tissues have published relaxation times"}
    drawn = "".join(
        f"; after {unfitted[each.name]}, {each.mean:.3f}, which is {interval_text(each.difference)} and "
        f"{each.difference.median:+z.3f} in the median: {each.verdict.in_short}"
        for each in findings(others, seed)
        if each.name in unfitted
    )
    own = phantoms.dice_by_phantom(others)[phantoms.OWN]
    return (
        f"{said}. On {len(own)} others its mean Dice is {own.mean():.3f} after the phantom that was fitted to its "
        f"judges{drawn}."
    )


def best_sentence(patients: pd.DataFrame, seed: int = 0) -> str:
    """After which phantom the development patients have the highest mean, and whether the rule of the steps takes it.

    Parameters
    ----------
    patients, seed
        As :func:`sentence`.
    """
    best = in_order(findings(patients, seed))[-1]
    gain = best.difference.estimate
    said = (
        f"After *{best.name}* the development patients have the highest mean Dice of all phantoms that lack something"
    )
    return f"{said}. By the rule above that would {'be' if gain > 0 else 'not be'} a step forward ({gain:+z.3f})."
