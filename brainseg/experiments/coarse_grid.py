"""What a coarse grid costs, measured without a network: true masks are averaged over cells and interpolated back.

This is one simple answer that a grid allows, and no upper limit. A network's votes need not be averages, and its blobs
are learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from brainseg import metrics
from brainseg.chapters import shown_part
from brainseg.images.prepared import Prepared

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

CELLS_PX = (32, 16, 8, 4, 2)
"""Sides of a cell: 32 px is the paper's, on the slice as the network gets it."""

THRESHOLDS = np.arange(0.1, 0.7, 0.05)


def through_cells(mask: np.ndarray, cell_px: int) -> np.ndarray:
    """A mask after the passage through a coarse grid.

    Parameters
    ----------
    mask : float32 array (S, S), share of tumour in each pixel, 0..1
    cell_px : int
        Side of a cell, which divides S.

    Returns
    -------
    float32 array (S, S)
        Each cell holds its share of tumour, and pixels are interpolated bilinearly between the cells.
    """
    side = len(mask)
    cells = cv2.resize(mask, (side // cell_px, side // cell_px), interpolation=cv2.INTER_AREA)
    return cv2.resize(cells, (side, side), interpolation=cv2.INTER_LINEAR)


def kept_dice(prepared: Prepared, rows: np.ndarray, cell_px: int) -> float:
    """Mean per-volume Dice of true masks after the passage, cut at the threshold that does best of all.

    Parameters
    ----------
    rows : ndarray of int
        Row numbers in the prepared table. Slices without tumour say nothing here, and are passed over.
    cell_px : int

    Returns
    -------
    float
        NaN where no slice shows tumour.
    """
    rows = rows[prepared.table["tumour_px"].to_numpy()[rows] > 0]
    if not len(rows):
        return float("nan")
    masks = prepared.masks[rows] / np.float32(255)
    passed = np.stack([through_cells(mask, cell_px) for mask in masks])
    patients = prepared.table["patient"].to_numpy()[rows]

    def mean_dice(threshold: float) -> float:
        counts = metrics.confusion(masks >= 0.5, passed >= threshold, axis=(1, 2))
        return float(metrics.dice(metrics.pool(counts, by=patients), empty=1).mean())

    return max(mean_dice(threshold) for threshold in THRESHOLDS)


@dataclass(frozen=True)
class GridFinding:
    """A trained network beside the simple answer on its grid, on the same patients.

    Attributes
    ----------
    side : {"validation", "training"}
        Whose slices they are.
    reached : float
        Mean Dice of the network.
    averaged : float
        Of the true masks after the passage through cells of the network's size; NaN where no slice shows tumour.
    """

    side: str
    reached: float
    averaged: float

    @property
    def _gap(self) -> float:
        """By how much the network exceeds the simple answer, as both are printed."""
        return round(self.reached, 2) - round(self.averaged, 2)

    def sentence(self) -> str:
        """Whether the grid explains what the network misses, in Markdown."""
        if np.isnan(self.averaged):
            return f"No {self.side} slice shows tumour, so there is nothing to compare the network with."
        place = "above" if self._gap > 0 else "below" if self._gap < 0 else "level with"
        grid = " Its grid alone does not explain what it misses." if self._gap < 0 else ""
        return (
            f"Trained, the network reaches a mean Dice of **{self.reached:.2f}** on the {self.side} patients. The true "
            f"masks of the same patients, averaged over its cells, keep {self.averaged:.2f}. So the trained votes and "
            f"blobs stand {place} this simple answer, which is given the truth but may only average and interpolate "
            f"it.{grid}"
        )

    def answer(self) -> str:
        """What the grid costs and whether that is a limit, in two sentences: what the chapter finds."""
        if np.isnan(self.averaged):
            return f"These data cannot tell, because no {self.side} slice shows tumour."
        same = "patients, on whom it was trained" if self.side == "training" else f"{self.side} patients"
        if self._gap > 0:
            so = "so averaging is no limit"
        elif self._gap < 0:
            so = "so the grid alone does not explain what it misses"
        else:
            so = "no more and no less than averaging"
        return (
            f"A perfect mask, averaged over the network's cells, keeps a mean Dice of {self.averaged:.2f}. The trained "
            f"network reaches {self.reached:.2f} on the same {same}, {so}."
        )


def finding(run: Run, cell_px: int) -> GridFinding:
    """What :func:`kept_dice` makes of the patients of :func:`brainseg.chapters.shown_part`, beside the run's score."""
    from brainseg.networks.training import validation_dice

    part = shown_part(run)
    rows = run.rows(part)
    reached = run.record.validation_dice if part == "validation" else validation_dice(run.model, run.prepared, rows)
    side = {"train": "training"}.get(part, part)
    return GridFinding(side, reached, kept_dice(run.prepared, rows, cell_px))
