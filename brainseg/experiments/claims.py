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

from brainseg.chapters import epochs_text, study_recipe, trainings_text
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
    Reason,
    Verdict,
    interval_text,
    p_text,
    paired_difference,
    rank_correlation,
    shown_together,
)

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

NEITHER = "neither"
PIPELINE = "CLAHE and slice crop"
"""The arm that is the article's own."""

ARMS = {
    NEITHER: {"contrast": "none", "crop": "none"},
    "slice crop": {"contrast": "none", "crop": "slice"},
    "patient crop": {"contrast": "none", "crop": "patient"},
    "CLAHE": {"contrast": "clahe", "crop": "none"},
    PIPELINE: {"contrast": "clahe", "crop": "slice"},
    "CLAHE and patient crop": {"contrast": "clahe", "crop": "patient"},
}

_ENHANCED = {"no crop": (NEITHER, "CLAHE"), "slice crop": ("slice crop", PIPELINE),
             "patient crop": ("patient crop", "CLAHE and patient crop")}  # fmt: skip
"""Crop -> the arm without CLAHE, and with it."""

CONTRAST = "CLAHE (over the crops)"
"""The effect by which the article's claim about contrast is judged."""

SLICE_CROP, PATIENT_CROP = "slice crop (over both contrasts)", "patient crop (over both contrasts)"
MAIN = (CONTRAST, SLICE_CROP, PATIENT_CROP)
"""The main effects: question Q3 of ``results/protocol.md``. They are one family for Holm. All other effects are
secondary, and a family of their own."""

GREAT = 0.05
"""What counts as great, in Dice, and the margin of equivalence. Named in the protocol: about what chapter 4 finds that
one wrong pixel all round costs."""

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
    """What CLAHE and crops change: a row as the given ones, one column an effect, those of `MAIN` first.

    Parameters
    ----------
    dice : DataFrame
        A column an arm, as :func:`mean_over_seeds` gives it with a row a patient.
    """
    by_clahe = pd.DataFrame({crop: dice[after] - dice[before] for crop, (before, after) in _ENHANCED.items()})
    by_crop = {crop: dice[list(arms)].mean(axis=1) for crop, arms in _ENHANCED.items()}
    return pd.DataFrame(
        {
            CONTRAST: by_clahe.mean(axis=1),
            SLICE_CROP: by_crop["slice crop"] - by_crop["no crop"],
            PATIENT_CROP: by_crop["patient crop"] - by_crop["no crop"],
            **{f"CLAHE ({crop})": by_clahe[crop] for crop in by_clahe},
            "the article's pipeline (against neither)": dice[PIPELINE] - dice[NEITHER],
        }
    )


def arm_means(patients: pd.DataFrame) -> pd.DataFrame:
    """Each arm by itself: how far its trainings lie apart.

    Returns
    -------
    DataFrame
        On the arm: ``trainings`` (seeds), and ``mean, smallest, largest`` of their mean Dice over patients. Only
        patients with a Dice in every arm count, as in :func:`mean_over_seeds`.
    """
    scores = mean_over_seeds(patients)
    counted = patients[patients["patient"].isin(scores.index)]
    means = counted.groupby(["arm", "seed"])["dice"].mean().groupby("arm")
    table = means.agg(trainings="size", mean="mean", smallest="min", largest="max")
    return table.reindex(list(scores)).rename_axis(None)


def cut_off(patients: pd.DataFrame) -> str:
    """What the boxes cut off, in a sentence; the table is ``patients`` of :func:`score`."""
    sums = patients.groupby("arm")[["lost_px", "tumour_px"]].sum()
    shares = sums["lost_px"] / sums["tumour_px"]
    if not shares.any():
        return "Here no box cuts off any tumour."
    return f"Here the boxes cut off {shares.max():.1%} of the tumour at most, in the arm *{shares.idxmax()}*."


def level(dice: pd.DataFrame, study: pd.Series) -> str:
    """How high the arms reach, and the study's own U-Net beside them, in a sentence.

    Parameters
    ----------
    dice : DataFrame
        From :func:`mean_over_seeds`.
    study : Series
        Dice of patients (index) by the U-Net of the reference edition. It counts where it has all patients of `dice`.
    """
    means, same = dice.mean(), study.reindex(dice.index)
    reached = f"The arms reach a mean Dice of {means.min():.2f} to {means.max():.2f}"
    if same.isna().any():
        return f"{reached}."
    return f"{reached}, and the study's own U-Net, with its whole recipe, reaches {same.mean():.2f} on these patients."


def described(record: dict) -> str:
    """How the arms were trained, in a sentence; the record is that of the tables."""
    settings, cohort = record["settings"], record["cohort"]
    trainings, folds = settings["seeds"], len(settings["folds"])
    tested = sum({run["fold"]: run["patients"]["test"] for run in record["runs"]}.values())
    return (
        f"Cohort: {cohort['patients']} patients, {cohort['slices']} slices; {tested} of the patients "
        f"{'are' if tested > 1 else 'is'} tested, in {folds} fold{'s' * (folds > 1)}. Each training: "
        f"{settings['filters']} filters, {settings['image_size']} pixels, "
        f"{epochs_text(settings['epochs'], settings['slices_per_epoch'])}. "
        f"Each arm has {trainings} training{'s' * (trainings > 1)} in a fold: {trainings_text(record)}."
    )


def described_conventions(record: dict) -> str:
    """Which network the table of conventions scores, in a sentence; the record is that of the tables."""
    scored = next(run for run in record["runs"] if run["arm"] == PIPELINE)
    tested = scored["patients"]["test"]
    return (
        f"The U-Net is one training of the arm *{PIPELINE}*, with seed {scored['seed']}. It is scored on the {tested} "
        f"test patient{'s' * (tested > 1)} of fold {scored['fold']}."
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
        By Holm over its family: the main effects, or the secondary ones.
    verdict : Verdict
        By the one rule, with `GREAT` as the margin.
    """

    name: str
    difference: Difference
    p_corrected: float
    verdict: Verdict

    def answer(self) -> str:
        """What it says about "greatly improves": a phrase.

        A change is great where its 95 % interval lies beyond `GREAT`, and not great where its 90 % interval lies
        within.
        """
        if self.verdict.answer is Answer.EQUIVALENT:
            return f"no change of {GREAT:g} or more"
        if self.verdict.answer is Answer.CANNOT_TELL:
            return self.verdict.text
        article, change = ("an", "improvement") if self.verdict.direction > 0 else ("a", "loss")
        if min(abs(self.difference.low), abs(self.difference.high)) >= GREAT:
            return f"a great {change}"
        if self.verdict.within_margin:
            return f"{article} {change}, but no great one"
        return f"{article} {change}; whether it is a great one, the data cannot tell"

    def numbers(self) -> str:
        """The difference with its interval, without a name and a full stop."""
        found = self.difference
        if found.patients < 2:
            return f"{found.estimate:+.3f} on one patient, who gives no interval"
        return (
            f"{interval_text(found)}, {p_text(self.p_corrected, name='corrected p')}, better on "
            f"{found.better_on} of {found.patients} patients"
        )

    def sentence(self) -> str:
        """The numbers and the answer, without a full stop, in Markdown."""
        return f"{self.numbers()}: **{self.answer()}**"


@dataclass(frozen=True)
class DarkFinding:
    """Whether dark patients gain most from CLAHE, over the crops; a secondary look, without a test.

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
            else f"dark patients {'gain more' if self.darker > 0 else 'lose less'}, as the article argues"
            if high < 0
            else f"bright patients {'gain more' if self.brighter > 0 else 'lose less'}, against the article's argument"
            if low > 0
            else "the interval includes 0, so this page cannot tell whether dark patients gain more"
        )
        return (
            f"The darker half of the test patients changes by {self.darker:+z.3f} on average, the brighter half by "
            f"{self.brighter:+z.3f}. The rank correlation of brightness and gain is "
            f"{interval_text(self.correlation, 2)}: {said}. The protocol does not name this question, so take the "
            "answer as a hint."
        )


@dataclass(frozen=True)
class ClaimFindings:
    """What the six arms say of the article's claim about contrast.

    Attributes
    ----------
    main : tuple of EffectFinding
        Of `MAIN`, in that order.
    secondary : tuple of EffectFinding
    gains : tuple of float
        `CONTRAST` by the networks of each fold and seed alone.
    dark : DarkFinding
    """

    main: tuple[EffectFinding, ...]
    secondary: tuple[EffectFinding, ...]
    gains: tuple[float, ...]
    dark: DarkFinding

    @property
    def contrast(self) -> EffectFinding:
        """What CLAHE changes, over the crops."""
        return self.main[0]

    def claim(self) -> str:
        """Whether contrast greatly improves the models: "yes", "no" or "cannot tell".

        No where the 90 % interval ends below `GREAT`, as in the rule for equivalence, also where a difference from 0
        can be neither shown nor ruled out.
        """
        verdict, found = self.contrast.verdict, self.contrast.difference
        if verdict.answer is Answer.DIFFERENCE and found.low >= GREAT:
            return "yes"
        too_few = verdict.reason in (Reason.TOO_FEW_PATIENTS, Reason.TOO_FEW_TRAININGS)
        return "no" if found.high_90 < GREAT and not too_few else "cannot tell"

    def verdict(self) -> str:
        """The claim and what becomes of it, in a sentence of Markdown."""
        verdict = self.contrast.verdict
        if self.claim() == "yes":
            return "So contrast improves the models greatly here, and the article's claim **holds**."
        if self.claim() == "cannot tell":
            return "So whether contrast improves the models greatly, these data **cannot tell**."
        said = (
            f"a change by contrast of {GREAT:g} or more, for better or worse, is ruled out"
            if verdict.answer is Answer.EQUIVALENT
            else "whether contrast helps at all, these data cannot tell, but a great improvement is ruled out"
            if verdict.answer is Answer.CANNOT_TELL
            else "contrast helps here, but not greatly"
            if verdict.direction > 0
            else "contrast does not raise Dice here but lowers it"
        )
        return f"So {said}, and the article's claim **does not hold**."

    def too_few(self) -> str:
        """What there is too little of for any answer, in a sentence without its full stop; else empty.

        All effects are of the same patients and trainings, so this is said once for all.
        """
        reason, patients = self.contrast.verdict.reason, self.contrast.difference.patients
        if reason is Reason.TOO_FEW_TRAININGS:
            number = self.dark.trainings
            counted, needed = f"Each arm has {number} training{'s' * (number > 1)}", FEWEST_TRAININGS
        elif reason is Reason.TOO_FEW_PATIENTS:
            counted, needed = f"Each arm has {patients} test patient{'s' * (patients > 1)}", FEWEST_PATIENTS
        else:
            return ""
        return f"{counted} and {needed} are needed, so the data **cannot tell**"

    def conclusion(self) -> str:
        """What the main effects are, and what becomes of the claim, in two sentences of Markdown."""
        clahe, slice_crop, patient_crop = (interval_text(finding.difference) for finding in self.main)
        if few := self.too_few():
            return (
                f"{few}: CLAHE {clahe}, the slice crop {slice_crop}, the patient crop {patient_crop}. {self.verdict()}"
            )
        answers = [finding.answer() for finding in self.main]
        return (
            f"CLAHE changes Dice by {clahe}: **{answers[0]}**; the slice crop by {slice_crop}: **{answers[1]}**; the "
            f"patient crop by {patient_crop}: **{answers[2]}**. {self.verdict()}"
        )

    def sentences(self) -> str:
        """All of it, in Markdown."""
        few = self.too_few()

        def listed(findings: Iterable[EffectFinding]) -> list[str]:
            return [f"- {finding.name}: {finding.numbers() if few else finding.sentence()}." for finding in findings]

        lines = [
            *([f"{few}.", ""] if few else []),
            "**Main effects** on Dice:",
            "",
            *listed(self.main),
            "",
            "**Secondary effects:**",
            "",
            *listed(self.secondary),
            "",
            self.verdict(),
        ]
        return "\n".join(lines)

    def luck(self) -> str:
        """How far the trainings lie apart, in a sentence."""
        if len(self.gains) < 2:
            return (
                "Each arm has one network. How much of a difference is the luck of a training, nothing here can tell, "
                "because an interval over patients does not know it."
            )
        return (
            f"By the networks of one fold and seed alone ({len(self.gains)} sets of {len(ARMS)}), the main effect of "
            f"CLAHE lies between {min(self.gains):+z.3f} and {max(self.gains):+z.3f}. Other patients and the luck of "
            "a training make these differ, and the intervals over patients know the first alone."
        )

    def table(self) -> pd.DataFrame:
        """A row an effect, those of `MAIN` first: ``mean, low, high, p, p_corrected, patients, better_on``."""
        rows = {}
        for finding in (*self.main, *self.secondary):
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

    Raises
    ------
    ValueError
        Where the table is of other arms, or does not say in which fold a patient was tested.
    """
    if "fold" not in patients or set(patients["arm"]) != set(ARMS):
        raise ValueError(
            f"results/claims is of an earlier design, with the arms {', '.join(patients['arm'].unique())}. Compute it "
            "anew with `python -m brainseg experiment claims --data DATA`, or restore it from the repository."
        )
    dice = mean_over_seeds(patients)
    trainings = int(patients.groupby(["arm", "fold"])["seed"].nunique().min())
    changes = effects(dice)

    def family(names: Iterable[str]) -> tuple[EffectFinding, ...]:
        found = {name: paired_difference(changes[name], np.zeros(len(changes)), seed=seed) for name in names}
        judged = shown_together(found, margin=GREAT, trainings=trainings)
        return tuple(EffectFinding(name, difference, *judged[name]) for name, difference in found.items())

    counted = patients[patients["patient"].isin(dice.index)]
    each = counted.groupby(["fold", "seed", "arm"])["dice"].mean().unstack("arm")
    brightness = patients.groupby("patient")["mean_flair"].first().reindex(dice.index)
    gain = changes[CONTRAST]
    dark = brightness <= brightness.median()
    return ClaimFindings(
        main=family(MAIN),
        secondary=family(name for name in changes if name not in MAIN),
        gains=tuple(effects(each)[CONTRAST].dropna()),
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
            f"It is at least as good as the network by {len(self.beaten)} of the {len(self.nothing)} conventions above "
            f"the line: "
            f"*{'*, *'.join(self.beaten)}*."
            if self.beaten
            else f"The network beats it by each of the {len(self.nothing)} conventions above the line, but by as "
            f"little as {(self.network[self.nothing.index] - self.nothing).min():.3f}."
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
    change = found.contrast.difference.estimate
    lifted = by_convention.lift > NOTICEABLE
    empty = "that depends on the rule" if lifted else "yes"
    return (
        f"A great gain by contrast: **{found.claim()}** (CLAHE changes Dice by {change:+z.3f}); a score that owes "
        f"nothing to empty slices: **{empty}** ({'where' if lifted else 'even where'} an empty slice counts as 1, they "
        f"change the mean Dice of slices by {by_convention.lift:+z.2f}; chapter 9 scores in the article's way); "
        f"ResUNet as the best: {ranking.answer_to_article()}."
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
