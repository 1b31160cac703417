"""A phantom whose grey levels come from the literature, and not from the patients of this study.

Heads are built and tumours grow by the study's program, whose textures, specks and vessels stay. But the levels of the
tissues follow from relaxation times and the equations of the sequences. Sizes, places, growth, reader, noise and
shading are drawn from wide ranges, and what was seen in this archive alone is left out.
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
    """How a tissue answers a pulse, as ranges over people.

    Attributes
    ----------
    low_ms, high_ms : (float, float)
        T1 at 1.5 tesla, and at 3. The two are alike where the field hardly matters beside the spread between people.
    t2_ms : (float, float)
    density : (float, float)
        Of protons, as a share of water's.
    """

    low_ms: Range
    high_ms: Range
    t2_ms: Range
    density: Range


# Healthy tissue: the parameters of BrainWeb's simulator at 1.5 tesla (whose anatomical model is Collins et al. 1998,
# doi:10.1109/42.712135), widened to what Bojorquez et al. 2017 (doi:10.1016/j.mri.2016.08.021) review at 3 tesla; but
# fluid without a share of tissue. Of bone, marrow, skin and eye less is known, so their ranges are wide. Tumours: T1
# from 1850 to 3200 ms and T2 from 115 to 225 ms where a tracer shows tumour at 3 tesla (Kinoshita et al. 2021,
# doi:10.3390/cancers13164067), T2 of 200 to 360 ms in the middle of grades II and III (Kern et al. 2020,
# doi:10.1186/s12883-019-1590-1).
TISSUES = {
    "white": Relaxation((500, 700), (800, 1100), (65, 85), (0.65, 0.77)),
    "grey": Relaxation((830, 1050), (1200, 1600), (80, 110), (0.80, 0.86)),
    "fluid": Relaxation((3500, 4500), (3500, 4500), (330, 2000), (0.97, 1.0)),
    "bone": Relaxation((300, 1000), (300, 1000), (5, 30), (0.05, 0.15)),
    "marrow": Relaxation((300, 600), (300, 600), (40, 150), (0.6, 1.0)),
    "fat": Relaxation((250, 400), (250, 400), (60, 150), (0.9, 1.0)),
    "skin": Relaxation((400, 1200), (400, 1200), (30, 100), (0.6, 0.9)),
    "muscle": Relaxation((850, 1000), (1200, 1450), (30, 50), (0.75, 1.0)),
    "eye": Relaxation((3500, 4500), (3500, 4500), (330, 2000), (0.97, 1.0)),
    "lesion": Relaxation((1000, 2000), (1850, 3200), (115, 360), (0.8, 1.0)),
    "cyst": Relaxation((1800, 4000), (1800, 4000), (250, 1500), (0.95, 1.0)),
}

LEAST_CONTRAST = 1.1
"""On FLAIR a tumour is at least so many times as bright as healthy brain. Where it is not, nobody would outline it."""

# FLAIR: Aalten et al. 2014 (doi:10.1186/s12883-014-0254-4) and "80 ms and more" of Westbrook and Talbot, MRI in
# Practice, 2019, from whom the spin echo has its times as well.
FLAIR_TR_MS, FLAIR_TE_MS = (8000.0, 12000.0), (80.0, 150.0)
T1_TR_MS, T1_TE_MS = (300.0, 800.0), (8.0, 30.0)
MISSED = (0.9, 1.1)
"""The inversion time of FLAIR, as a share of that at which fluid is black."""

PIXEL_MM = (0.86, 1.02)
ROUGHNESS, ANISOTROPY, WHITE_TO_GREY = (0.0, 1.6), (1.0, 5.0), (2.0, 10.0)
FLUID_BIAS = (-0.3, 0.8)
SHARPNESS = (3.0, 12.0)
"""As in :func:`brainseg.phantom.tumour.visible`: below 3, tissue without a tumour cell would be bright as well."""
CYSTS, ENHANCING = 0.5, 0.5
"""Shares of the tumours."""
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

    For ideal pulses and an echo time far below the repetition time: Westbrook and Talbot, MRI in Practice, 2019.

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
    """The magnitude after an inversion: density abs(1 - 2 exp(-TI/T1) + exp(-TR/T1)) exp(-TE/T2).

    FLAIR is this sequence with a TI at which fluid is black: Hajnal et al. 1992, Journal of Computer Assisted
    Tomography 16. Conditions and parameters as :func:`spin_echo`; `ti_ms` is the inversion time.
    """
    t1_ms, t2_ms, density = relaxation
    return density * abs(1 - 2 * np.exp(-ti_ms / t1_ms) + np.exp(-tr_ms / t1_ms)) * np.exp(-te_ms / t2_ms)


def black_at(t1_ms: float, tr_ms: float) -> float:
    """The inversion time in ms at which a tissue of this T1 gives no signal: where :func:`inversion_recovery` is 0."""
    return t1_ms * np.log(2 / (1 + np.exp(-tr_ms / t1_ms)))


def levels(rng: np.random.Generator) -> list[dict[str, float]]:
    """The signal of each tissue on the three sequences of one patient, as a share of the brightest of a sequence.

    A tumour that FLAIR would not show is drawn again. So the longest T1 are rarer than in its range.

    Returns
    -------
    list of dict
        T1 before contrast agent, FLAIR, T1 after it; the names of `TISSUES` and 0..1.
    """
    field = rng.random()
    flair_tr, flair_te = rng.uniform(*FLAIR_TR_MS), rng.uniform(*FLAIR_TE_MS)
    t1_tr, t1_te = rng.uniform(*T1_TR_MS), rng.uniform(*T1_TE_MS)
    drawn = {name: _drawn(tissue, field, rng) for name, tissue in TISSUES.items()}
    ti = rng.uniform(*MISSED) * black_at(drawn["fluid"][0], flair_tr)

    def on_flair(name: str) -> float:
        return inversion_recovery(drawn[name], flair_tr, flair_te, ti)

    while on_flair("lesion") < LEAST_CONTRAST * max(on_flair("white"), on_flair("grey")):
        drawn["lesion"] = _drawn(TISSUES["lesion"], field, rng)
    flair = {name: on_flair(name) for name in drawn}
    t1 = {name: spin_echo(each, t1_tr, t1_te) for name, each in drawn.items()}
    # Contrast agent changes vessels and what enhances, which are painted on top. The rest is as before.
    return [_as_shares(signals) for signals in (t1, flair, t1)]


def _drawn(tissue: Relaxation, field: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """T1 and T2 in ms and the proton density of one person's tissue, at a field between 1.5 (0) and 3 tesla (1)."""
    ends = (1 - field) * np.log(tissue.low_ms) + field * np.log(tissue.high_ms)
    return _log_uniform(np.exp(ends), rng), _log_uniform(tissue.t2_ms, rng), float(rng.uniform(*tissue.density))


def _log_uniform(ends: Range, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(ends))))


def _as_shares(signals: dict[str, float]) -> dict[str, float]:
    brightest = max(signals.values())
    return {name: float(signal / brightest) for name, signal in signals.items()}


class _Signals(Signals):
    """The study's lesion and brain, with the grey levels of this phantom."""

    def __init__(self, plan: PatientPlan, axes_mm: tuple[np.ndarray, ...], rng: np.random.Generator):
        super().__init__(plan, axes_mm, rng)
        self._sharpness = _log_uniform(SHARPNESS, rng)
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
    return replace(
        wide,
        pixel_mm=float(rng.uniform(*PIXEL_MM)),
        conspicuity=0.0,
        growth=Growth(
            roughness=float(rng.uniform(*ROUGHNESS)),
            anisotropy=_log_uniform(ANISOTROPY, rng),
            white_to_grey=float(rng.uniform(*WHITE_TO_GREY)),
        ),
        cyst=bool(rng.random() < CYSTS),
        enhancement=float(rng.uniform(*ENHANCEMENT)) * float(rng.random() < ENHANCING),
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
    width_px = _log_uniform(HAND_PX, rng)
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
