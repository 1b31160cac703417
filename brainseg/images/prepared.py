"""Prepare: a whole cohort as arrays on disk, ready for a network, with the way back.

What is done to each patient is in `brainseg.images.preprocess`. The result is a folder under
``_build/prepared/``::

    images.npy     uint8 (N, S, S, 3)
    masks.npy      uint8 (N, S, S), 255 times the share of tumour in a pixel
    boxes.csv      one row per slice: its box, and the tumour pixels outside it
    manifest.json  written last; a folder without it is unfinished

An interrupted run goes on with the patients that are still missing.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from brainseg.cohort import FRAME, index_cohort, read_mask, read_patient
from brainseg.images.crop import Box, restore
from brainseg.images.preprocess import BOX_COLUMNS, Preprocessing, box_table, boxes_and_images, crop_and_resize_all
from brainseg.paths import build_folder, folder_atomically, locked, write_atomically

HALF = 128
"""Of 255: a prepared pixel from here on is counted as tumour."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared cohort.

    Attributes
    ----------
    images : uint8 (N, S, S, 3), memory-mapped, read-only
    masks : uint8 (N, S, S), memory-mapped, read-only; 255 times the share of tumour in a pixel
    table : DataFrame
        The cohort's table with ``top, bottom, left, right`` (the box, px of the 256 frame, half-open)
        and ``lost_px`` (tumour pixels outside the box). Row i belongs to ``images[i]``.
    preprocessing : Preprocessing
    fingerprint : str
        Of the cohort and of the preprocessing.
    root, folder : Path
        Where the slices come from, and where the arrays lie.
    packed_truth : uint8 (N, 256, 32), memory-mapped, optional
        The masks in the original frame, a bit a pixel, of slices that have no files.
    """

    images: np.ndarray = field(repr=False)
    masks: np.ndarray = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    preprocessing: Preprocessing
    fingerprint: str
    root: Path
    folder: Path
    packed_truth: np.ndarray | None = field(default=None, repr=False)

    def box(self, row: int) -> Box:
        """The box of one row."""
        return Box(*(int(value) for value in self.table.loc[row, BOX_COLUMNS]))

    def _rows(self, rows: np.ndarray | Sequence[int] | int) -> np.ndarray:
        rows = np.atleast_1d(np.asarray(rows))
        return np.flatnonzero(rows) if rows.dtype == bool else rows.astype(int)

    def restore(self, probabilities: np.ndarray, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """Predictions put back into the original frame, 0 outside the box.

        Parameters
        ----------
        probabilities : float (n, S, S) or (n, S, S, 1), 0..1
        rows : n row numbers of the table, or a bool for each of its rows

        Returns
        -------
        float32 (n, 256, 256)

        Raises
        ------
        ValueError
            Where there is not one prediction per row, or its size is not that of the images.
        """
        rows = self._rows(rows)
        size = self.preprocessing.image_size
        probabilities = np.asarray(probabilities)
        if probabilities.shape not in ((len(rows), size, size), (len(rows), size, size, 1)):
            raise ValueError(
                f"{len(rows)} rows need probabilities of shape {(len(rows), size, size)}, not {probabilities.shape}"
            )
        restored = np.zeros((len(rows), *FRAME), np.float32)
        for out, prediction, row in zip(restored, probabilities.reshape(-1, size, size), rows, strict=True):
            out[:] = restore(prediction, self.box(row), FRAME)
        return restored

    def tumour(self, rows: np.ndarray) -> np.ndarray:
        """The masks of `rows` in the prepared frame: bool (n, S, S), true where at least half of a pixel is tumour."""
        return self.masks[rows] >= HALF

    def truth(self, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """The masks of `rows` as they are on disk, in the original frame: bool (n, 256, 256)."""
        if self.packed_truth is not None:
            return np.unpackbits(self.packed_truth[self._rows(rows)], axis=-1).astype(bool)
        paths = self.table["mask_path"].to_numpy()[self._rows(rows)]
        masks = np.zeros((len(paths), *FRAME), bool)
        with ThreadPoolExecutor() as pool:
            for i, mask in enumerate(pool.map(read_mask, paths)):
                masks[i] = mask
        return masks


# ---------------------------------------------------------------- the cohort


def prepare(root: str | Path, preprocessing: Preprocessing, workers: int | None = None) -> Prepared:
    """Prepare every slice of a cohort, or load what an earlier call prepared.

    Parameters
    ----------
    root : str or Path
        From `brainseg.data.get_cohort`.
    preprocessing : Preprocessing
    workers : int, optional
        Threads; default: one for each processor core.

    Returns
    -------
    Prepared

    Raises
    ------
    brainseg.cohort.CohortError
        Where files of the cohort are unsound, all of them in one report.
    ValueError
        Where the arrays of an earlier call are damaged; the message names their folder.
    OSError
        Where the disk is full. What is whole stays, and the next call goes on from there.
    """
    table = index_cohort(root)
    fingerprint = prepared_fingerprint(table, preprocessing)
    folder = build_folder() / "prepared" / fingerprint
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        with locked(folder):
            if not manifest.is_file():  # nobody prepared it while we waited
                _prepare_folder(folder, table, preprocessing, workers)
    images, masks, boxes = _load(folder, table, preprocessing.image_size)
    return Prepared(
        images=images,
        masks=masks,
        table=table.join(boxes[[*BOX_COLUMNS, "lost_px"]]),
        preprocessing=preprocessing,
        fingerprint=fingerprint,
        root=Path(root),
        folder=folder,
    )


def prepared_fingerprint(table: pd.DataFrame, preprocessing: Preprocessing) -> str:
    """What a cohort's arrays are known by, prepared or not: slices, settings and code."""
    return f"{table.attrs['fingerprint']}-{preprocessing.digest}"


def _load(folder: Path, table: pd.DataFrame, size: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Images, masks and boxes as they lie in a finished folder, checked against the cohort's table."""
    again = f"Remove the folder {folder} and run again: it is prepared anew."
    try:
        arrays = [np.load(folder / name, mmap_mode="r") for name in ("images.npy", "masks.npy")]
        boxes = pd.read_csv(folder / "boxes.csv")
        slices = boxes[["patient", "slice"]].to_numpy().tolist()
        boxes[[*BOX_COLUMNS, "lost_px"]]
    except (ValueError, EOFError, KeyError, FileNotFoundError) as error:  # a file is missing, cut or overwritten
        raise ValueError(f"The prepared arrays are damaged ({error}). {again}") from error
    shape = (len(table), size, size)
    if slices != table[["patient", "slice"]].to_numpy().tolist() or [a.shape for a in arrays] != [(*shape, 3), shape]:
        raise ValueError(f"The prepared arrays do not fit the cohort in {table.attrs['root']}. {again}")
    return *arrays, boxes


def _prepare_folder(folder: Path, table: pd.DataFrame, preprocessing: Preprocessing, workers: int | None) -> None:
    """Fill `folder` patient by patient, and write its manifest last."""
    start_folder(folder, len(table), preprocessing.image_size)
    patients = [(name, slices) for name, slices in table.groupby("patient", sort=False)]

    def prepare_patient(name: str, slices: pd.DataFrame) -> int:
        if not is_prepared(folder, name):
            add_patient(folder, slices, *read_patient(slices, name), preprocessing)
        return len(slices)

    for_each_patient(prepare_patient, patients, len(table), workers, "preparing slices")
    finish_folder(folder, [name for name, _ in patients], table.attrs["fingerprint"], preprocessing)


def start_folder(folder: Path, slices: int, size: int, with_truth: bool = False) -> None:
    """Make the empty arrays of a cohort, or leave those that an interrupted call made.

    Parameters
    ----------
    folder : Path
    slices : int
    size : int
        Side of the prepared slices, px.
    with_truth : bool
        Whether the original masks are kept as well, a bit a pixel, because there are no files of them.
    """
    if folder.is_dir():
        return
    with folder_atomically(folder) as part:
        _make_array(part / "images.npy", (slices, size, size, 3))
        _make_array(part / "masks.npy", (slices, size, size))
        if with_truth:
            _make_array(part / "truth.npy", (slices, FRAME[0], FRAME[1] // 8))
        (part / "patients").mkdir()


def is_prepared(folder: Path, patient: str) -> bool:
    """Whether a patient's rows of the arrays are whole."""
    return (folder / "patients" / f"{patient}.csv").is_file()


def add_patient(
    folder: Path, slices: pd.DataFrame, images: np.ndarray, masks: np.ndarray, preprocessing: Preprocessing
) -> None:
    """Prepare one patient and write its rows of the arrays. Several processes may do so at once.

    Parameters
    ----------
    folder : Path
        From `start_folder`.
    slices : DataFrame
        The patient's rows of the cohort's table; its index says which rows of the arrays are theirs.
    images : uint8 (n, 256, 256, 3)
    masks : bool (n, 256, 256)
    """
    boxes, normalised = boxes_and_images(images, preprocessing)
    first, size = int(slices.index[0]), preprocessing.image_size
    _write_rows(folder / "images.npy", first, crop_and_resize_all(normalised, boxes, size))
    _write_rows(folder / "masks.npy", first, crop_and_resize_all(masks, boxes, size))
    if (folder / "truth.npy").is_file():
        _write_rows(folder / "truth.npy", first, np.packbits(masks, axis=-1))
    # The patient's own file says that its arrays are whole, so it comes after them.
    with write_atomically(folder / "patients" / f"{slices['patient'].iloc[0]}.csv") as part:
        described = box_table(slices, boxes, masks).assign(tumour_px=np.count_nonzero(masks, axis=(1, 2)))
        described.to_csv(part, index=False)


def finish_folder(folder: Path, patients: Sequence[str], cohort: str, preprocessing: Preprocessing) -> None:
    """Join the patients' tables and write the manifest, without which a folder counts as unfinished."""
    boxes = pd.concat([pd.read_csv(folder / "patients" / f"{name}.csv") for name in patients])
    with write_atomically(folder / "boxes.csv") as part:
        boxes.to_csv(part, index=False)
    with write_atomically(folder / "manifest.json") as part:
        record = {
            "preprocessing": asdict(preprocessing),
            "cohort": cohort,
            "slices": len(boxes),
            "patients": len(patients),
            "lost_px": int(boxes["lost_px"].sum()),
        }
        part.write_text(json.dumps(record, indent=2) + "\n")


def open_folder(folder: Path, table: pd.DataFrame, preprocessing: Preprocessing) -> Prepared:
    """The finished arrays of a cohort whose slices have no files; their tumour pixels are read with the boxes.

    Parameters
    ----------
    folder : Path
    table : DataFrame
        A row a slice, without ``tumour_px``; ``attrs["fingerprint"]``.
    """
    images, masks, boxes = _load(folder, table, preprocessing.image_size)
    joined = table.join(boxes[[*BOX_COLUMNS, "lost_px", "tumour_px"]])
    return Prepared(
        images=images,
        masks=masks,
        table=joined,
        preprocessing=preprocessing,
        fingerprint=prepared_fingerprint(table, preprocessing),
        root=folder,
        folder=folder,
        packed_truth=np.load(folder / "truth.npy", mmap_mode="r"),
    )


def for_each_patient(
    work: Callable[[str, pd.DataFrame], int], patients: list, slices: int, workers: int | None, what: str
) -> None:
    """Call `work` for every patient in threads, with one progress bar of slices.

    Reading and OpenCV leave Python's lock alone, so threads are as good as processes here.
    """
    with _one_opencv_thread(), ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        running = [pool.submit(work, name, rows) for name, rows in patients]
        try:
            with tqdm(total=slices, desc=what, unit="slice", leave=False) as bar:
                for one in running:
                    bar.update(one.result())
        except BaseException:
            for one in running:
                one.cancel()
            raise


@contextlib.contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV from starting threads of its own inside each of ours."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _make_array(path: Path, shape: tuple[int, ...]) -> None:
    """A .npy file of uint8 zeros, without holding them in memory."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()


def _write_rows(path: Path, first: int, block: np.ndarray) -> None:
    """Write `block` over the rows of a .npy file from row `first` on.

    Plain writing instead of a writable memory map: a full disk is then an error, not a crash.
    """
    array = np.load(path, mmap_mode="r")
    if array.shape[1:] != block.shape[1:] or first + len(block) > len(array):
        raise ValueError(f"{path} has shape {array.shape}. Remove the folder {path.parent} and run again.")
    with open(path, "r+b") as file:
        file.seek(array.offset + first * block[0].nbytes)
        file.write(np.ascontiguousarray(block).data)
        file.flush()
        os.fsync(file.fileno())
