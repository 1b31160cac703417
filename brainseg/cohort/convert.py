"""Images and masks of any kind, written as a cohort in Kaggle's layout."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import tifffile
from tqdm import tqdm

from brainseg.cohort.find import SYNTHETIC_PROJECT
from brainseg.cohort.read import FRAME, CohortError
from brainseg.paths import folder_atomically

SEQUENCE_COLUMNS = ("pre", "flair", "post")
UNKNOWN_DATE = "00000000"


def convert_pairs(pairs: pd.DataFrame, root: str | Path, project: str = "MYSET") -> Path:
    """Write slices and their masks as a cohort that `index_cohort` accepts.

    Slices of another size are scaled to the frame of 256 x 256 pixels as a whole and padded with black, so no shape is
    distorted. Grey levels of 8 bits are kept; deeper ones are scaled by the brightest pixel of the patient's volume.

    Parameters
    ----------
    pairs : DataFrame
        One row per slice, in the order of the stack. ``patient``: any name. ``flair``, ``mask``: paths of pictures
        that OpenCV reads, such as PNG or TIFF, of one size. Optional: ``pre`` and ``post``, the T1 before and after
        contrast agent; without them a copy of FLAIR takes their place, as in the data set itself. ``institution``: two
        capitals or digits, ``"XX"`` by default. In a mask every value but 0 is tumour.
    root : str or Path
        The folder to make. It appears only when it is whole.
    project : str
        Capitals; the first part of the patients' new names, which are numbered. ``data.csv`` keeps the names given.

    Returns
    -------
    Path
        `root`.

    Raises
    ------
    CohortError
        One report of all problems: columns and names, files that cannot be read, are coloured, or differ in size.
    """
    root = Path(root)
    problems = _problems_of_names(pairs, root, project)
    if problems:
        raise CohortError(problems)
    pairs = pairs.assign(institution=pairs.get("institution", "XX"))
    patients = []
    with folder_atomically(root) as folder:
        groups = pairs.groupby("patient", sort=True)
        for number, (name, rows) in enumerate(tqdm(groups, desc="converting", unit="patient", leave=False), start=1):
            case = f"{project}_{rows['institution'].iloc[0]}_{number:04d}"
            patients.append({"Patient": case, "name": name})
            problems += _write_patient(rows, folder / f"{case}_{UNKNOWN_DATE}")
        if problems:
            raise CohortError(problems)
        pd.DataFrame(patients).to_csv(folder / "data.csv", index=False)
    return root


def _problems_of_names(pairs: pd.DataFrame, root: Path, project: str) -> list[str]:
    problems = [
        f"The table has no column {name!r}. Add it." for name in ("patient", "flair", "mask") if name not in pairs
    ]
    if not len(pairs):
        problems.append("The table has no rows. Check the folder and the pattern that it was made from.")
    if not re.fullmatch("[A-Z]+", project) or f"{project}_" == SYNTHETIC_PROJECT:
        problems.append(f"The project {project!r} must be capitals only, and not that of the phantom. Try 'MYSET'.")
    for code in pairs.get("institution", pd.Series(dtype=str)).unique():
        if not re.fullmatch("[A-Z0-9]{2}", str(code)):
            problems.append(f"The institution {code!r} must be two capitals or digits, such as 'AB'.")
    if root.exists():
        problems.append(f"{root} exists. Remove it or name another folder.")
    return problems


def _write_patient(rows: pd.DataFrame, folder: Path) -> list[str]:
    """Write one patient's slices and masks; or nothing, and what is wrong."""
    problems, volumes = [], {}
    for column in (*SEQUENCE_COLUMNS, "mask"):
        if column in rows:
            volumes[column] = [_read(path, problems) for path in rows[column]]
    if problems:
        return problems
    for column, planes in volumes.items():
        for path, plane, mask in zip(rows[column], planes, volumes["mask"], strict=True):
            if plane.shape != mask.shape:
                problems.append(f"{path} has {plane.shape} pixels and its mask {mask.shape}. Give both the same size.")
    if problems:
        return problems
    masks = volumes.pop("mask")
    volumes = {column: _eight_bits(planes) for column, planes in volumes.items()}
    folder.mkdir()
    for place, mask in enumerate(masks):
        image = np.stack([_framed(volumes.get(name, volumes["flair"])[place]) for name in SEQUENCE_COLUMNS], axis=-1)
        tumour = _framed((mask > 0).astype(np.float32)) >= 0.5
        stem = f"{folder.name}_{place + 1}"
        tifffile.imwrite(folder / f"{stem}.tif", image, photometric="rgb")
        tifffile.imwrite(folder / f"{stem}_mask.tif", tumour.astype(np.uint8) * 255)
    return []


def _read(path: str | Path, problems: list[str]) -> np.ndarray | None:
    """One grey plane; None, and a sentence in `problems`, where there is none."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if Path(path).is_file() else None
    if pixels is None:
        problems.append(f"{path} is missing or is no picture that OpenCV reads. Check the path and the format.")
    elif pixels.ndim == 3:
        if (pixels[..., :3] == pixels[..., :1]).all():
            return pixels[..., 0]
        problems.append(f"{path} is coloured. Save one grey picture for each sequence.")
        return None
    return pixels


def _eight_bits(planes: list[np.ndarray]) -> list[np.ndarray]:
    """The planes of one volume as uint8, all on one scale."""
    if all(plane.dtype == np.uint8 for plane in planes):
        return planes
    brightest = max(float(plane.max()) for plane in planes)
    return [np.clip(np.rint(plane * (255 / max(brightest, 1e-9))), 0, 255).astype(np.uint8) for plane in planes]


def _framed(plane: np.ndarray) -> np.ndarray:
    """A plane scaled to the frame as a whole, in its middle, on black."""
    scale = min(FRAME[0] / plane.shape[0], FRAME[1] / plane.shape[1])
    height, width = (min(max(round(side * scale), 1), FRAME[0]) for side in plane.shape)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    framed = np.zeros(FRAME, plane.dtype)
    top, left = (FRAME[0] - height) // 2, (FRAME[1] - width) // 2
    framed[top : top + height, left : left + width] = cv2.resize(plane, (width, height), interpolation=way)
    return framed
