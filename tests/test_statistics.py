"""Intervals, tests, ranks and the rule that joins them: numbers derived by hand, brute force, SciPy, known coverage."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

from brainseg.statistics import (
    EXACT_PATIENTS,
    RANK_DRAWS,
    Answer,
    Difference,
    Reason,
    bootstrap_interval,
    coverage,
    eta_squared,
    holm,
    interval_over_groups,
    interval_text,
    p_text,
    paired_difference,
    percentile_interval,
    rank_correlation,
    rank_p_value,
    rank_statistic,
    share_interval,
    shown,
    shown_together,
    sign_flip_p,
)

# Intervals


@pytest.mark.parametrize("statistic", [np.mean, np.median, np.std])
@pytest.mark.parametrize(("draws", "level"), [(2000, 0.95), (1000, 0.5), (40, 0.999)])
def test_interval_is_the_bca_of_scipy(statistic, draws, level):
    values = np.random.default_rng(draws).beta(8, 2, 23)
    ours = bootstrap_interval(values, statistic, level=level, draws=draws, seed=1)
    theirs = stats.bootstrap(
        (values,),
        statistic,
        method="BCa",
        confidence_level=level,
        n_resamples=draws,
        vectorized=True,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert ours.estimate == statistic(values)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=1e-12)


def test_interval_does_not_hang_on_the_last_digits():
    """Sums of 0.1, 0.2, 0.3 differ by the order of adding, sums of 1, 2, 3 do not."""
    tenths = bootstrap_interval([0.1, 0.2, 0.3, 0.7, 1.1], level=0.5)
    assert tenths == pytest.approx(np.divide(bootstrap_interval([1, 2, 3, 7, 11], level=0.5), 10), abs=1e-9)


def test_interval_of_a_mean_is_that_of_any_other_function_that_gives_the_mean():
    values = np.random.default_rng(4).exponential(size=19)
    general = bootstrap_interval(values, lambda array, axis: np.mean(array, axis=axis))
    assert bootstrap_interval(values) == pytest.approx(general, abs=1e-12)


def test_interval_of_the_mean_is_near_the_one_of_theory():
    values = np.random.default_rng(0).normal(0.8, 0.1, 200)
    estimate, low, high = bootstrap_interval(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(200)
    assert estimate == values.mean()
    assert low == pytest.approx(estimate - half, abs=0.001) and high == pytest.approx(estimate + half, abs=0.001)


def test_interval_leans_towards_the_long_tail():
    values = np.random.default_rng(5).exponential(size=30)
    estimate, low, high = bootstrap_interval(values)
    chosen = np.random.default_rng(0).integers(30, size=(10_000, 30))
    percentile = percentile_interval(estimate, values[chosen].mean(axis=1))
    assert low > percentile.low and high > percentile.high
    turned = bootstrap_interval(-values)
    assert turned == pytest.approx((-estimate, -high, -low), abs=1e-12)


def test_interval_of_two_patients_by_hand():
    # Samples of (0, 1): means 0, 1/2, 1 with chances 1/4, 1/2, 1/4; the central 40 % lie at 1/2.
    assert bootstrap_interval([0, 1]) == (0.5, 0, 1)
    assert bootstrap_interval([0, 1], level=0.4) == (0.5, 0.5, 0.5)


def test_interval_follows_seed_level_and_statistic():
    values = np.random.default_rng(2).random(30)
    assert bootstrap_interval(values, seed=5) == bootstrap_interval(values, seed=5)
    assert bootstrap_interval(values, seed=5) != bootstrap_interval(values, seed=6)
    wide, narrow = bootstrap_interval(values), bootstrap_interval(values, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_interval_of_one_patient_is_unknown():
    estimate, low, high = bootstrap_interval([0.7])
    assert estimate == 0.7 and np.isnan(low) and np.isnan(high)


def test_interval_where_bca_is_not_defined():
    for same in ([0.1] * 7, [0.3, 0.3]):
        assert bootstrap_interval(same) == (np.mean(same),) * 3
    # Without any one patient the median stays 2, so that there is no skewness to correct for.
    values = np.array([0, 1, 2, 2, 2, 5, 9.0])
    assert bootstrap_interval(values, np.median).low <= 2 <= bootstrap_interval(values, np.median).high

    # A sample with replacement has fewer different values than all patients: every draw lies below the estimate.
    def different(array, axis):
        return 1 + np.count_nonzero(np.diff(np.sort(array, axis=axis), axis=axis), axis=axis)

    values = np.arange(20.0)
    drawn = different(values[np.random.default_rng(0).integers(20, size=(500, 20))], -1)
    assert drawn.max() < 20
    assert bootstrap_interval(values, different, draws=500) == pytest.approx(percentile_interval(20, drawn))


@pytest.mark.parametrize("function", [bootstrap_interval, sign_flip_p])
@pytest.mark.parametrize(
    ("values", "message"),
    [([], r"\(0,\)"), ([[1, 2]], r"\(1, 2\)"), ([1, np.nan, np.inf], "2 of 3 values")],
)
def test_values_that_are_not_one_a_patient(function, values, message):
    with pytest.raises(ValueError, match=message):
        function(values)


def test_interval_over_groups_is_that_of_t():
    values, groups = np.array([0.1, 0.3, 0.5, 0.4, 0.9, -0.2]), np.array(list("aabbcc"))
    means = np.array([0.2, 0.45, 0.35])
    for level in (0.9, 0.95):
        by_scipy = stats.t.interval(level, 2, means.mean(), stats.sem(means))
        assert interval_over_groups(values, groups, level) == pytest.approx((means.mean(), *by_scipy))
    uneven = interval_over_groups(np.append(values, 0.2), np.append(groups, "a"))
    assert uneven.estimate == pytest.approx(means.mean())  # a group counts once, however large
    assert interval_over_groups(values[:4], groups[:4]) is None


def test_percentile_interval_by_hand():
    draws = np.r_[np.arange(101.0), np.nan, np.inf]
    assert percentile_interval(7, draws) == pytest.approx((7, 2.5, 97.5))
    assert percentile_interval(7, draws, level=0.9) == pytest.approx((7, 5, 95))
    assert np.isnan(percentile_interval(7, np.array([np.nan]))[1:]).all()


# Coverage


def test_coverage_of_normal_values_is_near_the_level():
    observed = np.random.default_rng(0).normal(size=500)
    at_95, at_50 = coverage(observed, 50), coverage(observed, 50, level=0.5)
    assert at_95 == pytest.approx(0.945, abs=0.015)
    assert at_50 == pytest.approx(0.5, abs=0.04)


def test_coverage_depends_on_the_method_and_on_how_many_there_are():
    skewed = 1 - np.random.default_rng(1).exponential(size=300) ** 2
    bca, percentile = coverage(skewed, 18), coverage(skewed, 18, method="percentile")
    assert percentile < bca < 0.95
    assert coverage(-skewed, 18) == bca  # the side of the tail makes no difference
    assert coverage(skewed, 5) < bca < coverage(skewed, 80)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_coverage_counts_the_intervals_of_the_study(method):
    """A loop over samples, each with the interval that a page would print."""
    observed = np.random.default_rng(2).beta(8, 2, 40)
    samples = observed[np.random.default_rng(3).integers(40, size=(400, 15))]
    if method == "bca":
        intervals = [bootstrap_interval(sample, draws=1000, seed=seed) for seed, sample in enumerate(samples)]
    else:
        chosen = np.random.default_rng(4).integers(15, size=(1000, 15))
        intervals = [percentile_interval(sample.mean(), sample[chosen].mean(axis=1)) for sample in samples]
    low, high = np.array(intervals)[:, 1:].T
    expected = np.mean((low <= observed.mean()) & (observed.mean() <= high))
    assert coverage(observed, 15, method=method) == pytest.approx(expected, abs=0.04)


def test_coverage_of_values_that_do_not_vary_is_full():
    for patients in range(2, 12):  # means of 0.1 differ in their last digit by how many they are
        assert coverage(np.full(7, 0.1), patients, samples=20, draws=50) == 1
    with pytest.raises(ValueError, match="patients is 1"):
        coverage([1, 2, 3], 1)
    with pytest.raises(ValueError, match="choose bca or percentile"):
        coverage([1, 2, 3], 2, method="BCa")


# Sign flips


@pytest.mark.parametrize("patients", range(1, 11))
def test_sign_flip_p_is_the_share_of_all_flips(patients):
    differences = np.random.default_rng(patients).normal(0.4, 1, patients)
    means = [abs(np.mean(np.array(signs) * differences)) for signs in product((-1, 1), repeat=patients)]
    expected = np.mean(np.array(means) >= abs(differences.mean()) - 1e-12)
    assert sign_flip_p(differences) == pytest.approx(expected)
    assert sign_flip_p(-differences) == sign_flip_p(differences)


def test_sign_flip_p_by_hand():
    assert sign_flip_p([1, 2, 3]) == 2 / 8  # all plus, all minus
    assert sign_flip_p([1, 2, -3]) == 1  # a mean of 0 is the least surprising
    assert sign_flip_p([-1, 2, 3]) == 4 / 8  # 4 and 6, both ways
    assert sign_flip_p([0.1] * 6) == 2 / 64  # sums of 0.1 differ in their last digits
    assert sign_flip_p([0, 1, 0, 2, 3, 0]) == sign_flip_p([1, 2, 3, *[0] * 100]) == sign_flip_p([1, 2, 3])
    assert sign_flip_p([0, 0]) == sign_flip_p([0.3]) == 1


def test_sign_flip_p_of_many_patients_is_drawn():
    differences = np.random.default_rng(1).normal(0.1, 1, EXACT_PATIENTS + 1)
    exact = sign_flip_p(differences[:-1])
    assert 0.1 < exact < 0.6
    assert sign_flip_p(np.r_[differences[:-1], 1e-9]) == pytest.approx(exact, abs=0.015)
    assert sign_flip_p(differences, seed=1) == sign_flip_p(differences, seed=1) != sign_flip_p(differences, seed=2)
    # The observed one counts as a draw, so that a p value is never 0.
    assert sign_flip_p(np.ones(100), draws=999) == 1 / 1000
    assert sign_flip_p(np.zeros(100)) == 1


def test_sign_flip_p_is_below_5_percent_in_5_percent_where_nothing_differs():
    rng = np.random.default_rng(2)
    p = np.array([sign_flip_p(sample) for sample in rng.normal(size=(1000, 12))])
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.05)


# Paired differences


@pytest.fixture
def pair():
    """The first model is better by about 0.02 on 40 patients, who differ far more than the models do."""
    rng = np.random.default_rng(3)
    hard = rng.uniform(0.3, 0.9, 40)
    return hard + 0.02 + rng.normal(0, 0.01, 40), hard


def test_paired_difference(pair):
    first, second = pair
    result = paired_difference(first, second)
    assert result.estimate == pytest.approx(np.mean(first - second))
    assert 0.01 < result.low < result.low_90 < result.estimate < result.high_90 < result.high < 0.03
    assert (result.low, result.high) == bootstrap_interval(first - second)[1:]
    assert (result.low_90, result.high_90) == bootstrap_interval(first - second, level=0.9)[1:]
    assert result.p_value == sign_flip_p(first - second) < 0.001
    assert result.patients == 40 and result.better_on == sum(first > second) > 30
    unpaired = bootstrap_interval(first)
    assert result.high - result.low < (unpaired.high - unpaired.low) / 5


def test_paired_difference_the_other_way_round(pair):
    there, back = paired_difference(*pair), paired_difference(*reversed(pair))
    assert (back.estimate, back.low, back.high) == pytest.approx((-there.estimate, -there.high, -there.low))
    assert (back.low_90, back.high_90) == pytest.approx((-there.high_90, -there.low_90))
    assert back.p_value == there.p_value and back.better_on == 40 - there.better_on


def test_equal_models_do_not_differ():
    same = [0.5, 0.6, 0.7]
    assert paired_difference(same, same) == Difference(0, 0, 0, 0, 0, p_value=1, patients=3, better_on=0, median=0)


def test_one_patient_gives_no_interval_and_no_surprise():
    result = paired_difference([0.7], [0.5])
    assert np.isnan([result.low, result.high, result.low_90, result.high_90]).all()
    assert (result.p_value, result.patients, result.better_on) == (1, 1, 1)
    assert shown(result).reason is Reason.TOO_FEW_PATIENTS


def test_pairs_that_are_none():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        paired_difference([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="missing"):
        paired_difference([1, np.nan], [1, 2])
    with pytest.raises(ValueError, match="same patients"):
        paired_difference([], [])


def test_several_questions_share_one_correction():
    rng = np.random.default_rng(3)
    base = rng.uniform(0.4, 0.8, 30)
    questions = {
        name: paired_difference(base + rng.normal(shift, 0.1, 30), base)
        for name, shift in {"plain": 0.2, "edge": 0.045, "none": 0.0}.items()
    }
    judged = shown_together(questions)
    own = [found.p_value for found in questions.values()]
    assert list(judged) == list(questions)
    assert [p for p, _ in judged.values()] == holm(own).tolist() != own
    for name, (p, verdict) in judged.items():
        assert verdict == shown(questions[name], p_corrected=p)
    assert judged["plain"][1].direction == 1 and judged["none"][1].direction == 0


def test_arguments_stay_as_they_are(pair):
    first, second = pair
    codes, p_values = np.arange(40) % 3, np.array([0.3, 0.01])
    arrays = (first, second, codes, p_values)
    before = [array.copy() for array in arrays]
    paired_difference(first, second, draws=100)
    coverage(first, 5, samples=10, draws=100)
    eta_squared(first, codes)
    rank_correlation(first, second, draws=100)
    holm(p_values)
    percentile_interval(0, first)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


# p values


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1, the last lifted to the one before it.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.9, 0.8, 0.7], [1.0, 1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm(p_values, corrected):
    np.testing.assert_allclose(holm(p_values), corrected)


def test_a_p_value_is_never_printed_as_zero():
    printed = ["< 0.001", "< 0.001", "0.001", "0.012", "1.000", "-"]
    assert [p_text(p) for p in (0, 0.00099, 0.001, 0.0123, 1, np.nan)] == printed
    assert [p_text(p, digits=4) for p in (4e-5, 0.0002)] == ["< 0.0001", "0.0002"]
    assert [p_text(p, name="p") for p in (0.012, 0)] == ["p = 0.012", "p < 0.001"]


# The rule

BETTER = Difference(
    0.05, 0.02, 0.08, low_90=0.025, high_90=0.075, p_value=0.004, patients=18, better_on=14, median=0.05
)
UNCLEAR = Difference(
    0.01, -0.02, 0.04, low_90=-0.015, high_90=0.035, p_value=0.4, patients=18, better_on=10, median=0.01
)


def turned(difference):
    """The same comparison with its two models exchanged."""
    return replace(
        difference,
        estimate=-difference.estimate,
        low=-difference.high,
        high=-difference.low,
        low_90=-difference.high_90,
        high_90=-difference.low_90,
        better_on=difference.patients - difference.better_on,
    )


def test_a_difference_is_shown_in_its_direction():
    for difference, direction in ((BETTER, 1), (turned(BETTER), -1)):
        verdict = shown(difference)
        assert (verdict.answer, verdict.direction, verdict.reason) == (Answer.DIFFERENCE, direction, None)
        assert not verdict.within_margin and verdict.text == "the data show a difference"


def test_a_difference_may_be_too_small_to_matter():
    for difference, direction in ((BETTER, 1), (turned(BETTER), -1)):
        small, large = shown(difference, margin=0.08), shown(difference, margin=0.06)
        assert small.answer is large.answer is Answer.DIFFERENCE and small.direction == direction
        assert small.within_margin and not large.within_margin
        assert small.text == "the data show a difference, but one smaller than 0.08"


def test_equivalence_needs_a_margin_that_holds_the_90_percent_interval():
    for difference in (UNCLEAR, turned(UNCLEAR)):
        verdict = shown(difference, margin=0.0351)
        assert (verdict.answer, verdict.direction, verdict.reason) == (Answer.EQUIVALENT, 0, None)
        assert verdict.within_margin and verdict.text == "the two are equivalent within 0.0351"
        # At the margin itself one of the two one-sided tests is at 0.05, and not below.
        at_edge = shown(difference, margin=0.035)
        assert (at_edge.answer, at_edge.reason) == (Answer.CANNOT_TELL, Reason.INTERVAL_TOO_WIDE)
        assert not at_edge.within_margin
        assert at_edge.text == ("cannot tell: the 95 % interval includes 0, and the 90 % interval reaches beyond 0.035")
        without = shown(difference)
        assert (without.answer, without.direction) == (Answer.CANNOT_TELL, 0)
        assert without.text == "cannot tell: the 95 % interval includes 0"


def test_an_interval_that_ends_at_0_includes_it():
    touching = replace(BETTER, low=0.0)
    for difference in (touching, turned(touching)):
        assert shown(difference).reason is Reason.INTERVAL_TOO_WIDE
    assert shown(replace(BETTER, low=1e-9)).direction == 1


@pytest.mark.parametrize("difference", [BETTER, UNCLEAR], ids=["better", "unclear"])
def test_nine_patients_cannot_tell_and_ten_can(difference):
    for case in (difference, turned(difference)):
        few = shown(replace(case, patients=9), margin=0.2)
        assert (few.answer, few.direction, few.reason) == (Answer.CANNOT_TELL, 0, Reason.TOO_FEW_PATIENTS)
        assert few.text == "cannot tell: too few patients (9, and 10 are needed)" and not few.within_margin
        assert shown(replace(case, patients=10), margin=0.2).answer is not Answer.CANNOT_TELL


@pytest.mark.parametrize("difference", [BETTER, UNCLEAR], ids=["better", "unclear"])
def test_two_trainings_cannot_tell_and_three_can(difference):
    for case in (difference, turned(difference)):
        few = shown(case, margin=0.2, trainings=2)
        assert (few.answer, few.direction, few.reason) == (Answer.CANNOT_TELL, 0, Reason.TOO_FEW_TRAININGS)
        assert few.text == "cannot tell: too few trainings (2, and 3 are needed)" and not few.within_margin
        assert shown(case, margin=0.2, trainings=3) == shown(case, margin=0.2)
    assert shown(replace(difference, patients=9), trainings=2).reason is Reason.TOO_FEW_PATIENTS


def test_the_p_value_must_agree_and_the_corrected_one_takes_its_place():
    for difference in (BETTER, turned(BETTER)):
        assert shown(difference, p_corrected=0.0499).answer is Answer.DIFFERENCE
        corrected = shown(difference, p_corrected=0.05)
        assert (corrected.answer, corrected.direction) == (Answer.CANNOT_TELL, 0)
        assert corrected.reason is Reason.P_TOO_LARGE
        assert corrected.text == ("cannot tell: corrected for several questions, p = 0.050, which is not below 0.05")
        own = shown(replace(difference, p_value=0.06))
        assert own.reason is Reason.P_TOO_LARGE and own.text == "cannot tell: p = 0.060, which is not below 0.05"
        # What is not shown to differ may still be shown to be small.
        assert shown(difference, p_corrected=0.05, margin=0.1).answer is Answer.EQUIVALENT


def test_questions_that_cannot_be_asked():
    for margin in (0, -0.02, np.nan):
        with pytest.raises(ValueError, match="margin is"):
            shown(BETTER, margin=margin)
    for p_corrected in (np.nan, 1.2):
        with pytest.raises(ValueError, match="p value is"):
            shown(BETTER, p_corrected=p_corrected)


def test_each_answer_comes_out_of_values_that_call_for_it(pair):
    first, second = pair
    assert shown(paired_difference(first, second)).direction == 1
    assert shown(paired_difference(second, first)).direction == -1
    noise = np.random.default_rng(6).normal(0, 0.01, 40)
    assert shown(paired_difference(second + noise, second), margin=0.02).answer is Answer.EQUIVALENT
    assert shown(paired_difference(second + 9 * noise, second), margin=0.02).reason is Reason.INTERVAL_TOO_WIDE


# Ranks


def test_ranks_agree_with_scipy_one_by_one_and_many_at_once():
    rng = np.random.default_rng(0)
    values, codes = rng.integers(0, 9, (4, 40)).astype(float), rng.integers(1, 5, 40)
    many, p_values = rank_statistic(values, codes), rank_p_value(values, codes)
    for row, h, p in zip(values, many, p_values, strict=True):
        theirs = stats.kruskal(*(row[codes == code] for code in range(1, 5)))
        assert (h, p) == pytest.approx((theirs.statistic, theirs.pvalue))
    np.testing.assert_allclose(eta_squared(values, codes), (many - 3) / 36)


def test_eta_squared_is_three_quarters_for_two_halves_in_order_zero_for_chance_and_nan_for_nothing():
    assert eta_squared(np.arange(400.0), np.repeat([1, 2], 200)) == pytest.approx(0.75, abs=0.01)
    chance = eta_squared(np.random.default_rng(0).random((2000, 40)), np.repeat([1, 2, 3, 4], 10))
    assert abs(chance.mean()) < 0.01
    assert np.isnan(eta_squared(np.arange(4.0), np.arange(4)))
    assert np.isnan(eta_squared(np.arange(4.0), np.ones(4)))
    assert np.isnan(rank_statistic(np.ones(4), np.array([1, 1, 2, 2])))


def test_rank_correlation_with_its_interval():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 18))
    found = rank_correlation(first, second)
    assert found.estimate == pytest.approx(stats.spearmanr(first, second).statistic)
    chosen = np.random.default_rng(0).integers(18, size=(RANK_DRAWS, 18))
    drawn = [stats.spearmanr(first[rows], second[rows]).statistic for rows in chosen[:200]]
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.1)
    bowl = rank_correlation(np.arange(-9.0, 10), np.arange(-9.0, 10) ** 2)  # falls as much as it rises
    assert bowl.estimate == pytest.approx(0) and bowl.low < 0 < bowl.high
    assert rank_correlation(first, -(first**3)) == pytest.approx((-1, -1, -1))
    assert np.isnan(rank_correlation(first, np.ones(18))).all()


@pytest.mark.parametrize(("count", "total"), [(0, 110), (1, 110), (3, 10), (10, 10)])
def test_the_interval_of_a_share_is_the_exact_one(count, total):
    expected = stats.binomtest(count, total).proportion_ci(method="exact")
    share, low, high = share_interval(count, total)
    assert share == count / total
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("count", "total"), [(0, 0), (3, 2), (-1, 2)])
def test_what_is_no_share_has_no_interval(count, total):
    with pytest.raises(ValueError, match="no share"):
        share_interval(count, total)


# Word by word


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: share_interval(3, 2), "3 of 2 is no share"),
        (lambda: bootstrap_interval([]), r"values have shape \(0,\): give one a patient, for at least one patient"),
        (lambda: bootstrap_interval([1, np.nan]), "1 of 2 values are NaN or infinite: leave those out"),
        (
            lambda: paired_difference([1], [1, 2]),
            r"shapes \(1,\) and \(2,\): give one value per patient, of the same patients",
        ),
        (lambda: paired_difference([[1]], [[2]]), r"shapes \(1, 1\) and \(1, 1\): give one value .*"),
        (lambda: paired_difference([1], [np.inf]), "Some values are missing: leave those patients out, and count them"),
        (lambda: coverage([1, 2], 1), "patients is 1: a sample needs two for an interval"),
        (lambda: coverage([1, 2], 2, method="t"), "method is 't': choose bca or percentile"),
        (lambda: shown(BETTER, margin=0), "margin is 0: name a difference above 0, or none"),
        (lambda: shown(BETTER, p_corrected=-0.1), r"the p value is -0.1: it must lie in 0\.\.1"),
    ],
)
def test_what_cannot_be_computed_is_said(call, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        call()


def test_a_verdict_reads_as_a_sentence():
    assert shown(BETTER).sentence == "The data show a difference."
    assert shown(replace(BETTER, p_value=0.0)).answer is Answer.DIFFERENCE
    assert shown(replace(BETTER, p_value=1.0)).reason is Reason.P_TOO_LARGE


def test_a_difference_is_printed_with_its_interval():
    assert interval_text(BETTER) == "+0.050 (95 % interval +0.020 to +0.080)"
    assert interval_text(turned(BETTER), digits=2) == "-0.05 (95 % interval -0.08 to -0.02)"
    assert interval_text(replace(BETTER, estimate=-1e-9)) == "+0.000 (95 % interval +0.020 to +0.080)"


def test_a_difference_keeps_its_seed_draws_and_median():
    first, second = np.random.default_rng(8).random((2, 25))
    found = paired_difference(first, second, draws=300, seed=4)
    values = first - second
    assert (found.estimate, found.low, found.high) == bootstrap_interval(values, draws=300, seed=4)
    assert (found.low_90, found.high_90) == bootstrap_interval(values, level=0.9, draws=300, seed=4)[1:]
    assert found.p_value == sign_flip_p(values, draws=300, seed=4)
    assert found.median == np.median(values)
    assert paired_difference([1, 2, 2], [1, 1, 3]).better_on == 1  # a tie is better on neither side


def test_a_bootstrap_of_many_patients_is_drawn_in_blocks():
    """More draws than fit one block give the interval of all of them."""
    values = np.random.default_rng(9).random(60_000)
    found = bootstrap_interval(values, draws=7, level=0.5, seed=3)
    rng = np.random.default_rng(3)
    drawn = np.array([values[rng.integers(60_000, size=(1, 60_000))].mean() for _ in range(7)])
    assert drawn.min() <= found.low < found.high <= drawn.max()


def test_questions_that_are_asked_together_share_margin_and_trainings():
    together = shown_together({"a": UNCLEAR, "b": BETTER}, margin=0.04, trainings=3)
    assert together["a"][1].answer is Answer.EQUIVALENT and together["b"][1].answer is Answer.DIFFERENCE
    few = shown_together({"a": UNCLEAR, "b": BETTER}, trainings=2)
    assert {verdict.reason for _, verdict in few.values()} == {Reason.TOO_FEW_TRAININGS}
    assert together["b"][0] == 0.008
    # Alone 0.03 is below 0.05, and of two questions it is not.
    weak = shown_together({"a": UNCLEAR, "b": replace(BETTER, p_value=0.03)})
    assert weak["b"] == (0.06, shown(BETTER, p_corrected=0.06)) and weak["b"][1].reason is Reason.P_TOO_LARGE


def test_ranks_of_codes_that_a_sample_lacks():
    values = np.array([[1.0, 2, 3, 4], [4, 3, 2, 1]])
    codes = np.array([[1, 1, 2, 2], [1, 1, 1, 1]])
    h = rank_statistic(values, codes)
    assert h[0] == pytest.approx(stats.kruskal([1, 2], [3, 4]).statistic) and h[1] == 0
    assert eta_squared(values, codes)[0] == pytest.approx((h[0] - 1) / 2) and np.isnan(eta_squared(values, codes)[1])


def test_a_rank_correlation_keeps_its_seed_and_draws():
    first, second = np.random.default_rng(1).random((2, 12))
    assert rank_correlation(first, second, draws=50, seed=2) == rank_correlation(first, second, draws=50, seed=2)
    assert rank_correlation(first, second, draws=50, seed=2) != rank_correlation(first, second, draws=50, seed=3)
    rows = np.random.default_rng(2).integers(12, size=(50, 12))
    drawn = [stats.spearmanr(first[chosen], second[chosen]).statistic for chosen in rows]
    expected = percentile_interval(stats.spearmanr(first, second).statistic, np.array(drawn))
    assert rank_correlation(first, second, draws=50, seed=2) == pytest.approx(expected)


def test_coverage_follows_its_seed_samples_and_level():
    observed = np.random.default_rng(0).beta(8, 2, 30)
    found = coverage(observed, 10, samples=200, draws=200, seed=1)
    assert found == coverage(observed, 10, samples=200, draws=200, seed=1)
    assert found == pytest.approx(coverage(observed + 5, 10, samples=200, draws=200, seed=1))
    assert {coverage(observed, 10, samples=4, draws=50, seed=seed) for seed in range(12)} <= {0, 0.25, 0.5, 0.75, 1}
    low = coverage(observed, 10, samples=200, draws=200, seed=1, level=0.3)
    assert 0.15 < low < 0.45 < found
