"""The form of every notebook of the project. `test_book.py` runs them."""

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
    assert parameters_of(notebook, name).keys() >= {"seed"}
    everything = "\n".join(cell.source for cell in notebook.cells)
    assert "/home/" not in everything and "C:\\" not in everything


def test_the_table_of_parameters_names_the_chapters_that_have_them():
    page = (project_root() / "book" / "reproduce.md").read_text(encoding="utf-8")
    declared = {int(name[:2]): parameters_of(read_source(path), name) for name, path in NOTEBOOKS.items()}
    named = set()
    for names, first, last in re.findall(r"^\| (`[a-z_`, ]+`) \| (\d+)(?: to (\d+))? \|", page, re.MULTILINE):
        for name in re.findall(r"[a-z_]+", names):
            named.add(name)
            chapters = [chapter for chapter, parameters in declared.items() if name in parameters]
            assert chapters == list(range(int(first), int(last or first) + 1)), name
    assert named == {name for parameters in declared.values() for name in parameters}
