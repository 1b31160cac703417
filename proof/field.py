"""The study's metrics beside those of MONAI, on mask pairs that are random, drawn to be awkward, or a phantom's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import ndimage

from brainseg import metrics

TOLERANCES_PX = (1.0, 2.0)
SIDE = 48
LIMITS = {"Dice": 1e-6, "IoU": 1e-6, "HD95": 1e-5, "NSD 1 px": 1e-6, "NSD 2 px": 1e-6}
"""How far the two may lie apart. MONAI takes percentiles of distances in single precision, between two of them."""


def pairs(number: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of masks, bool (48, 48): awkward ones first, then blobs and noise at random; all empties among them.

    Parameters
    ----------
    number : int
        How many.
    seed : int
    """
    rng = np.random.default_rng(seed)
    awkward = list(_awkward())
    for place in range(number):
        if place < len(awkward) ** 2:
            yield awkward[place // len(awkward)], awkward[place % len(awkward)]
        else:
            first = _blob(rng)
            yield first, _near(first, rng) if rng.random() < 0.7 else _blob(rng)


def _awkward() -> Iterator[np.ndarray]:
    """Nothing, all, a pixel, a corner, a frame, a line, a checkerboard, two parts, a ring."""
    empty = np.zeros((SIDE, SIDE), bool)
    yield empty
    yield ~empty
    for rows, columns in (
        (20, 20),
        (0, 0),
        (slice(0, 1), slice(None)),
        (slice(None), 30),
        (slice(5, 9), slice(40, 48)),
    ):
        mask = empty.copy()
        mask[rows, columns] = True
        yield mask
    yield np.indices(empty.shape).sum(0) % 2 == 0
    ring = empty.copy()
    ring[10:30, 10:30] = True
    ring[15:25, 15:25] = False
    yield ring
    frame = ~empty
    frame[1:-1, 1:-1] = False
    yield frame


def _blob(rng: np.random.Generator) -> np.ndarray:
    smooth = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), rng.uniform(0.5, 5))
    return smooth > np.quantile(smooth, rng.uniform(0.5, 0.999))


def _near(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask moved, grown or shrunk, and with some pixels turned."""
    changed = np.roll(mask, rng.integers(-3, 4, 2), (0, 1))
    change = (ndimage.binary_dilation, ndimage.binary_erosion, lambda given: given)[rng.integers(3)]
    changed = change(changed)
    return changed ^ (rng.random(mask.shape) < rng.choice([0, 0.001, 0.02]))


def ours(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Dice, IoU, HD95 and surface Dice of a pair, as the study computes them; NaN where it has none."""
    counts = metrics.confusion(truth, prediction)
    hd95, shares = metrics.border_scores(truth, prediction, TOLERANCES_PX)
    found = {"Dice": metrics.dice(counts, empty=np.nan), "IoU": metrics.iou(counts, empty=np.nan), "HD95": hd95}
    return {name: float(value) for name, value in found.items()} | _named(shares)


def monai(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """The same by MONAI, with its defaults where the study has a choice."""
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou, compute_surface_dice

    said, true = (torch.from_numpy(mask[None, None].astype(float)) for mask in (prediction, truth))
    found = {"Dice": compute_dice(said, true), "IoU": compute_iou(said, true)}
    found["HD95"] = compute_hausdorff_distance(said, true, include_background=True, percentile=95)
    shares = [
        float(compute_surface_dice(said, true, [tolerance], include_background=True)) for tolerance in TOLERANCES_PX
    ]
    return {name: float(value) for name, value in found.items()} | _named(shares)


def _named(shares) -> dict[str, float]:
    return {f"NSD {tolerance:g} px": float(share) for tolerance, share in zip(TOLERANCES_PX, shares, strict=True)}


def compare(number: int, seed: int = 0) -> pd.DataFrame:
    """The largest difference of each metric over pairs of which neither mask is empty: ``metric, pairs, largest``."""
    import warnings

    gaps = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI warns of what it does with empty masks
        for truth, prediction in pairs(number, seed):
            if truth.any() and prediction.any():
                mine, theirs = ours(truth, prediction), monai(truth, prediction)
                # Of a distance relative to itself: MONAI computes in single precision.
                gaps.append({name: abs(mine[name] - theirs[name]) / max(mine[name], 1) for name in mine})
    table = pd.DataFrame(gaps)
    return pd.DataFrame({"metric": table.columns, "pairs": len(table), "largest": table.max().to_numpy()})


def empties() -> pd.DataFrame:
    """What both say where a mask is empty: ``truth, prediction, metric, ours, monai``."""
    import warnings

    empty, some = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    some[10:20, 10:20] = True
    cases = {("empty", "empty"): (empty, empty), ("empty", "tumour"): (empty, some), ("tumour", "empty"): (some, empty)}
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for (truth, prediction), pair in cases.items():
            mine, theirs = ours(*pair), monai(*pair)
            rows += [
                {"truth": truth, "prediction": prediction, "metric": name, "ours": mine[name], "monai": theirs[name]}
                for name in mine
            ]
    return pd.DataFrame(rows)
