"""Trials on inner patients: who is scored, and which gain counts."""

import numpy as np
import pandas as pd
import pytest
from helpers import write_cohort

from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.experiments import trials
from brainseg.experiments.plan import PHANTOM, to_do
from brainseg.experiments.reference import fold_sides
from brainseg.metrics import THRESHOLD

PATIENTS = [f"TEST_{letter * 2}_{number:04d}_200001{number:02d}" for letter in "AB" for number in range(1, 8)]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return index_cohort(write_cohort(tmp_path_factory.mktemp("trials") / "kaggle_3m", PATIENTS, slices=3))


@pytest.fixture(autouse=True)
def outer_folds(tmp_path, monkeypatch):
    """A project in whose fold 0 the first three patients are tested, and that does not know the last."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    folder = tmp_path / "results" / "reference"
    folder.mkdir(parents=True)
    folds = pd.DataFrame({"patient": PATIENTS[:-1], "fold": [0] * 3 + [1] * (len(PATIENTS) - 4)})
    folds.to_csv(folder / "folds.csv", index=False)


def test_inner_folds_leave_out_the_outer_test_side_and_cover_the_rest_once(cohort):
    outside = [*PATIENTS[:3], PATIENTS[-1]]
    tested = []
    for fold in range(trials.INNER_FOLDS):
        split = trials.inner_split(cohort, fold_sides(cohort, 0), fold)
        assert set(split[cohort["patient"].isin(outside)]) == {"new"}
        assert set(split[~cohort["patient"].isin(outside)]) == {"train", "test"}
        sides = split.groupby(cohort["patient"]).nunique()
        assert (sides == 1).all()
        tested += cohort.loc[split == "test", "patient"].unique().tolist()
    assert sorted(tested) == sorted(PATIENTS[3:-1])


def test_a_trial_after_the_phantom_starts_from_one_network_of_its_kind(cohort):
    plan = trials.plan(cohort, trials.Settings(("head", "brain, after the phantom"), ("unet", "resunet")))
    assert [training.labels["fold"] for training in plan] == [0, 1, 2] * 4
    starts = {(training.recipe.model, training.recipe.start) for training in plan}
    assert len(starts) == 4 and ("unet", "") in starts
    assert {training.start.phantom for training in plan if training.start} == {PHANTOM}
    assert len(to_do(plan, cohort)) == 12 + 2


def test_no_two_trials_are_the_same_trainings(cohort):
    plan = trials.plan(cohort, trials.Settings())
    assert len({training.folder(cohort) for training in plan}) == len(plan) == 3 * len(trials.TRIALS)


def test_a_trial_that_is_not_known_is_named(cohort):
    with pytest.raises(ValueError, match="no trial 'magic': choose from head"):
        trials.plan(cohort, trials.Settings(trials=("magic",)))


def table(**shifts):
    """Twenty patients; each trial shifts the first one's Dice by a number, or by one a patient."""
    base, names = np.linspace(0.6, 0.9, 20), [f"p{i:02d}" for i in range(20)]
    rows = []
    for trial, shift in {"head": 0, **shifts}.items():
        for threshold, bonus in ((0.4, 0.02), (THRESHOLD, 0)):
            dice = base + shift + bonus
            scored = {"patient": names, "threshold": threshold, "dice": dice}
            scored |= {"dice_all_pieces": dice - 0.01, "dice_one_way": dice + np.tile([0.1, -0.09], 10)}
            rows.append(pd.DataFrame({"trial": trial, "model": "unet", **scored}))
    return pd.concat(rows)


def test_a_gain_counts_above_one_standard_error_and_not_by_one_patient():
    lucky = np.zeros(20)
    lucky[4] = 0.5
    waver = np.tile([0.1, -0.09], 10)
    found = {each.change: each for each in trials.findings(table(wide=0.02, lucky=lucky, waver=waver, worse=-0.05))}
    assert list(found) == ["wide", "lucky", "waver", "worse"]
    assert found["wide"].counts and found["wide"].gain == pytest.approx(0.02)
    assert found["lucky"].gain == pytest.approx(0.025) and found["lucky"].without_best == pytest.approx(0)
    assert not found["lucky"].counts and not found["waver"].counts and not found["worse"].counts
    assert found["waver"].error == pytest.approx(waver.std(ddof=1) / 20**0.5)
    assert found["wide"].row()["counts"] == "yes" and found["wide"].patients == 20
    assert found["wide"].mean == pytest.approx(0.77)


def test_ways_of_predicting_stand_beside_the_studys_on_one_trial():
    found = {each.change: each for each in trials.prediction_findings(table(wide=0.02), "wide")}
    assert list(found) == ["threshold 0.4", "no piece dropped", "each slice once"]
    assert found["threshold 0.4"].counts and found["threshold 0.4"].mean == pytest.approx(0.79)
    assert found["no piece dropped"].gain == pytest.approx(-0.01) and not found["no piece dropped"].counts
    assert not found["each slice once"].counts


def test_what_the_gains_stand_beside_is_told():
    assert trials.beside(table(wide=0.02), "wide") == "Beside *wide*, which has a mean Dice of 0.770 (median 0.770):"
