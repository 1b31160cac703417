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


def save_weights(model: keras.Model, path: Path, dtype: str = "float32") -> None:
    """Write a model's weights, without its optimiser, as one ``.npz`` that any Keras backend reads.

    ``"float16"`` halves the file. A network that is loaded from it computes in float32 all the same.
    """
    arrays = {f"{i:03d}": np.asarray(w, dtype=dtype) for i, w in enumerate(model.get_weights())}
    with write_atomically(path) as part:
        np.savez(part, **arrays)  # compressed, it would be hardly smaller and take many times as long


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
