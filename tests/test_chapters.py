"""The recipe of the study, and the profile that promises to train nothing: today's profiles against kept records."""

from dataclasses import asdict, replace

import pytest

from brainseg import results
from brainseg.chapters import require_reference, study_recipe
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import MODELS, Recipe
from brainseg.networks.record import find_reference, reference_runs
from brainseg.paths import project_root
from brainseg.publishing.notebooks import read_profile

PROFILE = read_profile(project_root() / "notebooks", "reference")


def test_the_profile_meets_a_reference_run_with_weights_for_each_network():
    assert PROFILE["trains"] == "nothing"
    require_reference(PROFILE)
    for model in MODELS:
        assert find_reference(study_recipe(model), Preprocessing(), "patient", PROFILE["fold"]).has_weights


def test_the_defaults_are_the_recipe_of_the_reference_runs():
    for record in reference_runs(split_by="patient"):
        assert record.recipe == study_recipe(record.recipe.model)
        assert record.preprocessing == Preprocessing()
    assert study_recipe() == Recipe()
    for name in ("epochs", "slices_per_epoch", "seed"):
        assert PROFILE[name] == getattr(Recipe(), name)
    for name in ("image_size", "contrast", "crop"):
        assert PROFILE[name] == getattr(Preprocessing(), name)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epochs", 30, r"unet-by-patient-fold0 differs in epochs \(24 there, 30 here\)"),
        ("filters", 8, r"differs in options \(\{'filters': 16\} there, \{'filters': 8\} here\)"),
        ("image_size", 96, r"image_size \(128 there, 96 here\)"),
        ("contrast", "clahe", r"contrast \('none' there, 'clahe' here\)"),
        ("crop", "slice", r"crop \('patient' there, 'slice' here\), margin_px"),
        ("seed", 1, r"seed \(0 there, 1 here\)"),
        ("slices_per_epoch", 0, r"slices_per_epoch \(1024 there, 0 here\)"),
        ("fold", 1, "resunet-by-patient-fold1 is there without its weights"),
        ("fold", 7, "there is no unet split by patient in fold 7"),
        ("split_by", "slice", "unet-by-slice-fold0 differs in epochs"),
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
