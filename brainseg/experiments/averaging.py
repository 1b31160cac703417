"""What the unit of averaging does to an interval, and an error that Dice cannot tell from another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from brainseg.cohort import FRAME
from brainseg.splits import split_by_patient
from brainseg.statistics import Interval, bootstrap_interval

EXAMPLE_PX = 100
"""The area of a tumour that stands for the small ones where no slice shows any."""


def patients_to_score(table: pd.DataFrame, fold: int, seed: int) -> tuple[pd.DataFrame, str]:
    """The slices of the patients whose masks serve as examples, and who they are, in a sentence.

    Nothing is trained on the others, so where a cohort is too small to be split, or the fold's patients have no tumour
    and others do, all patients serve.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    fold, seed : int
        As :func:`brainseg.splits.split_by_patient`.
    """
    chosen, whose = table, "all, because there are too few to part some of them"
    if table["case"].nunique() >= 3:
        chosen, whose = table[split_by_patient(table, fold=fold, seed=seed) == "test"], "those of the fold"
        if table["tumour_px"].any() and not chosen["tumour_px"].any():
            chosen, whose = table, "all, because those of the fold have no tumour"
    return chosen, (
        f"{chosen['patient'].nunique()} patients are scored ({whose}): {len(chosen)} slices, "
        f"{(chosen['tumour_px'] > 0).sum()} with tumour."
    )


def small_area_px(table: pd.DataFrame) -> int | None:
    """The area in pixels that one tumour slice in ten does not exceed; None where no slice shows tumour."""
    areas = table.loc[table["tumour_px"] > 0, "tumour_px"]
    return int(areas.quantile(0.1)) if len(areas) else None


def smoothing_sentence(small_px: int | None) -> str:
    """What a missed tumour of `small_px` pixels scores with smoothing, in Markdown."""
    area = small_px or EXAMPLE_PX
    missed = ", ".join(f"{s / (area + s):.2f} with s = {s}" for s in (1, 100, 1000))
    here = (
        f"One tumour slice in ten shows at most {area} pixels of tumour. "
        if small_px
        else f"No slice here shows tumour. Say that one showed {area} pixels. "
    )
    return (
        f"{here}Missing all of {area} pixels scores {missed}. The score without smoothing is 0. A smoothed coefficient "
        "is a fine thing to train with, and a poor thing to report."
    )


def conventions_sentence(scores: pd.DataFrame, without_tumour: float) -> str:
    """How far the way of averaging moves a score, in Markdown.

    Parameters
    ----------
    scores : DataFrame
        A row a prediction, a column a way of averaging, Dice in 0..1; NaN where a way has nothing to average.
    without_tumour : float
        Share of slices without tumour.
    """
    shifted, tumour, empty_one = "three pixels to the right", "mean of tumour slices", "mean of slices, empty = 1"
    if scores[tumour].isna().all():
        return "No slice here shows tumour. What scores 0/0 as 1 gives the silence full marks, and nothing else counts."
    spread = scores.max(axis=1) - scores.min(axis=1)
    widest = spread.idxmax()
    return (
        f"The way of averaging moves a score by up to {spread.max():.2f} (*{widest}*: from "
        f"{scores.loc[widest].min():.2f}, {scores.loc[widest].idxmin()}, to {scores.loc[widest].max():.2f}, "
        f"{scores.loc[widest].idxmax()}). "
        f"*{shifted[0].upper()}{shifted[1:]}* reads {scores.loc[shifted, tumour]:.3f} on tumour slices and "
        f"{scores.loc[shifted, empty_one]:.3f} when the {without_tumour:.0%} of slices without tumour join in with a "
        "score of 1."
    )


def answer(scores: pd.DataFrame, nothing: pd.Series) -> str:
    """What moves a score although no mask changes, in a sentence: what the chapter finds.

    Parameters
    ----------
    scores, nothing
        As :func:`conventions_sentence` and :func:`baseline_sentence` take them.
    """
    empty = (
        "on what an empty slice scores: where that is 1, finding nothing has a mean IoU of "
        f"{nothing['slice IoU, empty = 1']:.2f}"
    )
    if scores["mean of tumour slices"].isna().all():
        return f"At least {empty}."
    spread = (scores.max(axis=1) - scores.min(axis=1)).max()
    return f"On the way of averaging, which moves a Dice of the same masks by up to {spread:.2f} here, and {empty}."


def baseline_sentence(nothing: pd.Series) -> str:
    """What the empty prediction scores, in Markdown; `nothing` has a value a metric."""
    found = (
        "No tumour is there to be found, so its Dice of volumes has no value."
        if np.isnan(nothing["Dice of volumes"])
        else f"It finds no tumour. Its Dice of volumes is {nothing['Dice of volumes']:.0f}."
    )
    return (
        f"A prediction without a single tumour pixel has an accuracy of {nothing['pixel accuracy']:.3f}, and a mean "
        f"slice IoU of {nothing['slice IoU, empty = 1']:.3f}: that is the share of slices without tumour, and nothing "
        f"else. {found} A mean IoU over all slices, when near 1, owes part of its height to this share."
    )


def one_pixel_sentence(volumes: dict[str, np.ndarray], larger: np.ndarray, areas: np.ndarray) -> str:
    """What one pixel all around costs, in Markdown.

    Parameters
    ----------
    volumes : dict
        Dice of each patient's volume for masks "one pixel larger" and "one pixel smaller", shape (patients,).
    larger : ndarray of float, shape (n,)
        Dice of each slice with tumour for the larger masks.
    areas : ndarray of int, shape (n,)
        Their tumours in pixels.
    """
    if not len(larger):
        return "No slice here shows tumour, so there is no price to tell."
    cost = {name: 100 * (1 - np.mean(dices)) for name, dices in volumes.items()}
    small = larger[areas <= np.quantile(areas, 0.1)]
    return (
        f"Over {len(volumes['one pixel larger'])} patients, a mask that is one pixel too large loses "
        f"{cost['one pixel larger']:.1f} points of volume Dice on average, one that is a pixel too small "
        f"{cost['one pixel smaller']:.1f}. On single slices the loss is {100 * (1 - larger.mean()):.1f} points on "
        f"average, and {100 * (1 - np.median(small)):.0f} in the middle of the smallest tenth. A model that differs "
        "from another by less than this may differ by a habit of drawing."
    )


def middling_tumour(truth: np.ndarray) -> tuple[int, np.ndarray]:
    """A slice with a tumour of middling size: its place and its mask; a drawn disc on the middle slice where none has.

    Parameters
    ----------
    truth : bool (n, H, W)
    """
    areas = truth.sum((1, 2))
    if not areas.any():
        rows, columns = np.indices(truth.shape[1:])
        radius = np.sqrt(10 * EXAMPLE_PX / np.pi)
        return len(truth) // 2, np.hypot(rows - FRAME[0] / 2, columns - FRAME[1] / 3) <= radius
    place = int(np.abs(areas - np.median(areas[areas > 0])).argmin())
    return place, truth[place]


@dataclass(frozen=True)
class UnitFinding:
    """The interval of a mean Dice over patients, and the one that takes slices for independent.

    Attributes
    ----------
    over_patients, over_slices : Interval or None
        Their means differ: one weighs patients alike, the other slices. None where there is no slice.
    patients, slices : int
    """

    over_patients: Interval | None
    over_slices: Interval | None
    patients: int
    slices: int

    @property
    def ratio(self) -> float:
        """The width of the interval over patients, in widths of the one over slices."""
        honest, other = (interval.high - interval.low for interval in (self.over_patients, self.over_slices))
        return honest / other if other else np.nan

    def sentence(self) -> str:
        """Both intervals, and how they compare, in Markdown."""
        honest, other = self.over_patients, self.over_slices
        if honest is None or other is None:
            return "There is no slice with tumour, so there is no mean and no interval."
        if self.patients == 1:
            return "With a single patient there is no interval to give: a spread cannot be told from one value."
        said = (
            f"The Dice of a patient's tumour slices is {honest.estimate:.3f} on average over {self.patients} patients, "
            f"with an interval from {honest.low:.3f} to {honest.high:.3f}. The same slices, drawn as if all "
            f"{self.slices} were independent, give {other.low:.3f} to {other.high:.3f}."
        )
        if np.isnan(self.ratio):
            return said
        if self.ratio > 1:
            return f"{said} The honest interval is {self.ratio:.1f} times as wide as the other one."
        return f"{said} Here the honest interval is no wider, which is chance: slices of one patient are alike."


def unit_finding(slice_dice: np.ndarray, patients: np.ndarray, seed: int = 0) -> UnitFinding:
    """Both intervals of a mean.

    Parameters
    ----------
    slice_dice : float array (n,)
        Of slices with tumour, of which there may be none.
    patients : array of str (n,)
        The patient of each.
    """
    if not len(slice_dice):
        return UnitFinding(None, None, 0, 0)
    by_patient = pd.Series(slice_dice).groupby(patients).mean().to_numpy()
    return UnitFinding(
        bootstrap_interval(by_patient, seed=seed),
        bootstrap_interval(slice_dice, seed=seed),
        len(by_patient),
        len(slice_dice),
    )


def patch_elsewhere(mask: np.ndarray, area_px: int) -> np.ndarray:
    """A round patch of false alarms on the other side of the frame's midline, outside the mask: bool (H, W).

    Parameters
    ----------
    mask : bool (H, W)
        Not empty.
    area_px : int
        Of the patch, exactly; at most as many as lie outside the mask.
    """
    row, column = ndimage.center_of_mass(mask)
    y, x = np.indices(mask.shape)
    distance = np.hypot(y - row, x - (mask.shape[1] - 1 - column))
    distance[mask] = np.inf
    patch = np.zeros_like(mask)
    patch.flat[distance.argsort(axis=None, kind="stable")[:area_px]] = True
    return patch
