"""Short versions of what `make proof` does at length."""

import numpy as np
import pandas as pd
import pytest

from proof import field, fuzz


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
