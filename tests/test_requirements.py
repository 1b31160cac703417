"""What the code imports is pinned, and pinned to what the tests run with."""

import ast
import sys
from importlib.metadata import packages_distributions, version

import pytest

from brainseg.paths import project_root

ROOT = project_root()
PINNED = dict(
    line.split("==") if "==" in line else (line, None)
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


def normal(name):
    return name.lower().replace("_", "-")


def imported(folder, but=()):
    """Top-level modules that the files of a folder import, wherever in the file; `but` names parts to pass over."""
    for path in (ROOT / folder).rglob("*.py"):
        if set(path.relative_to(ROOT).parts) & set(but):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module.partition(".")[0]


@pytest.mark.parametrize("folder", ["brainseg", "notebooks", "benchmarks"])
def test_every_import_is_declared(folder):
    own = {"brainseg", *(path.stem for path in (ROOT / folder).glob("*.py"))}
    distributions = packages_distributions()
    declared = {normal(name) for name in PINNED}
    for name in sorted(set(imported(folder)) - own - set(sys.stdlib_module_names)):
        assert declared & {normal(one) for one in distributions.get(name, [])}, f"{name} is not in requirements.txt"


def test_every_requirement_is_pinned_to_what_is_installed():
    assert {name: version(name) for name in PINNED} == PINNED
