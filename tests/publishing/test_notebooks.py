"""The form of every notebook of the project. `test_stage.py` runs them."""

from __future__ import annotations

import re

import pytest

from brainseg.paths import project_root
from brainseg.publishing.notebooks import find_notebooks, parameters_of, read_source, unpaired

NOTEBOOKS = find_notebooks(project_root() / "notebooks")


def test_every_notebook_of_the_project_is_paired():
    assert unpaired(project_root() / "notebooks") == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_shape_of_a_notebook(name):
    """A title first, parameters under the names that all share, a take-away and exercises at the end."""
    notebook = read_source(NOTEBOOKS[name])
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert notebook.cells[0].source.startswith("# ")
    assert "## Take-away" in text and "## Exercises" in text
    assert parameters_of(notebook, name)
    everything = "\n".join(cell.source for cell in notebook.cells)
    assert "/home/" not in everything and "C:\\" not in everything


def test_the_table_of_parameters_names_the_chapters_that_have_them():
    page = (project_root() / "book" / "reproduce.md").read_text(encoding="utf-8")
    declared = {int(name[:2]): parameters_of(read_source(path), name) for name, path in NOTEBOOKS.items()}
    named = set()
    for names, where in re.findall(r"^\| (`[a-z_`, ]+`) \| ([\d, to]+) \|", page, re.MULTILINE):
        spans = [[int(end) for end in span.split(" to ")] for span in where.split(", ")]
        chapters_named = [chapter for span in spans for chapter in range(span[0], span[-1] + 1)]
        for name in re.findall(r"[a-z_]+", names):
            named.add(name)
            chapters = [chapter for chapter, parameters in declared.items() if name in parameters]
            assert chapters == chapters_named, name
    assert named == {name for parameters in declared.values() for name in parameters}


def code_lines(cell) -> int:
    return sum(1 for line in cell.source.splitlines() if line.strip())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_chapter_shows_its_code(name):
    """At most a third of the code that a reader would see is folded away, and no folded cell hides a program.

    Solutions and their checks are folded because they are answers, and the cell that installs is removed.
    """
    cells = [cell for cell in read_source(NOTEBOOKS[name]).cells if cell.cell_type == "code"]
    tags = [set(cell.metadata.get("tags", [])) for cell in cells]
    told = [(cell, tag) for cell, tag in zip(cells, tags, strict=True) if not tag & {"hide-cell", "remove-cell"}]
    folded = [code_lines(cell) for cell, tag in told if "hide-input" in tag]
    assert max(folded, default=0) <= 25
    assert sum(folded) <= sum(code_lines(cell) for cell, _ in told) / 3
