"""The experiment on contrast and crop: its arms, its comparisons, and one run of it on a tiny cohort."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from brainseg import statistics
from brainseg.cohort import FLAIR, index_cohort, read_patient
from brainseg.evaluation import conventions
from brainseg.evaluation.conventions import CONVENTIONS
from brainseg.experiments import claims
from brainseg.experiments.claims import ARMS, NEITHER, PRIMARY, compare, compare_arms, mean_over_seeds, verdict
from brainseg.networks.runs import Run


def test_the_arms_differ_in_contrast_and_crop_alone():
    settings = {arm: claims.arm_preprocessing(arm, 64) for arm in ARMS}
    assert {p.normalise for p in settings.values()} == {"none"} and {p.image_size for p in settings.values()} == {64}
    assert len({(p.contrast, p.crop) for p in settings.values()}) == 6
    assert (settings[PRIMARY].contrast, settings[PRIMARY].crop, settings[PRIMARY].margin_px) == ("clahe", "slice", 0)
    assert (settings[NEITHER].contrast, settings[NEITHER].crop) == ("none", "none")


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


def test_the_spread_of_the_seeds_is_that_of_their_means():
    first = patients({"HE": [0.4, 0.8, np.nan], NEITHER: [0.2, 0.5, 0.9]})
    second = patients({"HE": [0.5, 0.9, np.nan], NEITHER: [0.2, 0.5, 0.9]}, 1)
    table = claims.seed_means(pd.concat([first, second]))
    assert table.index.tolist() == [NEITHER, "HE"] and table["trainings"].tolist() == [2, 2]
    assert table.loc["HE", ["mean", "smallest", "largest"]].tolist() == pytest.approx([0.65, 0.6, 0.7])
    assert table.loc[NEITHER, ["smallest", "largest"]].tolist() == pytest.approx(
        [0.35, 0.35]
    )  # the third has no Dice in HE


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
    np.testing.assert_allclose(table["p_corrected"].iloc[1:], statistics.holm(table["p"].iloc[1:]))
    assert (table["p_corrected"].iloc[1:] > table["p"].iloc[1:]).any()


@pytest.mark.parametrize(
    ("low", "high", "p_value", "number", "trainings", "words"),
    [
        (0.06, 0.10, 0.001, 18, 3, "a great improvement"),
        (0.01, 0.04, 0.001, 18, 3, "an improvement, but no great one"),
        (0.01, 0.09, 0.001, 18, 3, "an improvement; whether a great one stays open"),
        (-0.09, -0.01, 0.001, 18, 3, "a loss"),
        (-0.02, 0.03, 0.6, 18, 3, "no improvement shown, and a great one is unlikely"),
        (0.01, 0.04, 0.2, 18, 3, "no improvement shown, and a great one is unlikely"),
        (-0.02, 0.09, 0.6, 18, 3, "no improvement shown, and a great one not ruled out"),
        (0.06, 0.10, 0.001, 9, 3, "too few patients to tell"),
        (0.06, 0.10, 0.001, 18, 2, "too few trainings to tell"),
    ],
)
def test_a_verdict_takes_interval_p_value_patients_and_trainings(low, high, p_value, number, trainings, words):
    assert verdict(low, high, p_value, number, trainings) == words


class FlairAsProbability:
    """In the place of a trained network: the brighter on FLAIR, the more likely tumour, and never in the left half.

    So a slice that were predicted both ways would come out otherwise.
    """

    input_shape = (None, 256, 256, 3)

    def predict_on_batch(self, batch):
        probability = batch[..., FLAIR : FLAIR + 1].copy()
        probability[:, :, : batch.shape[2] // 2] = 0
        return probability

    def test_on_batch(self, images, masks, return_dict):
        assert len(images) == len(masks) and return_dict
        return {"loss": 0.5, "iou": 0.25, "dice_coefficient": 0.4}


@pytest.fixture
def asked(monkeypatch):
    """What `compute` asks to be trained, arm after arm; nothing is."""
    asked = []

    def train_or_load(recipe, prepared, split):
        asked.append((recipe, prepared.preprocessing, split))
        record = {"seconds": 2.0}
        return Run(FlairAsProbability(), recipe, prepared, split, pd.DataFrame(), record, prepared.folder)

    monkeypatch.setattr(claims, "train_or_load", train_or_load)
    return asked


def test_the_experiment(tiny_cohort_once, asked):
    made, record = claims.compute(
        tiny_cohort_once, image_size=256, filters=2, epochs=1, slices_per_epoch=4, seeds=2, seed=5
    )
    recipes, preprocessings, splits = zip(*asked)
    assert [p.contrast for p in preprocessings[::2]] == [settings["contrast"] for settings in ARMS.values()]
    assert [recipe.seed for recipe in recipes] == [5, 6] * 6
    assert len({str(replace(recipe, seed=0)) for recipe in recipes}) == 1, "an arm was trained in another way"
    assert all(split.equals(splits[0]) for split in splits)
    assert record["training_seconds"] == 24 and record["training_seeds"] == [5, 6]
    cohort = index_cohort(tiny_cohort_once)
    sides = {part: cohort.loc[splits[0] == part, "patient"].nunique() for part in ("test", "train", "validation")}
    assert record["patients"] == sides
    json.dumps(record)

    table, scores = made["patients"], made["conventions"]
    assert table.groupby(["arm", "seed"], sort=False).size().tolist() == [sides["test"]] * 12
    assert (table["tp"] + table["fn"] == table["tumour_px"]).all()
    # Without contrast and crop, at 256 pixels, the stand-in calls a pixel on the right tumour where FLAIR is 128 or more.
    for row in table[table["arm"] == NEITHER].itertuples():
        images, masks = read_patient(cohort, row.patient)
        bright = images[..., FLAIR] >= 128
        bright[:, :, :128] = False
        assert row.dice == pytest.approx(2 * (bright & masks).sum() / (bright.sum() + masks.sum()))
        assert row.lost_px == 0 and row.mean_flair == pytest.approx(images[..., FLAIR].mean())

    unet = scores[scores["predictor"] == "U-Net"].set_index("convention")["score"]
    first = table[(table["arm"] == PRIMARY) & (table["seed"] == 5)]
    assert unet["Dice per volume"] == pytest.approx(first["dice"].mean())
    assert unet[conventions.CROPPED_BATCH] == 0.4
    assert list(unet.index) == [*CONVENTIONS, conventions.CROPPED_VOLUME, conventions.CROPPED_BATCH]
    by_name = scores.pivot(index="convention", columns="predictor", values="score")
    # Three of five slices are empty in each test patient.
    assert by_name.loc["Dice per slice, empty counts as 1", "nothing"] == pytest.approx(3 / 5)
    assert by_name.loc["Dice per volume", "nothing"] == 0
    tumour = cohort.loc[splits[0] == "test", "tumour_px"].sum()
    frames = (splits[0] == "test").sum() * 256 * 256
    assert by_name.loc["pixel accuracy", "everything"] == pytest.approx(tumour / frames)
    assert by_name.loc["Dice of all pixels pooled", "everything"] == pytest.approx(2 * tumour / (frames + tumour))


def test_the_usual_spot_is_as_large_as_a_middling_tumour_and_looks_at_no_test_slice(tiny_cohort_once, asked):
    settings = {
        "image_size": 32,
        "filters": 2,
        "epochs": 1,
        "slices_per_epoch": 4,
        "fold": 0,
        "split_seed": 0,
        "seed": 0,
    }
    run = claims.plan(tiny_cohort_once, NEITHER, **settings)
    spot = conventions.trivial_predictions(run)["the usual spot"]
    training = run.prepared.table.iloc[run.rows("train")]
    assert spot[0].sum() == int(training.loc[training["tumour_px"] > 0, "tumour_px"].median())
    assert (spot == spot[0]).all() and len(spot) == len(run.rows("test"))
    assert run.prepared.truth(run.rows("train")).any(axis=0)[spot[0]].all()


def test_no_seed_is_no_experiment(tiny_cohort_once):
    with pytest.raises(ValueError, match="seeds"):
        claims.compute(tiny_cohort_once, seeds=0)
