"""The page on trust, filled from tables made by hand, and without them."""

import re
import shutil

import numpy as np
import pandas as pd

from brainseg import results
from brainseg.evaluation.trust import FEATURES
from brainseg.paths import project_root
from brainseg.publishing.quality import PARTS, UNMEASURED, fill_quality

PAGE = project_root() / "book" / "quality.md"


def test_every_part_of_the_page_is_written_or_said_to_be_missing(tmp_path, monkeypatch):
    assert set(re.findall(r"<!-- quality: (\w+) -->", PAGE.read_text())) == set(PARTS)
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    shutil.copy(PAGE, tmp_path)
    fill_quality(tmp_path)
    assert (tmp_path / "quality.md").read_text().count(UNMEASURED) == len(PARTS)

    agreed = np.linspace(0.2, 1, 20)
    patients = pd.DataFrame(
        {"patient": [f"p{n}" for n in range(20)], "dice": agreed, "agreement": agreed, "strangeness": range(20)}
        | {"unseen": 0.02, "strangest": "head_share", **dict.fromkeys(FEATURES, 0.5)}
    )
    bins = pd.DataFrame({"bin": [0.1, 0.5], "pixels": 10, "probability": [0.15, 0.55], "tumour": [0.1, 0.6]})
    shifts = [np.array([(n - 9.5) / 500, 0]) for n in range(20)]
    calibration = pd.concat(bins.assign(patient=f"p{n}", tumour=bins["tumour"] + shifts[n]) for n in range(20))
    results.write_tables("quality", {"patients": patients, "calibration": calibration}, {})
    shutil.copy(PAGE, tmp_path)
    fill_quality(tmp_path)
    text = (tmp_path / "quality.md").read_text()
    assert "<!--" not in text and UNMEASURED not in text and "nan" not in text
    assert "0.15 means 0.10, 0.55 means 0.60" in text
    assert "| p19 | size of the head in the frame | 19.0 | 1.00 |" in text
    drawn = re.findall(r"```\{figure\} images/(\S+)", text)
    assert len(drawn) == 2 and all((tmp_path / "images" / name).is_file() for name in drawn)
