"""Kept runs: weights in half precision, found by their parameters, with the split that they were trained on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile

keras = pytest.importorskip("keras")
from brainseg import results
from brainseg.chapters import study_run
from brainseg.evaluation import predict
from brainseg.evaluation.masks import read_masks
from brainseg.experiments import reference
from brainseg.experiments.reproduce import reproduce
from brainseg.images.preprocess import Preprocessing
from brainseg.networks import record, runs
from brainseg.networks.runs import load_network
from brainseg.publishing import choose_profile
from brainseg.splits import make_split


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project of its own, so that nothing is written into the real results."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    return tmp_path


def found(recipe, prepared, split_by, fold):
    return record.find_reference(recipe, prepared.preprocessing, split_by, fold)


def test_a_reference_run_is_found_and_predicts_as_before(run, checkout):
    assert found(run.recipe, run.prepared, "patient", 1) is None
    kept = runs.keep(run, "patient", 1)
    assert kept.folder == checkout / "results" / "reference" / "unet-by-patient-fold1-seed0"
    assert found(run.recipe, run.prepared, "patient", 1) == kept
    again = runs.load_reference(kept, run.prepared.root)
    assert again.split.tolist() == run.split.tolist()
    rows = run.rows("test")
    before = predict.predict_probabilities(run, rows)
    assert np.ptp(before) > 0.2  # so that another network would differ
    np.testing.assert_allclose(predict.predict_probabilities(again, rows), before, atol=2e-2)
    with np.load(kept.weights) as arrays:
        assert {arrays[name].dtype for name in arrays} == {np.dtype("float16")}


def test_another_recipe_fold_or_size_is_not_this_run(run, checkout):
    kept = runs.keep(run, "patient", 1)
    assert found(replace(run.recipe, seed=1), run.prepared, "patient", 1) is None
    assert found(run.recipe, run.prepared, "patient", 0) is None
    assert found(run.recipe, run.prepared, "slice", 1) is None
    other = Preprocessing(image_size=48)
    assert record.find_reference(run.recipe, other, "patient", 1) is None
    assert record.differences(kept, replace(run.recipe, seed=1), other) == {"seed": (0, 1), "image_size": (32, 48)}
    assert record.differences(kept, run.recipe, run.prepared.preprocessing) == {}
    assert found(replace(run.recipe, start="unet-of-yesterday"), run.prepared, "patient", 1) == kept


def test_what_is_written_is_read(run, tmp_path):
    plain = run.record
    plain.write(tmp_path)
    assert replace(record.RunRecord.read(tmp_path), folder=plain.folder) == plain
    plain.as_reference("patient", 3).write(tmp_path)
    again = record.RunRecord.read(tmp_path)
    assert (again.split_by, again.fold, plain.fold) == ("patient", 3, None)


def test_a_record_that_does_not_say_who_trained_is_refused(run, tmp_path):
    replace(run.record, patients={"validation": []}).write(tmp_path)
    with pytest.raises(ValueError, match=r"run\.json is damaged \('train'\)"):
        record.RunRecord.read(tmp_path)


def test_every_committed_record_is_read_and_survives_writing(tmp_path):
    records = record.reference_runs()
    files = sorted(results.results_folder("reference").glob("*/run.json"))
    assert files and {each.folder for each in records} == {path.parent for path in files}
    for each in records:
        folder = tmp_path / each.name
        folder.mkdir()
        each.write(folder)
        assert replace(record.RunRecord.read(folder), folder=each.folder) == each


@pytest.mark.parametrize("damage", ["{", "{}", '{"recipe": {"model": "vnet"}}', "[]"])
def test_a_damaged_record_names_the_file_and_the_way_out(tmp_path, damage):
    (tmp_path / "run.json").write_text(damage)
    with pytest.raises(ValueError, match=f"The record {tmp_path / 'run.json'} is damaged.*train the run again"):
        record.RunRecord.read(tmp_path)


def test_patients_that_the_split_does_not_name_are_new(run, checkout):
    kept = runs.keep(run, "patient", 1)
    table = run.prepared.table.copy()
    stranger = table["patient"].iloc[0]
    table.loc[table["patient"] == stranger, "patient"] = "TCGA_XX_0001_20000101"
    split = kept.split(table)
    assert set(split[table["patient"] == "TCGA_XX_0001_20000101"]) == {"new"}
    others = table["patient"] != "TCGA_XX_0001_20000101"
    assert split[others].tolist() == run.split[others].tolist()
    assert record.shares_reference_patients(run.prepared.table)
    assert not record.shares_reference_patients(run.prepared.table.assign(patient="another"))


def test_the_profile_follows_the_patients(run, checkout, tiny_cohort):
    assert choose_profile({"data": str(tiny_cohort)}) == "quick"
    runs.keep(run, "patient", 1)
    assert choose_profile({"data": str(tiny_cohort)}) == "reference"


def test_a_split_by_slice_is_kept_by_slice(run, checkout):
    by_slice = replace(run, split=make_split(run.prepared.table, by="slice"))
    kept = runs.keep(by_slice, "slice", 0)
    assert kept.split(run.prepared.table).tolist() == by_slice.split.tolist()


def test_a_run_without_weights_is_a_document(run, checkout):
    by_slice = replace(run, split=make_split(run.prepared.table, by="slice"))
    kept = runs.keep(by_slice, "slice", 0, weights=False)
    assert sorted(path.name for path in kept.folder.iterdir()) == ["history.csv", "run.json", "split.csv"]
    assert record.reference_runs(with_weights=True) == []
    assert record.reference_runs() == [kept] == [found(run.recipe, run.prepared, "slice", 0)]
    with pytest.raises(ValueError, match="no runs with weights"):
        reproduce(str(run.prepared.root))


@pytest.mark.slow
def test_in_a_larger_cohort_a_run_without_weights_is_trained_on_the_sides_that_it_had(
    tiny_cohort, checkout, monkeypatch
):
    monkeypatch.setenv("BRAINSEG_BUILD", str(checkout / "build"))
    settings = {"image_size": 32, "contrast": "none", "crop": "patient", "split_by": "patient", "fold": 1}
    settings |= {"filters": 2, "epochs": 1, "slices_per_epoch": 8, "seed": 0}
    first = study_run("unet", tiny_cohort, **settings)
    sides = sides_of(first)
    kept = runs.keep(first, "patient", 1, weights=False)
    add_patient(tiny_cohort, min(sides), "TEST_CC_0007_20000107")
    again = study_run("unet", tiny_cohort, **settings)
    assert sides_of(again) == {**sides, "TEST_CC_0007_20000107": "new"}
    # Kept once more, the split still names the patients that the network was trained, validated and tested on, alone.
    before = kept.sides()
    pd.testing.assert_frame_equal(runs.keep(again, "patient", 1, weights=False).sides(), before)


def sides_of(run):
    return dict(zip(run.prepared.table["patient"], run.split, strict=True))


def add_patient(root, like, name):
    """Another patient with the same masks; the images are a little brighter, because nobody is in a cohort twice."""
    (root / name).mkdir()
    for path in (root / like).iterdir():
        pixels = tifffile.imread(path)
        if not path.stem.endswith("_mask"):
            pixels = np.where(pixels, np.minimum(pixels, 254) + 1, 0).astype(np.uint8)
        tifffile.imwrite(root / name / path.name.replace(like, name), pixels)


def test_without_kept_runs_there_is_nothing_to_reproduce(tiny_cohort, checkout):
    with pytest.raises(ValueError, match="python -m brainseg experiment reference"):
        reproduce(str(tiny_cohort))


def test_a_synthetic_cohort_is_no_reference():
    with pytest.raises(ValueError, match="real cohort"):
        reference.plan(pd.DataFrame({"synthetic": [True]}), reference.Settings())


@pytest.mark.parametrize("settings", [{"models": ("vnet",)}, {"protocol": "vnet"}])
def test_a_reference_that_does_not_exist_is_refused(settings):
    with pytest.raises(ValueError, match="unknown vnet: choose from (unet|fcn32|honest)"):
        reference.Settings(**settings)


@pytest.mark.slow
def test_every_reference_run_of_the_project_is_whole():
    """Records and splits agree, weights fit their network, lie where the rule wants them, and together stay small."""
    records = record.reference_runs()
    assert set(results.read_table("reference", "seeds")["run"]) == {each.name for each in records}
    folds = results.read_table("reference", "folds").set_index("patient")["fold"]
    for each in records:
        protocol = "honest" if each.split_by == "patient" else "article"
        assert each.has_weights == reference.keeps_weights(protocol, each.recipe.seed)
        if each.has_weights:
            assert load_network(each).count_params() == each.parameters
        sides = each.sides()
        if each.split_by == "patient":
            tested = sides.set_index("patient")["part"] == "test"
            assert tested.sort_index().equals((folds == each.fold).rename("part").sort_index())
            slices = results.read_table("reference", "slices").query("run == @each.name.rsplit('-', 1)[0]")
            assert read_masks(each.folder / record.MASKS, slices).any()
        for part in ("train", "validation"):
            assert sorted(sides.loc[sides["part"] == part, "patient"].unique()) == each.patients[part]
        assert each.fold in range(5)
    # Weights and masks of all experiments come with every checkout.
    assert sum(path.stat().st_size for path in results.results_folder("reference").parent.rglob("*.npz")) <= 40e6
