"""The house: its map, its one-way imports, what is loaded when, and where it looks for its surroundings."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import brainseg
from brainseg.networks import recipe
from brainseg.paths import ENVIRONMENT, project_root

ROOT = project_root()
PACKAGE = Path(brainseg.__file__).parent


def rooms() -> set[str]:
    """What lies at the top of the package."""
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    return modules | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_the_map_in_the_package_names_the_rooms_that_there_are():
    named = re.findall(r"^(\w+)  +\S", brainseg.__doc__, re.MULTILINE)
    assert set(named) == rooms() and len(named) == len(set(named))


def test_contributing_shows_the_same_map():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("## Where is what") : text.index("Outside the package")]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == re.findall(
        r"^(\w+)  +\S", brainseg.__doc__, re.MULTILINE
    )


def test_imports_go_one_way():
    """The contract is in pyproject.toml; import-linter reads the package's imports and prints what breaks it."""
    call = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and "1 kept, 0 broken" in done.stdout, done.stdout + done.stderr


def test_what_needs_no_network_loads_no_keras():
    """In one process, which names the first module that does."""
    modules = [
        "metrics", "statistics", "splits", "results", "data", "images.prepared", "networks.record", "networks.recipe",
        "evaluation.scores", "evaluation.headline", "evaluation.folder", "chapters", "experiments.plan",
        "experiments.engine", "experiments.claims", "experiments.leakage", "experiments.outcome", "__main__",
    ]  # fmt: skip
    code = f"""
import sys
from importlib import import_module
for name in {modules}:
    import_module(f"brainseg.{{name}}")
    loaded = {{"keras", "tensorflow"}} & set(sys.modules)
    assert not loaded, f"{{name}} loads {{loaded}}"
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_figures_changes_no_figure():
    code = (
        "import matplotlib; before = dict(matplotlib.rcParams); "
        "import brainseg.figures.style, brainseg.figures.results; "
        "print([name for name, value in matplotlib.rcParams.items() if before[name] != value and name != 'backend'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_environment_variable_is_in_the_table():
    places = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), ROOT / "Makefile", ROOT / ".ci" / "run"]
    places += (ROOT / ".github").rglob("*.yml")
    used = {name for path in places for name in re.findall(r"BRAINSEG_[A-Z]+", path.read_text(encoding="utf-8"))}
    assert used == set(ENVIRONMENT)
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(BRAINSEG_[A-Z]+)`", text, re.MULTILINE)) == set(ENVIRONMENT)


def test_the_names_of_a_recipe_are_those_of_models_and_losses():
    pytest.importorskip("keras")
    from brainseg.networks import losses, models

    assert set(models.MODELS) == set(recipe.MODELS) and set(losses.BY_NAME) == set(recipe.LOSSES)


def test_tests_mirror_the_package():
    """A test file of a room tests a module of that room; those that test something else say so here."""
    others = {"test_structure", "test_main", "test_install", "test_requirements", "test_benchmarks"}
    others |= {"test_crop_contrast", "test_backends"}
    others |= {"test_odd_cohorts", "test_surroundings", "test_properties", "test_proof"}
    others |= {"test_broken_cohorts", "test_disks", "test_download", "test_safety"}
    others |= {"test_answers", "test_reading", "test_participants"}
    strangers = [
        path.relative_to(ROOT / "tests").as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.stem not in others
        and not (PACKAGE / path.relative_to(ROOT / "tests").parent / f"{path.stem.removeprefix('test_')}.py").is_file()
        and not (PACKAGE / path.relative_to(ROOT / "tests").parent / path.stem.removeprefix("test_")).is_dir()
    ]
    assert strangers == []


def test_one_class_reads_the_record_of_a_run():
    """Nobody else names the file."""
    readers = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value == "run.json":
                readers.append(path.relative_to(PACKAGE).as_posix())
    assert readers == ["networks/record.py"]


def test_opencv_opens_no_file():
    """It ends the process on a name that is no valid UTF-8, and says nothing where a disk is full."""
    places = [path for folder in ("brainseg", "notebooks", "tests") for path in (ROOT / folder).rglob("*.py")]
    calls = re.compile(r"cv2\.(im(read|write|count)\w*|VideoCapture|FileStorage)\b")
    assert [path.name for path in places if calls.search(path.read_text(encoding="utf-8"))] == []


def test_a_link_calls_a_chapter_by_its_number():
    """Chapters were added and split more than once; a link goes on working, and what it is called goes wrong."""
    places = [*(ROOT / "book").rglob("*.md"), *(ROOT / "notebooks").glob("*.py"), *PACKAGE.rglob("*.py")]
    link = re.compile(r"\{doc\}`([^<`]+)<([^>`]+)>`|\[([^\]]+)\]\(([^)]+)\)")
    called, wrong = 0, []
    for path in places:
        for found in link.finditer(path.read_text(encoding="utf-8")):
            text, target = found.group(1) or found.group(3), found.group(2) or found.group(4)
            number = re.search(r"(?:chapters?[\s#]+|^)(\d+)(?:,|\s*$)", text, re.I)
            chapter = re.search(r"(\d+)_\w+", target)
            if number and chapter:
                called += 1
                if int(number.group(1)) != int(chapter.group(1)):
                    wrong.append(f"{path.relative_to(ROOT)}: {found.group()}")
    assert called > 30 and wrong == []
