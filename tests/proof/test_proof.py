"""Short versions of what `make proof` does at length."""

import numpy as np
import pandas as pd
import pytest

from proof import field, fuzz, kills


def test_metrics_are_those_of_the_field():
    pytest.importorskip("monai")
    found = field.compare(600).set_index("metric")
    assert found["pairs"].min() > 500 and (found["largest"] < pd.Series(field.LIMITS)).all()


def test_a_wrong_metric_would_be_seen(monkeypatch):
    pytest.importorskip("monai")
    monkeypatch.setattr(field.metrics, "boundary", lambda mask: mask)
    assert field.compare(100).set_index("metric").loc["NSD 1 px", "largest"] > 0.01


def test_the_pairs_hold_what_is_awkward_and_what_is_likely():
    found = list(field.pairs(300))
    empty = [(truth.any(), prediction.any()) for truth, prediction in found]
    assert {(False, False), (True, False), (False, True), (True, True)} <= set(empty)
    assert all(mask.shape == (field.SIDE, field.SIDE) and mask.dtype == bool for pair in found for mask in pair)
    overlap = [field.ours(*pair)["Dice"] for pair in found[-50:]]
    assert 0.2 < np.nanmean(overlap) < 0.95


def test_sound_files_are_read(tmp_path):
    for name, data in fuzz.originals().items():
        (tmp_path / name).write_bytes(data)
        assert fuzz.outcome(tmp_path / name) == "read", name


def test_damaged_files_are_read_or_refused_in_a_sentence(tmp_path):
    found = fuzz.fuzz(360, tmp_path, seed=1)
    assert sum(found.values()) == 360
    for name in fuzz.originals():
        assert found[name, "refused"] > 0


@pytest.mark.slow
def test_work_that_is_killed_comes_to_the_same_end(tiny_cohort_once, tmp_path):
    found = kills.kill("preparing arrays", 3, tiny_cohort_once, tmp_path)
    assert found.kills == 3 and found.same == found.finished > 0


def test_another_end_would_be_seen(tiny_cohort_once, tmp_path, monkeypatch):
    """Work that goes on where it was cut off, but forgets what it had: the last line says where it began."""
    forgetful = """
import os, time
from pathlib import Path
place = Path(os.environ["BRAINSEG_BUILD"]) / "steps"
begin = int(place.read_text() or 0) if place.is_file() else 0
for step in range(begin, 20):
    place.write_text(str(step))
    time.sleep(0.05)
print(begin)
"""
    monkeypatch.setitem(kills.KINDS, "forgetting", forgetful)
    found = kills.kill("forgetting", 1, tiny_cohort_once, tmp_path)
    assert (found.kills, found.same) == (1, 0) and found.finished > 0
