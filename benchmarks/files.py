"""From files to prepared arrays: reading, checking, preparing, and the article's steps as a plain loop.

Nothing here loads Keras. Its many objects would slow down whoever makes many small ones, such as a reader of files.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import tifffile

from benchmarks.timing import seconds
from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.images.crop import CANNY_THRESHOLDS
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing

ARTICLE = Preprocessing(contrast="clahe", crop="slice", normalise="none")


def measure(data: str) -> list[dict]:
    """Seconds to read all files of a cohort, and to prepare it, here and by a plain loop over OpenCV's functions."""
    root = get_cohort(data)
    files = sorted(root.rglob("*.tif"))
    images = [path for path in files if not path.stem.endswith("_mask")]

    def preparing(preprocessing: Preprocessing) -> float:
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, BRAINSEG_BUILD=folder):
            index_cohort(root, progress=False)  # a step of its own, and kept: what is timed finds it
            return seconds(lambda: prepare(root, preprocessing))

    def index() -> float:
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, BRAINSEG_BUILD=folder):
            return seconds(lambda: index_cohort(root, progress=False))

    for path in files:  # so that every step finds the files in the system's memory
        path.read_bytes()
    taken = {
        "reading the files": seconds(lambda: [tifffile.imread(path) for path in files]),
        "checking the cohort": index(),
        "preparing, as the study does": preparing(Preprocessing()),
        "preparing, as the article does": preparing(ARTICLE),
        "the article's steps as a plain loop": seconds(lambda: [_article(path, ARTICLE.image_size) for path in images]),
    }
    return [{"step": step, "slices": len(images), "seconds": value} for step, value in taken.items()]


def _article(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The article's steps on one slice as a tutorial has them: CLAHE, edges, dilation, extreme points, crop, resize."""
    image, mask = cv2.imread(str(path)), cv2.imread(str(path.with_name(f"{path.stem}_mask.tif")), cv2.IMREAD_GRAYSCALE)
    enhancer = cv2.createCLAHE(2.0, (8, 8))
    enhanced = cv2.merge([enhancer.apply(channel) for channel in cv2.split(image)])
    edges = cv2.Canny(cv2.cvtColor(enhanced, cv2.COLOR_BGR2GRAY), *CANNY_THRESHOLDS)
    contours, _ = cv2.findContours(
        cv2.dilate(edges, np.ones((3, 3), np.uint8)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    if contours:
        x, y = max(contours, key=cv2.contourArea)[:, 0].T
        rows, columns = slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1)
        enhanced, mask = enhanced[rows, columns], mask[rows, columns]
    return cv2.resize(enhanced, (size, size)), cv2.resize(mask, (size, size))
