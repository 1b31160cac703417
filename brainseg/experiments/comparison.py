"""The three networks on one test side: what they cost, how they score, and how far an interval can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainseg.cohort import FLAIR, read_patient
from brainseg.data import get_cohort
from brainseg.evaluation.scores import score_patients, score_slices, summarise
from brainseg.experiments.ranking import Ranking, rank_networks
from brainseg.images.visibility import ring_of_brain, separability
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.statistics import FEWEST_PATIENTS, LEVEL, Interval, coverage, interval_text, rank_correlation

if TYPE_CHECKING:
    from brainseg.networks.runs import Run


@dataclass(frozen=True)
class ScoredPatients:
    """Some patients and how several networks score on them.

    Attributes
    ----------
    table : DataFrame
        Their cohort's slices, as :func:`brainseg.cohort.index_cohort` gives them.
    patients : mapping of model to DataFrame
        Of :func:`brainseg.evaluation.scores.score_patients`.
    """

    table: pd.DataFrame
    patients: Mapping[str, pd.DataFrame]

    def dice(self) -> pd.DataFrame:
        """Per-volume Dice: a row a patient, a column a network."""
        return pd.DataFrame({model: table["dice"] for model, table in self.patients.items()})

    def summary(self, seed: int = 0) -> pd.DataFrame:
        """A row a network: ``patients, mean, low, high, median, worst`` of the per-volume Dice."""
        table = pd.DataFrame({model: summarise(scores, seed=seed) for model, scores in self.patients.items()}).T
        return table.rename(index=MODEL_NAMES).astype({"patients": int})


@dataclass(frozen=True)
class TestSide(ScoredPatients):
    """The predictions of several networks for the test slices of one split.

    Attributes
    ----------
    rows : ndarray of int (n,)
        Row numbers in the prepared table, the same for all networks.
    truth : ndarray, bool (n, 256, 256)
    predicted : mapping of model to ndarray, bool (n, 256, 256)
    slices : DataFrame
        Of :func:`brainseg.evaluation.scores.score_slices`, with ``model``.
    """

    rows: np.ndarray
    truth: np.ndarray
    predicted: Mapping[str, np.ndarray]
    slices: pd.DataFrame


TestSide.__test__ = False  # type: ignore[attr-defined]  # its name makes pytest take it for a class of tests


def score_test_side(runs: Mapping[str, Run]) -> TestSide:
    """Predict and score the test slices, in the original frame of 256 by 256 pixels.

    Raises
    ------
    ValueError
        The runs have not the same test slices.
    """
    from brainseg.evaluation.predict import predict_masks

    first = next(iter(runs.values()))
    rows = first.rows("test")
    if any(not np.array_equal(run.rows("test"), rows) for run in runs.values()):
        raise ValueError("The networks have different test slices, so their scores cannot be compared")
    table, truth = first.prepared.table, first.prepared.truth(rows)
    predicted = {model: predict_masks(run, rows) for model, run in runs.items()}
    slices = {model: score_slices(masks, truth, table.iloc[rows]) for model, masks in predicted.items()}
    return TestSide(
        table,
        {model: score_patients(scores) for model, scores in slices.items()},
        rows,
        truth,
        predicted,
        pd.concat([scores.assign(model=model) for model, scores in slices.items()]),
    )


def score_fresh_patients(runs: Mapping[str, Run], seed: int = 0) -> ScoredPatients | None:
    """Score the same networks on as many newly drawn patients as a synthetic cohort has; None where it is real.

    No network, setting or chapter has met these patients.

    Raises
    ------
    ValueError
        The draw is the cohort itself.
    """
    from brainseg.evaluation.predict import evaluate
    from brainseg.images.prepared import prepare

    known = next(iter(runs.values())).prepared
    if not known.table["synthetic"].all():
        return None
    draw = f"phantom:{known.table['patient'].nunique()}:{1000 + seed}"
    cohort = prepare(get_cohort(draw), known.preprocessing)
    if cohort.fingerprint == known.fingerprint:
        raise ValueError(f"data is {draw} itself, none fresh: choose another seed")
    everyone = pd.Series("test", index=cohort.table.index)
    return ScoredPatients(
        cohort.table,
        {model: score_patients(evaluate(replace(run, prepared=cohort, split=everyone))) for model, run in runs.items()},
    )


def costs(runs: Mapping[str, Run]) -> pd.DataFrame:
    """A row a network: its size, its work for one slice, its training, and the epoch whose weights are kept."""
    from brainseg.networks.models import multiply_adds

    rows = {
        MODEL_NAMES[model]: {
            "parameters (thousands)": run.model.count_params() / 1e3,
            "multiply-adds per slice (millions)": multiply_adds(run.model) / 1e6,
            "training (minutes)": run.record.seconds / 60,
            "epoch kept": run.record.best_epoch,
        }
        for model, run in runs.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def score_as_the_article(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Loss, IoU and Dice as the article may have scored: a row for each network and side."""
    from brainseg.evaluation.predict import article_scores

    rows = {
        (MODEL_NAMES[model], part): article_scores(run, run.rows(part))
        for model, run in runs.items()
        for part in ("train", "validation", "test")
        if len(run.rows(part))
    }
    return pd.DataFrame(rows).T


def how_far_tumours_stand_out(table: pd.DataFrame, patients: Iterable[str]) -> pd.Series:
    """How often a tumour pixel is brighter on FLAIR than one of the brain around it: a mean over slices, 0..1.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    patients : iterable of str

    Returns
    -------
    Series
        On the patients, without those of whom no slice can be measured.
    """

    def of_patient(patient: str) -> float:
        slices = zip(*read_patient(table, patient), strict=True)
        shares = [
            separability(image[..., FLAIR], mask, ring_of_brain(image, mask)) for image, mask in slices if mask.any()
        ]
        return float(pd.Series(shares, dtype=float).mean())  # NaN where no ring is left: passed over

    return pd.Series({patient: of_patient(patient) for patient in patients}, dtype=float).dropna()


@dataclass(frozen=True)
class Trial:
    """How often 95 % intervals hold the true mean, tried on observed patients who stand for everyone there is.

    Attributes
    ----------
    held : DataFrame
        A row a network's Dice and a pair's difference, with ``percentile`` and ``BCa``: shares of the intervals that
        hold the mean, 0..1. No row where there are too few patients.
    observed : int
        Patients that samples are drawn from.
    patients : int
        In each sample: as many as there are test patients.
    """

    held: pd.DataFrame
    observed: int
    patients: int

    @property
    def too_narrow(self) -> bool:
        """Whether some BCa interval holds the mean less often than it says: of the shares as printed."""
        return bool((self.held["BCa"].round(2) < LEVEL).any())

    def sentence(self) -> str:
        """How far the intervals of this page can be trusted, in Markdown."""
        if self.observed < FEWEST_PATIENTS:
            return f"Patients to draw from: {self.observed}. They are too few to stand for everyone."
        if self.patients < 2:
            return "There is one test patient, so there is no interval to try."
        bca, percentile = self.held["BCa"], self.held["percentile"]
        alone = f", least often for {bca.idxmin()}. So an interval does not decide alone" if self.too_narrow else ""
        return (
            f"{self.observed} patients stand for everyone, and each sample has {self.patients} of them. Plain "
            f"percentiles hold the true mean in {percentile.min():.0%} to {percentile.max():.0%} of the samples. The "
            f"intervals of this page (BCa) hold it in **{bca.min():.0%} to {bca.max():.0%}**{alone}."
        )


def try_intervals(dice: pd.DataFrame, patients: int, seed: int = 0) -> Trial:
    """Try the intervals of each network's Dice and of each paired difference (:func:`brainseg.statistics.coverage`).

    Parameters
    ----------
    dice : DataFrame
        Per-volume Dice: a row a patient, a column a network. Patients who lack a value do not count.
    patients : int
        How many a sample has.
    """
    dice = dice.dropna()
    quantities = {f"Dice of {MODEL_NAMES[model]}": dice[model] for model in dice}
    for first, second in combinations(reversed(list(dice)), 2):
        quantities[f"{MODEL_NAMES[first]} minus {MODEL_NAMES[second]}"] = dice[first] - dice[second]
    possible = len(dice) >= FEWEST_PATIENTS and patients >= 2
    rows = {
        name: {
            label: coverage(values.to_numpy(), patients, seed=seed, method=method)
            for label, method in (("percentile", "percentile"), ("BCa", "bca"))
        }
        for name, values in quantities.items()
        if possible
    }
    held = pd.DataFrame.from_dict(rows, orient="index", columns=["percentile", "BCa"], dtype=float)
    return Trial(held, len(dice), patients)


@dataclass(frozen=True)
class Faint:
    """Patients whose tumour hardly stands out, beside the others: an observation, for which no verdict is given.

    Attributes
    ----------
    faint, others : int
        How many there are: a quarter of the patients is called faint.
    means : DataFrame
        Mean Dice: ``faint`` and ``others`` on the rows, a column a network. No row where there are too few patients.
    rank : Interval
        Rank correlation of U-Net's Dice with how far the tumour stands out. NaN where there is none.
    """

    faint: int
    others: int
    means: pd.DataFrame
    rank: Interval

    def sentence(self) -> str:
        """How patients with faint tumours score against the others, in Markdown."""
        patients = self.faint + self.others
        if self.means.empty:
            return f"Patients here: {patients}. That is too few for a number."
        means = "; ".join(
            f"{MODEL_NAMES[name]} {column['faint']:.2f} against {column['others']:.2f}"
            for name, column in self.means.items()
        )
        correlation = (
            f"Over all {patients} patients, the rank correlation between U-Net's Dice and how far the tumour stands "
            f"out is {interval_text(self.rank, 2)}."
        )
        return " ".join(
            [
                f"The {self.faint} patients with the faintest tumours against the {self.others} others, mean Dice: "
                f"{means}.",
                *([] if np.isnan(self.rank.estimate) else [correlation]),
                "Faint tumours may differ in other ways too, so this is a candidate, and no proof.",
            ]
        )


def compare_faint(stands_out: pd.Series, dice: pd.DataFrame, seed: int = 0) -> Faint:
    """Set the quarter of the patients with the faintest tumours beside the others.

    Parameters
    ----------
    stands_out : Series
        Of :func:`how_far_tumours_stand_out`.
    dice : DataFrame
        Per-volume Dice: a row a patient, a column a network. Patients who lack a value do not count.
    seed : int
        Of the bootstrap.
    """
    dice = dice.dropna()
    stands_out = stands_out[stands_out.index.isin(dice.index)]
    dice = dice.loc[stands_out.index]
    if len(stands_out) < FEWEST_PATIENTS:
        return Faint(0, len(stands_out), dice.iloc[:0], Interval(np.nan, np.nan, np.nan))
    faint = stands_out.index.isin(stands_out.nsmallest(len(stands_out) // 4).index)
    means = pd.DataFrame({"faint": dice[faint].mean(), "others": dice[~faint].mean()}).T
    rank = rank_correlation(stands_out.to_numpy(), dice["unet"].to_numpy(), seed=seed)
    return Faint(int(faint.sum()), int((~faint).sum()), means, rank)


@dataclass(frozen=True)
class UnitGap:
    """The network for which scoring by batch and scoring by patient differ most, on the same test slices.

    Attributes
    ----------
    network : str
        Its name as in a sentence.
    by_batch, by_patient : float
        Its Dice as the article may have scored, and the mean over patients.
    """

    network: str
    by_batch: float
    by_patient: float

    def sentence(self) -> str:
        """The two numbers, in a sentence."""
        return (
            "On the same test slices, the article's way of scoring and ours differ most for "
            f"{self.network}: {self.by_batch:.3f} by batch against {self.by_patient:.3f} by patient."
        )


def widest_gap(article: pd.DataFrame, honest: pd.DataFrame) -> UnitGap:
    """Compare the test rows of :func:`score_as_the_article` with the means of :meth:`ScoredPatients.summary`."""
    both = pd.DataFrame({"by_batch": article["Dice"].xs("test", level=1), "by_patient": honest["mean"]})
    widest = (both["by_batch"] - both["by_patient"]).abs().idxmax()
    return UnitGap(str(widest), float(both.loc[widest, "by_batch"]), float(both.loc[widest, "by_patient"]))


@dataclass(frozen=True)
class ComparisonFindings:
    """What the page says of the three networks.

    Attributes
    ----------
    tested : DataFrame
        :meth:`ScoredPatients.summary` of the test patients.
    fresh : DataFrame or None
        That of newly drawn patients; None where the cohort is real.
    on_several_sides : int
        Patients with slices on more than one side of the split.
    trial : Trial
    faint : Faint
    ranking : Ranking
        Of the test patients.
    gap : UnitGap
    """

    tested: pd.DataFrame
    fresh: pd.DataFrame | None
    on_several_sides: int
    trial: Trial
    faint: Faint
    ranking: Ranking
    gap: UnitGap

    def results(self) -> pd.DataFrame:
        """The summaries of test and fresh patients below each other, with ``on`` and ``model``."""
        tables = {"test patients": self.tested, "fresh patients": self.fresh}
        rows = [table.reset_index(names="model").assign(on=name) for name, table in tables.items() if table is not None]
        together = pd.concat(rows, ignore_index=True)
        return together[["on", *together.columns.drop("on")]]

    def fresh_sentence(self) -> str:
        """What the means over fresh patients add to those over test patients, in Markdown."""
        if self.fresh is None:
            return (
                "These patients are real, so no more can be drawn. What comes nearest is a test set that stays locked "
                "while recipes are tried ([the limits](../limits.html) say which patients are in it)."
            )
        means = "; ".join(
            f"{name} {self.tested.loc[name, 'mean']:.3f} there, {self.fresh.loc[name, 'mean']:.3f} here"
            for name in self.fresh.index
        )
        differ = (
            "The networks have learnt from other slices of the test patients, and from none of the fresh ones."
            if self.on_several_sides
            else "Both means depend on which patients were drawn, and the mean of fewer patients depends on it more."
        )
        many = self.fresh["patients"].max()
        return (
            f"The same networks on {self.tested['patients'].max()} test patients and on {many} fresh ones: {means}. "
            f"{differ} So the mean over the {many} is the better guess at what the networks are worth on such patients."
        )

    def answer(self) -> str:
        """Which network is best, in a sentence: what the chapter finds."""
        said = self.ranking.answer()
        if not self.on_several_sides:
            return said
        return f"Slices were split here, so of patients whom no network has met it cannot tell; {said}"

    def order_sentences(self) -> str:
        """Each pair of networks, and what the article's ranking is worth here, in Markdown."""
        return "\n".join([*(pair.sentence() for pair in self.ranking.pairs), "", self.ranking.sentence()])


def findings(
    article: pd.DataFrame,
    tested: ScoredPatients,
    fresh: ScoredPatients | None,
    stands_out: pd.Series,
    *,
    trainings: int,
    on_several_sides: int = 0,
    seed: int = 0,
) -> ComparisonFindings:
    """What the scores show: of the intervals, of faint tumours, of the order of the networks, and of the unit.

    Networks are compared on the test patients. Where there are fresh patients, they stand for everyone in the trial of
    the intervals, and faint tumours are looked for among them; else the test patients do for both.

    Parameters
    ----------
    article : DataFrame
        Of :func:`score_as_the_article`.
    tested, fresh : ScoredPatients
    stands_out : Series
        Of :func:`how_far_tumours_stand_out`, on the fresh patients where there are such, else on the test patients.
    trainings : int
        How many trainings of each network a patient's Dice averages.
    on_several_sides : int
        Of :func:`brainseg.chapters.patients_on_several_sides`.
    seed : int
        Of the bootstrap and the sign flips.
    """
    summary, dice = tested.summary(seed), (fresh or tested).dice()
    return ComparisonFindings(
        tested=summary,
        fresh=None if fresh is None else fresh.summary(seed),
        on_several_sides=on_several_sides,
        trial=try_intervals(dice, len(tested.dice().dropna()), seed),
        faint=compare_faint(stands_out, dice, seed),
        ranking=rank_networks(tested.dice(), trainings=trainings, seed=seed),
        gap=widest_gap(article, summary),
    )
