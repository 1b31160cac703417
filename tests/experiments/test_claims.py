"""The experiment on contrast and crop: its arms, its comparisons, and one run of it on a tiny cohort."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from brainseg import statistics
from brainseg.cohort import FLAIR, index_cohort, read_patient
from brainseg.evaluation import conventions
from brainseg.evaluation.conventions import CONVENTIONS
from brainseg.experiments import claims
from brainseg.experiments.claims import ARMS, CONTRAST, MAIN, NEITHER, PIPELINE, mean_over_seeds
from brainseg.images.prepared import prepare
from brainseg.networks.runs import Run


def test_the_arms_differ_in_contrast_and_crop_alone():
    settings = {arm: claims.arm_preprocessing(arm, 64) for arm in ARMS}
    assert {p.normalise for p in settings.values()} == {"none"} and {p.image_size for p in settings.values()} == {64}
    assert len({(p.contrast, p.crop) for p in settings.values()}) == 6
    assert {p.contrast for p in settings.values()} == {"none", "clahe"}
    assert (settings[PIPELINE].contrast, settings[PIPELINE].crop, settings[PIPELINE].margin_px) == ("clahe", "slice", 0)
    assert (settings[NEITHER].contrast, settings[NEITHER].crop) == ("none", "none")


def patients(scores: dict[str, list[float]], seed: int = 0) -> pd.DataFrame:
    """A table of patients: arm -> one Dice per patient. The later a patient, the brighter."""
    rows = [(arm, seed, f"p{i:02}", dice, 10 + i) for arm, values in scores.items() for i, dice in enumerate(values)]
    table = pd.DataFrame(rows, columns=["arm", "seed", "patient", "dice", "mean_flair"])
    return table.assign(lost_px=1, tumour_px=10, fold=0)


def test_a_patient_counts_once_with_the_mean_of_its_seeds():
    table = pd.concat(
        [
            patients({NEITHER: [0.2, 0.5], "CLAHE": [0.4, np.nan]}),
            patients({NEITHER: [0.4, 0.7], "CLAHE": [0.6, np.nan]}, 1),
        ]
    )
    expected = pd.DataFrame({NEITHER: [0.3], "CLAHE": [0.5]}, index=pd.Index(["p00"], name="patient"))
    pd.testing.assert_frame_equal(mean_over_seeds(table), expected)


def test_an_arm_by_itself_shows_the_spread_of_its_seeds():
    first = patients({"CLAHE": [0.4, 0.8, np.nan], NEITHER: [0.2, 0.5, 0.9]})
    second = patients({"CLAHE": [0.5, 0.9, np.nan], NEITHER: [0.2, 0.5, 0.9]}, 1)
    table = claims.arm_means(pd.concat([first, second]))
    assert table.index.tolist() == [NEITHER, "CLAHE"] and table["trainings"].tolist() == [2, 2]
    assert table.loc["CLAHE", ["mean", "smallest", "largest"]].tolist() == pytest.approx([0.65, 0.6, 0.7])
    # The third patient has no Dice with CLAHE.
    assert table.loc[NEITHER, ["smallest", "largest"]].tolist() == pytest.approx([0.35, 0.35])


def test_what_boxes_cut_off_is_told_in_a_sentence():
    table = patients({"CLAHE": [0.4, 0.8], "slice crop": [0.2, 0.5]})
    assert claims.cut_off(table.assign(lost_px=0)) == "Here no box cuts off any tumour."
    table["lost_px"] = np.where(table["arm"] == "CLAHE", 1, 2)
    assert "20.0% of the tumour at most, in the arm *slice crop*" in claims.cut_off(table)


def test_the_level_of_the_arms_stands_beside_the_study_on_the_same_patients_alone():
    dice = mean_over_seeds(patients({NEITHER: [0.6, 0.7], "CLAHE": [0.7, 0.8]}))
    study = pd.Series({"p00": 0.8, "p01": 0.9, "p02": 0.1})
    assert "of 0.65 to 0.75, and" in claims.level(dice, study) and "reaches 0.85 on these" in claims.level(dice, study)
    assert claims.level(dice, study[["p00"]]) == "The arms reach a mean Dice of 0.65 to 0.75."


def test_effects_are_differences_of_arms_averaged_over_the_other_factor():
    dice = pd.DataFrame(dict(zip(ARMS, [0.1, 0.3, 0.5, 0.2, 0.6, 0.5], strict=True)), index=["a"])
    found = claims.effects(dice).loc["a"]
    assert found[CONTRAST] == pytest.approx((0.1 + 0.3 + 0.0) / 3)
    assert found["CLAHE (slice crop)"] == pytest.approx(0.3) and found["CLAHE (no crop)"] == pytest.approx(0.1)
    assert found["slice crop (over both contrasts)"] == pytest.approx(0.45 - 0.15)
    assert found["patient crop (over both contrasts)"] == pytest.approx(0.5 - 0.15)
    assert found["the article's pipeline (against neither)"] == pytest.approx(0.5)


def arms(shift=0.0, number=18, seeds=3, spread=0.003, slope=0.0):
    """All arms: those with CLAHE lie `shift` higher, by `slope` more from patient to patient.

    What CLAHE and a crop change lies by `spread` above or below that, on as many patients above as below.
    """
    index = np.arange(number)
    base, up_and_down = np.linspace(0.5, 0.8, number), spread * np.resize([1, -1, -1, 1], number)
    scores = {
        arm: base + ("CLAHE" in arm) * (shift + slope * index + up_and_down) + ("crop" in arm) * np.roll(up_and_down, 1)
        for arm in reversed(ARMS)
    }
    return pd.concat([patients({arm: dice.tolist() for arm, dice in scores.items()}, seed) for seed in range(seeds)])


def test_main_effects_stand_first_and_each_family_is_corrected_by_itself():
    table = claims.findings(arms(shift=0.05, spread=0.1)).table()
    assert tuple(table.index[:3]) == MAIN and len(table) == 7
    for rows in (slice(0, 3), slice(3, 7)):
        family = table.iloc[rows]
        np.testing.assert_allclose(family["p_corrected"], statistics.holm(family["p"]))
        assert (family["p_corrected"] > family["p"]).any()


def test_a_main_effect_is_judged_by_its_corrected_p_value(monkeypatch):
    table = arms(shift=0.1)
    monkeypatch.setattr(statistics, "holm", lambda p_values: np.full(len(list(p_values)), 0.06))
    assert "corrected for several questions, p = 0.060" in claims.findings(table).contrast.answer()


@pytest.mark.parametrize(
    ("old", "said"),
    [
        (lambda table: table.drop(columns="fold"), "earlier design"),
        (
            lambda table: table[table["arm"] != PIPELINE],
            "arms CLAHE and patient crop, CLAHE, patient crop, slice crop, neither.",
        ),
        (lambda table: table.replace({"arm": {"CLAHE": "HE"}}), "brainseg experiment claims"),
    ],
)
def test_tables_of_an_earlier_design_are_refused(old, said):
    with pytest.raises(ValueError, match="results/claims") as refused:
        claims.findings(old(arms()))
    assert said in str(refused.value)


def test_differences_are_taken_patient_by_patient_in_the_mean_over_seeds():
    found = claims.findings(arms(shift=0.1, seeds=2, spread=0.0)).contrast.difference
    assert (found.patients, found.better_on) == (18, 18) and found.estimate == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"shift": 0.10}, "a great improvement"),
        ({"shift": 0.03}, "an improvement, but no great one"),
        ({"shift": 0.05}, "an improvement; whether it is a great one, the data cannot tell"),
        ({"shift": -0.10}, "a great loss"),
        ({"shift": -0.03}, "a loss, but no great one"),
        ({"shift": -0.05}, "a loss; whether it is a great one, the data cannot tell"),
        ({"shift": 0.0}, "no change of 0.05 or more"),
        ({"shift": 0.0, "spread": 0.3}, "cannot tell: the 95 % interval includes 0"),
        ({"shift": 0.1, "number": 9}, "cannot tell: too few patients (9"),
        ({"shift": 0.1, "seeds": 2}, "cannot tell: too few trainings (2"),
    ],
)
def test_an_answer_takes_interval_margin_patients_and_trainings(settings, answer):
    found = claims.findings(arms(**settings))
    assert found.contrast.answer().startswith(answer)
    if not found.too_few():
        assert found.contrast.answer() in found.sentences() and found.contrast.answer() in found.conclusion()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seeds": 2}, "Each arm has 2 trainings and 3 are needed, so the data **cannot tell**"),
        ({"seeds": 1}, "Each arm has 1 training and 3 are needed"),
        ({"number": 9}, "Each arm has 9 test patients and 10 are needed, so the data **cannot tell**"),
        ({}, ""),
        ({"spread": 0.3}, ""),
    ],
)
def test_what_there_is_too_little_of_is_said_once(settings, said):
    found = claims.findings(arms(shift=0.1, **settings))
    for text in (found.sentences(), found.conclusion()):
        assert text.startswith(said) and text.count("are needed") == (said != "")
    if said:
        assert found.conclusion().count(":") == 1 and ": CLAHE +0.1" in found.conclusion()


@pytest.mark.parametrize(
    ("settings", "claim", "said"),
    [
        ({"shift": 0.1}, "yes", "greatly here, and the article's claim **holds**"),
        ({"shift": 0.05}, "cannot tell", "these data **cannot tell**"),
        ({"shift": 0.02}, "no", "contrast helps here, but not greatly"),
        ({"shift": -0.02}, "no", "does not raise Dice here but lowers it"),
        ({"shift": -0.1}, "no", "does not raise Dice here but lowers it"),
        ({"shift": 0.0}, "no", "of 0.05 or more, for better or worse, is ruled out"),
        # The 95 % interval reaches beyond, the 90 % interval does not.
        ({"spread": 0.175, "number": 40}, "no", "of 0.05 or more, for better or worse, is ruled out"),
        ({"shift": -0.1, "spread": 0.3}, "no", "cannot tell, but a great improvement is ruled out"),
        ({"shift": 0.03, "spread": 0.3}, "cannot tell", "these data **cannot tell**"),
        ({"shift": 0.1, "seeds": 1}, "cannot tell", "these data **cannot tell**"),
        ({"shift": 0.0, "seeds": 2}, "cannot tell", "these data **cannot tell**"),
        ({"shift": 0.1, "number": 9}, "cannot tell", "these data **cannot tell**"),
    ],
)
def test_the_claim_is_about_contrast_alone(settings, claim, said):
    table = arms(**settings)
    table.loc[table["arm"].str.contains("crop"), "dice"] += 0.2  # what a crop gains is no contrast's merit
    found = claims.findings(table)
    assert found.claim() == claim and said in found.verdict()
    assert ("**does not hold**" in found.verdict()) == (claim == "no")
    assert found.sentences().endswith(found.verdict()) and found.conclusion().endswith(found.verdict())


def test_the_arm_with_the_fewest_trainings_counts():
    table = arms(shift=0.1)
    said = claims.findings(table[(table["arm"] != PIPELINE) | (table["seed"] < 2)]).contrast.answer()
    assert said == "cannot tell: too few trainings (2, and 3 are needed)"


def test_the_crops_have_answers_of_their_own():
    table = arms()
    table.loc[table["arm"].str.contains("slice"), "dice"] += 0.2
    table.loc[table["arm"].str.contains("patient"), "dice"] -= 0.02
    found = claims.findings(table)
    assert [finding.answer() for finding in found.main] == [
        "no change of 0.05 or more", "a great improvement", "a loss, but no great one",
    ]  # fmt: skip
    assert "; the slice crop by +0.2" in found.conclusion() and "; the patient crop by -0.0" in found.conclusion()


def test_the_luck_of_trainings_is_told_by_fold_and_seed():
    table = arms(shift=0.1, seeds=2, spread=0.0)
    table["fold"] = table["patient"].str[1:].astype(int) % 2
    later = table["arm"].str.contains("CLAHE") & (table["seed"] == 1) & (table["fold"] == 1)
    table.loc[later, "dice"] += 0.1
    found = claims.findings(table)
    assert sorted(found.gains) == pytest.approx([0.1, 0.1, 0.1, 0.2])
    assert "(4 sets of 6)" in found.luck() and "between +0.100 and +0.200" in found.luck()
    assert "Each arm has one network" in claims.findings(arms(seeds=1)).luck()


@pytest.mark.parametrize(
    ("slope", "number", "seeds", "said"),
    [
        (-0.01, 18, 3, "dark patients lose less"),
        (0.01, 18, 3, "bright patients gain more"),
        (0.0, 18, 3, "cannot tell whether dark patients gain more"),
        (-0.01, 9, 3, "no pattern can be told"),
        (-0.01, 18, 2, "too few trainings for a verdict (2, and"),
    ],
)
def test_whether_dark_patients_gain_more(slope, number, seeds, said):
    dark = claims.findings(arms(slope=slope, number=number, seeds=seeds)).dark
    assert said in dark.sentence()
    assert (dark.darker > dark.brighter) == (slope < 0) or slope == 0


def test_where_all_gain_or_lose_the_sentence_says_so():
    assert "dark patients gain more" in claims.findings(arms(shift=0.2, slope=-0.01)).dark.sentence()
    assert "bright patients lose less" in claims.findings(arms(shift=-0.2, slope=0.01)).dark.sentence()


def test_one_patient_gives_no_interval():
    found = claims.findings(arms(shift=0.1, number=1))
    assert "one patient, who gives no interval" in found.contrast.sentence() and "nan" not in found.sentences()


def conventions_of(per_slice, per_tumour_slice, nothing):
    names = ["pixel accuracy", "Dice per slice, empty counts as 1", "Dice per tumour slice", "Dice per volume"]
    network = [0.99, per_slice, per_tumour_slice, 0.7]
    rows = [("U-Net", name, name in conventions.HONEST, score) for name, score in zip(names, network, strict=True)]
    rows += [("nothing", name, name in conventions.HONEST, score) for name, score in zip(names, nothing, strict=True)]
    return claims.convention_findings(pd.DataFrame(rows, columns=["predictor", "convention", "honest", "score"]))


def test_empty_slices_lift_a_score_or_do_not():
    lifted = conventions_of(0.9, 0.6, [0.98, 0.65, 0, 0])
    assert lifted.lift == pytest.approx(0.3) and "**do lift**" in lifted.empty_slices()
    assert (
        lifted.beaten == []
        and "by each of the 2 conventions above the line, but by as little as 0.010" in lifted.empty_slices()
    )
    level = conventions_of(0.6, 0.6, [0.98, 0.65, 0, 0])
    assert "do not lift" in level.empty_slices()
    assert level.beaten == ["Dice per slice, empty counts as 1"]
    assert "at least as good as the network by 1 of the 2 conventions above the line" in level.empty_slices()
    assert "from **0.60**" in level.spread() and "1 of the other 3" in level.spread()


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


SETTINGS = claims.Settings(image_size=256, filters=2, epochs=1, slices_per_epoch=4, seeds=2, folds=(0,))


def standing_in(cohort, settings):
    """The plan with a stand-in for each network; nothing is trained."""
    for training in claims.plan(cohort, settings):
        prepared = prepare(cohort.attrs["root"], training.preprocessing)
        yield training, Run(FlairAsProbability(), prepared, training.split, SimpleNamespace(recipe=training.recipe))


def test_the_plan_differs_in_the_arm_and_the_seed_alone(tiny_cohort_once):
    plan = claims.plan(index_cohort(tiny_cohort_once), SETTINGS)
    assert [training.labels["arm"] for training in plan] == [*ARMS] * 2
    assert [training.preprocessing.contrast for training in plan[:6]] == [arm["contrast"] for arm in ARMS.values()]
    assert [training.recipe.seed for training in plan] == [0] * 6 + [1] * 6
    assert len({str(replace(training.recipe, seed=0)) for training in plan}) == 1
    assert all(training.split.equals(plan[0].split) for training in plan)
    assert not plan[0].recipe.augmentation and plan[0].recipe.drop_sequence == 0


def test_the_tables(tiny_cohort_once):
    cohort = index_cohort(tiny_cohort_once)
    made = claims.score(cohort, SETTINGS, standing_in(cohort, SETTINGS))
    split = claims.plan(cohort, SETTINGS)[0].split
    table, scores = made["patients"], made["conventions"]
    tested = cohort.loc[split == "test", "patient"].nunique()
    assert table.groupby(["arm", "seed"], sort=False).size().tolist() == [tested] * 12
    assert (table["tp"] + table["fn"] == table["tumour_px"]).all()
    # Without contrast and crop, the stand-in calls a pixel on the right tumour where FLAIR is 128 or more.
    for row in table[table["arm"] == NEITHER].itertuples():
        images, masks = read_patient(cohort, row.patient)
        bright = images[..., FLAIR] >= 128
        bright[:, :, :128] = False
        assert row.dice == pytest.approx(2 * (bright & masks).sum() / (bright.sum() + masks.sum()))
        assert row.lost_px == 0 and row.mean_flair == pytest.approx(images[..., FLAIR].mean())

    unet = scores[scores["predictor"] == "U-Net"].set_index("convention")["score"]
    first = table[(table["arm"] == PIPELINE) & (table["seed"] == 0)]
    assert unet["Dice per volume"] == pytest.approx(first["dice"].mean())
    assert unet[conventions.CROPPED_BATCH] == 0.4
    assert list(unet.index) == [*CONVENTIONS, conventions.CROPPED_VOLUME, conventions.CROPPED_BATCH]
    by_name = claims.by_predictor(scores)
    assert by_name.index.tolist() == list(CONVENTIONS) and by_name.columns[0] == "U-Net"
    # Three of five slices are empty in each test patient.
    assert by_name.loc["Dice per slice, empty counts as 1", "nothing"] == pytest.approx(3 / 5)
    assert by_name.loc["Dice per volume", "nothing"] == 0
    tumour = cohort.loc[split == "test", "tumour_px"].sum()
    frames = (split == "test").sum() * 256 * 256
    assert by_name.loc["pixel accuracy", "everything"] == pytest.approx(tumour / frames)
    assert by_name.loc["Dice of all pixels pooled", "everything"] == pytest.approx(2 * tumour / (frames + tumour))


def test_the_usual_spot_is_as_large_as_a_middling_tumour_and_looks_at_no_test_slice(tiny_cohort_once):
    cohort = index_cohort(tiny_cohort_once)
    _, run = next(standing_in(cohort, replace(SETTINGS, image_size=32)))
    spot = conventions.trivial_predictions(run)["the usual spot"]
    training = run.prepared.table.iloc[run.rows("train")]
    assert spot[0].sum() == int(training.loc[training["tumour_px"] > 0, "tumour_px"].median())
    assert (spot == spot[0]).all() and len(spot) == len(run.rows("test"))
    assert run.prepared.truth(run.rows("train")).any(axis=0)[spot[0]].all()


def test_the_darkest_training_patient_is_shown_in_every_arm(tiny_cohort_once):
    cohort = index_cohort(tiny_cohort_once)
    images, masks = claims.arms_of_darkest(cohort, fold=0, seed=0, size=64)
    assert list(images) == list(masks) == list(ARMS)
    assert {image.shape for image in images.values()} == {(64, 64, 3)} and all(mask.any() for mask in masks.values())


def test_no_seed_is_no_experiment():
    with pytest.raises(ValueError, match="seeds"):
        claims.Settings(seeds=0)


def test_how_it_was_trained_is_told():
    record = {
        "settings": asdict(SETTINGS), "processor": "the one that scored",
        "cohort": {"patients": 7, "slices": 35},
        "runs": [
            {"arm": arm, "fold": fold, "seed": len(arm), "patients": {"test": 2 + fold}, "processor": f"GPU {fold}",
             "weights": f"{arm} {fold}", "seconds": 15.0}
            for fold in (0, 1) for arm in ("CLAHE", PIPELINE)
        ],
    }  # fmt: skip
    assert claims.described_conventions(record).endswith(
        "one training of the arm *CLAHE and slice crop*, with seed 20. It is scored on the 2 test patients of fold 0."
    )
    said = claims.described(record)
    assert "7 patients, 35 slices; 5 of the patients are tested, in 1 fold." in said
    assert "1 epoch of 4 slices. Each arm has 2 trainings in a fold: 4 trainings, 1.0 minutes together " in said
    assert said.endswith("(2 on GPU 0; 2 on GPU 1).")
