"""What a cohort holds: whether it is whole, how unequal its patients are, which channels are copies.

The phantom is set beside the real cohort as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainseg.cohort import FRAME
from brainseg.cohort.kaggle import PUBLISHED, count
from brainseg.results import has_results, read_csv, results_folder

STATED_SEQUENCES = {"all three sequences": 101, "post-contrast T1 missing": 9, "pre-contrast T1 missing": 6}
"""Patients of the whole data set, says its README."""

CLOSE = 0.2
"""Of the real value: how far a value of the phantom may lie from it and still be called close."""

AGE = "age_at_initial_pathologic"


# ---------------------------------------------------------------- what a cohort can show


def counted(table: pd.DataFrame) -> str:
    """How many patients and slices there are, and what such a cohort cannot show, in Markdown.

    Chapters 1 to 4 run on any cohort. What they cannot show stays empty in them, and this says why.
    """
    tumour = table["tumour_px"] > 0
    patients = table["patient"].nunique()
    said = f"{patients} patients, {len(table)} slices, {tumour.sum()} of them with tumour."
    limits = [
        limit
        for limit, holds in (
            (
                "No slice shows tumour. Whatever is measured on tumours stays empty: their areas and places, their "
                "contrast, and most scores.",
                not tumour.any(),
            ),
            ("Every slice shows tumour. Nothing is said of slices without one.", tumour.all()),
            (
                "No patient has more than one slice. Nothing is said of neighbours, nor of the place along the stack.",
                len(table) == patients,
            ),
            ("There is one patient. Nothing can be split, and no mean has an interval.", patients == 1),
            ("There are two patients, too few to train, validate and test apart.", patients == 2),
            (
                "All patients are from one institution. Nothing is said of differences between institutions.",
                patients > 1 and table["institution"].nunique() == 1,
            ),
            (
                "FLAIR is the only sequence: both T1 channels are copies of it. Nothing is said of sequences.",
                (table["missing_pre"] & table["missing_post"]).all(),
            ),
        )
        if holds
    ]
    return "\n".join(
        [said, *(["\n**What this cohort cannot show:**\n"] if limits else []), *(f"- {x}" for x in limits)]
    )


def answer(table: pd.DataFrame) -> str:
    """How unequal patients and slices are, in a sentence: what the chapter finds."""
    slices, patients = stacks(table), table["patient"].nunique()
    said = (
        f"Here {patients} patients have {slices.fewest} to {slices.most} slices each"
        if patients > 1
        else f"Here one patient has {slices.most} slice{'s' * (slices.most > 1)}"
    )
    ratio = institutions(table).brightness_ratio
    bright = (
        ""
        if patients == 1 or np.isnan(ratio)
        else (f", and the brightest patient's FLAIR is {ratio:.1f} times as bright as the darkest's")
    )
    return f"{said}, {(table['tumour_px'] == 0).mean():.0%} of the slices show no tumour{bright}."


# ---------------------------------------------------------------- slices to look at


def slice_without_tumour(table: pd.DataFrame, seed: int = 0) -> pd.Series:
    """A row of the cohort's table, drawn from the brighter half of the slices without tumour.

    The darkest show nothing at all. Where every slice has a tumour, one with the smallest is drawn.
    """
    choices = table[(table["tumour_px"] == 0) & (table["mean_flair"] > table["mean_flair"].median())]
    if choices.empty:
        choices = table[table["tumour_px"] == table["tumour_px"].min()]
    return choices.sample(1, random_state=seed).iloc[0]


def slice_with_tumour(table: pd.DataFrame, seed: int = 0) -> pd.Series:
    """A row of the cohort's table, drawn from the larger half of the tumours of patients with all three sequences.

    Where no such patient has a large tumour, one with the largest of all is drawn.
    """
    areas = table["tumour_px"]
    large = (areas > 0) & (areas >= areas[areas > 0].median())
    choices = table[large & ~_incomplete(table)]
    if choices.empty:
        choices = table[areas == areas.max()]
    return choices.sample(1, random_state=seed).iloc[0]


def slice_with_a_copy(table: pd.DataFrame) -> pd.Series:
    """The row with the largest tumour of patients who lack a sequence, or of all where none does."""
    incomplete = table[_incomplete(table)]
    return table.loc[(table if incomplete.empty else incomplete)["tumour_px"].idxmax()]


def _incomplete(table: pd.DataFrame) -> pd.Series:
    return table["missing_pre"] | table["missing_post"]


# ---------------------------------------------------------------- is everything here?


@dataclass(frozen=True)
class Completeness:
    """A cohort beside the published data set.

    Attributes
    ----------
    here : mapping
        As :data:`brainseg.cohort.kaggle.PUBLISHED`.
    synthetic, published : bool
        Whether the patients are simulated; whether they are patients of the published data set.
    """

    here: Mapping[str, int]
    synthetic: bool
    published: bool

    @property
    def whole(self) -> bool:
        """Whether it is the published data set, and all of it."""
        return self.published and self.here == PUBLISHED

    def table(self) -> pd.DataFrame:
        """A row a count, and the share that is here where the patients are the published ones."""
        table = pd.DataFrame({"here": self.here, "published": PUBLISHED})
        return (
            table.assign(share=(table["here"] / table["published"]).map("{:.0%}".format)) if self.published else table
        )

    def sentence(self) -> str:
        """Whose patients these are, and how their balance compares, in Markdown."""
        share, theirs = (counts["slices with tumour"] / counts["slices"] for counts in (self.here, PUBLISHED))
        balance = f"**{share:.0%}** of the slices show tumour here, {theirs:.0%} in the published set."
        if self.synthetic:
            return (
                f"These {self.here['patients']} patients are simulated. They are no part of the published data set, so "
                f"the counts need not agree. The balance should: {balance}"
            )
        if not self.published:
            return (
                f"These {self.here['patients']} patients are not those of the published data set, so the counts need "
                f"not agree. {balance} Every finding of this run is about the patients that are here."
            )
        if self.whole:
            return "All four numbers agree: **the data set is complete**."
        return (
            f"This folder holds **{self.here['patients']} of the {PUBLISHED['patients']} published patients**, and "
            f"{self.here['slices']} of {PUBLISHED['slices']} slices. {share:.1%} of the slices show tumour here, "
            f"{theirs:.1%} in the whole set: a difference of {100 * abs(share - theirs):.1f} percentage points. Every "
            "finding of this run is about the part that is here."
        )


def completeness(table: pd.DataFrame) -> Completeness:
    """Count a cohort; the table is that of :func:`brainseg.cohort.index_cohort`."""
    return Completeness(count(table), bool(table["synthetic"].any()), bool(table["case"].str.startswith("TCGA_").all()))


# ---------------------------------------------------------------- how unequal are patients?


@dataclass(frozen=True)
class Stacks:
    """Slices per patient.

    Attributes
    ----------
    fewest, most, fewest_tumour, most_tumour, without_tumour : int
        Slices, tumour slices, and patients without one.
    median : float
    """

    fewest: int
    most: int
    median: float
    fewest_tumour: int
    most_tumour: int
    without_tumour: int

    def sentence(self) -> str:
        """All of it, and what it does to a mean over slices, in Markdown."""
        detection = (
            f"Patients without any tumour: {self.without_tumour}."
            if self.without_tumour
            else "**Every patient has a tumour**, so nothing here can measure detection."
        )
        return (
            f"A patient has {self.fewest} to {self.most} slices (median {self.median:.0f}), of which "
            f"{self.fewest_tumour} to {self.most_tumour} with tumour. {detection} In a mean over slices, the largest "
            f"patient weighs {self.most / self.fewest:.1f} times the smallest."
        )


def stacks(table: pd.DataFrame) -> Stacks:
    """Count the slices of each patient of a cohort."""
    sizes = table.groupby("patient").size()
    tumour = (table["tumour_px"] > 0).groupby(table["patient"]).sum()
    return Stacks(
        int(sizes.min()), int(sizes.max()), float(sizes.median()),
        int(tumour.min()), int(tumour.max()), int((tumour == 0).sum()),
    )  # fmt: skip


def imbalance_sentence(table: pd.DataFrame) -> str:
    """How right "no tumour" is on slices and pixels, and how small tumours are, in Markdown."""
    tumour = table["tumour_px"] > 0
    pixels = table["tumour_px"].sum() / (len(table) * FRAME[0] * FRAME[1])
    said = (
        f'A program that always answers "no tumour" is right on **{1 - tumour.mean():.0%}** of the slices, and on '
        f"**{1 - pixels:.1%}** of the pixels."
    )
    if not tumour.any():
        return f"{said} No slice here shows tumour, so nothing can be said of its area."
    small, median = table.loc[tumour, "tumour_px"].quantile([0.1, 0.5])
    return (
        f"{said} So the share of right pixels is a useless score here. "
        f"Half of the tumour slices have less than **{median:.0f} pixels**, as much as a disc of "
        f"{2 * np.sqrt(median / np.pi):.0f} pixels across. A tenth have less than {small:.0f}, a disc of "
        f"{2 * np.sqrt(small / np.pi):.0f} pixels across. On those, a few wrong pixels along the edge cost a large "
        "part of the score."
    )


def places_sentence(table: pd.DataFrame, share: np.ndarray) -> str:
    """Where tumours sit in the frame and along the stack, in Markdown.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    share : ndarray of float, shape (256, 256)
        Share of patients whose tumour covers a pixel.
    """
    tumour = table["tumour_px"] > 0
    if not tumour.any():
        return "No slice here shows tumour, so nothing can be said of its place."
    said = (
        f"No pixel is tumour in more than **{share.max():.0%}** of the patients, and {(share > 0).mean():.0%} of the "
        "frame is tumour in at least one."
    )
    patients = table.groupby("patient")
    place = (patients.cumcount() + 0.5) / patients["slice"].transform("size")
    middle = place.between(0.25, 0.75)
    if not middle.any() or middle.all():
        return f"{said} The stacks are too short to tell their middle half from the rest."
    return (
        f"{said} Of the slices in the middle half of a stack, {tumour[middle].mean():.0%} show tumour, of the others "
        f"{tumour[~middle].mean():.0%}. A network can learn such habits of place without looking at the tissue. "
        "That helps on average, and fails the patient who is different."
    )


@dataclass(frozen=True)
class Institutions:
    """Where patients come from, and how bright they are.

    Attributes
    ----------
    count : int
    largest : str
        The code of the institution with the most patients.
    share : float
        Of the patients.
    brightness_ratio : float
        Mean FLAIR of the brightest patient over that of the darkest who is not black; NaN where all are.
    black : int
        Patients whose FLAIR is black throughout.
    """

    count: int
    largest: str
    share: float
    brightness_ratio: float
    black: int = 0

    def sentence(self) -> str:
        """All of it, in Markdown."""
        origin = (
            f"All patients come from one institution, {self.largest}."
            if self.count == 1
            else f"There are {self.count} institutions, and the largest, {self.largest}, gave **{self.share:.0%}** of "
            "the patients."
        )
        if self.black:
            origin += f" The FLAIR of {self.black} patients is **black throughout**: look at their files."
        if np.isnan(self.brightness_ratio):
            return origin
        return (
            f"{origin} The brightest patient's FLAIR is {self.brightness_ratio:.1f} times as bright as the darkest's. "
            'So a fixed threshold cannot find the tumour, and a network has to be told, or has to learn, what "bright" '
            "means for each patient."
        )


def institutions(table: pd.DataFrame) -> Institutions:
    """Count the institutions of a cohort's patients."""
    patients = table.groupby("patient").agg(institution=("institution", "first"), brightness=("mean_flair", "mean"))
    shares = patients["institution"].value_counts(normalize=True)
    seen = patients.loc[patients["brightness"] > 0, "brightness"]
    ratio = float(seen.max() / seen.min())
    return Institutions(len(shares), str(shares.index[0]), float(shares.iloc[0]), ratio, len(patients) - len(seen))


# ---------------------------------------------------------------- which sequences are copies?


@dataclass(frozen=True)
class MissingSequences:
    """Channels that are copies of FLAIR, beside what the data set's README says.

    Attributes
    ----------
    patients : DataFrame
        Of the patients with a copy: ``missing_pre, missing_post``.
    found : mapping
        As `STATED_SEQUENCES`.
    cohort : Completeness
    """

    patients: pd.DataFrame
    found: Mapping[str, int]
    cohort: Completeness

    def table(self) -> pd.DataFrame:
        """A row a count."""
        return pd.DataFrame({"found in the pixels": self.found, "stated for the whole set": STATED_SEQUENCES})

    def sentence(self) -> str:
        """Whether pixels and README agree, and who lacks what, in Markdown."""
        if self.cohort.synthetic:
            said = (
                "The README is about the real patients. In the simulated ones, some channels were replaced on purpose, "
                "so that the code meets the case."
            )
        elif not self.cohort.published:
            said = "The README is about other patients, so its numbers need not agree with these."
        elif self.found == STATED_SEQUENCES:
            said = "The pixels agree with the README."
        elif not self.cohort.whole and all(self.found[name] <= stated for name, stated in STATED_SEQUENCES.items()):
            said = (
                "With a part of the patients, no count can be larger than the README's, and none is: the pixels do not "
                "contradict it."
            )
        else:
            said = "**The pixels disagree with the README.** Trust the pixels, and look at the patients above."
        both = int(self.patients.all(axis=1).sum())
        only_pre = self.found["pre-contrast T1 missing"] - both
        return (
            f"{said} Patients who lack both T1 sequences: {both}. Patients who lack only the one before contrast: "
            f"{only_pre}."
        )


def missing_sequences(table: pd.DataFrame) -> MissingSequences:
    """Who lacks a sequence: where a channel equals FLAIR on every slice of a patient, it is a copy."""
    missing = table.groupby("patient")[["missing_pre", "missing_post"]].first()
    found = {
        "all three sequences": int((~missing.any(axis=1)).sum()),
        "post-contrast T1 missing": int(missing["missing_post"].sum()),
        "pre-contrast T1 missing": int(missing["missing_pre"].sum()),
    }
    return MissingSequences(missing[missing.any(axis=1)], found, completeness(table))


# ---------------------------------------------------------------- the patient table


def patient_table_sentence(patient_table: pd.DataFrame, table: pd.DataFrame) -> str:
    """How much of ``data.csv`` there is, in Markdown.

    Parameters
    ----------
    patient_table : DataFrame
        From :func:`brainseg.cohort.read_patient_table`.
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    """
    cases, rows = set(table["case"]), set(patient_table.index)
    column = patient_table[AGE] if AGE in patient_table else pd.Series(dtype=float)
    age = pd.to_numeric(column, errors="coerce").dropna()
    ages = (
        f"No age is given: the column `{AGE}` is missing or empty."
        if age.empty
        else f"Ages run from {age.min():.0f} to {age.max():.0f} years, median {age.median():.0f}."
    )
    return (
        f"It has {len(rows)} rows, of which {int(patient_table.notna().all(axis=1).sum())} have no gap. "
        f"{len(cases & rows)} of the {len(cases)} patients with slices have a row, and {len(rows - cases)} rows have "
        f"no slices here. {ages}"
    )


# ---------------------------------------------------------------- the phantom beside the real cohort


@dataclass(frozen=True)
class Resemblance:
    """Statistics of the phantom beside those of the real cohort that it was calibrated on.

    Attributes
    ----------
    values : DataFrame
        A row a statistic, with its unit or quantile in the name; columns ``phantom`` and ``real``. Empty where the
        project's results are not at hand.
    """

    values: pd.DataFrame

    def central(self) -> pd.DataFrame:
        """Its shares and medians, without the other quantiles."""
        quantile = self._quantile()
        central = self.values[quantile.isna() | (quantile == "50")]
        return central.rename(index=lambda name: name.replace(", 50 %", ", median"))

    def far(self) -> pd.DataFrame:
        """Those of :meth:`central` in which the phantom is not `CLOSE` to the real cohort."""
        central = self.central()
        return central[(central["phantom"] - central["real"]).abs() > CLOSE * central["real"].abs()]

    def sentence(self) -> str:
        """How close the phantom is, where it is not, and how visible its faintest tumour is, in Markdown."""
        if self.values.empty:
            return "The statistics lie in the project's repository, which this run does not see."
        central, far = self.central(), self.far()
        said = f"{len(central) - len(far)} of the {len(central)} values lie within a fifth of the real one."
        for word, part in (
            ("lower", far[far["phantom"] < far["real"]]),
            ("higher", far[far["phantom"] > far["real"]]),
        ):
            names = [
                f"{name} ({readable(row['phantom'])} against {readable(row['real'])})" for name, row in part.iterrows()
            ]
            said += f" **The phantom is {word} in** {'; '.join(names)}." if names else ""
        return f"{said}\n\n{self._faintest()}"

    def _faintest(self) -> str:
        rows = self.values[self.values.index.str.startswith("brightest tenth") & (self._quantile() == "0")]
        phantom, real = rows[["phantom", "real"]].iloc[0]
        said = (
            "How visible is the least visible tumour? Take the brightest tenth of its pixels on a smoothed FLAIR "
            f"slice, and of a patient's slices the middle one. In the real patients it lies at least {real:.1f} "
            f"standard deviations above the surroundings, in the phantom {phantom:.1f}."
        )
        if phantom >= real:
            return said
        return (
            f"{said} **So the faintest simulated tumour is fainter than any of the real ones**, and a network has "
            "little to find it by. Such patients weigh on every mean over the phantom."
        )

    def _quantile(self) -> pd.Series:
        return pd.Series(self.values.index.str.extract(r", (\d+) %$", expand=False), index=self.values.index)


def readable(value: float) -> str:
    """Three digits, or the whole number where it has more."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def phantom_resemblance() -> Resemblance:
    """What the project keeps in ``results/phantom_calibration.csv``."""
    if not has_results():
        return Resemblance(pd.DataFrame(columns=["phantom", "real"], index=pd.Index([], dtype=str), dtype=float))
    values = read_csv(results_folder("phantom_calibration.csv"), index_col="measure")
    values = values.drop(index=["patients", "slices"], errors="ignore")
    values.index = values.index.str.replace(r"\ba (patient|slice)\b", r"per \1", regex=True)
    return Resemblance(values)
