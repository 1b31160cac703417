"""What the data show: intervals, paired differences, p values, ranks, and :func:`shown`, the study's one rule.

A comparison runs through three steps, each a function of its own.

1. Measure: :func:`paired_difference` gives the mean difference between two models on the same patients, its intervals
   and its p value. Interval and test speak of the same number, the mean.
2. Correct: :func:`holm` corrects the p values where several questions are asked.
3. Answer: :func:`shown` says that there is a difference, that the two are equivalent, or that the data cannot tell,
   and why.

A value is a patient's, because slices of one patient are not independent.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from scipy import special

LEVEL = 0.95
# Bootstrap samples and random sign flips: enough to place the ends of an interval of Dice to about 0.001.
DRAWS = 10_000
# Ranking each sample anew takes longer than taking its mean.
RANK_DRAWS = 2000
# Up to this many patients every flip of signs is tried: half a million sums, and twice as many with each patient more.
EXACT_PATIENTS = 20

# With fewer patients a bootstrap interval holds the true mean far less often than it says; chapter 8 shows how often.
FEWEST_PATIENTS = 10
# Per arm: two trainings of one recipe differ, and one or two cannot tell the arm from the luck of its training.
FEWEST_TRAININGS = 3
# The field's convention: one false alarm in twenty where there is no difference.
LARGEST_P = 0.05
# Two one-sided tests at `LARGEST_P` leave this much between them.
EQUIVALENCE_LEVEL = 1 - 2 * LARGEST_P

Key = TypeVar("Key", bound=Hashable)


class Interval(NamedTuple):
    """A number and the ends of its interval, NaN where there is none."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Evidence:
    """A difference of two numbers from the same patients, and what is known of it: what :func:`shown` asks for.

    Attributes
    ----------
    estimate, low, high : float
        The difference and its 95 % interval.
    low_90, high_90 : float
        The 90 % interval, which decides about equivalence.
    p_value : float
    patients : int
    """

    estimate: float
    low: float
    high: float
    low_90: float
    high_90: float
    p_value: float
    patients: int


@dataclass(frozen=True)
class Difference(Evidence):
    """The mean of `first - second` over patients, with the sign-flip test's p value; see :func:`paired_difference`.

    Attributes
    ----------
    better_on : int
        Patients with a larger value in `first` than in `second`.
    median : float
        Of the differences.
    """

    better_on: int
    median: float


class Answer(enum.Enum):
    """What the data say to a question about a difference."""

    DIFFERENCE = "difference"
    EQUIVALENT = "equivalent"
    CANNOT_TELL = "cannot tell"


class Reason(enum.Enum):
    """Why the data cannot tell."""

    TOO_FEW_PATIENTS = "too few patients"
    TOO_FEW_TRAININGS = "too few trainings"
    INTERVAL_TOO_WIDE = "interval too wide"
    P_TOO_LARGE = "p value too large"


@dataclass(frozen=True)
class Verdict:
    """The answer of :func:`shown`.

    Attributes
    ----------
    answer : Answer
    direction : int
        +1 where the first is shown to be larger, -1 where the second is, 0 where no difference is shown.
    reason : Reason or None
        Only where the answer is `CANNOT_TELL`.
    within_margin : bool
        What is shown lies within the margin with its whole 90 % interval: always so for `EQUIVALENT`, and so for a
        `DIFFERENCE` that is too small to matter.
    text : str
        A phrase for a page, without a full stop, such as "the data show a difference".
    """

    answer: Answer
    direction: int
    reason: Reason | None
    within_margin: bool
    text: str

    @property
    def sentence(self) -> str:
        """The phrase as a sentence."""
        return f"{self.text[0].upper()}{self.text[1:]}."

    def phrase(self, better: str, worse: str, alike: str, margin: float) -> str:
        """The answer in a page's own words, without a full stop; where the data cannot tell, with the reason."""
        if self.reason is not None:
            return f"the data cannot tell ({self.reason.value})"
        if self.answer is Answer.EQUIVALENT:
            return f"{alike} (within {margin:g})"
        return f"{better if self.direction > 0 else worse}{f', by less than {margin:g}' if self.within_margin else ''}"

    @property
    def in_short(self) -> str:
        """The phrase with the reason in a few words, such as "cannot tell: too few trainings"."""
        return self.text if self.reason is None else f"cannot tell: {self.reason.value}"


def bootstrap_interval(
    values: np.ndarray, statistic: Callable = np.mean, *, level: float = LEVEL, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Bootstrap interval over patients, bias-corrected and accelerated (BCa).

    It takes percentiles of the statistic over bootstrap samples, as the percentile bootstrap does, but shifts them for
    the bias and the skewness of the statistic (Efron 1987, doi:10.1080/01621459.1987.10478410). Dice values are skewed.

    Parameters
    ----------
    values : array of shape (patients,)
        One value a patient, for instance the Dice of its volume. Slices would give an interval far too narrow.
    statistic : callable
        Takes an `axis`, as `numpy.mean` and `numpy.median` do.

    Returns
    -------
    Interval
        `low` and `high` are NaN for a single patient, of whom no spread can be told, and the estimate where all values
        are equal. Where leaving out a patient never changes the statistic, there is no skewness to correct for. Where
        all bootstrap samples lie on one side of the estimate, the bias has no size, and neither correction is made:
        this leaves the percentile interval, which is always defined.

    Raises
    ------
    ValueError
        There are no values, they are not one a patient, or some are not numbers.
    """
    values = _one_a_patient(values)
    patients = len(values)
    estimate = float(statistic(values, axis=-1))
    if patients == 1:
        return Interval(estimate, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    # In blocks that fit a processor's cache.
    block = max(1, 100_000 // patients)
    shapes = [(min(block, draws - start), patients) for start in range(0, draws, block)]
    drawn = np.concatenate([statistic(values[rng.integers(patients, size=shape)], axis=-1) for shape in shapes])
    if statistic is np.mean:
        influence = values - estimate  # what the general way gives, up to a factor that cancels
    else:
        kept = ~np.eye(patients, dtype=bool)
        without = statistic(np.broadcast_to(values, kept.shape)[kept].reshape(patients, -1), axis=-1)
        influence = without.mean() - without
    low, high = _bca(estimate, drawn, influence, level)
    return Interval(estimate, float(low), float(high))


def interval_over_groups(values: np.ndarray, groups: np.ndarray, level: float = LEVEL) -> Interval | None:
    """Interval of the mean of the groups' means, by Student's t; None with fewer than three groups.

    For patients whom the same networks score, such as those of a fold: an interval over patients takes them as
    independent.

    Parameters
    ----------
    values : float array (n,)
    groups : array (n,)
        To which group each value belongs.
    level : float
    """
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 3:
        return None
    means = np.bincount(place, np.asarray(values, float)) / np.bincount(place)
    reach = special.stdtrit(len(names) - 1, (1 + level) / 2) * means.std(ddof=1) / np.sqrt(len(names))
    return Interval(float(means.mean()), float(means.mean() - reach), float(means.mean() + reach))


def percentile_interval(estimate: float, draws: np.ndarray, level: float = LEVEL) -> Interval:
    """Percentile interval of bootstrap draws, an array (draws,): those that are NaN or infinite are left out.

    The ends are NaN where no draw is left.
    """
    draws = np.asarray(draws)[np.isfinite(draws)]
    low, high = np.quantile(draws, _tails(level)) if len(draws) else (np.nan, np.nan)
    return Interval(float(estimate), float(low), float(high))


def share_interval(count: int, total: int) -> Interval:
    """A share of patients with its exact interval (Clopper, Pearson 1934, doi:10.1093/biomet/26.4.404).

    It holds the true share at least as often as it says, however few the patients, and says something where nobody or
    everybody counts.

    Raises
    ------
    ValueError
        There are no patients, or more count than there are.
    """
    if not 0 <= count <= total or total == 0:
        raise ValueError(f"{count} of {total} is no share")
    tail = (1 - LEVEL) / 2
    low = special.betaincinv(count, total - count + 1, tail) if count else 0.0
    high = special.betaincinv(count + 1, total - count, 1 - tail) if count < total else 1.0
    return Interval(count / total, float(low), float(high))


def sign_flip_p(differences: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p value of the mean of paired differences, by flipping their signs.

    If the two models were interchangeable, each patient's difference could as well have had the other sign. The p value
    is the share of flips whose mean lies at least as far from 0 as the observed one (Fisher 1935, The Design of
    Experiments; Pitman 1937, doi:10.2307/2984124). A difference of 0 has no sign, and says nothing for or against.

    All flips are tried where at most `EXACT_PATIENTS` differences are not 0. Else `draws` random ones are, and the
    observed one counts as another, so that p is never 0 (Phipson, Smyth 2010, doi:10.2202/1544-6115.1585).

    Parameters
    ----------
    differences : array of shape (patients,)

    Returns
    -------
    float
        In 0..1; 1 for a single patient, and where all differences are 0.

    Raises
    ------
    ValueError
        As :func:`bootstrap_interval`.
    """
    differences = _one_a_patient(differences)
    differences = differences[differences != 0]
    if len(differences) == 0:
        return 1.0
    # Sums of the same numbers differ in their last digits by the order of adding.
    observed = np.abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    if len(differences) <= EXACT_PATIENTS:
        # The first keeps its sign: the other half are the same sums turned round, and count alike.
        sums = differences[:1]
        for difference in differences[1:]:
            sums = np.concatenate([sums + difference, sums - difference])
        return float(np.mean(np.abs(sums) >= observed))
    flips = np.random.default_rng(seed).integers(0, 2, size=(draws, len(differences)), dtype=np.int8)
    sums = differences.sum() - 2 * (flips @ differences)
    return float((1 + np.count_nonzero(np.abs(sums) >= observed)) / (1 + draws))


def paired_difference(first: np.ndarray, second: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> Difference:
    """Compare two models on the same patients: the mean of `first - second`, its intervals and its p value.

    The pairing takes out what makes a patient easy or hard for both. Intervals are those of :func:`bootstrap_interval`,
    the p value is that of :func:`sign_flip_p`.

    Parameters
    ----------
    first, second : arrays of shape (patients,)
        One value a patient, in the same order.

    Returns
    -------
    Difference
        A single patient gives NaN for the ends of the intervals, and a p value of 1.

    Raises
    ------
    ValueError
        The two have not the same patients, there are none, or some values are NaN or infinite.
    """
    first, second = as_pairs(first, second)
    differences = first - second
    estimate, low, high = bootstrap_interval(differences, draws=draws, seed=seed)
    _, low_90, high_90 = bootstrap_interval(differences, level=EQUIVALENCE_LEVEL, draws=draws, seed=seed)
    p_value = sign_flip_p(differences, draws=draws, seed=seed)
    better_on = int(np.count_nonzero(first > second))
    return Difference(
        estimate, low, high, low_90, high_90, p_value, len(first), better_on, float(np.median(differences))
    )


def holm(p_values: Iterable[float]) -> np.ndarray:
    """P values corrected for being several, by Holm 1979: the smallest times m, the next times m - 1, and so on.

    No corrected value is below one that stood before it in that order, nor above 1.
    """
    p = np.asarray(list(p_values), float)
    order = p.argsort()
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected


def interval_text(found: Interval | Evidence, digits: int = 3) -> str:
    """A difference or a correlation as it is printed, such as "+0.021 (95 % interval -0.014 to +0.070)"."""
    value, low, high = (f"{number:+z.{digits}f}" for number in (found.estimate, found.low, found.high))
    return f"{value} (95 % interval {low} to {high})"


def p_text(p_value: float, digits: int = 3, name: str = "") -> str:
    """A p value as it is printed: none is ever 0.

    Parameters
    ----------
    p_value : float
        0..1, or NaN where there was no test.
    digits : int
        After the point. What is smaller than the last of them is written as being below it.
    name : str
        What stands before it in a sentence.

    Returns
    -------
    str
        Such as "0.012" or "< 0.001", with a name "p = 0.012" or "p < 0.001"; "-" for NaN.
    """
    if np.isnan(p_value):
        return "-"
    smallest = 10.0**-digits
    relation, printed = ("<", smallest) if p_value < smallest else ("=", p_value)
    written = f"{relation} {printed:.{digits}f}"
    return f"{name} {written}" if name else written.removeprefix("= ")


def shown(
    difference: Evidence,
    *,
    margin: float | None = None,
    trainings: int | None = None,
    p_corrected: float | None = None,
) -> Verdict:
    """What the data show: a difference, equivalence, or neither. The one rule of the study.

    1. Fewer than `FEWEST_PATIENTS` patients, or fewer than `FEWEST_TRAININGS` trainings, cannot tell.
    2. There is a difference where the 95 % interval excludes 0 and the p value is below `LARGEST_P`. Both are asked,
       because an interval from few and skewed values is too narrow, and excludes 0 too often.
    3. The two are equivalent where the 90 % interval lies between `-margin` and `margin`: two one-sided tests
       (Schuirmann 1987, doi:10.1007/BF01068419).
    4. Else the data cannot tell. That no difference is shown does not show that there is none.

    Parameters
    ----------
    margin : float, optional
        The largest difference that does not matter, in the unit of the difference. It is named before what is compared
        is scored; without one nothing is called equivalent.
    trainings : int, optional
        How many trainings of each arm a patient's value averages; None where nothing is trained.
    p_corrected : float, optional
        The p value corrected for several primary questions, which takes the place of the difference's own.

    Raises
    ------
    ValueError
        The margin is not above 0, or the p value is not one.
    """
    if margin is not None and not margin > 0:
        raise ValueError(f"margin is {margin}: name a difference above 0, or none")
    p_value = difference.p_value if p_corrected is None else p_corrected
    if not 0 <= p_value <= 1:
        raise ValueError(f"the p value is {p_value}: it must lie in 0..1")

    within = margin is not None and -margin < difference.low_90 and difference.high_90 < margin

    def cannot_tell(reason: Reason, why: str) -> Verdict:
        return Verdict(Answer.CANNOT_TELL, 0, reason, False, f"cannot tell: {why}")

    if difference.patients < FEWEST_PATIENTS:
        why = f"too few patients ({difference.patients}, and {FEWEST_PATIENTS} are needed)"
        return cannot_tell(Reason.TOO_FEW_PATIENTS, why)
    if trainings is not None and trainings < FEWEST_TRAININGS:
        why = f"too few trainings ({trainings}, and {FEWEST_TRAININGS} are needed)"
        return cannot_tell(Reason.TOO_FEW_TRAININGS, why)
    direction = int(difference.low > 0) - int(difference.high < 0)
    if direction and p_value < LARGEST_P:
        small = f", but one smaller than {margin:g}" if within else ""
        return Verdict(Answer.DIFFERENCE, direction, None, within, f"the data show a difference{small}")
    if within:
        return Verdict(Answer.EQUIVALENT, 0, None, True, f"the two are equivalent within {margin:g}")
    if direction:
        corrected = "" if p_corrected is None else "corrected for several questions, "
        why = f"{corrected}{p_text(p_value, name='p')}, which is not below {LARGEST_P}"
        return cannot_tell(Reason.P_TOO_LARGE, why)
    beyond = "" if margin is None else f", and the 90 % interval reaches beyond {margin:g}"
    return cannot_tell(Reason.INTERVAL_TOO_WIDE, f"the 95 % interval includes 0{beyond}")


def shown_together(
    differences: Mapping[Key, Evidence], *, margin: float | None = None, trainings: int | None = None
) -> dict[Key, tuple[float, Verdict]]:
    """Several primary questions, each with its p value corrected by :func:`holm` and what :func:`shown` says of it."""
    corrected = holm(difference.p_value for difference in differences.values())
    return {
        key: (float(p), shown(difference, margin=margin, trainings=trainings, p_corrected=float(p)))
        for (key, difference), p in zip(differences.items(), corrected, strict=True)
    }


def coverage(
    observed: np.ndarray,
    patients: int,
    *,
    samples: int = 2000,
    level: float = LEVEL,
    draws: int = 1000,
    seed: int = 0,
    method: Literal["bca", "percentile"] = "bca",
) -> float:
    """How often the interval of a mean holds the true mean, if patients are like the observed ones.

    The observed values stand for everyone there is, so their mean is the true one. Samples of `patients` values are
    drawn from them with replacement, and each gets its interval. Values that are as skewed as the observed ones say
    more than normal numbers.

    Parameters
    ----------
    observed : array
        One value a patient.
    patients : int
        How many a sample has; at least two, because one patient has no interval.
    samples : int
        The shares have a standard error of at most half a percentage point near 95 % with 2000.
    draws : int
        Bootstrap samples for each interval.
    method : "bca" or "percentile"
        The interval of :func:`bootstrap_interval`, or the one that it replaces.

    Returns
    -------
    float
        Share of the samples whose interval holds the true mean, 0..1.

    Raises
    ------
    ValueError
        As :func:`bootstrap_interval`; there are fewer than two patients, or the method is neither of the two.
    """
    observed = _one_a_patient(observed)
    if patients < 2:
        raise ValueError(f"patients is {patients}: a sample needs two for an interval")
    if method not in ("bca", "percentile"):
        raise ValueError(f"method is {method!r}: choose bca or percentile")
    observed = observed - observed[0]  # equal values are then 0, and so are their means, to the last digit
    rng = np.random.default_rng(seed)
    drawn = observed[rng.integers(len(observed), size=(samples, patients))]
    estimates = drawn.mean(axis=-1)
    # One set of bootstrap draws serves all samples, so that a product of matrices gives their means.
    times = rng.multinomial(patients, np.full(patients, 1 / patients), size=draws)
    means = drawn @ (times.T / patients)
    if method == "bca":
        low, high = _bca(estimates, means, drawn - estimates[:, None], level)
    else:
        low, high = np.quantile(means, _tails(level), axis=-1)
    return float(np.mean((low <= observed.mean()) & (observed.mean() <= high)))


def rank_statistic(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """H of Kruskal and Wallis 1952, corrected for ties, of many samples at once: arrays (..., patients) -> (...).

    NaN where all values are equal. For one sample it is what `scipy.stats.kruskal` gives; a bootstrap needs thousands.
    """
    from scipy import stats  # slow to import, and most callers need no ranks

    values, codes = np.broadcast_arrays(np.asarray(values, float), np.asarray(codes))
    n = values.shape[-1]
    ranks = stats.rankdata(values, axis=-1)
    between = np.zeros(values.shape[:-1])
    for code in np.unique(codes):
        member = codes == code
        size = member.sum(axis=-1)
        deviation = (ranks * member).sum(axis=-1) - size * (n + 1) / 2
        between = between + np.divide(deviation**2, size, out=np.zeros(np.shape(size)), where=size > 0)
    total = ((ranks - (n + 1) / 2) ** 2).sum(axis=-1)
    return (n - 1) * np.divide(between, total, out=np.full(np.shape(total), np.nan), where=total > 0)


def rank_p_value(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """P value of the rank test, by chi squared as in `scipy.stats.kruskal`.

    Of many samples (..., patients) and one set of codes (patients,).
    """
    return special.chdtrc(len(np.unique(codes)) - 1, rank_statistic(values, codes))


def eta_squared(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Effect size of the rank test, (H - k + 1) / (n - k), of k codes and n patients: arrays (..., patients) -> (...).

    About the share of the ranks' variance that the codes explain. Its expectation without any association is 0, so it
    may fall below. Tomczak, Tomczak 2014, Trends in Sport Sciences 1(21), 19-25. NaN where every patient has
    a code of their own, or all have one.
    """
    codes = np.asarray(codes)
    n = codes.shape[-1]
    ordered = np.sort(codes, axis=-1)
    groups = 1 + (np.diff(ordered, axis=-1) != 0).sum(axis=-1)
    possible = (groups > 1) & (groups < n)
    h = rank_statistic(values, codes)
    return np.divide(h - groups + 1, n - groups, out=np.full(np.shape(h), np.nan), where=possible)


def rank_correlation(first: np.ndarray, second: np.ndarray, draws: int = RANK_DRAWS, seed: int = 0) -> Interval:
    """Spearman's rank correlation of two values per patient, with a percentile bootstrap interval over patients.

    NaN where one of the two is constant. Raises ValueError as :func:`as_pairs`.
    """
    from scipy import stats

    first, second = as_pairs(first, second)
    chosen = np.random.default_rng(seed).integers(len(first), size=(draws, len(first)))

    def correlation(rows: np.ndarray) -> np.ndarray:
        x, y = (stats.rankdata(values[rows], axis=-1) for values in (first, second))
        x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
        scale = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
        return np.divide((x * y).sum(axis=-1), scale, out=np.full(np.shape(scale), np.nan), where=scale > 0)

    return percentile_interval(float(correlation(np.arange(len(first)))), correlation(chosen))


def as_pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float arrays (patients,); ValueError if they cannot be of the same patients, or lack a value."""
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.ndim != 1 or first.shape != second.shape or len(first) == 0:
        raise ValueError(f"shapes {first.shape} and {second.shape}: give one value per patient, of the same patients")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("Some values are missing: leave those patients out, and count them")
    return first, second


def _one_a_patient(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, float)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"values have shape {values.shape}: give one a patient, for at least one patient")
    if not np.isfinite(values).all():
        raise ValueError(f"{np.sum(~np.isfinite(values))} of {len(values)} values are NaN or infinite: leave those out")
    return values


def _tails(level: float) -> np.ndarray:
    return np.array([(1 - level) / 2, (1 + level) / 2])


def _bca(estimate: float | np.ndarray, drawn: np.ndarray, influence: np.ndarray, level: float) -> list[np.ndarray]:
    """Ends of the BCa interval for many samples at once.

    Parameters
    ----------
    estimate : float array (...)
    drawn : float array (..., draws)
        The statistic of the bootstrap samples.
    influence : float array (..., patients)
        How far the statistic falls when a patient is left out, less its mean over patients, in any unit.

    Returns
    -------
    low, high : float arrays (...)
    """
    drawn = np.sort(drawn, axis=-1)
    draws = drawn.shape[-1]
    # The bias correction: the share of draws below the estimate, ties counted half. Draws of the same patients in
    # another order are ties that differ in their last digits.
    centre, tie = np.asarray(estimate)[..., None], 1e-10 * (drawn[..., -1:] - drawn[..., :1])
    below, upto = (np.count_nonzero(side, axis=-1) for side in (drawn < centre - tie, drawn <= centre + tie))
    bias = special.ndtri((below + upto) / (2 * draws))
    # The acceleration, never beyond 1/6.
    cubes, squares = (influence**3).sum(axis=-1), (influence**2).sum(axis=-1)
    acceleration = np.divide(cubes, 6 * squares**1.5, out=np.zeros(np.shape(squares)), where=squares > 0)
    defined = np.isfinite(bias)
    bias, acceleration = np.where(defined, bias, 0), np.where(defined, acceleration, 0)
    ends = []
    for tail in special.ndtri(_tails(level)):
        share = special.ndtr(bias + (bias + tail) / (1 - acceleration * (bias + tail)))
        # Linear between neighbouring draws, as in `numpy.quantile`, which takes one share for all samples.
        position = share * (draws - 1)
        left = np.minimum(position.astype(int), draws - 2)[..., None]
        lower, upper = (np.take_along_axis(drawn, index, axis=-1)[..., 0] for index in (left, left + 1))
        ends.append(lower + (upper - lower) * (position - left[..., 0]))
    return ends
