"""Other seeds: the same recipe, slices and sides, and the scores beside those of the reference edition."""

import json
import shutil

import numpy as np
import pytest

keras = pytest.importorskip("keras")
from brainseg.evaluation import predict, scores  # noqa: E402
from brainseg.experiments import (
    reference,
    seeds,
)
from brainseg.images.prepared import prepare  # noqa: E402
from brainseg.images.preprocess import Preprocessing  # noqa: E402
from brainseg.networks import record, runs  # noqa: E402
from brainseg.networks.recipe import Recipe  # noqa: E402
from brainseg.networks.runs import train_or_load  # noqa: E402
from brainseg.splits import make_split  # noqa: E402

RECIPE = Recipe(
    model="unet", options={"filters": 2, "depth": 2}, epochs=1, slices_per_epoch=8, tumour_share=0.5, drop_sequence=0.1
)


@pytest.fixture
def kept_run(tiny_cohort, tmp_path, monkeypatch):
    """A run of fold 1 that is kept without its weights, as the later folds of most networks are, and scored."""
    for module in (tables, kept):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    prepared = prepare(tiny_cohort, Preprocessing(image_size=32))
    run = train_or_load(RECIPE, prepared, make_split(prepared.table, n_folds=3, fold=1))
    folder = runs.keep(run, "patient", 1, weights=False)
    run.record.update(json.loads((folder / "run.json").read_text()))
    reference.score_reference(str(tiny_cohort), {folder.name: run})
    return run


def test_only_the_seed_differs(kept_run, tiny_cohort):
    (folder,) = record.reference_runs()
    again = seeds.run_again(tiny_cohort, folder, 5)
    assert vars(again.recipe) == {**vars(RECIPE), "seed": 5}
    assert again.split.tolist() == kept_run.split.tolist()
    assert again.prepared.folder == kept_run.prepared.folder
    same = [np.array_equal(a, b) for a, b in zip(again.model.get_weights(), kept_run.model.get_weights(), strict=True)]
    assert not all(same)


def test_each_patient_stands_beside_the_reference_edition(kept_run, tiny_cohort):
    found, record = seeds.compute(tiny_cohort, seeds=[5, 6], models=["unet"], folds=[1])
    patients = found["patients"]
    assert patients.groupby("seed").size().to_dict() == {5: 2, 6: 2}
    again = seeds.run_again(tiny_cohort, record.reference_runs()[0], 6)
    expected = scores.score_patients(predict.evaluate(again, "test")).reset_index()
    of_seed = patients[patients["seed"] == 6]
    np.testing.assert_array_equal(of_seed[["tp", "fp", "fn"]], expected[["tp", "fp", "fn"]])
    before = scores.score_patients(predict.evaluate(kept_run, "test"))["dice"]
    np.testing.assert_allclose(of_seed["reference_dice"], before.reindex(of_seed["patient"]), atol=1e-5)
    assert (patients["reference_seed"] == RECIPE.seed).all()
    assert [(run["model"], run["fold"], run["seed"]) for run in record["runs"]] == [("unet", 1, 5), ("unet", 1, 6)]


def test_what_cannot_be_trained_is_refused_before_anything_is(kept_run, tiny_cohort, monkeypatch):
    monkeypatch.setattr(seeds, "train_or_load", lambda *_: pytest.fail("something was trained"))
    for message, settings in {
        "nothing to do": {"seeds": []},
        "has no 'resunet' of fold 1": {"models": ["unet", "resunet"], "folds": [1]},
        "has no 'unet' of fold 4": {"models": ["unet"], "folds": [1, 4]},
        "seed 0 is that of unet-by-patient-fold1 itself": {"seeds": [1, 0], "models": ["unet"], "folds": [1]},
        "seed must be a whole number of at least 0, not -1": {"seeds": [1, -1], "models": ["unet"], "folds": [1]},
    }.items():
        with pytest.raises(ValueError, match=message):
            seeds.compute(tiny_cohort, **settings)
    gone = kept_run.prepared.table["patient"].iloc[0]
    shutil.rmtree(tiny_cohort / gone)
    with pytest.raises(ValueError, match=f"lacks 1 patients of unet-by-patient-fold1, {gone} among them"):
        seeds.compute(tiny_cohort, models=["unet"], folds=[1])
