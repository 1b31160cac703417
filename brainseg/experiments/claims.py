"""The article's claim about contrast put to the test: CLAHE or none, by three crops, on the same patients.

The six arms differ in preprocessing alone: same network, same budget, same slices in the same order. Each contrast
meets each crop, so that what CLAHE does is measured three times, and what a crop does twice. The article
has no volume normalisation, no augmentation, predicts a slice once and drops no pieces of a
prediction, and so it is in every arm. Normalisation and changes of brightness in training are other remedies for a
dark slice. With them, the question would no longer be what enhancing the contrast does in the article's pipeline.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from brainseg.chapters import epochs_text, study_recipe
from brainseg.cohort import read_patient
from brainseg.evaluation.scores import score_patients
from brainseg.experiments.plan import Training
from brainseg.experiments.ranking import Ranking
from brainseg.experiments.reference import sides
from brainseg.images.crop import crop_and_resize
from brainseg.images.prepared import HALF
from brainseg.images.preprocess import Preprocessing, boxes_and_images
from brainseg.statistics import (
    FEWEST_PATIENTS,
    FEWEST_TRAININGS,
    Answer,
    Difference,
    Interval,
    Verdict,
    interval_text,
    p_text,
    paired_difference,
    rank_correlation,
    shown,
    shown_together,
)

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

NEITHER = "neither"
PIPELINE = "CLAHE and slice crop"
"""The arm that is the article's own."""

ARMS = {
    NEITHER: {"contrast": "none", "crop": "none"},
    "CLAHE": {"contrast": "clahe", "crop": "none"},
    "slice crop": {"contrast": "none", "crop": "slice"},
    PIPELINE: {"contrast": "clahe", "crop": "slice"},
    "patient crop": {"contrast": "none", "crop": "patient"},
    "CLAHE and patient crop": {"contrast": "clahe", "crop": "patient"},
}

_ENHANCED = {"no crop": (NEITHER, "CLAHE"), "slice crop": ("slice crop", PIPELINE),
             "patient crop": ("patient crop", "CLAHE and patient crop")}  # fmt: skip
"""Crop -> the arm without CLAHE, and with it."""

PRIMARY = "CLAHE, over the crops"
"""The effect that was named before anything was trained; all others count as secondary and are corrected by Holm."""

GREAT = 0.05
"""What counts as a great improvement, in Dice. Named beforehand: about what chapter 4 finds that one wrong pixel all
round costs."""

NOTICEABLE = 0.005
"""Of Dice: a lift below it is rounded away in two digits."""


# ---------------------------------------------------------------- the arms


def arm_preprocessing(arm: str, image_size: int) -> Preprocessing:
    """What is done to the slices in one arm; no volume is normalised, as in the article."""
    return Preprocessing(image_size=image_size, **ARMS[arm], normalise="none")


def arms_of_darkest(
    cohort: pd.DataFrame, fold: int, seed: int, size: int = 256
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What the network sees in each arm of the largest tumour slice of the darkest training patient.

    Returns
    -------
    images : dict of uint8 arrays (size, size, 3), by arm
    masks : dict of bool arrays (size, size), by arm
    """
    training = cohort[(sides(cohort, fold, seed) == "train") & (cohort["tumour_px"] > 0)]
    darkest = training.groupby("patient")["mean_flair"].mean().idxmin()
    position = int(cohort.loc[cohort["patient"] == darkest, "tumour_px"].to_numpy().argmax())
    images, masks = read_patient(cohort, darkest)
    seen, outlined = {}, {}
    for arm in ARMS:
        boxes, enhanced = boxes_and_images(images, arm_preprocessing(arm, size))
        seen[arm] = crop_and_resize(enhanced[position], boxes[position], size)
        outlined[arm] = crop_and_resize(masks[position], boxes[position], size) >= HALF
    return seen, outlined


@dataclass(frozen=True)
class Settings:
    """The budget, the same for every arm.

    Attributes
    ----------
    image_size, filters, epochs, slices_per_epoch, learning_rate
        As in :class:`brainseg.networks.recipe.Recipe`.
    seeds : int
        Trainings of each arm and fold: seeds 0, 1, ... A patient's score in an arm is the mean over them.
    folds : tuple of int
        Whose patients are tested.
    seed : int
        Of the split, where no reference run has divided the patients.
    """

    image_size: int = 128
    filters: int = 16
    epochs: int = 24
    slices_per_epoch: int = 1024
    learning_rate: float = 1e-3
    seeds: int = 3
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds must be a whole number of at least 1, not {self.seeds}")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """U-Net in each arm, with each seed in each fold; tumour slices are half of what it sees, as in the whole study."""
    trainings = []
    for seed, fold, arm in itertools.product(range(settings.seeds), settings.folds, ARMS):
        recipe = study_recipe(
            filters=settings.filters, epochs=settings.epochs, slices_per_epoch=settings.slices_per_epoch,
            learning_rate=settings.learning_rate, augmentation=False, drop_sequence=0.0, seed=seed,
        )  # fmt: skip
        preprocessing = arm_preprocessing(arm, settings.image_size)
        labels = {"arm": arm, "fold": fold, "seed": seed}
        trainings.append(Training(recipe, preprocessing, sides(cohort, fold, settings.seed), labels))
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score the test patients of every training.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``arm, fold, seed`` and what :func:`score_test_patients` gives. ``"conventions"``: what
        :func:`brainseg.evaluation.conventions.score_conventions` gives for the first training of `PIPELINE`.
    """
    from brainseg.evaluation.conventions import score_conventions

    patients, conventions = [], pd.DataFrame()
    for training, run in runs:
        scored = score_test_patients(run)
        for place, (name, value) in enumerate(training.labels.items()):
            scored.insert(place, name, value)
        patients.append(scored)
        if conventions.empty and training.labels["arm"] == PIPELINE:
            conventions = score_conventions(run, settings.seed)
    return {"patients": pd.concat(patients, ignore_index=True), "conventions": conventions}


def score_test_patients(run: Run) -> pd.DataFrame:
    """One row per test patient, scored as one volume in the original frame; no piece of a prediction is dropped.

    Returns
    -------
    DataFrame
        ``patient, institution, mean_flair`` (grey level of the patient's slices, 0..255), ``tumour_px``,
        ``lost_px`` (tumour outside the crop box), ``tp, fp, fn, dice``. The Dice of a patient without tumour
        and without prediction is NaN.
    """
    from brainseg.evaluation.predict import evaluate_bare

    groups = run.prepared.table.iloc[run.rows("test")].groupby("patient", sort=True)
    described = groups.agg(mean_flair=("mean_flair", "mean"), lost_px=("lost_px", "sum"))
    scores = score_patients(evaluate_bare(run)).join(described).reset_index()
    return scores[["patient", "institution", "mean_flair", "tumour_px", "lost_px", "tp", "fp", "fn", "dice"]]


# ---------------------------------------------------------------- comparing


def mean_over_seeds(patients: pd.DataFrame) -> pd.DataFrame:
    """Dice of each patient (row) in each arm (column), averaged over seeds; patients without a Dice are left out."""
    wide = patients.pivot_table(index="patient", columns="arm", values="dice", aggfunc="mean")
    return wide.reindex(columns=[arm for arm in ARMS if arm in wide]).dropna().rename_axis(columns=None)


def effects(dice: pd.DataFrame) -> pd.DataFrame:
    """What CLAHE and crops change, patient by patient: one row a patient, one column an effect, the primary one first.

    Parameters
    ----------
    dice : DataFrame
        From :func:`mean_over_seeds`.
    """
    by_clahe = pd.DataFrame({crop: dice[after] - dice[before] for crop, (before, after) in _ENHANCED.items()})
    by_crop = {crop: dice[list(arms)].mean(axis=1) for crop, arms in _ENHANCED.items()}
    return pd.DataFrame(
        {
            PRIMARY: by_clahe.mean(axis=1),
            **{f"CLAHE, {crop}": by_clahe[crop] for crop in by_clahe},
            "slice crop, over both contrasts": by_crop["slice crop"] - by_crop["no crop"],
            "patient crop, over both contrasts": by_crop["patient crop"] - by_crop["no crop"],
            "the article's pipeline against neither": dice[PIPELINE] - dice[NEITHER],
        }
    )


def arm_means(patients: pd.DataFrame) -> pd.DataFrame:
    """Each arm by itself: how far its trainings lie apart, and what its boxes cut off.

    Returns
    -------
    DataFrame
        On the arm: ``trainings`` (seeds), ``mean, smallest, largest`` of their mean Dice over patients, and ``lost``,
        the share of the tumour outside the boxes. Only patients with a Dice in every arm count, as in
        :func:`mean_over_seeds`.
    """
    scores = mean_over_seeds(patients)
    counted = patients[patients["patient"].isin(scores.index)]
    means = counted.groupby(["arm", "seed"])["dice"].mean().groupby("arm")
    table = means.agg(trainings="size", mean="mean", smallest="min", largest="max")
    lost = counted.groupby("arm")[["lost_px", "tumour_px"]].sum()
    table["lost"] = lost["lost_px"] / lost["tumour_px"]
    return table.reindex(list(scores)).rename_axis(None)


def described(record: dict) -> str:
    """How the arms were trained, in a sentence; the record is that of the tables."""
    settings, cohort = record["settings"], record["cohort"]
    trainings, folds = settings["seeds"], len(settings["folds"])
    tested = {run["fold"]: run["patients"]["test"] for run in record["runs"]}
    return (
        f"Cohort: {cohort['patients']} patients, {cohort['slices']} slices; {sum(tested.values())} patients are "
        f"tested, in {folds} fold{'s' * (folds > 1)}. Each training: {settings['filters']} filters, "
        f"{settings['image_size']} pixels, {epochs_text(settings['epochs'], settings['slices_per_epoch'])}. "
        f"Each arm has {trainings} training{'s' * (trainings > 1)} in a fold; all arms together took "
        f"{record['seconds'] / 60:.1f} minutes on {record['processor']}."
    )


# ---------------------------------------------------------------- what the arms show


@dataclass(frozen=True)
class EffectFinding:
    """What an effect of :func:`effects` comes to.

    Attributes
    ----------
    name : str
    difference : Difference
    p_corrected : float
        By Holm over the secondary effects; of the primary one its own p, because it was named beforehand and is one.
    verdict : Verdict
        By the one rule, with `GREAT` as the margin.
    """

    name: str
    difference: Difference
    p_corrected: float
    verdict: Verdict

    def answer(self) -> str:
        """What it says about "greatly improves": a phrase."""
        if self.verdict.answer is not Answer.DIFFERENCE:
            return self.verdict.text
        if self.verdict.direction < 0:
            return "a loss"
        if self.difference.low >= GREAT:
            return "a great improvement"
        if self.difference.high < GREAT:
            return "an improvement, but no great one"
        return "an improvement; whether it is a great one, the data cannot tell"

    def sentence(self) -> str:
        """The difference with its interval and the answer, without a name and a full stop, in Markdown."""
        found = self.difference
        if found.patients < 2:
            return f"{found.estimate:+.3f} on one patient, who gives no interval"
        return (
            f"{interval_text(found)}, {p_text(self.p_corrected, name='p')}, better on "
            f"{found.better_on} of {found.patients} patients: **{self.answer()}**"
        )


@dataclass(frozen=True)
class DarkFinding:
    """Whether dark patients gain most from CLAHE, over the crops; not among the planned effects.

    Attributes
    ----------
    correlation : Interval
        Spearman's, of brightness and gain.
    darker, brighter : float
        Mean gain of the darker and of the brighter half.
    patients : int
    trainings : int
        Of each arm.
    """

    correlation: Interval
    darker: float
    brighter: float
    patients: int
    trainings: int

    def sentence(self) -> str:
        """What it says of the article's argument."""
        if self.patients < FEWEST_PATIENTS:
            return f"With {self.patients} test patient{'s' * (self.patients > 1)}, no pattern can be told from chance."
        low, high = self.correlation.low, self.correlation.high
        said = (
            f"each arm has too few trainings for a verdict ({self.trainings}, and {FEWEST_TRAININGS} are needed)"
            if self.trainings < FEWEST_TRAININGS
            else "dark patients gain more, as the article argues"
            if high < 0
            else "bright patients gain more, against the article's argument"
            if low > 0
            else "the interval includes 0, so this page cannot tell whether dark patients gain more"
        )
        return (
            f"The darker half of the test patients changes by {self.darker:+.3f} on average, the brighter half by "
            f"{self.brighter:+.3f}. The rank correlation of brightness and gain is "
            f"{interval_text(self.correlation, 2)}: {said}. This was not among the planned comparisons, so take "
            "it as a hint."
        )


@dataclass(frozen=True)
class ClaimFindings:
    """What the six arms say of the article's claim about contrast.

    Attributes
    ----------
    primary : EffectFinding
        CLAHE against none, the mean over the crops.
    others : tuple of EffectFinding
    dark : DarkFinding
    """

    primary: EffectFinding
    others: tuple[EffectFinding, ...]
    dark: DarkFinding

    def claim(self) -> str:
        """Whether contrast greatly improves the models: "yes", "no" or "cannot tell"."""
        verdict, found = self.primary.verdict, self.primary.difference
        if verdict.answer is Answer.DIFFERENCE and found.low >= GREAT:
            return "yes"
        maybe_great = verdict.direction > 0 and found.high >= GREAT
        return "cannot tell" if verdict.answer is Answer.CANNOT_TELL or maybe_great else "no"

    def verdict(self) -> str:
        """The claim and what becomes of it, in a sentence of Markdown."""
        return {
            "yes": "So the article's claim about contrast **holds here**.",
            "no": "So a *great* improvement by contrast **is not what these data show**.",
            "cannot tell": "So whether contrast improves the models greatly, these data **cannot tell**.",
        }[self.claim()]

    def sentences(self) -> str:
        """All of it, in Markdown."""
        lines = [
            f"**The primary effect**, {self.primary.name}, changes Dice by {self.primary.sentence()}.",
            "",
            *(f"- {finding.name}: {finding.sentence()}." for finding in self.others),
            "",
            self.verdict(),
        ]
        return "\n".join(lines)

    def table(self) -> pd.DataFrame:
        """A row an effect, the primary first: ``mean, low, high, p, p_corrected, patients, better_on``."""
        rows = {}
        for finding in (self.primary, *self.others):
            found = finding.difference
            rows[finding.name] = {
                "mean": found.estimate, "low": found.low, "high": found.high, "p": found.p_value,
                "p_corrected": finding.p_corrected, "patients": found.patients, "better_on": found.better_on,
            }  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index")


def findings(patients: pd.DataFrame, seed: int = 0) -> ClaimFindings:
    """What the arms show.

    Parameters
    ----------
    patients : DataFrame
        The table ``patients`` of :func:`score`.
    seed : int
        Of the bootstrap.
    """
    dice = mean_over_seeds(patients)
    trainings = int(patients.groupby(["arm", "fold"])["seed"].nunique().min())
    changes = effects(dice)
    found = {name: paired_difference(changes[name], np.zeros(len(changes)), seed=seed) for name in changes}
    first = found.pop(PRIMARY)
    judged = shown_together(found, margin=GREAT, trainings=trainings)
    brightness = patients.groupby("patient")["mean_flair"].first().reindex(dice.index)
    gain = changes[PRIMARY]
    dark = brightness <= brightness.median()
    return ClaimFindings(
        primary=EffectFinding(PRIMARY, first, first.p_value, shown(first, margin=GREAT, trainings=trainings)),
        others=tuple(EffectFinding(name, difference, *judged[name]) for name, difference in found.items()),
        dark=DarkFinding(
            rank_correlation(brightness, gain, seed=seed),
            float(gain[dark].mean()),
            float(gain[~dark].mean()),
            len(gain),
            trainings,
        ),
    )


# ---------------------------------------------------------------- what the conventions show


@dataclass(frozen=True)
class ConventionFindings:
    """What the ways of scoring make of one set of predictions.

    Attributes
    ----------
    nothing : Series
        Score of finding nothing, by convention; those that this book reports are left out.
    network : Series
        Score of the network, by every convention.
    """

    nothing: pd.Series
    network: pd.Series

    PER_SLICE: ClassVar[str] = "Dice per slice, empty counts as 1"
    PER_TUMOUR_SLICE: ClassVar[str] = "Dice per tumour slice"
    PER_VOLUME: ClassVar[str] = "Dice per volume"

    @property
    def lift(self) -> float:
        """What the empty slices add to the mean Dice of slices."""
        return float(self.network[self.PER_SLICE] - self.network[self.PER_TUMOUR_SLICE])

    @property
    def beaten(self) -> list[str]:
        """The conventions by which finding nothing is at least as good as the network."""
        return [name for name in self.nothing.index if self.nothing[name] >= self.network[name]]

    def empty_slices(self) -> str:
        """Whether the empty slices lift the score, in Markdown."""
        best = self.nothing.idxmax()
        level = (
            f"It is at least as good as the network by {len(self.beaten)} of these {len(self.nothing)} conventions: "
            f"*{'*, *'.join(self.beaten)}*."
            if self.beaten
            else f"The network beats it by all {len(self.nothing)} of these conventions, but by as little as "
            f"{(self.network[self.nothing.index] - self.nothing).min():.3f}."
        )
        lifted = (
            "So the empty slices **do lift** such a score, and the article's conclusion does not hold for it."
            if self.lift > NOTICEABLE
            else "So the empty slices do not lift this score, and the article's conclusion holds for it, with a "
            "network that sees tumour where there is none."
        )
        return (
            f"Finding *nothing* scores {self.nothing[best]:.2f} by *{best}* and {self.nothing[self.PER_SLICE]:.2f} by "
            f"*{self.PER_SLICE}*. {level}\n\nThe network scores {self.network[self.PER_SLICE]:.2f} per slice when "
            f"empty slices join in, and {self.network[self.PER_TUMOUR_SLICE]:.2f} on tumour slices: a difference of "
            f"**{self.lift:+.2f}**. {lifted}"
        )

    def spread(self) -> str:
        """How far one set of masks reaches, in Markdown."""
        scores, reported = self.network, self.network[self.PER_VOLUME]
        above = int((scores > reported).sum())
        return (
            f"One set of masks reads anything from **{scores.min():.2f}** (*{scores.idxmin()}*) to "
            f"**{scores.max():.2f}** (*{scores.idxmax()}*). This book reports {reported:.2f}, *{self.PER_VOLUME}*: "
            f"{above} of the other {len(scores) - 1} conventions would read higher. So two scores can be compared only "
            "if both say how they were made."
        )


def answer(found: ClaimFindings, by_convention: ConventionFindings, ranking: Ranking) -> str:
    """Which of the article's three claims hold, in a sentence: what the chapter finds."""
    change = found.primary.difference.estimate
    empty = "no" if by_convention.lift > NOTICEABLE else "yes"
    best = {True: "yes", False: "no"}.get(ranking.article(), "cannot tell")
    return (
        f"A great gain by contrast: **{found.claim()}** (CLAHE changes Dice by {change:+z.3f}); a score that owes "
        f"nothing to empty slices: **{empty}** (they change the mean Dice of slices by {by_convention.lift:+z.2f}); "
        f"ResUNet as the best: **{best}** ({ranking.best} has the highest mean)."
    )


def by_predictor(scored: pd.DataFrame) -> pd.DataFrame:
    """Scores in the original frame: a row a convention, a column a predictor, in the order of the table."""
    in_frame = scored[~scored["convention"].str.endswith("in the cropped frame")]
    table = in_frame.pivot(index="convention", columns="predictor", values="score")
    return table.reindex(index=in_frame["convention"].unique(), columns=in_frame["predictor"].unique())


def convention_findings(scored: pd.DataFrame) -> ConventionFindings:
    """What the conventions show.

    Parameters
    ----------
    scored : DataFrame
        The table ``conventions`` of :func:`score`.
    """
    by_name = scored.set_index("convention")
    nothing = by_name.loc[(by_name["predictor"] == "nothing") & ~by_name["honest"], "score"]
    return ConventionFindings(nothing=nothing, network=by_name.loc[by_name["predictor"] == "U-Net", "score"])
