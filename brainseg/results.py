"""The tables that the project keeps under ``results/``, the log of looks at test patients, and what others published.

Tables are tidy CSV files with one record of what produced them.

A study, such as ``"leakage"``, is a folder ``results/leakage/`` with its tables and a ``record.json``. The
record is written last, so a folder without one is unfinished and is not read.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from brainseg.paths import locked, project_root, write_atomically

REFERENCE = "reference"
"""The study of the reference edition: its tables, its runs, and the log of looks lie below ``results/reference/``."""

DIGITS = 6
LOG_COLUMNS = [
    "date",
    "run",
    "patients",
    "slices",
    "weights",
    "epochs",
    "validation_dice",
    "mean_dice",
    "commit",
    "why",
]


# ---------------------------------------------------------------- what others published, and what was aimed at

CROSS_VALIDATED = 0.836
"""Mean Dice per volume, U-Net, 22-fold cross-validation by patient on all 110 patients; the median is 0.873.

Buda, Saha and Mazurowski, project page: https://mateuszbuda.github.io/2017/12/01/brainseg.html
"""

TWO_READERS = (0.82, 0.86)
"""Two experts agree to a Dice of 84 %, with an SD of 2 %, on this kind of tumour: the same page, without a source."""

AIMS = {"fcn32": 0.80, "unet": CROSS_VALIDATED, "resunet": CROSS_VALIDATED}
"""Mean Dice per volume that this study was asked to reach on patients never seen; no result of anybody."""

AIM_OF_BEST = 0.85
"""The same, for the better one of U-Net and ResUNet."""


# ---------------------------------------------------------------- tables and records


def results_folder(study: str) -> Path:
    """The folder of a study's tables.

    Raises
    ------
    FileNotFoundError
        Where the package is installed without its checkout, which holds the results.
    """
    root = project_root()
    if root is None:
        raise FileNotFoundError("The kept results lie in the project's checkout. Run this from a clone of it.")
    return root / "results" / study


def has_results() -> bool:
    """Whether there is a checkout, which holds the results; an installed package has none."""
    return project_root() is not None


def has_tables(study: str) -> bool:
    """Whether a study's tables are there, and whole."""
    return has_results() and (results_folder(study) / "record.json").is_file()


def of_which_cohort(record: dict, table: pd.DataFrame) -> str:
    """A sentence for a page that reads kept tables of other slices than it was given; empty where they are the same."""
    cohort = record["cohort"]
    if cohort["fingerprint"] == table.attrs["fingerprint"]:
        return ""
    if (cohort["patients"], cohort["slices"]) == (table["patient"].nunique(), len(table)):
        return " Their slices are not pixel for pixel those that this page was given, although there are as many."
    return (
        f" **This page was given another cohort**, of {table['patient'].nunique()} patients and {len(table)} slices. "
        "It shares patients with the kept tables, so these are read. They speak of the "
        f"{cohort['patients']} patients that they were made of, and of no others."
    )


def write_tables(study: str, tables: dict[str, pd.DataFrame], record: dict, *, add: bool = False) -> Path:
    """Write tables as ``NAME.csv``, without their index, and the record of how they came about, last.

    Other tables of the study are removed, because they belong to an earlier record.

    Parameters
    ----------
    study : str
        Name of the folder below ``results``.
    tables : dict of DataFrame
        By name. Floats are kept to six digits.
    record : dict
        Parameters, cohort, versions, seconds: what JSON can hold; `brainseg.provenance.origin` is part of all.
    add : bool
        Leave the other tables: for a study that is made table by table, or has its inputs beside them.

    Returns
    -------
    Path
        The study's folder.
    """
    folder = results_folder(study)
    folder.mkdir(parents=True, exist_ok=True)
    with changing(study):
        (folder / "record.json").unlink(missing_ok=True)
        for path in [] if add else folder.glob("*.csv"):
            if path.stem not in tables:
                path.unlink()
        for name, table in tables.items():
            with write_atomically(folder / f"{name}.csv") as part:
                table.to_csv(part, index=False, float_format=f"%.{DIGITS}g")
        with write_atomically(folder / "record.json") as part:
            part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return folder


def changing(what: str) -> contextlib.AbstractContextManager[None]:
    """Hold something below ``results`` alone, as :func:`brainseg.paths.locked`; the lock is ``results/.WHAT.lock``.

    It lies beside the studies' folders, because whatever is in one of these belongs to the results.
    """
    return locked(results_folder(f".{what}"))


@contextlib.contextmanager
def restorable(path: Path) -> Iterator[None]:
    """Name a kept file that is read inside and is no table or no JSON, because it was cut, say, or merged by halves.

    Raises
    ------
    ValueError
        With the way out.
    """
    try:
        yield
    except ValueError as error:  # those of pandas and json, and of what is no UTF-8
        raise ValueError(f"{path} is damaged ({error}). Restore it from the repository, or recompute it.") from error


def read_csv(path: Path, **options) -> pd.DataFrame:
    """A kept table by its file, as ``pandas.read_csv``; see :func:`restorable`."""
    with restorable(path):
        return pd.read_csv(path, **options)


def read_table(study: str, name: str) -> pd.DataFrame:
    """One kept table.

    Raises
    ------
    FileNotFoundError
        Where the study is absent or unfinished.
    ValueError
        Where the table is damaged.
    """
    if not has_tables(study):
        raise FileNotFoundError(
            f"{results_folder(study)} holds no finished results (no record.json). Restore the folder from the "
            "repository, or recompute it."
        )
    return read_csv(results_folder(study) / f"{name}.csv")


def read_tables(study: str) -> dict[str, pd.DataFrame]:
    """All tables in a study's folder by name, of the reference edition its folds and its log too.

    Tables in the folders of single runs are left out; errors as :func:`read_table`.
    """
    names = sorted(path.stem for path in results_folder(study).glob("*.csv"))
    return {name: read_table(study, name) for name in names}


def read_record(study: str) -> dict:
    """What produced a study's tables; errors of a damaged one as :func:`read_table`."""
    path = results_folder(study) / "record.json"
    with restorable(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_log() -> pd.DataFrame:
    """The log of looks at test patients, ``results/reference/test_log.csv``; no lines where there is none yet."""
    path = results_folder(REFERENCE) / "test_log.csv"
    log = read_csv(path) if path.is_file() else pd.DataFrame()
    return log.reindex(columns=LOG_COLUMNS).astype({"slices": "Int64", "epochs": "Int64"})


def log_test(**line) -> Path:
    """Write down a look at test patients of the real cohort that led to a result: one line more in the log.

    Lines are added and never removed: a network that is replaced keeps the line of its score. What is no look of
    a single network has no weights, epochs and scores.

    Parameters
    ----------
    **line
        Values of `LOG_COLUMNS`, without the date.
    """
    path = results_folder(REFERENCE) / "test_log.csv"
    row = pd.DataFrame([{"date": time.strftime("%Y-%m-%d", time.gmtime()), **line}]).reindex(columns=LOG_COLUMNS)
    with changing("test_log"):
        before = read_log()
        log = row if before.empty else pd.concat([before, row], ignore_index=True)
        with write_atomically(path) as part:
            log.astype({"slices": "Int64", "epochs": "Int64"}).to_csv(part, index=False, float_format=f"%.{DIGITS}g")
    return path
