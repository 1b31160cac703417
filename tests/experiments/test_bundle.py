"""Bundles: what leaves for another machine, and what is taken back."""

import os
import subprocess
import sys
import tarfile

import pytest
from helpers import write_cohort

from brainseg.cohort import index_cohort
from brainseg.experiments import bundle, engine, leakage
from brainseg.experiments.plan import to_do

SETTINGS = leakage.Settings(
    image_size=32, filters=2, epochs=1, slices_per_epoch=8, after_phantom=False, doses=(0, 80), folds=(0,), seeds=1
)


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    patients = [f"TEST_{'AB'[n % 2]}A_{n:04d}_20000101" for n in range(12)]
    return index_cohort(write_cohort(tmp_path / "kaggle_3m", patients=patients, slices=6))


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
    parts = bundle.pack(leakage.plan(cohort, SETTINGS), cohort, tmp_path / "out")
    assert len(parts) > 1 and all(part.stat().st_size <= 20_000 for part in parts)
    assert all(part.stat().st_size == 20_000 for part in parts[:-1])
    folder = joined(parts, tmp_path / "there")
    assert sorted(path.name for path in folder.iterdir()) == ["brainseg", "plan.json", "prepared", "train.py"]
    assert not list(folder.rglob("*.tif"))
    assert str(tmp_path) not in (folder / "plan.json").read_text()


def test_a_folder_that_exists_is_refused(cohort, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="exists"):
        bundle.pack(leakage.plan(cohort, SETTINGS), cohort, tmp_path / "out")


def test_a_place_without_runs_is_refused(cohort, tmp_path):
    with pytest.raises(ValueError, match="no finished run"):
        bundle.unpack(tmp_path)


@pytest.mark.slow
def test_what_is_trained_elsewhere_is_found_here(cohort, tmp_path):
    plan = leakage.plan(cohort, SETTINGS)
    there = joined(bundle.pack(plan, cohort, tmp_path / "out"), tmp_path / "there")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BRAINSEG", "PYTHONPATH"))}
    subprocess.run([sys.executable, "train.py"], cwd=there, env=environment, check=True, capture_output=True)
    assert len(to_do(plan, cohort)) == 2
    taken = bundle.unpack(there)
    assert sorted(taken) == sorted(training.folder(cohort).name for training in plan)
    assert to_do(plan, cohort) == []
    assert bundle.unpack(there) == []
    with pytest.raises(ValueError, match="trained already"):
        bundle.pack(plan, cohort, tmp_path / "again")


@pytest.mark.slow
def test_what_a_training_starts_from_goes_along(cohort, tmp_path):
    first, second = leakage.plan(cohort, SETTINGS)
    engine.train_plan([first], cohort)
    plan = [second.starting_from(first, cohort)]
    there = joined(bundle.pack(plan, cohort, tmp_path / "out"), tmp_path / "there")
    assert [path.name for path in (there / "runs").iterdir()] == [first.folder(cohort).name]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BRAINSEG", "PYTHONPATH"))}
    subprocess.run([sys.executable, "train.py"], cwd=there, env=environment, check=True, capture_output=True)
    assert bundle.unpack(there) == [plan[0].folder(cohort).name]


@pytest.mark.slow
def test_damaged_weights_are_refused(cohort, tmp_path):
    there = joined(bundle.pack(leakage.plan(cohort, SETTINGS), cohort, tmp_path / "out"), tmp_path / "there")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BRAINSEG", "PYTHONPATH"))}
    subprocess.run([sys.executable, "train.py"], cwd=there, env=environment, check=True, capture_output=True)
    weights = sorted(there.glob("runs/*/best.npz"))[0]
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged"):
        bundle.unpack(there)
