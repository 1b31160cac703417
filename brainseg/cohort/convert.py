"""Images and masks of any kind, written as a cohort in Kaggle's layout."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from tqdm import tqdm

from brainseg.cohort.errors import CohortError
from brainseg.cohort.find import SYNTHETIC_PROJECT, resolved
from brainseg.cohort.frame import framed
from brainseg.cohort.pixels import (
    PixelError,
    Plane,
    eight_bits,
    levels_of,
    read_picture,
    read_plane,
    refuse_head,
    tumour_of,
)
from brainseg.paths import folder_atomically

SEQUENCE_COLUMNS = ("pre", "flair", "post")
UNKNOWN_DATE = "00000000"
MOST_PATIENTS = 9999  # their numbers have four digits


def convert_pairs(
    pairs: pd.DataFrame,
    root: str | Path,
    project: str = "MYSET",
    labels: Iterable[int] | None = None,
    invert: bool | None = None,
    page: int | Sequence[int] | None = None,
) -> Path:
    """Write slices and their masks as a cohort that `index_cohort` accepts.

    Slices of another size are scaled to the frame of 256 x 256 pixels as a whole and padded with black, so no shape is
    distorted. Grey levels of 8 bits are kept; what else a picture may hold, `brainseg.cohort.pixels` says.

    Parameters
    ----------
    pairs : DataFrame
        One row per slice, in the order of the stack. ``patient``: any name; blanks around it do not count. ``flair``,
        ``mask``: paths of grey pictures, such as PNG or TIFF, of one size, each named once in its column; only an empty
        mask may serve several slices. Optional: ``pre`` and ``post``, the T1 before and after contrast agent; for a
        patient without them a copy of FLAIR takes their place, as in the data set itself.
        ``institution``: two capitals or digits, ``"XX"`` by default.
    root : str or Path
        The folder to make. It appears only when it is whole.
    project : str
        Capitals; the first part of the patients' new names, which are numbered. ``data.csv`` keeps the names given.
    labels : iterable of int, optional
        The levels of a mask that are tumour. Without it a mask holds 0 and one other level, the same in all masks.
    invert : bool, optional
        Whether tumour is where the masks would say background.
    page : int or sequence of int, optional
        Which page of files with several holds the slice, from 0: one for all rows, or one for each.

    Returns
    -------
    Path
        `root`, absolute.

    Raises
    ------
    CohortError
        One report of all problems: the table's cells and names, and the files that are refused by the rules of
        `brainseg.cohort.pixels`, each with its row.
    """
    root = resolved(root)
    if "patient" in pairs.columns and pairs.columns.is_unique:
        pairs = pairs.assign(patient=[name.strip() if isinstance(name, str) else name for name in pairs["patient"]])
    labels = None if labels is None else np.atleast_1d(list(labels) if isinstance(labels, Iterable) else labels)
    problems = _problems_of_names(pairs, root, project, labels, page)
    if problems:
        raise CohortError(problems)
    pairs = pairs.assign(institution=pairs.get("institution", "XX"), page=page)
    faults, patients, levels, outlines = _Faults(), [], {}, {}
    with folder_atomically(root) as folder:
        groups = pairs.groupby("patient", sort=True)
        for number, (name, rows) in enumerate(tqdm(groups, desc="converting", unit="patient", leave=False), start=1):
            case = f"{project}_{rows['institution'].iloc[0]}_{number:04d}"
            patients.append({"Patient": case, "name": name})
            _write_patient(rows, folder / f"{case}_{UNKNOWN_DATE}", labels, invert, faults, levels, outlines)
        problems = faults.sentences() or _problems_of_levels(levels, labels)
        if problems:
            raise CohortError(problems)
        pd.DataFrame(patients).to_csv(folder / "data.csv", index=False)
    return root


class _Faults:
    """Files that were refused, gathered by column and kind, so that a short report names every row."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[str, list]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    @contextlib.contextmanager
    def caught(self, column: str, row, path) -> Iterator[None]:
        """Keep a refusal that comes up inside."""
        try:
            yield
        except PixelError as error:
            first = f"{path} (row {row}, column {column}) {error}"
            self._found.setdefault((column, error.kind), (first, []))[1].append(row)

    def sentences(self) -> list[str]:
        """A sentence for each column and kind, with the rows."""
        return [
            sentence + (f" The same holds for {len(rows)} rows in all: {_spans(rows)}." if len(rows) > 1 else "")
            for sentence, rows in self._found.values()
        ]


def _spans(rows: list) -> str:
    """Rows in short: 0 to 3, 7."""
    spans: list[list] = []
    for row in rows:
        if spans and isinstance(row, int) and isinstance(spans[-1][1], int) and row == spans[-1][1] + 1:
            spans[-1][1] = row
        else:
            spans.append([row, row])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in spans)


def _problems_of_names(pairs: pd.DataFrame, root: Path, project: str, labels, page) -> list[str]:
    problems = [
        f"The table has no column {name!r}. Add it." for name in ("patient", "flair", "mask") if name not in pairs
    ]
    if not len(pairs):
        problems.append("The table has no rows. Check the folder and the pattern that it was made from.")
    if not pairs.index.is_unique or not pairs.columns.is_unique:
        problems.append("Rows or columns of the table share a name. Number the rows: pairs.reset_index(drop=True).")
    elif not problems:
        problems += _problems_of_cells(pairs, page)
    if not re.fullmatch("[A-Z]+", str(project)) or f"{project}_" == SYNTHETIC_PROJECT:
        problems.append(f"The project {project!r} must be capitals only, and not that of the phantom. Try 'MYSET'.")
    if "institution" in pairs:
        for code in pairs["institution"].unique():
            if not re.fullmatch("[A-Z0-9]{2}", str(code)):
                problems.append(f"The institution {code!r} must be two capitals or digits, such as 'AB'.")
    if labels is not None and not len(labels):
        problems.append("labels is empty. Name the levels that are tumour, or leave it out.")
    if root.exists():
        problems.append(f"{root} exists. Remove it or name another folder.")
    return problems


def _is_a_list(page) -> bool:
    return isinstance(page, Sequence | np.ndarray | pd.Series) and not isinstance(page, str)


def _is_a_number(page) -> bool:
    return isinstance(page, int | float | np.number) and np.isfinite(page)


def _empty(cells: pd.Series) -> pd.Series:
    return cells.isna() | (cells.astype(str).str.strip() == "")


def _problems_of_cells(pairs: pd.DataFrame, page) -> list[str]:
    """Cells that are empty or contradict one another."""
    problems = []
    empty = {name: _empty(pairs[name]) for name in pairs}
    if empty["patient"].any():
        problems.append(f"No patient is named in row {_spans(pairs.index[empty['patient']].tolist())}. Name it.")
    problems += _problems_of_patients(pairs["patient"][~empty["patient"]].drop_duplicates())
    for column in (*SEQUENCE_COLUMNS, "mask"):
        if column not in pairs:
            continue
        lacks = empty[column]
        no_path = [cell for cell in pairs[column][~lacks] if not isinstance(cell, str | os.PathLike)]
        if no_path:
            problems.append(f"The column {column} holds {no_path[0]!r}, which is no path. Give it as text.")
        if column in ("pre", "post"):  # a patient may lack the whole sequence
            lacks = lacks & ~lacks.groupby(pairs["patient"]).transform("all").astype(bool)
        if lacks.any():
            problems.append(
                f"The column {column} has no path in row {_spans(pairs.index[lacks].tolist())}. "
                "Give it, or leave the row out."
            )
    pages = list(page) if _is_a_list(page) else [page] * len(pairs)
    if len(pages) != len(pairs):
        return [
            *problems,
            f"page has {len(pages)} numbers for {len(pairs)} rows. Give one for each row, or one for all.",
        ]
    if isinstance(page, pd.Series) and not page.index.equals(pairs.index):
        problems.append("page is a series with other rows than the table. Give a list, in the order of the table.")
    odd = [number for number in pages if not (pd.isna(number) or (_is_a_number(number) and number == int(number)))]
    if odd:
        return [*problems, f"page holds {odd[0]!r}. Give whole numbers, from 0."]
    for column in empty:
        if column in SEQUENCE_COLUMNS:  # one empty mask may serve many slices
            problems += _problems_of_repeats(pairs[column], pages, empty[column])
    same = (pairs["flair"].astype(str) == pairs["mask"].astype(str)) & ~empty["flair"]
    if same.any():
        problems.append(f"Picture and mask are one file in row {_spans(pairs.index[same].tolist())}. Name the mask.")
    if "institution" in pairs and (several := pairs.groupby("patient")["institution"].nunique() > 1).any():
        problems.append(f"{several.index[several][0]!r} has several institutions. Give a patient one.")
    if pairs["patient"].nunique() > MOST_PATIENTS:
        problems.append(f"There are more than {MOST_PATIENTS} patients. Make several cohorts.")
    return problems


def _problems_of_patients(names: pd.Series) -> list[str]:
    """Names that no file can hold, and pairs of names that are likely to be one person's."""
    problems = []
    met: dict[str, object] = {}
    for row, name in names.items():
        try:
            text = str(name).encode()
        except UnicodeEncodeError:
            text = b"\0"
        if b"\0" in text:
            problems.append(f"The patient {name!r} (row {row}) has a name that is no text in UTF-8. Give another one.")
            continue
        spelt = "".join(unicodedata.normalize("NFKC", str(name)).casefold().split())
        if (other := met.setdefault(spelt, name)) is not name:
            problems.append(
                f"The patients {other!r} and {name!r} (row {row}) differ in nothing but blanks, capitals or forms of "
                "letters. Give one person one name, or two persons names that differ in more."
            )
    return problems


def _problems_of_repeats(files: pd.Series, pages: Sequence, empty: pd.Series) -> list[str]:
    """Rows that name one file and page of a column: they would be one slice twice, perhaps of two patients."""
    rows: dict[tuple, list] = {}
    for row, path, page, lacks in zip(files.index, files, pages, empty, strict=True):
        if not lacks:
            rows.setdefault(_picture(path, page), []).append(row)
    return [
        f"{files[named[0]]} is named in the column {files.name} by row {_spans(named)}. Give each slice a file of its "
        "own, or leave the row out."
        for named in rows.values()
        if len(named) > 1
    ]


def _picture(path: object, page) -> tuple[str, int]:
    """Where a file lies, however its path is written, and which of its pages is meant."""
    page = 0 if pd.isna(page) else page
    try:
        return os.path.realpath(str(path)), page
    except (OSError, ValueError):  # a name that no file can have, which whoever reads it reports
        return str(path), page


def _problems_of_levels(levels: dict, labels) -> list[str]:
    """What no mask can tell alone: which level is tumour has to be the same in all of them."""
    if labels is not None:
        if not np.isin(list(levels), labels).any():
            shown = ", ".join(f"{level:g}" for level in sorted(levels)[:6])
            return [f"No mask holds a level of labels={labels.tolist()}. The masks hold {shown}."]
        return []
    several = {level: place for level, place in sorted(levels.items()) if level != 0}
    if len(several) < 2:
        return []
    found = "; ".join(f"{level:g} in {path} (row {row})" for level, (row, path) in list(several.items())[:6])
    return [
        f"Masks hold different levels beside 0: {found}. Say which are tumour, as in labels={list(map(int, several))}."
    ]


def _write_patient(
    rows: pd.DataFrame,
    folder: Path,
    labels: np.ndarray | None,
    invert: bool | None,
    faults: _Faults,
    levels: dict,
    outlines: dict,
) -> None:
    """Write one patient's slices and masks; or nothing, and why into `faults`.

    `levels` gets those of the masks, and `outlines` the masks with tumour, each with its row.
    """
    given = [column for column in SEQUENCE_COLUMNS if column in rows and not _empty(rows[column]).any()]
    pictures = {column: _read_column(rows, column, read_picture, faults) for column in given}
    planes = _read_column(rows, "mask", read_plane, faults)
    if any(len(stack) < len(rows) for stack in (*pictures.values(), planes)):
        return
    masks: list[np.ndarray] = []
    for place, (row, path) in enumerate(rows["mask"].items()):
        with faults.caught("mask", row, path):
            plane = planes[place]
            for column, stack in pictures.items():
                _refuse_other_size(plane, stack[place], column)
            masks.append(tumour_of(plane, labels, invert))
            drawn = _picture(path, rows["page"].iloc[place])
            if masks[-1].any() and (other := outlines.setdefault(drawn, row)) != row:
                raise PixelError(
                    f"outlines a tumour, and is the mask of row {other} as well. Give each slice its own.", "repeated"
                )
            for level in levels_of(plane).tolist():
                levels.setdefault(level, (row, path))
    volumes: dict[str, list[np.ndarray]] = {}
    for column, stack in pictures.items():
        with faults.caught(column, rows.index[0], rows[column].iloc[0]):
            volumes[column] = eight_bits(stack)
    if len(masks) < len(rows) or len(volumes) < len(pictures):
        return
    for row, path, mask, flair in zip(rows.index, rows["mask"], masks, volumes["flair"], strict=True):
        with faults.caught("mask", row, path):
            refuse_head(mask, flair)
    if not faults:
        _write_slices(folder, volumes, masks)


def _read_column(rows: pd.DataFrame, column: str, read: Callable[..., Any], faults: _Faults) -> list:
    """What `read` makes of the files of a column; fewer than there are rows where some are refused."""
    found = []
    for row, path, page in zip(rows.index, rows[column], rows["page"], strict=True):
        with faults.caught(column, row, path):
            found.append(read(path, None if pd.isna(page) else int(page)))
    return found


def _refuse_other_size(mask: Plane, picture: np.ndarray, column: str) -> None:
    if mask.pixels.shape != picture.shape:
        its, pictures = (" x ".join(map(str, pixels.shape)) for pixels in (mask.pixels, picture))
        raise PixelError(
            f"has {its} pixels, and its picture in the column {column} {pictures}. Give both the same size.", "size"
        )


def _write_slices(folder: Path, volumes: dict[str, list[np.ndarray]], masks: list[np.ndarray]) -> None:
    folder.mkdir()
    for place, mask in enumerate(masks):
        image = np.stack([framed(volumes.get(name, volumes["flair"])[place]) for name in SEQUENCE_COLUMNS], axis=-1)
        tumour = framed(mask.astype(np.float32)) >= 0.5
        stem = f"{folder.name}_{place + 1}"
        tifffile.imwrite(folder / f"{stem}.tif", image, photometric="rgb")
        tifffile.imwrite(folder / f"{stem}_mask.tif", tumour.astype(np.uint8) * 255, photometric="minisblack")
