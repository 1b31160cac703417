"""Finding the folder that holds the patient folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

from brainseg.cohort.errors import CohortError

PATIENT = re.compile(r"[A-Z]+_[A-Z0-9]{2}_[A-Z0-9]{4}_\d{8}")
SYNTHETIC_PROJECT = "PHANTOM_"
_INSIDE = ("", "kaggle_3m", "lgg-mri-segmentation/kaggle_3m")  # where an unpacked archive holds the patients


def find_folder(folder: str | Path) -> Path:
    """The folder that holds the patient folders, in a place where a cohort or an unpacked archive lies.

    Parameters
    ----------
    folder : str or Path
        The one with the patients, or one that holds ``kaggle_3m`` or ``lgg-mri-segmentation/kaggle_3m``. Where an
        archive holds its tree twice, one of the two is used.

    Raises
    ------
    CohortError
        Where the folder is missing, empty, or holds no patient folder; where it holds two trees that
        differ in their patients or in a patient's number of files.
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise CohortError(
            f'{folder} is not a folder. Check the spelling, or use "phantom" (made here) or "kaggle" (downloaded).'
        )
    found = {folder / inside: patient_folders(folder / inside) for inside in _INSIDE}
    found = {root: names for root, names in found.items() if names}
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
        for name in found[root]:
            counts = [len(list((tree / name).glob("*.tif"))) for tree in (root, other)]
            if counts[0] != counts[1]:
                raise CohortError(
                    f"{root / name} holds {counts[0]} files and {other / name} holds {counts[1]}: one copy is not "
                    "whole. Name the one folder that you mean."
                )
    return root


def patient_folders(root: Path) -> list[str]:
    """Names of the patient folders in `root`, sorted; none where `root` is no folder."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and PATIENT.fullmatch(entry.name))


def is_synthetic(root: str | Path) -> bool:
    """Whether the cohort in `root` is the simulated one, told by the names of its patient folders."""
    return any(name.startswith(SYNTHETIC_PROJECT) for name in patient_folders(Path(root)))
