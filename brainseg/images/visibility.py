"""The tissue that a tumour is compared with.

It is a module of its own because those of contrast and crop are part of what prepared arrays are known by.
"""

from __future__ import annotations

import cv2
import numpy as np

from brainseg.contrast import surrounding_ring
from brainseg.crop import head_silhouette

RIM_PX = 10
"""What is left out along the edge of the head: about the scalp."""


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
        `brainseg.contrast.surrounding_ring`, where it lies `RIM_PX` or more inside the head; empty where the mask is, or where no
        brain is left.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM_PX + 1, 2 * RIM_PX + 1))
    inside = cv2.erode(head_silhouette(image[None]).astype(np.uint8), disc) > 0
    return surrounding_ring(mask, within=inside)
