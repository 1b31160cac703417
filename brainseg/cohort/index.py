"""Checking every file of a cohort, and the table with a row per slice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from brainseg.cohort.errors import CohortError
from brainseg.cohort.find import (
    PATIENT,
    SYNTHETIC_PROJECT,
    case_of,
    files_below,
    folders_in,
    patient_folders,
    resolved,
)
from brainseg.cohort.pixels import PixelError, refuse_head
from brainseg.cohort.read import FLAIR, POST, PRE, read_image, read_mask, read_patient_table
from brainseg.paths import build_folder, write_atomically

_ARCHIVE_FOLDERS = ("kaggle_3m", "lgg-mri-segmentation")  # the second copy of a doubled tree, passed over
_INDEX_FORMAT = 3  # raise it when a column or a check changes: old cache entries are then passed over


def index_cohort(root: str | Path, progress: bool = True) -> pd.DataFrame:
    """Check every file of a cohort and return one row per slice.

    The result is kept under ``_build/cohorts/``. The key is the folder, and every file's name, size and
    times. So a second call reads no image, and a changed file is noticed, even one that was copied with
    the time stamp of its original: the system's own time of change is no copier's to set. Windows has
    none, and gives the time at which a file was made. A cohort that was moved is read again.

    Parameters
    ----------
    root : str or Path
        From `brainseg.data.get_cohort`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        Sorted by patient and slice. ``patient``, ``case``, ``institution`` (str); ``slice`` (int, from
        1); ``image_path``, ``mask_path`` (str); ``tumour_px`` (int); ``mean_pre``, ``mean_flair``,
        ``mean_post`` (float, 0 to 255, over the frame); ``missing_pre``, ``missing_post`` (bool: over
        the whole patient this channel is a copy of FLAIR); ``synthetic`` (bool).
        ``attrs["root"]`` is the folder, ``attrs["fingerprint"]`` a hash of names and pixels, which
        is the same wherever the cohort lies.

    Raises
    ------
    CohortError
        One report of everything wrong with the cohort. Nothing is cached then.
    """
    root = resolved(root)
    slices, sizes, problems = _list_files(root)
    key = _digest(json.dumps([_INDEX_FORMAT, str(root), sizes]).encode())
    cache = build_folder() / "cohorts" / f"index-{key}.json"
    stored = None
    if not problems and cache.is_file():
        with contextlib.suppress(ValueError):  # a damaged disk; what follows makes it anew
            stored = json.loads(cache.read_text(encoding="utf-8"))
    if stored is None:
        with write_atomically(cache) as part:  # first, so that a disk that refuses it does so before every file is read
            stored = _read_all(root, slices, problems, progress)
            part.write_text(json.dumps(stored), encoding="utf-8")
    table = pd.DataFrame(stored["columns"])
    for column in ("image_path", "mask_path"):
        table[column] = [str(root / relative) for relative in table[column]]
    table.attrs.update(root=str(root), fingerprint=stored["fingerprint"])
    return table


def _list_files(root: Path) -> tuple[list[tuple[str, int]], list, list[str]]:
    """What the names alone tell: slices as (patient, number), what the cache is keyed by, problems."""
    patients = patient_folders(root)
    if not patients:
        raise CohortError(f"{root} holds no patient folder. Give the folder that get_cohort returns.")
    problems = []
    synthetic = [name for name in patients if name.startswith(SYNTHETIC_PROJECT)]
    if 0 < len(synthetic) < len(patients):
        others = len(patients) - len(synthetic)
        problems.append(f"{root / synthetic[0]} is synthetic and {others} others are not. Keep them apart.")
    for name in folders_in(root):
        if not (PATIENT.fullmatch(name) or name in _ARCHIVE_FOLDERS):
            example = "TCGA_CS_4941_19960909"
            problems.append(f"{root / name} is not named like a patient ({example}). Rename it or move it away.")
    slices, sizes = [], []
    for patient in patients:
        numbers, of_patient, wrong = _list_patient(root, patient)
        slices += [(patient, number) for number in numbers]
        sizes += of_patient
        problems += wrong
    try:
        named = set(read_patient_table(root).index)
    except CohortError as error:
        problems += error.problems
    else:
        cases = {case_of(name) for name in patients}
        if not named & cases:
            problems.append(
                f"{root / 'data.csv'} names none of the patients beside it. Copy the one that belongs to them."
            )
        elif synthetic and named - cases:
            problems.append(
                f"{root} lacks {min(named - cases)}, a synthetic patient of its data.csv. Copy it back, take its row "
                "out, or draw the cohort again."
            )
    return slices, sizes, problems


def _list_patient(root: Path, patient: str) -> tuple[list[int], list, list[str]]:
    """The numbers of a patient's whole slices, the sizes and times of its files, and problems.

    A slice is a TIFF, or what has the patient's name and an ending that nothing here reads: it would be missing from
    every count.
    """
    images, masks, sizes, problems = set(), set(), [], []
    for path in files_below(root / patient):
        if not path.name.startswith(f"{patient}_") and not path.name.lower().endswith((".tif", ".tiff")):
            continue
        if path.parent != root / patient:
            problems.append(f"{path} lies in a folder within the patient's. Move it up, or away.")
            continue
        named = re.fullmatch(rf"{patient}_([1-9][0-9]*)(_mask)?\.tif", path.name)
        if named is None:
            expected = f"{patient}_1.tif or {patient}_1_mask.tif"
            problems.append(f"{path} is not named {expected}. Rename it or move it away.")
            continue
        (masks if named[2] else images).add(int(named[1]))
        try:
            state = path.stat()
        except OSError as error:  # a link to nothing, or in a circle
            problems.append(f"{path} cannot be read ({error.strerror}). Copy it again from the archive.")
        else:
            sizes.append([f"{patient}/{path.name}", state.st_size, state.st_mtime_ns, state.st_ctime_ns])
    if not images and not masks:
        problems.append(f"{root / patient} holds no slices. Unpack it again, or remove the folder.")
    for number in sorted(images - masks):
        problems.append(f"{_image(root, patient, number)} has no mask beside it. Copy the mask from the archive.")
    for number in sorted(masks - images):
        problems.append(f"{_mask(root, patient, number)} has no image beside it. Copy the image from the archive.")
    return sorted(images & masks), sizes, problems


def _image(root: Path, patient: str, number: int) -> Path:
    return root / patient / f"{patient}_{number}.tif"


def _mask(root: Path, patient: str, number: int) -> Path:
    return root / patient / f"{patient}_{number}_mask.tif"


def _read_all(root: Path, slices: list, problems: list[str], progress: bool) -> dict:
    """Read every slice; the table's columns and the fingerprint, or one report of all problems."""
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        read = pool.map(lambda one: _read_slice(root, *one), slices)
        bar = tqdm(read, total=len(slices), desc="checking slices", unit="slice", leave=False, disable=not progress)
        rows = list(bar)
    problems = problems + [problem for row in rows for problem in row["problems"]]
    table = pd.DataFrame(rows)
    problems = problems or _problems_of_doubles(root, table)
    if problems:
        raise CohortError(problems, root)
    fingerprint = _digest("".join(table["patient"] + table["slice"].astype(str) + table["digest"]).encode())
    for sequence in ("pre", "post"):
        table[f"missing_{sequence}"] = table.groupby("patient")[f"{sequence}_is_flair"].transform("all")
    table["synthetic"] = table["patient"].str.startswith(SYNTHETIC_PROJECT)
    table = table.drop(columns=["problems", "digest", "image_digest", "pre_is_flair", "post_is_flair"])
    return {"fingerprint": fingerprint, "columns": table.to_dict("list")}


def _problems_of_doubles(root: Path, table: pd.DataFrame) -> list[str]:
    """Cases that share a slice with tumour: they are one person, who would stand on both sides of a split."""
    tumours = table[table["tumour_px"] > 0]
    cases = tumours.groupby("image_digest")["case"]
    doubles = tumours[cases.transform("nunique") > 1].groupby("image_digest", sort=False)
    told: dict[tuple[str, ...], str] = {}
    for _, same in doubles:
        first, second = same.drop_duplicates("case")["image_path"][:2]
        told.setdefault(
            tuple(same["case"].unique()),
            f"{root / first} and {root / second} are one picture with tumour, in the folders of two cases. Give both "
            "the same name but for the date, or remove one.",
        )
    return list(told.values())


def _read_slice(root: Path, patient: str, number: int) -> dict:
    """One row of the table, and the problems of its two files."""
    paths = _image(root, patient, number), _mask(root, patient, number)
    pixels, problems = [], []
    for path, read in zip(paths, (read_image, read_mask), strict=True):
        try:
            pixels.append(read(path))
        except CohortError as error:
            problems += error.problems
    if problems:
        return {"problems": problems}
    image, mask = pixels
    try:
        refuse_head(mask, image[..., FLAIR])
    except PixelError as error:
        return {"problems": [f"{paths[1]} {error.by_file}"]}
    means = cv2.mean(image)  # a channel at a time, and far faster than NumPy over three interleaved channels
    return {
        "patient": patient,
        "case": case_of(patient),
        "institution": patient.split("_")[1],
        "slice": number,
        "image_path": paths[0].relative_to(root).as_posix(),
        "mask_path": paths[1].relative_to(root).as_posix(),
        "tumour_px": int(np.count_nonzero(mask)),
        "mean_pre": means[PRE],
        "mean_flair": means[FLAIR],
        "mean_post": means[POST],
        "pre_is_flair": bool(np.array_equal(image[..., PRE], image[..., FLAIR])),
        "post_is_flair": bool(np.array_equal(image[..., POST], image[..., FLAIR])),
        "digest": _digest(image.tobytes() + mask.tobytes()),
        "image_digest": _digest(image.tobytes()),
        "problems": problems,
    }


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
