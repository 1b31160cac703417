"""Slices with and without tumour scored apart, as in the article's closing argument, and what the rule decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainseg import metrics
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.statistics import bootstrap_interval

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

GROUPS = ("all test slices", "with tumour", "without tumour")


def score_groups(run: Run) -> pd.DataFrame:
    """The article's own test: its way of scoring on all test slices, and on those with and without tumour.

    Returns
    -------
    DataFrame
        On those of `GROUPS` that have slices: ``slices, loss, IoU, Dice``.
    """
    from brainseg.evaluation.predict import article_scores

    rows = run.rows("test")
    tumour = run.prepared.table["tumour_px"].to_numpy()[rows] > 0
    groups = dict(zip(GROUPS, (rows, rows[tumour], rows[~tumour]), strict=True))
    scored = {name: {"slices": len(part), **article_scores(run, part)} for name, part in groups.items() if len(part)}
    return pd.DataFrame.from_dict(scored, orient="index")


@dataclass(frozen=True)
class Lift:
    """Whether empty slices lift a score over all slices, by two rules.

    Attributes
    ----------
    article : DataFrame
        Of :func:`score_groups`.
    rules : DataFrame
        Five rules on the rows, ``ResUNet`` and ``never any tumour`` on the columns.
    """

    article: pd.DataFrame
    rules: pd.DataFrame

    @property
    def by_article(self) -> bool:
        """Whether tumour slices alone score lower than all slices, in the article's way and as printed."""
        dice = self.article["Dice"].round(3)
        return bool(dice["with tumour"] < dice["all test slices"])

    @property
    def by_slice(self) -> float:
        """IoU over all slices, where empty counts as 1, minus that of tumour slices: of the numbers as printed."""
        scores = self.rules["ResUNet"].round(2)
        return float(round(scores["IoU by slice, empty counts as 1"] - scores["IoU on tumour slices only"], 2))

    @property
    def both_kinds(self) -> bool:
        """Whether the test side has slices with and without tumour; else nothing can be compared."""
        return len(self.article) == len(GROUPS)

    def article_sentence(self) -> str:
        """What the article's own test says here, in Markdown."""
        if not self.both_kinds:
            return "This test side has no slices of one of the two groups, so they cannot be compared here."
        dice = self.article["Dice"]
        lower = "lower than" if self.by_article else "no lower than"
        shows = "shows the lift that the article looked for" if self.by_article else "shows no lift by empty slices"
        return (
            f"Scored in this way, ResUNet has a Dice of {dice['all test slices']:.3f} on all test slices, "
            f"{dice['with tumour']:.3f} on those with tumour and {dice['without tumour']:.3f} on those without. The "
            f"tumour slices alone score **{lower} all slices together**. "
            f"So this table {shows}. "
            "Where there is no tumour, nothing can overlap, and only the smoothing lifts the score above zero."
        )

    def rule_sentence(self) -> str:
        """What an empty prediction reaches, and whether the rule decides, in Markdown."""
        all_slices, tumour_slices = "IoU by slice, empty counts as 1", "IoU on tumour slices only"
        empty = self.rules["never any tumour"]
        said = (
            f"A prediction that is always empty reaches a slice IoU of **{empty[all_slices]:.2f}** on "
            f"these slices, and a pixel accuracy of **{empty['pixel accuracy']:.3f}**."
        )
        if not self.both_kinds:
            return f"{said}\n\nThis test side has one kind of slice only, so nothing can be said about a lift."
        scores, lift = self.rules["ResUNet"], "lift" if self.by_slice > 0 else "do not lift"
        return (
            f"{said}\n\nResUNet has a slice IoU of {scores[all_slices]:.2f} over all slices and "
            f"{scores[tumour_slices]:.2f} on the tumour slices, a difference of "
            f"**{self.by_slice:+.2f}**. By this rule the empty slices **{lift}** the score; "
            f"by the article's own, as we read it, they {'do' if self.by_article else 'do not'}."
            + (
                ""
                if self.by_article == (self.by_slice > 0)
                else " So the rule decides, and a score must name its rule."
            )
        )

    def answer(self) -> str:
        """Whether empty slices lift the score, by each rule, in a sentence: what the chapter finds."""
        if not self.both_kinds:
            return "This test side cannot tell, because it has one kind of slice only."
        scores, dice = self.rules["ResUNet"], self.article["Dice"]
        by_slice, by_article = ("yes" if lifted else "no" for lifted in (self.by_slice > 0, self.by_article))
        return (
            f"By the mean IoU of slices, where an empty one counts as 1, {by_slice}: "
            f"{scores['IoU by slice, empty counts as 1']:.2f} over all slices and "
            f"{scores['IoU on tumour slices only']:.2f} on those with tumour; by the article's way of scoring, as we "
            f"read it, {by_article}: a Dice of {dice['all test slices']:.3f} and {dice['with tumour']:.3f}."
        )


def score_rules(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Five ways to score the same slices, three of them over all slices and two over tumour slices alone.

    Parameters
    ----------
    truth, prediction : ndarray, bool (n, H, W)

    Returns
    -------
    dict
        Each in 0..1. Without a tumour slice the last two are not there.
    """
    counts = metrics.confusion(truth, prediction, axis=(1, 2))
    iou, dice = metrics.iou(counts, empty=1), metrics.dice(counts, empty=1)
    scores = {
        "pixel accuracy": metrics.accuracy(counts).mean(),
        "IoU by slice, empty counts as 1": iou.mean(),
        "Dice by slice, empty counts as 1": dice.mean(),
    }
    tumour = truth.any(axis=(1, 2))
    if tumour.any():
        scores |= {"IoU on tumour slices only": iou[tumour].mean(), "Dice on tumour slices only": dice[tumour].mean()}
    return {rule: float(score) for rule, score in scores.items()}


def findings(article: pd.DataFrame, truth: np.ndarray, prediction: np.ndarray) -> Lift:
    """Whether empty slices lift the score: ResUNet's prediction, and one that is always empty, by five rules.

    Parameters
    ----------
    article : DataFrame
        Of :func:`score_groups`.
    truth, prediction : ndarray, bool (n, H, W)
        All test slices, and what ResUNet marks in them.
    """
    rules = {
        "ResUNet": score_rules(truth, prediction),
        "never any tumour": score_rules(truth, np.zeros_like(truth)),
    }
    return Lift(article, pd.DataFrame(rules))


def tumour_slice_table(slices: pd.DataFrame) -> pd.DataFrame:
    """A row a network: how its tumour slices score. `slices` is that of `score_slices`, with ``model``."""
    tumour = slices[slices["tumour_px"] > 0]
    table = tumour.groupby("model", sort=False).agg(
        slices=("dice", "size"),
        mean_dice=("dice", "mean"),
        median_dice=("dice", "median"),
        tenth_percentile=("dice", lambda dice: dice.quantile(0.1)),
        missed=("tp", lambda tp: (tp == 0).mean()),
        median_hd95_px=("hd95_px", "median"),
        nsd_2px=("nsd_2px", "mean"),
    )
    return table.rename(index=MODEL_NAMES).rename_axis(None)


def by_patient_table(slices: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """A row a network: mean Dice of each patient's tumour slices, over patients: ``patients, mean, low, high``."""
    tumour = slices[slices["tumour_px"] > 0]
    by_patient = tumour.groupby(["model", "patient"], sort=False)["dice"].mean()
    rows = {}
    for model, values in by_patient.groupby("model", sort=False):
        interval = bootstrap_interval(values.to_numpy(), seed=seed)
        rows[MODEL_NAMES[str(model)]] = {
            "patients": len(values),
            "mean": interval.estimate,
            "low": interval.low,
            "high": interval.high,
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["patients", "mean", "low", "high"])


def best_median_worst(slices: pd.DataFrame) -> pd.DataFrame:
    """Three tumour slices of one network, chosen by their Dice.

    Parameters
    ----------
    slices : DataFrame
        Of `score_slices`.

    Returns
    -------
    DataFrame
        The rows of the best, the median and the worst slice, on their index, with ``which``. Of an even number, the
        better of the two in the middle is the median. Where there are fewer than three slices, one stands for several;
        no row where there is none.
    """
    ranked = slices[slices["tumour_px"] > 0].sort_values("dice")
    places = {"best": len(ranked) - 1, "median": len(ranked) // 2, "worst": 0} if len(ranked) else {}
    return ranked.iloc[list(places.values())].assign(which=list(places))


def median_and_worst(dice: pd.Series) -> dict[str, str]:
    """The patient with the median and the one with the worst Dice: a title for each patient, none where none has one.

    A single patient is the worst. Of an even number, the better of the two in the middle is the median.
    """
    ranked = dice.dropna().sort_values()
    if ranked.empty:
        return {}
    chosen = {ranked.index[len(ranked) // 2]: "median", ranked.index[0]: "worst"}
    return {patient: f"{which} of {len(ranked)} test patients by ResUNet" for patient, which in chosen.items()}
