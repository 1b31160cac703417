"""Cohorts that something happened to: each is read right, or refused in one report that names the file.

What else is refused has tests beside the code that refuses it, in `test_index`, `test_find` and `test_pixels`. These
are cohorts as disks, archives, other programs and people leave them.
"""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import tifffile
from helpers import PATIENTS, SLICES, image_of, mask_of, write_cohort

from brainseg.cohort import CohortError, index_cohort
from brainseg.data import get_cohort

FIRST, SECOND = PATIENTS[:2]
ALL = SLICES * len(PATIENTS)


def rewritten(path_of, **options):
    """A change that writes one picture again, its pixels the same, in another way that TIFF allows."""

    def change(root):
        path = path_of(root, 2)
        pixels = tifffile.imread(path)
        colours = "rgb" if pixels.ndim == 3 else "minisblack"
        tifffile.imwrite(path, pixels, **{"photometric": colours} | options)

    return change


def replaced(path_of, make):
    """A change that puts other bytes in the place of one picture: `make` takes those that were there."""

    def change(root):
        path = path_of(root, 2)
        path.write_bytes(make(path.read_bytes()))

    return change


def drawn(make):
    """A change of one mask's pixels: `make` takes those that were there."""

    def change(root):
        mask = make(tifffile.imread(mask_of(root, 2)))
        tifffile.imwrite(mask_of(root, 2), mask, photometric="minisblack")

    return change


def table(text, encoding="utf-8"):
    """A change of ``data.csv``: `text` has {rows} where its rows were."""

    def change(root):
        rows = (root / "data.csv").read_text().partition("\n")[2]
        (root / "data.csv").write_bytes(text.replace("{rows}", rows).encode(encoding))

    return change


HEAD = "Patient,RNASeqCluster,neoplasm_histologic_grade,age_at_initial_pathologic\n"


def renamed(old, new):
    return lambda root: (root / old).rename(root / new)


def planar(root):
    pixels = np.moveaxis(tifffile.imread(image_of(root, 2)), -1, 0)
    tifffile.imwrite(image_of(root, 2), pixels, photometric="rgb", planarconfig="separate")


def with_preview(root):
    """A whole picture, and behind it a thumbnail in a page of its own, as viewers leave them."""
    pixels = tifffile.imread(image_of(root, 2))
    with tifffile.TiffWriter(image_of(root, 2)) as tiff:
        tiff.write(pixels, photometric="rgb")
        tiff.write(pixels[::8, ::8], photometric="rgb", subfiletype=1)


def pipe(root):
    image_of(root, 2).unlink()
    os.mkfifo(image_of(root, 2))


def linked_pipe(root):
    image_of(root, 2).unlink()
    os.mkfifo(root / "pipe")
    image_of(root, 2).symlink_to(root / "pipe")


def folder_for_file(root):
    image_of(root, 2).unlink()
    image_of(root, 2).mkdir()


def linked_patient(root):
    (root / FIRST).rename(root.parent / "elsewhere")
    (root / FIRST).symlink_to(root.parent / "elsewhere")


def patient_in_itself(root):
    (root / FIRST / "again").symlink_to(root / FIRST)


def nested(root):
    """A patient's folder that an archive tool wrapped into another of its name."""
    (root / FIRST).rename(root / "inner")
    (root / FIRST).mkdir()
    (root / "inner").rename(root / FIRST / FIRST)


def part_in_a_folder(root):
    """A patient whose last slice came in a second archive."""
    (root / FIRST / "part 2").mkdir()
    for path in (image_of(root, 5), mask_of(root, 5)):
        path.rename(root / FIRST / "part 2" / path.name)


def ended(suffix):
    """A change of the endings of a slice and its mask."""

    def change(root):
        for path in (image_of(root, 2), mask_of(root, 2)):
            path.rename(path.with_suffix(suffix))

    return change


def without_a_tile(root):
    """A mask as a program leaves it that was stopped while it wrote."""
    path = mask_of(root, 2)
    tifffile.imwrite(path, tifffile.imread(path), photometric="minisblack", tile=(64, 64))
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for name in ("TileOffsets", "TileByteCounts"):
            tag = file.pages[0].tags[name]
            data[tag.valueoffset + 24 : tag.valueoffset + 28] = bytes(4)  # of the seventh tile
    path.write_bytes(data)


def gap(root):
    image_of(root, 3).unlink()
    mask_of(root, 3).unlink()


def numbered(number):
    def change(root):
        image_of(root, 5).rename(image_of(root, number))
        mask_of(root, 5).rename(mask_of(root, number))

    return change


def swapped(root):
    image, mask = image_of(root, 2), mask_of(root, 2)
    image.rename(root / "kept.tif")
    mask.rename(image)
    (root / "kept.tif").rename(mask)


def slice_of_another(root):
    shutil.copy(image_of(root, 1, SECOND), root / FIRST / image_of(root, 1, SECOND).name)


def two_dates(root):
    other = root / f"{FIRST[:-8]}20010101"
    other.mkdir()
    for kind in ("", "_mask"):
        shutil.copy(root / FIRST / f"{FIRST}_1{kind}.tif", other / f"{other.name}_1{kind}.tif")


READ = {
    "big-endian": (rewritten(image_of, byteorder=">"), ALL),
    "BigTIFF": (rewritten(image_of, bigtiff=True), ALL),
    "BigTIFF mask, big-endian": (rewritten(mask_of, bigtiff=True, byteorder=">"), ALL),
    "tiles": (rewritten(image_of, tile=(64, 64)), ALL),
    "tiles that reach over the border": (rewritten(image_of, tile=(96, 96)), ALL),
    "one row a strip": (rewritten(image_of, rowsperstrip=1), ALL),
    "deflated": (rewritten(image_of, compression="zlib"), ALL),
    "deflated, with differences": (rewritten(image_of, compression="zlib", predictor=True), ALL),
    "a description of ten kilobytes": (rewritten(image_of, description="x" * 10_000), ALL),
    "a description with a false shape": (rewritten(image_of, description='{"shape": [9, 9]}', metadata=None), ALL),
    "a resolution": (rewritten(image_of, resolution=(300, 300)), ALL),
    "bytes behind the end of a mask": (replaced(mask_of, lambda data: data + b"\0" * 100), ALL),
    "a mask full of nothing": (drawn(np.zeros_like), ALL),
    "a mask of one pixel": (drawn(lambda mask: np.where(np.indices(mask.shape).sum(0) == 0, mask.max(), 0)), ALL),
    "a slice missing in the middle": (gap, ALL - 1),
    "a slice numbered 1000": (numbered(1000), ALL),
    "a patient behind a link": (linked_patient, ALL),
    "a patient's folder that holds a link to itself": (patient_in_itself, ALL),
    "a patient of two dates": (two_dates, ALL + 1),
    "files of the system": (lambda root: [(root / FIRST / n).write_bytes(b"x") for n in (".DS_Store", "._a.tif")], ALL),
    "pictures beside the patients": (lambda root: shutil.copy(image_of(root), root / "preview.tif"), ALL),
    "notes beside the slices": (lambda root: (root / FIRST / "notes.txt").write_text("seen"), ALL),
    "data.csv with a mark of byte order": (table("\ufeff" + HEAD + "{rows}"), ALL),
    "data.csv with the line ends of Windows": (
        lambda root: (root / "data.csv").write_bytes((root / "data.csv").read_bytes().replace(b"\n", b"\r\n")), ALL,
    ),
    "data.csv with columns that have no name": (table("Patient,a,,\n{rows}"), ALL),
    "data.csv with quoted cells": (table(HEAD.replace("Patient", '"Patient"') + "{rows}"), ALL),
    "data.csv with an empty line at its end": (table(HEAD + "{rows}\n\n"), ALL),
    "data.csv without its last line end": (
        lambda root: (root / "data.csv").write_bytes((root / "data.csv").read_bytes().rstrip()), ALL,
    ),
    "data.csv with a column more": (table("Patient,a,b,c,remark\n{rows}"), ALL),
    "data.csv with gaps alone": (table("Patient,RNASeqCluster\n" + "".join(f"{p[:-9]},\n" for p in PATIENTS)), ALL),
}  # fmt: skip
"""What happened -> the change, and how many slices there are afterwards."""

REFUSED = {
    "planes one after another": (planar, image_of, "3 x 256 x 256"),
    "a picture with a preview": (with_preview, image_of, "pages"),
    "a mask with a preview as its only page": (drawn(lambda mask: mask[::2, ::2]), mask_of, "128 x 128"),
    "a mask turned on its side and cut": (drawn(lambda mask: mask[:200].T), mask_of, "256 x 200"),
    "a mask in 16 bits": (drawn(lambda mask: mask.astype(np.uint16) * 257), mask_of, "uint16"),
    "a mask in floats": (drawn(lambda mask: mask / np.float32(255)), mask_of, "float32"),
    "a mask of labels": (drawn(lambda mask: (mask // 255) * np.uint8(4)), mask_of, "holds 0, 4"),
    "a mask smoothed": (drawn(lambda mask: ((mask.astype(int) + np.roll(mask, 1)) // 2).astype(np.uint8)), mask_of,
                        "holds 0, 127, 255"),
    "a mask with white as 0": (rewritten(mask_of, photometric="miniswhite"), mask_of, "0 is white"),
    "a mask in colours": (drawn(lambda mask: np.stack([mask] * 3, -1)), mask_of, "256 x 256 x 3"),
    "a mask drawn the other way round": (drawn(lambda mask: 255 - mask), mask_of, "most of the head"),
    "image and mask exchanged": (swapped, image_of, "256 x 256 of uint8"),
    "an empty file": (replaced(image_of, lambda data: b""), image_of, "not a whole TIFF"),
    "zeros of the same size": (replaced(image_of, lambda data: bytes(len(data))), image_of, "not a whole TIFF"),
    "the second half missing": (replaced(image_of, lambda data: data[: len(data) // 2]), image_of, "not a whole TIFF"),
    "the last byte missing": (replaced(mask_of, lambda data: data[:-1]), mask_of, "not a whole TIFF"),
    "a page of HTML": (replaced(image_of, lambda data: b"<!DOCTYPE html><p>429"), image_of, "not a whole TIFF"),
    "a pointer of Git LFS": (
        replaced(image_of, lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        image_of, "not a whole TIFF"),
    "a picture packed by gzip": (replaced(mask_of, lambda data: b"\x1f\x8b\x08\0" + data[4:]), mask_of, "not a whole"),
    "a folder in the place of a file": (folder_for_file, mask_of, "has no image"),
    "a link to a pipe": (linked_pipe, mask_of, "has no image"),
    "a pipe in the place of a file": (pipe, mask_of, "has no image"),
    "a patient in a folder of the same name": (nested, lambda root: root / FIRST, "holds no slices"),
    "a slice of another patient": (slice_of_another, lambda root: root / FIRST / image_of(root, 1, SECOND).name,
                                   "is not named"),
    "a mask without one of its tiles": (without_a_tile, mask_of, "lacks a part"),
    "a slice in a folder of its own": (
        part_in_a_folder, lambda root: root / FIRST / "part 2" / image_of(root, 5).name, "within the patient's"),
    "a slice and its mask as PNG": (ended(".png"), lambda root: image_of(root, 2).with_suffix(".png"), "is not named"),
    "a slice and its mask of a cut download": (
        ended(".tif.part"), lambda root: image_of(root, 2).with_suffix(".tif.part"), "is not named"),
    "a slice numbered in other digits": (numbered("1\u0662"), lambda root: image_of(root, "1\u0662"), "is not named"),
    "a patient of a date in other digits": (
        renamed(FIRST, f"{FIRST[:-1]}\uff11"), lambda root: root / f"{FIRST[:-1]}\uff11", "named like a patient"),
    "a slice numbered 0": (numbered(0), lambda root: image_of(root, 0), "is not named"),
    "a slice numbered -1": (numbered(-1), lambda root: image_of(root, -1), "is not named"),
    "the ending in capitals": (
        lambda root: image_of(root, 2).rename(image_of(root, 2).with_suffix(".TIF")),
        lambda root: image_of(root, 2).with_suffix(".TIF"), "is not named"),
    "a copy made by a file manager": (
        lambda root: shutil.copy(image_of(root, 2), root / FIRST / f"{FIRST}_2 (1).tif"),
        lambda root: root / FIRST / f"{FIRST}_2 (1).tif", "is not named"),
    "a name with a line end": (
        lambda root: shutil.copy(image_of(root, 2), root / FIRST / f"{FIRST}_2\n.tif"),
        lambda root: root / FIRST / f"{FIRST}_2\n.tif", "is not named"),
    "a patient in small letters": (renamed(FIRST, FIRST.lower()), lambda root: root / FIRST.lower(), "named like a"),
    "a patient with a short date": (renamed(FIRST, FIRST[:-1]), lambda root: root / FIRST[:-1], "named like a patient"),
    "a patient copied by a file manager": (
        lambda root: shutil.copytree(root / FIRST, root / f"{FIRST} - Copy"),
        lambda root: root / f"{FIRST} - Copy", "named like a patient"),
    "a patient renamed without its files": (
        renamed(FIRST, f"{FIRST[:-1]}9"), lambda root: root / f"{FIRST[:-1]}9", "is not named"),
    "data.csv as a folder": (
        lambda root: [(root / "data.csv").unlink(), (root / "data.csv").mkdir()], lambda root: root / "data.csv",
        "is missing"),
    "data.csv with tabulators": (
        lambda root: (root / "data.csv").write_text((root / "data.csv").read_text().replace(",", "\t")),
        lambda root: root / "data.csv", "tabulators"),
    "data.csv in UTF-16": (table(HEAD + "{rows}", "utf-16"), lambda root: root / "data.csv", "another encoding"),
    "data.csv in Latin 1": (
        table(HEAD.replace("age", "âge") + "{rows}", "latin-1"), lambda root: root / "data.csv", "another encoding"),
    "data.csv of zeros": (
        lambda root: (root / "data.csv").write_bytes(bytes(500)), lambda root: root / "data.csv", "another encoding"),
    "data.csv as a page of HTML": (
        table("<!DOCTYPE html>\n<p>Sign in, please"), lambda root: root / "data.csv", "no column Patient"),
    "data.csv that ends in a quotation": (table(HEAD + '"TEST_AA_0001,1'), lambda root: root / "data.csv", "data.csv"),
    "data.csv with small letters": (
        table("Patient,a\ntest_aa_0001,1\n"), lambda root: root / "data.csv", "names a patient 'test_aa_0001'"),
    "data.csv with patients by folder": (
        table(f"Patient,a\n{FIRST},1\n"), lambda root: root / "data.csv", "names a patient"),
    "data.csv with its first column named otherwise": (
        table(HEAD.replace("Patient", "patient") + "{rows}"), lambda root: root / "data.csv", "no column Patient"),
    "data.csv with a column twice": (
        table(HEAD.replace("RNASeqCluster", "neoplasm_histologic_grade") + "{rows}"), lambda root: root / "data.csv",
        "names the column neoplasm_histologic_grade more than once"),
    "data.csv with a cell before its patients": (
        table("Patient,a\n" + "".join(f"7,{p[:-9]},3\n" for p in PATIENTS)), lambda root: root / "data.csv",
        "more cells than there are columns"),
    "data.csv with commas at its ends": (
        table(HEAD + "".join(f"{p[:-9]},1,2,50,\n" for p in PATIENTS)), lambda root: root / "data.csv",
        "Take out the commas"),
    "data.csv with a row twice": (table(HEAD + "{rows}{rows}"), lambda root: root / "data.csv", "more than once"),
}  # fmt: skip
"""What happened -> the change, the file that the report names, and a part of what it says."""


def cases(names):
    """Each name as a parameter; what Windows has no files for is passed over there."""
    odd = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
    return [
        pytest.param(name, marks=odd if "pipe" in name or "link" in name or "line end" in name else ())
        for name in names
    ]


def index(root):
    return index_cohort(get_cohort(root), progress=False)


def test_there_are_many():
    assert len(READ) + len(REFUSED) >= 60


@pytest.mark.parametrize("name", cases(READ))
def test_it_is_read_right(tiny_cohort, name):
    before = index(tiny_cohort).set_index(["patient", "slice"])
    change, slices = READ[name]
    change(tiny_cohort)
    after = index(tiny_cohort).set_index(["patient", "slice"])
    assert len(after) == slices
    same = after.index.intersection(before.index)
    drawn_anew = (FIRST, 2) if name.startswith("a mask") else None
    if drawn_anew:
        expected = {"a mask full of nothing": 0, "a mask of one pixel": 1}[name]
        assert after.loc[drawn_anew, "tumour_px"] == expected
        same = same.drop([drawn_anew])
    assert after.loc[same, ["tumour_px", "mean_flair"]].equals(before.loc[same, ["tumour_px", "mean_flair"]])


@pytest.mark.parametrize("name", cases(REFUSED))
def test_it_is_refused_in_one_report(tiny_cohort, name):
    change, place_of, said = REFUSED[name]
    change(tiny_cohort)
    place = place_of(tiny_cohort, 2) if place_of in (image_of, mask_of) else place_of(tiny_cohort)
    with pytest.raises(CohortError) as error:
        index(tiny_cohort)
    of_file = [problem for problem in error.value.problems if problem.startswith(str(place))]
    assert of_file and any(said in problem for problem in of_file), str(error.value)
    assert "Traceback" not in str(error.value)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among its files")
def test_a_whole_cohort_in_ruins_is_one_report(tiny_cohort):
    """All that can happen to different files at once is told at once."""
    image_of(tiny_cohort, 1).write_bytes(b"")
    drawn(lambda mask: mask // 255)(tiny_cohort)
    pipe_of = image_of(tiny_cohort, 3)
    pipe_of.unlink()
    os.mkfifo(pipe_of)
    gap_of = mask_of(tiny_cohort, 4, SECOND)
    gap_of.unlink()
    with pytest.raises(CohortError) as error:
        index(tiny_cohort)
    assert len(error.value.problems) == 4


def test_another_cohort_in_the_same_place_is_not_taken_for_the_first(tmp_path):
    """The cache of the index goes by names, sizes and times, so those are all the same here but the times."""
    root = write_cohort(tmp_path / "kaggle_3m", PATIENTS[:2])
    before = index(root)
    drawn(np.zeros_like)(root)
    assert index(root)["tumour_px"].sum() < before["tumour_px"].sum()
