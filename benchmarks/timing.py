"""What all measures share: slices, seconds of a call, and the peak of this processor's matrix product."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

MATRIX = 2048
"""Rows and columns of the matrices that are multiplied: large enough to keep all cores busy, too large for a cache."""


PREDICTED = 32
"""Slices predicted at a time, as `brainseg.networks.forward.predict_images` does."""


def synthetic_batches(size: int, slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images and sparse masks, float32 (slices, size, size, 3 and 1) in [0, 1]; speed does not see what they
    show."""
    rng = np.random.default_rng(0)
    images = rng.random((slices, size, size, 3), dtype=np.float32)
    return images, (rng.random((slices, size, size, 1)) > 0.98).astype(np.float32)


def seconds(step: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def slices_a_second(step: Callable[[], object], slices: int, steps: int) -> float:
    """Slices a second of a step that handles so many, after two steps that warm it up."""
    for _ in range(2):
        step()
    return slices * steps / seconds(lambda: [step() for _ in range(steps)])


def matrix_rate(multiply: Callable[[], object]) -> float:
    """The peak rate of a product of two square matrices of `MATRIX` rows, in GFLOP/s: the best of ten."""
    multiply()
    return 2 * MATRIX**3 / min(seconds(multiply) for _ in range(10)) / 1e9
