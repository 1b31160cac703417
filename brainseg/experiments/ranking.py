"""Which network is better? All pairs on the same patients, by the one rule, and the article's claim about ResUNet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from brainseg.networks.recipe import MODEL_NAMES
from brainseg.statistics import (
    Answer,
    Difference,
    Verdict,
    interval_over_groups,
    interval_text,
    p_text,
    paired_difference,
    shown_together,
)

MARGIN = 0.02
"""Of Dice: two networks that lie closer together are called equivalent. Named before the networks were compared by this
rule."""


@dataclass(frozen=True)
class Pair:
    """Two networks on the same patients: `first` minus `second`.

    Attributes
    ----------
    first, second : str
        Names as in a sentence.
    difference : Difference
    p_corrected : float
        By Holm, for the number of pairs.
    verdict : Verdict
    """

    first: str
    second: str
    difference: Difference
    p_corrected: float
    verdict: Verdict

    @property
    def label(self) -> str:
        """As in "ResUNet minus U-Net"."""
        return f"{self.first} minus {self.second}"

    @property
    def better(self) -> str | None:
        """The network that is shown to be better; None where neither is."""
        return {1: self.first, -1: self.second}.get(self.verdict.direction)

    def sentence(self) -> str:
        """The pair as an item of a list, in Markdown."""
        found = self.difference
        said = f"{found.estimate:+z.3f}"
        if found.patients > 1:
            said = f"{interval_text(found)}, {p_text(self.p_corrected, name='corrected p')}"
        return f"- **{self.label}**: {said}, better on {found.better_on} of {found.patients}. {self.verdict.sentence}"


@dataclass(frozen=True)
class Ranking:
    """All pairs of some networks, and what they say of "ResUNet is best".

    Attributes
    ----------
    means : mapping
        Mean Dice by name, over the patients that all networks share.
    patients : int
    pairs : tuple of Pair
    """

    means: dict[str, float]
    patients: int
    pairs: tuple[Pair, ...]

    @property
    def best(self) -> str:
        """The network with the highest mean."""
        return max(self.means, key=lambda name: self.means[name])

    @property
    def _with_resunet(self) -> list[Pair]:
        return [pair for pair in self.pairs if MODEL_NAMES["resunet"] in (pair.first, pair.second)]

    def article(self) -> Answer | bool:
        """Whether ResUNet is best, as the article says.

        True where it is shown to be better than each other network. False where another one is shown to be better.
        `Answer.EQUIVALENT` where none is, and one is shown to be as good; else `Answer.CANNOT_TELL`.
        """
        mine, beside = MODEL_NAMES["resunet"], self._with_resunet
        if beside and all(pair.better == mine for pair in beside):
            return True
        if any(pair.better not in (None, mine) for pair in beside):
            return False
        equivalent = any(pair.verdict.answer is Answer.EQUIVALENT for pair in beside)
        return Answer.EQUIVALENT if equivalent else Answer.CANNOT_TELL

    def _beside_resunet(self) -> str:
        """What is shown of ResUNet and the others, where it is not shown to be the best: a clause."""
        mine, found = MODEL_NAMES["resunet"], []
        for pair in self._with_resunet:
            other = pair.second if pair.first == mine else pair.first
            if pair.better == other:
                found.append(f"{other} is shown to be better than {mine}")
            elif pair.verdict.answer is Answer.EQUIVALENT:
                found.append(f"{other} is equivalent to {mine} within {MARGIN:g}")
        return " and ".join(found)

    def answer_to_article(self) -> str:
        """Whether ResUNet is best and what that rests on, in a few words of Markdown: what chapter 11 finds."""
        return {
            True: "**yes** (it is shown to be better than each other network)",
            False: f"**no** ({self._beside_resunet()})",
            Answer.EQUIVALENT: f"**not shown** ({self.best} has the highest mean, and {self._beside_resunet()})",
            Answer.CANNOT_TELL: f"**cannot tell** ({self.best} has the highest mean)",
        }[self.article()]

    def sentence(self) -> str:
        """What the comparison says of the article's claim, in Markdown."""
        said = self.article()
        verdict = {
            True: "So ResUNet is the best of them, **as the article found**.",
            False: f"{self._beside_resunet()}, so the article's ranking, ResUNet first, **does not hold here**.",
            Answer.EQUIVALENT: f"But {self._beside_resunet()}, so it is **not shown** that ResUNet is best.",
            Answer.CANNOT_TELL: "Whether ResUNet is best, as the article found, these data **cannot tell**.",
        }[said]
        return f"{self.best} has the highest mean, {self.means[self.best]:.3f} over {self.patients} patients. {verdict}"

    def answer(self) -> str:
        """Which network is best, as far as the data show it, in a sentence: what chapter 8 finds."""
        who = f"{self.patients} patients" if self.patients > 1 else "one patient"
        said = f"{self.best} has the highest mean Dice, {self.means[self.best]:.3f} over {who}"
        told = {answer: [pair for pair in self.pairs if pair.verdict.answer is answer] for answer in Answer}
        if len(told[Answer.CANNOT_TELL]) == len(self.pairs):
            reasons = dict.fromkeys(pair.verdict.text.partition(": ")[2] for pair in self.pairs)
            return f"{said}, but which network is better the data cannot tell: {'; '.join(reasons)}."
        parts = [
            f"{pair.first} is shown to be {'better' if pair.verdict.direction > 0 else 'worse'} than {pair.second}"
            for pair in told[Answer.DIFFERENCE]
        ]
        parts += [f"{pair.first} and {pair.second} are equivalent" for pair in told[Answer.EQUIVALENT]]
        parts += [f"of {pair.first} and {pair.second} the data cannot tell" for pair in told[Answer.CANNOT_TELL]]
        return f"{said}; {'; '.join(parts)}."

    def table(self) -> pd.DataFrame:
        """A row a pair: ``patients, mean, low, high, median, p corrected, better on, verdict``."""
        rows = {
            pair.label: {
                "patients": pair.difference.patients,
                "mean": pair.difference.estimate,
                "low": pair.difference.low,
                "high": pair.difference.high,
                "median": pair.difference.median,
                "p corrected": pair.p_corrected,
                "better on": pair.difference.better_on,
                "the data": pair.verdict.answer.value,
            }
            for pair in self.pairs
        }
        return pd.DataFrame.from_dict(rows, orient="index")


def rank_networks(dice: pd.DataFrame, trainings: int, *, seed: int = 0) -> Ranking:
    """Compare all pairs of networks, the later one of `MODEL_NAMES` minus the earlier.

    Parameters
    ----------
    dice : DataFrame
        Per-volume Dice: a row a patient, a column a network (a key of `MODEL_NAMES`). Patients who lack a value do not
        count.
    trainings : int
        How many trainings of each network a value averages.
    seed : int
        Of the bootstrap and the sign flips.

    Raises
    ------
    ValueError
        Where fewer than two networks, or no patient, is left.
    """
    models = [name for name in MODEL_NAMES if name in dice]
    shared = dice[models].dropna()
    if len(models) < 2 or shared.empty:
        raise ValueError(f"{len(models)} networks on {len(shared)} patients: there is nothing to compare")
    pairs = list(combinations(reversed(models), 2))
    found = {pair: paired_difference(shared[pair[0]], shared[pair[1]], seed=seed) for pair in pairs}
    judged = shown_together(found, margin=MARGIN, trainings=trainings)
    return Ranking(
        means={MODEL_NAMES[name]: float(shared[name].mean()) for name in models},
        patients=len(shared),
        pairs=tuple(
            Pair(MODEL_NAMES[first], MODEL_NAMES[second], found[first, second], *judged[first, second])
            for first, second in pairs
        ),
    )


def by_fold(dice: pd.DataFrame, fold: pd.Series) -> str:
    """Whether ResUNet minus U-Net rests on a fold or on a patient, in Markdown; empty with fewer than three folds.

    Patients of a fold share their networks, which an interval over patients does not know. An interval over the means
    of the folds does, and is as wide as so few numbers make it.

    Parameters
    ----------
    dice : DataFrame
        As for :func:`rank_networks`.
    fold : Series
        In which fold a patient was tested, by patient.
    """
    difference = (dice["resunet"] - dice["unet"]).dropna()
    folds = fold.reindex(difference.index)
    over_folds = interval_over_groups(difference, folds, 0.90)
    if over_folds is None:
        return ""
    low, high = over_folds.low, over_folds.high
    within = "within" if low > -MARGIN and high < MARGIN else "not within"
    most = difference.abs().idxmax()
    return (
        "Patients of a fold are predicted by the same networks, so they are not quite independent. Over the means of "
        f"the {folds.nunique()} folds, the 90 % interval of ResUNet minus U-Net is {low:+.3f} to {high:+.3f} (by t), "
        f"{within} the margin of {MARGIN:g}. And one patient counts most: without {most} ({difference[most]:+.2f}) the "
        f"mean difference is {difference.drop(most).mean():+z.3f}."
    )
