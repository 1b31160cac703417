"""The headline: only scores of the same patients stand side by side."""

import pandas as pd
import pytest

from brainseg.evaluation import headline


def test_only_scores_of_the_same_patients_stand_side_by_side(monkeypatch):
    def scored(model, patients, dice, **other):
        return pd.DataFrame({"model": model, "patient": list(patients), "dice": dice, "fold": 0} | other)

    table = pd.concat(
        [
            scored("unet", "abcd", [0.2, 0.4, 0.6, 0.8]),
            scored("resunet", "ab", [0.5, 0.6]),
            scored("resunet", "cd", [1.0, 1.0], protocol="article"),
        ]
    )
    table = table.fillna({"protocol": "honest"})
    monkeypatch.setattr(headline, "read_table", lambda study, name: table)
    lines = headline.headline()
    assert [(line.model, list(line.patients.index)) for line in lines] == [
        ("unet", ["a", "b", "c", "d"]),
        ("resunet", ["a", "b"]),
        ("unet", ["a", "b"]),
    ]
    assert [line.summary["mean"] for line in lines] == pytest.approx([0.5, 0.55, 0.3])
