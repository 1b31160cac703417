"""The README's block of results."""

from __future__ import annotations

import pandas as pd
import pytest

from brainseg.publishing.notebooks import StudyError
from brainseg.publishing.readme import BEGIN, END, fill_readme, keep_results


class OnePage:
    """An executed edition, as far as its results are concerned."""

    def __init__(self, folder, **parameters):
        self.folder, self.parameters = folder, parameters
        self.pages = {"08": folder / "08.ipynb", "10": folder / "10.ipynb"}

    def record(self, name):
        cohort = {"patients": 4, "slices": 20, "synthetic": True}
        cost = {"seconds": 90.0 if name == "08" else 30.0, "peak_memory_mb": 2048 if name == "10" else 1024}
        return {"cohort": cohort, "parameters": self.parameters, "versions": {}, "processor": "a machine", **cost}


SETTINGS = dict(fold=0, image_size=96, epochs=2, slices_per_epoch=8, seed=0)


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_one_test_patient_has_no_interval(tmp_path, nothing, monkeypatch):
    monkeypatch.setattr("brainseg.publishing.readme.has_tables", lambda study: False)
    (tmp_path / "README.md").write_text(f"# Study\n{BEGIN}\nformer text\n{END}\nafter\n")
    table = pd.DataFrame(
        {"on": ["test patients", "fresh patients"], "model": ["U-Net", "FCN-32"], "patients": [1, 2],
         "mean": [0.5, 0.25], "low": [nothing, 0.1], "high": [nothing, 0.4],
         "median": [0.5, 0.25], "worst": [0.5, 0.1]}
    )  # fmt: skip
    kept = keep_results(tmp_path, OnePage(tmp_path / "phantom-smoke", split_by="patient", **SETTINGS), "08", table)
    fill_readme(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| test patients | U-Net | 1 | 0.500 | none (one patient) | 0.500 | 0.500 |" in text
    assert "| fresh patients | FCN-32 | 2 | 0.250 | 0.10 to 0.40 | 0.250 | 0.100 |" in text
    assert "2 chapters take 2.0 minutes, added up, the first nine 1.5, with at most 2.0 GB" in text
    assert text.endswith("after\n") and "former text" not in text
    assert "NaN" not in kept.read_text()


def test_the_reference_edition_leads_the_readme(tmp_path, monkeypatch):
    patients = pd.DataFrame(
        {
            "protocol": "honest",
            "model": "unet",
            "fold": [0, 1],
            "networks": 3,
            "patient": ["a", "b"],
            "dice": [0.5, 0.75],
        }
    )
    leaky = patients.assign(protocol="article", dice=1.0)

    def read_table(study, name):
        return pd.DataFrame({"patient": ["a"]}) if study == "trials" else pd.concat([patients, leaky])

    monkeypatch.setattr("brainseg.evaluation.headline.read_table", read_table)
    monkeypatch.setattr("brainseg.experiments.outcome.read_table", read_table)
    monkeypatch.setattr("brainseg.publishing.readme.has_tables", lambda study: True)
    monkeypatch.setattr(
        "brainseg.publishing.readme.read_record", lambda study: {"cohort": {"patients": 88, "slices": 3232}}
    )
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    fill_readme(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "(88 patients, 3232 slices of TCGA-LGG)" in text
    assert "| U-Net | 2 | 3 | 2 | 0.625 | 0.50 to 0.75 | 0.625 | 0.500 |\n\nAll 2 patients had a part" in text
    assert (tmp_path / "book" / "images" / "headline.png").stat().st_size > 10_000


def test_an_edition_that_was_split_by_slice_is_not_kept(tmp_path):
    with pytest.raises(StudyError, match="split by slice.*parts of patients"):
        keep_results(tmp_path, OnePage(tmp_path / "x", split_by="slice", **SETTINGS), "08", pd.DataFrame())
