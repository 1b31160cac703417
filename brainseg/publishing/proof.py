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


def _again(tables: dict[str, pd.DataFrame], _: Path) -> str:
    table = tables["again"]
    again, others = table[table["limit"] == 0], table[table["limit"] > 0]
    same = "the same, byte by byte" if again["same"].all() else "**not the same**"
    rows = [[row.threads, row.figure, _small(row.largest), f"{row.limit:g}"] for row in table.itertuples()]
    beyond = others[others["largest"] > others["limit"]]
    kept = "Each stayed within what is allowed."
    if len(beyond):
        named = ", ".join(f"{row.figure} (threads: {row.threads})" for row in beyond.itertuples())
        kept = (
            f"**{len(beyond)} of {len(others)} figures lay beyond what was allowed: {named}.** The limits stay as they "
            "were set."
        )
    return (
        f"Trained again with {again['threads'].iloc[0]} threads, weights and tables were {same}. With other numbers of "
        f"threads the figures differ. {kept}\n\n"
        + as_table(["threads", "figure", "largest difference", "allowed"], rows)
    )


def _together(tables: dict[str, pd.DataFrame], _: Path) -> str:
    table = tables["together"]
    rows = [[row.kind, row.calls, row.finished, row.same] for row in table.itertuples()]
    calls, finished, same = table["calls"].sum(), table["finished"].sum(), table["same"].sum()
    return (
        f"Of {calls} calls, {finished} came to their end, and {same} made what a call makes that has the folder for "
        "itself.\n\n" + as_table(["what was started twice", "calls", "came to their end", "with the same result"], rows)
    )


def _mutants(tables: dict[str, pd.DataFrame], _: Path) -> str:
    table = tables["mutants"]
    whole = table.drop(columns="module").sum()
    rows = [
        [f"`{row.module}`", f"{row.mutants:,}", f"{row.mutants - row.survived:,}", row.survived, row.equivalent]
        + [f"{1 - row.survived / row.mutants:.1%}"]
        for row in table.itertuples()
    ]
    return (
        f"{whole['mutants']:,} faults were put into {len(table)} modules. The tests noticed "
        f"{1 - whole['survived'] / whole['mutants']:.1%} of them: {whole['killed']:,} by a failure, "
        f"{whole['timeouts']:,} because the work did not end.\n\n"
        + as_table(["module", "faults", "noticed", "not noticed", "of these harmless", "share noticed"], rows)
    )


def _survivors(tables: dict[str, pd.DataFrame], _: Path) -> str:
    table = tables["survivors"].fillna("")
    rows = [
        [f"`{row.module}`: `{row.function}`", _code(row.before), _code(row.after), row.reason or "a test is missing"]
        for row in table.itertuples()
    ]
    return (
        f":::{{admonition}} The {len(table)} faults that no test noticed\n:class: dropdown\n"
        + as_table(["where", "the code", "the fault", "why"], rows)
        + "\n:::"
    )


def _coverage(tables: dict[str, pd.DataFrame], _: Path) -> str:
    table = tables["coverage"]
    rows = [
        [row.room, f"{row.lines:,}", _share(row.lines_reached, row.lines), f"{row.branches:,}"]
        + [_share(row.branches_reached, row.branches)]
        for row in table.itertuples()
    ]
    whole = table.iloc[-1]
    return (
        f"The tests reach {_share(whole['branches_reached'], whole['branches'])} of {whole['branches']:,} branches and "
        f"{_share(whole['lines_reached'], whole['lines'])} of {whole['lines']:,} statements.\n\n"
        + as_table(["part of the package", "statements", "reached", "branches", "reached"], rows)
    )


def _share(reached: int, there: int) -> str:
    return f"{reached / there:.1%}" if there else ""


def _code(line: str) -> str:
    """A line of code in a cell of a table."""
    return f"`` {line} ``".replace("|", "\\|") if line else ""


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
    "together": ({"together"}, _together),
    "again": ({"again"}, _again),
    "mutants": ({"mutants"}, _mutants),
    "survivors": ({"survivors"}, _survivors),
    "coverage": ({"coverage"}, _coverage),
}
"""A part of the page -> the tables that it needs, and what writes it."""
