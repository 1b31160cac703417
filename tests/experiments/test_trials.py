"""Trials on inner patients: who is scored, and which gain counts."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import write_cohort

from brainseg.cohort import index_cohort
from brainseg.experiments import trials
from brainseg.experiments.plan import to_do
from brainseg.metrics import THRESHOLD

PATIENTS = [f"TEST_{letter * 2}_{number:04d}_200001{number:02d}" for letter in "AB" for number in range(1, 8)]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return index_cohort(write_cohort(tmp_path_factory.mktemp("trials") / "kaggle_3m", PATIENTS, slices=3))


def test_inner_folds_leave_out_the_outer_test_side_and_cover_the_rest_once(cohort):
    outer = cohort["patient"].map(lambda name: "test" if name in PATIENTS[:3] else "validation")
    outer = outer.where(cohort["patient"] != PATIENTS[5], "train")
    tested = []
    for fold in range(trials.INNER_FOLDS):
        split = trials.inner_split(cohort, outer, fold)
        assert set(split[cohort["patient"].isin(PATIENTS[:3])]) == {"new"}
        assert set(split[~cohort["patient"].isin(PATIENTS[:3])]) == {"train", "test"}
        sides = split.groupby(cohort["patient"]).nunique()
        assert (sides == 1).all()
        tested += cohort.loc[split == "test", "patient"].unique().tolist()
    assert sorted(tested) == sorted(PATIENTS[3:])


def test_a_trial_after_the_phantom_starts_from_one_network_of_its_kind(cohort, monkeypatch, tmp_path):
    record = SimpleNamespace(
        split=lambda table: table["patient"].map(lambda p: "test" if p in PATIENTS[:3] else "train")
    )
    monkeypatch.setattr(trials, "reference_runs", lambda *_: [record])
    plan = trials.plan(cohort, trials.Settings(("head", "brain, after the phantom"), ("unet", "resunet")))
    assert [training.labels["fold"] for training in plan] == [0, 1, 2] * 4
    starts = {(training.recipe.model, training.recipe.start) for training in plan}
    assert len(starts) == 4 and ("unet", "") in starts
    assert {training.start.phantom for training in plan if training.start} == {trials.PHANTOM}
    assert len(to_do(plan, cohort)) == 12 + 2


def test_a_trial_that_is_not_known_is_named(cohort):
    with pytest.raises(ValueError, match="no trial 'magic': choose from head"):
        trials.plan(cohort, trials.Settings(trials=("magic",)))


def table(**shifts):
    """Twenty patients; each trial shifts the baseline's Dice by a number, or by one a patient."""
    base, names = np.linspace(0.6, 0.9, 20), [f"p{i:02d}" for i in range(20)]
    rows = []
    for trial, shift in {trials.BASELINE: 0, **shifts}.items():
        for threshold, bonus in ((0.4, 0.02 if trial == "wide" else -0.02), (THRESHOLD, 0)):
            scored = {"patient": names, "threshold": threshold, "dice": base + shift + bonus}
            rows.append(pd.DataFrame({"trial": trial, "model": "unet", **scored}))
    return pd.concat(rows)


def test_a_gain_counts_above_one_standard_error_and_not_by_one_patient():
    one = np.zeros(20)
    one[4] = 0.5
    waver = np.tile([0.1, -0.09], 10)
    found = {each.trial: each for each in trials.findings(table(wide=0.02, one=one, waver=waver, worse=-0.05))}
    assert found["wide"].counts and found["wide"].gain == pytest.approx(0.02)
    assert found["one"].gain == pytest.approx(0.025) and found["one"].without_best == pytest.approx(0)
    assert not found["one"].counts and not found["waver"].counts and not found["worse"].counts
    assert found["waver"].error == pytest.approx(waver.std(ddof=1) / 20**0.5)
    assert not found[trials.BASELINE].counts
    assert (found["wide"].threshold, found["worse"].threshold) == (0.4, THRESHOLD)
    assert found["wide"].row()["counts"] == "yes" and found["wide"].patients == 20
