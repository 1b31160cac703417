"""The student edition: every notebook without its solutions, as notebooks and as one zip.

One source yields both editions. An exercise is a cell of text, a cell tagged ``solution`` and, where an answer can be
checked, a cell tagged ``check``:

- A solution that defines functions leaves their signatures and docstrings. Any other code leaves three dots, and a
  solution in words leaves a place for words.
- A check calls the function on small inputs with answers found by hand. Each assertion carries a hint as its message.
  It uses nothing but the function and what the notebook imports, so that it runs without the notebook. In the
  study's own edition a wrong answer stops the notebook; the student edition prints the hint, or the error of the
  student's own code, and goes on.
"""

from __future__ import annotations

import ast
import textwrap
import zipfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from brainseg.paths import build_folder, write_atomically
from brainseg.publishing.notebooks import (
    StudyError,
    find_notebooks,
    is_edited,
    opening,
    read_source,
    repository_address,
    with_address,
    written_by_us,
)
from brainseg.publishing.plain import Book

ARCHIVE = "brainseg-student.zip"
NOTE = (
    "**Student edition.** The exercises are at the end. Write your answer where three dots stand, and run the cell. "
    "One or two functions have a check below them: run it too. It says whether the answer is right, and gives a hint "
    "where it is not. The other exercises have their answers in the book."
)
READ_ME = """\
# brainseg, student edition

The notebooks of the book without the solutions of their exercises. Open one in JupyterLab and start with its first
code cell: it installs the package where it is missing, or says how. Each notebook runs alone, on simulated
patients that it makes itself. No graphics card is needed.

{package}

Chapters 1 to 4, 12 and 13 need no deep-learning library. Chapters 5 to 11 and 14 train small networks in minutes.
Chapters 15 to 17 train nothing: they read the project's results, so they need a copy of the project.

Research and teaching only. Not for clinical use. Code: MIT. Text: CC BY 4.0, by the brainseg developers.
"""


def make_student_edition(root: Path, folder: Path | None = None) -> Path:
    """Write the student edition of every notebook, and one zip of all of them.

    Parameters
    ----------
    root : Path
        The folder that holds ``notebooks``.
    folder : Path, optional
        Where to write; ``_build/student`` by default. Files of other names in it are left alone.

    Returns
    -------
    Path
        The zip, in `folder`.

    Raises
    ------
    StudyError
        On a solution that cannot be turned into a stub; where notebooks in the folder were edited.
    """
    folder = build_folder() / "student" if folder is None else folder
    address = repository_address(root)
    package = (
        f"The package is at {address}."
        if address
        else "Ask whoever gave you these notebooks for a copy of the project, which holds the package."
    )
    texts = {"README.md": READ_ME.format(package=package)}
    notebooks = {name: read_source(source) for name, source in find_notebooks(root / "notebooks").items()}
    book = Book(notebooks, root)
    for name, notebook in notebooks.items():
        notebook = with_address(book.plain(student_notebook(notebook, name)), address)
        texts[f"{name}.ipynb"] = written_by_us(notebook)
    if edited := [name for name in texts if name.endswith(".ipynb") and is_edited(folder / name)]:
        raise StudyError(
            f"{folder / edited[0]} was edited, and a new student edition would overwrite it. Move the folder away, or "
            f"name another. Edited: {', '.join(edited)}."
        )
    for name, text in texts.items():
        with write_atomically(folder / name) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
    with write_atomically(folder / ARCHIVE) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(texts.items()):
            # A fixed date, so that equal notebooks make an equal file.
            archive.writestr(zipfile.ZipInfo(f"brainseg-student/{name}", (2000, 1, 1, 0, 0, 0)), text)
    return folder / ARCHIVE


def student_notebook(notebook: NotebookNode, name: str) -> NotebookNode:
    """A copy of a notebook in which every solution is a stub and every check prints its hint.

    Parameters
    ----------
    notebook : NotebookNode
        From `brainseg.publishing.notebooks.read_source`.
    name : str
        For the message where a solution cannot be turned into a stub.
    """
    student = nbformat.from_dict(notebook)
    title, question, rest = opening(student.cells[0].source)
    student.cells[0].source = "\n\n".join(filter(None, (title, question, NOTE, rest)))
    for cell in student.cells:
        tags = cell.metadata.get("tags", [])
        if "solution" in tags:
            cell.source = _stub(cell.source, name) if cell.cell_type == "code" else "*Your answers: ...*"
        elif "check" in tags:
            body = textwrap.indent(cell.source, "    ")
            cell.source = (
                f'try:\n{body}\nexcept AssertionError as hint:\n    print("Not yet.", hint)\n'
                'except Exception as error:\n    print(f"Not yet. It stops with {type(error).__name__}: {error}")'
            )
        else:
            continue
        cell.metadata["tags"] = [tag for tag in tags if not tag.startswith("hide-")]
    return student


def _stub(solution: str, name: str) -> str:
    """What a solution's code leaves to the student."""
    lines = solution.splitlines()
    stubs = []
    for function in (node for node in ast.parse(solution).body if isinstance(node, ast.FunctionDef)):
        if ast.get_docstring(function) is None:
            raise StudyError(
                f"{name}: the solution {function.name} needs a docstring, which the student edition keeps."
            )
        kept = lines[function.lineno - 1 : function.body[0].end_lineno]
        stubs.append("\n".join([*kept, "    ..."]))
    return "\n\n\n".join(stubs) or "# Your code: ..."
