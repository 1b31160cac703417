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
from brainseg.images.visibility import ring_of_brain, separability
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.statistics import FEWEST_PATIENTS, coverage

if TYPE_CHECKING:
    from brainseg.networks.runs import Run


@dataclass(frozen=True)
class TestSide:
    """The predictions of several networks for the test slices of one split.

    Attributes
    ----------
    rows : ndarray of int (n,)
        Row numbers in the prepared table, the same for all networks.
    truth : ndarray, bool (n, 256, 256)
    predicted : mapping of model to ndarray, bool (n, 256, 256)
    slices : DataFrame
        Of :func:`brainseg.evaluation.scores.score_slices`, with ``model``.
    patients : mapping of model to DataFrame
        Of :func:`brainseg.evaluation.scores.score_patients`.
    """

    rows: np.ndarray
    truth: np.ndarray
    predicted: Mapping[str, np.ndarray]
    slices: pd.DataFrame
    patients: Mapping[str, pd.DataFrame]

    def dice(self) -> pd.DataFrame:
        """Per-volume Dice: a row a patient, a column a network."""
        return pd.DataFrame({model: table["dice"] for model, table in self.patients.items()})


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
    truth, table = first.prepared.truth(rows), first.prepared.table.iloc[rows]
    predicted = {model: predict_masks(run, rows) for model, run in runs.items()}
    slices = {model: score_slices(masks, truth, table) for model, masks in predicted.items()}
    return TestSide(
        rows,
        truth,
        predicted,
        pd.concat([scores.assign(model=model) for model, scores in slices.items()]),
        {model: score_patients(scores) for model, scores in slices.items()},
    )


def costs(runs: Mapping[str, Run]) -> pd.DataFrame:
    """A row a network: its size, its work for one slice, its training, and its best epoch."""
    from brainseg.networks.models import multiply_adds

    rows = {
        MODEL_NAMES[model]: {
            "parameters (thousands)": run.model.count_params() / 1e3,
            "multiply-adds per slice (millions)": multiply_adds(run.model) / 1e6,
            "training (minutes)": run.record.seconds / 60,
            "best epoch": run.record.best_epoch,
        }
        for model, run in runs.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def article_table(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Loss, IoU and Dice as the article may have scored: a row for each network and side."""
    from brainseg.evaluation.predict import article_scores

    rows = {
        (MODEL_NAMES[model], part): article_scores(run, run.rows(part))
        for model, run in runs.items()
        for part in ("train", "validation", "test")
    }
    return pd.DataFrame(rows).T


def summary_table(patients: Mapping[str, pd.DataFrame], seed: int = 0) -> pd.DataFrame:
    """A row a network: ``patients, mean, low, high, median, worst`` of the per-volume Dice."""
    table = pd.DataFrame({model: summarise(scores, seed=seed) for model, scores in patients.items()}).T
    return table.rename(index=MODEL_NAMES).astype({"patients": int})


def coverage_table(dice: pd.DataFrame, patients: int | None = None, seed: int = 0) -> pd.DataFrame:
    """How often 95 % intervals hold the mean, for each network's Dice and each paired difference.

    The observed values stand for everyone there is (:func:`brainseg.statistics.coverage`).

    Parameters
    ----------
    dice : DataFrame
        Of :meth:`TestSide.dice`.
    patients : int, optional
        How many a sample has; as many as were observed, unless told.

    Returns
    -------
    DataFrame
        A row a quantity, with ``percentile`` and ``BCa``, shares of the intervals in 0..1. No row where a sample has
        fewer than two patients.
    """
    dice = dice.dropna()
    patients = len(dice) if patients is None else patients
    observed = {f"Dice of {MODEL_NAMES[model]}": dice[model] for model in dice}
    for first, second in combinations(reversed(list(dice)), 2):
        observed[f"{MODEL_NAMES[first]} minus {MODEL_NAMES[second]}"] = dice[first] - dice[second]
    if patients < 2 or len(dice) < 2:
        return pd.DataFrame(columns=["percentile", "BCa"], dtype=float)
    rows = {
        name: {
            label: coverage(values.to_numpy(), patients, seed=seed, method=method).holds
            for label, method in (("percentile", "percentile"), ("BCa", "bca"))
        }
        for name, values in observed.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def coverage_sentence(table: pd.DataFrame, patients: int) -> str:
    """What :func:`coverage_table` says of the intervals of this page, in Markdown."""
    if table.empty:
        return f"Test patients: {patients}. That is too few to try the interval on."
    bca = table["BCa"]
    return (
        f"With {patients} patients like these, the intervals of this page (BCa), called 95 %, hold the true mean in "
        f"**{bca.min():.0%} to {bca.max():.0%}** of the samples. Plain percentiles hold it in "
        f"{table['percentile'].min():.0%} to {table['percentile'].max():.0%}. So an interval does not decide alone."
    )


@dataclass(frozen=True)
class FreshPatients:
    """Newly drawn patients whom no network, setting or chapter has met.

    Attributes
    ----------
    table : DataFrame
        Their slices, as :func:`brainseg.cohort.index_cohort` gives them.
    patients : mapping of model to DataFrame
        Of :func:`brainseg.evaluation.scores.score_patients`.
    """

    table: pd.DataFrame
    patients: Mapping[str, pd.DataFrame]


def score_fresh_patients(runs: Mapping[str, Run], seed: int = 0) -> FreshPatients | None:
    """Score the same networks on as many newly drawn patients as a synthetic cohort has; None where it is real.

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
    return FreshPatients(
        cohort.table,
        {model: score_patients(evaluate(replace(run, prepared=cohort, split=everyone))) for model, run in runs.items()},
    )


def fresh_sentence(tested: pd.DataFrame, fresh: pd.DataFrame | None) -> str:
    """What the means over fresh patients add to those over test patients; two tables of :func:`summary_table`."""
    if fresh is None:
        return (
            "These patients are real, so no more can be drawn. What comes nearest is a test set that stays locked "
            "until the recipe is frozen ([the limits](../limits.html) say which patients are in it)."
        )
    means = "; ".join(
        f"{name} {tested.loc[name, 'mean']:.3f} there, {fresh.loc[name, 'mean']:.3f} here" for name in fresh.index
    )
    many = fresh["patients"].max()
    return (
        f"The same networks, {tested['patients'].max()} test patients against {many} fresh ones: {means}. Both means "
        "vary with the patients that were drawn, that of fewer patients more. For the networks' worth on this kind of "
        f"patient, the mean over {many} is the better guess."
    )


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


def faint_sentence(stands_out: pd.Series, dice: pd.DataFrame) -> str:
    """How patients with faint tumours score against the others, in Markdown.

    Parameters
    ----------
    stands_out : Series
        Of :func:`how_far_tumours_stand_out`.
    dice : DataFrame
        Per-volume Dice: a row a patient, a column a network.
    """
    if len(stands_out) < FEWEST_PATIENTS:
        return f"Patients here: {len(stands_out)}. That is too few for a number."
    dice = dice.loc[stands_out.index]
    faint = stands_out.index.isin(stands_out.nsmallest(len(stands_out) // 4).index)
    means = "; ".join(
        f"{MODEL_NAMES[name]} {dice.loc[faint, name].mean():.2f} against {dice.loc[~faint, name].mean():.2f}"
        for name in dice
    )
    rank = stands_out.corr(dice["unet"], method="spearman")
    return (
        f"The {faint.sum()} patients with the faintest tumours against the {(~faint).sum()} others, mean Dice: "
        f"{means}. Over all {len(faint)} patients, the rank correlation between U-Net's Dice and how far the "
        f"tumour stands out is {rank:+.2f}. Faint tumours may differ in other ways too, and with few patients "
        "all of this is luck in part: a candidate, and no proof."
    )


def unit_sentence(article: pd.DataFrame, honest: pd.DataFrame) -> str:
    """Where scoring by batch and scoring by patient differ most; :func:`article_table` and :func:`summary_table`."""
    gap = {name: abs(article.loc[(name, "test"), "Dice"] - honest.loc[name, "mean"]) for name in honest.index}
    widest = max(gap, key=lambda name: gap[name])
    return (
        f"On the same test slices, the article's way of scoring and ours differ most for {widest}: "
        f"{article.loc[(widest, 'test'), 'Dice']:.3f} by batch against {honest.loc[widest, 'mean']:.3f} by patient."
    )
