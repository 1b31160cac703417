"""From tissue to signal: pre-contrast T1, FLAIR and post-contrast T1, noise-free.

Signals are fractions of subcutaneous fat, which is the brightest tissue on all three sequences. The numbers are
read off the real cohort's histograms by eye and then fixed by the calibration; they are not physical units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brainseg.cohort import FLAIR, POST
from brainseg.phantom.anatomy import Head
from brainseg.phantom.fields import ramp, smooth_noise
from brainseg.phantom.plan import PatientPlan
from brainseg.phantom.tumour import Tumour, visible

#           pre    FLAIR  post
SIGNAL = {
    "white": (0.45, 0.37, 0.44),
    "grey": (0.39, 0.45, 0.41),
    "fluid": (0.20, 0.09, 0.19),
    "bone": (0.05, 0.04, 0.05),
    "marrow": (0.38, 0.26, 0.42),
    "fat": (1.00, 0.90, 1.00),
    "skin": (0.70, 0.65, 0.75),
    "muscle": (0.34, 0.24, 0.44),
    "eye": (0.20, 0.10, 0.22),
    "lesion": (0.33, 0.66, 0.35),
    "cyst": (0.22, 0.26, 0.22),
}

# Log standard deviation of the lesion's signal from patient to patient, beside what `conspicuity` does to FLAIR.
LESION_SPREAD = (0.15, 0.0, 0.15)


@dataclass(frozen=True)
class Anatomy:
    """What lies at every pixel: fractions 0..1 (n, 256, 256) by tissue name, which sum to 1 inside the head."""

    fractions: dict[str, np.ndarray]
    cranium_mm: np.ndarray
    outline_mm: np.ndarray


def tissue_at(
    head: Head, points: np.ndarray, axes_mm: tuple[np.ndarray, ...], fluid_bias: float, rng: np.random.Generator
) -> Anatomy:
    """Sort every pixel into tissues.

    Parameters
    ----------
    points : (3, n, 256, 256) float32, MNI mm
    axes_mm : the patient's own (slice, row, column) coordinates in mm, along which random texture is drawn
    fluid_bias : widens (above 0) or narrows the sulci and ventricles
    """
    cranium = head.cranium.sample(points, outside=60.0)
    outline = head.outline.sample(points, outside=60.0)
    # Flesh over the bone differs between people and round one head.
    outline = outline + rng.uniform(-2.0, 2.5) + 1.0 * smooth_noise(axes_mm, 30.0, rng)
    near = outline < 5.0
    bone_mm = 5.5 + 1.2 * smooth_noise(axes_mm, 35.0, rng)
    skull_in = ramp(cranium, 0.8, 1.6)
    skull_out = ramp(cranium, 0.8 + bone_mm, 1.6)
    inside = 1.0 - ramp(outline, 0.0, 1.6)

    brain = _sharpened(head.grey.sample(points, where=near), head.white.sample(points, where=near), fluid_bias)
    fractions = {name: part * (1 - skull_in) for name, part in brain.items()}
    bone = skull_in * (1 - skull_out) * inside
    middle = 1.0 - np.clip(np.abs((cranium - 0.8) / bone_mm - 0.5) / 0.28, 0, 1)
    fractions["marrow"] = bone * middle * ramp(smooth_noise(axes_mm, 14.0, rng), -0.2, 1.5)
    fractions["bone"] = bone - fractions["marrow"]

    flesh = skull_out * inside
    skin = 1.0 - ramp(-outline, 2.2, 1.4)
    # Over the vault the flesh is scalp, nearly all fat; below it, muscle, fat, air and bone in bands.
    x, y, z = points
    below = ramp(-z, 22.0, 24.0) * ramp(cranium, 7.0, 8.0)
    temple = ramp(-z + 0.25 * y, -28.0, 20.0) * ramp(np.abs(x), 52.0, 10.0) * ramp(y, -20.0, 40.0)
    bands = smooth_noise(axes_mm, 4.5, rng)
    muscle = np.maximum(below * ramp(bands, -0.35, 0.9), 0.8 * temple * ramp(cranium, 8.5, 3.0))
    nose = ramp(y, 38.0, 30.0) * (1 - ramp(np.abs(x), 26.0, 14.0)) * below
    pharynx = 1 - ramp(np.hypot(x, (y - 10.0) * 0.8), 14.0, 8.0)
    mastoid = 1 - ramp(np.hypot(np.abs(x) - 52, y + 32.0), 20.0, 10.0)
    hollow = np.clip(nose + pharynx * ramp(-z, 45.0, 8.0) + 0.9 * mastoid * below, 0, 1)
    air = hollow * ramp(smooth_noise(axes_mm, 3.5, rng), -0.2, 0.5) * ramp(-outline, 5.0, 4.0)
    eye = 1.0 - ramp(head.eyes.sample(points, outside=60.0, where=near), 0.0, 1.5)

    fractions["eye"] = flesh * eye
    flesh = flesh * (1 - eye) * (1 - air)
    fractions["skin"] = flesh * skin
    fractions["muscle"] = flesh * (1 - skin) * muscle
    fractions["fat"] = flesh * (1 - skin) * (1 - muscle)
    return Anatomy(fractions, cranium, outline)


def signals(
    anatomy: Anatomy,
    tumour: Tumour,
    plan: PatientPlan,
    points: np.ndarray,
    axes_mm: tuple[np.ndarray, ...],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The three noise-free signals, and the tumour density that the mask is drawn from.

    Returns
    -------
    signal : (3, n, 256, 256) float32, fraction of fat
    density : (n, 256, 256) float32, 0..1
    """
    fractions = anatomy.fractions
    brain = fractions["white"] + fractions["grey"]
    fluid = fractions["fluid"]
    density = tumour.density.sample(points, where=anatomy.cranium_mm < 1.0)
    # Cortex takes up less than white matter, and fluid nothing, so the border runs along the folds. Both the picture
    # and the mask follow from this one density.
    density *= 1.0 - 0.45 * fractions["grey"] - 0.9 * fluid
    density *= np.exp(0.15 * smooth_noise(axes_mm, 2.5, rng))
    sharpness = rng.uniform(3.0, 8.0)
    # Oedema is uneven: broad clouds and a finer grain.
    clouds = 1.0 + 0.18 * smooth_noise(axes_mm, 8.0, rng) + 0.15 * smooth_noise(axes_mm, 2.5, rng)
    shown = visible(density, sharpness) * np.clip(clouds, 0.3, 1.5)
    depth = tumour.depth.sample(points, where=density > 0.01)
    # Living tissue is not of one grey, not even in one fraction.
    grain = 1.0 + (0.05 * smooth_noise(axes_mm, 1.5, rng) + 0.03 * smooth_noise(axes_mm, 5.0, rng)) * brain
    cyst = np.zeros_like(shown)
    if plan.cyst:
        lobed = depth + 0.15 * smooth_noise(axes_mm, 8.0, rng)
        cyst = ramp(lobed, rng.uniform(0.5, 0.75), 0.3) * ramp(density, 0.6, 0.3)

    contrast = np.exp(0.45 * plan.conspicuity - 0.05 * plan.conspicuity**2)
    result = np.empty((3, *density.shape), np.float32)
    for channel in range(3):
        level = {name: values[channel] * rng.normal(1.0, 0.05) for name, values in SIGNAL.items()}
        level["lesion"] *= np.exp(rng.normal(0.0, LESION_SPREAD[channel]))
        healthy = sum(part * level[name] for name, part in fractions.items())
        lesion = level["white"] + (level["lesion"] - level["white"]) * (contrast if channel == FLAIR else 1.0)
        # Solid tumour replaces brain, and most of the fluid that the average brain shows between its folds.
        weight = shown * (brain + 0.6 * fluid)
        result[channel] = healthy + weight * (lesion - healthy)
        result[channel] += cyst * (brain + fluid) * (level["cyst"] - result[channel])
        result[channel] *= grain
    result[FLAIR] += _hyperintensities(anatomy, plan, axes_mm, rng) * (1 - shown) * 0.22
    result[POST] += _enhancement(anatomy, plan, points, density, depth, cyst, axes_mm, rng)
    return result, density


def _sharpened(grey: np.ndarray, white: np.ndarray, fluid_bias: float) -> dict[str, np.ndarray]:
    """Turn the average brain's blurred fractions into one brain's clearer folds."""
    fluid = np.clip(1.0 - grey - white, 0.0, 1.0)
    powers = {"grey": grey**2.2, "white": white**2.2, "fluid": (fluid * np.exp(fluid_bias)) ** 2.2}
    total = sum(powers.values()) + 1e-6
    return {name: part / total for name, part in powers.items()}


def _hyperintensities(anatomy: Anatomy, plan: PatientPlan, axes_mm, rng: np.random.Generator) -> np.ndarray:
    """Bright spots and rims on FLAIR that are no tumour: they come with age and keep a threshold from sufficing."""
    amount = np.clip((plan.age - 35) / 40, 0.0, 1.0) * rng.uniform(0.3, 1.0)
    spots = ramp(smooth_noise(axes_mm, 3.0, rng) + 0.6 * smooth_noise(axes_mm, 15.0, rng), 3.1 - 0.7 * amount, 0.8)
    return spots * anatomy.fractions["white"]


def _enhancement(anatomy, plan, points, density, depth, cyst, axes_mm, rng) -> np.ndarray:
    """What gadolinium adds: vessels and dura in everyone, patches or a rim of the tumour in some."""
    x, y, _ = points
    dura = np.exp(-(((anatomy.cranium_mm - 0.5) / 1.2) ** 2)) * (anatomy.outline_mm < 0)
    sinus = np.exp(-((x / 4.0) ** 2) - (((anatomy.cranium_mm + 1.5) / 4.0) ** 2)) * (y < 20)
    vessels = ramp(smooth_noise(axes_mm, 1.6, rng), 1.9, 0.8) * ramp(anatomy.fractions["fluid"], 0.35, 0.4)
    added = 0.10 * dura + 0.45 * sinus + 0.35 * vessels
    if plan.enhancement:
        grain = smooth_noise(axes_mm, 4.0, rng) + smooth_noise(axes_mm, 1.5, rng)
        patches = ramp(grain + 2.0 * depth, 2.2, 2.0) * ramp(density, 0.6, 0.4)
        rim = 4.0 * cyst * (1 - cyst)
        added += plan.enhancement * np.maximum(patches * (1 - cyst), rim)
    return added
