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
    "together": pd.DataFrame({"kind": ["training", "the book"], "calls": [2, 2], "finished": [2, 1], "same": [2, 0]}),
    "again": pd.DataFrame(
        {"threads": [2, 1], "figure": ["loss"] * 2, "largest": [0, 0.02], "limit": [0, 0.05], "same": [True, False]}
    ),
    "mutants": pd.DataFrame(
        {
            "module": ["metrics", "images/crop"],
            "mutants": [1500, 500],
            "killed": [1480, 400],
            "timeouts": [10, 0],
            "survived": [10, 100],
            "equivalent": [9, 0],
        }
    ),
    "survivors": pd.DataFrame(
        {
            "module": ["metrics"] * 2,
            "function": ["dice", "iou"],
            "before": ["a | b", "x"],
            "after": ["a & b", "y"],
            "reason": ["it is the same", None],
        }
    ),
    "coverage": pd.DataFrame(
        {
            "room": ["metrics", "the package"],
            "lines": [10, 2000],
            "lines_reached": [10, 1990],
            "branches": [0, 1000],
            "branches_reached": [0, 951],
        }
    ),
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
        "Of 4 calls, 3 came to their end, and 2 made",
        "| the book | 2 | 1 | 0 |",
        "again with 2 threads, weights and tables were the same, byte by byte.",
        "Each stayed within what is allowed.",
        "| 1 | loss | 2e-02 | 0.05 |",
        "2,000 faults were put into 2 modules. The tests noticed 94.5% of them: 1,880 by a failure, 10 because",
        "| `images/crop` | 500 | 400 | 100 | 0 | 80.0% |",
        "The 2 faults that no test noticed",
        "| `metrics`: `dice` | `` a \\| b `` | `` a & b `` | it is the same |",
        "| `metrics`: `iou` | `` x `` | `` y `` | a test is missing |",
        "The tests reach 95.1% of 1,000 branches and 99.5% of 2,000 statements.",
        "| metrics | 10 | 100.0% | 0 |  |",
    ):
        assert said in text


def test_without_a_table_the_page_says_so(page):
    keep({"tests": TABLES["tests"]})
    fill_proof(page.parent)
    text = page.read_text(encoding="utf-8")
    assert "<!--" not in text and text.count(UNMEASURED) == len(PARTS) - 2


def test_what_fell_short_is_said(page):
    again = TABLES["again"].assign(largest=[1e-9, 0.06], same=False)
    keep({"again": again})
    fill_proof(page.parent)
    text = page.read_text(encoding="utf-8")
    assert "weights and tables were **not the same**" in text and "Each stayed" not in text
    assert (
        "**1 of 1 figures lay beyond what was allowed: loss (threads: 1).** The limits stay as they were set." in text
    )
