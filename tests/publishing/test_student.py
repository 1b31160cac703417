"""The student edition: no solution leaks, right answers pass every check, wrong ones and stubs get a hint."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import zipfile

import nbformat
import pytest

from brainseg.paths import project_root
from brainseg.publishing import StudyError, make_student
from brainseg.publishing.notebooks import find_notebooks, read_source
from brainseg.publishing.plain import Book
from brainseg.publishing.student import ARCHIVE, student_notebook

SOURCES = {name: read_source(path) for name, path in find_notebooks(project_root() / "notebooks").items()}
STUDENTS = {name: student_notebook(notebook, name) for name, notebook in SOURCES.items()}

# What a student is likely to write: a function of each check, and a wrong body for it.
MISTAKES = {
    "largest_share": "return (table['tumour_px'] > 0).groupby(table['patient']).sum().idxmax()",  # the count
    "neighbour_dice": "pairs = zip(masks, masks[1:]); "
    "return [(a & b).sum() / max((a | b).sum(), 1) for a, b in pairs if (a | b).any()]",  # IoU
    "gamma_corrected": "return (255 * (plane / 255) ** power).astype(np.uint8)",  # cut off instead of rounded
    "needed_margin_px": "r, c = np.nonzero(mask); return max(0, *([box.top - r.min(), r.max() - box.bottom, "
    "box.left - c.min(), c.max() - box.right] if len(r) else [0]))",  # as if the box were closed
    "counted_by_hand": "return 2, 3, 9",  # TN for FN
    "volume_dice": "d = [2 * (t & p).sum() / max((t.sum() + p.sum()), 1) for t, p in zip(truth, prediction)]; "
    "return pd.Series(d).groupby(list(patients)).mean().to_dict()",  # the mean of slices
    "enlargement_weights": "return (2 * cell) ** 2",  # no bias
    "convolution_weights": "return side * side * channels_in * (channels_out + bias)",  # a bias per kernel
    "field_of_stack": "return 1 + sum(side - 1 for side, _ in convolutions)",  # strides forgotten
    "hardest_patient": "return scores.mean(axis=1).idxmin()",
    "longest_gap": "return sum(missed)",
    "poorly_found": "return int((2 * patients['tp'] < patients['tp'] + patients['fp']).sum())",  # of the prediction
    "coin_chance": "return comb(compared, better) / 2**compared",  # exactly, not at least
    "above_nothing": "return score - nothing",
    "left_out": "return features.largest_part(mask)[1] - 1",  # parts, and not pixels
    "chance_of_any": "return tests * level",
    "limits_of_agreement": "d = np.subtract(second, first); e = 1.96 * d.std(ddof=1) / np.sqrt(len(d)); "
    "return d.mean(), d.mean() - e, d.mean() + e",  # the interval of the mean
    "share_of_the_way": "a, b, c = map(np.asarray, (start, reached, end)); "
    "return np.mean((b - a) / (c - a))",  # of each patient
    "best_gain": "return np.max(differences)",  # of the luckiest patient
}

# Bodies that an easier check takes for right, and one that is right although it is not ours.
ALSO_WRONG = {
    "gamma_corrected": ["return np.rint(255 * (plane / 255) ** 0.5).astype(np.uint8)"],
    "needed_margin_px": [
        "r, c = np.nonzero(mask); return max(0, *([r.max() - box.bottom + 1, box.left - c.min()] if len(r) else [0]))"
    ],
    "counted_by_hand": ["return 2, 2, 3"],  # FP and FN exchanged
    "convolution_weights": ["return side * side * channels_in * channels_out + bias"],  # one bias in all
    "field_of_stack": [
        "seen, step = 1, 1\n    for side, stride in convolutions:\n        seen += (side - 1) * step; step = stride\n"
        "    return seen",  # only the last stride
        "seen, step = 1, 1\n    for _, stride in convolutions:\n        seen += 2 * step; step *= stride\n"
        "    return seen",  # every kernel as one of 3 pixels
    ],
    "above_nothing": ["return (score - nothing) / (1 - nothing)"],  # 0/0 stops it
}
ALSO_RIGHT = {
    "volume_dice": [
        "return {p: 2 * (truth[patients == p] & prediction[patients == p]).sum() / "
        "(truth[patients == p].sum() + prediction[patients == p].sum()) for p in np.unique(patients)}"
    ],
}


def tagged(notebook, tag, kind="code"):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", []) and cell.cell_type == kind]


def functions(cells):
    """Name -> source of every function that the cells define."""
    found = {}
    for cell in cells:
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.FunctionDef):
                found[node.name] = ast.get_source_segment(cell.source, node)
    return found


@pytest.fixture(scope="module")
def imports():
    """What a notebook imports, without running anything else of it."""
    known = {}

    def of(name):
        if name not in known:
            cells = [cell.source for cell in SOURCES[name].cells if cell.cell_type == "code"]
            lines = [
                ast.unparse(n)
                for source in cells
                for n in ast.parse(source).body
                if isinstance(n, ast.Import | ast.ImportFrom)
            ]
            known[name] = {}
            exec("\n".join(lines), known[name])
        return dict(known[name])

    return of


def said(namespace, *sources):
    """What the cells print."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for source in sources:
            exec(source, namespace)
    return printed.getvalue()


@pytest.mark.parametrize("name", SOURCES)
def test_no_solution_leaks(name):
    solutions, student = tagged(SOURCES[name], "solution"), STUDENTS[name]
    assert solutions, f"{name} has no solution"
    left = {line.strip() for cell in student.cells for line in cell.source.splitlines()}
    kept = {line.strip() for cell in tagged(student, "solution") for line in cell.source.splitlines()}
    for cell in [*solutions, *tagged(SOURCES[name], "solution", "markdown")]:
        for line in (line.strip() for line in cell.source.splitlines()):
            # Signatures and docstrings stay; a line of brackets, blanks or one short word tells nothing.
            if line not in kept and len(line) > 8:
                assert line not in left, f"{name}: a line of a solution is in the student edition: {line}"
    bodies = [
        node.body
        for cell in tagged(student, "solution")
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.FunctionDef)
    ]
    assert all(len(body) == 2 and ast.unparse(body[1]) == "..." for body in bodies)
    for cell in student.cells:
        assert cell.cell_type != "code" or not (cell.outputs or cell.execution_count)
        assert not {"hide-cell", "hide-input"} & set(cell.metadata.get("tags", [])) or cell not in tagged(
            student, "check"
        )


@pytest.mark.parametrize("name", SOURCES)
def test_every_check_tells_right_from_wrong(name, imports):
    """The solution passes; the stub, and a mistake that students make, are told so with a hint and stop nothing."""
    solved, checks = functions(tagged(SOURCES[name], "solution")), tagged(SOURCES[name], "check")
    student_checks = tagged(STUDENTS[name], "check")
    stubs = functions(tagged(STUDENTS[name], "solution"))
    assert checks and len(checks) == len(student_checks)
    for check, student_check in zip(checks, student_checks, strict=True):
        used = {node.id for node in ast.walk(ast.parse(check.source)) if isinstance(node, ast.Name)} & set(solved)
        assert len(used) == 1, f"{name}: a check is about one function of a solution, not about {sorted(used)}"
        (function,) = used
        assert said(imports(name), solved[function], check.source) == "Right.\n"
        assert said(imports(name), solved[function], student_check.source) == "Right.\n"
        signature = stubs[function].partition('"""')[0]
        for wrong in (stubs[function], f"{signature}{MISTAKES[function]}"):
            with pytest.raises(AssertionError, match=r"\w+ \w+"):
                said(imports(name), wrong, check.source)
            answer = said(imports(name), wrong, student_check.source)
            assert answer.startswith("Not yet. ") and len(answer) > 30 and "Right." not in answer
        for bodies, wanted in ((ALSO_WRONG, "Not yet. "), (ALSO_RIGHT, "Right.")):
            for body in bodies.get(function, []):
                assert said(imports(name), f"{signature}{body}", student_check.source).startswith(wanted)


def test_the_edition_is_written_as_notebooks_and_as_a_zip(tmp_path):
    archive = make_student(tmp_path / "class")
    assert archive == tmp_path / "class" / ARCHIVE
    names = [f"{name}.ipynb" for name in SOURCES]
    with zipfile.ZipFile(archive) as opened:
        assert sorted(opened.namelist()) == sorted(f"brainseg-student/{name}" for name in [*names, "README.md"])
        for name in names:
            assert opened.read(f"brainseg-student/{name}") == (tmp_path / "class" / name).read_bytes()
            nbformat.validate(nbformat.read(tmp_path / "class" / name, as_version=4))
    before = archive.read_bytes()
    assert make_student(tmp_path / "class").read_bytes() == before


def test_the_notebooks_are_plain_markdown_with_numbered_figures(tmp_path):
    """Nothing that only the book understands is left, and what is left reads as it does in the book."""
    make_student(tmp_path)
    for name in SOURCES:
        notebook = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        assert not re.search(r"\{[a-z:]+\}`|^\s*:::|^:class:|\]\((?!https?:)", text, re.MULTILINE), name
        figures = [
            cell for cell in SOURCES[name].cells if "caption" in cell.metadata.get("mystnb", {}).get("figure", {})
        ]
        captions = re.findall(r"(?m)^\*\*Figure (\d+)\.(\d+)\.\*\* \w", text)
        assert captions == [(str(int(name[:2])), str(number)) for number in range(1, len(figures) + 1)]
    book = Book(SOURCES, project_root())
    assert book.text("{numref}`fig-metrics-curve` and {doc}`a page <../limits>`, {doc}`../limits`.").startswith(
        "Figure 4."
    )
    assert book.text("{term}`text <target>`, {term}`Dice`, {doc}`../limits`") == "text, Dice, *Limits and misuse*"
    assert book.text("said {cite:p}`buda2019association`") == "said (Buda et al., 2019)"
    assert book.text(":::{admonition} A title\n:class: tip\n- a\n\n- b\n:::") == "> **A title**\n>\n> - a\n>\n> - b"


def test_answers_of_a_student_are_not_overwritten(tmp_path):
    make_student(tmp_path / "class")
    mine = tmp_path / "class" / "01_explore.ipynb"
    notebook = nbformat.read(mine, as_version=4)
    notebook.cells[-1].source = "My answers: forty-two."
    nbformat.write(notebook, mine)
    before = mine.read_bytes()
    with pytest.raises(StudyError, match=r"01_explore.ipynb was edited.*Edited: 01_explore.ipynb\."):
        make_student(tmp_path / "class")
    assert mine.read_bytes() == before


def test_a_solution_without_a_docstring_is_refused():
    cell = nbformat.v4.new_code_cell("def answer():\n    return 42", metadata={"tags": ["solution"]})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), cell])
    with pytest.raises(StudyError, match="09_test: the solution answer needs a docstring"):
        student_notebook(notebook, "09_test")
    cell.source = "answer = 42"
    assert "42" not in student_notebook(notebook, "09_test").cells[1].source
    assert "42" in notebook.cells[1].source, "the source itself is changed"
