"""Finding, checking and indexing a cohort. Every bad input has its test, and its report names the file."""

import json
import os
import shutil
import struct
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers import PATIENTS, SLICES, TUMOUR_SLICES, image_of, mask_of, write_cohort

from brainseg.cohort import (
    CohortError,
    index_cohort,
    is_synthetic,
    read_image,
    read_mask,
    read_patient,
    read_patient_table,
)
from brainseg.cohort import index as cohort_index
from brainseg.cohort.kaggle import PUBLISHED, count

FIRST = PATIENTS[0]


def index(root):
    return index_cohort(root, progress=False)


def problems_of(root) -> list[str]:
    with pytest.raises(CohortError) as error:
        index(root)
    return error.value.problems


# ---------------------------------------------------------------- finding


# ---------------------------------------------------------------- a sound cohort


def test_index_has_a_row_a_slice(tiny_cohort):
    table = index(tiny_cohort)
    assert list(table["patient"].unique()) == sorted(PATIENTS)
    assert list(table["slice"]) == list(range(1, SLICES + 1)) * len(PATIENTS)
    assert list(table.index) == list(range(len(table)))
    assert list(table.columns) == [
        "patient", "case", "institution", "slice", "image_path", "mask_path", "tumour_px",
        "mean_pre", "mean_flair", "mean_post", "missing_pre", "missing_post", "synthetic",
    ]  # fmt: skip
    assert table.loc[0, ["case", "institution"]].tolist() == ["TEST_AA_0001", "AA"]
    assert set(table.loc[table["tumour_px"] > 0, "slice"]) == set(TUMOUR_SLICES)
    assert not table["synthetic"].any()
    assert table.attrs["root"] == str(tiny_cohort)


def test_slices_are_sorted_by_number_not_by_name(tmp_path):
    table = index(write_cohort(tmp_path / "kaggle_3m", PATIENTS[:1], slices=11))
    assert list(table["slice"]) == list(range(1, 12))


def test_index_measures_the_pixels(tiny_cohort):
    table = index(tiny_cohort)
    row = table[table["tumour_px"] > 0].iloc[0]
    image, mask = read_image(row["image_path"]), read_mask(row["mask_path"])
    assert image.shape == (256, 256, 3) and image.dtype == np.uint8
    assert mask.shape == (256, 256) and mask.dtype == bool
    assert row["tumour_px"] == mask.sum() > 0
    assert [row["mean_pre"], row["mean_flair"], row["mean_post"]] == pytest.approx(image.mean(axis=(0, 1)).tolist())


def test_a_missing_sequence_is_a_copy_of_flair_over_the_whole_patient(tiny_cohort):
    image = read_image(image_of(tiny_cohort))
    image[..., 0] = image[..., 1]  # one slice only: that is no missing sequence
    tifffile.imwrite(image_of(tiny_cohort), image, photometric="rgb")
    table = index(tiny_cohort)
    assert set(table.loc[table["missing_post"], "patient"]) == {PATIENTS[-1]}
    assert table["missing_post"].sum() == SLICES
    assert not table["missing_pre"].any()


def test_read_patient_stacks_slices_in_order(tiny_cohort):
    table = index(tiny_cohort)
    images, masks = read_patient(table.sample(frac=1, random_state=0), FIRST)
    assert images.shape == (SLICES, 256, 256, 3) and images.dtype == np.uint8
    assert masks.shape == (SLICES, 256, 256) and masks.dtype == bool
    assert np.array_equal(images[3], read_image(image_of(tiny_cohort, 4)))
    assert np.flatnonzero(masks.any(axis=(1, 2))).tolist() == [number - 1 for number in TUMOUR_SLICES]


def test_read_patient_unknown(tiny_cohort):
    with pytest.raises(CohortError, match="no patient 'X'"):
        read_patient(index(tiny_cohort), "X")


def test_synthetic_is_told_by_the_name(tiny_cohort, tmp_path):
    phantom = write_cohort(tmp_path / "phantom", ["PHANTOM_AA_0001_20000101"], slices=1)
    assert is_synthetic(phantom) and index(phantom)["synthetic"].all()
    assert not is_synthetic(tiny_cohort)


def test_hidden_files_and_other_kinds_are_passed_over(tiny_cohort):
    (tiny_cohort / FIRST / "._hidden.tif").write_bytes(b"x")
    (tiny_cohort / FIRST / "Thumbs.db").write_bytes(b"x")
    (tiny_cohort / "__MACOSX").mkdir()
    assert len(index(tiny_cohort)) == len(PATIENTS) * SLICES


# ---------------------------------------------------------------- the cache


def test_second_call_reads_no_image(tiny_cohort, monkeypatch):
    first = index(tiny_cohort)
    monkeypatch.setattr("brainseg.cohort.index.read_image", None)
    second = index(tiny_cohort)
    pd.testing.assert_frame_equal(first, second)
    assert first.attrs == second.attrs


def emptied(root, number=2):
    """A mask without its tumour, of the size and with the time stamp that the file had."""
    path = mask_of(root, number)
    before = path.stat()
    tifffile.imwrite(path, np.zeros((256, 256), np.uint8), photometric="minisblack")
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return root


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no time of change")
def test_a_mask_that_was_corrected_with_a_kept_time_stamp_is_read_again(tiny_cohort):
    before = index(tiny_cohort)
    after = index(emptied(tiny_cohort))
    assert before["tumour_px"][1] > after["tumour_px"][1] == 0
    assert before.attrs["fingerprint"] != after.attrs["fingerprint"]


def test_another_folder_is_another_cohort(tiny_cohort, tmp_path, monkeypatch):
    """Names, sizes and times may all be equal, where a copy keeps them and the system tells no time of change."""
    listed = cohort_index._list_patient

    def without_change(root, patient):
        numbers, sizes, problems = listed(root, patient)
        return numbers, [[name, size, modified] for name, size, modified, _ in sizes], problems

    monkeypatch.setattr(cohort_index, "_list_patient", without_change)
    other = emptied(shutil.copytree(tiny_cohort, tmp_path / "other"))
    first = index(tiny_cohort)
    assert first["tumour_px"][1] > index(other)["tumour_px"][1] == 0
    monkeypatch.setattr(cohort_index, "read_image", None)
    pd.testing.assert_frame_equal(index(tiny_cohort.parent / "." / ".." / "tiny" / tiny_cohort.name), first)


def test_a_changed_file_is_noticed(tiny_cohort):
    before = index(tiny_cohort)
    mask = np.zeros((256, 256), np.uint8)
    mask[100:103, 100:105] = 255
    tifffile.imwrite(mask_of(tiny_cohort), mask)
    after = index(tiny_cohort)
    assert (before["tumour_px"][0], after["tumour_px"][0]) == (0, 15)
    assert before.attrs["fingerprint"] != after.attrs["fingerprint"]


def test_a_file_that_breaks_later_is_noticed(tiny_cohort):
    index(tiny_cohort)
    image_of(tiny_cohort).write_bytes(b"II*\0")
    assert len(problems_of(tiny_cohort)) == 1


def test_fingerprint_is_the_same_wherever_the_cohort_lies(tiny_cohort, tmp_path):
    there = write_cohort(tmp_path / "elsewhere")
    here = index(tiny_cohort)
    assert here.attrs["fingerprint"] == index(there).attrs["fingerprint"]
    assert index(there)["image_path"].str.startswith(str(there)).all()


def test_fingerprint_tells_names_apart(tmp_path):
    one = index(write_cohort(tmp_path / "one", PATIENTS[:1], slices=1))
    other = index(write_cohort(tmp_path / "other", PATIENTS[1:2], slices=1))
    assert one.attrs["fingerprint"] != other.attrs["fingerprint"]


def test_a_cache_entry_is_whole_or_absent(tiny_cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(json, "dumps", _cut_on_second_call(json.dumps))
    with pytest.raises(KeyboardInterrupt):
        index(tiny_cohort)
    assert [path for path in (tmp_path / "build").rglob("*") if path.is_file()] == []


def _cut_on_second_call(function):
    calls = []

    def cut(*arguments):
        calls.append(arguments)
        if len(calls) == 2:  # the first makes the key, the second writes the entry
            raise KeyboardInterrupt
        return function(*arguments)

    return cut


def test_a_bad_cohort_leaves_no_cache_entry(tiny_cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    image_of(tiny_cohort).write_bytes(b"")
    problems_of(tiny_cohort)
    assert not [path for path in (tmp_path / "build").rglob("*") if path.is_file()]


# ---------------------------------------------------------------- bad files

IMAGE = np.zeros((256, 256, 3), np.uint8)
MASK = np.zeros((256, 256), np.uint8)


@pytest.mark.parametrize("kept", [0, 6, 100, 300, 1000, -1])
def test_truncated_image(tiny_cohort, kept):
    path = image_of(tiny_cohort)
    path.write_bytes(path.read_bytes()[:kept])
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{path} is not a whole TIFF file") and "Copy it again" in problem


def test_not_a_tiff(tiny_cohort):
    mask_of(tiny_cohort).write_bytes(b"\x89PNG\r\n\x1a\n, renamed")
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{mask_of(tiny_cohort)} is not a whole TIFF file")


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (IMAGE[:128], "128 x 256 x 3 of uint8, expected 256 x 256 x 3"),
        (IMAGE[..., 0], "256 x 256 of uint8, expected 256 x 256 x 3"),
        (np.zeros((256, 256, 4), np.uint8), "256 x 256 x 4 of uint8"),
        (IMAGE.astype(np.uint16), "256 x 256 x 3 of uint16"),
        (IMAGE.astype(np.float32), "256 x 256 x 3 of float32"),
        (np.zeros((2, 256, 256, 3), np.uint8), "2 x 256 x 256 x 3 of uint8"),
    ],
)
def test_image_of_another_size_channels_or_type(tiny_cohort, pixels, said):
    colours = "rgb" if pixels.shape[-1] in (3, 4) else "minisblack"  # TIFF's own default changes between versions
    tifffile.imwrite(image_of(tiny_cohort), pixels, photometric=colours)
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{image_of(tiny_cohort)} is") and said in problem


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (MASK[:, :100], "256 x 100 of uint8, expected 256 x 256 of uint8"),
        (IMAGE, "256 x 256 x 3 of uint8, expected 256 x 256 of uint8"),
        (MASK.astype(np.int16), "256 x 256 of int16"),
        (MASK.astype(bool), "256 x 256 of bool"),
    ],
)
def test_mask_of_another_size_channels_or_type(tiny_cohort, pixels, said):
    tifffile.imwrite(mask_of(tiny_cohort), pixels)
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{mask_of(tiny_cohort)} is") and said in problem


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 1], "holds 0, 1. Multiply the mask by 255"),
        ([1], "Multiply the mask by 255"),
        ([0, 128, 255], "holds 0, 128, 255. Save it without smoothing"),
        ([0, 254], "holds 0, 254. Save it without smoothing"),
        (range(256), "holds 0, 1, 2, 3, 4, 5, ..."),
    ],
)
def test_mask_with_values_other_than_two(tiny_cohort, values, said):
    mask = np.resize(np.array(list(values), np.uint8), (256, 256))
    tifffile.imwrite(mask_of(tiny_cohort), mask)
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{mask_of(tiny_cohort)}: a mask may hold") and said in problem


def test_mask_without_tumour_is_sound(tiny_cohort):
    tifffile.imwrite(mask_of(tiny_cohort), np.zeros((256, 256), np.uint8))
    assert index(tiny_cohort)["tumour_px"][0] == 0


@pytest.mark.parametrize("what", ["all", "inverted", "the brain"])
def test_a_mask_of_most_of_the_head_is_refused(tiny_cohort, what):
    flair = tifffile.imread(image_of(tiny_cohort, 2))[..., 1]
    tumour = tifffile.imread(mask_of(tiny_cohort, 2)) > 0
    mask = {"all": tumour | True, "inverted": ~tumour, "the brain": flair > 60}[what]
    tifffile.imwrite(mask_of(tiny_cohort, 2), mask.astype(np.uint8) * 255, photometric="minisblack")
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{mask_of(tiny_cohort, 2)} calls most of the head tumour")


def test_a_tumour_of_a_third_of_the_head_is_sound(tiny_cohort):
    flair = tifffile.imread(image_of(tiny_cohort, 2))[..., 1]
    mask = flair > flair.mean()
    mask[: np.flatnonzero(np.cumsum(mask.sum(1)) < 0.6 * mask.sum())[-1]] = False
    tifffile.imwrite(mask_of(tiny_cohort, 2), mask.astype(np.uint8) * 255, photometric="minisblack")
    assert index(tiny_cohort)["tumour_px"][1] == np.count_nonzero(mask) > 0.05 * 65536


def test_numbers_that_a_tag_turns_round_are_refused(tiny_cohort):
    mask = tifffile.imread(mask_of(tiny_cohort, 2))
    tifffile.imwrite(mask_of(tiny_cohort, 2), mask, photometric="miniswhite")
    image = tifffile.imread(image_of(tiny_cohort, 3))
    tifffile.imwrite(image_of(tiny_cohort, 3), image, photometric="rgb", extratags=[(274, 3, 1, 3, True)])
    white, turned = problems_of(tiny_cohort)
    assert white.startswith(f"{mask_of(tiny_cohort, 2)} is a TIFF in which 0 is white")
    assert turned.startswith(f"{image_of(tiny_cohort, 3)} is turned by a tag")


def test_a_second_page_is_refused(tiny_cohort):
    with tifffile.TiffWriter(mask_of(tiny_cohort, 2)) as tiff:
        tiff.write(np.zeros((256, 256), np.uint8), photometric="minisblack")
        tiff.write(np.zeros((9, 9), np.uint8), photometric="minisblack")
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{mask_of(tiny_cohort, 2)} holds 2 pages")


def test_lzw_without_imagecodecs_says_so(tiny_cohort, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    path = image_of(tiny_cohort)
    bytes_ = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["Compression"]
        bytes_[tag.valueoffset : tag.valueoffset + 2] = struct.pack(file.byteorder + "H", 5)  # 5 is LZW
    path.write_bytes(bytes_)
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{path} is a compressed TIFF") and "install imagecodecs" in problem


def test_image_without_mask(tiny_cohort):
    mask_of(tiny_cohort).unlink()
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{image_of(tiny_cohort)} has no mask")


def test_mask_without_image(tiny_cohort):
    image_of(tiny_cohort).unlink()
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{mask_of(tiny_cohort)} has no image")


def test_patient_folder_without_slices(tiny_cohort):
    (tiny_cohort / "TEST_CC_0009_20000101").mkdir()
    (problem,) = problems_of(tiny_cohort)
    assert "TEST_CC_0009_20000101 holds no slices" in problem


@pytest.mark.parametrize(
    "name", [f"{FIRST}.tif", f"{PATIENTS[1]}_1.tif", f"{FIRST}_01.tif", f"{FIRST}_1_mask.tiff", "scan.tif"]
)
def test_odd_file_name(tiny_cohort, name):
    shutil.copy(image_of(tiny_cohort), tiny_cohort / FIRST / name)
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{tiny_cohort / FIRST / name} is not named")


def test_odd_folder_name(tiny_cohort):
    (tiny_cohort / "TCGA_copy").mkdir()
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{tiny_cohort / 'TCGA_copy'} is not named like a patient")


def test_synthetic_and_real_patients_are_not_mixed(tiny_cohort):
    write_cohort(tiny_cohort, [*PATIENTS, "PHANTOM_AA_0001_20000101"])
    (problem,) = problems_of(tiny_cohort)
    assert "PHANTOM_AA_0001_20000101 is synthetic" in problem


def doubled(root, other=PATIENTS[1], numbers=range(1, SLICES + 1), mask=None):
    """Slices of the first patient in the place of another's."""
    for number in numbers:
        shutil.copy(image_of(root, number), image_of(root, number, other))
        shutil.copy(mask_of(root, number), mask_of(root, number, other))
        if mask is not None:
            tifffile.imwrite(mask_of(root, number, other), mask, photometric="minisblack")
    return root


def test_one_person_is_no_two_cases(tiny_cohort):
    """The split goes by case: one person in two stands on both sides."""
    (problem,) = problems_of(doubled(tiny_cohort))
    first, second = image_of(tiny_cohort, 2), image_of(tiny_cohort, 2, PATIENTS[1])
    assert problem == (
        f"{first} and {second} are one picture with tumour, in the folders of two cases. Give both the same name but "
        "for the date, or remove one."
    )
    assert len(problems_of(doubled(tiny_cohort, PATIENTS[3], [2]))) == 2


def test_one_picture_with_two_masks_is_one_person(tiny_cohort):
    mask = np.zeros((256, 256), np.uint8)
    mask[120:130, 120:130] = 255
    assert len(problems_of(doubled(tiny_cohort, numbers=[3], mask=mask))) == 1


def test_empty_slices_may_be_alike_and_so_may_those_of_one_case(tiny_cohort):
    again = f"{FIRST[:-8]}20111111"
    for path in (tiny_cohort / FIRST).iterdir():
        (tiny_cohort / again).mkdir(exist_ok=True)
        shutil.copy(path, tiny_cohort / again / path.name.replace(FIRST, again))
    assert len(index(doubled(tiny_cohort, numbers=[1, 4, 5]))) == SLICES * (len(PATIENTS) + 1)


def test_indexing_a_folder_without_patients(tmp_path):
    assert "holds no patient folder" in problems_of(tmp_path)[0]


def test_all_problems_come_in_one_report(tiny_cohort):
    image_of(tiny_cohort, 1).write_bytes(b"")
    tifffile.imwrite(mask_of(tiny_cohort, 1), MASK + 1)
    mask_of(tiny_cohort, 2).unlink()
    (tiny_cohort / "TEST_CC_0009_20000101").mkdir()
    (tiny_cohort / "data.csv").unlink()
    with pytest.raises(CohortError) as error:
        index(tiny_cohort)
    assert len(error.value.problems) == 5
    assert str(error.value).startswith(f"5 problems in {tiny_cohort}:\n  - ")
    for name in (
        image_of(tiny_cohort, 1),
        mask_of(tiny_cohort, 1),
        image_of(tiny_cohort, 2),
        "TEST_CC_0009",
        "data.csv",
    ):
        assert str(name) in str(error.value)


def test_a_long_report_is_cut_and_counted(tiny_cohort):
    for path in tiny_cohort.glob("*/*_mask.tif"):
        path.unlink()
    with pytest.raises(CohortError) as error:
        index(tiny_cohort)
    lines = str(error.value).splitlines()
    assert len(error.value.problems) == 30 and len(lines) == 1 + 20 + 1
    assert "10 more" in lines[-1]


# ---------------------------------------------------------------- data.csv


def test_patient_table_is_indexed_by_case(tiny_cohort):
    table = read_patient_table(tiny_cohort)
    assert table.index.name == "case" and len(table) == len(PATIENTS)
    assert set(index(tiny_cohort)["case"]) == set(table.index)


def test_gaps_and_patients_without_images_are_normal(tiny_cohort):
    with (tiny_cohort / "data.csv").open("a") as file:
        file.write("TEST_ZZ_0099,,2,\n")
    assert read_patient_table(tiny_cohort).loc["TEST_ZZ_0099"].isna().sum() == 2
    assert len(index(tiny_cohort)) == len(PATIENTS) * SLICES


def test_the_data_csv_of_another_cohort_is_refused(tiny_cohort):
    path = tiny_cohort / "data.csv"
    path.write_text("Patient\nOTHER_XX_0001\n")
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{path} names none of the patients beside it")


def test_a_synthetic_cohort_with_a_hole_is_refused(tmp_path):
    root = write_cohort(tmp_path / "phantom", ["PHANTOM_AA_0001_20000101", "PHANTOM_AA_0002_20000101"], slices=2)
    assert len(index(root)) == 4
    shutil.rmtree(root / "PHANTOM_AA_0002_20000101")
    (problem,) = problems_of(root)
    assert "lacks PHANTOM_AA_0002" in problem and "draw the cohort again" in problem


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing"),
        (b"", "is not a table"),
        (b"Patient,Age\nTEST_AA_0001,5,6,7\nTEST_AA_0002,1\n,,,,,,,,\n", "is not a table"),
        (b"\xff\xfe\x00 Patient", "another encoding than UTF-8"),
        (b"Name,Age\nTEST_AA_0001,50\n", "has no column Patient"),
        (b"Patient;Age\nTEST_AA_0001;50\n", "parts its columns by semicolons"),
        (b"Patient,Age\n", "has no rows"),
        (b"Patient,Age\nJohn,50\n", "names a patient 'John'"),
        (b"Patient,Age\n,50\n", "names a patient 'nan'"),
        (b"Patient,Age\nTEST_AA_0001,50\nTEST_AA_0001,51\n", "names TEST_AA_0001 more than once"),
    ],
)
def test_missing_or_odd_data_csv(tiny_cohort, content, said):
    path = tiny_cohort / "data.csv"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CohortError, match=said):
        read_patient_table(tiny_cohort)
    (problem,) = problems_of(tiny_cohort)
    assert problem.startswith(f"{path} ") and said in problem


# ---------------------------------------------------------------- real slices


@pytest.mark.real
def test_real_slices(real_cohort):
    table = index(real_cohort)
    assert not table["synthetic"].any() and not is_synthetic(real_cohort)
    by_patient = table.groupby("patient")
    # In the whole data set and in any part of it, slices are numbered from 1 without gaps.
    assert (by_patient["slice"].max() == by_patient.size()).all()
    assert table["tumour_px"].gt(0).groupby(table["patient"]).any().all()
    assert set(table["case"]) <= set(read_patient_table(real_cohort).index)
    if table["patient"].nunique() == PUBLISHED["patients"]:
        assert count(table) == PUBLISHED
    images, masks = read_patient(table, table["patient"].iloc[0])
    assert images.shape[1:] == (256, 256, 3) and masks.any()
