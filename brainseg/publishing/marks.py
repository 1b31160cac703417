"""Pages whose parts come from a study's kept tables: each mark of the page is replaced when the book is staged."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from brainseg.figures import style
from brainseg.results import has_tables, read_tables

Part = tuple[set[str], Callable[[dict[str, pd.DataFrame], Path], str]]
"""The tables that a part of a page needs, and what writes it: it takes the tables and the staged book's folder."""


def fill_marks(target: Path, study: str, parts: Mapping[str, Part], unmeasured: str) -> None:
    """Put a study's kept tables at the marks ``<!-- STUDY: PART -->`` of the staged page ``STUDY.md``.

    Parameters
    ----------
    target : Path
        The staged book.
    study : str
        The name of the page, and of the folder below ``results``.
    parts : mapping
        Name of a part -> :data:`Part`.
    unmeasured : str
        What stands in the place of a part whose tables are not there.
    """
    page = target / f"{study}.md"
    if not page.is_file():
        return
    tables = read_tables(study) if has_tables(study) else {}
    style.use_theme()

    def part(found: re.Match) -> str:
        needed, write = parts[found[1]]
        return write(tables, target) if needed <= tables.keys() else unmeasured

    text = re.sub(rf"<!-- {study}: (\w+) -->", part, page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


def as_table(heads: list[str], rows: list[list]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def as_figure(figure: Figure, target: Path, name: str, caption: str, alt: str) -> str:
    """A figure in Markdown, its picture written into the staged book."""
    path = target / "images" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=200)
    return f"```{{figure}} images/{path.name}\n:name: fig-{name}\n:width: 100%\n:alt: {alt}\n\n{caption}\n```"
