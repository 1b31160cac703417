"""Finding the folder that holds the patient folders, and making or downloading it where it is asked for by name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from brainseg.cohort.read import CohortError
from brainseg.paths import build_folder
from brainseg.provenance import code_digest

PATIENT = re.compile(r"[A-Z]+_[A-Z0-9]{2}_[A-Z0-9]{4}_\d{8}")
SYNTHETIC_PROJECT = "PHANTOM_"
_INSIDE = ("", "kaggle_3m", "lgg-mri-segmentation/kaggle_3m")  # where an unpacked archive holds the patients


def find_cohort(data: str | Path) -> Path:
    """The folder that holds the patient folders.

    Parameters
    ----------
    data : str or Path
        ``"phantom"`` makes the embedded cohort where it is absent; ``"phantom:4"`` one of four
        patients, ``"phantom:4:1"`` four others, drawn with seed 1; each is stored apart. ``"kaggle"`` downloads the real one. Anything else is a folder: the
        one with the patients, or one that holds ``kaggle_3m`` or ``lgg-mri-segmentation/kaggle_3m``.
        Where an archive holds its tree twice, one of the two is used.

    Raises
    ------
    CohortError
        Where the folder is missing, empty, or holds no patient folder; where it holds two trees that
        differ in their patients or in a patient's number of files.
    """
    name, *draw = str(data).split(":")
    if name == "phantom":
        return _phantom(draw)
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


def _phantom(numbers: list[str]) -> Path:
    """The embedded cohort, made where it is absent. `numbers` are none, that of patients, or that and the seed."""
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers) or (numbers and int(numbers[0]) < 1):
        name = ":".join(["phantom", *numbers])
        raise CohortError(f'"{name}" is neither phantom:PATIENTS nor phantom:PATIENTS:SEED. Write for example "phantom:4".')
    options = dict(zip(("patients", "seed"), map(int, numbers)))
    # A cohort that is there is never remade, so its folder carries the code that drew it.
    name = "-".join(["phantom", *map(str, options.values()), _phantom_code()])
    root = build_folder() / "cohorts" / name / "kaggle_3m"
    if not patient_folders(root):
        from brainseg.phantom import make_phantom

        make_phantom(root, **options)
    return root


def _phantom_code() -> str:
    """Eight hexadecimal digits that change with the code of `brainseg.phantom`."""
    return code_digest(*sorted((Path(__file__).parent.parent / "phantom").glob("*.py")))[:8]


def patient_folders(root: Path) -> list[str]:
    """Names of the patient folders in `root`, sorted; none where `root` is no folder."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and PATIENT.fullmatch(entry.name))


def is_synthetic(root: str | Path) -> bool:
    """Whether the cohort in `root` is the simulated one, told by the names of its patient folders."""
    return any(name.startswith(SYNTHETIC_PROJECT) for name in patient_folders(Path(root)))
