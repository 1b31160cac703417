"""What chapters 13 and 14 say of the tables of :func:`brainseg.experiments.shape_genomics.analysis.analyse`.

Each finding is a dataclass of numbers and of verdicts of :func:`brainseg.statistics.shown`; as a string it is what the
page says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainseg.experiments.shape_genomics.analysis import CODES, GRID, HONEST, LEAKY, MANUAL, TARGET
from brainseg.experiments.shape_genomics.association import CORRECTIONS, adjust
from brainseg.experiments.shape_genomics.features import FEATURES
from brainseg.statistics import (
    FEWEST_PATIENTS,
    LARGEST_P,
    Answer,
    Difference,
    Evidence,
    Interval,
    Reason,
    Verdict,
    holm,
    p_text,
    paired_difference,
    shown,
    shown_together,
)

EFFECT_MARGIN = 0.10
"""The largest change of eta squared that does not matter. By the usual names 0.06 is a medium effect and 0.14 a large
one (Cohen 1988). A link of 0.16 or more that loses less than this margin is still at least a medium one. The
differences of the first campaign had been seen when this was named, so it follows the convention and no data.
:attr:`Compared.detectable` says how large a loss the patients of a table can show."""

AUC_MARGIN = 0.10
"""Of AUC: the change that does not matter, of question Q5 of ``results/protocol.md``."""

# Cramer's V from which two classifications count as near to one: half of the way from nothing to the same groups.
ALIKE = 0.5

POWER_Z = 1.96 + 0.84
"""A difference of so many standard errors is shown, at p < 0.05, in four studies of five."""


# ---------------------------------------------------------------- one number a shape


def shape_answer(measured: Mapping[str, Mapping[str, float]], ranked: pd.DataFrame) -> str:
    """What three numbers tell of a shape, and whether of size as well, in a sentence: what chapter 12 finds.

    Parameters
    ----------
    measured : mapping
        ``asd`` and ``mf`` of the shapes "ellipse" and "ragged disc".
    ranked : DataFrame
        Rank correlation of each number of shape (index) with the tumour's size, ``tumour_px``; NaN where there are too
        few patients.
    """
    asd, mf = (measured["ellipse"][name] / measured["ragged disc"][name] for name in ("asd", "mf"))
    apart = (asd > 1) != (mf > 1)  # what one number calls the less regular shape, the other calls the more regular
    said = (
        f"Yes{', but one number is not enough' if apart else ''}: a smooth ellipse has {asd:.1f} times the ASD of a "
        f"ragged disc and {mf:.1f} times its MF"
    )
    sizes = ranked["tumour_px"].dropna()
    if sizes.empty:
        return f"{said}; whether they tell of size as well, so few patients cannot show."
    most = sizes.abs().idxmax()
    return f"{said}; of the three, {most} goes most with the tumour's size (rank correlation {sizes[most]:+.2f})."


# ---------------------------------------------------------------- many tests


@dataclass(frozen=True)
class Chance:
    """The negative control: what is found where nothing is there to be found.

    Attributes
    ----------
    shuffles, tests : int
    any_found, any_left : float
        Share of the shuffles with at least one p value below `LARGEST_P`, before and after Bonferroni's correction.
    smallest : float
        The smallest p value of the codes as they are.
    as_small : int
        Shuffles whose smallest p value is as small as that, or smaller.
    """

    shuffles: int
    tests: int
    any_found: float
    any_left: float
    smallest: float
    as_small: int

    @property
    def p_value(self) -> float:
        """Of the smallest p value among those of the shuffles, so corrected for their number, whatever they share."""
        return (1 + self.as_small) / (1 + self.shuffles)

    def __str__(self) -> str:
        if not self.tests:
            return "Too few patients share a code, so there is nothing to test."
        answer = "more than chance does" if self.p_value < LARGEST_P else "no more than chance may do"
        return (
            f"With shuffled codes, **{self.any_found:.0%}** of the shuffles have a p value below {LARGEST_P}, "
            f"and {self.any_left:.1%} after Bonferroni's correction for {self.tests} tests, which promises at most "
            f"{LARGEST_P:.0%}. The smallest p value of the codes as they are is {p_text(self.smallest, 5)}. "
            f"{self.as_small} of {self.shuffles} shuffles have one as small, so this is {answer} "
            f"({p_text(self.p_value, name='p')})."
        )


def chance(shuffled: np.ndarray, p_values: Iterable[float]) -> Chance:
    """What shuffled codes find, and the codes as they are.

    Parameters
    ----------
    shuffled : float array (shuffles, tests)
        From :func:`brainseg.experiments.shape_genomics.association.shuffled_p_values`.
    p_values : float array
        Of the codes as they are, NaN where there was no test.
    """
    tested = shuffled[:, np.isfinite(shuffled[0])]
    found = np.array([p for p in p_values if np.isfinite(p)])
    shuffles, tests = tested.shape
    if not tests or not len(found):
        return Chance(shuffles, 0, np.nan, np.nan, np.nan, 0)
    least, smallest = tested.min(axis=1), float(found.min())
    return Chance(
        shuffles,
        tests,
        any_found=float((least < LARGEST_P).mean()),
        any_left=float((tests * least < LARGEST_P).mean()),
        smallest=smallest,
        as_small=int((least <= smallest).sum()),
    )


@dataclass(frozen=True)
class Links:
    """Pairs of a feature and a classification with a p value below `LARGEST_P` after Holm's correction, manual masks.

    Attributes
    ----------
    tested : int
        The family: so many pairs.
    patients : int
        Of the pair that has the most.
    by_ranks, by_median_split : tuple of str
    """

    tested: int
    patients: int
    by_ranks: tuple[str, ...]
    by_median_split: tuple[str, ...]

    def __str__(self) -> str:
        if self.patients < FEWEST_PATIENTS or not self.tested:
            return f"Whether any of the pairs is linked, {_too_few(self.patients)}."
        return (
            f"What is left after Holm's correction for {self.tested} pairs: {_counted(self.by_ranks)} by ranks, and "
            f"{_counted(self.by_median_split)} by the median split. Of all other pairs the data cannot tell: a link "
            "that is not shown may be there."
        )

    def answer(self, simulated: bool) -> str:
        """Whether shape goes with the genes, in a sentence: what chapter 13 finds.

        Parameters
        ----------
        simulated : bool
            Whether the patients are.
        """
        if self.patients < FEWEST_PATIENTS or not self.tested:
            return f"Here {_too_few(self.patients)}."
        of_whom = "these simulated patients" if simulated else f"these {self.patients} patients"
        return (
            f"Of the {self.tested} pairs of a shape and a classification, {len(self.by_ranks) or 'none'} by ranks and "
            f"{len(self.by_median_split) or 'none'} by the median split are shown to be linked in {of_whom}; of the "
            "others the data cannot tell."
        )


@dataclass(frozen=True)
class Repeated(Links):
    """The same of the pairs that the paper names. It named them before we looked, so they are a family of their own.

    Attributes
    ----------
    missed : tuple of str
        Shown by neither test.
    """

    missed: tuple[str, ...]

    def __str__(self) -> str:
        if self.patients < FEWEST_PATIENTS or not self.tested:
            return f"Whether the paper's pairs are found again, {_too_few(self.patients)}."
        missed = f"Neither test shows {_listed(self.missed)}." if self.missed else "None is missed by both."
        return (
            f"Found again of the {self.tested} pairs that the paper names, after Holm's correction for {self.tested}: "
            f"**{len(self.by_median_split)}** by the median split and **{len(self.by_ranks)}** by ranks. {missed} "
            "These are the patients that the paper had, or a part of them, so nothing here is a second cohort."
        )


@dataclass(frozen=True)
class Control:
    """The positive control of a simulated cohort, whose shapes differ by the target's classification and no other.

    Attributes
    ----------
    built_in, found : int
        Pairs with that classification, and how many of them are shown by ranks.
    other, false : int
        Pairs with the others, and how many of them are.
    names : tuple of str
        Features that are found.
    """

    built_in: int
    found: int
    other: int
    false: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        if not self.built_in:
            return f"Too few patients have a code of {CODES[TARGET[0]]}, so no link that is built in can be tested."
        named = f" ({_listed(self.names)})" if self.names else ""
        return (
            f"Found after Holm's correction: {self.found} of the {self.built_in} links that are built in{named}, and "
            f"{self.false} of the {self.other} pairs where nothing is. A link that is built in and not found may be "
            "too weak for so few patients, or may not be what the growth changes."
        )


@dataclass(frozen=True)
class Overlap:
    """The two classifications that have most in common."""

    first: str
    second: str
    v: float

    def __str__(self) -> str:
        if np.isnan(self.v):
            return "Too few patients have two codes: how far the classifications overlap stays open."
        alike = (
            "They put many of the same patients together, so a link with the one and a link with the other are hardly "
            "two findings."
            if self.v >= ALIKE
            else "No two put mostly the same patients together."
        )
        return f"The two that overlap most are {self.first} and {self.second}, with a V of **{self.v:.2f}**. {alike}"


def overlap(table: pd.DataFrame) -> Overlap:
    """The largest entry of :func:`brainseg.experiments.shape_genomics.association.overlaps`."""
    table = table[table["v"].notna() & (table["patients"] >= FEWEST_PATIENTS)]
    if table.empty:
        return Overlap("", "", np.nan)
    most = table.loc[table["v"].idxmax()]
    return Overlap(CODES[most["first"]], CODES[most["second"]], float(most["v"]))


def _links(associations: pd.DataFrame) -> Links:
    """Of rows that are one family by each test; their corrected p values are taken as they are."""
    left = associations[associations["holm"] < LARGEST_P]
    by_ranks, by_split = (
        tuple(_pair(row) for row in left[left["test"] == test].itertuples()) for test in ("kruskal", "fisher")
    )
    tested = associations[(associations["test"] == "kruskal") & associations["p_value"].notna()]
    return Links(len(tested), int(associations["patients"].max()), by_ranks, by_split)


def _repeated(associations: pd.DataFrame) -> Repeated:
    named = associations.dropna(subset="paper_p_below").copy()
    if named.empty:
        return Repeated(0, 0, (), (), ())
    for _, rows in named.groupby("test"):
        named.loc[rows.index, list(CORRECTIONS)] = pd.DataFrame(adjust(rows["p_value"]), index=rows.index)
    links = _links(named)
    pairs = dict.fromkeys(_pair(row) for row in named.itertuples())
    missed = tuple(pair for pair in pairs if pair not in links.by_ranks + links.by_median_split)
    return Repeated(links.tested, links.patients, links.by_ranks, links.by_median_split, missed)


def _control(associations: pd.DataFrame) -> Control:
    by_ranks = associations[(associations["test"] == "kruskal") & associations["p_value"].notna()]
    built_in, left = by_ranks["code"] == TARGET[0], by_ranks["holm"] < LARGEST_P
    names = tuple(by_ranks.loc[built_in & left, "feature"].str.upper())
    return Control(int(built_in.sum()), len(names), int((~built_in).sum()), int((~built_in & left).sum()), names)


# ---------------------------------------------------------------- masks by their use


@dataclass(frozen=True)
class Agreed:
    """The feature in which a source of masks agrees least with the manual ones: its ICC, with 95 % interval."""

    source: str
    feature: str
    patients: int
    icc: Interval

    def __str__(self) -> str:
        few = " With so few its true value may lie far outside." if self.patients < FEWEST_PATIENTS else ""
        return (
            f"**{self.source}**: the weakest agreement is that of **{self.feature.upper()}**, an ICC of "
            f"{self.icc.estimate:.2f} (95 % interval {self.icc.low:.2f} to {self.icc.high:.2f}, "
            f"{self.patients} patients).{few}"
        )


@dataclass(frozen=True)
class Smoothed:
    """Whether predicted margins fluctuate less than drawn ones, and whether it is the grid that smooths them.

    Attributes
    ----------
    source : str
    difference : Difference
        MF of predicted masks minus that of manual masks.
    verdict : Verdict
    of_grid : float
        What the grid alone changes, on average over the same patients; NaN where it was not measured.
    """

    source: str
    difference: Difference
    verdict: Verdict
    of_grid: float

    def __str__(self) -> str:
        found = self.difference
        if self.verdict.answer is not Answer.DIFFERENCE:
            return f"Whether masks *{self.source}* have smoother margins than drawn ones: {self.verdict.text}."
        text = (
            f"Masks *{self.source}* have {'less' if self.verdict.direction < 0 else 'more'} MF than drawn ones: "
            f"{found.estimate:+.3f} on average ({found.low:+.3f} to {found.high:+.3f}, {found.patients} patients)."
        )
        if np.isfinite(self.of_grid):
            doing = "grid's" if self.of_grid / found.estimate > 0.5 else "network's"
            of_grid = round(self.of_grid, 3) + 0.0  # no minus before a zero
            text += f" The grid alone changes it by {of_grid:+.3f}, so most of it is the {doing} doing."
        return text


@dataclass(frozen=True)
class Compared:
    """A number by another source of masks beside that by the manual ones, on the same patients.

    Attributes
    ----------
    feature : str
    manual, other : float
        The number by both.
    difference : Evidence
        Of the other minus the manual one.
    verdict : Verdict
        With the margin of the number, and the p value corrected by Holm for the features.
    """

    feature: str
    manual: float
    other: float
    difference: Evidence
    verdict: Verdict

    @property
    def detectable(self) -> float:
        """The smallest true difference that four such studies of five would show, from the width of the interval."""
        return POWER_Z * (self.difference.high - self.difference.low) / (2 * 1.96)

    def numbers(self) -> str:
        """Both numbers and their difference, without a full stop."""
        return (
            f"{self.feature.upper()}: {self.manual:.2f} by manual and {self.other:.2f} by these masks, a difference of "
            f"{self.difference.estimate:+.2f} ({self.difference.low:+.2f} to {self.difference.high:+.2f})"
        )

    def __str__(self) -> str:
        text = f"{self.numbers()}; {self.verdict.text}"
        if self.verdict.reason is Reason.INTERVAL_TOO_WIDE:
            text += f". A true difference below {self.detectable:.2f} would often be missed"
        return f"{text}."


@dataclass(frozen=True)
class Replacement(Compared):
    """Whether a link with the target's classification keeps its strength, eta squared, with another source of masks.

    Attributes
    ----------
    linked : bool
        Whether manual masks show a link on the same patients, after Holm's correction for the features.
    """

    linked: bool


@dataclass(frozen=True)
class Carried:
    """Whether the shapes of other masks tell the target cluster from the rest as well as manual ones, by their AUC.

    Attributes
    ----------
    source : str
    patients, positive : int
    features : tuple of Compared
    """

    source: str
    patients: int
    positive: int
    features: tuple[Compared, ...]

    def _beyond_margin(self, direction: int) -> list[str]:
        verdicts = ((feature.feature.upper(), feature.verdict) for feature in self.features)
        return [name for name, verdict in verdicts if not verdict.within_margin and verdict.direction == direction]

    @property
    def because(self) -> str:
        """Why the data cannot tell, as what follows "because"; empty where they can."""
        return "" if self._beyond_margin(-1) else _because(self.features)

    @property
    def answer(self) -> str:
        """A clause without its full stop."""
        if lost := self._beyond_margin(-1):
            return f"these masks tell code {TARGET[1]} worse than drawn ones by {_listed(lost)}"
        if self.because:
            return (
                f"whether these masks tell code {TARGET[1]} as well as drawn ones, the data cannot tell, because "
                f"{self.because}"
            )
        gained = self._beyond_margin(1)
        better = f", and better by {_listed(gained)}" if gained else ""
        return f"these masks tell code {TARGET[1]} as well as drawn ones, within {AUC_MARGIN:g} of AUC{better}"

    def __str__(self) -> str:
        lines = [
            f"- **{self.source}**: **{self.answer}** ({self.positive} patients of code {TARGET[1]} among "
            f"{self.patients})."
        ]
        if self.patients < FEWEST_PATIENTS:
            return lines[0]
        alike = len({feature.verdict.text for feature in self.features}) == 1  # then it stands above
        lines += [f"  - {f'{feature.numbers()}.' if alike else feature}" for feature in self.features]
        if any(feature.verdict.answer is Answer.CANNOT_TELL for feature in self.features):
            least = min(feature.detectable for feature in self.features)
            lines.append(f"  - With so many patients a true difference below {least:.2f} would often be missed.")
        return "\n".join(lines)


@dataclass(frozen=True)
class Replaced:
    """The answer for one source of masks, over the features that are linked by manual masks."""

    source: str
    patients: int
    features: tuple[Replacement, ...]

    @property
    def linked(self) -> list[Replacement]:
        """The features whose links there are to keep."""
        return [feature for feature in self.features if feature.linked]

    @property
    def _lost(self) -> list[str]:
        lost = (link for link in self.linked if link.verdict.direction < 0 and not link.verdict.within_margin)
        return [link.feature.upper() for link in lost]

    @property
    def because(self) -> str:
        """Why the data cannot tell, as what follows "because"; empty where they can."""
        if self.patients < FEWEST_PATIENTS:
            return f"of {_too_few(self.patients).removeprefix('the data cannot tell: ')}"
        return "" if self._lost else _because(self.linked)

    @property
    def answer(self) -> str:
        """A sentence without its full stop."""
        if self.patients < FEWEST_PATIENTS:
            return _too_few(self.patients)
        if not self.linked:
            return "manual masks show no link on these patients, so there is no finding to replace"
        if self._lost:
            named = _listed(self._lost)
            return f"these masks weaken the link of {named}, so they do not replace the manual ones for this finding"
        if all(link.verdict.within_margin for link in self.linked):
            return f"these masks can replace the manual ones for this finding, within {EFFECT_MARGIN:g} of eta squared"
        return "whether these masks can replace the manual ones for this finding stays open"

    def __str__(self) -> str:
        lines = [f"- **{self.source}**: **{self.answer}**."]
        if self.patients >= FEWEST_PATIENTS:
            lines += [f"  - {link}" for link in self.linked]
        return "\n".join(lines)


@dataclass(frozen=True)
class Leak:
    """Whether networks that know the patient draw masks that serve better.

    Attributes
    ----------
    patients : int
    trainings : tuple of int
        On how many trainings together the masks of `HONEST` rest, and those of `LEAKY`.
    verdicts : mapping of (measure, feature) to Verdict
    """

    patients: int
    trainings: tuple[int, int]
    verdicts: dict[tuple[str, str], Verdict]

    def __str__(self) -> str:
        if not self.verdicts:
            return f"Without masks of both *{HONEST}* and *{LEAKY}*, this question stays open in this edition."
        honest, leaky = self.trainings
        mixed = (
            f" Masks *{HONEST}* are those of {honest} trainings together, masks *{LEAKY}* of {leaky}. So the "
            "differences hold what averaging does as well, and are not the worth of the leak."
            if honest != leaky
            else ""
        )
        telling = {key: verdict for key, verdict in self.verdicts.items() if verdict.answer is not Answer.CANNOT_TELL}
        if not telling:
            reasons = dict.fromkeys(verdict.text.removeprefix("cannot tell: ") for verdict in self.verdicts.values())
            return (
                "Whether networks that know the patient draw masks that serve better, **the data cannot tell**: "
                f"{'; '.join(reasons)}.{mixed}"
            )
        named = "; ".join(
            f"{feature.upper()} ({measure}): {verdict.text}, {_way(verdict)}"
            for (measure, feature), verdict in telling.items()
        )
        return f"By {len(telling)} of {len(self.verdicts)} measures there is an answer: {named}.{mixed}"


@dataclass(frozen=True)
class Told:
    """How well shape tells the target cluster from the rest, by one source of masks.

    Attributes
    ----------
    source : str
    patients, positive : int
    best : str
        The single feature with the largest AUC, picked after looking.
    alone, joint : Interval
        Its AUC, and that of all features together, cross-validated.
    """

    source: str
    patients: int
    positive: int
    best: str
    alone: Interval
    joint: Interval

    def __str__(self) -> str:
        few = " So few can tell little." if self.positive < FEWEST_PATIENTS else ""
        return (
            f"**{self.source}**: {self.best.upper()}, the best single feature, has an AUC of "
            f"**{self.alone.estimate:.2f}** ({self.alone.low:.2f} to {self.alone.high:.2f}), and all three together "
            f"have {self.joint.estimate:.2f} ({self.joint.low:.2f} to {self.joint.high:.2f}), with {self.positive} "
            f"patients of code {TARGET[1]} among {self.patients}.{few}"
        )


@dataclass(frozen=True)
class Explained:
    """What else tells the target cluster from the rest, and what shape tells beyond it.

    Attributes
    ----------
    patients : int
        With all that is adjusted for.
    differing : tuple of str
        What differs between the cluster and the rest, after Holm's correction.
    alone, beyond : mapping of feature to p value
        Of the feature by itself, and after adjusting for all; each corrected by Holm for the features.
    """

    patients: int
    differing: tuple[str, ...]
    alone: dict[str, float]
    beyond: dict[str, float]

    def __str__(self) -> str:
        if self.patients < FEWEST_PATIENTS:
            return f"What else could explain a link, {_too_few(self.patients)}."
        if not np.isfinite([*self.beyond.values()]).any():
            return (
                f"What else could explain a link, the data cannot tell: {self.patients} patients are too few to adjust "
                "for all four at once."
            )
        text = (
            f"What differs between the cluster and the rest, after Holm's correction: {_listed(self.differing)}. "
            f"Features that tell the cluster by themselves: {_with_p(self.alone, below=True)}. "
            "Features that tell it beyond all four, p corrected for three features: "
            f"{_with_p(self.beyond, below=True)}."
        )
        unclear = _with_p(self.beyond, below=False)
        return text if unclear == "none" else f"{text} Of {unclear} the data cannot tell whether they add anything."


@dataclass(frozen=True)
class Findings:
    """All that :func:`findings` finds; what has no rows is an empty tuple."""

    links: Links
    repeated: Repeated
    control: Control
    agreed: tuple[Agreed, ...]
    smoothed: tuple[Smoothed, ...]
    replaced: tuple[Replaced, ...]
    carried: tuple[Carried, ...]
    leak: Leak
    told: tuple[Told, ...]
    explained: Explained

    def answer(self) -> str:
        """Whether masks by a network can replace drawn ones, in two sentences: what chapter 14 finds."""
        by_source = {replaced.source: replaced for replaced in self.replaced}
        of_grid = by_source.pop(GRID, None)
        by_source.pop(LEAKY, None)  # its networks know the patients
        of_network = next(iter(by_source.values()), None)
        of_cluster = next((found for found in self.carried if of_network and found.source == of_network.source), None)
        return " ".join(
            [
                _answer("Masks by networks that never met the patient", of_cluster, of_network),
                _answer("Drawn masks made as coarse as a network's", None, of_grid),
            ]
        )


def _answer(masks: str, of_cluster: Carried | None, of_all: Replaced | None) -> str:
    """What was found of one source of masks: of the one cluster, where that was asked, and of all at once."""
    if of_all is None:
        return f"{masks}: the data cannot tell, because too few patients have such a mask and a code."
    if of_all.because and (of_cluster is None or of_cluster.because):
        return f"{masks}: the data cannot tell, because {(of_cluster or of_all).because}."
    answer = of_all.answer
    if of_cluster is not None:
        answer = f"{of_cluster.answer}; by the link with all clusters at once, {answer}"
    answer = answer.replace("these masks", "they")
    return f"{masks} {answer.removeprefix('they ')}." if answer.startswith("they ") else f"{masks}: {answer}."


def findings(tables: dict[str, pd.DataFrame]) -> Findings:
    """What the tables show.

    Parameters
    ----------
    tables : dict of DataFrame
        Those of :func:`brainseg.experiments.shape_genomics.analysis.analyse`, with ``features``.
    """
    by_hand, trainings = tables["associations"].query("source == @MANUAL"), _trainings(tables["features"])
    return Findings(
        links=_links(by_hand),
        repeated=_repeated(by_hand),
        control=_control(by_hand),
        agreed=tuple(_agreed(tables["agreement"])),
        smoothed=tuple(_smoothed(tables["features"], trainings)),
        replaced=tuple(_replaced(tables["effects"], trainings)),
        carried=tuple(_carried(tables["carried"], trainings)),
        leak=_leak(tables["leak"], trainings),
        told=tuple(_told(tables["discrimination"])),
        explained=_explained(tables["others"], tables["adjusted"]),
    )


def _agreed(agreement: pd.DataFrame) -> Iterable[Agreed]:
    for source, rows in agreement.dropna(subset="icc").groupby("source", sort=False):
        worst = rows.loc[rows["icc"].idxmin()]
        icc = Interval(*(float(worst[name]) for name in ("icc", "icc_low", "icc_high")))
        yield Agreed(source, worst["feature"], int(worst["patients"]), icc)


def _trainings(features: pd.DataFrame) -> dict[str, int | None]:
    """How many trainings the masks of each source rest on; None where no network made them."""
    fewest = features.groupby("source")["trainings"].min()
    return {source: int(number) or None for source, number in fewest.items()}


def _smoothed(features: pd.DataFrame, trainings: Mapping[str, int | None]) -> Iterable[Smoothed]:
    """One for each source of masks by networks."""
    wide = features.pivot(index="patient", columns="source", values="mf")
    for source in [name for name in features["source"].unique() if name not in (MANUAL, GRID)]:
        both = wide.dropna(subset=[MANUAL, source])
        if len(both):
            found = paired_difference(both[source], both[MANUAL])
            of_grid = float((both[GRID] - both[MANUAL]).mean()) if GRID in both else np.nan
            yield Smoothed(source, found, shown(found, trainings=trainings[source]), of_grid)


def _replaced(effects: pd.DataFrame, trainings: Mapping[str, int | None]) -> Iterable[Replaced]:
    effects = effects[(effects["code"] == TARGET[0]) & effects["low"].notna()]
    for source, rows in effects.groupby("source", sort=False):
        linked = holm(rows["manual_p"].fillna(1)) < LARGEST_P
        corrected = holm(rows["difference_p"])
        replacements = []
        for row, link, p_corrected in zip(rows.itertuples(), linked, corrected, strict=True):
            evidence = _evidence(row)
            verdict = shown(evidence, margin=EFFECT_MARGIN, p_corrected=float(p_corrected), trainings=trainings[source])
            replacements.append(Replacement(row.feature, row.manual, row.effect, evidence, verdict, bool(link)))
        yield Replaced(source, int(rows["patients"].max()), tuple(replacements))


def _carried(carried: pd.DataFrame, trainings: Mapping[str, int | None]) -> Iterable[Carried]:
    for source, rows in carried.groupby("source", sort=False):
        evidence = {row.feature: _evidence(row) for row in rows.itertuples()}
        judged = shown_together(evidence, margin=AUC_MARGIN, trainings=trainings[source])
        features = tuple(
            Compared(row.feature, row.manual, row.auc, evidence[row.feature], judged[row.feature][1])
            for row in rows.itertuples()
        )
        yield Carried(source, int(rows["patients"].max()), int(rows["positive"].max()), features)


def _leak(leak: pd.DataFrame, trainings: Mapping[str, int | None]) -> Leak:
    """All p values are corrected together; a margin was named for the effect size alone."""
    of_each = tuple(trainings.get(source) or 0 for source in (HONEST, LEAKY))
    evidence = {(row.measure, row.feature): _evidence(row) for row in leak.itertuples()}
    corrected = holm(each.p_value for each in evidence.values())
    verdicts = {
        (measure, feature): shown(
            each, margin=EFFECT_MARGIN if measure == "effect" else None, trainings=min(of_each), p_corrected=float(p)
        )
        for ((measure, feature), each), p in zip(evidence.items(), corrected, strict=True)
    }
    return Leak(int(leak["patients"].max()) if len(leak) else 0, of_each, verdicts)


def _told(discrimination: pd.DataFrame) -> Iterable[Told]:
    for source, rows in discrimination.groupby("source", sort=False):
        aucs = {row.score: Interval(float(row.auc), float(row.low), float(row.high)) for row in rows.itertuples()}
        best = max(FEATURES, key=lambda name: aucs[name].estimate)
        patients, positive = (int(rows[name].iloc[0]) for name in ("patients", "positive"))
        yield Told(source, patients, positive, best, aucs[best], aucs["all three"])


def _explained(others: pd.DataFrame, adjusted: pd.DataFrame) -> Explained:
    differing = tuple(others.loc[holm(others["p_value"].fillna(1)) < LARGEST_P, "what"])

    def corrected(adjusted_for: str) -> dict[str, float]:
        rows = adjusted[adjusted["adjusted_for"] == adjusted_for]
        return dict(zip(rows["feature"], adjust(rows["p_value"])["holm"], strict=True))

    full = adjusted[adjusted["adjusted_for"] == "all four"]
    return Explained(int(full["patients"].max()), differing, corrected("nothing"), corrected("all four"))


def _evidence(row) -> Evidence:
    return Evidence(row.difference, row.low, row.high, row.low_90, row.high_90, row.difference_p, int(row.patients))


# ---------------------------------------------------------------- words


def _pair(row) -> str:
    return f"{row.feature.upper()} × {row.code.removesuffix('Cluster')}"


def _listed(names: Iterable[str]) -> str:
    *first, last = list(names) or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def _counted(names: Sequence[str]) -> str:
    return f"**{len(names)}** ({_listed(names)})" if names else "**none**"


def _with_p(p_values: dict[str, float], below: bool) -> str:
    return _listed(
        f"{name.upper()} ({p_text(p, name='p')})"
        for name, p in p_values.items()
        if np.isfinite(p) and (p < LARGEST_P) == below
    )


def _way(verdict: Verdict) -> str:
    return {1: f"larger *{LEAKY}*", -1: f"larger *{HONEST}*", 0: "neither is larger"}[verdict.direction]


def _because(compared: Iterable[Compared]) -> str:
    """The reasons why the data cannot tell, each once, as what follows "because"; empty where they can of all."""
    verdicts = (one.verdict for one in compared if one.verdict.answer is Answer.CANNOT_TELL)
    reasons = "; ".join(dict.fromkeys(verdict.text.removeprefix("cannot tell: ") for verdict in verdicts))
    return f"{'of ' * reasons.startswith('too few')}{reasons}"


def _too_few(patients: int) -> str:
    return f"the data cannot tell: too few patients ({patients}, and {FEWEST_PATIENTS} are needed)"
