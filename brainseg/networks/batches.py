"""Prepared slices on their way into a network: drawn by seed, augmented, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from brainseg.images.prepared import Prepared
from brainseg.networks.augmentation import augment
from brainseg.networks.recipe import Recipe


class SliceBatches:
    """Batches of prepared slices as float32 in [0, 1], drawn and augmented by seed and epoch alone.

    Because each batch depends on nothing that came before it, a resumed training sees what an
    uninterrupted one would have seen.
    """

    def __init__(self, prepared: Prepared, rows: np.ndarray, recipe: Recipe):
        self.prepared, self.recipe = prepared, recipe
        self.rows = np.asarray(rows)
        tumour = prepared.table["tumour_px"].to_numpy()[self.rows] > 0
        self.pools = self.rows[tumour], self.rows[~tumour]
        self.length = recipe.steps(len(self.rows))
        self.start(0)

    def start(self, epoch: int) -> None:
        """Draw the slices of an epoch."""
        self.epoch = epoch
        rng = np.random.default_rng([self.recipe.seed, epoch])
        count = self.recipe.slices_per_epoch or len(self.rows)
        if self.recipe.tumour_share and all(len(pool) for pool in self.pools):
            tumours = round(count * self.recipe.tumour_share)
            drawn = [_draw(self.pools[0], tumours, rng), _draw(self.pools[1], count - tumours, rng)]
            self.order = rng.permutation(np.concatenate(drawn))
        else:
            self.order = _draw(self.rows, count, rng)

    def of_epoch(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Its batches in their order. While one is used, a thread makes the next."""
        self.start(epoch)
        with ThreadPoolExecutor(1) as maker:
            following = maker.submit(self.__getitem__, 0)
            for index in range(1, len(self)):
                batch, following = following.result(), maker.submit(self.__getitem__, index)
                yield batch
            yield following.result()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        size = self.recipe.batch_size
        rows = self.order[index * size : (index + 1) * size]
        images, masks = load_batch(self.prepared, rows)
        if self.recipe.augmentation:
            rng = np.random.default_rng([self.recipe.seed, self.epoch, index])
            for row in range(len(rows)):
                images[row], masks[row, ..., 0] = augment(
                    images[row], masks[row, ..., 0], rng, self.recipe.drop_sequence
                )
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
