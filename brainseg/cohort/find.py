"""Finding the folder that holds the patient folders, listing what is in it, and who is a patient.

There is one listing of files, :func:`files_in`, in one order, that of the numbers in the names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from brainseg.cohort.errors import CohortError

PATIENT = re.compile(r"[A-Z]+_[A-Z0-9]{2}_[A-Z0-9]{4}_[0-9]{8}")
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
        differ in their patients or in the names of a patient's files.
    """
    folder = resolved(folder)
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
            files, others_files = ({path.name for path in tiffs_in(tree / name)} for tree in (root, other))
            if files != others_files:
                raise CohortError(
                    f"{root / name} holds {len(files)} files and {other / name} holds {len(others_files)}, and "
                    f"{min(files ^ others_files)} is in one alone. Name the one folder that you mean."
                )
    return root


def resolved(folder: str | Path) -> Path:
    """The absolute path of a folder, links followed.

    Raises
    ------
    CohortError
        Where links lead in a circle, or the name is none that a file can have.
    """
    try:
        return Path(folder).expanduser().resolve(strict=False)
    except (RuntimeError, OSError, ValueError) as error:  # a circle is a RuntimeError before Python 3.13
        raise CohortError(f"{folder} leads nowhere ({error}). Name the folder itself, not a link to it.") from None


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in a folder, in natural order, without those of the system; links to folders count."""
    return sorted((entry.name for entry in _visible(folder) if _is_folder(entry)), key=natural_key)


def patient_folders(root: Path) -> list[str]:
    """Names of the patient folders in `root`, sorted; none where `root` is no folder."""
    return [name for name in folders_in(root) if PATIENT.fullmatch(name)] if root.is_dir() else []


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, in natural order.

    Hidden files are passed over: macOS puts a ``._x.tif`` beside an ``x.tif`` on foreign disks, and it is no picture.
    Pipes and devices are passed over too, because a reader would wait for them for ever.
    """
    files = (Path(entry.path) for entry in _visible(folder) if _is_file(entry))
    return sorted(files, key=lambda path: natural_key(path.name))


def tiffs_in(folder: Path) -> list[Path]:
    """The TIFF files among :func:`files_in`."""
    return [path for path in files_in(folder) if path.name.lower().endswith((".tif", ".tiff"))]


def files_below(folder: Path) -> list[Path]:
    """The files of a folder and of those below it, a folder at a time; each folder once, whatever links say."""
    found: list[Path] = []
    met: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        state = place.stat()
        if (state.st_dev, state.st_ino) not in met:
            met.add((state.st_dev, state.st_ino))
            found += files_in(place)
            waiting += [place / name for name in reversed(folders_in(place))]
    return found


def _visible(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith((".", "__"))]  # __MACOSX, __pycache__
    except OSError as error:
        raise CohortError(f"{folder} cannot be read ({error.strerror}). Check its permissions and the disk.") from None


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _is_file(entry: os.DirEntry) -> bool:
    """Whether it is a file, or a link that leads nowhere, which is to be reported."""
    try:
        return entry.is_file() or not os.path.exists(entry)
    except OSError:  # a link in a circle
        return True


def natural_key(name: str) -> tuple:
    """What names are sorted by so that 2 comes before 10, with `_` or without it."""
    parts = re.split(r"(\d+)", name)
    # Texts and numbers take turns, so a text never meets a number. Equal numbers, as 1 and 01, go by the name.
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), name


def patient_of(path: Path) -> str | None:
    """The patient of a slice, where a name tells: that of the file, or of the nearest folder above it.

    Returns
    -------
    str or None
        None where none is named as in Kaggle's layout.
    """
    in_file = re.match(rf"{PATIENT.pattern}(?![A-Za-z0-9])", path.stem)
    return in_file[0] if in_file else _patient_of_folder(path.parent)


def _patient_of_folder(folder: Path) -> str | None:
    return next((place.name for place in (folder, *folder.parents) if PATIENT.fullmatch(place.name)), None)


def by_patient(paths: Iterable[Path]) -> dict[tuple[Path, str], list[Path]]:
    """Slices gathered by patient.

    A name as in Kaggle's layout tells the patient, be it the file's or the folder's. Where neither has such a name, a
    folder is a patient, as long as its files differ in one number, which counts the slices.

    Parameters
    ----------
    paths : iterable of Path
        In natural order.

    Returns
    -------
    dict
        (folder, patient) -> its slices.

    Raises
    ------
    CohortError
        Where names contradict each other, a patient lies in several folders, or it cannot be told whether a folder
        holds one patient or several.
    """
    patients: dict[tuple[Path, str], list[Path]] = {}
    untold: dict[Path, list[Path]] = {}
    problems = []
    for path in paths:
        name = patient_of(path)
        if name is None:
            untold.setdefault(path.parent, []).append(path)
            continue
        if _patient_of_folder(path.parent) not in (name, None):
            problems.append(f"{path} lies in the folder of another patient. Move it, or rename it.")
        patients.setdefault((path.parent, name), []).append(path)
    places: dict[str, Path] = {}
    for folder, name in patients:
        if (place := places.setdefault(name, folder)) != folder:
            problems.append(
                f"{folder} and {place} both hold slices of {name}. Put them into one folder, or name the one that you "
                "mean."
            )
    for folder, files in untold.items():
        if other := next((key for key in patients if key[0] == folder), None):
            problems.append(
                f"{files[0]} tells no patient, and {patients[other][0].name} beside it does. Move one of them."
            )
        elif other := _differs(files):
            problems.append(
                f"{folder} holds {files[0].name} and {other.name}: it cannot be told whether they are slices of one "
                "patient. Give each patient a folder, in which the names differ in the number of the slice alone."
            )
        else:
            patients[folder, folder.name] = files
    if problems:
        raise CohortError(problems)
    return patients


def _differs(files: list[Path]) -> Path | None:
    """The first file whose name differs from the others' in more than one number; None where there is none."""
    names = [re.split(r"(\d+)", path.stem) for path in files]
    varies: set[int] = set()
    for path, name in zip(files, names, strict=True):
        if name[::2] != names[0][::2]:
            return path
        varies |= {place for place in range(1, len(name), 2) if int(name[place]) != int(names[0][place])}
        if len(varies) > 1:
            return path
    return None


def case_of(patient: str) -> str:
    """The case of a patient in Kaggle's layout, which is its name without the date; any other name as it is."""
    return patient.rpartition("_")[0] if PATIENT.fullmatch(patient) else patient


def is_synthetic(root: str | Path) -> bool:
    """Whether the cohort in `root` is the simulated one, told by the names of its patient folders."""
    return any(name.startswith(SYNTHETIC_PROJECT) for name in patient_folders(Path(root)))
