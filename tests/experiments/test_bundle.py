"""Bundles: what leaves for another machine, and what is taken back."""

import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import plan_of, write_cohort

from brainseg.cohort import index_cohort
from brainseg.experiments import bundle, engine
from brainseg.experiments.plan import Training, to_do
from brainseg.networks.record import RECORD, RunRecord
from brainseg.paths import locked


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return index_cohort(write_cohort(tmp_path_factory.mktemp("cohort") / "kaggle_3m"))


class Elsewhere(NamedTuple):
    """A bundle that was trained as on another machine.

    Attributes
    ----------
    plan : list of Training
        The second starts from a network that was trained here before.
    here, there : Path
        The build folder from which it was packed, and the folder in which it was trained.
    began_with : list of str
        The runs that came along.
    passed_over : bool
        Whether it trained the second while another process held the first.
    """

    plan: list[Training]
    here: Path
    there: Path
    began_with: list[str]
    passed_over: bool


@pytest.fixture(scope="module")
def elsewhere(cohort, tmp_path_factory) -> Elsewhere:
    """Trained once, because every process that trains spends seconds on loading Keras."""
    place = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINSEG_BUILD", str(place / "here"))
        before, plain, after = plan_of(cohort, (0, 1, 2))
        engine.train_plan([before], cohort)
        plan = [plain, after.starting_from(before, cohort)]
        there = joined(bundle.pack(plan, cohort, place / "out"), place / "there")
    began_with = [path.name for path in (there / "runs").iterdir()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BRAINSEG", "PYTHONPATH"))}
    first, second = (there / "runs" / training.folder(cohort).name for training in plan)
    with subprocess.Popen([sys.executable, "train.py"], cwd=there, env=environment, stderr=subprocess.PIPE) as process:
        with locked(first):
            deadline = time.monotonic() + 900
            while (
                not (passed := (second / RECORD).is_file()) and process.poll() is None and time.monotonic() < deadline
            ):
                time.sleep(0.1)
        said = process.communicate(timeout=900)[1]
    assert process.returncode == 0, said.decode()
    return Elsewhere(plan, place / "here", there, began_with, passed)


@pytest.fixture
def here(elsewhere, tmp_path, monkeypatch):
    """The build folder as it was when the bundle left."""
    monkeypatch.setenv("BRAINSEG_BUILD", str(shutil.copytree(elsewhere.here, tmp_path / "build")))


def joined(parts, folder):
    """The parts put together and unpacked, as `cat ... | tar xz` does."""
    archive = folder.with_suffix(".tar.gz")
    archive.write_bytes(b"".join(part.read_bytes() for part in parts))
    with tarfile.open(archive) as content:
        # Python knows the filter from 3.11.4 on.
        content.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder


def test_parts_are_small_and_hold_the_whole(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "PART_BYTES", 20_000)
    parts = bundle.pack(plan_of(cohort), cohort, tmp_path / "out")
    assert len(parts) > 1 and all(part.stat().st_size <= 20_000 for part in parts)
    assert all(part.stat().st_size == 20_000 for part in parts[:-1])
    folder = joined(parts, tmp_path / "there")
    assert sorted(path.name for path in folder.iterdir()) == ["brainseg", "plan.json", "prepared", "train.py"]
    assert not list(folder.rglob("*.tif"))
    assert str(tmp_path) not in (folder / "plan.json").read_text()


def test_a_folder_that_exists_is_refused(cohort, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="exists"):
        bundle.pack(plan_of(cohort), cohort, tmp_path / "out")


def test_a_place_without_runs_is_refused(cohort, tmp_path):
    with pytest.raises(ValueError, match="no finished run"):
        bundle.unpack(tmp_path)


@pytest.mark.slow
def test_what_is_trained_elsewhere_is_found_here(cohort, elsewhere, here, tmp_path):
    plan, there = elsewhere.plan, elsewhere.there
    assert len(to_do(plan, cohort)) == 2
    taken = bundle.unpack(there)
    assert sorted(taken) == sorted(training.folder(cohort).name for training in plan)
    assert to_do(plan, cohort) == []
    assert bundle.unpack(there) == []
    with pytest.raises(ValueError, match="left to train"):
        bundle.pack(plan, cohort, tmp_path / "again")


@pytest.mark.slow
def test_what_another_process_holds_is_passed_over_and_waited_for_at_last(cohort, elsewhere):
    assert elsewhere.passed_over
    assert all((elsewhere.there / "runs" / each.folder(cohort).name / RECORD).is_file() for each in elsewhere.plan)


@pytest.mark.slow
def test_what_a_training_starts_from_goes_along(cohort, elsewhere, here):
    _, after = elsewhere.plan
    assert elsewhere.began_with == [after.start.folder(cohort).name]
    bundle.unpack(elsewhere.there)
    assert RunRecord.read(after.folder(cohort)).recipe.start == after.start.folder(cohort).name


@pytest.mark.slow
def test_a_run_that_is_trained_here_is_left_alone(cohort, elsewhere, here):
    busy, free = (training.folder(cohort) for training in elsewhere.plan)
    busy.mkdir(parents=True)
    (busy / "0001.weights.h5").write_text("a state")
    with locked(busy):  # as a training holds it
        assert bundle.unpack(elsewhere.there) == [free.name]
        assert [path.name for path in busy.iterdir()] == ["0001.weights.h5"]
    assert bundle.unpack(elsewhere.there) == [busy.name] and (busy / RECORD).is_file()


@pytest.mark.slow
def test_damaged_weights_are_refused(elsewhere, here, tmp_path):
    there = Path(shutil.copytree(elsewhere.there / "runs", tmp_path / "runs"))
    weights = sorted(there.glob("*/best.npz"))[0]
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged"):
        bundle.unpack(there)
