"""Predicted masks as small files, so that every overlap, distance and shape can be computed again without a network."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brainseg.cohort import FRAME
from brainseg.paths import write_atomically


class Masks(NamedTuple):
    """Masks of some slices, a bit a pixel.

    Attributes
    ----------
    slices : DataFrame
        A row a mask, with `patient` and `slice`.
    bits : uint8 (n, 8192)
        By :func:`numpy.packbits`.
    """

    slices: pd.DataFrame
    bits: np.ndarray


def pack_masks(slices: pd.DataFrame, masks: np.ndarray) -> Masks:
    """Pack masks, because those of a whole cohort take eight times the memory.

    Parameters
    ----------
    slices : DataFrame
        A row a mask, with `patient` and `slice`.
    masks : bool (n, 256, 256)
        In the original frame.

    Raises
    ------
    ValueError
        Where there is not one mask of the frame's size for each row.
    """
    masks = np.asarray(masks)
    if masks.dtype != bool or masks.shape != (len(slices), *FRAME):
        raise ValueError(
            f"{len(slices)} slices need bool masks of shape {(len(slices), *FRAME)}, not {masks.dtype} {masks.shape}"
        )
    return Masks(slices[["patient", "slice"]], np.packbits(masks.reshape(len(masks), -1), axis=1))


def save_masks(path: Path, packed: Masks) -> None:
    """Write masks, compressed: whole, or not at all. The path ends in ``.npz``."""
    arrays = {
        "patient": packed.slices["patient"].to_numpy(str),
        "slice": packed.slices["slice"].to_numpy(np.int32),
        "bits": packed.bits,
    }
    # What NumPy writes itself is compressed by deflate, which leaves masks more than twice as large; it reads either.
    with write_atomically(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_BZIP2) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def read_masks(path: Path, slices: pd.DataFrame) -> np.ndarray:
    """The masks of some slices, from a file of :func:`save_masks`.

    Parameters
    ----------
    path : Path
    slices : DataFrame
        A row a wanted slice, with `patient` and `slice`, in any order.

    Returns
    -------
    bool (n, 256, 256)

    Raises
    ------
    ValueError
        Where the file is missing or damaged, or lacks a slice.
    """
    try:
        with open(path, "rb") as file, np.load(file) as arrays:
            there = pd.MultiIndex.from_arrays([arrays["patient"], arrays["slice"]])
            bits = arrays["bits"]
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, OSError) as error:
        raise ValueError(f"The masks {path} are missing or damaged ({error}). Score that run again.") from error
    places = there.get_indexer(pd.MultiIndex.from_frame(slices[["patient", "slice"]]))
    if (places < 0).any():
        first = slices.iloc[int(np.argmin(places))]
        raise ValueError(
            f"{path} has no mask of {np.count_nonzero(places < 0)} slices, such as slice {first['slice']} "
            f"of {first['patient']}."
        )
    return np.unpackbits(bits[places], axis=1).astype(bool).reshape(-1, *FRAME)
