"""A folder of images and masks becomes a cohort, by the very code of the book's page, and its faults are named."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from brainseg.cohort import CohortError, index_cohort, read_image, read_mask, read_patient_table
from brainseg.cohort.convert import convert_pairs
from brainseg.cohort.pixels import write_png
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
    rows = [("a", grey, tmp_path / "none.png"), ("b", coloured, grey), ("c", grey, small)]
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
