"""What the code imports is declared, pinned with its hash, and pinned to what the tests run with."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import packages_distributions, version

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import brainseg
from brainseg.paths import project_root

ROOT = project_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {extra: [Requirement(line) for line in lines] for extra, lines in PROJECT["optional-dependencies"].items()}
BENCH = EXTRAS.pop("bench")
DECLARED = [*CORE, *(requirement for extra in EXTRAS.values() for requirement in extra)]


def read_pins(name):
    """The requirements of a file that names each with its version, whatever the Python they are for."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.removesuffix("\\")) for line in lines if re.match(r"[\w.-]+==", line)]


def version_of(pin):
    (specifier,) = pin.specifier
    return specifier.version


ALL_PINS = read_pins("requirements.txt")
# Those for this Python on this system.
PINNED = {pin.name: version_of(pin) for pin in ALL_PINS if pin.marker is None or pin.marker.evaluate()}


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


@pytest.mark.parametrize("folder", ["brainseg", "notebooks", "benchmarks", "proof"])
def test_every_import_is_declared(folder):
    distributions = packages_distributions()
    declared = {canonicalize_name(requirement.name) for requirement in [*DECLARED, *BENCH]}
    own = {"brainseg", folder, *(path.stem for path in (ROOT / folder).rglob("*.py"))}
    for name in sorted(set(imported(folder)) - own - set(sys.stdlib_module_names)):
        assert declared & {canonicalize_name(one) for one in distributions.get(name, [name])}, (
            f"pyproject.toml does not name the package of {name}"
        )


@pytest.mark.parametrize("name, declared", [("requirements.txt", DECLARED), ("benchmarks/requirements.txt", BENCH)])
def test_what_is_declared_is_pinned_within_its_bounds(name, declared):
    pinned = {pin.name: version_of(pin) for pin in read_pins(name) if pin.marker is None or pin.marker.evaluate()}
    for requirement in declared:
        pin = pinned.get(canonicalize_name(requirement.name))
        assert pin and requirement.specifier.contains(pin), f"{requirement} and {pin}: run make requirements"


def test_every_requirement_is_pinned_to_what_is_installed():
    assert {name: version(name) for name in PINNED} == PINNED


@pytest.mark.parametrize("name", ["requirements.txt", "binder/requirements.txt", "benchmarks/requirements.txt"])
def test_the_pins_name_no_index(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text and "index" not in re.sub(r"(?m)^ *#.*", "", text)


def test_the_benchmark_changes_no_pin():
    """What it installs beside the project leaves the project's own versions alone."""
    ours = {pin.name: version_of(pin) for pin in read_pins("benchmarks/requirements.txt") if pin.marker is None}
    assert {name: ours[name] for name in ours.keys() & PINNED} == {name: PINNED[name] for name in ours.keys() & PINNED}


def test_binder_takes_the_pins():
    names = (ROOT / "binder" / "requirements.in").read_text(encoding="utf-8").splitlines()
    chosen = {Requirement(name).name for name in names if name and name[0] not in "#-"}
    assert {name.removesuffix("-cpu") for name in chosen} == {requirement.name for requirement in EXTRAS["networks"]}
    versions = defaultdict(set)
    for pin in ALL_PINS:
        versions[pin.name].add(version_of(pin))
    ours = read_pins("binder/requirements.txt")
    assert chosen < {pin.name for pin in ours}
    assert [str(pin) for pin in ours if version_of(pin) not in versions[pin.name.removesuffix("-cpu")]] == []


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[?(\d[^\]\s]*)", changes, re.MULTILINE)
    assert brainseg.__version__ == version("brainseg") == str(citation["version"]) == released[0]
