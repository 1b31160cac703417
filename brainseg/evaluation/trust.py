"""Should a prediction be trusted? How far looks agree, and how far a volume lies from those of the training.

Each network looks at a volume twice, as it is and mirrored. The looks of networks that were trained on the same
patients are compared with each other; the study keeps one such network a fold, so these are its two looks. That can be
measured on the patients of the data set too, whom only the networks of one fold have never met:
:mod:`brainseg.experiments.quality` measures whether it foretells a low Dice, and its kept tables speak here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from brainseg.cohort import FLAIR, POST, PRE, SEQUENCES
from brainseg.images.crop import head_silhouette
from brainseg.images.preprocess import PERCENTILES
from brainseg.metrics import confusion, dice
from brainseg.results import has_tables, read_table

MODEL = "unet"
"""The network that answers by default, and of which is measured when to trust it."""
QUALITY = "quality"
"""The folder of what was measured."""
FAR = 4.0
"""Standard deviations from which a number of a volume is called unusual."""

FEATURES = {
    "head_share": "size of the head in the frame",
    "head_shape": "height of the head over its width",
    "flair_level": "middle grey level of the head on FLAIR, between black and white",
    "flair_spread": "spread of grey levels of the head on FLAIR",
    "pre_level": "middle grey level of the head on T1 before contrast",
    "post_level": "middle grey level of the head on T1 after contrast",
    "dark_slices": "share of slices with nearly nothing in them",
}
"""Name of a number -> what it is, in words."""

NEARLY_NOTHING = 0.05
"""Of the brightest slice's mean FLAIR level."""


def appearance(images: np.ndarray) -> dict[str, float]:
    """The numbers of :data:`FEATURES`.

    Parameters
    ----------
    images : uint8 (n, 256, 256, 3)
        All slices of one patient.

    Returns
    -------
    dict of float
        Shares and ratios; NaN where there is no head, a channel has one grey level, or FLAIR stands in for it.
    """
    head = head_silhouette(images)
    found = dict.fromkeys(FEATURES, float("nan")) | {"head_share": float(head.mean())}
    if head.any():
        height, width = (np.ptp(np.flatnonzero(head.any(axis=axis))) + 1 for axis in (1, 0))
        found["head_shape"] = float(height / width)
        for name, channel in (("pre", PRE), ("flair", FLAIR), ("post", POST)):
            if channel != FLAIR and np.array_equal(images[..., channel], images[..., FLAIR]):
                continue
            inside = images[:, head, channel]
            low, high = np.percentile(inside, PERCENTILES)
            if high > low:
                levels = np.clip((inside - low) / (high - low), 0, 1)
                found[f"{name}_level"] = float(np.median(levels))
                if name == "flair":
                    found["flair_spread"] = float(levels.std())
    means = images[..., FLAIR].mean(axis=(1, 2))
    found["dark_slices"] = float(np.mean(means < NEARLY_NOTHING * means.max())) if means.max() > 0 else 1.0
    return found


def strangeness(features: pd.DataFrame | dict[str, float], others: pd.DataFrame) -> pd.DataFrame:
    """How far each number lies from its mean in other patients, in standard deviations of theirs, of at least 0.01.

    Not in distances from the median, as robust measures count: most patients have no dark slice, so that any dark slice
    would lie endlessly far.

    Parameters
    ----------
    features : DataFrame or dict
        Of one patient a row, columns of :data:`FEATURES`.
    others : DataFrame
        Of the patients that a network was trained on.

    Returns
    -------
    DataFrame
        Of the same rows and columns; 0 for a number that is missing.
    """
    found = pd.DataFrame([features]) if isinstance(features, dict) else features[list(FEATURES)]
    known = others[list(FEATURES)]
    return ((found - known.mean()).abs() / np.maximum(known.std(), 0.01)).fillna(0.0)


def agreement(masks: Sequence[np.ndarray]) -> float:
    """Mean Dice of the pairs of some masks of one volume; 1 of two empty ones, NaN of one mask alone."""
    scores = [float(dice(confusion(first, second), empty=1)) for first, second in itertools.combinations(masks, 2)]
    return float(np.mean(scores)) if scores else float("nan")


def volume_spread(masks: Sequence[np.ndarray]) -> float:
    """The range of the masks' volumes, as a share of their mean; NaN of one mask, or of empty ones."""
    volumes = [np.count_nonzero(mask) for mask in masks]
    return float(np.ptp(volumes) / np.mean(volumes)) if len(masks) > 1 and any(volumes) else float("nan")


def agreement_threshold(patients: pd.DataFrame) -> float:
    """The agreement below which the lowest fifth of the patients lies; ``agreement`` is a column of theirs."""
    return float(patients["agreement"].quantile(0.2))


def warning(agreed: float, images: np.ndarray) -> str:
    """Why a prediction should not be trusted, by what was measured on held-out patients; empty where nothing speaks so.

    Parameters
    ----------
    agreed : float
        From :func:`agreement`, of the looks of networks by default; NaN of others, of which nothing was measured.
    images : uint8 (n, 256, 256, 3)
        All slices of the patient.
    """
    if not has_tables(QUALITY):
        return ""
    known = read_table(QUALITY, "patients").dropna(subset=["dice", "agreement"])
    features = appearance(images)
    said = []
    threshold = agreement_threshold(known)
    if agreed < threshold:
        said.append(
            f"Mirror images of the slices give other masks: the two share a Dice of {agreed:.2f}. "
            + _of_such(known, known["agreement"] < threshold, "with so little agreement")
        )
    far = strangeness(features, known).iloc[0]
    if far.max() > FAR:
        said.append(f"Unusual for these networks: {', '.join(FEATURES[name] for name in far.index[far > FAR])}.")
    for name, sequence in (("pre_level", SEQUENCES[PRE]), ("post_level", SEQUENCES[POST])):
        if np.isnan(features[name]):
            said.append(f"FLAIR stands in for the {sequence}. " + _of_such(known, known[name].isna(), "like that"))
    return " ".join(said)


def _of_such(known: pd.DataFrame, such: pd.Series, what: str) -> str:
    """What was measured on patients of a kind, in a sentence."""
    if not such.any():
        return f"No held-out patient was {what}, so it was not measured what that does."
    return (
        f"On the {such.sum()} held-out patients {what} the mean Dice was {known.loc[such, 'dice'].mean():.2f}, on the "
        f"others {known.loc[~such, 'dice'].mean():.2f}."
    )
