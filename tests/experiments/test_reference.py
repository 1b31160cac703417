"""The reference edition from its plan to its tables, trained on a tiny cohort."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

keras = pytest.importorskip("keras")
from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.evaluation import predict
from brainseg.experiments import engine, reference
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import reference_runs
from brainseg.splits import make_split

PREPROCESSING = Preprocessing(image_size=32)


def small_recipe(model="unet", **departures):
    return Recipe(model=model, options={"filters": 2, "depth": 2}, epochs=1, slices_per_epoch=8, **departures)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout of its own, and the protocol at a size that trains in seconds."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(reference, "study_recipe", small_recipe)
    monkeypatch.setattr(reference, "Preprocessing", lambda **departures: replace(PREPROCESSING, **departures))
    monkeypatch.setattr(
        reference, "make_split", lambda cohort, by, fold, seed: make_split(cohort, by=by, n_folds=3, fold=fold)
    )
    return tmp_path


def make(data, **settings):
    return engine.run_experiment("reference", data, settings)


@pytest.mark.slow
def test_runs_are_trained_scored_kept_and_then_left_alone(project, tiny_cohort):
    # Fold 0 keeps its weights and is scored from them; fold 1 of another network than U-Net is scored and documented.
    data = str(tiny_cohort)
    make(data, models=["resunet"], folds=[0, 1])
    names = ["resunet-by-patient-fold0", "resunet-by-patient-fold1"]
    assert [(run.name, run.has_weights) for run in reference_runs()] == [(names[0], True), (names[1], False)]
    tables, log = results.read_tables("reference"), results.read_log()
    assert sorted(log["run"]) == names and set(tables["patients"]["run"]) == set(names)
    for run in reference_runs():
        tested = tables["patients"].query("run == @run.name")["patient"]
        assert set(tested) == set(run.sides().query("part == 'test'")["patient"])

    make(data, models=["resunet"], folds=[0, 1])
    assert len(results.read_log()) == 2
    pd.testing.assert_frame_equal(results.read_table("reference", "patients"), tables["patients"])
    again = reference.reproduce(data)
    assert set(again["run"]) == {names[0]} and again["same"].all()


@pytest.mark.slow
def test_the_articles_protocol_is_scored_its_way_too_and_keeps_no_weights(project, tiny_cohort):
    make(str(tiny_cohort), models=["unet"], folds=[0], protocol="article")
    (run,) = reference_runs()
    assert (run.split_by, run.has_weights) == ("slice", False)
    assert (run.preprocessing.contrast, run.preprocessing.crop) == ("clahe", "slice")
    article = results.read_table("reference", "article").set_index(["part", "group"])
    assert (
        article.loc[("test", "tumour"), "slices"] + article.loc[("test", "empty"), "slices"]
        == (article.loc[("test", "all"), "slices"])
    )


@pytest.mark.slow
def test_new_weights_leave_no_record_beside_the_scores_that_they_replace(project, tiny_cohort, monkeypatch):
    data = str(tiny_cohort)
    make(data, models=["unet"], folds=[0])
    monkeypatch.setattr(reference, "study_recipe", lambda model: small_recipe(model, seed=1))
    monkeypatch.setattr(predict, "evaluate", lambda run: pytest.fail("interrupted"))
    with pytest.raises(pytest.fail.Exception):
        make(data, models=["unet"], folds=[0])
    assert not results.has_tables("reference")


@pytest.mark.slow
def test_reproduce_passes_over_patients_whom_no_split_names(project, tiny_cohort, monkeypatch):
    data = str(tiny_cohort)
    make(data, models=["unet"], folds=[0])
    (run,) = reference_runs()
    stranger = run.sides().query("part == 'train'")["patient"].iloc[0]
    sides = run.sides()
    sides[sides["patient"] != stranger].to_csv(run.folder / "split.csv", index=False)
    cohort = index_cohort(tiny_cohort)
    assert set(run.split(cohort)[cohort["patient"] == stranger]) == {"new"}
    looked_at = []
    whole = predict.evaluate

    def evaluate(run, *arguments):
        slices = whole(run, *arguments)
        looked_at.extend(slices["patient"].unique())
        return slices

    monkeypatch.setattr(predict, "evaluate", evaluate)
    again = reference.reproduce(data)
    assert set(looked_at) == set(again["patient"]) and stranger not in looked_at
    assert np.isfinite(again["difference"]).all()
