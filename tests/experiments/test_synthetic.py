"""The development set of the phantom: drawn once, balanced, and the one that is kept."""

import pytest

from brainseg.experiments import synthetic
from brainseg.results import read_table


@pytest.fixture(scope="module")
def real_patients():
    """The real cohort's table as far as the kept scores tell it: one row a patient instead of one a slice."""
    patients = read_table("reference", "patients").query("protocol == 'honest' and model == 'unet'")
    patients = patients[["patient", "institution", "slices", "tumour_px"]].sort_values("patient", ignore_index=True)
    return patients.assign(case=patients["patient"].str.rpartition("_")[0], slice=1)


def test_the_kept_development_set_is_the_drawn_one(real_patients):
    kept = synthetic.development_patients()
    drawn = synthetic.draw_development(real_patients)
    assert kept["patient"].tolist() == drawn["patient"].tolist()
    merged = kept.merge(real_patients, on="patient", suffixes=("", "_reference"))
    assert len(merged) == synthetic.DEVELOPMENT_PATIENTS
    assert merged["tumour_px"].tolist() == merged["tumour_px_reference"].tolist()
    assert merged["slices"].tolist() == merged["slices_reference"].tolist()


def test_the_development_set_stands_for_the_cohort(real_patients):
    kept = synthetic.development_patients()
    share = len(kept) / len(real_patients)
    expected = real_patients["institution"].value_counts() * share
    assert (kept["institution"].value_counts().reindex(expected.index, fill_value=0) - expected).abs().max() < 1
    quartiles = real_patients["tumour_px"].quantile([0.25, 0.5, 0.75])
    counts = [(kept["tumour_px"] < edge).mean() for edge in quartiles]
    assert counts == pytest.approx([0.25, 0.5, 0.75], abs=0.1)


def test_another_draw_is_refused(real_patients, tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "results_folder", lambda name: tmp_path / name)
    synthetic.keep_development(real_patients)
    assert synthetic.development_patients()["patient"].is_unique
    with pytest.raises(FileExistsError, match="drawn once"):
        synthetic.keep_development(real_patients)
