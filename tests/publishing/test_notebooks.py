"""The form of every notebook of the project. `test_stage.py` runs them."""

from __future__ import annotations

import re
import shutil
from itertools import pairwise

import nbformat
import pytest

from brainseg.paths import project_root
from brainseg.publishing.notebooks import (
    StudyError,
    find_notebooks,
    opening,
    pair,
    parameters_of,
    read_source,
    refuse_edited,
    take,
    unpaired,
)

NOTEBOOKS = find_notebooks(project_root() / "notebooks")


def test_every_notebook_of_the_project_is_paired():
    assert unpaired(project_root() / "notebooks") == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_shape_of_a_notebook(name):
    """A title first, parameters under the names that all share, a take-away and exercises at the end."""
    notebook = read_source(NOTEBOOKS[name])
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title, question, rest = opening(notebook.cells[0].source)
    assert title.startswith("# ") and question.endswith("?") and "\n" not in question
    assert rest.startswith(":::{admonition} In this chapter\n")
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


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_two_bars_of_folded_code_in_a_row(name):
    """Folded cells without a word between them would be a stack of bars that all say "Show code cell source"."""
    folded = [
        cell.cell_type == "code" and bool({"hide-input", "hide-output"} & set(cell.metadata.get("tags", [])))
        for cell in read_source(NOTEBOOKS[name]).cells
    ]
    assert not any(one and other for one, other in pairwise(folded))


# ---------------------------------------------------------------- nothing that somebody wrote is lost


@pytest.fixture
def folder(tmp_path):
    """Two notebooks of the project, paired."""
    place = tmp_path / "notebooks"
    place.mkdir()
    for name in ("01_explore", "03_crop"):
        shutil.copy(NOTEBOOKS[name], place)
    pair(place)
    return place


def edit(path, change):
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def new_cell(notebook):
    notebook.cells.insert(3, nbformat.v4.new_code_cell("print('of a teacher')"))


def change_text(notebook):
    notebook.cells[0].source += "\n\nA teacher's sentence."


def drop_cell(notebook):
    del notebook.cells[-1]


@pytest.mark.parametrize("change", [new_cell, change_text, drop_cell])
def test_an_edited_notebook_is_not_overwritten(folder, change):
    paired = folder / "01_explore.ipynb"
    edit(paired, change)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StudyError, match=r"(?s)01_explore\.ipynb was edited.*@@.*pair --take 01_explore") as caught:
        pair(folder)
    assert "03_crop" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_edited_notebook_stays_edited_when_the_source_changes_too(folder):
    edit(folder / "01_explore.ipynb", new_cell)
    source = folder / "01_explore.py"
    source.write_text(source.read_text().replace("# # Looking at the slices", "# # Looking"))
    with pytest.raises(StudyError, match="of a teacher"):
        pair(folder)
    with pytest.raises(StudyError, match=r"01_explore\.py was changed as well"):
        take(folder, "01_explore")


def test_a_changed_source_is_paired_without_a_word(folder):
    source = folder / "01_explore.py"
    source.write_text(source.read_text().replace("# # Looking at the slices", "# # Looking"))
    assert [path.name for path in pair(folder)] == ["01_explore.ipynb"]
    assert unpaired(folder) == [] and pair(folder) == []


def test_outputs_and_the_address_are_no_edit(folder, monkeypatch):
    def run(notebook):
        notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="24 patients")]
        notebook.cells[3].execution_count = 7
        notebook.metadata["language_info"] = {"name": "python"}

    edit(folder / "01_explore.ipynb", run)
    refuse_edited(find_notebooks(folder))
    monkeypatch.setenv("BRAINSEG_REPOSITORY", "https://example.org/someone/study")
    assert len(pair(folder)) == 2
    monkeypatch.setenv("BRAINSEG_REPOSITORY", "")
    assert len(pair(folder)) == 2


def test_an_edit_that_stands_in_the_source_as_well_is_no_edit(folder):
    """As after a merge in git, where both files got the change and the digest did not."""
    source = folder / "01_explore.py"
    source.write_text(source.read_text().replace("# # Looking at the slices", "# # Looking"))

    def same(notebook):
        notebook.cells[0].source = notebook.cells[0].source.replace("# Looking at the slices", "# Looking")

    edit(folder / "01_explore.ipynb", same)
    assert [path.name for path in pair(folder)] == ["01_explore.ipynb"]


@pytest.mark.parametrize("change", [new_cell, change_text, drop_cell])
def test_an_edit_can_be_taken_over(folder, change):
    edit(folder / "01_explore.ipynb", change)
    wanted = [cell.source for cell in nbformat.read(folder / "01_explore.ipynb", as_version=4).cells]
    take(folder, "01_explore")
    pair(folder)
    assert unpaired(folder) == []
    assert [cell.source for cell in read_source(folder / "01_explore.py").cells] == wanted
    assert parameters_of(read_source(folder / "01_explore.py"), "01_explore")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_taking_over_nothing_changes_nothing(name, tmp_path):
    shutil.copy(NOTEBOOKS[name], tmp_path)
    pair(tmp_path)
    take(tmp_path, name)
    assert (tmp_path / f"{name}.py").read_text(encoding="utf-8") == NOTEBOOKS[name].read_text(encoding="utf-8")


def test_a_file_that_is_no_notebook_is_named(folder):
    (folder / "01_explore.ipynb").write_text("<<<<<<< HEAD")
    with pytest.raises(StudyError, match=r"01_explore\.ipynb is no notebook .*remove it"):
        pair(folder)


def test_an_edited_notebook_is_not_passed_over_in_silence_when_its_source_is_executed(folder, tmp_path):
    from brainseg.publishing import make_notebook

    edit(folder / "01_explore.ipynb", new_cell)
    with pytest.raises(StudyError, match="01_explore.ipynb was edited"):
        make_notebook("01", "quick", root=tmp_path)
