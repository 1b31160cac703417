"""Where a cohort may lie, and what is refused."""

import os
import shutil
from pathlib import Path

import pytest
from helpers import PATIENTS, SLICES, image_of, mask_of, write_cohort

from brainseg.cohort import (
    CohortError,
    index_cohort,
)
from brainseg.cohort.find import natural_key, patient_of
from brainseg.data import get_cohort


@pytest.mark.parametrize("inside", ["", "kaggle_3m", "lgg-mri-segmentation/kaggle_3m"])
def test_found_in_each_place_where_an_archive_holds_it(tmp_path, inside):
    root = write_cohort(tmp_path / "data" / inside, slices=2)
    assert get_cohort(tmp_path / "data") == root
    assert get_cohort(str(tmp_path / "data")) == root


def test_doubled_tree_is_used_once(tiny_cohort):
    shutil.copytree(tiny_cohort, tiny_cohort.parent / "lgg-mri-segmentation" / "kaggle_3m")
    assert get_cohort(tiny_cohort.parent) == tiny_cohort
    assert len(index_cohort(get_cohort(tiny_cohort.parent))) == len(PATIENTS) * SLICES


def test_doubled_tree_inside_the_patients_folder_is_used_once(tiny_cohort):
    shutil.copytree(tiny_cohort, tiny_cohort / "kaggle_3m")
    assert get_cohort(tiny_cohort) == tiny_cohort
    assert len(index_cohort(tiny_cohort)) == len(PATIENTS) * SLICES


def test_two_trees_that_differ_are_refused(tiny_cohort):
    write_cohort(tiny_cohort.parent / "lgg-mri-segmentation" / "kaggle_3m", PATIENTS[:2], slices=1)
    with pytest.raises(CohortError, match="holds 6 patients and .* holds 2"):
        get_cohort(tiny_cohort.parent)


@pytest.mark.parametrize("whole", ["kaggle_3m", "lgg-mri-segmentation/kaggle_3m"])
def test_an_incomplete_copy_beside_a_whole_one_is_refused(tiny_cohort, tmp_path, whole):
    for inside in ("kaggle_3m", "lgg-mri-segmentation/kaggle_3m"):
        copy = shutil.copytree(tiny_cohort, tmp_path / "data" / inside)
        if inside != whole:
            image_of(copy, 2, PATIENTS[3]).unlink()
            mask_of(copy, 2, PATIENTS[3]).unlink()
    with pytest.raises(CohortError, match=f"{PATIENTS[3]} holds (10|8) files and .*{PATIENTS[3]} holds (10|8)"):
        get_cohort(tmp_path / "data")
    assert get_cohort(tmp_path / "data" / whole) == tmp_path / "data" / whole


def test_copies_with_as_many_other_slices_are_refused(tiny_cohort):
    copy = shutil.copytree(tiny_cohort, tiny_cohort.parent / "lgg-mri-segmentation" / "kaggle_3m")
    image_of(copy, 5).rename(image_of(copy, 6))
    mask_of(copy, 5).rename(mask_of(copy, 6))
    with pytest.raises(CohortError, match=f"holds 10 files and .* holds 10, and {PATIENTS[0]}_5.tif is in one alone"):
        get_cohort(tiny_cohort.parent)


@pytest.mark.parametrize("place", ["", PATIENTS[1]])
def test_a_folder_that_may_not_be_read_is_named(tiny_cohort, monkeypatch, place):
    scandir = os.scandir

    def refuses(folder):
        if Path(folder) == tiny_cohort / place:
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuses)
    with pytest.raises(CohortError) as error:
        index_cohort(tiny_cohort, progress=False)
    assert str(error.value).startswith(f"{tiny_cohort / place} cannot be read (Permission denied). Check its perm")


def test_hidden_files_in_one_copy_make_no_difference(tiny_cohort):
    """The listing that compares two copies is the one that reads them."""
    copy = tiny_cohort.parent / "lgg-mri-segmentation" / "kaggle_3m"
    shutil.copytree(tiny_cohort, copy)
    hidden = image_of(copy)
    hidden.with_name(f"._{hidden.name}").write_bytes(b"of macOS")
    assert get_cohort(tiny_cohort.parent) == tiny_cohort
    assert len(index_cohort(copy)) == len(PATIENTS) * SLICES


def test_a_folder_behind_links_in_a_circle_is_no_traceback(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(CohortError, match="leads nowhere|is not a folder"):
        get_cohort(tmp_path / "a")


def test_links_that_lead_nowhere_are_named(tiny_cohort):
    (tiny_cohort / "circle").symlink_to(tiny_cohort / "circle")  # beside the patients it does no harm
    image_of(tiny_cohort).unlink()
    image_of(tiny_cohort).symlink_to(tiny_cohort / "nothing.tif")
    with pytest.raises(CohortError) as caught:
        index_cohort(tiny_cohort)
    assert any(problem.startswith(f"{image_of(tiny_cohort)} cannot be read") for problem in caught.value.problems)


def test_names_are_ordered_by_their_numbers():
    names = ["a10", "a2", "a1", "10", "2", "b", "a1_10", "a1_9", "a01", ""]
    assert sorted(names, key=natural_key) == ["", "2", "10", "a01", "a1", "a1_9", "a1_10", "a2", "a10", "b"]


@pytest.mark.parametrize(
    ("path", "patient"),
    [
        (f"flat/{PATIENTS[0]}_12.tif", PATIENTS[0]),
        (f"{PATIENTS[0]}/7.tif", PATIENTS[0]),
        (f"{PATIENTS[0]}/axial/scan.tif", PATIENTS[0]),
        (f"flat/{PATIENTS[0]}.tif", PATIENTS[0]),
        (f"flat/{PATIENTS[0]}7.tif", None),
        ("flat/scan_7.tif", None),
    ],
)
def test_who_a_slice_is_of(path, patient):
    assert patient_of(Path(path)) == patient


def test_missing_folder(tmp_path):
    with pytest.raises(CohortError, match="nowhere is not a folder"):
        get_cohort(tmp_path / "nowhere")


def test_empty_folder(tmp_path):
    with pytest.raises(CohortError, match="is empty"):
        get_cohort(tmp_path)


def test_folder_without_patients(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(CohortError, match="holds no patient folder"):
        get_cohort(tmp_path)


@pytest.mark.parametrize("nothing", ["", " "])
def test_no_name(nothing):
    with pytest.raises(CohortError, match="No cohort was named"):
        get_cohort(nothing)
