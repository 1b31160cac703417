"""Probabilities of prepared slices, batch by batch."""

from __future__ import annotations

import keras
import numpy as np

from brainseg.networks.batches import as_input


def predict_images(
    model: keras.Model, images: np.ndarray, rows: np.ndarray | None = None, batch_size: int = 32
) -> np.ndarray:
    """Probabilities of prepared slices, in the prepared (cropped and resized) frame.

    Parameters
    ----------
    model : keras.Model
    images : ndarray, uint8 (N, size, size, 3)
        May be memory-mapped: a batch at a time is read.
    rows : int array of shape (n,), optional
        The slices to predict; all by default.
    batch_size : int

    Returns
    -------
    ndarray, float32 (n, size, size) in [0, 1]
    """
    rows = np.arange(len(images)) if rows is None else np.asarray(rows)
    probabilities = np.empty((len(rows), *images.shape[1:3]), np.float32)
    # All batches get one shape, so that the graph is compiled once.
    batch = np.zeros((batch_size, *images.shape[1:]), np.float32)
    for start in range(0, len(rows), batch_size):
        part = as_input(images[rows[start : start + batch_size]])
        batch[: len(part)] = part
        probabilities[start : start + len(part)] = model.predict_on_batch(batch)[: len(part), ..., 0]
    return probabilities


def predict_looks(model: keras.Model, images: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Two predictions: of a slice as it is, and of its mirror image, mirrored back.

    A head is nearly symmetric, and the training mirrors slices at random, so both are equally good witnesses.

    Parameters and frame are those of :func:`predict_images`.

    Returns
    -------
    ndarray, float32 (2, n, size, size) in [0, 1]
    """
    as_it_is = predict_images(model, images, rows)
    return np.stack([as_it_is, predict_images(model, images[:, :, ::-1], rows)[:, :, ::-1]])


def predict_both_ways(model: keras.Model, images: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """The mean of the two predictions of :func:`predict_looks`.

    ``results/trials`` has what it is worth on inner patients.

    Parameters, result and frame are those of :func:`predict_images`.
    """
    as_it_is, mirrored = predict_looks(model, images, rows)
    return (as_it_is + mirrored) / 2
