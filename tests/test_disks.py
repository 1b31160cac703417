"""Disks that are full or may not be written: an error in a sentence, and what was there before stays as it was.

The disks are small ones in memory. Where they may not be mounted, the tests are skipped: that takes root on Linux.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers import PATIENTS, write_cohort

from brainseg import results
from brainseg.__main__ import main
from brainseg.phantom import cohort
from proof.kills import digest

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A disk of three megabytes that holds the build folder."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here")
    monkeypatch.setenv("BRAINSEG_BUILD", str(place / "build"))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk, left=0):
    """Fill a disk but for so many bytes."""
    free = shutil.disk_usage(disk).free
    with contextlib.suppress(OSError), open(disk / "filler", "wb") as file:
        file.write(bytes(max(0, free - left)))


def error_of(capsys, *words) -> str:
    """What a command that fails says, in the end."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = str(ended.value)
    assert said.startswith("error: ") and "not foreseen" not in said and "Traceback" not in capsys.readouterr().err
    return said


COMMANDS = {
    "phantom": lambda disk, root: ["phantom", disk / "made", "--patients", "1", "--workers", "1"],
    "prepare": lambda disk, root: ["prepare", disk / "made", "--data", root],
    "data": lambda disk, root: ["data", root],
}


@pytest.fixture
def black_phantom(monkeypatch):
    """A phantom whose patients are not drawn, which takes seconds: their slices are black."""

    def draw(plan, head, truth):
        images = np.zeros((plan.slices, 256, 256, 3), np.uint8)
        return cohort.Drawing(images, images[..., 0] > 0, None, None)

    monkeypatch.setattr(cohort, "load_head", lambda: None)
    monkeypatch.setattr(cohort, "draw_patient", draw)


@pytest.mark.usefixtures("black_phantom")
@pytest.mark.parametrize("left", [0, 60_000])
@pytest.mark.parametrize("name", ["phantom", "prepare"])
def test_a_full_disk_is_named_and_nothing_half_written_stands(disk, tmp_path, capsys, name, left):
    root = write_cohort(tmp_path / "kaggle_3m", PATIENTS[:2])
    command = COMMANDS[name](disk, root)
    fill(disk, left)
    said = error_of(capsys, *command)
    assert "No space left on device" in said and str(disk) in said and "Make room" in said
    assert not (disk / "made").exists()
    (disk / "filler").unlink()
    if name == "prepare":  # the phantom of one patient is larger than this disk
        main([str(word) for word in command])
        assert (disk / "made" / "boxes.csv").is_file()


@pytest.mark.usefixtures("black_phantom")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_may_not_be_written_is_named(disk, tmp_path, capsys, name):
    root = write_cohort(tmp_path / "kaggle_3m", PATIENTS[:2], slices=2)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    command = COMMANDS[name](disk, root)
    said = error_of(capsys, *command)
    assert "Read-only file system" in said and str(disk) in said and "Name a folder on another" in said


def test_an_earlier_result_outlives_a_full_disk(disk, tmp_path, capsys):
    root = write_cohort(tmp_path / "kaggle_3m", PATIENTS[:2])
    command = COMMANDS["prepare"](disk, root)
    main([*map(str, command), "--contrast", "none"])
    before = digest(disk / "made")
    fill(disk, 100_000)
    assert "No space left" in error_of(capsys, *command)
    assert digest(disk / "made") == before


def test_tables_of_results_are_whole_or_not_read(disk, monkeypatch):
    monkeypatch.setattr(results, "project_root", lambda: disk)
    table = pd.DataFrame({"patient": range(20_000)})
    results.write_tables("demo", {"rows": table}, {"made": 1})
    fill(disk, 50_000)
    with pytest.raises(OSError, match=r"No space left.*Make room"):
        results.write_tables("demo", {"rows": table * 10}, {"made": 2})
    if results.has_tables("demo"):
        pd.testing.assert_frame_equal(results.read_table("demo", "rows"), table)


def test_arrays_go_on_where_the_disk_was_full(disk, tmp_path):
    """What was prepared before the disk was full is not prepared again, and the rest comes later."""
    code = (
        "from brainseg.images.prepared import prepare; from brainseg.images.preprocess import Preprocessing;"
        "import sys; print(prepare(sys.argv[1], Preprocessing(image_size=128)).images.sum())"
    )
    root = write_cohort(tmp_path / "kaggle_3m", PATIENTS[:3])

    def prepared() -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True)

    whole = prepared()
    assert whole.returncode == 0, whole.stderr
    shutil.rmtree(disk / "build" / "prepared")
    fill(disk, 700_000)
    cut = prepared()
    assert cut.returncode == 1 and "No space left on device" in cut.stderr, cut.stderr
    (disk / "filler").unlink()
    assert prepared().stdout == whole.stdout
