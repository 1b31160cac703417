"""Phantoms drawn otherwise: what changes, what stays, and who judges which network."""

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers import write_cohort

from brainseg import results
from brainseg.cohort import FLAIR, index_cohort
from brainseg.data import phantom_table, prepare_phantom
from brainseg.experiments import ablation, phantoms, steering, synthetic
from brainseg.experiments.changes import change_named
from brainseg.experiments.ingredients import (
    BORDER_PX,
    CHANGES,
    INGREDIENTS,
    NARROWER,
    WIDE,
    WIDER,
    _own_draws,
)
from brainseg.experiments.literature import LITERATURE
from brainseg.experiments.plan import PHANTOM, Phantom
from brainseg.figures import synthetic as figures
from brainseg.images.preprocess import Preprocessing
from brainseg.phantom.anatomy import load_head
from brainseg.phantom.cohort import draw_patient
from brainseg.phantom.plan import plan_cohort
from brainseg.statistics import Answer, Reason


@pytest.fixture(scope="module")
def drawn():
    """A planned patient with a cyst, and the drawing with its tissues."""
    plans, _ = plan_cohort(12, 0)
    plan = replace(next(plan for plan in plans if plan.cyst), slices=8)
    return plan, draw_patient(plan, load_head(), truth=True)


def test_a_changed_phantom_is_another_cohort_and_the_study_s_own_is_not():
    own = phantom_table(3, 5)
    assert phantom_table(3, 5, change_named("")).attrs["fingerprint"] == own.attrs["fingerprint"]
    prints = {phantom_table(3, 5, change_named(name)).attrs["fingerprint"] for name in CHANGES}
    assert len(prints) == len(CHANGES) and own.attrs["fingerprint"] not in prints


def test_an_unknown_change_is_named_with_those_that_there_are():
    with pytest.raises(
        ValueError, match='no phantom is called "no hair": choose from wide ranges.* one scanner, from the literature'
    ):
        change_named("no hair")


@pytest.mark.parametrize("name", [name for name in INGREDIENTS if INGREDIENTS[name].planned])
def test_one_ingredient_is_taken_out_of_the_plan_and_nothing_else(name):
    plans, _ = plan_cohort(24, 0)
    changed = [CHANGES[name].planned(plan) for plan in plans]
    assert changed != plans
    same = {
        "no shading": "institution", "no noise": "institution", "no cysts or rims": "cyst enhancement",
        "one contrast": "conspicuity", "one size": "volume_ml", "round tumours": "growth",
        "one scanner": "institution missing",
    }[name].split()  # fmt: skip
    for plan, other in zip(plans, changed, strict=True):
        assert replace(other, **{field: getattr(plan, field) for field in same}) == plan
        # A second time nothing is left to take out.
        assert CHANGES[name].planned(other) == other


def test_wide_ranges_keep_names_and_draw_the_same_again():
    plans, _ = plan_cohort(24, 0)
    wide = [CHANGES[WIDE].planned(plan) for plan in plans]
    assert [plan.name for plan in wide] == [plan.name for plan in plans]
    assert wide == [CHANGES[WIDE].planned(plan) for plan in plans]
    assert np.ptp([plan.slices for plan in wide]) > np.ptp([plan.slices for plan in plans])
    for field in ("brightness", "noise"):
        ends = np.array([[getattr(plan.institution, field) for plan in both] for both in (plans, wide)])
        assert np.ptp(ends[1, 0]) > np.ptp(ends[0], axis=1).max()
    assert {plan.missing for plan in wide} == {""} and {plan.missing for plan in plans} != {""}


def test_a_border_moves_by_two_pixels(drawn):
    plan, drawing = drawn
    wider, narrower = (CHANGES[name].drawn(plan, drawing) for name in (WIDER, NARROWER))
    for other in (wider, narrower):
        assert np.array_equal(other.images, drawing.images)
    largest = drawing.masks.sum(axis=(1, 2)).argmax()
    outside = cv2.distanceTransform((~drawing.masks[largest]).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    added = wider.masks[largest] & ~drawing.masks[largest]
    assert BORDER_PX <= outside[added].max() < BORDER_PX + 1 and wider.masks[largest][drawing.masks[largest]].all()
    inside = cv2.distanceTransform(drawing.masks[largest].astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    lost = drawing.masks[largest] & ~narrower.masks[largest]
    assert BORDER_PX <= inside[lost].max() < BORDER_PX + 1 and not (narrower.masks & ~drawing.masks).any()


def test_without_a_skull_the_brain_stays_and_the_scalp_goes(drawn):
    plan, drawing = drawn
    bare = CHANGES["no skull"].drawn(plan, drawing)
    assert np.array_equal(bare.masks, drawing.masks)
    kept = bare.images.any(axis=-1)
    assert np.array_equal(bare.images[kept], drawing.images[kept])
    brightest = np.percentile(drawing.images[..., FLAIR][drawing.images[..., FLAIR] > 0], 99)
    scalp = (drawing.images[..., FLAIR] >= brightest) & ~drawing.masks
    assert not kept[scalp].mean() > 0.1
    assert kept[drawing.masks].all()


def test_other_levels_leave_the_outline_and_change_the_tissues(drawn):
    plan, drawing = drawn
    other = CHANGES[WIDE].drawn(plan, drawing)
    assert np.array_equal(other.masks, drawing.masks) and other.images.dtype == np.uint8
    means = []
    for images in (drawing.images, other.images):
        means.append(
            [images[..., 0][(drawing.tissue == label) & ~drawing.masks].mean() for label in np.unique(drawing.tissue)]
        )
    ratio = np.divide(*map(np.array, means[::-1]))
    assert np.ptp(ratio[np.isfinite(ratio)]) > 0.2
    # What a reader draws leaves no trace in the picture.
    unread = CHANGES[WIDE].drawn(plan, replace(drawing, masks=np.zeros_like(drawing.masks)))
    assert np.array_equal(unread.images, other.images)


def test_wide_ranges_and_levels_are_drawn_apart(drawn):
    plan, _ = drawn
    assert _own_draws(plan, 100).random() != _own_draws(plan, 101).random()


def test_a_changed_phantom_is_prepared_like_the_own(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path))
    settings = Preprocessing(image_size=32)
    own, wider = (prepare_phantom(1, 3, settings, change_named(name)) for name in ("", WIDER))
    assert np.array_equal(own.images, wider.images)
    assert wider.table["tumour_px"].sum() > own.table["tumour_px"].sum()
    assert len(Phantom(1, 3, WIDER).table()) == len(wider.table)


# ---------------------------------------------------------------- the experiment


@pytest.fixture
def cohort(tmp_path):
    names = [f"TCGA_AA_{number:04d}_20000101" for number in range(1, 5)]
    return index_cohort(write_cohort(tmp_path / "real", names, slices=2))


def test_the_study_s_phantom_is_trained_as_for_the_reference_edition(cohort):
    plan = phantoms.plan(cohort, phantoms.Settings())
    assert len(plan) == 9 + 15 == len({training.folder(cohort) for training in plan})
    own = {training.folder(cohort) for training in synthetic.plan(cohort, synthetic.Settings(models=("unet",)))}
    assert own < {training.folder(cohort) for training in plan}
    assert {training.phantom.patients for training in plan} == {PHANTOM.patients}


def test_an_ablation_has_the_whole_phantom_and_one_training_without_each_ingredient(cohort):
    plan = ablation.plan(cohort, ablation.Settings())
    assert [training.labels["phantom"] for training in plan] == 3 * [phantoms.OWN, *INGREDIENTS]
    assert len({training.folder(cohort) for training in plan}) == len(plan)
    whole = {training.folder(cohort) for training in phantoms.plan(cohort, phantoms.Settings())}
    assert [training.folder(cohort) in whole for training in plan] == 3 * [
        True,
        *(name == phantoms.STEP for name in INGREDIENTS),
    ]


def test_ingredients_are_asked_of_the_development_patients_alone(cohort, monkeypatch):
    names = sorted(cohort["patient"].unique())

    def score_real(run, root, patients):
        columns = {name: 1.0 for name in synthetic.VOLUME_COLUMNS if name != "patient"}
        return pd.DataFrame({"patient": sorted(patients), **columns}).set_index("patient")

    def scored(module, settings):
        return module.score(cohort, settings, ((t, None) for t in module.plan(cohort, settings)))["patients"]

    monkeypatch.setattr(synthetic, "score_real", score_real)
    for module in (ablation, synthetic):
        monkeypatch.setattr(module, "development_patients", lambda: pd.DataFrame({"patient": names[:1]}))
    judged = scored(phantoms, phantoms.Settings(cohorts=(7, 8), seeds=(0, 1)))
    steered = scored(ablation, ablation.Settings(seeds=(0,)))
    assert set(judged["patient"]) == set(names[1:]) and set(steered["patient"]) == set(names[:1])
    assert set(judged["phantom"]) == {phantoms.OWN, *phantoms.OTHERS}
    assert set(steered["phantom"]) == {phantoms.OWN, *INGREDIENTS}
    assert set(zip(steered["cohort"], steered["seed"], strict=True)) == {(PHANTOM.seed, 0)}
    without = phantoms.Settings(cohorts=(7,), others=(), seeds=(0,))
    assert set(scored(phantoms, without)["phantom"]) == {phantoms.OWN}


def test_settings_without_what_others_stand_beside_are_refused():
    with pytest.raises(ValueError, match="cohorts has no 7"):
        phantoms.Settings(cohorts=(8,))
    with pytest.raises(ValueError, match="others has 'no skull'"):
        phantoms.Settings(others=("no skull",))


# ---------------------------------------------------------------- what a table says


def table_of(wide, own=0.7, seeds=(0, 1, 2), patients=30):
    """Scores of two phantoms on one cohort, and of the study's on another, which taught little."""
    rng = np.random.default_rng(0)
    spread = rng.normal(0, 0.1, patients)
    rows = []
    for name, number, mean in ((phantoms.OWN, PHANTOM.seed, own), (phantoms.OWN, 8, 0.1), (WIDE, PHANTOM.seed, wide)):
        for seed in seeds:
            reached = np.clip(mean + spread + rng.normal(0, 0.01, patients), 0, 1)
            rows += [
                {"phantom": name, "cohort": number, "seed": seed, "patient": f"P{index}", "dice": value}
                for index, value in enumerate(reached)
            ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("wide", "direction"), [(0.6, -1), (0.8, 1)])
def test_another_phantom_is_worse_or_better_than_the_study_s(wide, direction):
    other, found = phantoms.findings(table_of(wide))
    assert (other.name, other.verdict.direction) == ("another cohort (seed 8)", -1) and other.mean < 0.2
    assert (found.name, found.verdict.answer, found.verdict.direction) == (WIDE, Answer.DIFFERENCE, direction)
    assert found.mean - found.difference.estimate == pytest.approx(0.7, abs=0.05)  # and not of the other cohort


def test_each_phantom_has_a_column_of_dice():
    table = table_of(0.6)
    dice = phantoms.dice_by_phantom(table)
    assert list(dice) == [phantoms.OWN, "another cohort (seed 8)", WIDE] and len(dice) == 30
    first = table[(table["phantom"] == WIDE) & (table["patient"] == "P0")]["dice"]
    assert dice.loc["P0", WIDE] == pytest.approx(first.mean())


def test_a_patient_without_tumour_is_left_out():
    table = table_of(0.6)
    table.loc[table["patient"] == "P0", "dice"] = np.nan
    assert len(phantoms.dice_by_phantom(table)) == 29 and phantoms.findings(table)[0].difference.patients == 29


def test_trainings_are_compared_seed_by_seed():
    table = table_of(0.6)
    of_wide = table["phantom"] == WIDE
    table.loc[of_wide & (table["seed"] == 1), "dice"] -= 0.05
    _, found = phantoms.findings(table)
    means = table.groupby(["phantom", "cohort", "seed"])["dice"].mean()
    each = means[WIDE, PHANTOM.seed] - means[phantoms.OWN, PHANTOM.seed]
    assert (found.lowest, found.highest) == pytest.approx((each.min(), each.max()))
    assert found.lowest < found.difference.estimate < found.highest


@pytest.mark.parametrize(
    "lacks", ["phantom == 'wide ranges' and seed == 2", "phantom == 'wide ranges' and seed == 2 and patient == 'P0'"]
)
def test_a_table_that_lacks_a_training_or_a_score_is_refused(lacks):
    table = table_of(0.6)
    with pytest.raises(ValueError, match="lacks a training"):
        phantoms.findings(table.drop(table.query(lacks).index))


def test_another_phantom_may_be_as_good_and_two_trainings_cannot_tell():
    _, found = phantoms.findings(table_of(0.7))
    assert found.verdict.answer is Answer.EQUIVALENT and found.row()["p"] != "-"
    _, found = phantoms.findings(table_of(0.7, seeds=(0, 1)))
    assert found.verdict.reason is Reason.TOO_FEW_TRAININGS and found.row()["p"] == "-"


def test_a_table_to_read_begins_with_the_study_s_and_goes_from_loss_to_gain():
    table = table_of(0.8)
    table.loc[(table["phantom"] == WIDE) & table["patient"].isin(["P0", "P1"]), "dice"] = 0.05
    rows = phantoms.as_table(table)
    assert rows["phantom"].tolist() == [phantoms.OWN, "another cohort (seed 8)", WIDE]
    dice = phantoms.dice_by_phantom(table)
    assert rows["mean Dice"].tolist() == [f"{mean:.3f}" for mean in dice.mean()]
    assert rows["not found"].tolist()[::2] == [0, 2]
    difference = dice[WIDE].mean() - dice[phantoms.OWN].mean()
    assert rows["difference (95 %)"].iloc[0] == "-"
    assert rows["difference (95 %)"].iloc[2].startswith(f"{difference:+.3f} (")
    better = (dice[WIDE] > dice[phantoms.OWN]).sum()
    assert rows["better on"].iloc[[0, 2]].tolist() == ["-", f"{better} of 30"]
    alone = phantoms.as_table(table.query("phantom == @phantoms.OWN and cohort == @PHANTOM.seed"))
    assert alone["phantom"].tolist() == [phantoms.OWN]


def test_where_it_comes_from_is_told():
    runs = [
        {"processor": "a GPU", "weights": str(number), "phantom": name, "seconds": 20.0}
        for number, name in enumerate(3 * [phantoms.OWN, WIDE, phantoms.STEP])
    ]
    patients = pd.DataFrame({"patient": ["a", "b", "a"], "phantom": [phantoms.OWN, phantoms.OWN, WIDE]})
    said = phantoms.described(patients, {"settings": {"seeds": [0, 1, 2]}, "runs": runs})
    assert said == (
        "U-Net was trained on 160 simulated patients of each phantom, by the study's recipe, 3 times: 6 trainings, 2.0 "
        "minutes on a GPU. Each network is scored on the same 2 real patients."
    )
    assert ", once: " in phantoms.described(patients, {"settings": {"seeds": [4]}, "runs": runs})


def test_each_phantom_stands_beside_the_threshold_of_the_same_patients():
    table = table_of(0.6)
    flat = table.groupby("patient")["dice"].mean().mul(0).add(0.35)
    means = phantoms.dice_by_phantom(table).mean() - 0.35
    assert phantoms.threshold_sentence(table, flat) == (
        f"Beside the flat threshold, which was chosen on the study's phantom, U-Net gains {means.min():+.3f} to "
        f"{means.max():+.3f} after the 3 phantoms. The interval of 2 lies above 0; these are not corrected, and the "
        "one rule is not asked."
    )
    assert "The interval of each lies above 0;" in phantoms.threshold_sentence(table, flat - 0.35)
    with pytest.raises(ValueError, match="Some values are missing"):
        phantoms.threshold_sentence(table, flat.drop("P0"))


def test_the_kept_threshold_was_scored_on_the_patients_of_the_kept_phantoms():
    others, _ = phantoms.questions(results.read_table("phantoms", "patients"))
    said = phantoms.threshold_sentence(others, phantoms.flat_threshold())
    assert f"the {1 + 2 + len(set(phantoms.OTHERS) - {phantoms.STEP})} phantoms" in said


def test_phantoms_are_told_by_their_names_where_they_have_no_other():
    said = phantoms.sentence(phantoms.findings(table_of(0.7)), {"another cohort (seed 8)": "a poor one"}, "after")
    assert said == "U-Net does worse after *a poor one*. U-Net does as well (within 0.03) after *wide ranges*."


def test_the_step_is_judged_by_itself_and_beside_what_it_stepped_from():
    table = table_of(0.6)
    step = table[table["phantom"] == WIDE].assign(phantom=phantoms.STEP)
    others, judged = phantoms.questions(pd.concat([table, step]))
    pd.testing.assert_frame_equal(others, table)
    assert set(zip(judged["phantom"], judged["cohort"], strict=True)) == {
        (phantoms.OWN, PHANTOM.seed), (phantoms.STEP, PHANTOM.seed),
    }  # fmt: skip
    alone = table_of(0.8, patients=20).assign(phantom=lambda rows: rows["phantom"].replace(WIDE, phantoms.STEP))
    said = phantoms.step_sentences(alone, judged)
    steered, means = phantoms.dice_by_phantom(alone).mean(), phantoms.dice_by_phantom(judged).mean()
    chosen, others = said.splitlines()
    told = "mean Dice {:.3f} instead of {:.3f}"
    assert (
        "**20 development patients" in chosen and told.format(steered[phantoms.STEP], steered[phantoms.OWN]) in chosen
    )
    assert "**30 other patients" in others and told.format(means[phantoms.STEP], means[phantoms.OWN]) in others
    assert chosen.endswith("The data show a difference.") and others.endswith(
        phantoms.findings(judged)[0].verdict.sentence
    )


def test_the_step_is_what_the_development_patients_like_best():
    found = phantoms.in_order(phantoms.findings(results.read_table("ablation", "patients")))
    assert found[-1].name == phantoms.STEP


def test_the_best_without_an_ingredient_is_named_and_is_no_step_where_it_gains_nothing():
    table = table_of(0.8).query("cohort == @PHANTOM.seed")
    named = table.assign(phantom=table["phantom"].replace(WIDE, "no noise"))
    assert ablation.best_sentence(named).startswith("After *no noise* ")
    assert "that would be a step forward (+0.09" in ablation.best_sentence(named)
    worse = table_of(0.6).query("cohort == @PHANTOM.seed").replace({"phantom": {WIDE: "no noise"}})
    assert "that would not be a step forward (-0.1" in ablation.best_sentence(worse)


def test_what_matters_is_told_with_the_greatest_loss_first():
    others = table_of(0.7)
    both = table_of(0.6).query("cohort == @PHANTOM.seed").replace({"phantom": {WIDE: "no skull"}})
    said = ablation.conclusion(both, others)
    assert said.startswith("On 30 development patients, U-Net is shown to do worse without 1 of 1 ingredients of the ")
    assert "most of all without the skull (-0.1" in said and "; after a phantom of wider ranges, " in said
    drawn = pd.concat([others, others[others["phantom"] == WIDE].assign(phantom=LITERATURE)])
    mean = others.loc[others["phantom"] == WIDE, "dice"].mean()
    assert f"; after one whose tissues have published relaxation times, {mean:.3f}, which is " in ablation.conclusion(
        both, drawn
    )
    few = ablation.conclusion(both[both["seed"] == 0], others)
    told = "none of 1 ingredients of the phantom is shown to be missed by an amount that may matter. On 30 others its"
    none = f"On 30 development patients, {told}"
    assert few.startswith(f"{none} ")
    better = table_of(0.8).query("cohort == @PHANTOM.seed").replace({"phantom": {WIDE: "no skull"}})
    fitted = ablation.conclusion(better, others[others["phantom"] != WIDE])
    assert fitted.startswith(f"{none} mean Dice is 0.") and ";" not in fitted


def test_the_verdict_of_those_who_chose_is_corrected_with_what_they_did_not_choose():
    own = table_of(0.7, patients=12).query("phantom == @phantoms.OWN and cohort == @PHANTOM.seed")
    # Two of twelve do worse, by as much as the others do better.
    gains = own["patient"].map(lambda name: -0.03 if name in ("P0", "P1") else 0.03)
    chosen = pd.concat([own, own.assign(phantom=phantoms.STEP, dice=own["dice"] + gains)])
    nothing = [own.assign(phantom=f"no {number}") for number in range(30)]
    alone = phantoms.step_sentences(chosen, chosen).splitlines()
    among = phantoms.step_sentences(pd.concat([chosen, *nothing]), chosen).splitlines()
    assert alone[1] == among[1]
    assert "The data show a difference" in alone[0] and "The two are equivalent" in among[0]


def test_without_the_step_a_sentence_stands_in_its_place():
    _, step = phantoms.questions(table_of(0.6))
    assert "no network of the phantom with no shading" in phantoms.step_sentences(table_of(0.6), step)


def test_an_interval_beyond_0_without_a_verdict_is_explained():
    table = table_of(0.6)
    own = table.query("phantom == @phantoms.OWN and cohort == @PHANTOM.seed")
    # A few patients carry the mean, so the p value is large beside the interval; others correct it further.
    wide = own.assign(phantom=WIDE, dice=own["dice"] - 0.2 * own["patient"].isin([f"P{number}" for number in range(5)]))
    found = phantoms.findings(pd.concat([own, wide, *(own.assign(phantom=f"no {number}") for number in range(4))]))
    (each,) = (one for one in found if one.name == WIDE)
    assert each.difference.high < 0 and each.verdict.reason is Reason.P_TOO_LARGE
    assert phantoms.sentence(found, {}, "after").endswith(
        f"(The interval of *wide ranges* lies below 0, but it is not corrected. By itself p is "
        f"{each.difference.p_value:.3f}, after correction for all rows {each.p_corrected:.3f}. The median difference "
        f"is {each.difference.median:+z.3f}.)"
    )


def test_two_phantoms_can_stand_beside_each_other():
    table = table_of(0.6)
    means = phantoms.dice_by_phantom(table).mean()
    said = phantoms.pair_sentence(table, WIDE, phantoms.OWN)
    assert f"minus that after *{phantoms.OWN}* is {means[WIDE] - means[phantoms.OWN]:+.3f} (95 %" in said


def test_every_ingredient_is_told():
    assert list(ablation.TOLD) == list(INGREDIENTS)
    assert ablation.ingredients()["phantom"].tolist() == list(INGREDIENTS)


def test_ingredients_are_told_by_what_the_data_show():
    parts = [table_of(mean).query("cohort == @PHANTOM.seed") for mean in (0.6, 0.8, 0.7, 0.72)]
    names = ("no skull", "no noise", "one size", "one scanner")
    named = [part.replace({"phantom": {WIDE: name}}) for part, name in zip(parts, names, strict=True)]
    table = pd.concat([named[0], *(part.query("phantom != @phantoms.OWN") for part in named[1:])])
    assert ablation.sentence(table) == (
        "U-Net does worse without *the skull*. U-Net does as well (within 0.03) without *sizes of many kinds*. U-Net "
        "does better, by less than 0.03, without *several scanners*. U-Net does better without *noise*."
    )
    assert ablation.sentence(table[table["seed"] < 2]) == (
        "The data cannot tell (too few trainings) about *the skull*, *sizes of many kinds*, *several scanners*, "
        "*noise*."
    )


def test_steps_are_told_and_the_rule_goes_by_their_dice():
    steps = steering.read_steps()
    shown = steering.as_table(steps)
    assert shown["from"].lt(shown["to"]).all() and shown["step"].tolist() == list(range(len(steps)))
    assert steering.sentences(steps).count("\n- **Step") == len(steps) - 1
    table = pd.DataFrame({"step": [0, 1, 2], "change": "a", "model": "unet", "epochs": 3, "mean": [0.5, 0.4, 0.45]})
    assert steering.sentences(table).startswith("- **Step 0:** a (U-Net, 3 epochs).\n- **Step 1:** a")
    assert "Of the 2 steps, none is above step 0." in steering.sentences(table)
    table.loc[2, "mean"] = 0.6
    assert "step 2 is above step 0." in steering.sentences(table)


def test_the_figure_has_a_row_for_each_phantom(drawn):
    _, drawing = drawn
    figure = figures.phantoms([(drawing.images[:3], drawing.masks[:3])] * 2)
    assert len(figure.axes) == 6 and all(len(ax.images) == 1 for ax in figure.axes)
