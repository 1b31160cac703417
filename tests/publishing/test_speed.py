"""The page on speed holds what the kept tables hold, and says where there is none."""

import re
from pathlib import Path

import pandas as pd
import pytest

from brainseg import results
from brainseg.experiments import speed
from brainseg.networks.record import reference_runs
from brainseg.publishing.speed import PARTS, UNMEASURED, fill_speed

PAGE = Path(__file__).resolve().parents[2] / "book" / "speed.md"


def turns(rows: list[dict], number: int = 3) -> pd.DataFrame:
    return pd.DataFrame([{"turn": turn, **row} for turn in range(number) for row in rows])


def tables() -> dict[str, pd.DataFrame]:
    machine = {"matrix_float32": 300.0, "matrix_bfloat16": 600.0}
    names = ("unet", "resunet", "fcn32", speed.LOOP, "segmentation_models_pytorch")
    networks = [
        {"network": name, "training": 80.0, "prediction": 160.0, **machine, "forward_gflop": 1.5 if place < 3 else None}
        for place, name in enumerate(names)
    ]
    steps = ("reading the files", "checking the cohort", "preparing, as the study does")
    steps += ("preparing, as the article does", "the article's steps as a plain loop")
    piped = {"training": 10.0, "waiting for the next batch": 0.25, "making batches alone": 1.0}
    piped |= {"predicting both ways": 4.0, "scoring with all metrics": 2.0}
    growth = [
        {
            "step": step,
            "patients": patients,
            "slices": 25 * patients,
            "largest": 30 + patients,
            "seconds": patients / 4,
            "memory_mib": 512.0,
        }
        for step in ("check", "prepare", "train", "evaluate")
        for patients in (4, 40)
    ]
    gpu = {"network": "unet", "processes": 1, "mps": False, "seconds": 8.0, "extrapolated": False, "work": speed.FIXED}
    gpu |= {"steps_a_second": 100.0, "slices_a_second": 1600.0}
    several = {**gpu, "processes": 8, "mps": True, "steps_a_second": 450.0, "slices_a_second": 7200.0}
    batches = {**several, "work": speed.AUGMENTED, "steps_a_second": 250.0, "slices_a_second": 4000.0}
    training = {"experiment": "reference", "model": "unet", "image_size": 128, "filters": 16, "slices": 288_000}
    return {
        "networks": turns(networks),
        "settings": turns([{"setting": n, "training": 8.0, "prediction": 16.0} for n in (speed.STUDY, "batches of 8")]),
        "operations": pd.DataFrame(
            [{"network": "unet", "operation": kind, "ms": ms} for kind, ms in (("convolution", 3), ("pooling", 1))]
        ),
        "files": turns([{"step": step, "slices": 100, "seconds": 1.0 + place} for place, step in enumerate(steps)]),
        "pipeline": turns([{"step": step, "slices": 100, "seconds": seconds} for step, seconds in piped.items()]),
        "growth": turns(growth),
        "notebooks": turns([{"seconds": 1.25}]),
        "chapters": pd.DataFrame(
            [{"chapter": "01_explore", "seconds": 3.5, "cells": 1.5, "memory_mib": 250, "processor": "a machine"}]
        ),
        "gpu": pd.DataFrame([gpu, several, {**batches, "extrapolated": True}]),
        "trainings": pd.DataFrame([{**training, "forward_gflop": 1.5}, {**training, "forward_gflop": 1.5}]),
    }


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A staged page in a checkout of its own, and its kept tables."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "speed.md").write_text(PAGE.read_text())
    return tmp_path / "src"


def kept(name: str) -> dict:
    record = {"date": "2026-01-02", "commit": "abc", "processor": "a machine", "turns": 3, "versions": {"keras": "3"}}
    gpu = {**record, "processor": "a machine with a GPU", "how": "By the benchmark."}
    return {"parts": {name: {**record, "cohort": {"patients": 88, "slices": 3232}}, "gpu": gpu}}


def test_every_mark_of_the_page_has_its_part():
    assert set(re.findall(r"<!-- speed: (\w+) -->", PAGE.read_text())) == set(PARTS)


def test_the_page_shows_the_tables(book):
    results.write_tables("speed", tables(), kept("files"))
    fill_speed(book)
    text = (book / "speed.md").read_text()
    assert "<!--" not in text and UNMEASURED not in text
    assert "on 88 patients with 3232 slices" in text and "| `files` | 2026\u201101\u201102 | `abc` | 3 |" in text
    assert "beside reading its files in one process | ≤\N{NO-BREAK SPACE}2 | 3.00 (3.00 to 3.00) | no |" in text
    assert "| U-Net | 80 (80 to 80) | 160 (160 to 160) |" in text
    assert "| U-Net | 0.60 (0.60 to 0.60) | 0.40 (0.40 to 0.40) |" in text and "is 0.80 to 1.20 times as much" in text
    assert text.count(f"| {speed.LOOP} | 80 (80 to 80) | 160 (160 to 160) |") == 1  # its arithmetic is not counted
    assert "waits for them during 2.5% (2.5% to 2.5%) of its time" in text
    assert "| reference | 2 | 576,000 | 2.00 |" in text
    assert "| 2 machines like this | ≈\N{NO-BREAK SPACE}1.0 |" in text
    assert "| ≥\N{NO-BREAK SPACE}1.6 |" in text
    assert "on a machine with a GPU, with keras 3" in text and "\n\nBy the benchmark.\n\n" in text
    assert f"| U-Net, {speed.FIXED} | 8, with MPS | 450.0 | 7,200 |" in text
    assert f"| U-Net, {speed.AUGMENTED} | 8, with MPS | ≈\N{NO-BREAK SPACE}250.0 | ≈\N{NO-BREAK SPACE}4,000 |" in text
    assert "8 of them with MPS do 4.5 times the steps of one" in text
    assert "2 trainings of the reference edition, 18,000 steps each, would take ≈\N{NO-BREAK SPACE}2.4 min" in text
    heads = re.findall(r"(?m)^\| ([^\n]*) \|\n\| ---", text)
    assert len(heads) >= 9 and all(len(head.split(" | ")) <= 4 for head in heads)  # they fit a phone
    assert "of 34 slices in the smallest cohort, of 70 in the largest" in text
    assert "beside its cells, 2 s of 4 s in all" in text
    drawn = re.findall(r"```\{figure\} images/(\S+)", text)
    assert len(drawn) == 4 and all((book / "images" / name).is_file() for name in drawn)
    assert text.count(":alt: ") == 4


def test_without_a_table_the_page_says_so(book):
    some = {name: table for name, table in tables().items() if name in ("networks", "files")}
    results.write_tables("speed", some, kept("networks"))
    fill_speed(book)
    text = (book / "speed.md").read_text()
    assert "<!--" not in text and text.count(UNMEASURED) == len(PARTS) - 2


def test_the_kept_list_of_trainings_is_that_of_the_kept_tables():
    """Where two experiments share no training; make bench PARTS=trainings writes the list anew, and trains nothing."""
    listed = results.read_table("speed", "trainings")["experiment"].value_counts()
    for name in ("leakage", "claims", "shape"):
        assert listed[name] == len(results.read_record(name)["runs"]), name
    assert listed["reference"] == len(reference_runs(split_by="patient"))
