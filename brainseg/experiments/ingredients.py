"""The phantom drawn otherwise: one ingredient taken out, other ranges, or a reader whose line lies elsewhere.

What is changed here is changed from outside: in the plan of a patient before it is drawn, or in the drawing. So the
phantom's own code, by which the study's networks are known, stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from brainseg.data import PhantomChange
from brainseg.phantom.cohort import Drawing
from brainseg.phantom.plan import INSTITUTIONS, Growth, Institution, PatientPlan
from brainseg.phantom.sequences import TISSUES
from brainseg.provenance import code_digest

BORDER_PX = 2
"""How far the readers of two phantoms draw beside the line of the others."""

_BRAIN = [TISSUES.index(name) for name in ("white", "grey", "fluid")]
_MEDIAN_VOLUME_ML = 95.0  # exp(4.55), the median of the study's phantom
_EVEN = Growth(roughness=0.0, anisotropy=1.0, white_to_grey=1.0)

# Wider than the ranges of the study's phantom. What stays: how bright a tissue is before its draw, what conspicuity
# does to a tumour, how a reader draws, pixel sizes, the shares of cysts and rims. No sequence is missing, because a
# copy of FLAIR would get other levels than FLAIR.
WIDE_SLICES = (20, 60)
WIDE_BRIGHTNESS = (20.0, 240.0)
WIDE_NOISE = (0.003, 0.05)
WIDE_BLUR_PX = (0.3, 1.2)
WIDE_BIAS = (0.0, 0.35)
WIDE_AGES = (20, 80)
WIDE_VOLUME_ML = (2.0, 300.0)
WIDE_CONSPICUITY = (-2.0, 2.0)
WIDE_SEED_MM = ((12, 60), (-80, 55), (-25, 65))
"""Of the side (x without its sign), from back to front, from below to above: nearly all of the cerebrum."""
WIDE_LEVEL = 1.6
"""Each tissue is made up to so many times as bright or as dark, on each sequence by its own draw."""


def _own_draws(plan: PatientPlan, step: int) -> np.random.Generator:
    """Random numbers of a patient for one step, from 100: the steps of a drawing count from 0."""
    return np.random.default_rng([*plan.entropy, step])


def _scanned(plan: PatientPlan, **changes) -> PatientPlan:
    return replace(plan, institution=replace(plan.institution, **changes))


def _without_noise(plan: PatientPlan) -> PatientPlan:
    return _scanned(plan, noise=(1e-6, 1e-6))


def _without_bias(plan: PatientPlan) -> PatientPlan:
    return _scanned(plan, bias=0.0)


def _without_cores(plan: PatientPlan) -> PatientPlan:
    return replace(plan, cyst=False, enhancement=0.0)


def _of_one_contrast(plan: PatientPlan) -> PatientPlan:
    return replace(plan, conspicuity=0.0)


def _round(plan: PatientPlan) -> PatientPlan:
    return replace(plan, growth=_EVEN)


def _equally_large(plan: PatientPlan) -> PatientPlan:
    return replace(plan, volume_ml=_MEDIAN_VOLUME_ML)


def _of_one_scanner(plan: PatientPlan) -> PatientPlan:
    # With all sequences. How many slices there are, and how large a pixel is, was drawn before and stays.
    return replace(plan, institution=INSTITUTIONS[1], missing="")


def _of_wide_ranges(plan: PatientPlan) -> PatientPlan:
    rng = _own_draws(plan, 100)
    site = Institution(
        code=plan.institution.code,
        slices=WIDE_SLICES,
        pixel_mm=plan.institution.pixel_mm,
        brightness=WIDE_BRIGHTNESS,
        noise=WIDE_NOISE,
        blur_px=float(rng.uniform(*WIDE_BLUR_PX)),
        bias=float(rng.uniform(*WIDE_BIAS)),
    )
    x, y, z = (float(rng.uniform(*ends)) for ends in WIDE_SEED_MM)
    return replace(
        plan,
        institution=site,
        slices=int(rng.integers(WIDE_SLICES[0], WIDE_SLICES[1] + 1)),
        missing="",
        seed_mm=(float(rng.choice([-1, 1])) * x, y, z),
        volume_ml=float(np.exp(rng.uniform(*np.log(WIDE_VOLUME_ML)))),
        conspicuity=float(rng.uniform(*WIDE_CONSPICUITY)),
        age=int(rng.integers(WIDE_AGES[0], WIDE_AGES[1] + 1)),
    )


def _other_levels(plan: PatientPlan, drawing: Drawing) -> Drawing:
    """Every tissue, and what a tumour adds to it, brighter or darker by its own draw; softly from one to the next."""
    draws = np.exp(_own_draws(plan, 101).uniform(-np.log(WIDE_LEVEL), np.log(WIDE_LEVEL), (3, len(TISSUES))))
    images = np.empty_like(drawing.images)
    for channel, factors in enumerate(draws.astype(np.float32)):
        for number, labels in enumerate(drawing.tissue):
            factor = cv2.GaussianBlur(factors[labels], (0, 0), 1.0)
            images[number, ..., channel] = np.clip(np.rint(drawing.images[number, ..., channel] * factor), 0, 255)
    return replace(drawing, images=images)


def _brain_alone(plan: PatientPlan, drawing: Drawing) -> Drawing:
    images = drawing.images.copy()
    for number, labels in enumerate(drawing.tissue):
        inside = np.isin(labels, _BRAIN).astype(np.uint8)
        # What the sharp labels leave open between folds belongs to the brain.
        inside = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
        images[number][inside == 0] = 0
    return replace(drawing, images=images)


def _moved_border(drawing: Drawing, moved: Callable) -> Drawing:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BORDER_PX + 1, 2 * BORDER_PX + 1))
    return replace(drawing, masks=np.stack([moved(mask.astype(np.uint8), disc) > 0 for mask in drawing.masks]))


def _wider(plan: PatientPlan, drawing: Drawing) -> Drawing:
    return _moved_border(drawing, cv2.dilate)


def _narrower(plan: PatientPlan, drawing: Drawing) -> Drawing:
    return _moved_border(drawing, cv2.erode)


WIDE, NARROWER, WIDER = "wide ranges", "border 2 px inside", "border 2 px outside"

INGREDIENTS = {
    "no skull": PhantomChange(drawn=_brain_alone),
    "no shading": PhantomChange(planned=_without_bias),
    "no noise": PhantomChange(planned=_without_noise),
    "no cysts or rims": PhantomChange(planned=_without_cores),
    "one contrast": PhantomChange(planned=_of_one_contrast),
    "one size": PhantomChange(planned=_equally_large),
    "round tumours": PhantomChange(planned=_round),
    "one scanner": PhantomChange(planned=_of_one_scanner),
}
"""What is taken out -> how, one at a time."""

CHANGES = {
    WIDE: PhantomChange(planned=_of_wide_ranges, drawn=_other_levels),
    NARROWER: PhantomChange(drawn=_narrower),
    WIDER: PhantomChange(drawn=_wider),
    **INGREDIENTS,
}
"""Name of a phantom in the tables -> how it differs from the study's."""


def change_named(name: str) -> PhantomChange | None:
    """The change of a name; None for the study's own phantom, whose name is empty.

    Raises
    ------
    ValueError
        For a name that is not known.
    """
    if not name:
        return None
    if name not in CHANGES:
        raise ValueError(f'no phantom is called "{name}": choose from {", ".join(CHANGES)}')
    return CHANGES[name]._replace(key=f"{name}-{code_digest(__name__)[:8]}")
