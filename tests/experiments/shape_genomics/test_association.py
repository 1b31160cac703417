"""Tests, corrections, effect sizes and agreement, against SciPy, scikit-learn and published examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from brainseg import statistics
from brainseg.experiments.shape_genomics import association


def test_fisher_agrees_with_scipy_where_scipy_is_exact():
    for table in ([[8, 2], [1, 5]], [[3, 1], [1, 3]], [[10, 0], [0, 9]], [[5, 5], [5, 5]]):
        assert association.fisher_exact(np.array(table)) == pytest.approx(stats.fisher_exact(table).pvalue)


def test_fisher_of_more_rows_agrees_with_draws():
    table = np.array([[12, 3], [4, 9], [6, 7], [1, 5]])
    drawn = stats.fisher_exact(
        table, method=stats.MonteCarloMethod(n_resamples=20_000, rng=np.random.default_rng(0))
    ).pvalue
    assert association.fisher_exact(table) == pytest.approx(drawn, rel=0.15)


def test_fisher_by_hand():
    """Three codes with one patient each, one patient high: three tables, all alike, so p is 1. Two rows of two: 2/6.

    Three rows of two, three of the six low: 8/20 for one low in each, 2/20 for each of the six others.
    """
    assert association.fisher_exact(np.array([[1, 0], [1, 0], [0, 1]])) == pytest.approx(1)
    assert association.fisher_exact(np.array([[2, 0], [0, 2]])) == pytest.approx(2 / 6)
    assert association.fisher_exact(np.array([[2, 0], [0, 2], [1, 1]])) == pytest.approx(12 / 20)
    assert association.fisher_exact(np.array([[1, 1], [1, 1], [1, 1]])) == pytest.approx(1)


def test_the_median_split_counts_low_and_high():
    table = association.median_split(np.array([1, 2, 3, 4, 5]), np.array([2, 2, 2, 7, 7]))
    assert table.tolist() == [[3, 0], [0, 2]]  # the median itself is low


def test_corrections_by_hand():
    adjusted = association.adjust(np.array([0.01, 0.04, 0.03, np.nan, 0.5]))
    np.testing.assert_allclose(adjusted["bonferroni"], [0.04, 0.16, 0.12, np.nan, 1])
    np.testing.assert_allclose(adjusted["holm"], [0.04, 0.09, 0.09, np.nan, 0.5])
    np.testing.assert_allclose(adjusted["fdr"], [0.04, 0.16 / 3, 0.16 / 3, np.nan, 0.5])


@pytest.fixture
def cohort():
    """60 patients; the first feature follows the first code, the rest is chance; the second code has gaps."""
    rng = np.random.default_rng(3)
    codes = pd.DataFrame({"tied": np.tile([1.0, 2, 3], 20), "free": rng.integers(1, 4, 60).astype(float)})
    codes.loc[:4, "free"] = np.nan
    features = pd.DataFrame({"a": codes["tied"] + rng.normal(0, 0.5, 60), "b": rng.normal(0, 1, 60)})
    return features, codes


def test_what_is_there_is_found_and_gaps_are_counted(cohort):
    table = association.associations(*cohort).set_index(["code", "feature", "test"]).sort_index()
    assert len(table) == 8
    assert (table.loc[("tied", "a"), "holm"] < 1e-4).all()
    assert (table.drop(index=("tied", "a"))["holm"] > 0.05).all()
    assert (table.loc["free", "missing"] == 5).all() and (table.loc["free", "patients"] == 55).all()
    row = table.loc[("tied", "a", "kruskal")]
    assert row["bonferroni"] == pytest.approx(4 * row["p_value"])  # four pairs are a family


def test_too_few_patients_give_no_test_and_no_error():
    features, codes = (
        pd.DataFrame({"a": [1.0, 2, 3]}),
        pd.DataFrame({"own": [1.0, 2, 3], "same": [1.0, 1, 1], "none": [np.nan] * 3}),
    )
    table = association.associations(features, codes)
    assert table["p_value"].isna().all() and table["holm"].isna().all()


def test_shuffled_codes_find_what_chance_finds(cohort):
    features, codes = cohort
    p = association.shuffled_p_values(features, codes, shuffles=600, seed=1)
    assert p.shape == (600, 4)
    assert 0.02 < (p < 0.05).mean() < 0.08  # also for the pair that is tied
    assert (p.min(axis=1) * 4 < 0.05).mean() < 0.09
    np.testing.assert_array_equal(p, association.shuffled_p_values(features, codes, shuffles=600, seed=1))


def test_icc_of_the_published_example():
    """Shrout and Fleiss 1979, table 2: six targets, four judges, ICC(2,1) = 0.29."""
    judges = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    assert association.icc(judges) == pytest.approx(0.29, abs=0.005)


def test_agreement_of_a_constant_shift():
    values = np.array([1.0, 2, 3, 4, 5])
    same, shifted = association.agreement(values, values), association.agreement(values, values + 1)
    assert same.icc == 1 and (same.bias, same.low, same.high) == (0, 0, 0)
    assert shifted.bias == shifted.low == shifted.high == 1
    assert shifted.icc < 0.9  # absolute agreement, though the correlation is 1
    with pytest.raises(ValueError, match="missing"):
        association.agreement(values, np.array([1, 2, 3, 4, np.nan]))
    with pytest.raises(ValueError, match="same patients"):
        association.agreement(values, values[:4])


def test_the_interval_of_the_icc_where_the_answer_is_known():
    """A shift by c leaves ICC = 2 s^2 / (2 s^2 + c^2) in every draw, s^2 the draw's variance; without a shift it is 1."""
    values = np.random.default_rng(1).normal(size=30)
    same, shifted = association.agreement(values, values), association.agreement(values, values + 1)
    assert same[1:4] == pytest.approx((1, 1, 1))
    chosen = np.random.default_rng(0).integers(30, size=(association.DRAWS, 30))
    variances = np.quantile(values[chosen].var(axis=1, ddof=1), [0.025, 0.975])
    assert (shifted.icc_low, shifted.icc_high) == pytest.approx(2 * variances / (2 * variances + 1), abs=1e-3)
    assert shifted == association.agreement(values, values + 1)  # the same seed, the same draws


def test_the_interval_of_the_icc_is_as_wide_as_theory_says():
    """Without bias, the standard error of an ICC of rho over n normal pairs is about (1 - rho^2) / sqrt(n)."""
    pairs = np.random.default_rng(2).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 400)
    found = association.agreement(*pairs.T)
    assert found.icc_low < 0.6 < found.icc_high
    assert found.icc_high - found.icc_low == pytest.approx(2 * 1.96 * (1 - 0.6**2) / 20, rel=0.2)


def test_icc_of_nothing_that_varies():
    assert np.isnan(association.icc(np.ones((3, 2)))) and np.isnan(association.icc(np.ones((1, 2))))
    many = association.icc(np.stack([np.ones((3, 2)), np.arange(6.0).reshape(3, 2)]))
    assert np.isnan(many[0]) and many[1] == association.icc(np.arange(6.0).reshape(3, 2))


def test_the_paired_bootstrap_knows_that_equal_sources_are_equal(cohort):
    features, codes = cohort
    values = np.stack([features["a"], features["a"], features["b"]])
    effects, draws = association.bootstrap_effect(values, codes["tied"].to_numpy(), draws=400)
    np.testing.assert_array_equal(draws[0], draws[1])
    low, high = statistics.percentile_interval(0, draws[2] - draws[0])[1:]
    assert high < 0 and effects[0] > 0.5 > effects[2]


def test_auc_agrees_with_scikit_learn_ties_included():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 6, 50), rng.random(50) < 0.3
    assert association.auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    estimate, low, high = association.auc_interval(scores, positive, draws=300)
    assert low < estimate < high
    with pytest.raises(ValueError, match="both kinds"):
        association.auc(scores, np.ones(50, bool))


def test_cross_validation_does_not_flatter_noise():
    """Twelve features of pure chance fit 40 patients well, and tell nothing about those left out."""
    rng = np.random.default_rng(0)
    features, positive = rng.normal(size=(40, 12)), np.arange(40) < 14
    assert association.auc(association.cross_validated_scores(features, positive, repeats=3), positive) < 0.7
    features[:, 0] += 3 * positive
    assert association.auc(association.cross_validated_scores(features, positive, repeats=3), positive) > 0.85
    with pytest.raises(ValueError, match="rarer kind has 1"):
        association.cross_validated_scores(features, np.arange(40) < 1)
