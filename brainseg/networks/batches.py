"""Prepared slices on their way into a network: drawn by seed, augmented, a batch at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from brainseg.images.prepared import Prepared
from brainseg.networks.augmentation import augment
from brainseg.networks.recipe import Recipe

AHEAD = max(1, (os.cpu_count() or 1) // 2)
"""Threads that make batches. A GPU takes a batch faster than one thread makes it, and stands beside many cores. Where
the cores themselves train, one thread is ahead anyway; half of them keeps out of the training's way."""


def epoch_batches(
    prepared: Prepared, rows: np.ndarray, recipe: Recipe, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of one epoch, as :func:`make_batch` gives them. While one is used, `AHEAD` threads make the next.

    Slices and augmentation are drawn by seed and epoch alone. Because nothing depends on what came before, a resumed
    training sees what an uninterrupted one would have seen.

    Parameters
    ----------
    prepared : Prepared
    rows : int array
        The slices to draw from, as row numbers of the prepared table.
    recipe : Recipe
    epoch : int
        From 0.
    """
    drawn = draw_rows(prepared, rows, recipe, epoch)
    starts = range(0, len(drawn), recipe.batch_size)
    parts = [drawn[start : start + recipe.batch_size] for start in starts]
    with ThreadPoolExecutor(AHEAD) as makers:
        coming: deque[Future] = deque()
        for index, part in enumerate(parts):
            coming.append(makers.submit(make_batch, prepared, part, recipe, epoch, index))
            if len(coming) > AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def draw_rows(prepared: Prepared, rows: np.ndarray, recipe: Recipe, epoch: int) -> np.ndarray:
    """The slices of an epoch in their order, with tumour in the share that the recipe asks for."""
    rows = np.asarray(rows)
    rng = np.random.default_rng([recipe.seed, epoch])
    count = recipe.slices_per_epoch or len(rows)
    tumour = prepared.table["tumour_px"].to_numpy()[rows] > 0
    if recipe.tumour_share and tumour.any() and not tumour.all():
        tumours = round(count * recipe.tumour_share)
        drawn = [_draw(rows[tumour], tumours, rng), _draw(rows[~tumour], count - tumours, rng)]
        return rng.permutation(np.concatenate(drawn))
    return _draw(rows, count, rng)


def make_batch(
    prepared: Prepared, rows: np.ndarray, recipe: Recipe, epoch: int, index: int
) -> tuple[np.ndarray, np.ndarray]:
    """One batch of an epoch: what :func:`load_batch` reads, augmented where the recipe says so.

    Parameters
    ----------
    rows : int array (n,)
        The slices of this batch.
    epoch, index : int
        They draw the augmentation, with the recipe's seed.
    """
    images, masks = load_batch(prepared, rows)
    if recipe.augmentation:
        rng = np.random.default_rng([recipe.seed, epoch, index])
        for row in range(len(rows)):
            images[row], masks[row, ..., 0] = augment(images[row], masks[row, ..., 0], rng, recipe.drop_sequence)
    return images, masks


def _draw(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the rows in random order, each as often as any other give or take one."""
    rounds = -(-count // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:count]


def load_batch(prepared: Prepared, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, size, size, 3) and soft masks (n, size, size, 1), both float32 in [0, 1]."""
    return as_input(prepared.images[rows]), as_input(prepared.masks[rows, ..., None])


def as_input(pixels: np.ndarray) -> np.ndarray:
    """Prepared pixels, uint8, as a network takes them: float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)
