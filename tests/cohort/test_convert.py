"""A folder of images and masks becomes a cohort, by the very code of the book's page, and its faults are named."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import tifffile

from brainseg.cohort import CohortError, convert, index_cohort, read_image, read_mask, read_patient_table
from brainseg.cohort.convert import convert_pairs
from brainseg.cohort.find import SYNTHETIC_PROJECT
from brainseg.cohort.pixels import read_picture, write_png
from brainseg.paths import project_root


def picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, pixels)
    return path


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """PNG pairs of two patients, 100 rows by 200 columns, a square tumour of 20 pixels on each second slice."""
    monkeypatch.chdir(tmp_path)
    for patient in ("anna", "bert"):
        for number in (1, 2):
            image = np.tile(np.linspace(0, 200, 200), (100, 1)).astype(np.uint8)
            image[0, 0] = patient == "bert"  # nobody has the head of another
            mask = np.zeros((100, 200), np.uint8)
            mask[40:60, 80:100] = number == 2
            picture(tmp_path / "my_scans" / "images" / f"{patient}_{number:02d}.png", image)
            picture(tmp_path / "my_scans" / "masks" / f"{patient}_{number:02d}.png", mask)
    return tmp_path


def test_the_books_example_makes_a_cohort(scans):
    page = (project_root() / "book" / "teach" / "own_data.md").read_text(encoding="utf-8")
    exec(re.findall(r"```python\n(.*?)```", page[page.index("## A cohort of pairs") :], re.S)[0], {})
    table = index_cohort(scans / "my_cohort")
    assert list(table["patient"].unique()) == ["MYSET_XX_0001_00000000", "MYSET_XX_0002_00000000"]
    assert table["slice"].tolist() == [1, 2, 1, 2]
    assert table["missing_pre"].all() and table["missing_post"].all() and not table["synthetic"].any()
    assert read_patient_table(scans / "my_cohort")["name"].to_dict() == {
        "MYSET_XX_0001": "anna",
        "MYSET_XX_0002": "bert",
    }
    # 200 columns fill the frame, so a pixel grows to 1.28; 64 rows above and below stay black.
    areas = table["tumour_px"].to_numpy()
    assert areas[0] == 0 and areas[1] == pytest.approx(400 * 1.28**2, rel=0.05)
    image, mask = read_image(table["image_path"][1]), read_mask(table["mask_path"][1])
    assert not image[:64].any() and not image[192:].any() and image[128, 255, 1] == 200
    rows, columns = np.nonzero(mask)
    assert rows.mean() == pytest.approx(127.5, abs=0.5) and columns.mean() == pytest.approx(89.5 * 1.28 + 0.14, abs=0.6)


def test_three_sequences_and_deep_grey_levels(tmp_path):
    planes = {
        name: np.full((256, 256), level, np.uint16) for name, level in {"pre": 500, "flair": 2000, "post": 1000}.items()
    }
    for plane in planes.values():
        plane[128:] = 4000
    row = {name: picture(tmp_path / f"{name}.png", plane) for name, plane in planes.items()}
    row["mask"] = picture(tmp_path / "mask.png", np.eye(256, dtype=np.uint8) * 7)
    root = convert_pairs(pd.DataFrame([{"patient": 3, "institution": "AB", **row}]), tmp_path / "out", project="OURS")
    (found,) = index_cohort(root).itertuples()
    assert found.institution == "AB" and found.tumour_px == 256 and not found.missing_pre
    assert read_image(found.image_path)[9, 5].tolist() == [32, 128, 64]


def test_all_faults_come_in_one_report_and_nothing_is_written(tmp_path):
    grey = picture(tmp_path / "grey.png", np.eye(20, dtype=np.uint8) * 9)
    small = picture(tmp_path / "small.png", np.zeros((10, 20), np.uint8))
    coloured = picture(tmp_path / "coloured.png", np.eye(20, dtype=np.uint8)[..., None] * np.array([1, 2, 3], np.uint8))
    again = picture(tmp_path / "again.png", np.eye(20, dtype=np.uint8) * 9)
    rows = [("a", grey, tmp_path / "none.png"), ("b", coloured, grey), ("c", again, small)]
    with pytest.raises(
        CohortError, match=r"(?s)3 problems.*none\.png.* is missing.*coloured\.png.* is coloured.*same size"
    ):
        convert_pairs(pd.DataFrame(rows, columns=["patient", "flair", "mask"]), tmp_path / "out")
    with pytest.raises(CohortError, match=r"(?s)no column 'mask'.*no rows.*'Mine'.*exists"):
        convert_pairs(pd.DataFrame(columns=["patient", "flair"]), tmp_path, project="Mine")
    with pytest.raises(CohortError, match="two capitals"):
        convert_pairs(
            pd.DataFrame([["a", grey, grey, "west"]], columns=["patient", "flair", "mask", "institution"]),
            tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- word by word


@pytest.fixture
def sound(tmp_path):
    """Three slices of two patients, each with a small tumour."""
    flair = np.full((64, 64), 90, np.uint8)
    flair[:8] = flair[-8:] = 0
    mask = np.zeros((64, 64), np.uint8)
    mask[20:26, 30:36] = 255
    rows = [
        {
            "patient": patient,
            "flair": picture(tmp_path / f"f{number}.png", np.where(flair, flair + number, 0).astype(np.uint8)),
            "mask": picture(tmp_path / f"m{number}.png", mask),
        }
        for number, patient in enumerate(["anna", "anna", "bert"])
    ]
    return pd.DataFrame(rows)


def problems(pairs, root, **options) -> list[str]:
    with pytest.raises(CohortError) as caught:
        convert_pairs(pairs, root, **options)
    return caught.value.problems


NAMELESS = "Rows or columns of the table share a name. Number the rows: pairs.reset_index(drop=True)."
ADD = "The table has no column {!r}. Add it."
PROJECT = "The project {!r} must be capitals only, and not that of the phantom. Try 'MYSET'."
INSTITUTION = "The institution {!r} must be two capitals or digits, such as 'AB'."
PATH = "The column {} has no path in row {}. Give it, or leave the row out."
NO_PATH = "The column {} holds {!r}, which is no path. Give it as text."
SERIES = "page is a series with other rows than the table. Give a list, in the order of the table."
PAGE = "page has {} numbers for 3 rows. Give one for each row, or one for all."


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda p: p.drop(columns=["flair", "mask"]), {}, [ADD.format("flair"), ADD.format("mask")]),
        (lambda p: p.iloc[:0], {}, ["The table has no rows. Check the folder and the pattern that it was made from."]),
        (lambda p: p.set_index(pd.Index([0, 0, 1])), {}, [NAMELESS]),
        (lambda p: pd.concat([p, p["mask"]], axis=1), {}, [NAMELESS]),
        (lambda p: p, {"project": SYNTHETIC_PROJECT[:-1]}, [PROJECT.format(SYNTHETIC_PROJECT[:-1])]),
        (lambda p: p, {"project": "A1"}, [PROJECT.format("A1")]),
        (lambda p: p.assign(institution=["A", "A", "ABC"]), {}, [INSTITUTION.format("A"), INSTITUTION.format("ABC")]),
        (lambda p: p, {"labels": []}, ["labels is empty. Name the levels that are tumour, or leave it out."]),
        (lambda p: p.assign(patient=[None, "", "b"]), {}, ["No patient is named in row 0 to 1. Name it."]),
        (lambda p: p.assign(flair=["", None, p["flair"][2]]), {}, [PATH.format("flair", "0 to 1")]),
        (lambda p: p.assign(mask=[p["mask"][0], " ", p["mask"][2]]), {}, [PATH.format("mask", "1")]),
        (lambda p: p.assign(post=["", p["flair"][1], ""]), {}, [PATH.format("post", "0")]),
        (lambda p: p.assign(pre=["", p["flair"][1], ""]), {}, [PATH.format("pre", "0")]),
        (lambda p: p.assign(pre=[p["flair"][0], "", " "], post=None), {}, [PATH.format("pre", "1")]),
        (lambda p: p.assign(flair=[None, p["flair"][1], None]), {}, [PATH.format("flair", "0, 2")]),
        (
            lambda p: p.assign(flair=["", *p["flair"][1:]], mask=["", *p["mask"][1:]]),
            {"page": [0]},
            [PATH.format("flair", "0"), PATH.format("mask", "0"), PAGE.format(1)],
        ),
        (
            lambda p: p.assign(flair=["", *p["flair"][1:]], mask=["", *p["mask"][1:]]),
            {},
            [PATH.format("flair", "0"), PATH.format("mask", "0")],
        ),
        (lambda p: p, {"page": [0, 0]}, [PAGE.format(2)]),
        (lambda p: p, {"page": np.array([0])}, [PAGE.format(1)]),
        (lambda p: p, {"page": [0, 1, 1.5]}, ["page holds 1.5. Give whole numbers, from 0."]),
        (lambda p: p, {"page": "0"}, ["page holds '0'. Give whole numbers, from 0."]),
        (lambda p: p, {"page": np.inf}, ["page holds inf. Give whole numbers, from 0."]),
        (lambda p: p.set_index(pd.Index([1, 2, 3])), {"page": pd.Series([0, 0, 0])}, [SERIES]),
        (lambda p: p.assign(flair=[7, *p["flair"][1:]]), {}, [NO_PATH.format("flair", 7)]),
        (lambda p: p.assign(post=[b"a", b"b", b"c"]), {}, [NO_PATH.format("post", b"a")]),
        (lambda p: p, {"project": None}, [PROJECT.format(None)]),
        (lambda p: p.assign(mask=p["flair"]), {}, ["Picture and mask are one file in row 0 to 2. Name the mask."]),
        (
            lambda p: p.assign(institution=["AB", "CD", "AB"]),
            {},
            ["'anna' has several institutions. Give a patient one."],
        ),
        (lambda p: p, {"labels": [7, 9]}, ["No mask holds a level of labels=[7, 9]. The masks hold 0, 255."]),
    ],
)
def test_problems_of_a_table_and_its_options(sound, tmp_path, change, options, said):
    assert problems(change(sound), tmp_path / "out", **options) == said
    assert not (tmp_path / "out").exists()


REPEATED = "{} is named in the column {} by row {}. Give each slice a file of its own, or leave the row out."


def test_a_slice_is_named_once(sound, tmp_path):
    """Whoever is two patients, or one slice twice, stands on both sides of a split."""
    twice = pd.concat([sound[:1], sound[:1].assign(patient="bert")], ignore_index=True)
    said = [REPEATED.format(sound["flair"][0], "flair", "0 to 1")]
    assert problems(twice, tmp_path / "out") == said
    assert problems(sound.assign(flair=[sound["flair"][0]] * 3), tmp_path / "out") == [
        REPEATED.format(sound["flair"][0], "flair", "0 to 2")
    ]
    pre = sound.assign(pre=[sound["flair"][0], sound["flair"][0], None])
    assert problems(pre, tmp_path / "out") == [REPEATED.format(sound["flair"][0], "pre", "0 to 1")]
    none = "a\0b"
    assert problems(sound.assign(flair=none), tmp_path / "out") == [REPEATED.format(none, "flair", "0 to 2")]
    assert problems(twice, tmp_path / "out", page=[0, None]) == said  # both are the first page
    assert "has one page" in problems(twice, tmp_path / "out", page=[0, 1])[0]  # another page is another slice


def test_a_mask_with_tumour_belongs_to_one_slice_and_an_empty_one_to_many(sound, tmp_path):
    table = pd.read_csv(convert_pairs(sound, tmp_path / "out") / "data.csv")
    assert len(table) == 2
    (tmp_path / "below").mkdir()
    other_way = tmp_path / "below" / ".." / sound["mask"][0].name
    (said,) = problems(sound.assign(mask=[sound["mask"][0], sound["mask"][1], str(other_way)]), tmp_path / "again")
    assert "(row 2, column mask) outlines a tumour, and is the mask of row 0 as well" in said
    empty = picture(tmp_path / "empty.png", np.zeros((64, 64), np.uint8))
    made = index_cohort(convert_pairs(sound.assign(mask=[sound["mask"][0], empty, empty]), tmp_path / "third"))
    assert (made["tumour_px"] > 0).sum() == 1


def test_blanks_around_a_name_do_not_count(sound, tmp_path):
    table = index_cohort(convert_pairs(sound.assign(patient=["anna ", "\tanna", "bert"]), tmp_path / "out"))
    assert table["patient"].nunique() == 2
    assert read_patient_table(tmp_path / "out")["name"].tolist() == ["anna", "bert"]


PERSON = (
    "The patients {!r} and {!r} (row {}) differ in nothing but blanks, capitals or forms of letters. Give one person "
    "one name, or two persons names that differ in more."
)


@pytest.mark.parametrize(
    ("names", "row"),
    [
        (["B 1", "B 1", "B1"], 2),
        (["b1", "B1", "c"], 1),
        (["straße", "x", "STRASSE"], 2),
        (["Zoë", "Zoe\u0308", "x"], 1),
        (["\uff17", "x", "7"], 2),
        ([7, "x", "7"], 2),
    ],
)
def test_one_person_is_no_two_patients(sound, tmp_path, names, row):
    assert problems(sound.assign(patient=names), tmp_path / "out") == [PERSON.format(names[0], names[row], row)]


@pytest.mark.parametrize("name", [b"D\xfc".decode(errors="surrogateescape"), "a\0b"])
def test_a_name_that_no_table_can_hold_is_refused_before_anything_is_read(sound, tmp_path, monkeypatch, name):
    monkeypatch.setattr(convert, "read_picture", None)
    assert problems(sound.assign(patient=["anna", "anna", name]), tmp_path / "out") == [
        f"The patient {name!r} (row 2) has a name that is no text in UTF-8. Give another one."
    ]


def test_the_home_folder_may_be_written_as_a_sign(sound, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert convert_pairs(sound, "~/mine") == tmp_path / "mine" and (tmp_path / "mine" / "data.csv").is_file()
    assert not (tmp_path / "~").exists()


def test_a_folder_that_exists_is_left_alone(sound, tmp_path):
    assert problems(sound, tmp_path) == [f"{tmp_path} exists. Remove it or name another folder."]


def test_as_many_patients_as_have_numbers_of_four_digits(sound, tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "MOST_PATIENTS", 2)
    assert convert_pairs(sound, tmp_path / "out").is_dir()
    monkeypatch.setattr(convert, "MOST_PATIENTS", 1)
    assert problems(sound, tmp_path / "more") == ["There are more than 1 patients. Make several cohorts."]


def test_rows_are_gathered_by_column_and_kind(sound, tmp_path):
    small = picture(tmp_path / "small.png", np.eye(8, 9, dtype=np.uint8))
    none, gone = tmp_path / "none.png", tmp_path / "gone.png"
    lost = tmp_path / "lost.png"
    pairs = sound.assign(mask=[none, sound["mask"][1], lost], flair=[gone, small, sound["flair"][2]])
    pairs.index = ["x", "y", "z"]
    assert problems(pairs, tmp_path / "out") == [
        f"{gone} (row x, column flair) is missing. Check the path.",
        f"{none} (row x, column mask) is missing. Check the path. The same holds for 2 rows in all: x, z.",
    ]
    said = problems(sound.assign(flair=[*sound["flair"][:2], small]), tmp_path / "out")
    assert said == [
        f"{sound['mask'][2]} (row 2, column mask) has 64 x 64 pixels, and its picture in the column flair 8 x 9. Give "
        "both the same size."
    ]


def test_a_mask_of_the_head_is_refused_with_the_way_out(sound, tmp_path):
    head = picture(tmp_path / "head.png", np.full((64, 64), 255, np.uint8))
    assert problems(sound.assign(mask=[head, *sound["mask"][1:]]), tmp_path / "out") == [
        f"{head} (row 0, column mask) calls most of the head tumour. It may be inverted (say invert=True) or outline "
        "the brain."
    ]


def test_levels_must_be_the_same_in_all_masks(sound, tmp_path):
    other = picture(tmp_path / "other.png", np.where(np.eye(64) > 0, 7, 0).astype(np.uint8))
    again = picture(tmp_path / "again.png", np.where(np.eye(64) > 0, 7, 0).astype(np.uint8))
    pairs = sound.assign(mask=[sound["mask"][0], other, again])
    assert problems(pairs, tmp_path / "out") == [
        f"Masks hold different levels beside 0: 7 in {other} (row 1); 255 in {sound['mask'][0]} (row 0). Say which are "
        "tumour, as in labels=[7, 255]."
    ]
    table = index_cohort(convert_pairs(pairs, tmp_path / "out", labels=[7, 255]), progress=False)
    assert (table["tumour_px"] > 0).all()
    alone = index_cohort(convert_pairs(pairs, tmp_path / "one", labels=7), progress=False)
    assert (alone["tumour_px"] > 0).tolist() == [False, True, True]


def test_names_numbers_and_the_patient_table(sound, tmp_path):
    pairs = sound.assign(patient=["zoe", "zoe", "adam"], institution=["AB", "AB", "07"])
    root = convert_pairs(pairs, tmp_path / "out", project="OURS")
    assert root == tmp_path / "out"
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    first, second = "OURS_07_0001_00000000", "OURS_AB_0002_00000000"
    assert files == [
        f"{first}/{first}_1.tif",
        f"{first}/{first}_1_mask.tif",
        *(f"{second}/{second}_{n}{part}.tif" for n in (1, 2) for part in ("", "_mask")),
        "data.csv",
    ]
    assert (root / "data.csv").read_text().splitlines() == ["Patient,name", "OURS_07_0001,adam", "OURS_AB_0002,zoe"]


def test_pages_are_named_for_all_rows_or_one_by_one(sound, tmp_path):
    planes = [np.pad(np.full((30, 30), 50 * page, np.uint8), 17) for page in (1, 2, 3)]
    masks = [np.roll(np.pad(np.full((6, 6), 255, np.uint8), 29), 5 * page) for page in (1, 2, 3)]
    names = {}
    for column, stack in (("flair", planes), ("mask", masks)):
        names[column] = [tmp_path / f"{column}{copy}.tif" for copy in range(3)]
        for copy, path in enumerate(names[column]):
            levels = np.stack(stack)
            levels[:, 0, 0] = copy if column == "flair" else 0  # nobody has the head of another
            tifffile.imwrite(path, levels, photometric="minisblack")
    pairs = sound.assign(**names)
    for name, page, expected in (
        ("all", 2, [2, 2, 2]),
        ("each", [0, 2, 1], [0, 2, 1]),
        ("numbers", pd.Series([1, 0, 2]), [1, 0, 2]),
        ("of one file", [1, 0, 2], [1, 0, 2]),
    ):
        if name == "of one file":
            pairs = pairs.assign(flair=names["flair"][0], mask=names["mask"][0])
        table = index_cohort(convert_pairs(pairs, tmp_path / name, page=page), progress=False)
        brightest = [read_image(path)[..., 1].max() // 50 - 1 for path in table["image_path"]]
        assert brightest == expected


def test_many_levels_are_named_by_the_first_six(sound, tmp_path):
    masks = [picture(tmp_path / f"{n}.png", np.where(np.eye(64) > 0, n, 0).astype(np.uint8)) for n in range(1, 9)]
    grey = [picture(tmp_path / f"grey{n}.png", read_picture(sound["flair"][0])) for n in range(1, 9)]
    pairs = pd.DataFrame({"patient": "anna", "flair": grey, "mask": masks})
    named = "; ".join(f"{n} in {masks[n - 1]} (row {n - 1})" for n in range(1, 7))
    assert problems(pairs, tmp_path / "out") == [
        f"Masks hold different levels beside 0: {named}. Say which are tumour, as in labels=[1, 2, 3, 4, 5, 6, 7, 8]."
    ]
    assert problems(pairs, tmp_path / "out", labels=9) == [
        "No mask holds a level of labels=[9]. The masks hold 0, 1, 2, 3, 4, 5."
    ]


@pytest.mark.parametrize("column", ["pre", "flair"])
def test_a_volume_that_is_no_picture_is_named_by_its_first_slice(sound, tmp_path, column):
    flat = [picture(tmp_path / f"flat{n}.png", np.full((64, 64), 7, np.uint8)) for n in range(2)]
    pictures = [*flat, sound["flair"][2]]
    assert problems(sound.assign(**{column: pictures}), tmp_path / "out") == [
        f"{flat[0]} (row 0, column {column}) and all slices of its stack hold 7 everywhere: there is no picture."
    ]
    assert not (tmp_path / "out").exists()


def test_kinds_of_faults_of_one_column_are_told_apart(sound, tmp_path):
    head = picture(tmp_path / "head.png", np.full((64, 64), 255, np.uint8))
    small = picture(tmp_path / "small.png", np.eye(8, 9, dtype=np.uint8))
    said = problems(sound.assign(mask=[small, sound["mask"][1], head]), tmp_path / "out")
    assert [sentence.partition(" (row ")[0] for sentence in said] == [str(small), str(head)]


def test_where_tumour_is_may_be_inverted(sound, tmp_path):
    inverted = np.full((64, 64), 255, np.uint8)
    inverted[20:26, 30:36] = 0
    pairs = sound.assign(mask=[picture(tmp_path / f"inverted{number}.png", inverted) for number in range(3)])
    table = index_cohort(convert_pairs(pairs, tmp_path / "out", invert=True), progress=False)
    straight = index_cohort(convert_pairs(sound, tmp_path / "straight"), progress=False)
    assert table["tumour_px"].tolist() == straight["tumour_px"].tolist()


def test_half_a_pixel_of_tumour_is_tumour_and_what_is_written_is_as_in_the_data_set(tmp_path):
    flair = np.full((512, 512), 90, np.uint8)
    flair[:, :64] = 0
    mask = np.zeros((512, 512), np.uint8)
    mask[100:140, 301] = 255  # of each four pixels that become one, two
    row = {"patient": "a", "flair": picture(tmp_path / "f.png", flair), "mask": picture(tmp_path / "m.png", mask)}
    (found,) = index_cohort(convert_pairs(pd.DataFrame([row]), tmp_path / "out"), progress=False).itertuples()
    assert found.tumour_px == 20 and found.patient == "MYSET_XX_0001_00000000"  # the names of the defaults
    written = []
    for path, shape in ((found.image_path, (256, 256, 3)), (found.mask_path, (256, 256))):
        with tifffile.TiffFile(path) as tiff:
            assert len(tiff.pages) == 1 and tiff.pages[0].shape == shape
            written.append((tiff.pages[0].dtype, tiff.pages[0].photometric.name, set(np.unique(tiff.asarray()))))
    assert written == [(np.uint8, "RGB", {0, 90}), (np.uint8, "MINISBLACK", {0, 255})]


def test_a_bar_counts_patients(sound, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(convert, "tqdm", lambda groups, **options: seen.append((len(groups), options)) or groups)
    convert_pairs(sound, tmp_path / "out")
    assert seen == [(2, {"desc": "converting", "unit": "patient", "leave": False})]
