"""The article's files: what they hold, where they may be written, and that they are whole or absent."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers import PATIENTS, SLICES

from brainseg.cohort import index_cohort, read_image, read_mask
from brainseg.images import export
from brainseg.images.crop import Box
from brainseg.images.export import save_crops
from brainseg.paths import locked, project_root


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible(folder):
    """Names in a folder, without the locks."""
    return {path.name for path in folder.iterdir()} - {".crops.lock", ".new.lock"}


def test_saved_crops_can_be_put_back(tiny_cohort, tmp_path):
    boxes = pd.read_csv(save_crops(tiny_cohort, tmp_path / "crops", contrast="none"))
    assert len(boxes) == len(PATIENTS) * SLICES
    for row in boxes.itertuples():
        name = f"{row.patient}/{row.patient}_{row.slice}"
        box = Box(row.top, row.bottom, row.left, row.right)
        image = tifffile.imread(tmp_path / "crops" / f"{name}.tif")
        mask = tifffile.imread(tmp_path / "crops" / f"{name}_mask.tif")
        source, truth = read_image(tiny_cohort / f"{name}.tif"), read_mask(tiny_cohort / f"{name}_mask.tif")
        assert np.array_equal(image, source[box.top : box.bottom, box.left : box.right])
        assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
        whole = np.zeros((256, 256), bool)
        whole[box.top : box.bottom, box.left : box.right] = mask > 0
        assert (truth & ~whole).sum() == row.lost_px
        assert not (whole & ~truth).any()


def test_crops_of_a_few_patients(tiny_cohort, tmp_path):
    boxes = pd.read_csv(save_crops(tiny_cohort, tmp_path / "crops", patients=[PATIENTS[2]]))
    assert boxes["patient"].unique().tolist() == [PATIENTS[2]]
    assert [path.name for path in (tmp_path / "crops").iterdir() if path.is_dir()] == [PATIENTS[2]]
    with pytest.raises(ValueError, match="TEST_XX"):
        save_crops(tiny_cohort, tmp_path / "crops", patients=["TEST_XX_0000_20000101"])


@pytest.mark.parametrize("place", [".", "crops", PATIENTS[0]])
def test_the_cohort_is_never_written_to(tiny_cohort, place):
    before = contents(tiny_cohort)
    with pytest.raises(ValueError, match="lies in the cohort"):
        save_crops(tiny_cohort, tiny_cohort / place)
    assert contents(tiny_cohort) == before


def test_a_file_that_somebody_put_into_a_patient_s_folder_is_not_lost(tiny_cohort, tmp_path):
    name = PATIENTS[0]
    save_crops(tiny_cohort, tmp_path / "crops", contrast="none", patients=[name])
    save_crops(tiny_cohort, tmp_path / "crops", contrast="clahe", patients=[name])  # crops alone are replaced
    notes = tmp_path / "crops" / name / "my_notes.txt"
    notes.write_text("of mine")
    with pytest.raises(ValueError, match="my_notes.txt', which is no crop"):
        save_crops(tiny_cohort, tmp_path / "crops", contrast="none", patients=[name])
    assert notes.read_text() == "of mine"


def test_neither_is_a_copy_of_it_nor_a_folder_with_other_files(tiny_cohort, tmp_path):
    copy = shutil.copytree(tiny_cohort, tmp_path / "copy")
    before = contents(copy)
    with pytest.raises(ValueError, match="holds 'TEST_AA_0001_20000101', which is no crop"):
        save_crops(tiny_cohort, copy)
    assert contents(copy) == before
    save_crops(tiny_cohort, tmp_path / "crops", patients=PATIENTS[:1])
    (tmp_path / "crops" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds 'notes.txt'"):
        save_crops(tiny_cohort, tmp_path / "crops", patients=PATIENTS[:1])
    assert (tmp_path / "crops" / "notes.txt").read_text() == "mine"
    with pytest.raises(ValueError, match="is a file"):
        save_crops(tiny_cohort, tmp_path / "crops" / "notes.txt")


def test_an_earlier_result_is_replaced_as_a_whole(tiny_cohort, tmp_path):
    (tmp_path / "crops").mkdir()
    save_crops(tiny_cohort, tmp_path / "crops", patients=PATIENTS[:2])
    save_crops(tiny_cohort, tmp_path / "crops", patients=PATIENTS[1:3])
    assert {path.name for path in (tmp_path / "crops").iterdir()} == {"boxes.csv", *PATIENTS[1:3]}
    assert visible(tmp_path) == {"crops", "tiny"}


def test_what_is_there_already_is_left_to_its_readers(tiny_cohort, tmp_path):
    crops = save_crops(tiny_cohort, tmp_path / "crops", patients=PATIENTS[:2]).parent
    before, image = crops.stat().st_ino, crops / PATIENTS[1] / f"{PATIENTS[1]}_2.tif"
    sound = image.read_bytes()
    save_crops(tiny_cohort, crops, patients=PATIENTS[:2])
    assert crops.stat().st_ino == before
    for spoil in (lambda: image.write_bytes(sound[:-1] + b"?"), image.unlink):
        spoil()
        save_crops(tiny_cohort, crops, patients=PATIENTS[:2])
        assert image.read_bytes() == sound


def test_a_call_waits_for_another_process(tiny_cohort, tmp_path):
    """Two processes begin while the folder is held here; afterwards each makes and reads the whole."""
    code = (
        "import sys\n"
        "from brainseg.images.export import save_crops\n"
        "print('begun', flush=True)\n"
        "boxes = save_crops(sys.argv[1], sys.argv[2], patients=sys.argv[3:])\n"
        "for path in sorted(boxes.parent.rglob('*.*')): path.read_bytes()\n"
        "print(boxes)\n"
    )
    call = [sys.executable, "-c", code, str(tiny_cohort), str(tmp_path / "crops"), *PATIENTS[:2]]
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    with locked(tmp_path / ".crops"):
        running = [subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
        assert [process.stdout.readline() for process in running] == ["begun\n"] * 2
        with pytest.raises(subprocess.TimeoutExpired):
            running[0].wait(1)
        assert not (tmp_path / "crops").exists()
    said = [process.communicate()[0].strip() for process in running]
    assert said == [str(tmp_path / "crops" / "boxes.csv")] * 2 and [process.returncode for process in running] == [0, 0]
    assert visible(tmp_path) == {"crops", "tiny"}


def test_a_crash_while_saving_leaves_what_was_there(tiny_cohort, tmp_path, monkeypatch):
    save_crops(tiny_cohort, tmp_path / "crops", patients=PATIENTS[:1])
    before = contents(tmp_path / "crops")
    honest, written = tifffile.imwrite, []

    def breaks(*arguments, **options):
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(arguments[0])
        honest(*arguments, **options)

    monkeypatch.setattr(export.tifffile, "imwrite", breaks)
    for folder in ("crops", "new"):
        written.clear()
        with pytest.raises(OSError, match="No space left"):
            save_crops(tiny_cohort, tmp_path / folder, contrast="none")
    assert contents(tmp_path / "crops") == before
    assert visible(tmp_path) == {"crops", "tiny"}
    assert len(index_cohort(tiny_cohort)) == len(PATIENTS) * SLICES
