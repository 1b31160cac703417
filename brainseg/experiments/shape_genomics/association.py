"""Does a number per patient go with a code per patient? Tests, corrections for many tests, effect sizes, agreement.

A *feature* is a float per patient, a *code* the number of a genomic cluster. A test says how surprising the data would
be if the two had nothing to do with each other. An effect size says how much they have to do with each other, and is
what may be compared between sources of masks. Where SciPy has a test, SciPy does it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from brainseg.statistics import (
    EQUIVALENCE_LEVEL,
    RANK_DRAWS,
    Evidence,
    Interval,
    as_pairs,
    eta_squared,
    holm,
    percentile_interval,
    rank_p_value,
    rank_statistic,
)

DRAWS = RANK_DRAWS
CORRECTIONS = ("bonferroni", "holm", "fdr")


class Agreement(NamedTuple):
    """Bland-Altman and ICC(A,1), with its bootstrap interval, of two measurements on the same patients.

    `bias` is the mean of second - first.
    """

    patients: int
    icc: float
    icc_low: float
    icc_high: float
    bias: float
    low: float
    high: float


def median_split(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Counts (groups, 2): patients of each code, in the codes' order, at or below the median and above it."""
    values, codes = as_pairs(values, codes)
    high = values > np.median(values)
    return np.array([[np.sum(~high[codes == code]), np.sum(high[codes == code])] for code in np.unique(codes)])


def fisher_exact(table: np.ndarray) -> float:
    """P value of Fisher's exact test of a table with two columns, by adding up all tables with its margins.

    SciPy draws such tables at random when there are more than two rows. With two columns there are few enough
    to take every one: the p value is the probability of all that are no more likely than the one observed
    (Freeman, Halton 1951, doi:10.1093/biomet/38.1-2.141), and needs no seed.

    Parameters
    ----------
    table : int array (rows, 2)
        1 where a row or column holds everything.
    """
    table = np.asarray(table)
    if table.ndim != 2 or table.shape[1] != 2 or (table < 0).any():
        raise ValueError(f"table has shape {table.shape}: give counts in two columns")
    table = table[np.argsort(-table.sum(axis=1), kind="stable")]
    rows, left = table.sum(axis=1), int(table[:, 0].sum())
    # The left column of every table, a row at a time; the largest row is what the others leave.
    columns = np.zeros((1, 0), int)
    for size in rows[1:]:
        columns = np.column_stack([np.repeat(columns, size + 1, axis=0), np.tile(np.arange(size + 1), len(columns))])
        columns = columns[columns.sum(axis=1) <= left]
    first = left - columns.sum(axis=1)
    columns = np.column_stack([first, columns])[first <= rows[0]]
    log_p = _log_choose(rows, columns).sum(axis=1) - _log_choose(rows.sum(), left)
    observed = _log_choose(rows, table[:, 0]).sum() - _log_choose(rows.sum(), left)
    return float(min(np.exp(log_p[log_p <= observed + 1e-7]).sum(), 1.0))


def cramers_v(table: np.ndarray) -> float:
    """Cramer's V of a table of counts: 0 for no association, 1 where row or column fixes the other."""
    return float(stats.contingency.association(np.asarray(table), method="cramer", correction=False))


def overlaps(codes: pd.DataFrame) -> pd.DataFrame:
    """How far two classifications are one: Cramer's V of each two columns, over the patients that have both codes.

    Returns
    -------
    DataFrame
        A row per pair: ``first, second, patients, v``; NaN where one of the two has a single code.
    """
    rows = []
    for first, second in combinations(codes, 2):
        table = pd.crosstab(codes[first], codes[second]).to_numpy()
        v = cramers_v(table) if min(table.shape) > 1 else np.nan
        rows.append({"first": first, "second": second, "patients": int(table.sum()), "v": v})
    return pd.DataFrame(rows, columns=["first", "second", "patients", "v"])


def adjust(p_values: np.ndarray) -> dict[str, np.ndarray]:
    """P values corrected for their number, by each of `CORRECTIONS`; NaN stays and is no test.

    `bonferroni` multiplies by the number m of tests. `holm` (:func:`brainseg.statistics.holm`) guards against a single
    false finding just as well, and is never larger. `fdr` bounds the expected share of false ones among the findings
    (Benjamini, Hochberg 1995).
    """
    p_values = np.asarray(p_values, float)
    tested = np.isfinite(p_values)
    p, m = p_values[tested], int(tested.sum())
    corrected = (m * p, holm(p), stats.false_discovery_control(p) if m else p)
    adjusted = {name: np.full(p_values.shape, np.nan) for name in CORRECTIONS}
    for name, values in zip(CORRECTIONS, corrected, strict=True):
        adjusted[name][tested] = np.minimum(values, 1)
    return adjusted


def associations(features: pd.DataFrame, codes: pd.DataFrame) -> pd.DataFrame:
    """Every feature against every code, by the median split and by ranks.

    Parameters
    ----------
    features, codes : DataFrame
        On the same patients, in the same order; a code or feature that is missing (NaN) keeps the patient out of that
        pair only.

    Returns
    -------
    DataFrame
        A row per test: ``code, feature, test`` ("fisher" or "kruskal"), ``patients, missing, groups, p_value, effect``
        (Cramer's V, or eta squared) and `CORRECTIONS`. A family of tests is all pairs by one test. NaN where fewer than
        two codes, or no code twice, are left.
    """
    rows = []
    for code in codes:
        for feature in features:
            values, labels = features[feature].to_numpy(float), codes[code].to_numpy(float)
            known = np.isfinite(values) & np.isfinite(labels)
            values, labels = values[known], labels[known]
            groups = len(np.unique(labels))
            pair = {
                "code": code,
                "feature": feature,
                "patients": len(labels),
                "missing": int(np.sum(~known)),
                "groups": groups,
            }
            results = {"fisher": (np.nan, np.nan), "kruskal": (np.nan, np.nan)}
            if 1 < groups < len(labels):
                table = median_split(values, labels)
                if table.sum(axis=0).all():
                    results["fisher"] = fisher_exact(table), cramers_v(table)
                results["kruskal"] = rank_p_value(values, labels), eta_squared(values, labels)
            rows += [
                pair | {"test": test, "p_value": float(p), "effect": float(effect)}
                for test, (p, effect) in results.items()
            ]
    table = pd.DataFrame(rows)
    return pd.concat(
        [part.assign(**adjust(part["p_value"])) for _, part in table.groupby("test", sort=False)]
    ).sort_index()


def shuffled_p_values(features: pd.DataFrame, codes: pd.DataFrame, shuffles: int = 1000, seed: int = 0) -> np.ndarray:
    """P values of the rank test after the codes are dealt out anew to the patients: the negative control.

    A patient's codes stay together, so that codes go with each other as they did, and with the shapes by chance only.
    Patients without a shape are left out.

    Returns
    -------
    float array (shuffles, pairs)
        Pairs in the order of :func:`associations`.
    """
    whole = features.notna().all(axis=1).to_numpy()
    features, codes = features[whole], codes[whole]
    n = len(codes)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (shuffles, 1)), axis=1)
    columns = []
    for code in codes:
        labels = codes[code].to_numpy(float)[order]
        # The gaps move with the codes, and are as many in each shuffle.
        patients = np.nonzero(np.isfinite(labels))[1].reshape(shuffles, -1)
        labels = labels[np.isfinite(labels)].reshape(shuffles, -1)
        groups = codes[code].nunique()
        for feature in features:
            if not 1 < groups < patients.shape[1]:
                columns.append(np.full(shuffles, np.nan))
                continue
            h = rank_statistic(features[feature].to_numpy(float)[patients], labels)
            columns.append(stats.chi2.sf(h, groups - 1))
    return np.column_stack(columns)


def compare_sources(
    first: np.ndarray,
    second: np.ndarray,
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    draws: int = DRAWS,
    seed: int = 0,
) -> Evidence:
    """By how much a statistic of one source of masks differs from that of another, on the same patients.

    The intervals are percentiles over bootstrap draws of patients: what a draw does to one source it does to the other,
    and cancels. The p value is that of swapping, as the sign flips of :func:`brainseg.statistics.sign_flip_p`: were the
    sources interchangeable, each patient's two values could as well have stood the other way round.

    Parameters
    ----------
    first, second : float arrays (patients,)
    statistic : callable
        ``statistic(values, rows)`` of values (..., patients) that belong to the patients `rows` (..., patients): an
        array (...).

    Returns
    -------
    Evidence
        Of the statistic of `first` minus that of `second`; NaN where that is not defined.
    """
    first, second = as_pairs(first, second)
    n, rng = len(first), np.random.default_rng(seed)
    everyone, drawn = np.arange(n), rng.integers(n, size=(draws, n))
    swap = rng.random((draws, n)) < 0.5
    estimate = float(statistic(first, everyone) - statistic(second, everyone))
    resampled = statistic(first[drawn], drawn) - statistic(second[drawn], drawn)
    swapped = statistic(np.where(swap, second, first), everyone) - statistic(np.where(swap, first, second), everyone)
    as_far = np.count_nonzero(np.abs(swapped) >= abs(estimate) - 1e-12)  # sums of the same numbers differ in rounding
    _, low, high = percentile_interval(estimate, resampled)
    _, low_90, high_90 = percentile_interval(estimate, resampled, EQUIVALENCE_LEVEL)
    p_value = float((1 + as_far) / (1 + draws)) if np.isfinite(estimate) else np.nan
    return Evidence(estimate, low, high, low_90, high_90, p_value, n)


def compare_effects(
    first: np.ndarray, second: np.ndarray, codes: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> Evidence:
    """Eta squared by one source of masks minus that by another; see :func:`compare_sources`.

    A source counts by its ranks, so swapping two values of a patient does not mix scales: a source that measures all
    patients too small ranks them no worse.
    """
    codes = np.asarray(codes)
    ranks = (stats.rankdata(values) for values in as_pairs(first, second))
    return compare_sources(*ranks, lambda values, rows: eta_squared(values, codes[rows]), draws, seed)


def agreement(first: np.ndarray, second: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Agreement:
    """How far two measurements of the same patients agree.

    ICC(A,1): two-way random effects, absolute agreement, single measurement (Shrout, Fleiss 1979,
    doi:10.1037/0033-2909.86.2.420, there ICC(2,1); McGraw, Wong 1996). The limits of agreement are the bias plus and
    minus 1.96 standard deviations of the differences (Bland, Altman 1986, doi:10.1016/S0140-6736(86)90837-8). The
    interval of the ICC is that of a bootstrap over patients; draws in which nothing varies are left out.
    """
    first, second = as_pairs(first, second)
    difference = second - first
    bias, spread = difference.mean(), difference.std(ddof=1)
    both = np.column_stack([first, second])
    chosen = np.random.default_rng(seed).integers(len(both), size=(draws, len(both)))
    return Agreement(
        len(both),
        *percentile_interval(icc(both), icc(both[chosen])),
        float(bias),
        float(bias - 1.96 * spread),
        float(bias + 1.96 * spread),
    )


def icc(measurements: np.ndarray) -> np.ndarray:
    """ICC(A,1) of many samples at once: arrays (..., patients, raters) -> (...).

    NaN for one patient, and where nothing varies.
    """
    measurements = np.asarray(measurements, float)
    n, k = measurements.shape[-2:]
    if n < 2:
        return np.full(measurements.shape[:-2], np.nan)
    deviations = measurements - measurements.mean(axis=(-2, -1), keepdims=True)
    of_patients, of_raters = deviations.mean(axis=-1, keepdims=True), deviations.mean(axis=-2, keepdims=True)
    patients = k * (of_patients**2).sum(axis=(-2, -1)) / (n - 1)
    raters = n * (of_raters**2).sum(axis=(-2, -1)) / (k - 1)
    error = ((deviations - of_patients - of_raters) ** 2).sum(axis=(-2, -1)) / ((n - 1) * (k - 1))
    total = patients + (k - 1) * error + k / n * (raters - error)
    varies = (np.ptp(measurements, axis=(-2, -1)) > 0) & (total > 0)
    return np.divide(patients - error, total, out=np.full(np.shape(total), np.nan), where=varies)


def compare_aucs(
    first: np.ndarray, second: np.ndarray, positive: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> Evidence:
    """AUC by one source of masks minus that by another; see :func:`compare_sources`.

    As in :func:`compare_effects`, a source counts by its ranks. The larger a value, the more it speaks for a positive
    patient.
    """
    positive = np.asarray(positive, bool)
    ranks = (stats.rankdata(values) for values in as_pairs(first, second))
    return compare_sources(*ranks, lambda values, rows: auc(values, positive[rows]), draws, seed)


def auc(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of many samples at once, ties counted half: arrays (..., patients) -> (...).

    As `sklearn.metrics.roc_auc_score` (Hanley, McNeil 1982). `positive` may be one set of labels (patients,). NaN where
    a sample has patients of one kind only.
    """
    ranks, positive = np.broadcast_arrays(stats.rankdata(scores, axis=-1), np.asarray(positive, bool))
    ones, zeros = positive.sum(axis=-1), (~positive).sum(axis=-1)
    wins = (ranks * positive).sum(axis=-1) - ones * (ones + 1) / 2
    return np.divide(wins, ones * zeros, out=np.full(np.shape(wins), np.nan), where=ones * zeros > 0)


def auc_interval(scores: np.ndarray, positive: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Interval:
    """AUC with its bootstrap interval; patients are drawn within each kind, so that every draw has both."""
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    rng = np.random.default_rng(seed)
    kinds = [np.flatnonzero(positive), np.flatnonzero(~positive)]
    chosen = np.concatenate([rng.choice(kind, (draws, len(kind))) for kind in kinds], axis=1)
    labels = np.arange(len(positive)) < len(kinds[0])
    return percentile_interval(auc(scores, positive), auc(scores[chosen], labels))


def cross_validated_scores(features: np.ndarray, positive: np.ndarray, repeats: int = 10, seed: int = 0) -> np.ndarray:
    """Probability of being positive for each patient, by logistic regressions that have not seen the patient.

    Parameters
    ----------
    features : float array (patients, features)
        Scaled to mean 0 and spread 1 by the training patients of each fold.
    positive : bool array (patients,)

    Returns
    -------
    float array (patients,)
        Mean over `repeats` divisions into five folds, or as many as the rarer kind has patients.

    Raises
    ------
    ValueError
        One kind has fewer than two patients.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    positive = np.asarray(positive, bool)
    rarer = int(min(positive.sum(), (~positive).sum()))
    if rarer < 2:
        raise ValueError(f"The rarer kind has {rarer} patients: two are needed to train on one and test on the other")
    model = make_pipeline(
        StandardScaler(), LogisticRegression(solver="newton-cholesky")
    )  # few features, so few exact steps
    folds = [StratifiedKFold(min(5, rarer), shuffle=True, random_state=seed + number) for number in range(repeats)]
    return np.mean(
        [cross_val_predict(model, features, positive, cv=fold, method="predict_proba")[:, 1] for fold in folds], axis=0
    )


def added_p_value(feature: np.ndarray, others: np.ndarray, positive: np.ndarray) -> float:
    """P value of a feature that is added to other numbers which tell the positive patients from the rest.

    The likelihood-ratio test of two logistic regressions, without and with the feature (Wilks 1938,
    doi:10.1214/aoms/1177732360). Each number counts by its ranks, as in the tests of this module, so that one patient
    far out does not decide.

    Parameters
    ----------
    feature : float array (patients,)
    others : float array (patients, k)
        `k` may be 0.
    positive : bool array (patients,)

    Returns
    -------
    float
        NaN where one kind has no more patients than the regression has weights.
    """
    feature, others, positive = stats.rankdata(feature), stats.rankdata(others, axis=0), np.asarray(positive, bool)
    if min(positive.sum(), (~positive).sum()) <= others.shape[1] + 2:
        return np.nan
    gain = _log_likelihood(np.column_stack([others, feature]), positive) - _log_likelihood(others, positive)
    return float(stats.chi2.sf(2 * max(gain, 0), 1))


def _log_likelihood(numbers: np.ndarray, positive: np.ndarray) -> float:
    """Of the positive patients, by the logistic regression on some numbers (patients, k) that fits them best."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if numbers.shape[1] == 0:
        probability = np.full(len(positive), positive.mean())
    else:
        # Hardly any penalty: enough that two numbers that are the same, or tell all, still have weights.
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1e6, solver="newton-cholesky"))
        probability = model.fit(numbers, positive).predict_proba(numbers)[:, 1]
    return float(special.xlogy(positive, probability).sum() + special.xlogy(~positive, 1 - probability).sum())


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(np.subtract(n, k) + 1)
