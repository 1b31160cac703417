"""The article's files: a cohort's cropped images and masks as TIFFs.

The networks of this study do not read them; `brainseg.images.prepared` makes their arrays.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from brainseg.cohort import index_cohort, read_patient
from brainseg.images.crop import crop as cut
from brainseg.images.prepared import for_each_patient
from brainseg.images.preprocess import Preprocessing, box_table, boxes_and_images
from brainseg.paths import folder_atomically, locked


def save_crops(
    root: str | Path,
    folder: str | Path,
    contrast: str = "clahe",
    crop: str = "slice",
    margin_px: int = 0,
    patients: Sequence[str] | None = None,
) -> Path:
    """Write the cropped images and masks as TIFFs in Kaggle's layout, as the article does.

    Nothing is resized. ``boxes.csv`` says where each crop comes from, so that
    `brainseg.images.crop.restore` can put it back. The folder appears when all of it is written. Of calls at once one
    works at a time. What is there already is left alone, byte by byte, because somebody may be reading it.

    Parameters
    ----------
    root : str or Path
        From `brainseg.data.get_cohort`.
    folder : str or Path
        Gets ``<patient>/<patient>_<k>.tif`` and ``..._<k>_mask.tif``. It must be new, empty, or the
        result of an earlier call, which is replaced as a whole.
    contrast, crop, margin_px
        As in `Preprocessing`; the defaults are the article's.
    patients : list of str, optional
        Only these; default: all.

    Returns
    -------
    Path of ``boxes.csv``, with ``patient, slice, top, bottom, left, right, lost_px``.

    Raises
    ------
    ValueError
        Where a setting or a patient is not known, or the folder lies in the cohort or holds other files.
    """
    preprocessing = Preprocessing(contrast=contrast, crop=crop, margin_px=margin_px, normalise="none")
    folder = Path(folder).expanduser().resolve()
    _refuse_place(folder, Path(root).resolve())
    table = index_cohort(root)
    wanted = set(table["patient"] if patients is None else patients)
    if unknown := sorted(wanted - set(table["patient"])):
        raise ValueError(f"no patient {unknown[0]!r} in {root}; the first is {table['patient'].iloc[0]!r}")
    if not wanted:
        raise ValueError("no patient was named: leave `patients` out for all of them")
    groups = [(name, slices) for name, slices in table.groupby("patient", sort=False) if name in wanted]
    found: dict[str, pd.DataFrame] = {}
    with locked(folder.with_name(f".{folder.name}")), folder_atomically(folder) as part:
        _refuse_other_files(folder)

        def save_patient(name: str, slices: pd.DataFrame) -> int:
            images, masks = read_patient(table, name)
            boxes, images = boxes_and_images(images, preprocessing)
            (part / name).mkdir()
            for image, mask, box, number in zip(images, masks, boxes, slices["slice"], strict=True):
                path = part / name / f"{name}_{number}"
                tifffile.imwrite(f"{path}.tif", cut(image, box), photometric="rgb")
                tifffile.imwrite(f"{path}_mask.tif", cut(mask, box).astype(np.uint8) * 255, photometric="minisblack")
            found[name] = box_table(slices, boxes, masks)
            return len(slices)

        count = sum(len(slices) for _, slices in groups)
        for_each_patient(save_patient, groups, count, workers=None, what="saving crops")
        pd.concat([found[name] for name, _ in groups]).to_csv(part / "boxes.csv", index=False)
        _refuse_other_files(folder)  # nothing else was put there meanwhile
        if folder.exists() and not _same(folder, part):
            shutil.rmtree(folder)
    return folder / "boxes.csv"


_NEW = "Name a new folder outside the cohort."


def _refuse_place(folder: Path, root: Path) -> None:
    if folder.is_relative_to(root):
        raise ValueError(
            f"{folder} lies in the cohort {root}: the crops would overwrite or mingle with its slices. {_NEW}"
        )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file. {_NEW}")


def _refuse_other_files(folder: Path) -> None:
    """Refuse a folder where files would be lost that these crops did not write."""
    if not folder.exists():
        return
    boxes = folder / "boxes.csv"
    written = {boxes}
    if boxes.is_file():
        rows = pd.read_csv(boxes, usecols=["patient", "slice"])
        written |= {folder / name for name in rows["patient"]}
        for name, number in zip(rows["patient"], rows["slice"], strict=True):
            written |= {folder / name / f"{name}_{number}{end}.tif" for end in ("", "_mask")}
    if others := sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path not in written):
        raise ValueError(f"{folder} holds {others[0]!r}, which is no crop of an earlier call. {_NEW}")


def _same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files, byte by byte."""
    names, others = (
        {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} for folder in (one, other)
    )
    return names == others and filecmp.cmpfiles(one, other, names, shallow=False)[1:] == ([], [])
