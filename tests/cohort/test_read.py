"""One image, one mask, one patient: what the reader takes, and what it says of the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers import PATIENTS, image_of, mask_of

from brainseg.cohort import CohortError, index_cohort, read_image, read_mask, read_patient, read_patient_table

MASK = np.zeros((256, 256), np.uint8)
MASK[100:120, 90:130] = 255
STACK = {"photometric": "minisblack"}
IMAGE = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.tif"


def written(path, pixels, **options):
    options.setdefault("photometric", "rgb" if pixels.ndim == 3 else "minisblack")
    tifffile.imwrite(path, pixels, **options)
    return path


def refusal(read, path) -> str:
    with pytest.raises(CohortError) as caught:
        read(path)
    (problem,) = caught.value.problems
    return problem


def test_an_image_and_a_mask_come_back_as_they_were_written(path):
    np.testing.assert_array_equal(read_image(written(path, IMAGE)), IMAGE)
    mask = read_mask(written(path, MASK))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, MASK == 255)
    assert not read_mask(written(path, MASK * 0)).any()


def test_levels_that_no_mask_holds_are_shown_with_the_way_out(path):
    allowed = f"{path}: a mask may hold 0 (background) and 255 (tumour) only, this one holds"
    assert refusal(read_mask, written(path, MASK // 255)) == f"{allowed} 0, 1. Multiply the mask by 255."
    smooth = " Save it without smoothing, resizing or lossy compression."
    for shown, levels in {
        "0, 128, 255.": 3,
        "0, 51, 102, 153, 204, 255.": 6,
        "0, 42, 85, 128, 170, 212, ....": 7,
        "0, 36, 73, 109, 146, 182, ....": 8,
    }.items():
        steps = np.linspace(0, 255, levels).round().astype(np.uint8)
        assert refusal(read_mask, written(path, np.resize(steps, (256, 256)))) == f"{allowed} {shown}{smooth}"


@pytest.mark.parametrize(
    ("read", "pixels", "options", "said"),
    [
        (read_mask, IMAGE, {}, "is 256 x 256 x 3 of uint8, expected 256 x 256 of uint8. Replace it by the file from"),
        (read_image, MASK, {}, "is 256 x 256 of uint8, expected 256 x 256 x 3 of uint8."),
        (read_mask, MASK[:100], {}, "is 100 x 256 of uint8, expected 256 x 256"),
        (read_mask, MASK.astype(np.uint16), {}, "is 256 x 256 of uint16, expected"),
        (read_mask, np.stack([MASK] * 3), {"photometric": "minisblack"}, "is 3 x 256 x 256 of uint8, expected"),
        (
            read_mask,
            np.stack([MASK] * 2),
            {"photometric": "minisblack", "truncate": True},
            "is 2 x 256 x 256 of uint8, expected",
        ),
        (
            read_mask,
            255 - MASK,
            {"photometric": "miniswhite"},
            "is a TIFF in which 0 is white, so it shows the opposite of its numbers. Save it with 0 as black, as in "
            'tifffile.imwrite(..., photometric="minisblack").',
        ),
        (read_mask, MASK, {"extratags": [(274, 3, 1, 6, True)]}, "is turned by a tag, which programs heed or not."),
        (read_mask, MASK, {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}, "numbers the colours"),
    ],
)
def test_what_is_no_slice_is_refused_by_name(path, read, pixels, options, said):
    assert refusal(read, written(path, pixels, **options)).startswith(f"{path} {said}")


def test_pages_of_several_sizes_are_counted(path):
    with tifffile.TiffWriter(path) as file:
        file.write(MASK, photometric="minisblack", metadata=None)
        file.write(MASK[:50], photometric="minisblack", metadata=None)
    assert refusal(read_mask, path) == f"{path} holds 2 pages, expected one. Save the one that is the slice."


def test_files_that_are_none_are_told_apart(path, tmp_path):
    gone = tmp_path / "gone.tif"
    assert refusal(read_mask, gone) == f"{gone} does not exist. Copy it again from the archive."
    said = refusal(read_mask, tmp_path)
    assert said == f"{tmp_path} cannot be read (Is a directory). Check its permissions and the disk."
    path.write_bytes(b"no TIFF")
    said = refusal(read_mask, path)
    assert said.startswith(f"{path} is not a whole TIFF file (not a TIFF file")
    assert said.endswith("). Copy it again from the archive.")
    whole = written(path, MASK).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert f"{path} is not a whole TIFF file" in refusal(read_mask, path)


def test_a_compression_that_needs_a_package_is_named(path, monkeypatch):
    written(path, MASK)

    def lacks(*_, **__):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", lacks)
    assert refusal(read_mask, path) == (
        f"{path} is a compressed TIFF that needs one more package to be read. Save it uncompressed, or install "
        "imagecodecs."
    )


def test_a_patient_comes_in_the_order_of_the_slices(tiny_cohort_once):
    table = index_cohort(tiny_cohort_once, progress=False)
    images, masks = read_patient(table.sample(frac=1, random_state=0), PATIENTS[1])
    assert images.shape == (5, 256, 256, 3) and images.dtype == np.uint8
    assert masks.shape == (5, 256, 256) and masks.dtype == bool
    for number in range(1, 6):
        np.testing.assert_array_equal(images[number - 1], read_image(image_of(tiny_cohort_once, number, PATIENTS[1])))
        np.testing.assert_array_equal(masks[number - 1], read_mask(mask_of(tiny_cohort_once, number, PATIENTS[1])))
    with pytest.raises(CohortError, match=f"^no patient 'nobody' in this table; the first is {PATIENTS[0]!r}$"):
        read_patient(table, "nobody")
    with pytest.raises(CohortError, match=f"the first is {PATIENTS[0]!r}$"):
        read_patient(table[4:], "nobody")  # one slice of the first patient is left


# ---------------------------------------------------------------- data.csv

SOUND = "Patient,age\nTCGA_CS_4941,67\nTCGA_DU_A5TW,\n"
AGAIN = "Copy it again from the archive."


def test_the_patient_table_is_read_by_case_with_its_gaps(tmp_path):
    (tmp_path / "data.csv").write_text("\ufeff" + SOUND, encoding="utf-8")
    table = read_patient_table(tmp_path)
    assert table.index.name == "case" and table.index.tolist() == ["TCGA_CS_4941", "TCGA_DU_A5TW"]
    assert table["age"].iloc[0] == 67 and np.isnan(table["age"].iloc[1])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (SOUND.encode("utf-16"), 'is text in another encoding than UTF-8. Save it as "CSV UTF-8 (comma delimited)".'),
        (SOUND.encode("utf-16-le"), "is text in another encoding than UTF-8."),
        ("Patient,Größe\nTCGA_CS_4941,1\n".encode("latin-1"), "is text in another encoding than UTF-8."),
        (SOUND.replace(",", ";").encode(), "parts its columns by semicolons. Save it with commas, and a dot in"),
        (SOUND.replace(",", "\t").encode(), "parts its columns by tabulators."),
        (b'"Patient" ;"age"\nTCGA_CS_4941;67\n', "parts its columns by semicolons."),
        (b"name,age\nTCGA_CS_4941,67\n", f"has no column Patient. {AGAIN}"),
        (b"name,age\nPatient;TCGA_CS_4941,67\n", f"has no column Patient. {AGAIN}"),
        (b"Patient,age\n", f"has no rows. {AGAIN}"),
        (b"", f"is not a table of comma-separated values (No columns to parse from file). {AGAIN}"),
        (b"Patient,age\nanna,67\n", f"names a patient 'anna', expected names such as TCGA_CS_4941. {AGAIN}"),
        (b"Patient,age\nXTCGA_CS_49411,67\n", "names a patient 'XTCGA_CS_49411', expected"),
        (SOUND.encode() + b"TCGA_CS_4941,3\n", "names TCGA_CS_4941 more than once. Keep one row per patient."),
    ],
)
def test_what_is_no_patient_table_is_refused_with_the_way_out(tmp_path, data, said):
    (tmp_path / "data.csv").write_bytes(data)
    assert refusal(read_patient_table, tmp_path).startswith(f"{tmp_path / 'data.csv'} {said}")


def test_a_patient_table_that_is_missing_is_named(tmp_path):
    said = refusal(read_patient_table, tmp_path)
    assert said == f"{tmp_path / 'data.csv'} is missing. Copy it from the archive: it lies beside the patient folders."


def test_blanks_behind_the_commas_of_a_patient_table_do_not_count(tiny_cohort):
    before = read_patient_table(tiny_cohort)
    path = tiny_cohort / "data.csv"
    path.write_text(path.read_text().replace(",", ", "))
    pd.testing.assert_frame_equal(read_patient_table(tiny_cohort), before)
