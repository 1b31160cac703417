"""Writing that is whole or absent, and what a disk's refusal reads like."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from brainseg.cohort.pixels import write_png
from brainseg.paths import folder_atomically, project_root, write_atomically


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG])
@pytest.mark.parametrize("way", [write_atomically, folder_atomically])
def test_a_refusal_of_the_disk_names_the_folder_and_the_way_out(tmp_path, number, way):
    with pytest.raises(OSError, match="folder") as caught, way(tmp_path / "new"):
        raise OSError(number, os.strerror(number))  # as a write does: without a name
    assert caught.value.errno == number and caught.value.filename == str(tmp_path)
    assert os.strerror(number) in str(caught.value) and list(tmp_path.iterdir()) == []


def test_a_full_disk_that_numpy_met_is_called_full(tmp_path):
    with pytest.raises(OSError, match="No space left"), write_atomically(tmp_path / "new.npy"):
        raise OSError("65536 requested and 4096 written")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_file_is_left_alone(tmp_path):
    with pytest.raises(PermissionError, match="elsewhere"), write_atomically(tmp_path / "new"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/file")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is always full")
def test_a_picture_on_a_full_disk_is_an_error():
    with pytest.raises(OSError, match="No space left"):
        write_png("/dev/full", np.zeros((9, 9), np.uint8))


@pytest.mark.parametrize("name", ["größe", "caf\udce9"])
def test_pictures_are_written_and_read_in_a_bare_locale(tmp_path, name):
    """OpenCV's own calls end the process here."""
    code = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from brainseg.cohort.pixels import read_plane, write_png\n"
        "from brainseg.paths import write_atomically\n"
        "path = Path(os.fsdecode(bytes.fromhex(sys.argv[1])))\n"
        "with write_atomically(path) as part: write_png(part, np.eye(9, dtype=np.uint8))\n"
        "assert read_plane(path).pixels.sum() == 9\n"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment["PYTHONPATH"] = str(project_root())
    path = os.fsencode(tmp_path / f"{name}.png")
    done = subprocess.run([sys.executable, "-c", code, path.hex()], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert os.listdir(os.fsencode(tmp_path)) == [os.fsencode(f"{name}.png")]
