"""What the unit of averaging does to an interval, and an error that Dice cannot tell from another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from brainseg.statistics import Interval, bootstrap_interval


@dataclass(frozen=True)
class UnitFinding:
    """The interval of a mean Dice over patients, and the one that takes slices for independent.

    Attributes
    ----------
    over_patients, over_slices : Interval
        Their means differ: one weighs patients alike, the other slices.
    patients, slices : int
    """

    over_patients: Interval
    over_slices: Interval
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
        Of slices with tumour.
    patients : array of str (n,)
        The patient of each.
    """
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
