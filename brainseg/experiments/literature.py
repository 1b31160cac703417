"""A phantom with contrasts of the literature, whose numbers were not fitted to the patients of this study.

Its heads are built and its tumours grow by the study's program. But grey levels follow from relaxation times and the
equations of the sequences, and what else the study's phantom was fitted in is drawn from wide ranges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from brainseg.cohort import FRAME
from brainseg.data import PhantomChange
from brainseg.experiments.ingredients import CHANGES, WIDE
from brainseg.phantom.anatomy import Head
from brainseg.phantom.cohort import Drawing
from brainseg.phantom.fields import Block
from brainseg.phantom.plan import Growth, PatientPlan
from brainseg.phantom.scanner import Pose, Scanner, slice_grid
from brainseg.phantom.sequences import Anatomy, Signals, Tissues
from brainseg.phantom.tumour import VISIBLE_DENSITY, grow
from brainseg.provenance import code_digest

LITERATURE = "from the literature"
"""The phantom's name in the tables."""

_CODE = (__name__, "brainseg.experiments.ingredients")
"""What draws it, beside the study's phantom."""

Range = tuple[float, float]


class Relaxation(NamedTuple):
    """How a tissue answers a pulse, as ranges over people and fields.

    Attributes
    ----------
    t1_ms : (float, float)
        At 1.5 and at 3 tesla.
    t2_ms : (float, float)
    density : (float, float)
        Of protons, as a share of water's.
    """

    t1_ms: Range
    t2_ms: Range
    density: Range


TISSUES = {
    "white": Relaxation((500, 1100), (65, 85), (0.65, 0.77)),
    "grey": Relaxation((830, 1600), (80, 110), (0.80, 0.86)),
    "fluid": Relaxation((2500, 4500), (330, 2000), (0.97, 1.0)),
    "bone": Relaxation((300, 1000), (5, 30), (0.05, 0.15)),
    "marrow": Relaxation((300, 600), (40, 150), (0.6, 1.0)),
    "fat": Relaxation((250, 400), (60, 150), (0.9, 1.0)),
    "skin": Relaxation((400, 1200), (30, 100), (0.6, 0.9)),
    "muscle": Relaxation((900, 1400), (30, 50), (0.75, 0.9)),
    "eye": Relaxation((2500, 4500), (330, 2000), (0.97, 1.0)),
    "lesion": Relaxation((1000, 3200), (115, 360), (0.8, 1.0)),
    "cyst": Relaxation((1800, 4000), (250, 1500), (0.95, 1.0)),
}
_OF_ITS_OWN = ("lesion", "cyst")
"""From one tumour to the next T1 differs more than from one field to the other, so it is drawn from the whole range."""

LEAST_CONTRAST = 1.1
"""On FLAIR a tumour is at least so many times as bright as healthy brain. Where it is not, nobody would outline it."""

FLAIR_TR_MS, FLAIR_TE_MS = (8000.0, 12000.0), (80.0, 150.0)
T1_TR_MS, T1_TE_MS = (300.0, 800.0), (8.0, 30.0)
MISSED = (0.9, 1.1)
"""The inversion time of FLAIR, as a share of that at which fluid is black."""

PIXEL_MM = (0.86, 1.02)
ROUGHNESS, ANISOTROPY, WHITE_TO_GREY = (0.0, 1.6), (1.0, 5.0), (2.0, 10.0)
FLUID_BIAS = (-0.3, 0.8)
SHARPNESS = (1.5, 12.0)
ENHANCEMENT = (0.05, 0.8)
VESSELS = (0.0, 2.0)
"""How bright vessels are after contrast agent, as a multiple of the study's phantom."""
HAND_PX = (0.3, 2.0)
"""Standard deviation of the Gaussian by which a reader smooths the edge."""
HAND_LEVEL = 0.15
"""Spread of the reader's threshold from patient to patient, as a logarithm."""
LEAST_PX = 10
"""A reader outlines no smaller piece."""


def spin_echo(relaxation: tuple[float, float, float], tr_ms: float, te_ms: float) -> float:
    """The signal of a spin echo, as a share of water's at rest: density (1 - exp(-TR/T1)) exp(-TE/T2).

    Parameters
    ----------
    relaxation : (float, float, float)
        T1 and T2 in ms, proton density 0..1.
    tr_ms, te_ms : float
        Repetition and echo time.
    """
    t1_ms, t2_ms, density = relaxation
    return density * (1 - np.exp(-tr_ms / t1_ms)) * np.exp(-te_ms / t2_ms)


def inversion_recovery(relaxation: tuple[float, float, float], tr_ms: float, te_ms: float, ti_ms: float) -> float:
    """The magnitude after an inversion: density |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2).

    FLAIR is this sequence with a TI at which fluid is black: Hajnal et al. 1992, Journal of Computer Assisted
    Tomography 16. Parameters as :func:`spin_echo`.
    """
    t1_ms, t2_ms, density = relaxation
    return density * abs(1 - 2 * np.exp(-ti_ms / t1_ms) + np.exp(-tr_ms / t1_ms)) * np.exp(-te_ms / t2_ms)


def black_at(t1_ms: float, tr_ms: float) -> float:
    """The inversion time in ms at which a tissue of this T1 gives no signal."""
    return t1_ms * np.log(2 / (1 + np.exp(-tr_ms / t1_ms)))


def levels(rng: np.random.Generator) -> list[dict[str, float]]:
    """The signal of each tissue on the three sequences of one patient, as a share of the brightest of a sequence.

    A tumour that FLAIR would not show is drawn again.

    Returns
    -------
    list of dict
        T1 before contrast agent, FLAIR, T1 after it; the names of `TISSUES` and 0..1.
    """
    field = rng.random()
    flair_tr, flair_te = rng.uniform(*FLAIR_TR_MS), rng.uniform(*FLAIR_TE_MS)
    t1_tr, t1_te = rng.uniform(*T1_TR_MS), rng.uniform(*T1_TE_MS)
    missed = rng.uniform(*MISSED)
    while True:
        drawn = {name: _drawn(name, field, rng) for name in TISSUES}
        ti = missed * black_at(drawn["fluid"][0], flair_tr)
        flair = {name: inversion_recovery(each, flair_tr, flair_te, ti) for name, each in drawn.items()}
        if flair["lesion"] >= LEAST_CONTRAST * max(flair["white"], flair["grey"]):
            break
    t1 = {name: spin_echo(each, t1_tr, t1_te) for name, each in drawn.items()}
    # Contrast agent changes vessels and what enhances, which are painted on top. The rest is as before.
    return [_as_shares(signals) for signals in (t1, flair, t1)]


def _drawn(name: str, field: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """T1 and T2 in ms and the proton density of a tissue, at a field between 1.5 (0) and 3 tesla (1)."""
    tissue = TISSUES[name]
    place = rng.random() if name in _OF_ITS_OWN else field
    t1_ms = tissue.t1_ms[0] * (tissue.t1_ms[1] / tissue.t1_ms[0]) ** place * np.exp(rng.normal(0, 0.05))
    return t1_ms, float(np.exp(rng.uniform(*np.log(tissue.t2_ms)))), rng.uniform(*tissue.density)


def _as_shares(signals: dict[str, float]) -> dict[str, float]:
    brightest = max(signals.values())
    return {name: float(signal / brightest) for name, signal in signals.items()}


class _Signals(Signals):
    """The study's lesion and brain, with the grey levels of this phantom."""

    def __init__(self, plan: PatientPlan, axes_mm: tuple[np.ndarray, ...], rng: np.random.Generator):
        super().__init__(plan, axes_mm, rng)
        self._sharpness = float(np.exp(rng.uniform(*np.log(SHARPNESS))))
        self._vessel = float(rng.uniform(*VESSELS))
        self._levels = levels(rng)

    def _vessels(self, anatomy: Anatomy, points: np.ndarray, block: Block) -> np.ndarray:
        return self._vessel * super()._vessels(anatomy, points, block)


class _Scanner(Scanner):
    """Without what was seen in this archive: a noise floor that was cut away, and slabs that end in a slanted cut."""

    def __init__(self, plan: PatientPlan, axes_mm: tuple[np.ndarray, ...], rng: np.random.Generator):
        super().__init__(plan, axes_mm, rng)
        self._floor = 0.0
        self._slabs = [None] * 3


def planned(plan: PatientPlan) -> PatientPlan:
    """The patient of the phantom of wide ranges, with growth, cores and pixels of this one's."""
    rng = _stream(plan, 0)
    wide = CHANGES[WIDE].planned(plan)
    anisotropy = float(np.exp(rng.uniform(*np.log(ANISOTROPY))))
    return replace(
        wide,
        pixel_mm=float(rng.uniform(*PIXEL_MM)),
        conspicuity=0.0,
        growth=Growth(float(rng.uniform(*ROUGHNESS)), anisotropy, float(rng.uniform(*WHITE_TO_GREY))),
        cyst=bool(rng.random() < 0.5),
        enhancement=float(rng.uniform(*ENHANCEMENT)) * float(rng.random() < 0.5),
    )


def draw(plan: PatientPlan, head: Head) -> Drawing:
    """Draw one patient, as :func:`brainseg.phantom.cohort.draw_patient` draws those of the study's phantom."""
    warp, texture, growth, lesion, scan, reader = (_stream(plan, step) for step in range(1, 7))
    axes_mm = slice_grid(plan, warp)
    pose = Pose(axes_mm, warp)
    rows, columns = pose.window(head)
    tissues = Tissues(axes_mm, float(warp.uniform(*FLUID_BIAS)), texture)
    tumour = grow(head, plan.growth, plan.seed_mm, plan.volume_ml, growth)
    signals, scanner = _Signals(plan, axes_mm, lesion), _Scanner(plan, axes_mm, scan)
    images = np.empty((plan.slices, *FRAME, 3), np.uint8)
    density = np.zeros((plan.slices, *FRAME), np.float32)
    for number in range(plan.slices):
        block = (slice(number, number + 1), rows, columns)
        points = pose.points(block)
        signal, density[block] = signals.of(tissues.at(head, points, block), tumour, points, block)
        images[block[0]] = scanner.frames(signal * scanner.shading(block), block)
    return Drawing(images, outlined(density, reader), None, None)


def outlined(density: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask of a reader who follows the edge of the visible tumour with a smooth line.

    The edge is where FLAIR is half as bright as it gets. How smooth the line is, and how far inside or outside the edge
    it lies, is drawn once a patient.

    Parameters
    ----------
    density : (n, H, W) float32 array, 0..1
        Of tumour cells.
    rng : numpy.random.Generator

    Returns
    -------
    (n, H, W) bool array
    """
    width_px = float(np.exp(rng.uniform(*np.log(HAND_PX))))
    level = VISIBLE_DENSITY * float(np.exp(rng.normal(0, HAND_LEVEL)))
    masks = np.zeros(density.shape, bool)
    for number in np.flatnonzero(density.max(axis=(1, 2)) > level):
        inside = (cv2.GaussianBlur(density[number], (0, 0), width_px) > level).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
        masks[number] = inside.astype(bool) & (stats[:, cv2.CC_STAT_AREA] >= LEAST_PX)[labels]
    return masks


def _stream(plan: PatientPlan, step: int) -> np.random.Generator:
    """Random numbers of a patient for one step, from 200: the study's phantom and its changes count below."""
    return np.random.default_rng([*plan.entropy, 200 + step])


def change() -> PhantomChange:
    """How a plan of trainings takes the phantom."""
    return PhantomChange(planned=planned, draw=draw, key=f"{LITERATURE}-{code_digest(*_CODE)[:8]}")
