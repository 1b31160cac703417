"""U-Net trained otherwise than in the reference edition, and scored on the same patients.

Two questions. What is all that this study adds to a plain U-Net worth, patient by patient? And what does it cost to
meet an institution for the first time? Whoever leaves one out learns from fewer patients as well, so the second
question has a control: networks that learn from as few patients, and know the institution. Size, length and steps of
the training on real patients are those of the reference runs in each variant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainseg.chapters import trainings_text
from brainseg.evaluation.scores import VOLUME_COLUMNS, score_patients
from brainseg.experiments.plan import MAY_BE_EMPTY, Training, after_the_phantom
from brainseg.experiments.ranking import MARGIN
from brainseg.experiments.reference import participants
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.record import NEW, RunRecord, reference_digests, reference_runs
from brainseg.results import REFERENCE, read_record, read_table
from brainseg.splits import split_by_institution, split_size_matched
from brainseg.statistics import Difference, Verdict, interval_text, paired_difference, shown_together

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

MODEL = "unet"
VARIANTS = "variants"
"""The folder of its results."""
PLAIN = "plain"
"""The floor: drawn weights, the whole frame, grey levels as they are, slices as they come, no augmentation; a slice is
predicted once, and every piece counts."""


def without(institution: str) -> str:
    """What a network is called that has not met an institution."""
    return f"without {institution}"


def with_half(institution: str) -> str:
    """What its control is called, which has met as many patients, half of the institution's among them."""
    return f"with half of {institution}"


@dataclass(frozen=True)
class Settings:
    """What is trained. The kept table is replaced by what is named, so all that it shall hold has to be.

    Attributes
    ----------
    plain_folds : tuple of int
        Folds of the reference edition in which the plain U-Net is trained.
    institutions : tuple of str
        Those that are left out, one training each.
    size_matched : tuple of str
        Those of them that get the control of :func:`brainseg.splits.split_size_matched`, two trainings each.
    """

    plain_folds: tuple[int, ...] = field(default=(), metadata=MAY_BE_EMPTY)
    institutions: tuple[str, ...] = field(default=(), metadata=MAY_BE_EMPTY)
    size_matched: tuple[str, ...] = field(default=(), metadata=MAY_BE_EMPTY)

    def __post_init__(self) -> None:
        if extra := set(self.size_matched) - set(self.institutions):
            raise ValueError(f"{min(extra)} is in size_matched, and no network leaves it out: add it to institutions")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """One training for each plain fold and each institution that is left out, two for each control of its size.

    Raises
    ------
    ValueError
        For a fold of which there is no U-Net, an institution that the cohort does not have or that is too large or too
        small for a control, or no variant at all.
    """
    if not (settings.plain_folds or settings.institutions):
        raise ValueError("nothing to do: name plain_folds or institutions")
    taking_part = participants(cohort)
    there = sorted(taking_part["institution"].unique())
    if strangers := set(settings.institutions) - set(there):
        raise ValueError(
            f"no institution {', '.join(map(repr, sorted(strangers)))} in the cohort: choose from {', '.join(there)}"
        )
    trainings = []
    for fold in settings.plain_folds:
        record = _reference(fold)
        trainings.append(
            Training(
                recipe=replace(record.recipe, augmentation=False, tumour_share=0.0, drop_sequence=0.0, start=""),
                preprocessing=Preprocessing(
                    image_size=record.preprocessing.image_size, contrast="none", crop="none", normalise="none"
                ),
                split=record.split(cohort),
                labels={"variant": PLAIN, "part": fold},
            )
        )
    for institution in settings.institutions:
        record = _reference()
        seed = record.recipe.seed
        sides = [(without(institution), 0, split_by_institution(taking_part, institution, seed=seed))]
        if institution in settings.size_matched:
            for half in (0, 1):
                sides.append((with_half(institution), half, split_size_matched(taking_part, institution, half, seed)))
        for variant, part, split in sides:
            split = split.reindex(cohort.index, fill_value=NEW)
            if not record.patients["validation"]:
                split = split.replace("validation", "train")
            training = Training(record.recipe, record.preprocessing, split, {"variant": variant, "part": part})
            trainings.append(after_the_phantom(training, cohort) if record.recipe.start else training)
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score every variant on its test patients.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``variant`` (`PLAIN`, :func:`without` or :func:`with_half`), ``part`` (the fold or the half that
        is tested; else 0), ``patient, institution, tumour_px, tp, fp, fn, dice`` per volume in the original frame.
    """
    from brainseg.evaluation.predict import evaluate, evaluate_bare

    scored = []
    for training, run in runs:
        slices = evaluate_bare(run) if training.labels["variant"] == PLAIN else evaluate(run)
        patients = score_patients(slices).reset_index().assign(**training.labels)
        scored.append(patients[[*training.labels, *VOLUME_COLUMNS]])
    return {"patients": pd.concat(scored, ignore_index=True)}


def _reference(fold: int | None = None) -> RunRecord:
    """The reference U-Net of a fold, or any where none is named."""
    for record in reference_runs(MODEL, "patient", fold, with_weights=True):
        return record
    raise ValueError(
        f"there is no reference U-Net{'' if fold is None else f' of fold {fold}'}: python -m brainseg experiment "
        "reference makes them"
    )


# ---------------------------------------------------------------- what the variants show


@dataclass(frozen=True)
class VariantFinding:
    """One variant beside other networks on the same patients: variant minus those.

    Attributes
    ----------
    variant : str
    beside : str, optional
        Another variant; the reference U-Nets without it.
    trained_on : float
        Patients of the variant's training, the mean over its trainings.
    dice : float
        Its mean Dice.
    difference : Difference
    verdict : Verdict
    """

    variant: str
    beside: str | None
    trained_on: float
    dice: float
    difference: Difference
    verdict: Verdict

    def sentence(self) -> str:
        """As an item of a list, in Markdown."""
        found = self.difference
        pulled = ""
        if not found.low <= found.median <= found.high:
            pulled = f" The median, {found.median:+z.3f}, lies outside the interval: a few patients pull the mean."
        beside = f" against **{self.beside}**" if self.beside else ""
        return (
            f"- **{self.variant[0].upper()}{self.variant[1:]}**{beside}, trained on {self.trained_on:.0f} patients: "
            f"{interval_text(found)} on {found.patients} patients. {self.verdict.sentence}{pulled}"
        )


def findings(
    patients: pd.DataFrame, reference: pd.DataFrame, runs: Sequence[Mapping], seed: int = 0
) -> list[VariantFinding]:
    """Each variant beside the reference U-Nets, and each network without an institution beside its control too.

    A variant is trained once for a patient, so the rule can only say that it cannot tell.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`.
    reference : DataFrame
        The reference U-Nets' test patients, ``patient, dice``.
    runs : sequence of mapping
        ``variant, patients`` of each training, from the record.
    seed : int
        Of the bootstrap.
    """
    dice = {name: part.set_index("patient")["dice"] for name, part in patients.groupby("variant", sort=False)}
    others = {None: reference.set_index("patient")["dice"], **dice}
    institutions = sorted(patients["institution"].unique())
    pairs = [(name, None) for name in dice]
    pairs += [(without(name), with_half(name)) for name in institutions if with_half(name) in dice]
    both = {
        (name, beside): pd.concat([dice[name], others[beside]], axis=1, join="inner").dropna() for name, beside in pairs
    }
    found = {pair: paired_difference(table.iloc[:, 0], table.iloc[:, 1], seed=seed) for pair, table in both.items()}
    judged = shown_together(found, margin=MARGIN, trainings=1)
    trained = {name: np.mean([run["patients"]["train"] for run in runs if run["variant"] == name]) for name in dice}
    return [
        VariantFinding(*pair, float(trained[pair[0]]), float(both[pair].iloc[:, 0].mean()), difference, judged[pair][1])
        for pair, difference in found.items()
    ]


def sentences(seed: int = 0) -> str:
    """What the kept table says, beside the reference U-Nets of one seed, in Markdown.

    A variant is one training, so it stands beside one training, and not beside the mean of several.
    """
    record = read_record(VARIANTS)
    if not record["networks"].items() <= reference_digests().items():
        return (
            "**These trainings are still to come.** The kept table stands beside networks that have been replaced "
            "since. `book/reproduce.md` has the command that makes it again."
        )
    by_seed = read_table(REFERENCE, "seeds").query("protocol == 'honest' and model == @MODEL")
    unet = by_seed[by_seed["seed"] == by_seed["seed"].min()]
    compared = findings(read_table(VARIANTS, "patients"), unet, record["runs"], seed)
    return "\n".join([*(finding.sentence() for finding in compared), "", f"{trainings_text(record)}."])
