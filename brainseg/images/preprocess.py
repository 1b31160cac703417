"""Preprocessing: what is done to the slices of one patient before a network sees them.

Normalise, contrast, crop, resize, in this order. The box comes from the raw images alone, never from a mask.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import pandas as pd

from brainseg.cohort import FRAME
from brainseg.images.contrast import CONTRASTS, enhance
from brainseg.images.crop import MARGIN_PX, Box, crop_and_resize, crop_stages, head_silhouette, square_box
from brainseg.images.crop import crop as cut
from brainseg.provenance import code_digest

CROPS = ("none", "slice", "patient")
NORMALISATIONS = ("none", "volume", "brain")
PERCENTILES = (0.5, 99.5)
"""Of a volume's grey levels inside the head: what becomes 0 and what becomes 255."""
DEEP = 0.3
"""Of the greatest distance from the head's outline: what lies deeper is brain, whatever the scalp is like."""
NEARLY_BLACK = 0.1
"""Of the range between the percentiles of the head: what is darker is air or fluid."""
BRAIN_LEVEL = 0.4
"""Of the whole range: where the median of the brain comes to lie. A FLAIR abnormality is about twice as bright."""

BOX_COLUMNS = list(Box._fields)


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a slice before a network sees it.

    Attributes
    ----------
    image_size : int, 16..1024
        Side of the prepared slices, px.
    contrast : {"none", "he", "clahe"}
    crop : {"none", "slice", "patient"}
        The whole frame; the article's box, one per slice; one square box per patient.
    margin_px : int, optional
        Pixels added on each side of the box. Where it is not given: `MARGIN_PX` for ``"patient"``,
        0 otherwise, as in the article.
    normalise : {"none", "volume", "brain"}
        ``"volume"`` stretches each channel of a patient between two percentiles of the grey levels
        inside the head, so that a nearly black volume comes back. ``"brain"`` gives the brain of each patient the same
        median, because scalp and fat set the upper percentile of a head: :func:`normalise_brain`.

    Raises
    ------
    ValueError
        Where a value is not one of these.
    """

    image_size: int = 128
    contrast: str = "none"
    crop: str = "patient"
    margin_px: int | None = None
    normalise: str = "brain"

    def __post_init__(self) -> None:
        for name, text, known in (
            ("contrast", self.contrast, CONTRASTS),
            ("crop", self.crop, CROPS),
            ("normalise", self.normalise, NORMALISATIONS),
        ):
            if text not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {text!r}")
        if self.margin_px is None:
            object.__setattr__(self, "margin_px", MARGIN_PX if self.crop == "patient" else 0)
        for name, value, least, most in (
            ("image_size", self.image_size, 16, 1024),
            ("margin_px", self.margin_px, 0, min(FRAME)),
        ):
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if not whole or value is None or not least <= value <= most:
                raise ValueError(f"{name} must be a whole number from {least} to {most}, not {value!r}")
            object.__setattr__(self, name, int(value))
        if self.crop == "none" and self.margin_px:
            raise ValueError(f"margin_px={self.margin_px} has no meaning with crop='none'; leave it out")

    @property
    def digest(self) -> str:
        """A short hash of the settings and of the code of all steps, so that no older array is taken for new."""
        text = json.dumps([_steps(), asdict(self)], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


@functools.cache
def _steps() -> str:
    """The code that prepared arrays depend on, as a digest."""
    return code_digest(*(f"brainseg.images.{name}" for name in ("contrast", "crop", "preprocess", "prepared")))


def normalise_volume(images: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Stretch each channel of a patient between `PERCENTILES` of its grey levels inside the head.

    Parameters
    ----------
    images : uint8 (n, H, W, C)
    head : bool (H, W)
        The head's silhouette along the volume; where it is empty, all voxels count.

    Returns
    -------
    uint8 (n, H, W, C). A channel with one grey level only stays as it is. Channels that are equal
    stay equal.
    """
    counted = head if head.any() else np.ones_like(head)
    return _windowed(images, [counted], lambda inside: _percentiles(inside, PERCENTILES))


def normalise_brain(images: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Scale each channel of a patient so that black stays black and the median of the brain is `BRAIN_LEVEL`.

    Brain is what lies deeper in the silhouette than `DEEP` of its greatest depth and is not nearly black, as air and
    fluid are. What is brighter than the range holds becomes 255.

    Parameters
    ----------
    images : uint8 (n, H, W, C)
    head : bool (H, W)
        The head's silhouette along the volume; where it is empty, the frame takes its place.

    Returns
    -------
    uint8 (n, H, W, C). A channel with one grey level only stays as it is. Channels that are equal stay equal.
    """
    if not head.any():
        head = np.ones_like(head)
    # Beyond the frame there is no head.
    depth = cv2.distanceTransform(np.pad(head.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]

    def window(inside: np.ndarray, deep: np.ndarray) -> tuple[float, float]:
        low, high = _percentiles(inside, PERCENTILES)
        brain = deep.copy()
        brain[: int(low + NEARLY_BLACK * (high - low)) + 1] = 0
        return low, low + ((_median(brain) if brain.any() else high) - low) / BRAIN_LEVEL

    return _windowed(images, [head, depth > DEEP * depth.max()], window)


def _windowed(
    images: np.ndarray, regions: Sequence[np.ndarray], window: Callable[..., np.ndarray | tuple[float, float]]
) -> np.ndarray:
    """Each channel of a patient stretched between two grey levels, which become 0 and 255.

    Parameters
    ----------
    images : uint8 (n, H, W, C)
    regions : sequence of bool (H, W)
        Along the volume.
    window : callable
        Takes how many pixels of each region have each of the 256 levels, and gives the two. Where the second is not
        above the first, the channel stays as it is.
    """
    number, _, width, channels = images.shape
    below = images.reshape(-1, width, channels)  # one tall slice: each step is then one call for the volume
    counted = [np.tile(region.astype(np.uint8), (number, 1)) for region in regions]
    curves = np.empty((256, channels), np.uint8)
    for channel in range(channels):
        low, high = window(*(_levels(below, channel, region) for region in counted))
        curve = np.arange(256.0)
        if high > low:
            curve = np.clip((curve - low) / (high - low), 0, 1) * 255
        curves[:, channel] = np.rint(curve)
    return cv2.LUT(below, curves[None]).reshape(images.shape)


def _levels(image: np.ndarray, channel: int, counted: np.ndarray) -> np.ndarray:
    """How many counted pixels have each of the 256 grey levels."""
    return cv2.calcHist([image], [channel], counted, [256], [0, 256]).astype(int).ravel()


def _percentiles(levels: np.ndarray, percentiles: Sequence[float]) -> np.ndarray:
    """The lowest grey levels up to which the given percentages of the pixels lie."""
    cumulative = np.cumsum(levels)
    return np.searchsorted(cumulative, np.array(percentiles) / 100 * cumulative[-1])


def _median(levels: np.ndarray) -> float:
    """The median between whole grey levels: in a nearly black volume the brain has a handful of them."""
    cumulative = np.cumsum(levels)
    return float(np.interp(cumulative[-1] / 2, cumulative, np.arange(256) + 0.5))


def boxes_and_images(images: np.ndarray, preprocessing: Preprocessing) -> tuple[list[Box], np.ndarray]:
    """The boxes of a patient's slices, and the slices normalised and enhanced, not yet cropped.

    Parameters
    ----------
    images : uint8 (n, 256, 256, 3), all slices of one patient

    Returns
    -------
    boxes : list of n Box, found on `images` as they are
    images : uint8 (n, 256, 256, 3); the given ones themselves where nothing is done to them
    """
    by_volume = preprocessing.crop == "patient" or preprocessing.normalise != "none"
    head = head_silhouette(images) if by_volume else np.zeros(FRAME, bool)
    margin_px = preprocessing.margin_px or 0
    if preprocessing.crop == "patient":
        boxes = [square_box(head, margin_px)] * len(images)
    elif preprocessing.crop == "slice":
        stages = [crop_stages(image) for image in images]
        boxes = [stage.box.widened(margin_px, FRAME) for stage in stages]
    else:
        boxes = [Box.whole(images.shape[1:3])] * len(images)
    if preprocessing.normalise == "volume":
        images = normalise_volume(images, head)
    elif preprocessing.normalise == "brain":
        images = normalise_brain(images, head)
    if preprocessing.contrast == "clahe" and preprocessing.crop == "slice" and preprocessing.normalise == "none":
        images = np.stack([stage.enhanced for stage in stages])  # the article's own order: its boxes come after CLAHE
    elif preprocessing.contrast != "none":
        images = np.stack([enhance(image, preprocessing.contrast) for image in images])
    return boxes, images


def crop_and_resize_all(arrays: np.ndarray, boxes: Sequence[Box], size: int) -> np.ndarray:
    """Each of n images or masks cut by its own box and resized to `size` x `size`: uint8 (n, size, size, ...)."""
    return np.stack([crop_and_resize(array, box, size) for array, box in zip(arrays, boxes, strict=True)])


def box_table(slices: pd.DataFrame, boxes: Sequence[Box], masks: np.ndarray) -> pd.DataFrame:
    """Patient, slice, box and lost tumour pixels, one row per slice."""
    table = pd.DataFrame(boxes, columns=BOX_COLUMNS).astype(int)
    table.insert(0, "slice", slices["slice"].to_numpy())
    table.insert(0, "patient", slices["patient"].to_numpy())
    table["lost_px"] = [
        np.count_nonzero(mask) - np.count_nonzero(cut(mask, box)) for mask, box in zip(masks, boxes, strict=True)
    ]
    return table
