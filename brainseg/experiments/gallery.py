"""The patients on whom networks do worst, to look at: slices, true outlines, kept masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from brainseg.cohort import read_image, read_mask
from brainseg.evaluation.masks import read_masks
from brainseg.experiments.reference import masks_of
from brainseg.networks.recipe import MODEL_NAMES

FOUND = 0.5
"""A share of the tumour that counts as found, and of what is marked that counts as right."""


@dataclass(frozen=True)
class Failure:
    """A patient with a low Dice.

    Attributes
    ----------
    patient : str
    dice : float
        Mean over the networks, or over the trainings of one.
    lowest, highest : float
        Of these.
    recall, precision : float
        Mean of these.
    small : bool
        Whether the tumour is among the smallest quarter.
    """

    patient: str
    dice: float
    lowest: float
    highest: float
    recall: float
    precision: float
    small: bool

    def sentence(self) -> str:
        """What went wrong, in Markdown."""
        if self.recall < FOUND and self.precision < FOUND:
            said = "less than half of the tumour is found, and most of what is marked is no tumour"
        elif self.recall < FOUND:
            said = "less than half of the tumour is found, and most of what is marked is right"
        elif self.precision < FOUND:
            said = "at least half of the tumour is found, and most of what is marked is no tumour"
        else:
            said = "at least half of the tumour is found, and most of what is marked is right"
        small = " It is among the smallest quarter of the tumours." if self.small else ""
        return (
            f"**{self.patient}**, Dice {self.dice:.2f} (networks from {self.lowest:.2f} to {self.highest:.2f}): "
            f"{said}.{small}"
        )


@dataclass(frozen=True)
class Pictures:
    """The slice with most tumour of each failure, for :func:`brainseg.figures.results.side_by_side`.

    Attributes
    ----------
    images : uint8 (n, 256, 256, 3)
    truth : bool (n, 256, 256)
    predicted : dict of str to bool (n, 256, 256)
        By model, or by what else stands above a panel.
    titles : list of str
    """

    images: np.ndarray
    truth: np.ndarray
    predicted: dict[str, np.ndarray]
    titles: list[str]


def failures(patients: pd.DataFrame, number: int = 10) -> list[Failure]:
    """The patients with the lowest Dice in the mean over the networks, the lowest first.

    Parameters
    ----------
    patients : DataFrame
        A row a patient and network: ``patient, tumour_px, dice, recall, precision`` of the volume.
    number : int
    """
    groups = patients.groupby("patient")
    means = groups[["dice", "recall", "precision"]].mean()
    sizes = groups["tumour_px"].first()
    extremes = groups["dice"].agg(["min", "max"])
    return [
        Failure(
            patient=str(name),
            dice=float(row["dice"]),
            lowest=float(extremes.loc[name, "min"]),
            highest=float(extremes.loc[name, "max"]),
            recall=float(row["recall"]),
            precision=float(row["precision"]),
            small=bool(sizes[name] <= sizes.quantile(0.25)),
        )
        for name, row in means.nsmallest(number, "dice").iterrows()
    ]


def tail(lowest: Sequence[Failure]) -> str:
    """How low the scores of these patients are, and how many of their tumours are small, as a sentence."""
    small = sum(failure.small for failure in lowest)
    return (
        f"Of the {len(lowest)} patients with the lowest scores, {lowest[0].dice:.2f} to {lowest[-1].dice:.2f} in the "
        f"mean over the networks, {small} {'has' if small == 1 else 'have'} a tumour among the smallest quarter."
    )


def pictures(
    cohort: pd.DataFrame, found: Sequence[Failure], masks: Mapping[str, Callable[[str], Path]]
) -> Pictures | None:
    """The slices, where the cohort has all of these patients; None elsewhere.

    Parameters
    ----------
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    found : sequence of Failure
    masks : mapping
        What stands above a panel -> the file that has its mask of a patient.
    """
    mine = cohort[cohort["patient"].isin([each.patient for each in found])]
    largest = mine.loc[mine.groupby("patient")["tumour_px"].idxmax()].set_index("patient", drop=False)
    if not {each.patient for each in found} <= set(largest.index):
        return None
    shown = largest.loc[[each.patient for each in found]]
    return Pictures(
        np.stack([read_image(path) for path in shown["image_path"]]),
        np.stack([read_mask(path) for path in shown["mask_path"]]),
        {
            panel: np.concatenate([read_masks(file_of(name), shown.loc[[name]]) for name in shown.index])
            for panel, file_of in masks.items()
        },
        [f"{place}. Dice {each.dice:.2f}" for place, each in enumerate(found, start=1)],
    )


def reference_masks(patients: pd.DataFrame) -> dict[str, Callable[[str], Path]]:
    """The files of the reference edition's masks, a panel a network, for :func:`pictures`.

    Parameters
    ----------
    patients : DataFrame
        Of the honest protocol, from :func:`brainseg.experiments.outcome.read_scores`.
    """
    fold = patients.drop_duplicates("patient").set_index("patient")["fold"]

    def of(model: str) -> Callable[[str], Path]:
        return lambda patient: masks_of("honest", model, int(fold[patient]))

    return {model: of(model) for model in MODEL_NAMES if model in set(patients["model"])}
