"""The reference edition from its plan to its tables, trained on a tiny cohort."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

keras = pytest.importorskip("keras")
from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.evaluation import predict
from brainseg.evaluation.scores import score_patients
from brainseg.experiments import engine, reference
from brainseg.experiments.reproduce import reproduce
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import reference_runs
from brainseg.networks.runs import load_reference
from brainseg.paths import project_root

PREPROCESSING = Preprocessing(image_size=32)


def small_recipe(model="unet", **departures):
    return Recipe(model=model, options={"filters": 2, "depth": 1}, epochs=1, slices_per_epoch=8, **departures)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A build folder of all tests here: what one has trained, the next one finds."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture
def project(build, tmp_path, monkeypatch, tiny_cohort):
    """A checkout of its own, three folds, and the protocol at a size that trains in seconds, without a phantom."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(build))
    monkeypatch.setattr(reference, "study_recipe", small_recipe)
    monkeypatch.setattr(reference, "Preprocessing", lambda **departures: replace(PREPROCESSING, **departures))
    monkeypatch.setattr(reference, "after_the_phantom", lambda training, cohort: training)
    names = sorted(index_cohort(tiny_cohort)["patient"].unique())
    folder = tmp_path / "results" / "reference"
    folder.mkdir(parents=True)
    pd.DataFrame({"patient": names, "fold": np.arange(len(names)) % 3}).to_csv(folder / "folds.csv", index=False)
    return tmp_path


def make(data, **settings):
    return engine.run_experiment("reference", data, settings)


@pytest.mark.slow
def test_runs_are_trained_scored_kept_and_then_left_alone(project, tiny_cohort):
    data = str(tiny_cohort)
    make(data, models=["resunet"], folds=[0], seeds=[0, 1])
    names = ["resunet-by-patient-fold0-seed0", "resunet-by-patient-fold0-seed1"]
    assert [(run.name, run.has_weights) for run in reference_runs()] == [(names[0], True), (names[1], False)]
    tables, log = results.read_tables("reference"), results.read_log()
    assert sorted(log["run"]) == names and set(tables["seeds"]["run"]) == set(names)
    folds = tables["folds"].set_index("patient")["fold"]
    for table in (tables["patients"], tables["seeds"].query("seed == 1")):
        assert set(table["patient"]) == set(folds.index[folds == 0])
    assert set(tables["patients"]["run"]) == {"resunet-by-patient-fold0"}
    assert set(tables["patients"]["networks"]) == set(tables["slices"]["networks"]) == {2}

    make(data, models=["resunet"], folds=[0], seeds=[0, 1])
    assert len(results.read_log()) == 2
    pd.testing.assert_frame_equal(results.read_table("reference", "patients"), tables["patients"])
    again = reproduce(data)
    assert again["same"].all() and np.allclose(again["difference"].dropna(), 0, atol=1e-5)
    by = again.groupby("run")["by"].apply(set).to_dict()
    assert by == {names[0]: {"weights", "masks"}, names[1]: {"masks"}, "resunet-by-patient-fold0": {"masks"}}

    run = load_reference(reference_runs()[0], tiny_cohort)
    expected = score_patients(predict.evaluate(run))
    own = tables["seeds"].query("seed == 0").set_index("patient")
    pd.testing.assert_frame_equal(own[["tp", "fp", "fn"]], expected[["tp", "fp", "fn"]], check_names=False)
    assert log.set_index("run").loc[names[0], "mean_dice"] == pytest.approx(expected["dice"].mean(), abs=1e-5)

    folder = results.results_folder("reference")
    for name in ("seeds", "patients"):
        wrong = tables[name].assign(dice=(tables[name]["dice"].fillna(0) + 0.1) % 1)
        wrong.to_csv(folder / f"{name}.csv", index=False)
    assert not reproduce(data)["same"].any()


@pytest.mark.slow
def test_a_seed_more_joins_the_one_whose_weights_are_kept(project, tiny_cohort, monkeypatch):
    data = str(tiny_cohort)
    make(data, models=["unet"], folds=[0], seeds=[0])
    first = results.read_table("reference", "patients")
    assert set(first["networks"]) == {1}
    monkeypatch.setenv("BRAINSEG_BUILD", str(project / "of-another-day"))  # the runs are gone
    cohort = index_cohort(tiny_cohort)
    (training,) = reference.plan(cohort, reference.Settings(models=("unet",), folds=(0,), seeds=(0, 1)))
    assert training.recipe.seed == 1
    make(data, models=["unet"], folds=[0], seeds=[0, 1])
    assert set(results.read_table("reference", "patients")["networks"]) == {2}
    seeds = results.read_table("reference", "seeds")
    pd.testing.assert_series_equal(seeds.query("seed == 0")["dice"].reset_index(drop=True), first["dice"], rtol=1e-5)


@pytest.mark.slow
def test_an_interrupted_scoring_is_done_again(project, tiny_cohort, monkeypatch):
    data = str(tiny_cohort)
    with monkeypatch.context() as patch:
        patch.setattr(reference, "save_masks", lambda *_: pytest.fail("interrupted"))
        with pytest.raises(pytest.fail.Exception):
            make(data, models=["unet"], folds=[0], seeds=[0])
    assert reference_runs() and not results.has_tables("reference")
    make(data, models=["unet"], folds=[0], seeds=[0])
    assert set(results.read_table("reference", "patients")["run"]) == {"unet-by-patient-fold0"}


@pytest.mark.slow
def test_the_articles_protocol_is_scored_its_way_too_and_keeps_no_weights(project, tiny_cohort):
    make(str(tiny_cohort), models=["unet"], folds=[0], seeds=[0], protocol="article")
    (run,) = reference_runs()
    assert (run.split_by, run.has_weights) == ("slice", False)
    assert (run.preprocessing.contrast, run.preprocessing.crop) == ("clahe", "slice")
    article = results.read_table("reference", "article").set_index(["part", "group"])
    assert (
        article.loc[("test", "tumour"), "slices"] + article.loc[("test", "empty"), "slices"]
        == (article.loc[("test", "all"), "slices"])
    )
    # Only a part of a patient's slices is tested, and only their masks are kept.
    make(str(tiny_cohort), models=["unet"], folds=[0], seeds=[0])
    again = reproduce(str(tiny_cohort))
    assert again["same"].all() and {"unet-by-slice-fold0", "unet-by-slice-fold0-seed0"} < set(again["run"])


@pytest.mark.slow
def test_reproduce_passes_over_patients_whom_no_split_names(project, tiny_cohort, monkeypatch):
    data = str(tiny_cohort)
    make(data, models=["unet"], folds=[0], seeds=[0])
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
    again = reproduce(data)
    assert set(looked_at) == set(again["patient"]) and stranger not in looked_at
    assert np.isfinite(again["difference"]).all()


def test_the_code_follows_the_frozen_protocol():
    frozen = json.loads((project_root() / "results" / "protocol.json").read_text())
    assert json.loads(json.dumps(reference.protocol())) == frozen
