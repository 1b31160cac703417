"""From tissue to signal: pre-contrast T1, FLAIR and post-contrast T1, noise-free.

Signals are fractions of subcutaneous fat, which is the brightest tissue on all three sequences. The numbers are
read off the real cohort's histograms by eye and then fixed by the calibration; they are not physical units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brainseg.cohort import FLAIR, POST
from brainseg.phantom.anatomy import Head, sample
from brainseg.phantom.fields import Block, SmoothNoise, bump, exponential, ramp
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

TISSUES = ("air", *(name for name in SIGNAL if name not in ("lesion", "cyst")))
"""What a pixel may be made of; its place here is its label."""

# Log standard deviation of the lesion's signal from patient to patient, beside what `conspicuity` does to FLAIR.
LESION_SPREAD = (0.15, 0.0, 0.15)


@dataclass(frozen=True)
class Anatomy:
    """What lies at every pixel of a block: fractions 0..1 by tissue name, which sum to 1 inside the head.

    `cranium_mm` and `outline_mm` are the distances of :class:`brainseg.phantom.anatomy.Head`.
    """

    fractions: dict[str, np.ndarray]
    cranium_mm: np.ndarray
    outline_mm: np.ndarray

    def labels(self) -> np.ndarray:
        """The place in `TISSUES` of what most of each pixel is made of: uint8."""
        parts = np.stack([self.fractions[name] for name in TISSUES[1:]])
        labels = parts.argmax(axis=0).astype(np.uint8) + np.uint8(1)
        return np.where(parts.sum(axis=0) < 0.5, np.uint8(0), labels)


class Tissues:
    """One person's tissues, which sort the pixels of a block.

    Parameters
    ----------
    axes_mm : the patient's own (slice, row, column) coordinates in mm, along which random texture is drawn
    fluid_bias : widens (above 0) or narrows the sulci and ventricles
    """

    def __init__(self, axes_mm: tuple[np.ndarray, ...], fluid_bias: float, rng: np.random.Generator):
        self._widened = float(np.exp(fluid_bias))
        # Flesh over the bone differs between people and round one head.
        self._flesh_mm = float(rng.uniform(-2.0, 2.5))
        self._flesh, self._bone, self._marrow, self._bands, self._air = (
            SmoothNoise(axes_mm, length_mm, rng) for length_mm in (30.0, 35.0, 14.0, 4.5, 3.5)
        )

    def at(self, head: Head, points: np.ndarray, block: Block) -> Anatomy:
        """Sort the pixels of a block, whose MNI coordinates in mm are `points` (3, n, h, w), h and w odd."""
        # Distances bend slowly, so every second pixel tells of its neighbours.
        cranium, outline = (_doubled(part) for part in sample((head.cranium, head.outline), points[..., ::2, ::2]))
        outline += self._flesh_mm
        outline += self._flesh.on(block)
        bone_mm = 5.5 + 1.2 * self._bone.on(block)
        skull_in = ramp(cranium, 0.8, 1.6)
        skull_out = ramp(cranium - bone_mm, 0.8, 1.6)
        inside = 1.0 - ramp(outline, 0.0, 1.6)

        fractions = _sharpened(*sample((head.grey, head.white), points), self._widened)
        for part in fractions.values():
            part *= 1 - skull_in
        bone = skull_in * (1 - skull_out) * inside
        middle = 1.0 - np.clip(np.abs((cranium - 0.8) / bone_mm - 0.5) / 0.28, 0, 1)
        fractions["marrow"] = bone * middle * ramp(self._marrow.on(block), -0.2, 1.5)
        fractions["bone"] = bone - fractions["marrow"]

        flesh = skull_out * inside
        skin = flesh * (1.0 - ramp(-outline, 2.2, 1.4))
        muscle, air, eye = self._face(head, points, cranium, outline, block)
        fractions["eye"] = flesh * eye
        flesh *= (1 - eye) * (1 - air)
        fractions["skin"] = skin * (1 - eye) * (1 - air)
        flesh -= fractions["skin"]
        fractions["muscle"] = flesh * muscle
        fractions["fat"] = flesh - fractions["muscle"]
        return Anatomy(fractions, cranium, outline)

    def _face(self, head: Head, points: np.ndarray, cranium: np.ndarray, outline: np.ndarray, block: Block):
        """Shares of muscle, air and eye in the flesh. Over the vault it is scalp, nearly all fat.

        Below it is muscle, fat, air and bone in bands.
        """
        x, y, z = points
        side = np.abs(x)
        temple = ramp(0.25 * y - z, -28.0, 20.0) * ramp(side, 52.0, 10.0) * ramp(y, -20.0, 40.0)
        temple *= 0.8 * ramp(cranium, 8.5, 3.0)
        if z.min() > -10:
            return temple, np.float32(0), np.float32(0)
        below = ramp(-z, 22.0, 24.0) * ramp(cranium, 7.0, 8.0)
        muscle = np.maximum(below * ramp(self._bands.on(block), -0.35, 0.9), temple)
        nose = ramp(y, 38.0, 30.0) * (1 - ramp(side, 26.0, 14.0)) * below
        pharynx = 1 - ramp(_length(x, (y - 10.0) * 0.8), 14.0, 8.0)
        mastoid = 1 - ramp(_length(side - 52, y + 32.0), 20.0, 10.0)
        hollow = np.clip(nose + pharynx * ramp(-z, 45.0, 8.0) + 0.9 * mastoid * below, 0, 1)
        air = hollow * ramp(self._air.on(block), -0.2, 0.5) * ramp(-outline, 5.0, 4.0)
        eye = 1.0 - ramp(_doubled(head.eyes.sample(points[..., ::2, ::2])), 0.0, 1.5)
        return muscle, air, eye


class Signals:
    """One patient's contrasts and lesion: the three noise-free signals of a block."""

    def __init__(self, plan: PatientPlan, axes_mm: tuple[np.ndarray, ...], rng: np.random.Generator):
        self._plan = plan
        self._sharpness = float(rng.uniform(3.0, 8.0))
        self._cyst = (float(rng.uniform(0.5, 0.75)), 0.3) if plan.cyst else None
        self._contrast = float(np.exp(0.45 * plan.conspicuity - 0.05 * plan.conspicuity**2))
        self._levels = []
        for channel in range(3):
            level = {name: float(values[channel] * rng.normal(1.0, 0.05)) for name, values in SIGNAL.items()}
            level["lesion"] *= float(np.exp(rng.normal(0.0, LESION_SPREAD[channel])))
            self._levels.append(level)
        # Bright spots on FLAIR come with age.
        amount = float(np.clip((plan.age - 35) / 40, 0.0, 1.0) * rng.uniform(0.3, 1.0))
        self._rarity = 3.1 - 0.7 * amount
        lengths_mm = {
            "edge": 2.5, "clouds": 8.0, "specks": 2.5, "lobes": 8.0, "patches": 4.0, "grain": 1.5, "bands": 5.0,
            "spots": 3.0, "regions": 15.0, "vessels": 1.6,
        }  # fmt: skip
        self._fields = {name: SmoothNoise(axes_mm, length_mm, rng) for name, length_mm in lengths_mm.items()}

    def of(self, anatomy: Anatomy, tumour: Tumour, points: np.ndarray, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """The signals, and the tumour density that the mask is drawn from.

        Returns
        -------
        signal : (3, n, h, w) float32, fraction of fat
        density : (n, h, w) float32, 0..1
        """
        fractions = anatomy.fractions
        brain = fractions["white"] + fractions["grey"]
        # Living tissue is not of one grey, not even in one fraction.
        fine = self._fields["grain"].on(block)
        grain = 1.0 + (0.05 * fine + 0.03 * self._fields["bands"].on(block)) * brain
        spots = self._fields["spots"].on(block) + 0.6 * self._fields["regions"].on(block)
        spots = ramp(spots, self._rarity, 0.8) * fractions["white"]
        signal = np.empty((3, *brain.shape), np.float32)
        for channel, level in enumerate(self._levels):
            signal[channel] = sum(part * level[name] for name, part in fractions.items())
        signal[FLAIR] += 0.22 * spots
        density = np.zeros(brain.shape, np.float32)
        if (place := tumour.place(points)) is not None:
            inner = tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(block, place, strict=True))
            part = {name: values[place] for name, values in fractions.items()}
            density[place] = self._lesion(
                signal[(slice(None), *place)], part, tumour, points[(slice(None), *place)], inner
            )
        for channel in range(3):
            signal[channel] *= grain
        signal[POST] += self._vessels(anatomy, points, block)
        return signal, density

    def _lesion(self, signal, fractions, tumour: Tumour, points, block: Block) -> np.ndarray:
        """Paint the tumour into `signal`, a view, and return its density."""
        on = {name: self._fields[name].on(block) for name in ("edge", "clouds", "specks", "lobes", "patches", "grain")}
        brain, fluid = fractions["white"] + fractions["grey"], fractions["fluid"]
        density, depth = sample((tumour.density, tumour.depth), points)
        # Cortex takes up less than white matter, and fluid nothing, so the border runs along the folds. Both the
        # picture and the mask follow from this one density.
        density *= 1.0 - 0.45 * fractions["grey"] - 0.9 * fluid
        density *= exponential(0.15 * on["edge"])
        density *= brain + fluid
        # Oedema is uneven: broad clouds and a finer grain.
        shown = visible(density, self._sharpness)
        shown *= np.clip(1.0 + 0.18 * on["clouds"] + 0.15 * on["specks"], 0.3, 1.5)
        # Solid tumour replaces brain, and most of the fluid that the average brain shows between its folds.
        weight = shown * (brain + 0.6 * fluid)
        cyst = None
        if self._cyst:
            cyst = ramp(depth + 0.15 * on["lobes"], *self._cyst) * ramp(density, 0.6, 0.3)
        for channel, level in enumerate(self._levels):
            contrast = self._contrast if channel == FLAIR else 1.0
            lesion = level["white"] + (level["lesion"] - level["white"]) * contrast
            signal[channel] += weight * (lesion - signal[channel])
            if cyst is not None:
                signal[channel] += cyst * (brain + fluid) * (level["cyst"] - signal[channel])
        if self._plan.enhancement:
            patches = ramp(on["patches"] + on["grain"] + 2.0 * depth, 2.2, 2.0) * ramp(density, 0.6, 0.4)
            if cyst is not None:
                patches = np.maximum(patches * (1 - cyst), 4.0 * cyst * (1 - cyst))
            signal[POST] += self._plan.enhancement * patches
        return density

    def _vessels(self, anatomy: Anatomy, points: np.ndarray, block: Block) -> np.ndarray:
        """What gadolinium adds in everyone: dura, sinus and vessels."""
        x, y, _ = points
        dura = bump(anatomy.cranium_mm, 0.5, 2.4) * (anatomy.outline_mm < 0)
        sinus = bump(x, 0.0, 8.0) * bump(anatomy.cranium_mm, -1.5, 8.0) * (y < 20)
        vessels = ramp(self._fields["vessels"].on(block), 1.9, 0.8) * ramp(anatomy.fractions["fluid"], 0.35, 0.4)
        return 0.10 * dura + 0.45 * sinus + 0.35 * vessels


def _sharpened(grey: np.ndarray, white: np.ndarray, widened: float) -> dict[str, np.ndarray]:
    """Turn the average brain's blurred fractions into one brain's clearer folds."""
    fluid = np.clip(1.0 - grey - white, 0.0, 1.0) * widened
    # The power 2.25, as two roots and two products.
    powers = {"grey": grey, "white": white, "fluid": fluid}
    powers = {name: part * part * np.sqrt(np.sqrt(part)) for name, part in powers.items()}
    total = sum(powers.values()) + 1e-6
    return {name: part / total for name, part in powers.items()}


def _doubled(values: np.ndarray) -> np.ndarray:
    """Rows and columns between those of (n, h, w), by the mean of their neighbours: (n, 2 h - 1, 2 w - 1)."""
    number, height, width = values.shape
    result = np.empty((number, 2 * height - 1, 2 * width - 1), np.float32)
    result[:, ::2, ::2] = values
    result[:, 1::2, ::2] = (values[:, 1:] + values[:, :-1]) * 0.5
    result[:, :, 1::2] = (result[:, :, 2::2] + result[:, :, :-2:2]) * 0.5
    return result


def _length(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(a * a + b * b)
