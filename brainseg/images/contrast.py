"""Contrast: histogram equalisation, CLAHE, and numbers that say what they did to a lesion.

Every function takes slices as ``uint8`` arrays ``(H, W)`` or ``(H, W, C)`` and works a channel at a
time: the channels are MR sequences, not colours, and a mixture of them means nothing.
"""

from __future__ import annotations

import cv2
import numpy as np

CONTRASTS = ("none", "he", "clahe")
"""The names that `enhance` knows."""


def _each_channel(image: np.ndarray, operation) -> np.ndarray:
    """Apply a function of one ``uint8 (H, W)`` plane to every channel of `image`."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise ValueError(
            f"an image must be uint8 with shape (H, W) or (H, W, C), not {image.dtype} {image.shape}"
        )
    if image.ndim == 2:
        return operation(np.ascontiguousarray(image))
    return cv2.merge([operation(plane) for plane in cv2.split(image)]).reshape(image.shape)


def equalise(image: np.ndarray) -> np.ndarray:
    """Histogram equalisation, a channel at a time.

    Every grey level is replaced by the share of the channel's pixels that are as dark or darker,
    stretched to 0..255. One curve serves the whole slice, so the order of the grey levels stays.

    Parameters
    ----------
    image : uint8 array (H, W) or (H, W, C)

    Returns
    -------
    uint8 array of the same shape. `image` is not changed.

    Raises
    ------
    ValueError
        Where `image` has another dtype or another number of axes.
    """
    return _each_channel(image, cv2.equalizeHist)


def clahe(image: np.ndarray, clip_limit: float = 2.0, tiles: int = 8) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation, a channel at a time (Zuiderveld 1994).

    The slice is cut into `tiles` x `tiles` tiles, each with its own curve, and curves are blended
    between tile centres. No bin of a tile's histogram may hold more than `clip_limit` times the mean
    bin: this limits how steep a curve, and so how loud the noise, can become.

    Parameters
    ----------
    image : uint8 array (H, W) or (H, W, C)
    clip_limit : float, above 0
        Highest bin over mean bin. Large values come near to plain local equalisation.
    tiles : int, at least 1
        Tiles along each axis.

    Returns
    -------
    uint8 array of the same shape. `image` is not changed.

    Raises
    ------
    ValueError
        Where `image`, `clip_limit` or `tiles` is out of range.

    References
    ----------
    Zuiderveld K. Contrast limited adaptive histogram equalization. Graphics Gems IV, 1994, 474-485.
    """
    if clip_limit <= 0:
        raise ValueError(f"clip_limit must be above 0, not {clip_limit}")
    if tiles < 1 or int(tiles) != tiles:
        raise ValueError(f"tiles must be a whole number of at least 1, not {tiles}")
    # Made anew at each call: one object must not be shared between threads.
    enhancer = cv2.createCLAHE(clipLimit=float(clip_limit), tileGridSize=(int(tiles), int(tiles)))
    return _each_channel(image, enhancer.apply)


def enhance(image: np.ndarray, contrast: str) -> np.ndarray:
    """`image` after the named treatment: ``"none"``, ``"he"`` or ``"clahe"`` with its defaults."""
    if contrast == "none":
        return np.array(image)
    if contrast == "he":
        return equalise(image)
    if contrast == "clahe":
        return clahe(image)
    raise ValueError(f"contrast must be one of {', '.join(CONTRASTS)}, not {contrast!r}")


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
