"""Where masks come from, and the experiment as the engine runs it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import untrained_run

from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.evaluation.masks import pack_masks, save_masks
from brainseg.experiments import engine
from brainseg.experiments.reference import masks_of
from brainseg.experiments.shape_genomics import study
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing


def test_the_experiment_measures_a_cohort_that_has_met_no_reference_run(tiny_cohort_once):
    cohort = index_cohort(tiny_cohort_once)
    assert study.plan(cohort, study.Settings()) == []
    tables, record = engine.compute(study, cohort, study.Settings())
    assert tables["features"]["source"].unique().tolist() == ["manual"]
    assert len(tables["features"]) == 6 and not tables["features"]["empty"].any()
    assert (tables["features"]["slices"] == 2).all() and tables["effects"].empty
    assert record["cohort"]["patients"] == 6 and record["runs"] == []


def test_the_grid_takes_away_what_is_finer_than_its_pixels(tiny_cohort_once):
    cohort = index_cohort(tiny_cohort_once)
    fine, coarse = (
        study.through_grid(prepare(tiny_cohort_once, Preprocessing(image_size=size, crop="none"))) for size in (256, 32)
    )
    drawn = study.manual(cohort)
    assert fine.patients == coarse.patients == drawn.patients
    patient = drawn.patients[0]
    np.testing.assert_array_equal(fine.masks(patient), drawn.masks(patient))  # a pixel is a pixel
    lost = np.count_nonzero(coarse.masks(patient) != drawn.masks(patient))
    assert 0 < lost < 0.5 * drawn.masks(patient).sum()


def run_of(test, fingerprint="same"):
    """What `predicted` reads of a run: three patients with two slices each, the named rows on the test side."""
    table = pd.DataFrame({"patient": np.repeat(["a", "b", "c"], 2)})
    split = pd.Series(np.where(np.isin(np.arange(6), test), "test", "train"))
    return SimpleNamespace(prepared=SimpleNamespace(table=table, fingerprint=fingerprint), split=split)


def test_each_slice_is_predicted_by_the_run_that_tests_it(monkeypatch):
    """The fake network of a run marks a block of its own; which run it was can be read from the mask."""
    predict = pytest.importorskip("brainseg.evaluation.predict")
    runs = [run_of([0, 3, 4]), run_of([1, 2])]

    def probabilities(run, rows):
        block = np.zeros((len(rows), 256, 256), np.float32)
        block[:, :10, : 10 if run is runs[0] else 8] = 1
        return block

    monkeypatch.setattr(predict, "predict_probabilities", probabilities)
    source = study.predicted(runs)
    assert source.patients == ["a", "b"]  # a slice of c is on no test side
    assert source.masks("a").sum(axis=(1, 2)).tolist() == [100, 80]
    assert source.masks("b").sum(axis=(1, 2)).tolist() == [80, 100]
    with pytest.raises(ValueError, match="1 slices are on the test side of more than one"):
        study.predicted([run_of([0, 1]), run_of([1, 2])])
    with pytest.raises(ValueError, match="prepared differently"):
        study.predicted([run_of([0]), run_of([1], "other")])


@pytest.fixture
def kept_in(tmp_path, monkeypatch):
    """Results below a folder of the test's own."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    return tmp_path


def test_kept_masks_of_the_reference_runs_are_a_source(tiny_cohort_once, kept_in):
    """Each patient's by the fold that tested the patient; a patient whom no fold tested has none."""
    cohort = index_cohort(tiny_cohort_once)
    assert study.together(cohort, "unet") is None  # nothing is kept
    first, second, third = cohort["patient"].unique()[:3]
    rows = [("honest", "unet", 0, 3, first), ("honest", "unet", 1, 2, second), ("honest", "resunet", 0, 3, third),
            ("article", "unet", 0, 1, third), ("honest", "unet", 1, 1, "somebody else")]  # fmt: skip
    columns = ["protocol", "model", "fold", "networks", "patient"]
    results.write_tables("reference", {"patients": pd.DataFrame(rows, columns=columns)}, {})
    wanted = {}
    for fold, patient in enumerate((first, second)):
        slices = cohort[cohort["patient"] == patient]
        wanted[patient] = np.random.default_rng(fold).random((len(slices), 256, 256)) < 0.1
        save_masks(masks_of("honest", "unet", fold), pack_masks(slices[::-1], wanted[patient][::-1]))
    source = study.together(cohort, "unet")
    assert source.patients == [first, second] and source.trainings == 2
    for patient, masks in wanted.items():
        np.testing.assert_array_equal(source.masks(patient), masks)
    assert study.together(cohort[cohort["patient"] == third], "unet") is None


@pytest.mark.slow
def test_the_sources_of_the_study_differ_in_the_split_alone(tiny_cohort, kept_in):
    """Reference runs of two folds: their test patients are predicted by networks that have met them, too."""
    pytest.importorskip("keras")
    from brainseg.networks.runs import keep
    from brainseg.splits import make_split

    cohort = index_cohort(tiny_cohort)
    runs = [untrained_run(tiny_cohort, kept_in / "untrained", fold) for fold in (0, 1)]
    for fold, run in enumerate(runs):
        keep(run, "patient", fold)
    splits = [run.split for run in runs]

    plan = study.plan(cohort, study.Settings())
    assert [training.labels for training in plan] == [{"source": study.LEAKY, "fold": fold} for fold in (0, 1)]
    for training in plan:
        assert training.recipe == runs[0].recipe and training.preprocessing == runs[0].prepared.preprocessing
        by_slice = make_split(cohort, by="slice", fold=training.labels["fold"])
        assert training.split.tolist() == by_slice.tolist() != splits[training.labels["fold"]].tolist()

    tables, record = engine.compute(study, cohort, study.Settings())
    assert set(tables["features"]["source"]) <= {study.MANUAL, study.LEAKY}  # no masks of the references are kept
    assert len(record["runs"]) == 2 and record["networks"].keys() == {
        "unet-by-patient-fold0-seed0",
        "unet-by-patient-fold1-seed0",
    }
    assert study.of_which_networks(record) == ""
    other = {"unet-by-patient-fold0-seed0": "0123456789abcdef"}
    assert "replaced" in study.of_which_networks(record | {"networks": record["networks"] | other})
    strangers = {"resunet-by-patient-fold0-seed0": "0123456789abcdef"}  # they predicted nothing here
    assert study.of_which_networks(record | {"networks": record["networks"] | strangers}) == ""
