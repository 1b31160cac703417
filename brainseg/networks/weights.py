"""Weights as files that every Keras backend reads."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainseg.paths import write_atomically

if TYPE_CHECKING:
    import keras  # slow to load, and for the signatures alone


KEPT_BITS = 6
"""Of the ten bits behind the leading one of a number in half precision, those that a small file keeps of a kernel's."""


def save_weights(model: keras.Model, path: Path, small: bool = False) -> None:
    """Write a model's weights, without its optimiser, as one ``.npz`` that any Keras backend reads.

    Parameters
    ----------
    model : keras.Model
    path : Path
        Ends in ``.npz``.
    small : bool
        Half precision, with kernels rounded to `KEPT_BITS` so that they compress: two fifths of the size. A network
        that is loaded from it computes in float32 all the same.
    """
    weights = [np.asarray(w, np.float32) for w in model.get_weights()]
    if not small:
        with write_atomically(path) as part:
            np.savez(part, **_numbered(weights))  # compressed, it would be hardly smaller and take many times as long
        return
    halves = [_rounded(w) if w.ndim > 1 else w.astype(np.float16) for w in weights]
    with write_atomically(path) as part:
        np.savez_compressed(part, **_numbered(halves))


def _numbered(arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{place:03d}": array for place, array in enumerate(arrays)}


def _rounded(kernel: np.ndarray) -> np.ndarray:
    """A kernel in half precision with the last bits of each number zero, rounded to the nearest."""
    dropped = 10 - KEPT_BITS
    bits = kernel.astype(np.float16).view(np.uint16).astype(np.uint32) + (1 << (dropped - 1))
    return (bits >> dropped << dropped).astype(np.uint16).view(np.float16)


def load_weights(model: keras.Model, path: Path) -> None:
    """Read weights written by :func:`save_weights` into a model of the same architecture.

    Raises
    ------
    ValueError
        Where the file is missing or damaged, or its arrays do not fit the model.
    """
    try:
        with open(path, "rb") as file, np.load(file) as arrays:
            weights = [arrays[name].astype(np.float32) for name in sorted(arrays)]
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, AttributeError, FileNotFoundError) as error:
        folder = Path(path).parent
        raise ValueError(
            f"The weights {path} are missing or damaged ({error}). Remove the folder {folder} and train the run again."
        ) from error
    expected = [w.shape for w in model.get_weights()]
    if [w.shape for w in weights] != expected:
        raise ValueError(f"{path} does not hold weights of this {model.name}: other widths, depth or size")
    model.set_weights(weights)


def weights_digest(path: Path) -> str:
    """Sixteen hexadecimal digits that tell the weights in a file from any others."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
