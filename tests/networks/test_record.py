"""Kept runs: weights in half precision, found by their parameters, with the split that they were trained on."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

keras = pytest.importorskip("keras")
from brainseg import results  # noqa: E402
from brainseg.chapters import study_run  # noqa: E402
from brainseg.evaluation import headline, predict, scores  # noqa: E402
from brainseg.experiments import reference  # noqa: E402
from brainseg.images.prepared import prepare  # noqa: E402
from brainseg.images.preprocess import Preprocessing  # noqa: E402
from brainseg.networks import record, runs  # noqa: E402
from brainseg.networks.recipe import Recipe  # noqa: E402
from brainseg.networks.runs import load_network, train_or_load  # noqa: E402
from brainseg.publishing import choose_profile  # noqa: E402
from brainseg.publishing.notebooks import StudyError  # noqa: E402
from brainseg.splits import make_split  # noqa: E402

RECIPE = Recipe(model="unet", options={"filters": 2, "depth": 2}, epochs=1, slices_per_epoch=8)


@pytest.fixture
def run(tiny_cohort, tmp_path):
    prepared = prepare(tiny_cohort, Preprocessing(image_size=32))
    split = make_split(prepared.table, by="patient", n_folds=3, fold=1)
    return train_or_load(RECIPE, prepared, split, tmp_path / "runs")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project of its own, so that nothing is written into the real results."""
    for module in (tables, kept):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    return tmp_path


def test_a_kept_run_is_found_and_predicts_as_before(run, checkout):
    assert record.find_reference(RECIPE, run.prepared, "patient", 1) is None
    folder = runs.keep(run, "patient", 1)
    assert folder == checkout / "results" / "reference" / "unet-by-patient-fold1"
    assert record.find_reference(RECIPE, run.prepared, "patient", 1) == folder
    again = runs.load_reference(folder, run.prepared)
    assert again.split.tolist() == run.split.tolist()
    rows = run.rows("test")
    np.testing.assert_allclose(
        predict.predict_probabilities(again, rows), predict.predict_probabilities(run, rows), atol=2e-2
    )
    with np.load(folder / "best.npz") as arrays:
        assert {arrays[name].dtype for name in arrays} == {np.dtype("float16")}


def test_another_recipe_fold_or_size_is_not_this_run(run, checkout):
    runs.keep(run, "patient", 1)
    assert record.find_reference(replace(RECIPE, seed=1), run.prepared, "patient", 1) is None
    assert record.find_reference(RECIPE, run.prepared, "patient", 0) is None
    assert record.find_reference(RECIPE, run.prepared, "slice", 1) is None
    other = prepare(run.prepared.root, Preprocessing(image_size=48))
    assert record.find_reference(RECIPE, other, "patient", 1) is None


def test_patients_that_the_split_does_not_name_are_new(run, checkout):
    folder = runs.keep(run, "patient", 1)
    table = run.prepared.table.copy()
    stranger = table["patient"].iloc[0]
    table.loc[table["patient"] == stranger, "patient"] = "TCGA_XX_0001_20000101"
    split = record.RunRecord(folder, table)
    assert set(split[table["patient"] == "TCGA_XX_0001_20000101"]) == {"new"}
    others = table["patient"] != "TCGA_XX_0001_20000101"
    assert split[others].tolist() == run.split[others].tolist()
    assert record.reference_patients() == set(run.prepared.table["patient"])


def test_the_profile_follows_the_patients(run, checkout, tiny_cohort):
    assert choose_profile({"data": str(tiny_cohort)}) == "quick"
    runs.keep(run, "patient", 1)
    assert choose_profile({"data": str(tiny_cohort)}) == "reference"


def test_a_split_by_slice_is_kept_by_slice(run, checkout):
    by_slice = replace_split(run, make_split(run.prepared.table, by="slice"))
    folder = runs.keep(by_slice, "slice", 0)
    assert record.RunRecord(folder, run.prepared.table).tolist() == by_slice.split.tolist()


def replace_split(run, split):
    return type(run)(run.model, run.recipe, run.prepared, split, run.history, run.record, run.folder)


def test_the_tables_hold_one_row_per_test_patient_and_are_reproduced(run, checkout):
    runs.keep(run, "patient", 1)
    data = str(run.prepared.root)
    reference.score_reference(data)
    patients = results.read_table("reference", "patients")
    expected = scores.score_patients(predict.evaluate(run, "test"))
    assert patients["patient"].tolist() == expected.index.tolist()
    assert patients[["protocol", "model", "fold"]].drop_duplicates().values.tolist() == [["honest", "unet", 1]]
    assert len(results.read_table("reference", "slices")) == len(run.rows("test"))
    log = results.read_log()
    assert log[["run", "slices", "epochs"]].values.tolist() == [
        ["unet-by-patient-fold1", len(run.rows("test")), RECIPE.epochs]
    ]
    assert log["mean_dice"].item() == pytest.approx(expected["dice"].mean(), abs=1e-5)
    # A second call scores nothing again.
    reference.score_reference(data)
    assert len(results.read_log()) == 1

    again = reference.reproduce(data)
    assert again["same"].all() and len(again) == len(patients)
    wrong = patients.assign(dice=(patients["dice"] + 0.1) % 1)
    wrong.to_csv(results.results_folder("reference") / "patients.csv", index=False)
    assert not reference.reproduce(data)["same"].any()


def test_a_run_without_weights_is_scored_and_documented(run, checkout):
    by_slice = replace_split(run, make_split(run.prepared.table, by="slice"))
    folder = runs.keep(by_slice, "slice", 0, weights=False)
    assert sorted(path.name for path in folder.iterdir()) == ["history.csv", "run.json", "split.csv"]
    assert record.reference_runs() == [] and record.find_reference(RECIPE, run.prepared, "slice", 0) == folder
    by_slice = replace(by_slice, record=json.loads((folder / "run.json").read_text()))
    reference.score_reference(str(run.prepared.root), {folder.name: by_slice})
    assert set(results.read_table("reference", "patients")["protocol"]) == {"article"}
    article = results.read_table("reference", "article").set_index(["part", "group"])
    expected = predict.article_scores(by_slice, by_slice.rows("test"))["Dice"]
    assert article.loc[("test", "all"), "Dice"] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(StudyError, match="No reference runs"):
        reference.reproduce(str(run.prepared.root))


def test_in_a_larger_cohort_a_run_without_weights_is_trained_on_the_sides_that_it_had(
    tiny_cohort, checkout, monkeypatch
):
    monkeypatch.setenv("BRAINSEG_BUILD", str(checkout / "build"))
    settings = {
        "image_size": 32,
        "contrast": "none",
        "crop": "patient",
        "split_by": "patient",
        "fold": 1,
        "filters": 2,
        "epochs": 1,
    }
    first = study_run("unet", tiny_cohort, seed=0, slices_per_epoch=8, **settings)
    sides = (
        first.prepared.table["patient"]
        .to_frame()
        .assign(part=first.split)
        .drop_duplicates()
        .set_index("patient")["part"]
    )
    folder = runs.keep(first, "patient", 1, weights=False)
    copy_patient(tiny_cohort, sides.index[0], "TEST_CC_0007_20000107")
    again = study_run("unet", tiny_cohort, seed=0, slices_per_epoch=8, **settings)
    then = (
        again.prepared.table["patient"]
        .to_frame()
        .assign(part=again.split)
        .drop_duplicates()
        .set_index("patient")["part"]
    )
    assert then.to_dict() == {**sides, "TEST_CC_0007_20000107": "new"}
    # Kept once more, the split still names the patients that the network was trained, validated and tested on, and no others.
    before = (folder / "split.csv").read_text()
    assert (runs.keep(again, "patient", 1, weights=False) / "split.csv").read_text() == before


def copy_patient(root, patient, name):
    (root / name).mkdir()
    for path in (root / patient).iterdir():
        shutil.copy(path, root / name / path.name.replace(patient, name))


def test_only_scores_of_the_same_patients_stand_side_by_side(monkeypatch):
    def scored(model, patients, dice, **other):
        return pd.DataFrame({"model": model, "patient": list(patients), "dice": dice, "fold": 0} | other)

    table = pd.concat(
        [
            scored("unet", "abcd", [0.2, 0.4, 0.6, 0.8]),
            scored("resunet", "ab", [0.5, 0.6]),
            scored("resunet", "cd", [1.0, 1.0], protocol="article"),
            scored("resunet", "e", [1.0], part="new"),
        ]
    )
    table = table.fillna({"protocol": "honest", "part": "test"})
    monkeypatch.setattr(kept, "read_table", lambda study, name: table)
    lines = headline.headline()
    assert [(one.model, list(one.patients.index)) for one in lines] == [
        ("unet", ["a", "b", "c", "d"]),
        ("resunet", ["a", "b"]),
        ("unet", ["a", "b"]),
    ]
    assert [one.summary["mean"] for one in lines] == pytest.approx([0.5, 0.55, 0.3])


def test_without_kept_runs_there_is_nothing_to_reproduce(tiny_cohort, checkout):
    with pytest.raises(StudyError, match="python -m brainseg reference"):
        reference.reproduce(str(tiny_cohort))


def test_a_synthetic_cohort_is_no_reference(tmp_path, monkeypatch):
    table = pd.DataFrame({"synthetic": [True]})
    monkeypatch.setattr(reference, "find_cohort", lambda data: data)
    monkeypatch.setattr(reference, "index_cohort", lambda root: table)
    with pytest.raises(StudyError, match="real cohort"):
        reference.train_reference(tmp_path, "phantom", ["unet"], [0])


def test_every_kept_run_of_the_project_is_whole():
    """Records and splits agree, weights fit their network, lie where the rule wants them, and together stay small."""
    folders = record.reference_runs()
    for folder in record.reference_runs():
        record = json.loads((folder / "run.json").read_text())
        protocol = "honest" if record["split_by"] == "patient" else "article"
        assert (folder in folders) == reference.keeps_weights(protocol, record["recipe"]["model"], record["fold"])
        if folder in folders:
            network, _, _ = load_network(folder)
            assert network.count_params() == record["parameters"]
        split = pd.read_csv(folder / "split.csv")
        if record["split_by"] == "patient":
            assert split["patient"].is_unique
            agreed = pd.read_csv(folder.parent / "splits.csv").set_index("patient")[f"part_fold{record['fold']}"]
            assert split.set_index("patient")["part"].sort_index().equals(agreed.rename("part").sort_index())
        for part in ("train", "validation"):
            assert sorted(split.loc[split["part"] == part, "patient"].unique()) == record["patients"][part]
        assert record["fold"] in range(5)
    assert set(results.read_table("reference", "patients")["run"]) == {
        folder.name for folder in record.reference_runs()
    }
    assert sum((folder / "best.npz").stat().st_size for folder in folders) <= 30e6
