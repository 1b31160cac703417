"""The recipe of the study, and the profile that promises to train nothing: today's profiles against kept records."""

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers import PATIENTS, write_cohort

from brainseg import results
from brainseg.chapters import (
    epochs_text,
    example_rows,
    network_summary,
    require_feasible,
    require_reference,
    size_step,
    study_recipe,
    study_run,
    study_runs,
    training_summary,
)
from brainseg.cohort import index_cohort
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import MODELS, Recipe
from brainseg.networks.record import RunRecord, find_reference, reference_runs, run_folder
from brainseg.paths import project_root
from brainseg.publishing.notebooks import read_profile
from brainseg.splits import make_split

PROFILE = read_profile(project_root() / "notebooks", "reference")


def test_the_profile_meets_a_reference_run_with_weights_for_each_network():
    assert PROFILE["trains"] == "nothing"
    require_reference(PROFILE)
    for model in MODELS:
        assert find_reference(study_recipe(model), Preprocessing(), "patient", PROFILE["fold"]).has_weights


def test_the_defaults_are_the_recipe_of_the_reference_runs():
    for record in reference_runs(split_by="patient"):
        assert replace(record.recipe, start="") == study_recipe(record.recipe.model, seed=record.recipe.seed)
        assert record.preprocessing == Preprocessing()
    assert study_recipe() == Recipe()
    for name in ("epochs", "slices_per_epoch", "seed"):
        assert PROFILE[name] == getattr(Recipe(), name)
    for name in ("image_size", "contrast", "crop"):
        assert PROFILE[name] == getattr(Preprocessing(), name)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epochs", 30, r"unet-by-patient-fold0-seed0 differs in epochs \(24 there, 30 here\)"),
        ("filters", 8, r"differs in options \(\{'filters': 16\} there, \{'filters': 8\} here\)"),
        ("image_size", 96, r"image_size \(128 there, 96 here\)"),
        ("contrast", "clahe", r"contrast \('none' there, 'clahe' here\)"),
        ("crop", "slice", r"crop \('patient' there, 'slice' here\), margin_px"),
        ("seed", 9, r"seed \(0 there, 9 here\)"),
        ("slices_per_epoch", 0, r"slices_per_epoch \(1024 there, 0 here\)"),
        ("fold", 7, "there is no unet split by patient in fold 7"),
        ("split_by", "slice", "unet-by-slice-fold0-seed0 differs in contrast"),
    ],
)
def test_a_near_miss_is_refused_and_says_what_differs(name, value, said):
    with pytest.raises(ValueError, match=said) as refused:
        require_reference({**PROFILE, name: value})
    assert "--train" in str(refused.value)


def test_a_recipe_departs_from_the_study_only_where_it_says_so():
    departed = study_recipe("resunet", filters=8, learning_rate=2e-3)
    assert asdict(departed) == asdict(study_recipe("resunet")) | {
        "options": {"filters": 8, "depth": 4},
        "learning_rate": 2e-3,
    }
    assert replace(departed, learning_rate=1e-3) == study_recipe("resunet", filters=8)


def test_without_a_checkout_nothing_is_a_reference_run(monkeypatch):
    monkeypatch.setattr(results, "project_root", lambda: None)
    assert reference_runs() == []
    with pytest.raises(ValueError, match="there is no fcn32 split by patient in fold 0"):
        require_reference(PROFILE)


def run_of(tumour_px, split, patients) -> SimpleNamespace:
    """What the sentences and the choice of slices ask of a run, with the record of a reference run."""
    table, split = pd.DataFrame({"tumour_px": tumour_px, "patient": patients}), pd.Series(split)
    record = replace(reference_runs("unet", "patient", 0)[0], seconds=90.0, peak_memory_mib=1536, best_epoch=3)
    record = replace(record, recipe=replace(record.recipe, start=""))
    return SimpleNamespace(
        prepared=SimpleNamespace(table=table),
        split=split,
        rows=lambda part: np.flatnonzero(split == part),
        record=replace(record, validation_dice=0.8125, processor="a processor", patients={"validation": ["a", "b"]}),
    )


def test_a_training_is_told_from_its_record():
    run = run_of([5, 5], ["train", "validation"], ["a", "b"])
    said = training_summary(run)
    assert "**1.5 minutes** on a processor, and needed at most 1.5 GiB of memory." in said
    assert f"epoch was 3 of {run.record.recipe.epochs}, with a mean validation Dice of 0.812" in said
    assert "(validation patients: 2)" in said and "too good to be reported" in said
    assert "of **validation** patients" in said and "simulated" not in said
    run.record = replace(run.record, peak_memory_mib=None)
    assert "on a processor. The best" in training_summary(run)


def test_a_training_that_nobody_validated_shows_what_it_was_trained_on():
    run = run_of([5, 9], ["train", "test"], ["a", "b"])
    recipe = replace(run.record.recipe, start="unet-abc")
    run.record = replace(run.record, validation_dice=None, patients={"validation": []}, recipe=recipe)
    said = training_summary(run)
    assert f"its length, {recipe.epochs} epochs, was fixed beforehand" in said and "too good" not in said
    assert "simulated patients alone" in said and "**trained on**" in said
    assert list(example_rows(run)) == [0]


def test_a_patient_on_two_sides_is_told_and_nobody_else():
    apart = run_of([5] * 4, ["train", "train", "validation", "test"], ["a", "a", "b", "c"])
    shared = run_of([5] * 4, ["train", "validation", "validation", "test"], ["a", "a", "b", "c"])
    assert "Slices were split here" not in training_summary(apart)
    assert "**Slices were split here, not patients.**" in training_summary(shared)


def test_examples_go_from_a_large_tumour_to_a_small_one():
    areas = [*range(0, 100, 5), 900]
    run = run_of(areas, ["validation"] * 20 + ["train"], [*"abcdefghijklmnopqrstu"])
    rows = example_rows(run)
    assert [areas[row] for row in rows] == [90, 50, 10]  # of 19 slices with tumour: the second, the tenth, the 18th
    assert len(example_rows(run_of([0, 0], ["validation"] * 2, ["a", "b"]))) == 0


def test_a_network_is_told_in_numbers():
    keras = pytest.importorskip("keras")
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(1, 3, padding="same")(image)
    model = keras.Model(image, keras.layers.Conv2D(1, 1, activation="sigmoid", name="probability")(x))
    said = network_summary(model)
    assert f"**{3 * 9 + 1 + 2} parameters**" in said and "16 × 16 pixels" in said
    assert "3 of 16 rows" in said
    whole = keras.layers.Conv2D(1, 31, padding="same")(image)
    model = keras.Model(image, keras.layers.Conv2D(1, 1, activation="sigmoid", name="probability")(whole))
    assert "the whole frame" in network_summary(model)


# ---------------------------------------------------------------- what can be known beforehand

FEASIBLE = {"seed": 0, "image_size": 32, "contrast": "none", "crop": "patient", "split_by": "patient", "fold": 0}
FEASIBLE |= {"filters": 2, "epochs": 1, "slices_per_epoch": 8}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"image_size": 40}, "image_size 40 does not fit FCN-32, which needs a multiple of 16: choose 32 or 48"),
        ({"image_size": 8}, "image_size must be a whole number from 16"),
        ({"filters": 0}, "filters must be at least 1"),
        ({"epochs": 0}, "epochs must be a whole number"),
        ({"contrast": "hue"}, "contrast must be one of"),
        ({"fold": 7}, r"No network can be trained on .*\(6 patients\): fold 7 of 5"),
        ({"split_by": "day"}, "cannot split by 'day'"),
        ({}, None),
    ],
)
def test_what_no_training_can_start_with_is_refused_beforehand(tiny_cohort_once, monkeypatch, changed, said):
    def prepare(*_):
        raise AssertionError("slices are prepared")

    monkeypatch.setattr("brainseg.images.prepared.prepare", prepare)
    parameters = {"data": str(tiny_cohort_once), **FEASIBLE, **changed}
    if said is None:
        require_feasible(parameters)
        return
    with pytest.raises(ValueError, match=said):
        require_feasible(parameters)
    if "filters" not in changed:  # one run alone
        with pytest.raises(ValueError, match=said.rpartition("): ")[2]):
            study_run("fcn32", **parameters)


def test_the_runs_of_a_chapter_are_known_by_name_before_they_are_trained(tiny_cohort_once, monkeypatch):
    pytest.importorskip("keras")

    def train_or_load(recipe, prepared, split):
        return run_folder(recipe, prepared.fingerprint, split).name

    monkeypatch.setattr("brainseg.networks.runs.train_or_load", train_or_load)
    found = set()
    for changed in ({}, {"fold": 1}, {"split_by": "slice"}):  # which change the split alone
        parameters = {"data": str(tiny_cohort_once), **FEASIBLE, **changed}
        names = study_runs(parameters | {"title": "passed over"})
        assert names == {model: study_run(model, **parameters) for model in MODELS}
        found |= {*names.values()}
    assert len(found) == 3 * len(MODELS)

    # A reference run is the one where it knows the cohort and its weights are there.
    kept = reference_runs("unet", "patient", 0, with_weights=True)[0]
    monkeypatch.setattr("brainseg.chapters.find_reference", lambda *_: kept)
    assert kept.name not in study_runs(parameters).values()
    monkeypatch.setattr(RunRecord, "split", lambda _, table: make_split(table))
    assert study_runs(parameters)["unet"] == kept.name
    kept = replace(kept, folder=Path("nowhere") / kept.name)
    assert kept.name not in study_runs(parameters).values()


@pytest.mark.parametrize("patients", [1, 2])
def test_a_cohort_that_cannot_be_split_is_refused_beforehand(tmp_path, patients):
    root = write_cohort(tmp_path / "kaggle_3m", PATIENTS[:patients], slices=2)
    with pytest.raises(ValueError, match=rf"\({patients} patients\).*Chapters 1 to 4 run on any cohort"):
        require_feasible({"data": str(root), **FEASIBLE})


def without_tumour(root, patients):
    for patient in patients:
        for path in (root / patient).glob("*_mask.tif"):
            tifffile.imwrite(path, np.zeros((256, 256), np.uint8), photometric="minisblack")


@pytest.mark.parametrize("split_by", ["patient", "slice"])
def test_a_side_without_tumour_is_refused_beforehand(tiny_cohort, monkeypatch, split_by):
    def prepare(*_):
        raise AssertionError("slices are prepared")

    monkeypatch.setattr("brainseg.images.prepared.prepare", prepare)
    parameters = {"data": str(tiny_cohort), **FEASIBLE, "split_by": split_by}
    table = index_cohort(tiny_cohort, progress=False)
    sides = {by: make_split(table, by=by) for by in ("patient", "slice")}  # dealt by tumour load, so before it changes
    monkeypatch.setattr("brainseg.chapters.make_split", lambda table, by, **_: sides[by])
    tested = table["patient"][sides["patient"] == "test"].unique()
    without_tumour(tiny_cohort, tested)
    said = (
        f"split by patient, none of the {5 * len(tested)} slices to test on shows tumour; another fold or seed may do"
    )
    with pytest.raises(ValueError, match=rf"No network can be trained on .*: {said}\. Chapters 1 to 4 run on any"):
        require_feasible(parameters)
    without_tumour(tiny_cohort, PATIENTS)
    with pytest.raises(ValueError, match=rf"split by {split_by}, none of the \d+ slices to train on shows tumour"):
        require_feasible(parameters)
    with pytest.raises(ValueError, match=rf"split by {split_by}, none of the \d+ slices to train on shows tumour"):
        study_run("unet", **parameters)


@pytest.mark.parametrize("model", MODELS)
def test_a_size_is_refused_as_the_network_itself_would(model):
    pytest.importorskip("keras")
    from brainseg.networks.models import build_model

    recipe = study_recipe(model, filters=1)
    build_model(model, 2 * size_step(recipe), **recipe.options)
    for wrong in (size_step(recipe) * 3 // 2, 2 * size_step(recipe) + 1):
        with pytest.raises(ValueError, match=f"multiple of {size_step(recipe)}"):
            build_model(model, wrong, **recipe.options)


@pytest.mark.parametrize("patients", [1, 2])
def test_the_book_of_such_a_cohort_stops_before_the_first_page(tmp_path, monkeypatch, patients):
    from brainseg.publishing import make_book

    root = write_cohort(tmp_path / "kaggle_3m", PATIENTS[:patients], slices=2)

    def execute(*_):
        raise AssertionError("a page is executed")

    monkeypatch.setattr("brainseg.publishing.execute._execute", execute)
    with pytest.raises(ValueError, match="No network can be trained"):
        make_book("quick", {"data": str(root)})
    with pytest.raises(ValueError, match="image_size 100 does not fit"):
        make_book("quick", {"data": str(root), "image_size": 100})


def test_the_length_of_a_training_is_told_in_words():
    assert epochs_text(12, 480) == "12 epochs of 480 slices"
    assert epochs_text(1, 0) == "1 epoch of all slices"


def of_one_slice(root):
    for path in root.glob("*/*.tif"):
        if int(path.stem.removesuffix("_mask").rpartition("_")[2]) != 3:
            path.unlink()


def of_no_tumour(root):
    without_tumour(root, PATIENTS)


@pytest.mark.parametrize(
    ("change", "chapter", "said"),
    [
        (of_one_slice, None, "Chapter 10 cannot show on .* no test slice shows tumour and has another"),
        (of_one_slice, "10", "Chapter 10 cannot show on .* nothing can leak. The other chapters run one at a time"),
        (of_no_tumour, None, "No network can be trained on .* none of the"),
        (of_no_tumour, "05", "No network can be trained on .* none of the"),
        (of_no_tumour, "10", "No network can be trained on .* none of the"),
        (of_no_tumour, "11", "No network can be trained on .* none of the"),
        (of_no_tumour, "14", "No network can be trained on .* none of the"),
    ],
)
def test_an_odd_cohort_is_refused_before_the_first_page(tiny_cohort, monkeypatch, change, chapter, said):
    from brainseg.publishing.execute import execute_edition

    def execute(*_):
        raise AssertionError("a page is executed")

    monkeypatch.setattr("brainseg.publishing.execute._execute", execute)
    change(tiny_cohort)
    with pytest.raises(ValueError, match=said):
        execute_edition(project_root(), "quick", {"data": str(tiny_cohort)}, chapter)


LESSON = read_profile(project_root() / "notebooks", "lesson")


def test_the_guide_names_the_lesson_s_settings_and_its_patients():
    guide = (project_root() / "book" / "teach" / "experiments.md").read_text(encoding="utf-8")
    assert '"{data}", {image_size}, {filters}\nepochs, slices_per_epoch = {epochs}, {slices_per_epoch}'.format(
        **LESSON
    ) in guide  # fmt: skip
    settings = (
        '`data = "{data}"`, `image_size = {image_size}`, `filters = {filters}`, `epochs = {epochs}` and '
        "`slices_per_epoch = {slices_per_epoch}`"
    )
    for number in range(5, 10):
        (source,) = (project_root() / "notebooks").glob(f"{number:02}_*.py")
        assert settings.format(**LESSON) in source.read_text(encoding="utf-8")
    # Sides depend on how many patients there are, and on their order alone.
    patients = [f"P{number:02}" for number in range(int(LESSON["data"].partition(":")[2]))]
    table = pd.DataFrame({"patient": patients, "case": patients, "institution": "A", "slice": 1, "tumour_px": 5})
    sides = make_split(table, by="patient", fold=0, seed=0).value_counts()
    assert sides.to_dict() == {"train": 7, "test": 2, "validation": 1}
    assert "With ten patients, two are tested, one is validated on, and seven train." in guide


class SeenEnough(Exception):
    """An epoch of a lesson's network has the wanted Dice."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["unet", *(pytest.param(name, marks=pytest.mark.rest) for name in MODELS if name != "unet")]
)
def test_the_networks_of_a_lesson_see_something(model, monkeypatch):
    """They are trained as the lesson trains them, up to the first epoch that is good enough."""
    pytest.importorskip("keras")
    from brainseg.networks import training

    score = training.validation_dice

    def validation_dice(*given):
        if score(*given) > 0.4:
            raise SeenEnough
        return 0.0

    monkeypatch.setattr(training, "validation_dice", validation_dice)
    with pytest.raises(SeenEnough):
        study_run(model, **LESSON, seed=0, contrast="none", crop="patient", split_by="patient", fold=0)
