"""Other seeds: the same recipe, slices and sides beside the reference edition; and what they show."""

import shutil

import numpy as np
import pandas as pd
import pytest

keras = pytest.importorskip("keras")
from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.evaluation import predict, scores
from brainseg.experiments import engine, reference, seeds
from brainseg.experiments.seeds import Settings
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks import runs
from brainseg.networks.recipe import Recipe
from brainseg.splits import make_split
from brainseg.statistics import Answer, Reason

RECIPE = Recipe(options={"filters": 2, "depth": 2}, epochs=1, slices_per_epoch=8)


@pytest.fixture
def cohort(tiny_cohort):
    return index_cohort(tiny_cohort)


@pytest.fixture
def reference_run(cohort, tmp_path, monkeypatch):
    """A run of fold 1 that is kept without its weights, as the later folds of most networks are, and scored."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    prepared = prepare(cohort.attrs["root"], Preprocessing(image_size=32))
    run = runs.train_or_load(RECIPE, prepared, make_split(prepared.table, n_folds=3, fold=1))
    kept = runs.keep(run, "patient", 1, weights=False)
    run.record = run.record.as_reference("patient", 1)
    reference.score_reference(cohort, {kept.name: run})
    return run


@pytest.mark.slow
def test_only_the_seed_differs(reference_run, cohort):
    (again,) = seeds.plan(cohort, Settings(seeds=(5,), models=("unet",), folds=(1,)))
    assert vars(again.recipe) == {**vars(RECIPE), "seed": 5}
    assert again.split.tolist() == reference_run.split.tolist()
    assert again.preprocessing == reference_run.prepared.preprocessing
    assert again.labels == {"model": "unet", "fold": 1, "seed": 5}


@pytest.mark.slow
def test_each_patient_stands_beside_the_reference_edition(reference_run, cohort):
    settings = Settings(seeds=(5, 6), models=("unet",), folds=(1,))
    tables, record = engine.compute(seeds, cohort, settings)
    patients = tables["patients"]
    assert patients.groupby("seed").size().to_dict() == {5: 2, 6: 2}
    (_, (_, again)) = engine.load_plan(seeds.plan(cohort, settings), cohort)
    expected = scores.score_patients(predict.evaluate(again)).reset_index()
    sixth = patients[patients["seed"] == 6]
    np.testing.assert_array_equal(sixth[["tp", "fp", "fn"]], expected[["tp", "fp", "fn"]])
    before = scores.score_patients(predict.evaluate(reference_run))["dice"]
    np.testing.assert_allclose(sixth["reference_dice"], before.reindex(sixth["patient"]), atol=1e-5)
    assert (patients["reference_seed"] == RECIPE.seed).all()
    assert [(run["model"], run["fold"], run["seed"]) for run in record["runs"]] == [("unet", 1, 5), ("unet", 1, 6)]


@pytest.mark.slow
def test_what_cannot_be_trained_is_refused_in_the_plan(reference_run, cohort, tiny_cohort):
    for message, settings in {
        "nothing to do": Settings(seeds=()),
        "has no 'resunet' of fold 1": Settings(models=("unet", "resunet"), folds=(1,)),
        "has no 'unet' of fold 4": Settings(models=("unet",), folds=(1, 4)),
        "seed 0 is that of unet-by-patient-fold1 itself": Settings(seeds=(1, 0), models=("unet",), folds=(1,)),
        "seed must be a whole number of at least 0, not -1": Settings(seeds=(1, -1), models=("unet",), folds=(1,)),
    }.items():
        with pytest.raises(ValueError, match=message):
            seeds.plan(cohort, settings)
    gone = cohort["patient"].iloc[0]
    shutil.rmtree(tiny_cohort / gone)
    with pytest.raises(ValueError, match=f"lacks 1 patients of unet-by-patient-fold1, {gone} among them"):
        seeds.plan(index_cohort(tiny_cohort), Settings(models=("unet",), folds=(1,)))


def table_of(shifts, patients=30):
    """Scores of U-Net and ResUNet with seed 0 (the reference) and others; `shifts` maps (model, seed) to a shift."""
    rng = np.random.default_rng(0)
    common = rng.uniform(0.6, 0.8, patients)
    dice = {key: common + shift + rng.normal(0, 0.002, patients) for key, shift in shifts.items()}
    rows = [
        {
            "model": model, "seed": seed, "patient": f"P{n:02d}", "dice": dice[model, seed][n],
            "reference_seed": 0, "reference_dice": dice[model, 0][n],
        }
        for model, seed in shifts if seed
        for n in range(patients)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_seed_beside_another_and_networks_that_change_places():
    found = seeds.findings(table_of({("unet", 0): 0, ("unet", 1): 0.03, ("resunet", 0): 0.01, ("resunet", 1): 0.0}))
    first, second = found.luck
    assert first.name == "U-Net" and first.difference.estimate == pytest.approx(0.03, abs=2e-3)
    assert second.difference.estimate == pytest.approx(-0.01, abs=2e-3)
    assert found.ahead == {0: "ResUNet", 1: "U-Net"}
    assert "ResUNet with seed 0, U-Net with seed 1" in found.sentences() and "By chance" not in found.sentences()
    assert found.ranking.pairs[0].verdict.reason is Reason.TOO_FEW_TRAININGS


def test_seeds_that_agree_are_held_against_chance():
    shifts = {(model, seed): 0.05 * (model == "resunet") for model in ("unet", "resunet") for seed in (0, 1, 2)}
    found = seeds.findings(table_of(shifts))
    assert set(found.ahead.values()) == {"ResUNet"}
    assert "3 seeds agree once in 4 times" in found.sentences()
    assert found.ranking.pairs[0].verdict.answer is Answer.DIFFERENCE  # three trainings are enough


def test_scores_of_networks_that_were_replaced_are_noticed():
    table = table_of({("unet", 0): 0, ("unet", 1): 0})
    now = table[["model", "patient"]].assign(dice=table["reference_dice"])
    assert seeds.still_beside_the_reference(table, now)
    assert not seeds.still_beside_the_reference(table, now.assign(dice=now["dice"] + 0.01))
