"""What every test gets: a build folder of its own, a tiny cohort, and a tiny run on it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from helpers import untrained_run, write_cohort

from brainseg.data import get_cohort


def pytest_collection_modifyitems(items):
    """First the file that makes the book, last the quick ones, so that no worker is left alone with a long one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name != "test_stage.py", item.path not in slow))


@pytest.fixture(scope="session", autouse=True)
def build_folder_of_tests(tmp_path_factory):
    """Nothing that a test generates reaches the checkout's ``_build``."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("build")
    patch.setenv("BRAINSEG_BUILD", str(folder))
    yield folder
    patch.undo()


@pytest.fixture(scope="session")
def build_of_all(tmp_path_factory) -> Path:
    """A build folder for what is dear to make, such as the book: all workers of a call share it."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "build-of-all"


@pytest.fixture(scope="session")
def phantom(build_of_all) -> Path:
    """The cohort "phantom:4", drawn once, for tests that change nothing in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINSEG_BUILD", str(build_of_all))
        return get_cohort("phantom:4")


@pytest.fixture(scope="session")
def tiny_cohort_once(tmp_path_factory) -> Path:
    """`tiny_cohort` for tests that change nothing in it: written once."""
    return write_cohort(tmp_path_factory.mktemp("tiny") / "kaggle_3m")


@pytest.fixture
def tiny_cohort(tiny_cohort_once, tmp_path) -> Path:
    """A sound cohort of the test's own: 6 patients of 2 institutions, 5 slices each, 2 of them with tumour."""
    return Path(shutil.copytree(tiny_cohort_once, tmp_path / "tiny" / "kaggle_3m"))


@pytest.fixture(scope="session")
def run(tiny_cohort_once, tmp_path_factory):
    """A run on the tiny cohort, tested on its second fold of three, for tests that change nothing in its folder."""
    pytest.importorskip("keras")
    return untrained_run(tiny_cohort_once, tmp_path_factory.mktemp("runs"))


@pytest.fixture
def real_cohort() -> Path:
    """The real slices in the folder that BRAINSEG_DATA names; without it the test is skipped."""
    folder = os.environ.get("BRAINSEG_DATA")
    if not folder:
        pytest.skip("BRAINSEG_DATA names no folder with real slices")
    from brainseg.data import get_cohort

    return get_cohort(folder)
