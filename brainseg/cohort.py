"""The cohort: where it is, whether every file of it is sound, and one table with a row a slice.

The layout is that of the Kaggle data set ``mateuszbuda/lgg-mri-segmentation``::

    kaggle_3m/data.csv
    kaggle_3m/TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1.tif
    kaggle_3m/TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1_mask.tif

A folder's name is project, institution, patient number and date. The first three fields are the
case, which is the key of ``data.csv``. The phantom cohort uses the same layout and names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import tifffile
from tqdm import tqdm

from brainseg.paths import build_folder, write_atomically

SEQUENCES = ("pre-contrast T1", "FLAIR", "post-contrast T1")
PRE, FLAIR, POST = 0, 1, 2
FRAME = (256, 256)

_PATIENT = re.compile(r"[A-Z]+_[A-Z0-9]{2}_[A-Z0-9]{4}_\d{8}")
_CASE = re.compile(r"[A-Z]+_[A-Z0-9]{2}_[A-Z0-9]{4}")
_SYNTHETIC_PROJECT = "PHANTOM_"
_INSIDE = ("", "kaggle_3m", "lgg-mri-segmentation/kaggle_3m")  # where an unpacked archive holds the patients
_LISTED = 20  # problems spelt out in one report
_INDEX_FORMAT = 1  # raise it when a column changes its meaning: old cache entries are then passed over


class CohortError(ValueError):
    """Everything that is wrong with a cohort, in one report.

    Parameters
    ----------
    problems : iterable of str
        One sentence each: the file, what is wrong, what to do.
    where : str or Path, optional
        The folder that was looked at.

    Attributes
    ----------
    problems : list of str
        All of them. The message spells out the first 20 and counts the rest.
    """

    def __init__(self, problems: str | Iterable[str], where: str | Path | None = None):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        if len(self.problems) == 1 and where is None:
            message = self.problems[0]
        else:
            count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
            lines = [f"{count} in {where}:" if where else f"{count}:"]
            lines += [f"  - {problem}" for problem in self.problems[:_LISTED]]
            if len(self.problems) > _LISTED:
                lines.append(f"  ... and {len(self.problems) - _LISTED} more of this kind or another.")
            message = "\n".join(lines)
        super().__init__(message)


# ---------------------------------------------------------------- finding


def find_cohort(data: str | Path) -> Path:
    """The folder that holds the patient folders.

    Parameters
    ----------
    data : str or Path
        ``"phantom"`` makes the embedded cohort where it is absent; ``"phantom:4"`` one of four
        patients, stored apart. ``"kaggle"`` downloads the real one. Anything else is a folder: the
        one with the patients, or one that holds ``kaggle_3m`` or ``lgg-mri-segmentation/kaggle_3m``.
        Where an archive holds its tree twice, one of the two is used.

    Raises
    ------
    CohortError
        Where the folder is missing, empty, or holds no patient folder.
    """
    name, _, number = str(data).partition(":")
    if name == "phantom":
        return _phantom(number)
    if str(data) == "kaggle":
        from brainseg.download import download_kaggle

        return download_kaggle()
    if not str(data).strip():
        raise CohortError('No cohort was named. Give "phantom", "kaggle" or a folder.')
    folder = Path(data).expanduser().resolve()
    if not folder.is_dir():
        raise CohortError(
            f'{folder} is not a folder. Check the spelling, or use "phantom" (made here) or "kaggle" (downloaded).'
        )
    found = {root: names for inside in _INSIDE if (names := _patient_folders(root := folder / inside))}
    if not found:
        held = "is empty" if not any(folder.iterdir()) else "holds no patient folder"
        raise CohortError(
            f"{folder} {held}. Expected folders such as TCGA_CS_4941_19960909 in it, in its kaggle_3m/ or in "
            "its lgg-mri-segmentation/kaggle_3m/. Unpack the Kaggle archive there, or name another folder."
        )
    # Copies of the archive often hold the whole tree twice. Equal trees are one cohort, unequal ones a question.
    root, *others = found
    for other in others:
        if found[other] != found[root]:
            raise CohortError(
                f"{root} holds {len(found[root])} patients and {other} holds {len(found[other])}, and they are "
                "not the same ones. Name the one folder that you mean."
            )
    return root


def _phantom(number: str) -> Path:
    """The embedded cohort, made where it is absent. `number` of patients as text, "" for the default."""
    if number and not (number.isdecimal() and int(number) > 0):
        raise CohortError(f'"phantom:{number}" names no number of patients. Write for example "phantom:4".')
    folder = build_folder() / "cohorts" / (f"phantom-{int(number)}" if number else "phantom")
    root = folder / "kaggle_3m"
    if not _patient_folders(root):
        from brainseg.phantom import make_phantom

        make_phantom(root, **({"patients": int(number)} if number else {}))
    return root


def _patient_folders(root: Path) -> list[str]:
    """Names of the patient folders in `root`, sorted; none where `root` is no folder."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and _PATIENT.fullmatch(entry.name))


def is_synthetic(root: str | Path) -> bool:
    """Whether the cohort in `root` is the simulated one, told by the names of its patient folders."""
    return any(name.startswith(_SYNTHETIC_PROJECT) for name in _patient_folders(Path(root)))


# ---------------------------------------------------------------- reading


def read_image(path: str | Path) -> np.ndarray:
    """One slice.

    Returns
    -------
    ndarray of uint8, shape (256, 256, 3)
        The channels are three sequences, in the order of `SEQUENCES`: they are not colours.

    Raises
    ------
    CohortError
        Where the file cannot be read, or has another size, channel count or type.
    """
    return _checked(path, (*FRAME, 3))


def read_mask(path: str | Path) -> np.ndarray:
    """One mask, True on tumour.

    Returns
    -------
    ndarray of bool, shape (256, 256)

    Raises
    ------
    CohortError
        As `read_image`, and where the mask holds a value other than 0 and 255.
    """
    mask = _checked(path, FRAME)
    tumour = mask == 255
    if np.count_nonzero(mask) != np.count_nonzero(tumour):
        values = np.unique(mask)
        shown = ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
        way = (
            "Multiply the mask by 255."
            if values.max() == 1
            else "Save it without smoothing, resizing or lossy compression."
        )
        raise CohortError(f"{path}: a mask may hold 0 (background) and 255 (tumour) only, this one holds {shown}. {way}")
    return tumour


def _checked(path: str | Path, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels of a TIFF of uint8 and `shape`, or a `CohortError` that names the file."""
    try:
        pixels = tifffile.imread(path)
    except FileNotFoundError:
        raise CohortError(f"{path} does not exist. Copy it again from the archive.") from None
    except OSError as error:
        raise CohortError(f"{path} cannot be read ({error.strerror or error}). Check its permissions and the disk.") from None
    except Exception as error:  # a damaged file may break the decoder anywhere
        if "imagecodecs" in str(error):
            raise CohortError(
                f"{path} is a compressed TIFF that needs one more package to be read. "
                "Save it uncompressed, or install imagecodecs."
            ) from None
        raise CohortError(f"{path} is not a whole TIFF file ({error}). Copy it again from the archive.") from None
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise CohortError(
            f"{path} is {_described(pixels.shape)} of {pixels.dtype}, expected {_described(shape)} of uint8. "
            "Replace it by the file from the archive."
        )
    return pixels


def _described(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def read_patient(table: pd.DataFrame, patient: str) -> tuple[np.ndarray, np.ndarray]:
    """All slices of a patient, in the order of the slice numbers.

    Parameters
    ----------
    table : DataFrame
        From `index_cohort`.
    patient : str
        A value of its column ``patient``.

    Returns
    -------
    images : ndarray of uint8, shape (n, 256, 256, 3)
    masks : ndarray of bool, shape (n, 256, 256)

    Raises
    ------
    KeyError
        Where the table holds no such patient.
    """
    rows = table[table["patient"] == patient].sort_values("slice")
    if rows.empty:
        raise KeyError(f"no patient {patient!r} in this table; the first is {table['patient'].iloc[0]!r}")
    images = np.stack([read_image(path) for path in rows["image_path"]])
    masks = np.stack([read_mask(path) for path in rows["mask_path"]])
    return images, masks


def read_patient_table(root: str | Path) -> pd.DataFrame:
    """``data.csv``, one row a case, indexed by case (``TCGA_CS_4941``); gaps are NaN.

    The file may know patients without images here, and the other way round.

    Raises
    ------
    CohortError
        Where the file is missing, is not such a table, or names a case twice.
    """
    path = Path(root) / "data.csv"
    if not path.is_file():
        raise CohortError(f"{path} is missing. Copy it from the archive: it lies beside the patient folders.")
    again = "Copy it again from the archive."
    try:
        table = pd.read_csv(path, dtype={"Patient": str})
    except (ValueError, OSError) as error:  # pandas' parser errors and bad encodings are ValueErrors
        raise CohortError(f"{path} is not a table of comma-separated values ({str(error).strip()}). {again}") from None
    if "Patient" not in table.columns:
        raise CohortError(f"{path} has no column Patient. {again}")
    if table.empty:
        raise CohortError(f"{path} has no rows. {again}")
    odd = [str(case) for case in table["Patient"] if not _CASE.fullmatch(str(case))]
    if odd:
        raise CohortError(f"{path} names a patient {odd[0]!r}, expected names such as TCGA_CS_4941. {again}")
    twice = table.loc[table["Patient"].duplicated(), "Patient"]
    if len(twice):
        raise CohortError(f"{path} names {twice.iloc[0]} more than once. Keep one row a patient.")
    return table.rename(columns={"Patient": "case"}).set_index("case")


# ---------------------------------------------------------------- indexing


def index_cohort(root: str | Path, workers: int | None = None, progress: bool = True) -> pd.DataFrame:
    """Check every file of a cohort and return one row a slice.

    The result is kept under ``_build/cohorts/``. The key is every file's name, size and time of
    change, so a second call reads no image, and a changed file is noticed.

    Parameters
    ----------
    root : str or Path
        From `find_cohort`.
    workers : int, optional
        Threads that read files. Default: two for each processor core.
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
    root = Path(root).resolve()
    slices, sizes, problems = _list_files(root)
    key = _digest(json.dumps([_INDEX_FORMAT, sizes]).encode())
    cache = build_folder() / "cohorts" / f"index-{key}.json"
    if not problems and cache.is_file():
        stored = json.loads(cache.read_text())
    else:
        stored = _read_all(root, slices, problems, workers, progress)
        with write_atomically(cache) as part:
            part.write_text(json.dumps(stored))
    table = pd.DataFrame(stored["columns"])
    for column in ("image_path", "mask_path"):
        table[column] = [str(root / relative) for relative in table[column]]
    table.attrs.update(root=str(root), fingerprint=stored["fingerprint"])
    return table


def _list_files(root: Path) -> tuple[list[tuple[str, int]], list, list[str]]:
    """What the folder holds, from names alone: slices as (patient, number), what the cache is keyed by, problems."""
    patients = _patient_folders(root)
    if not patients:
        raise CohortError(f"{root} holds no patient folder. Give the folder that find_cohort returns.")
    slices, sizes, problems = [], [], []
    synthetic = [name for name in patients if name.startswith(_SYNTHETIC_PROJECT)]
    if 0 < len(synthetic) < len(patients):
        problems.append(f"{root / synthetic[0]} is synthetic and {len(patients) - len(synthetic)} others are not. Keep them apart.")
    for name in sorted(entry.name for entry in os.scandir(root) if entry.is_dir()):
        if not (_PATIENT.fullmatch(name) or name.startswith((".", "__")) or name in ("kaggle_3m", "lgg-mri-segmentation")):
            problems.append(f"{root / name} is not named like a patient (TCGA_CS_4941_19960909). Rename it or move it away.")
    for patient in patients:
        images, masks = set(), set()
        for entry in sorted(os.scandir(root / patient), key=lambda entry: entry.name):
            if entry.name.startswith(".") or not entry.name.lower().endswith((".tif", ".tiff")):
                continue
            named = re.fullmatch(rf"{patient}_([1-9]\d*)(_mask)?\.tif", entry.name)
            if named is None:
                problems.append(f"{entry.path} is not named {patient}_1.tif or {patient}_1_mask.tif. Rename it or move it away.")
                continue
            (masks if named[2] else images).add(int(named[1]))
            state = entry.stat()
            sizes.append([f"{patient}/{entry.name}", state.st_size, state.st_mtime_ns])
        if not images and not masks:
            problems.append(f"{root / patient} holds no slices. Unpack it again, or remove the folder.")
        for number in sorted(images - masks):
            problems.append(f"{_image(root, patient, number)} has no mask beside it. Copy the mask from the archive.")
        for number in sorted(masks - images):
            problems.append(f"{_mask(root, patient, number)} has no image beside it. Copy the image from the archive.")
        slices += [(patient, number) for number in sorted(images & masks)]
    try:
        read_patient_table(root)
    except CohortError as error:
        problems += error.problems
    return slices, sizes, problems


def _image(root: Path, patient: str, number: int) -> Path:
    return root / patient / f"{patient}_{number}.tif"


def _mask(root: Path, patient: str, number: int) -> Path:
    return root / patient / f"{patient}_{number}_mask.tif"


def _read_all(root: Path, slices: list, problems: list[str], workers: int | None, progress: bool) -> dict:
    """Read every slice; the table's columns and the fingerprint, or one report of all problems."""
    workers = workers or 2 * (os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        read = pool.map(lambda one: _read_slice(root, *one), slices)
        rows = list(tqdm(read, total=len(slices), desc="checking slices", unit="slice", leave=False, disable=not progress))
    problems = problems + [problem for row in rows for problem in row["problems"]]
    if problems:
        raise CohortError(problems, root)
    table = pd.DataFrame(rows)
    fingerprint = _digest("".join(table["patient"] + table["slice"].astype(str) + table["digest"]).encode())
    for sequence in ("pre", "post"):
        table[f"missing_{sequence}"] = table.groupby("patient")[f"{sequence}_is_flair"].transform("all")
    table["synthetic"] = table["patient"].str.startswith(_SYNTHETIC_PROJECT)
    table = table.drop(columns=["problems", "digest", "pre_is_flair", "post_is_flair"])
    return {"fingerprint": fingerprint, "columns": table.to_dict("list")}


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
    means = cv2.mean(image)  # a channel at a time, and far faster than NumPy over three interleaved channels
    return {
        "patient": patient,
        "case": patient.rpartition("_")[0],
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
        "problems": problems,
    }


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
