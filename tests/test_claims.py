"""The experiment on contrast and crop: its arms, its comparisons, and one run of it on a tiny cohort."""

import numpy as np
import pandas as pd
import pytest

from brainseg import claims, conventions
from brainseg.claims import ARMS, NEITHER, PRIMARY, compare, compare_arms, holm, mean_over_seeds, verdict


def test_the_arms_differ_in_contrast_and_crop_alone():
    settings = {arm: claims.arm_preprocessing(arm, 64) for arm in ARMS}
    assert {p.normalise for p in settings.values()} == {"none"} and {p.image_size for p in settings.values()} == {64}
    assert len({(p.contrast, p.crop) for p in settings.values()}) == 6
    assert (settings[PRIMARY].contrast, settings[PRIMARY].crop, settings[PRIMARY].margin_px) == ("clahe", "slice", 0)
    assert (settings[NEITHER].contrast, settings[NEITHER].crop) == ("none", "none")


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1, the last lifted to the one before it.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm(p_values, corrected):
    np.testing.assert_allclose(holm(p_values), corrected)


def patients(scores: dict[str, list[float]], seed: int = 0) -> pd.DataFrame:
    """A table of patients: arm -> one Dice per patient."""
    rows = [(arm, seed, f"p{i:02}", dice) for arm, values in scores.items() for i, dice in enumerate(values)]
    return pd.DataFrame(rows, columns=["arm", "seed", "patient", "dice"])


def test_a_patient_counts_once_with_the_mean_of_its_seeds():
    table = pd.concat(
        [patients({NEITHER: [0.2, 0.5], "HE": [0.4, np.nan]}), patients({NEITHER: [0.4, 0.7], "HE": [0.6, np.nan]}, 1)]
    )
    expected = pd.DataFrame({NEITHER: [0.3], "HE": [0.5]}, index=pd.Index(["p00"], name="patient"))
    pd.testing.assert_frame_equal(mean_over_seeds(table), expected)


def test_differences_are_taken_patient_by_patient():
    scores = pd.DataFrame({"a": [0.5, 0.6, 0.9], "b": [0.4, 0.7, 0.6]})
    (row,) = compare(scores, [("a", "b")]).to_dict("records")
    assert (row["first"], row["second"], row["patients"], row["better_on"]) == ("a", "b", 3, 2)
    assert row["mean"] == pytest.approx(0.1) and row["low"] < 0.1 < row["high"]


def test_the_primary_contrast_stands_first_and_is_not_corrected():
    rng = np.random.default_rng(0)
    scores = {arm: rng.uniform(0.3, 0.9, 12).tolist() for arm in reversed(ARMS)}
    table = compare_arms(patients(scores))
    assert table["first"].tolist() == [PRIMARY, "HE", "CLAHE", "slice crop", "patient crop"]
    assert set(table["second"]) == {NEITHER}
    assert table["p_corrected"].iloc[0] == table["p"].iloc[0]
    np.testing.assert_allclose(table["p_corrected"].iloc[1:], holm(table["p"].iloc[1:]))
    assert (table["p_corrected"].iloc[1:] > table["p"].iloc[1:]).any()


@pytest.mark.parametrize(
    ("low", "high", "p_value", "number", "words"),
    [
        (0.06, 0.10, 0.001, 18, "a great improvement"),
        (0.01, 0.04, 0.001, 18, "an improvement, but no great one"),
        (0.01, 0.09, 0.001, 18, "an improvement; whether a great one stays open"),
        (-0.09, -0.01, 0.001, 18, "a loss"),
        (-0.02, 0.03, 0.6, 18, "no improvement shown, and a great one is unlikely"),
        (0.01, 0.04, 0.2, 18, "no improvement shown, and a great one is unlikely"),
        (-0.02, 0.09, 0.6, 18, "no improvement shown, and a great one not ruled out"),
        (0.06, 0.10, 0.001, 9, "too few patients to tell"),
    ],
)
def test_a_verdict_takes_interval_p_value_and_patients(low, high, p_value, number, words):
    assert verdict(low, high, p_value, number) == words


@pytest.mark.slow
def test_the_experiment_on_a_tiny_cohort(tiny_cohort_once, monkeypatch):
    monkeypatch.setattr(claims, "ARMS", {arm: ARMS[arm] for arm in (NEITHER, PRIMARY)})
    settings = {"image_size": 32, "filters": 2, "epochs": 1, "slices_per_epoch": 4, "seeds": 1}
    tables, record = claims.compute(tiny_cohort_once, **settings)
    table, scores = tables["patients"], tables["conventions"]
    assert table.groupby("arm")["patient"].nunique().to_dict() == {NEITHER: 2, PRIMARY: 2}
    assert (table.loc[table["arm"] == NEITHER, "lost_px"] == 0).all()
    assert (table["tp"] + table["fn"] == table["tumour_px"]).all()
    by_predictor = scores.groupby("predictor").size()
    assert by_predictor["U-Net"] == len(conventions.CONVENTIONS) + 2
    assert (by_predictor.drop("U-Net") == len(conventions.CONVENTIONS)).all()
    nothing = scores[scores["predictor"] == "nothing"].set_index("convention")["score"]
    # Three of five slices are empty in each test patient.
    assert nothing["Dice per slice, empty counts as 1"] == pytest.approx(3 / 5) and nothing["Dice per volume"] == 0
    unet = scores[scores["predictor"] == "U-Net"].set_index("convention")["score"]
    assert unet["Dice per volume"] == pytest.approx(table.loc[table["arm"] == PRIMARY, "dice"].mean())
    assert record["patients"] == {"test": 2, "train": 3, "validation": 1}
    assert {name: record[name] for name in ("image_size", "filters", "epochs", "slices_per_epoch")} == {
        name: settings[name] for name in ("image_size", "filters", "epochs", "slices_per_epoch")
    }


def test_no_seed_is_no_experiment(tiny_cohort_once):
    with pytest.raises(ValueError, match="seeds"):
        claims.compute(tiny_cohort_once, seeds=0)
