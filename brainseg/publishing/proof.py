"""The page "What was tried": the kept tables of ``python -m proof``, as tables and sentences at the page's marks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from brainseg.publishing.marks import Part, as_table, fill_marks
from brainseg.results import read_record

UNMEASURED = "This part has not been run yet: `make proof` does it."


def fill_proof(target: Path) -> None:
    """Put the kept tables at the marks of the staged page ``proof.md``."""
    fill_marks(target, "proof", PARTS, UNMEASURED)


def _machine(tables: dict[str, pd.DataFrame], _: Path) -> str:
    rows = [
        [
            f"`{name}`",
            part["date"].replace("-", "\u2011"),
            f"`{part['commit'][:7]}`",
            f"{part['minutes']:.0f}",
            part["processor"],
        ]
        for name, part in read_record("proof")["parts"].items()
    ]
    return as_table(["part", "date", "commit", "minutes", "processor"], rows)


def _field(tables: dict[str, pd.DataFrame], _: Path) -> str:
    field = tables["field"]
    rows = [[row.metric, f"{row.pairs:,}", _small(row.largest)] for row in field.itertuples()]
    monai = read_record("proof")["parts"]["field"]["versions"]["monai"]
    return as_table(["metric", "pairs of masks", f"largest difference from MONAI {monai}"], rows)


def _empties(tables: dict[str, pd.DataFrame], _: Path) -> str:
    rows = [
        [row.truth, row.prediction, row.metric, _value(row.ours), _value(row.monai)]
        for row in tables["empties"].itertuples()
    ]
    return as_table(["true mask", "predicted mask", "metric", "this study", "MONAI"], rows)


def _fuzz(tables: dict[str, pd.DataFrame], _: Path) -> str:
    wide = tables["fuzz"].pivot(index="original", columns="outcome", values="files").fillna(0).astype(int)
    rows = [[f"`{name}`", f"{row['read']:,}", f"{row['refused']:,}"] for name, row in wide.iterrows()]
    total = int(tables["fuzz"]["files"].sum())
    return (
        f"{total:,} damaged files were read. {wide['refused'].sum():,} were refused in a sentence, and "
        f"{wide['read'].sum():,} gave pixels, because the damage left a picture that a file may hold. No other error "
        f"and no crash came.\n\n" + as_table(["original", "read", "refused"], rows)
    )


def _tests(tables: dict[str, pd.DataFrame], _: Path) -> str:
    table = tables["tests"]
    rows = [[row.what, row.tests, row.failed, row.skipped] for row in table.itertuples()]
    return (
        f"{table['tests'].sum():,} tests try to break the study; {table['failed'].sum()} failed when these figures "
        "were made.\n\n" + as_table(["what is tried", "tests", "failed", "skipped"], rows)
    )


def _kills(tables: dict[str, pd.DataFrame], _: Path) -> str:
    table = tables["kills"]
    rows = [[row.kind, row.kills, row.finished, row.same] for row in table.itertuples()]
    finished, same = table["finished"].sum(), table["same"].sum()
    return (
        f"Work was killed {table['kills'].sum()} times. Of the {finished} calls that were left alone afterwards, "
        f"{same} gave what an undisturbed one gives.\n\n"
        + as_table(["what was killed", "kills", "calls left alone", "with the same result"], rows)
    )


def _small(value: float) -> str:
    return "0" if value == 0 else f"{value:.0e}"


def _value(value: float) -> str:
    return "undefined" if pd.isna(value) else f"{value:g}"


PARTS: dict[str, Part] = {
    "machine": ({"tests"}, _machine),
    "tests": ({"tests"}, _tests),
    "field": ({"field"}, _field),
    "empties": ({"empties"}, _empties),
    "fuzz": ({"fuzz"}, _fuzz),
    "kills": ({"kills"}, _kills),
}
"""A part of the page -> the tables that it needs, and what writes it."""
