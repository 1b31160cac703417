"""A place where machines that share no file system leave things for each other.

It is a folder, or any address that fsspec knows, such as ``s3://bucket/study`` or ``sftp://host/folder``::

    prepared/FINGERPRINT/   what a training reads: images.npy, masks.npy, table.csv
    runs/NAME/              a run, finished or on its way; its record comes last
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from brainseg.images.prepared import Prepared
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.record import HISTORY, RECORD
from brainseg.paths import folder_atomically, locked

ARRAYS = ("images.npy", "masks.npy")
TABLE = "table.csv"
COLUMNS = ["patient", "slice", "tumour_px"]
"""Of the cohort's table: what a training asks for. No path leaves this machine, and no image but the prepared ones."""


def load_arrays(folder: Path, preprocessing: Preprocessing) -> Prepared:
    """A prepared cohort as it came here: without the slices that it was made of, so good for training alone."""
    images, masks = (np.load(folder / name, mmap_mode="r") for name in ARRAYS)
    table = pd.read_csv(folder / TABLE)
    return Prepared(images, masks, table, preprocessing, folder.name, folder, folder)


def _copy_of_one_moment(folder: Path, copy: Path) -> list[Path]:
    """The files of a run that may be in training, as they were while its history did not change."""

    def written() -> int | None:
        history = folder / HISTORY
        return history.stat().st_mtime_ns if history.is_file() else None

    while True:
        before = written()
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        with contextlib.suppress(FileNotFoundError):  # the training removed one
            for path in files:
                shutil.copyfile(path, copy / path.name)
            if written() == before:
                return [copy / path.name for path in files]


class Storage:
    """Folders of files at an address.

    Parameters
    ----------
    address : str
        A folder, or an address with its protocol.

    Raises
    ------
    ValueError
        For a protocol that fsspec does not know, or whose package is missing; the message names it.
    """

    def __init__(self, address: str):
        import fsspec

        try:
            self.files, self.root = fsspec.url_to_fs(address)
        except (ValueError, ImportError) as error:
            raise ValueError(f"The storage {address} cannot be used: {error}") from error

    def names(self, place: str) -> dict[str, int]:
        """The files of a folder and their sizes in bytes; none where it does not exist."""
        self.files.invalidate_cache()  # another machine may have written meanwhile
        try:
            listed = self.files.ls(f"{self.root}/{place}", detail=True)
        except FileNotFoundError:
            return {}
        whole = {Path(one["name"]).name: one["size"] for one in listed if one["type"] == "file"}
        return {name: size for name, size in whole.items() if not name.endswith(".part")}

    def send(self, folder: Path, place: str) -> None:
        """Make a folder of the storage the same as a run's here, which may be in training.

        A file appears there when it is whole. The history comes after the weights that it speaks of, and the record
        last, so a training that goes on from there finds them, wherever this was stopped.
        """
        there = self.names(place)
        self.files.makedirs(f"{self.root}/{place}", exist_ok=True)
        with tempfile.TemporaryDirectory() as copy:
            here = _copy_of_one_moment(folder, Path(copy))
            for path in sorted(here, key=lambda path: (path.name == RECORD, path.name == HISTORY)):
                if there.get(path.name) != path.stat().st_size:
                    self._put(path, f"{self.root}/{place}/{path.name}")
        for name in there.keys() - {path.name for path in here}:
            self.files.rm_file(f"{self.root}/{place}/{name}")

    def send_prepared(self, prepared: Prepared) -> None:
        """Leave the arrays of a prepared cohort, once, with the part of its table that a training asks for."""
        place = f"prepared/{prepared.fingerprint}"
        if self.names(place).keys() >= {*ARRAYS, TABLE}:
            return
        self.files.makedirs(f"{self.root}/{place}", exist_ok=True)
        for name in ARRAYS:
            self._put(prepared.folder / name, f"{self.root}/{place}/{name}")
        self.files.pipe_file(f"{self.root}/{place}/{TABLE}", prepared.table[COLUMNS].to_csv(index=False).encode())

    def fetch(self, place: str, folder: Path) -> None:
        """Replace a folder here by one of the storage, whole; where there is none, nothing happens.

        Nor does anything where a finished run or arrays lie here already: others on this machine may read them. What is
        being made here is waited for.
        """
        with locked(folder):
            names = self.names(place)
            if not names or any((folder / name).is_file() for name in (RECORD, TABLE)):
                return
            shutil.rmtree(folder, ignore_errors=True)
            with folder_atomically(folder) as part:
                for name in names:
                    self.files.get_file(f"{self.root}/{place}/{name}", str(part / name))

    def _put(self, path: Path, target: str) -> None:
        self.files.put_file(str(path), f"{target}.part")
        self.files.mv(f"{target}.part", target)
