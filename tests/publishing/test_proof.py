"""The page "What was tried" holds what the kept tables hold, and says where there is none."""

import re
from pathlib import Path

import pandas as pd
import pytest

from brainseg import results
from brainseg.publishing.proof import PARTS, UNMEASURED, fill_proof

PAGE = Path(__file__).resolve().parents[2] / "book" / "proof.md"

TABLES = {
    "tests": pd.DataFrame({"what": ["safety", "disks"], "tests": [1000, 1], "failed": [0, 1], "skipped": [0, 0]}),
    "field": pd.DataFrame({"metric": ["Dice", "HD95"], "pairs": [4999, 4999], "largest": [0, 3e-8]}),
    "empties": pd.DataFrame(
        {"truth": ["empty"], "prediction": ["tumour"], "metric": ["HD95"], "ours": [67.5], "monai": [float("nan")]}
    ),
    "fuzz": pd.DataFrame(
        {"original": ["a.png", "a.png", "b.tif"], "outcome": ["read", "refused", "refused"], "files": [1500, 500, 7]}
    ),
    "kills": pd.DataFrame({"kind": ["training", "the book"], "kills": [9, 3], "finished": [3, 1], "same": [3, 0]}),
}


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The staged page, in a checkout of its own."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    (tmp_path / "src").mkdir()
    staged = tmp_path / "src" / "proof.md"
    staged.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    return staged


def keep(tables):
    part = {
        "date": "2026-01-02",
        "commit": "abc",
        "processor": "a machine",
        "versions": {"monai": "9.9"},
        "minutes": 61.4,
    }
    results.write_tables("proof", tables, {"parts": {"kills": part, "field": part}})


def test_every_mark_of_the_page_has_its_part():
    assert set(re.findall(r"<!-- proof: (\w+) -->", PAGE.read_text(encoding="utf-8"))) == set(PARTS)


def test_the_page_shows_the_tables(page):
    keep(TABLES)
    fill_proof(page.parent)
    text = page.read_text(encoding="utf-8")
    assert "<!--" not in text and UNMEASURED not in text
    for said in (
        "| `kills` | 2026\u201101\u201102 | `abc` | 61 | a machine |",
        "1,001 tests try to break the study; 1 failed",
        "largest difference from MONAI 9.9",
        "| Dice | 4,999 | 0 |",
        "| HD95 | 4,999 | 3e-08 |",
        "| empty | tumour | HD95 | 67.5 | undefined |",
        "2,007 damaged files were read. 507 were refused in a sentence, and 1,500 gave pixels",
        "| `b.tif` | 0 | 7 |",
        "Work was killed 12 times. Of the 4 calls that were left alone afterwards, 3 gave",
        "| the book | 3 | 1 | 0 |",
    ):
        assert said in text


def test_without_a_table_the_page_says_so(page):
    keep({"tests": TABLES["tests"]})
    fill_proof(page.parent)
    text = page.read_text(encoding="utf-8")
    assert "<!--" not in text and text.count(UNMEASURED) == len(PARTS) - 2
