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
    """A shift by c leaves ICC = 2 s^2 / (2 s^2 + c^2) in every draw, s^2 its variance; without a shift it is 1."""
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


def test_equal_sources_are_equal_and_a_source_of_chance_is_worse(cohort):
    features, codes = cohort
    tied = codes["tied"].to_numpy()
    same = association.compare_effects(features["a"], features["a"], tied, draws=400)
    assert same == statistics.Evidence(0, 0, 0, 0, 0, p_value=1, patients=60)
    worse = association.compare_effects(features["b"], features["a"], tied, draws=400)
    better = association.compare_effects(features["a"], features["b"], tied, draws=400)
    assert worse.low <= worse.low_90 < worse.estimate < worse.high_90 <= worse.high < 0
    assert worse.p_value == pytest.approx(1 / 401) == better.p_value
    assert better.low == pytest.approx(-worse.high) and better.high == pytest.approx(-worse.low)
    effect = statistics.eta_squared(features["a"].to_numpy(), tied) - statistics.eta_squared(
        features["b"].to_numpy(), tied
    )
    assert better.estimate == pytest.approx(effect)


def test_a_biased_source_ranks_no_worse(cohort):
    features, codes = cohort
    shifted = association.compare_effects(features["a"] * 0.2 - 7, features["a"], codes["tied"].to_numpy(), draws=400)
    assert (shifted.estimate, shifted.low, shifted.high, shifted.p_value) == (0, 0, 0, 1)


def test_where_nothing_differs_swapping_rejects_as_often_as_it_says(cohort):
    """Two noisy readings of one number: one comparison in twenty may have p < 0.05."""
    _, codes = cohort
    tied = codes["tied"].to_numpy()
    p_values = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        truth = tied + rng.normal(0, 1, 60)
        first, second = truth + rng.normal(0, 0.7, (2, 60))
        p_values.append(association.compare_effects(first, second, tied, draws=120, seed=seed).p_value)
    assert np.mean(np.array(p_values) < 0.05) < 0.11
    assert 0.3 < np.mean(np.array(p_values) < 0.5) < 0.7


def test_what_is_not_defined_has_no_p_value():
    nothing = association.compare_effects([1.0, 2, 3], [3.0, 2, 1], np.array([1, 2, 3]), draws=50)
    assert np.isnan([nothing.estimate, nothing.p_value]).all()


def test_how_far_classifications_are_one():
    codes = pd.DataFrame({"a": [1, 1, 2, 2, 1, 2], "b": [7, 7, 3, 3, 7, 3], "c": [1, 2, 1, 2, 1, np.nan], "d": 1})
    table = association.overlaps(codes).set_index(["first", "second"])
    assert table.loc[("a", "b"), "v"] == pytest.approx(1) and table.loc[("a", "b"), "patients"] == 6
    # Five patients; a and c: 2, 1 and 1, 1: chi squared is 5 (2 * 1 - 1 * 1)^2 / (3 * 2 * 3 * 2)
    assert table.loc[("a", "c"), "patients"] == 5
    assert table.loc[("a", "c"), "v"] == pytest.approx(np.sqrt(1 / 36))
    assert table.xs("d", level="second")["v"].isna().all()


def test_an_added_feature_of_two_values_has_the_p_value_of_the_g_test():
    """Of a table of two by two, the likelihood ratio of a logistic regression is that of the counts."""
    feature = np.repeat([0.0, 0, 1, 1], [12, 5, 6, 14])
    positive = np.repeat([False, True, False, True], [12, 5, 6, 14])
    expected = stats.chi2_contingency([[12, 5], [6, 14]], correction=False, lambda_="log-likelihood").pvalue
    assert association.added_p_value(feature, np.empty((37, 0)), positive) == pytest.approx(expected, rel=1e-4)


def test_a_copy_adds_nothing_and_what_is_new_adds_much():
    rng = np.random.default_rng(0)
    positive = np.arange(60) < 25
    told, new = positive + rng.normal(0, 0.8, (2, 60))
    assert association.added_p_value(told, told[:, None], positive) > 0.5
    assert association.added_p_value(new, told[:, None], positive) < 0.01
    assert association.added_p_value(new, told[:, None], positive) == pytest.approx(
        association.added_p_value(np.exp(new), told[:, None], positive)  # by ranks
    )
    assert np.isnan(association.added_p_value(new[:6], told[:6, None], np.arange(6) < 3))


def test_auc_agrees_with_scikit_learn_ties_included():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 6, 50), rng.random(50) < 0.3
    assert association.auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    estimate, low, high = association.auc_interval(scores, positive, draws=300)
    assert low < estimate < high
    assert np.isnan(association.auc(scores, np.ones(50, bool)))
    labels = np.stack([positive, ~positive, np.zeros(50, bool)])  # one set of labels a sample
    many = association.auc(scores, labels)
    assert many[:2] == pytest.approx([roc_auc_score(kind, scores) for kind in labels[:2]]) and np.isnan(many[2])


def test_the_difference_of_two_aucs_is_that_of_the_same_patients():
    rng = np.random.default_rng(0)
    positive = np.arange(60) < 20
    good, poor = positive + rng.normal(0, 0.5, 60), positive + rng.normal(0, 5, 60)
    found = association.compare_aucs(good, poor, positive, draws=500)
    assert found.estimate == pytest.approx(float(association.auc(good, positive) - association.auc(poor, positive)))
    assert 0 < found.low < found.low_90 < found.estimate < found.high_90 < found.high and found.p_value < 0.01
    other = association.compare_aucs(poor, good, positive, draws=500)
    assert (other.estimate, other.low, other.high) == pytest.approx((-found.estimate, -found.high, -found.low))
    scaled = association.compare_aucs(100 * good + 3, poor, positive, draws=500)
    assert scaled == found  # by ranks, so swapping mixes no scales
    same = association.compare_aucs(good, 2 * good, positive, draws=500)
    assert (same.estimate, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_cross_validation_does_not_flatter_noise():
    """Twelve features of pure chance fit 40 patients well, and tell nothing about those left out."""
    rng = np.random.default_rng(0)
    features, positive = rng.normal(size=(40, 12)), np.arange(40) < 14
    assert association.auc(association.cross_validated_scores(features, positive, repeats=3), positive) < 0.7
    features[:, 0] += 3 * positive
    assert association.auc(association.cross_validated_scores(features, positive, repeats=3), positive) > 0.85
    with pytest.raises(ValueError, match="rarer kind has 1"):
        association.cross_validated_scores(features, np.arange(40) < 1)
