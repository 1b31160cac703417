"""Prepared slices on their way into a network, and probabilities on their way out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from brainseg.augmentation import augment
from brainseg.prepare import Prepared
from brainseg.recipe import Recipe


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
        self.length = int(np.ceil((recipe.slices_per_epoch or len(self.rows)) / recipe.batch_size))
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
        images, masks = load_batch(self.prepared, rows, self.recipe.neighbours)
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


def load_batch(prepared: Prepared, rows: np.ndarray, neighbours: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, size, size, 3 * slices seen) and soft masks (n, size, size, 1), both float32 in [0, 1]."""
    seen = slices_seen(prepared.table["patient"].to_numpy(), rows, neighbours)
    return _side_by_side(prepared.images, seen), prepared.masks[rows, ..., None].astype(np.float32) / 255


def slices_seen(patients: np.ndarray, rows: np.ndarray, neighbours: int) -> np.ndarray:
    """The rows that a network sees for each of `rows`, from the lowest slice to the highest.

    Beyond the first and the last slice of a patient, that slice is repeated.

    Parameters
    ----------
    patients : array of shape (N,)
        The patient of every slice; slices of one patient stand together, in their order.
    rows : int array of shape (n,)
    neighbours : int

    Returns
    -------
    int array of shape (n, 2 * neighbours + 1)
    """
    starts = np.flatnonzero(np.r_[True, patients[1:] != patients[:-1]])
    ends = np.r_[starts[1:], len(patients)] - 1
    patient = np.searchsorted(starts, rows, side="right") - 1
    seen = np.asarray(rows)[:, None] + np.arange(-neighbours, neighbours + 1)
    return np.clip(seen, starts[patient, None], ends[patient, None])


def _side_by_side(images: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The slices that are seen together as channels of one image, float32 in [0, 1]."""
    return np.concatenate([images[rows] for rows in seen.T], axis=-1) / np.float32(255)


def predict_images(
    model: keras.Model, images: np.ndarray, patients: np.ndarray, rows: np.ndarray | None = None, batch_size: int = 32
) -> np.ndarray:
    """Probabilities of prepared slices, in the prepared (cropped and resized) frame.

    How many neighbouring slices the network sees follows from its input.

    Parameters
    ----------
    model : keras.Model
    images : ndarray, uint8 (N, size, size, 3)
        May be memory-mapped: a batch at a time is read.
    patients : array of shape (N,)
        The patient of every slice; slices of one patient stand together, in their order.
    rows : int array of shape (n,), optional
        The slices to predict; all by default.
    batch_size : int

    Returns
    -------
    ndarray, float32 (n, size, size) in [0, 1]
    """
    rows = np.arange(len(images)) if rows is None else np.asarray(rows)
    channels = model.input_shape[-1]
    seen = slices_seen(np.asarray(patients), rows, (channels // images.shape[-1] - 1) // 2)
    probabilities = np.empty((len(rows), *images.shape[1:3]), np.float32)
    # All batches get one shape, so that the graph is compiled once.
    batch = np.zeros((batch_size, *images.shape[1:3], channels), np.float32)
    for start in range(0, len(rows), batch_size):
        part = _side_by_side(images, seen[start : start + batch_size])
        batch[: len(part)] = part
        probabilities[start : start + len(part)] = model.predict_on_batch(batch)[: len(part), ..., 0]
    return probabilities
