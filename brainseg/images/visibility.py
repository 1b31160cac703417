"""How far a lesion stands out from the tissue around it, and how loud the air is.

None of this takes part in preparing slices, so the code here may change without making prepared arrays stale.
"""

from __future__ import annotations

import cv2
import numpy as np

from brainseg.images.crop import head_silhouette

RIM_PX = 10
"""What is left out along the edge of the head: about the scalp."""


def surrounding_ring(
    mask: np.ndarray, within: np.ndarray | None = None, gap_px: int = 2, ring_px: int = 10
) -> np.ndarray:
    """The ring of tissue around a lesion, with which the lesion is compared.

    Parameters
    ----------
    mask : bool array (H, W)
        The lesion.
    within : bool array (H, W), optional
        Where the ring may lie, for instance the head.
    gap_px : int
        Pixels next to the outline that are left out: the outline is drawn by hand, and pixels on it
        hold lesion and brain.
    ring_px : int
        Width of the ring.

    Returns
    -------
    bool array (H, W); empty where the mask is empty.
    """
    mask = np.asarray(mask, bool)

    def grown(by_px: int) -> np.ndarray:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by_px + 1, 2 * by_px + 1))
        return cv2.dilate(mask.astype(np.uint8), disc) > 0

    ring = grown(gap_px + ring_px) & ~grown(gap_px)
    return ring if within is None else ring & np.asarray(within, bool)


def ring_of_brain(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The ring around the tumour of one slice, inside the head that the slice shows and without its rim.

    Parameters
    ----------
    image : uint8 array (H, W, C)
    mask : bool array (H, W)
        The tumour.

    Returns
    -------
    bool array (H, W)
        `surrounding_ring`, where it lies `RIM_PX` or more inside the head; empty where the mask is, or where no
        brain is left.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM_PX + 1, 2 * RIM_PX + 1))
    inside = cv2.erode(head_silhouette(image[None]).astype(np.uint8), disc) > 0
    return surrounding_ring(mask, within=inside)


def contrast_to_noise(plane: np.ndarray, lesion: np.ndarray, ring: np.ndarray) -> float:
    r"""Contrast-to-noise ratio of a lesion against its surroundings.

    .. math:: \mathrm{CNR} = \frac{|\mu_l - \mu_r|}{\sqrt{(\sigma_l^2 + \sigma_r^2) / 2}}

    with the means and the variances of the lesion (l) and of the ring (r). A linear change of
    brightness leaves it as it is.

    Parameters
    ----------
    plane : array (H, W)
        One channel of a slice, any numeric dtype.
    lesion, ring : bool arrays (H, W)

    Returns
    -------
    float of at least 0, without unit. NaN where either region is empty, or both are constant.

    References
    ----------
    Rodriguez-Molares A. et al. The generalized contrast-to-noise ratio: a formal definition for
    lesion detectability. IEEE Trans. Ultrason. Ferroelectr. Freq. Control 67, 2020, 745-759,
    doi:10.1109/TUFFC.2019.2956855. There the sum of the variances stands under the root; their mean,
    as here, keeps the unit of one standard deviation. The article also shows that a curve of
    grey levels alone can raise this ratio without making a lesion easier to find: see `separability`.
    """
    inside, outside = (np.asarray(plane)[np.asarray(region, bool)].astype(float) for region in (lesion, ring))
    if not inside.size or not outside.size:
        return float("nan")
    spread = np.sqrt((inside.var() + outside.var()) / 2)
    return float(abs(inside.mean() - outside.mean()) / spread) if spread > 0 else float("nan")


def separability(plane: np.ndarray, lesion: np.ndarray, ring: np.ndarray) -> float:
    """The chance that a random lesion pixel is brighter than a random ring pixel; a tie counts half.

    It is the area under the ROC curve of the grey level, and Mann and Whitney's U over its largest
    value. It depends on the order of the grey levels alone. No curve that keeps this order can raise
    it, except by merging levels; histogram equalisation is such a curve.

    Parameters
    ----------
    plane : uint8 array (H, W)
    lesion, ring : bool arrays (H, W)

    Returns
    -------
    float in 0..1, 0.5 for no difference. NaN where either region is empty.

    References
    ----------
    Hanley J.A., McNeil B.J. The meaning and use of the area under a receiver operating
    characteristic (ROC) curve. Radiology 143, 1982, 29-36.
    """
    inside, outside = (
        np.bincount(np.asarray(plane)[np.asarray(region, bool)], minlength=256).astype(float)
        for region in (lesion, ring)
    )
    if not inside.sum() or not outside.sum():
        return float("nan")
    darker = np.cumsum(outside) - outside
    return float((inside * (darker + outside / 2)).sum() / (inside.sum() * outside.sum()))


def background_noise(plane: np.ndarray, head: np.ndarray, gap_px: int = 5) -> float:
    """Standard deviation of the grey levels in the air around the head, in grey levels.

    Parameters
    ----------
    plane : uint8 array (H, W)
    head : bool array (H, W)
        The head's silhouette; its surroundings up to `gap_px` are left out.

    Returns
    -------
    float of at least 0, NaN where the head fills the frame. 0 says that the air was blanked.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap_px + 1, 2 * gap_px + 1))
    air = cv2.dilate(np.asarray(head, np.uint8), disc) == 0
    return float(np.asarray(plane)[air].std()) if air.any() else float("nan")


def entropy_bits(plane: np.ndarray) -> float:
    """Shannon entropy of the grey levels of a ``uint8`` plane, in bits (0..8)."""
    share = np.bincount(np.asarray(plane).ravel(), minlength=256) / np.asarray(plane).size
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum() + 0.0)
