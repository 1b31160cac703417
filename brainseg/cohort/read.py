"""Reading one image, one mask, one patient or the patient table, each checked."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from brainseg.cohort.errors import CohortError
from brainseg.cohort.pixels import WHITE_IS_ZERO, data_problem, tags_problem

SEQUENCES = ("pre-contrast T1", "FLAIR", "post-contrast T1")
PRE, FLAIR, POST = 0, 1, 2
FRAME = (256, 256)

_CASE = re.compile(r"[A-Z]+_[A-Z0-9]{2}_[A-Z0-9]{4}")


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
        allowed = "a mask may hold 0 (background) and 255 (tumour) only"
        raise CohortError(f"{path}: {allowed}, this one holds {shown}. {way}")
    return tumour


def _checked(path: str | Path, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels of a TIFF of uint8 and `shape`, or a `CohortError` that names the file."""
    try:
        with tifffile.TiffFile(path) as tiff:
            pages, page = len(tiff.pages), tiff.pages[0]
            # Not `tifffile.imread`, which first looks for series of pages: that takes half of its time, and in Python,
            # so that threads wait for each other. A page that stands for a stack lies in a file of twice its size.
            found = page if pages == 1 and tiff.filehandle.size < 2 * page.nbytes else tiff.series[0]
            fits = found.shape == shape and found.dtype == np.uint8
            reason = tags_problem(page) or (data_problem(page) if fits else None)
            # A damaged file may claim more than there is memory.
            pixels = found.asarray() if fits and not reason else None
    except FileNotFoundError:
        raise CohortError(f"{path} does not exist. Copy it again from the archive.") from None
    except OSError as error:
        reason = error.strerror or error
        raise CohortError(f"{path} cannot be read ({reason}). Check its permissions and the disk.") from None
    except Exception as error:  # a damaged file may break the decoder anywhere
        if "imagecodecs" in str(error):
            raise CohortError(
                f"{path} is a compressed TIFF that needs one more package to be read. "
                "Save it uncompressed, or install imagecodecs."
            ) from None
        raise CohortError(f"{path} is not a whole TIFF file ({error}). Copy it again from the archive.") from None
    if not fits:
        raise CohortError(
            f"{path} is {_described(found.shape)} of {found.dtype}, expected {_described(shape)} of uint8. "
            "Replace it by the file from the archive."
        )
    if pages > 1:
        raise CohortError(f"{path} holds {pages} pages, expected one. Save the one that is the slice.")
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        raise CohortError(f"{path} {WHITE_IS_ZERO}")
    if reason:
        raise CohortError(f"{path} {reason[0]}")
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
    CohortError
        Where the table holds no such patient, or a file cannot be read.
    """
    rows = table[table["patient"] == patient].sort_values("slice")
    if rows.empty:
        raise CohortError(f"no patient {patient!r} in this table; the first is {table['patient'].iloc[0]!r}")
    images = np.empty((len(rows), *FRAME, 3), np.uint8)
    masks = np.empty((len(rows), *FRAME), bool)
    for i, (image_path, mask_path) in enumerate(zip(rows["image_path"], rows["mask_path"], strict=True)):
        images[i], masks[i] = read_image(image_path), read_mask(mask_path)
    return images, masks


def read_patient_table(root: str | Path) -> pd.DataFrame:
    """``data.csv``, one row per case, indexed by case (``TCGA_CS_4941``); gaps are NaN.

    The file may know patients without images here, unless they are synthetic, and the other way round.

    Raises
    ------
    CohortError
        Where the file is missing, is not such a table, or names a case or a column twice.
    """
    path = Path(root) / "data.csv"
    if not path.is_file():
        raise CohortError(f"{path} is missing. Copy it from the archive: it lies beside the patient folders.")
    again = "Copy it again from the archive."
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        if data.startswith((b"\xff\xfe", b"\xfe\xff")) or "\0" in text:
            raise UnicodeError
        table = pd.read_csv(io.StringIO(text), dtype={"Patient": str}, skipinitialspace=True)
        names = next(csv.reader(text.lstrip().splitlines(), skipinitialspace=True))
    except UnicodeError:
        raise CohortError(
            f'{path} is text in another encoding than UTF-8. Save it as "CSV UTF-8 (comma delimited)".'
        ) from None
    except OSError as error:
        raise CohortError(f"{path} cannot be read ({error.strerror}). Check its permissions and the disk.") from None
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise CohortError(f"{path} is not a table of comma-separated values ({str(error).strip()}). {again}") from None
    if twice := [name for name, count in Counter(filter(None, names)).items() if count > 1]:
        raise CohortError(f"{path} names the column {twice[0]} more than once. Keep one of them.")
    if "Patient" not in table.columns:
        first = text.partition("\n")[0]
        for sign, name in ((";", "semicolons"), ("\t", "tabulators")):
            if "Patient" in [cell.strip().strip('"') for cell in first.split(sign)]:
                raise CohortError(f"{path} parts its columns by {name}. Save it with commas, and a dot in decimals.")
        raise CohortError(f"{path} has no column Patient. {again}")
    if not isinstance(table.index, pd.RangeIndex):  # pandas shifts the columns of such rows
        raise CohortError(f"{path} has rows of more cells than there are columns. Take out the commas that end them.")
    if table.empty:
        raise CohortError(f"{path} has no rows. {again}")
    odd = [str(case) for case in table["Patient"] if not _CASE.fullmatch(str(case))]
    if odd:
        raise CohortError(f"{path} names a patient {odd[0]!r}, expected names such as TCGA_CS_4941. {again}")
    again_named = table.loc[table["Patient"].duplicated(), "Patient"]
    if len(again_named):
        raise CohortError(f"{path} names {again_named.iloc[0]} more than once. Keep one row per patient.")
    return table.rename(columns={"Patient": "case"}).set_index("case")
