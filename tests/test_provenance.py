"""Digests of code: what must change them, and what must not."""

import os
import re
import subprocess

import pytest

from brainseg import provenance
from brainseg.provenance import code_digest, modules_of, processor

CODE = '''"""A module."""
SIZE = 3
"""Of something."""


def area(side=SIZE):
    """px."""
    return side * side  # a square
'''


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """The digest of a module with the text that is given."""
    monkeypatch.syspath_prepend(tmp_path)

    def digest_of(text):
        (tmp_path / "module_of_a_test.py").write_text(text, encoding="utf-8")
        code_digest.cache_clear()
        return code_digest("module_of_a_test")

    return digest_of


@pytest.mark.parametrize(
    "old, new",
    [
        ("A module.", "The module."),
        ("Of something.", "Of something else."),
        ("px.", "In pixels."),
        ("  # a square", ""),
        ("side * side", "(side *  side)"),
    ],
)
def test_words_and_layout_do_not_count(digest, old, new):
    assert digest(CODE) == digest(CODE.replace(old, new))


@pytest.mark.parametrize(
    "old, new", [("3", "4"), ("side * side", "side + side"), ("area", "extent"), ("side=SIZE", "side=3")]
)
def test_code_counts(digest, old, new):
    assert digest(CODE) != digest(CODE.replace(old, new))


F_STRINGS = """
def card(names, kind, width):
    extra = f\'\'\'
`{kind}.tif` is one of {", ".join(names)}: "the first" isn't {names[0]!r}.
\'\'\'
    extra += f\'\'\'
{", ".join(names)}
\'\'\'
    line = f"{kind}-{len(names)}-{kind.replace('a', 'b')[:8]}{{}} \\\\ \u2264\u00a0{1 if kind else 2:>{width}.1f}\\n"
    return extra + line + f"{'a'}" + f'{"b"} "'
"""


def test_every_python_gives_the_same_digest(digest):
    """They are those of Python 3.11; `ast.unparse` of Python 3.12.3 and 3.13.0 quotes these texts otherwise."""
    assert digest(F_STRINGS) == "f6683967fccf85c3"


@pytest.mark.parametrize("old, new", [("is one of", "is none of"), ("!r", "!s"), (".1f", ".2f"), ("[:8]", "[:9]")])
def test_what_an_f_string_says_and_does_counts(digest, old, new):
    assert old in F_STRINGS and digest(F_STRINGS) != digest(F_STRINGS.replace(old, new))


def test_code_is_read_once_a_process(tmp_path, monkeypatch):
    """What is edited meanwhile does not run here, so a run that is trained now is not known by it."""
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "module_of_another_test.py"
    module.write_text("SIZE = 3")
    first = code_digest("module_of_another_test")
    module.write_text("SIZE = 4")
    assert code_digest("module_of_another_test") == first


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "package_of_a_test"
    folder.mkdir()
    for name in ("__init__", "two", "one"):
        (folder / f"{name}.py").write_text(f"{name} = 1")
    code_digest.cache_clear()
    return folder


def test_every_module_and_their_order_count(package):
    first, second = "package_of_a_test.one", "package_of_a_test.two"
    digests = {code_digest(first), code_digest(second), code_digest(first, second), code_digest(second, first)}
    assert len(digests) == 4


def test_a_package_is_itself_and_its_modules_in_their_order(package):
    assert modules_of("package_of_a_test") == ["package_of_a_test", "package_of_a_test.one", "package_of_a_test.two"]


@pytest.mark.parametrize(
    ("usable", "cores", "said"), [(1, 1, "1 core"), (2, 2, "2 cores"), (1, 2, "1 of 2 cores"), (2, 6, "2 of 6 cores")]
)
def test_the_processor_has_a_name_and_says_which_cores_it_counts(usable, cores, said, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(usable)), raising=False)
    name, _, counted = processor().rpartition(", ")
    assert name and counted == said


def test_a_commit_is_marked_where_code_differs_but_not_where_results_do(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            check=True,
            capture_output=True,
        )

    for name in ("code.py", "results/table.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    git("init")
    git("add", "-A")
    git("commit", "-m", "first")
    monkeypatch.setattr(provenance, "project_root", lambda: tmp_path)
    clean = provenance.commit()
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (tmp_path / "results" / "table.csv").write_text("2")
    assert provenance.commit() == clean
    (tmp_path / "code.py").write_text("2")
    assert provenance.commit() == f"{clean}-dirty"
    monkeypatch.setattr(provenance, "project_root", lambda: None)
    monkeypatch.chdir(tmp_path)  # a package that is installed, used inside somebody else's repository
    assert provenance.commit() is None
    monkeypatch.setattr(provenance, "project_root", lambda: tmp_path / "results")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert provenance.commit() is None
