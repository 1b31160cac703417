"""Where a cohort may lie, and what is refused."""

import shutil

import pytest
from helpers import PATIENTS, SLICES, image_of, mask_of, write_cohort

from brainseg.cohort import (
    CohortError,
    index_cohort,
)
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
