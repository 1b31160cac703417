"""The synthetic cohort beside real patients, in numbers: what the phantom was set to, before any training.

    python benchmarks/calibrate_phantom.py --real FOLDER

prints a table of both cohorts and writes it to results/phantom_calibration.csv. Without --real it prints the
phantom's column alone and writes nothing. The real patients are the 20 of the development set, and no others. The
numbers describe images and masks; no network has a part in them.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import ndimage, stats

from brainseg.cohort import FLAIR, POST, PRE, index_cohort, read_patient
from brainseg.data import get_cohort
from brainseg.experiments.synthetic import development_patients
from brainseg.images.visibility import contrast_to_noise, separability, surrounding_ring
from brainseg.phantom.anatomy import Head, load_head
from brainseg.phantom.cohort import draw_patient
from brainseg.phantom.plan import PatientPlan, plan_cohort

NEAR_BLACK_LEVEL = 40
"""A frame is nearly black when 99 % of its pixels are darker than this on FLAIR (of 255)."""

BAND_PX = 12
SMOOTHED_PX = 1.5
"""Standard deviation of the smoothing before a tumour is asked whether it can be seen: an eye averages over the
noise."""

BORDER_PX = (-6, -3, -1, 1, 3, 6)
RESULT = Path(__file__).resolve().parent.parent / "results" / "phantom_calibration.csv"


def measure_patient(images: np.ndarray, masks: np.ndarray) -> tuple[pd.DataFrame, dict]:
    """Measures of one patient.

    Parameters
    ----------
    images : (n, 256, 256, 3) uint8
    masks : (n, 256, 256) bool

    Returns
    -------
    slices : DataFrame, one row a slice; the lesion's columns are NaN where the mask is empty
    patient : dict of the volume's measures
    """
    rows = [_measure_slice(image, mask) for image, mask in zip(images, masks, strict=True)]
    slices = pd.DataFrame(rows)
    near = np.stack([mask | surrounding_ring(mask, gap_px=0, ring_px=BAND_PX) for mask in masks])
    patient = {
        "slices": len(images),
        "tumour_share": float(masks.any(axis=(1, 2)).mean()),
        "tumour_px": int(masks.sum()),
        "height_px": slices["height_px"].quantile(0.9),
        "width_px": slices["width_px"].quantile(0.9),
        "threshold_dice": _best_threshold_dice(images[..., FLAIR][near], masks[near]),
        # A reader drew this tumour, so in its usual slice something of it must have been visible.
        "brightest_tenth": slices["brightest_tenth"].median() if "brightest_tenth" in slices else np.nan,
        "missing_pre": bool((images[..., PRE] == images[..., FLAIR]).all()),
        "missing_post": bool((images[..., POST] == images[..., FLAIR]).all()),
    }
    return slices, patient


def _measure_slice(image: np.ndarray, mask: np.ndarray) -> dict:
    flair = image[..., FLAIR]
    bright = np.percentile(flair, 99)
    head = cv2.morphologyEx((flair > max(8, 0.15 * bright)).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    rows, columns = np.flatnonzero(head.any(1)), np.flatnonzero(head.any(0))
    row = {
        "near_black": bool(bright < NEAR_BLACK_LEVEL),
        "mean_flair": float(flair.mean()),
        "corner_noise": float(flair[:12, :12].std()),
        "height_px": np.ptp(rows) + 1 if len(rows) else np.nan,
        "width_px": np.ptp(columns) + 1 if len(columns) else np.nan,
    }
    if not mask.any():
        return row
    # The ring may hold brain and fluid, but neither air nor the scalp, which is far brighter than brain.
    inside = head.astype(bool) & (flair < 0.8 * max(bright, 1))
    ring = surrounding_ring(mask, inside)
    if not ring.any():
        return row
    lesion_level, ring_level = (float(np.median(flair[region])) for region in (mask, ring))
    smooth = cv2.GaussianBlur(flair.astype(np.float32), (0, 0), SMOOTHED_PX)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    length = sum(cv2.arcLength(contour, True) for contour in contours)
    row |= {
        "area_px": int(mask.sum()),
        "flair_ratio": lesion_level / max(ring_level, 1),
        "pre_ratio": float(np.median(image[..., PRE][mask])) / max(float(np.median(image[..., PRE][ring])), 1),
        "cnr": contrast_to_noise(flair, mask, ring),
        "separability": separability(flair, mask, ring),
        "brightest_tenth": float(np.quantile(smooth[mask], 0.9) - smooth[ring].mean())
        / max(float(smooth[ring].std()), 0.1),
        "texture": float(flair[mask].std()) / max(lesion_level, 1),
        "ring_texture": float(flair[ring].std()) / max(ring_level, 1),
        "raggedness": length**2 / (4 * np.pi * mask.sum()),
        "parts": len(contours),
    }
    if lesion_level > ring_level + 2:
        distance = ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)
        for px in BORDER_PX:
            shell = (np.abs(distance - px) < 0.75) & (mask | inside)
            if shell.any():
                level = (float(np.median(flair[shell])) - ring_level) / (lesion_level - ring_level)
                row[f"border_{px}"] = level
    return row


def _best_threshold_dice(values: np.ndarray, truth: np.ndarray) -> float:
    """The best Dice that one threshold on FLAIR can reach near the tumour, when the truth chooses it."""
    if not truth.any():
        return float("nan")
    inside, outside = (np.bincount(values[part], minlength=256)[::-1].cumsum() for part in (truth, ~truth))
    return float((2 * inside / (inside + outside + truth.sum())).max())


def measure_cohort(root: Path, patients: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measures of all slices and of all patients, of those of a cohort that are named; as `measure_patient`."""
    table = index_cohort(root)
    jobs = [rows for patient, rows in table.groupby("patient") if patient in patients]
    with ProcessPoolExecutor() as pool:
        parts = list(pool.map(_measure_rows, jobs))
    return pd.concat([part[0] for part in parts], ignore_index=True), pd.DataFrame([part[1] for part in parts])


def measure_phantom(plans: Sequence[PatientPlan]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same of phantom patients, which are drawn for it; no file is written."""
    head = load_head()
    parts = Parallel(n_jobs=-1)(delayed(_measure_plan)(plan, head) for plan in plans)
    return pd.concat([part[0] for part in parts], ignore_index=True), pd.DataFrame([part[1] for part in parts])


def distance(phantom: tuple[pd.DataFrame, pd.DataFrame], real: tuple[pd.DataFrame, pd.DataFrame]) -> float:
    """How far two cohorts' measures lie apart: the mean of their Kolmogorov-Smirnov distances, 0 (alike) to 1."""
    return float(
        np.mean(
            [
                stats.ks_2samp(ours[name].dropna().astype(float), theirs[name].dropna().astype(float)).statistic
                for ours, theirs in zip(phantom, real, strict=True)
                for name in theirs.columns
            ]
        )
    )


def summarise(slices: pd.DataFrame, patients: pd.DataFrame) -> pd.Series:
    """Shares and quantiles of a cohort's measures, by name."""
    result = {
        "patients": len(patients),
        "slices": len(slices),
        "tumour slices, share": slices["area_px"].notna().mean(),
        "nearly black slices, share": slices["near_black"].mean(),
        "pre-contrast T1 missing, share of patients": patients["missing_pre"].mean(),
        "post-contrast T1 missing, share of patients": patients["missing_post"].mean(),
    }

    def quantiles(name: str, values: pd.Series, levels=(10, 50, 90)) -> None:
        result.update({f"{name}, {level} %": values.quantile(level / 100) for level in levels})

    quantiles("slices a patient", patients["slices"])
    quantiles("tumour slices a patient, share", patients["tumour_share"])
    quantiles("tumour a patient, px", patients["tumour_px"], (10, 25, 50, 75, 90))
    quantiles("tumour area, px", slices["area_px"], (10, 25, 50, 75, 90))
    quantiles("head height, px", patients["height_px"])
    quantiles("head width, px", patients["width_px"])
    quantiles("FLAIR mean, grey levels", slices["mean_flair"])
    quantiles("FLAIR noise in the corner, grey levels", slices["corner_noise"])
    quantiles("FLAIR lesion / ring", slices["flair_ratio"], (10, 25, 50, 75, 90))
    quantiles("FLAIR contrast-to-noise", slices["cnr"], (10, 25, 50, 75, 90))
    quantiles("FLAIR separability", slices["separability"])
    quantiles("FLAIR spread in the lesion / median", slices["texture"])
    quantiles("FLAIR spread in the ring / median", slices["ring_texture"])
    quantiles("T1 lesion / ring", slices["pre_ratio"])
    quantiles("mask raggedness (1 is a disc)", slices["raggedness"])
    quantiles("mask parts a slice", slices["parts"], (50, 90))
    for px in BORDER_PX:
        result[f"FLAIR {px:+d} px from the mask's border (lesion 1, ring 0)"] = slices[f"border_{px}"].median()
    quantiles("best Dice of a FLAIR threshold near the tumour", patients["threshold_dice"])
    quantiles(
        "brightest tenth of the lesion on FLAIR above its ring, SD of the ring",
        patients["brightest_tenth"],
        (0, 10, 50),
    )
    return pd.Series(result)


def _measure_rows(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict]:
    cv2.setNumThreads(1)
    return measure_patient(*read_patient(rows, rows["patient"].iloc[0]))


def _measure_plan(plan: PatientPlan, head: Head) -> tuple[pd.DataFrame, dict]:
    cv2.setNumThreads(1)
    drawing = draw_patient(plan, head)
    return measure_patient(drawing.images, drawing.masks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, help="folder with the real cohort in Kaggle's layout")
    parser.add_argument("--patients", type=int, default=24, help="of the phantom")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    measured = {"phantom": measure_phantom(plan_cohort(arguments.patients, arguments.seed)[0])}
    if arguments.real:
        measured["real"] = measure_cohort(get_cohort(arguments.real), set(development_patients()["patient"]))
        print(f"mean distance of a measure: {distance(**measured):.3f}")
    columns = {name: summarise(*measures) for name, measures in measured.items()}
    table = pd.DataFrame(columns).rename_axis("measure").round(3)
    print(table.to_string())
    if arguments.real:
        RESULT.parent.mkdir(exist_ok=True)
        table.to_csv(RESULT)


if __name__ == "__main__":
    main()
