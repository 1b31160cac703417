"""Does CLAHE bring a tumour out better than histogram equalisation? Three measures, over patients, by the one rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd
from tqdm import tqdm

from brainseg.cohort import FLAIR, read_patient
from brainseg.images.contrast import CONTRAST_NAMES, CONTRASTS, enhance
from brainseg.images.crop import head_silhouette
from brainseg.images.visibility import background_noise, contrast_to_noise, ring_of_brain, separability
from brainseg.statistics import (
    Answer,
    Difference,
    Verdict,
    bootstrap_interval,
    paired_difference,
    shown,
    shown_together,
)

MEASURES = {
    "cnr": "contrast-to-noise ratio",
    "separability": "tumour brighter than ring",
    "air": "noise in the air",
}
"""What is measured, and how it is written. More is better for the first two, less for the last."""

BETTER = {"cnr": 1, "separability": 1, "air": -1}
"""The direction that is an improvement."""

PRIMARY = ("clahe", "he")
"""The article's question, named beforehand: its three measures are corrected for being three."""

SECONDARY = (("he", "none"), ("clahe", "none"))

NUMERALS = ("none", "one", "two", "three")
"""To count `MEASURES`."""


def darkest_slices(table: pd.DataFrame, count: int = 4) -> pd.DataFrame:
    """The darkest slices with tumour that are not black, one a patient, from the darkest on.

    Where no slice shows tumour, slices at least as bright as half of the cohort take their place: the darkest of those,
    because the very darkest are air.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    count : int
    """
    chosen = table[(table["tumour_px"] > 0) & (table["mean_flair"] > 0)]
    if chosen.empty:
        chosen = table[table["mean_flair"] >= table["mean_flair"].median()]
    return chosen.sort_values("mean_flair").drop_duplicates("patient").head(count)


def measure(table: pd.DataFrame) -> pd.DataFrame:
    """Measure every slice with tumour after each treatment, on the same pixels.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.

    Returns
    -------
    DataFrame
        A row for each slice with tumour and treatment: ``patient, slice, treatment`` and those of `MEASURES`. ``cnr``
        has no unit, ``separability`` is a share in 0..1, and ``air`` is in grey levels of 0..255. The first two are
        NaN where no brain is left for a ring.
    """
    patients = table.loc[table["tumour_px"] > 0, "patient"].unique()
    rows = (row for patient in tqdm(patients, desc="measuring", leave=False) for row in _of_patient(table, patient))
    return pd.DataFrame(rows, columns=["patient", "slice", "treatment", *MEASURES])


def _of_patient(table: pd.DataFrame, patient: str) -> Iterator[dict]:
    images, masks = read_patient(table, patient)
    head = head_silhouette(images)
    numbers = table.loc[table["patient"] == patient, "slice"].sort_values()
    for number, image, mask in zip(numbers, images, masks, strict=True):
        if not mask.any():
            continue
        ring = ring_of_brain(image, mask)
        for treatment in CONTRASTS:
            plane = enhance(image[..., FLAIR], treatment)
            yield {
                "patient": patient,
                "slice": number,
                "treatment": treatment,
                "cnr": contrast_to_noise(plane, mask, ring),
                "separability": separability(plane, mask, ring),
                "air": background_noise(plane, head),
            }


@dataclass(frozen=True)
class ContrastFindings:
    """What the measures say of CLAHE and of histogram equalisation.

    Attributes
    ----------
    by_patient : DataFrame
        A row a patient, a column for each (measure, treatment): means over the patient's slices.
    intervals : DataFrame
        On (measure, treatment): ``estimate, low, high``.
    differences : mapping of (measure, first, second) to Difference
        `first` minus `second`, paired by patient.
    verdicts : mapping of (measure, first, second) to Verdict
    slices, left_out : int
        Slices that were measured, and those that have no brain left for a ring.
    """

    by_patient: pd.DataFrame
    intervals: pd.DataFrame
    differences: Mapping[tuple[str, str, str], Difference]
    verdicts: Mapping[tuple[str, str, str], Verdict]
    slices: int
    left_out: int

    def table(self) -> pd.DataFrame:
        """A row a measure and pair: the mean paired difference with its interval, and what the data show."""
        if not self.differences:
            return pd.DataFrame(columns=["mean", "95 % interval from", "to", "the data"])
        rows = {
            (MEASURES[measure], f"{CONTRAST_NAMES[first]} minus {CONTRAST_NAMES[second]}"): {
                "mean": found.estimate,
                "95 % interval from": found.low,
                "to": found.high,
                "the data": self.verdicts[measure, first, second].answer.value,
            }
            for (measure, first, second), found in self.differences.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def counted(self) -> str:
        """How many patients and slices there are, in a sentence."""
        return (
            f"{len(self.by_patient)} patients, {self.slices} slices with tumour. Not measured, because no brain is "
            f"left for a ring: {self.left_out}."
        )

    def improvement(self, measure: str, first: str, second: str) -> int:
        """1 where `first` is shown to be better than `second`, -1 where it is shown to be worse, else 0."""
        return BETTER[measure] * self.verdicts[measure, first, second].direction

    def article(self) -> bool | Answer:
        """Whether CLAHE is better than HE, as the article says: by all three measures.

        False where HE is shown to be better by one of them, and CLAHE by none.
        """
        if not self.verdicts:
            return Answer.CANNOT_TELL
        better = [self.improvement(measure, *PRIMARY) for measure in MEASURES]
        if all(sign > 0 for sign in better):
            return True
        if any(sign < 0 for sign in better) and not any(sign > 0 for sign in better):
            return False
        return Answer.CANNOT_TELL

    def sentence(self) -> str:
        """The verdict on the article's conclusion, and what each treatment does to a slice as it is, in Markdown."""
        if not self.verdicts:
            return (
                "No slice with tumour could be measured, so whether CLAHE is the better of the two, as the article "
                "concludes, this cohort **cannot tell**."
            )
        better = [self.improvement(measure, *PRIMARY) for measure in MEASURES]
        conclusion = {
            True: "The article's conclusion, that CLAHE is the better of the two, **holds** here",
            False: "The article's conclusion, that CLAHE is the better of the two, **does not hold** here",
            Answer.CANNOT_TELL: (
                "The article's conclusion, that CLAHE is the better of the two, **holds only in part** here"
                if any(sign > 0 for sign in better)
                else "Whether CLAHE is the better of the two, as the article concludes, these data **cannot tell**"
            ),
        }[self.article()]
        kept = self.differences["separability", "he", "none"].estimate
        return (
            f"- **CLAHE against HE.** {self._told(*PRIMARY)} {conclusion}.\n"
            f"- **CLAHE against doing nothing.** {self._told('clahe', 'none')}\n"
            "- **HE against doing nothing.** Its curve keeps the order of grey levels: the chance that tumour "
            f"outshines ring changes by {kept:+z.4f}. What is left of a change comes from grey levels that it merges."
        )

    def answer(self) -> str:
        """Whether CLAHE is better than HE, and than doing nothing, in a sentence: what the chapter finds."""
        if not self.verdicts:
            return "This cohort cannot tell, because no slice with tumour could be measured."
        every = NUMERALS[len(MEASURES)]
        return (
            f"Against HE, CLAHE is {self._counted(*PRIMARY, f'{every} measures')}; against doing nothing it is "
            f"{self._counted('clahe', 'none', every)}."
        )

    def _counted(self, first: str, second: str, every: str) -> str:
        """On how many measures `first` is better, and on how many worse; `every` is what all of them are called."""
        signs = [self.improvement(name, first, second) for name in MEASURES]
        counts = {"better": signs.count(1), "worse": signs.count(-1)}
        told = [(word, count) for word, count in counts.items() if count]
        if not told:
            return f"not shown to be better or worse on any of the {every}"
        (word, count), *others = told
        if count == len(signs):
            return f"{word} on all {every}"
        said = f"{word} on {NUMERALS[count]} of {every}"
        said += "".join(f" and {word} on {NUMERALS[count]}" for word, count in others)
        unclear = signs.count(0)
        return f"{said}, and on {NUMERALS[unclear]} the data cannot tell" if unclear else said

    def _told(self, first: str, second: str) -> str:
        words = {1: "**better**", -1: "**worse**", 0: "these data cannot tell"}
        answers = (f"{MEASURES[name]}: {words[self.improvement(name, first, second)]}" for name in MEASURES)
        told = "; ".join(answers)
        return f"{told[0].upper()}{told[1:]}."


def findings(measured: pd.DataFrame, seed: int = 0) -> ContrastFindings:
    """What :func:`measure` shows, by the one rule.

    A patient's slices are averaged first, so that each patient counts once. Patients without any measured slice are
    left out; where none is left, the findings are empty and say so.

    Parameters
    ----------
    measured : DataFrame
        Of :func:`measure`.
    seed : int
        Of the bootstrap and the sign flips.
    """
    by_patient = measured.groupby(["patient", "treatment"])[list(MEASURES)].mean().unstack()
    columns = pd.MultiIndex.from_product([MEASURES, CONTRASTS], names=[None, "treatment"])
    by_patient = by_patient.reindex(columns=columns).dropna()
    left_out = int(measured.loc[measured["treatment"] == CONTRASTS[0], "cnr"].isna().sum())
    slices = len(measured) // len(CONTRASTS) - left_out
    if by_patient.empty:
        none = pd.DataFrame(columns=["estimate", "low", "high"], dtype=float)
        return ContrastFindings(by_patient, none, {}, {}, slices, left_out)
    differences = {
        (name, first, second): paired_difference(
            by_patient[name, first].to_numpy(), by_patient[name, second].to_numpy(), seed=seed
        )
        for name in MEASURES
        for first, second in (PRIMARY, *SECONDARY)
    }
    primary = shown_together({key: found for key, found in differences.items() if key[1:] == PRIMARY})
    verdicts = {key: primary[key][1] if key in primary else shown(found) for key, found in differences.items()}
    intervals = {key: bootstrap_interval(values.to_numpy(), seed=seed)._asdict() for key, values in by_patient.items()}
    return ContrastFindings(by_patient, pd.DataFrame(intervals).T, differences, verdicts, slices, left_out)
