"""Phantoms drawn otherwise, and what networks that have met nothing else are worth on real patients.

The study's phantom was fitted to real patients, and it is one cohort. So U-Net is trained on other cohorts of it, on
one of wider ranges, on one with grey levels of the literature, and on two whose readers draw beside the line. All
are scored on the patients who did not steer the phantom; :mod:`brainseg.experiments.ablation` asks the development
patients. One question stands apart: the ablation's phantom after which these have the highest mean is scored by
patients who had no part in that choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from brainseg.chapters import study_recipe, trainings_text
from brainseg.experiments.ingredients import NARROWER, WIDE, WIDER
from brainseg.experiments.literature import LITERATURE
from brainseg.experiments.plan import MAY_BE_EMPTY, PHANTOM, Phantom, Training, on_the_phantom
from brainseg.experiments.synthetic import (
    FAILURE,
    FLAT,
    MARGIN,
    MODEL,
    SYNTHETIC,
    judges,
    mean_dice,
    require_real,
    scored_on,
)
from brainseg.images.preprocess import Preprocessing
from brainseg.results import read_table
from brainseg.statistics import (
    Answer,
    Difference,
    Reason,
    Verdict,
    interval_text,
    p_text,
    paired_difference,
    shown_together,
)

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

PHANTOMS = "phantoms"
"""The folder of its results."""

OWN = "the study's"
"""The phantom of the study, in the tables."""

STEP = "no shading"
"""After this phantom the development patients have the highest mean Dice of all that lack an ingredient."""

OTHERS = (WIDE, NARROWER, WIDER, LITERATURE, STEP)
"""Phantoms with other ranges or readers, and the step."""


@dataclass(frozen=True)
class Settings:
    """What is trained.

    Attributes
    ----------
    cohorts : tuple of int
        Seeds of the study's phantom, each a cohort of other patients. That of the reference edition is among them.
    others : tuple of str
        Names of `OTHERS`.
    seeds : tuple of int
        Of the trainings on each of all these.
    """

    cohorts: tuple[int, ...] = (PHANTOM.seed, 8, 9)
    others: tuple[str, ...] = field(default=OTHERS, metadata=MAY_BE_EMPTY)
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if PHANTOM.seed not in self.cohorts:
            raise ValueError(f"cohorts has no {PHANTOM.seed}, the one that all other phantoms stand beside")
        if strangers := set(self.others) - set(OTHERS):
            raise ValueError(f"others has {min(strangers)!r}: choose from {', '.join(OTHERS)}")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """U-Net on every phantom: the study's cohorts first, then other ranges and readers, and the step.

    Raises
    ------
    ValueError
        On a synthetic cohort, which cannot say what a synthetic tumour is worth.
    """
    require_real(cohort)
    drawn = [("", number, seed) for number in settings.cohorts for seed in settings.seeds]
    drawn += [(name, PHANTOM.seed, seed) for name in settings.others for seed in settings.seeds]
    return [training_on(*each) for each in drawn]


def training_on(change: str, drawn: int, seed: int) -> Training:
    """U-Net on a phantom, by the recipe of the study.

    Parameters
    ----------
    change : str
        A name that :func:`brainseg.experiments.changes.change_named` knows, or empty for the study's own.
    drawn : int
        The seed of the phantom.
    seed : int
        Of the training.
    """
    labels = {"phantom": change or OWN, "cohort": drawn, "seed": seed}
    phantom = Phantom(PHANTOM.patients, drawn, change)
    return on_the_phantom(study_recipe(MODEL, seed=seed), Preprocessing(), labels, phantom)


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every network on the real patients outside the development set.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``phantom`` (`OWN` or a name that :func:`brainseg.experiments.changes.change_named` knows),
        ``cohort, seed``, ``patient, institution, tumour_px, tp, fp, fn, dice`` of the volume.
    """
    return {"patients": scored_on(judges(cohort), cohort, runs)}


# ---------------------------------------------------------------- what the tables say


@dataclass(frozen=True)
class PhantomFinding:
    """What a network is worth that has met one phantom alone, beside one that has met the study's.

    Attributes
    ----------
    name : str
    mean : float
        Dice.
    failures : int
        Patients with a Dice below :data:`brainseg.experiments.synthetic.FAILURE`.
    difference : Difference
        This phantom minus the study's.
    lowest, highest : float
        Mean difference of one training, from the training with the same seed on the study's phantom.
    p_corrected : float
    verdict : Verdict
    """

    name: str
    mean: float
    failures: int
    difference: Difference
    lowest: float
    highest: float
    p_corrected: float
    verdict: Verdict

    def row(self) -> dict:
        """As a row of a table to read; with a p value where the one rule can use it."""
        usable = self.verdict.reason is not Reason.TOO_FEW_TRAININGS
        found = self.difference
        return {
            "phantom": self.name,
            "mean Dice": f"{self.mean:.3f}",
            "not found": self.failures,
            "difference (95 %)": f"{found.estimate:+z.3f} ({found.low:+z.3f} to {found.high:+z.3f})",
            "by training": f"{self.lowest:+z.3f} to {self.highest:+z.3f}",
            "better on": f"{found.better_on} of {found.patients}",
            "p": p_text(self.p_corrected) if usable else "-",
        }


def dice_by_phantom(patients: pd.DataFrame) -> pd.DataFrame:
    """Each patient's Dice of the volume, the mean over the seeds: a row a patient, a column a phantom.

    The columns have the order of the table, and those of other cohorts of the study's phantom a name of their own.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`.

    Raises
    ------
    ValueError
        Where a patient was not scored after each training of each phantom.
    """
    dice = _by_training(patients)
    return dice.T.groupby(level="phantom", sort=False).mean().T


def _by_training(patients: pd.DataFrame) -> pd.DataFrame:
    """The Dice of each patient (a row) after each training (a column: its phantom and its seed)."""
    other = patients["phantom"].eq(OWN) & patients["cohort"].ne(PHANTOM.seed)
    named = patients.assign(phantom=patients["phantom"].mask(other, patients["cohort"].map(_other_cohort)))
    dice = named.set_index(["patient", "phantom", "seed"])["dice"].unstack("patient").T
    columns = pd.MultiIndex.from_product([named["phantom"].unique(), sorted(named["seed"].unique())])
    if len(named) != len(dice) * len(columns):
        raise ValueError("a phantom lacks a training, or a training the score of a patient: make the table as a whole")
    return dice[columns].rename_axis(columns=["phantom", "seed"]).dropna()  # without tumour there is no Dice


def findings(patients: pd.DataFrame, seed: int = 0) -> tuple[PhantomFinding, ...]:
    """Every phantom of a table beside the one that the study uses; p values corrected together.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`; errors as :func:`dice_by_phantom`.
    seed : int
        Of the bootstrap.
    """
    by_training, dice = _by_training(patients), dice_by_phantom(patients)
    differences = {name: paired_difference(dice[name], dice[OWN], seed=seed) for name in dice if name != OWN}
    judged = shown_together(differences, margin=MARGIN, trainings=by_training[OWN].shape[1])
    missed = (dice < FAILURE).sum()
    each = {name: (by_training[name] - by_training[OWN]).mean() for name in differences}
    return tuple(
        PhantomFinding(
            name, float(dice[name].mean()), int(missed[name]), difference, float(each[name].min()),
            float(each[name].max()), *judged[name],
        )
        for name, difference in differences.items()
    )  # fmt: skip


def as_table(patients: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """A row a phantom, to read: the study's, and the others from the greatest loss to the greatest gain.

    Parameters
    ----------
    patients, seed
        As :func:`findings`.
    """
    dice = dice_by_phantom(patients)[OWN]
    own = {"phantom": OWN, "mean Dice": f"{dice.mean():.3f}", "not found": (dice < FAILURE).sum()}
    return pd.DataFrame([own, *(finding.row() for finding in in_order(findings(patients, seed)))]).fillna("-")


def sentence(found: Iterable[PhantomFinding], phrases: Mapping[str, str], between: str) -> str:
    """After which phantoms a network is shown to do worse, better, or as well, in Markdown.

    Parameters
    ----------
    found : iterable of PhantomFinding
    phrases : mapping
        Name of a phantom -> how the sentence calls it; those without one are called by their name.
    between : str
        The word between verdict and phantom, such as "after".
    """
    found, groups = in_order(found), {}
    for finding in found:
        verdict = finding.verdict
        said = verdict.phrase("U-Net does better", "U-Net does worse", "U-Net does as well", MARGIN)
        if verdict.answer is Answer.CANNOT_TELL:
            link = " about"
        else:
            link = f"{',' * (verdict.answer is Answer.DIFFERENCE and verdict.within_margin)} {between}"
        groups.setdefault(f"{said[0].upper()}{said[1:]}{link}", []).append(
            f"*{phrases.get(finding.name, finding.name)}*"
        )
    told = [f"{said} {', '.join(names)}." for said, names in groups.items()]
    return " ".join([*told, *filter(None, map(_unsettled, found))])


def _unsettled(finding: PhantomFinding) -> str:
    """Why a difference whose interval excludes 0 is not shown; empty where there is none."""
    found = finding.difference
    if finding.verdict.reason is not Reason.P_TOO_LARGE or found.low <= 0 <= found.high:
        return ""
    return (
        f"(The interval of *{finding.name}* lies {'below' if found.high < 0 else 'above'} 0, but it is not corrected. "
        f"By itself p is {p_text(found.p_value)}, after correction for all rows {p_text(finding.p_corrected)}. The "
        f"median difference is {found.median:+z.3f}.)"
    )


def threshold_sentence(patients: pd.DataFrame, flat: pd.Series, seed: int = 0) -> str:
    """The primary question of :mod:`brainseg.experiments.synthetic`, asked of each phantom, in Markdown.

    Parameters
    ----------
    patients, seed
        As :func:`findings`.
    flat : Series
        Patient -> Dice of the flat threshold.

    Raises
    ------
    ValueError
        Where the threshold was not scored on one of these patients.
    """
    dice = dice_by_phantom(patients)
    beside = flat.reindex(dice.index)
    above = [paired_difference(dice[name], beside, seed=seed) for name in dice]
    lowest, highest = (f"{end(each.estimate for each in above):+z.3f}" for end in (min, max))
    clear = sum(each.low > 0 for each in above)
    return (
        f"Beside the flat threshold, which was chosen on the study's phantom, U-Net gains {lowest} to {highest} after "
        f"the {len(above)} phantoms. The interval of {'each' if clear == len(above) else clear} lies above 0; these "
        "are not corrected, and the one rule is not asked."
    )


def questions(patients: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of :func:`score` by what it asks, so that p values are corrected within a question.

    Returns
    -------
    others : DataFrame
        The phantoms drawn otherwise, beside the study's.
    step : DataFrame
        `STEP` alone, beside the study's.
    """
    first, step = patients["phantom"].eq(OWN) & patients["cohort"].eq(PHANTOM.seed), patients["phantom"].eq(STEP)
    return patients[~step], patients[first | step]


def step_sentences(steering: pd.DataFrame, judging: pd.DataFrame, seed: int = 0) -> str:
    """Whether the step goes forward for those who chose it, and for those who did not: a list in Markdown.

    Parameters
    ----------
    steering : DataFrame
        From :func:`brainseg.experiments.ablation.score`.
    judging : DataFrame
        The table of `STEP` in :func:`questions`.
    seed : int
        Of the bootstrap.
    """
    if STEP not in set(judging["phantom"]):
        return f"The tables have no network of the phantom with {STEP}. Leave `others` as it is, and score it again."
    told = []
    for who, table in (("development patients, who chose it", steering), ("other patients", judging)):
        # Among others it is corrected with them. Those who did not choose it are asked about it alone.
        step = next(each for each in findings(table, seed) if each.name == STEP)
        found, own = step.difference, dice_by_phantom(table)[OWN].mean()
        told.append(
            f"- **{found.patients} {who}:** mean Dice {step.mean:.3f} instead of {own:.3f}, {interval_text(found)}, in "
            f"the median {found.median:+z.3f}; better on {found.better_on}. {step.verdict.sentence}"
        )
    return "\n".join(told)


def pair_sentence(patients: pd.DataFrame, first: str, second: str, seed: int = 0) -> str:
    """Two phantoms of a table beside each other, in Markdown; not planned, so without a verdict.

    Parameters
    ----------
    patients, seed
        As :func:`findings`.
    first, second : str
        Of the column ``phantom``.
    """
    dice = dice_by_phantom(patients)
    found = paired_difference(dice[first], dice[second], seed=seed)
    return (
        f"The mean Dice after *{first}* minus that after *{second}* is {interval_text(found)}. Nobody had planned this "
        "comparison, so it has no verdict."
    )


def in_order(found: Iterable[PhantomFinding]) -> list[PhantomFinding]:
    """From the greatest loss to the greatest gain."""
    return sorted(found, key=lambda finding: finding.difference.estimate)


def _other_cohort(number: int) -> str:
    """What the study's phantom is called with other patients."""
    return f"another cohort (seed {number})"


def flat_threshold() -> pd.Series:
    """Patient -> Dice of the flat threshold, from the kept table of :mod:`brainseg.experiments.synthetic`."""
    return mean_dice(read_table(SYNTHETIC, "patients"))[FLAT]


def described(patients: pd.DataFrame, record: Mapping) -> str:
    """What was trained and who is scored, in Markdown; a table's part, and the record of `PHANTOMS` or an ablation."""
    times, named = len(record["settings"]["seeds"]), set(patients["phantom"])
    trained = trainings_text({"runs": [run for run in record["runs"] if run["phantom"] in named]})
    return (
        f"U-Net was trained on {PHANTOM.patients} simulated patients of each phantom, by the study's recipe, "
        f"{'once' if times == 1 else f'{times} times'}: {trained}. Each network is scored on the same "
        f"{patients['patient'].nunique()} real patients."
    )
