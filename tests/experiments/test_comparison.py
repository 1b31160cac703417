"""What the comparison of the networks says, on tables made by hand: each answer, both ways round."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from brainseg.experiments import comparison
from brainseg.statistics import FEWEST_PATIENTS, Answer, Reason


def dice_of(patients=30):
    rng = np.random.default_rng(0)
    base = 1 - rng.exponential(0.1, patients).clip(0, 1)
    return pd.DataFrame(
        {"unet": base, "resunet": (base + rng.normal(0, 0.02, patients)).clip(0, 1)},
        index=[f"p{number:02d}" for number in range(patients)],
    )


def scored(dice):
    return comparison.ScoredPatients(
        pd.DataFrame(), {model: dice[[model]].set_axis(["dice"], axis=1) for model in dice}
    )


def article_of(**test_dice):
    return pd.DataFrame(
        {"Dice": {(comparison.MODEL_NAMES[model], "test"): value for model, value in test_dice.items()}}
    )


def findings(tested, fresh=None, **settings):
    dice = tested if fresh is None else fresh
    return comparison.findings(
        article_of(unet=0.5, resunet=0.6),
        scored(tested),
        None if fresh is None else scored(fresh),
        dice["unet"],
        **{"trainings": 3, **settings},
    )


def test_intervals_of_networks_and_of_differences_are_both_tried():
    trial = comparison.try_intervals(dice_of(), patients=4)
    assert list(trial.held.index) == ["Dice of U-Net", "Dice of ResUNet", "ResUNet minus U-Net"]
    assert trial.too_narrow and 0.6 < trial.held.min(axis=None) < trial.held.max(axis=None) < 0.95
    many = comparison.try_intervals(dice_of(), patients=200)
    assert many.held.loc["Dice of U-Net", "BCa"] > trial.held.loc["Dice of U-Net", "BCa"] + 0.05


@pytest.mark.parametrize(("lowest", "too_narrow"), [(0.80, True), (0.949, False), (0.96, False)])
def test_an_interval_that_holds_less_often_than_it_says_is_named(lowest, too_narrow):
    held = pd.DataFrame({"percentile": [0.7, 0.9], "BCa": [0.97, lowest]}, index=["Dice of U-Net", "Dice of ResUNet"])
    trial = comparison.Trial(held, observed=30, patients=12)
    assert trial.too_narrow is too_narrow
    assert ("least often for Dice of ResUNet. So" in trial.sentence()) is too_narrow
    assert trial.sentence().startswith("30 patients stand for everyone, and each sample has 12")
    assert "70% to 90%" in trial.sentence() and f"**{lowest:.0%} to 97%**" in trial.sentence()


@pytest.mark.parametrize(
    ("observed", "patients", "why"), [(FEWEST_PATIENTS - 1, 5, "too few to stand"), (30, 1, "no interval to try")]
)
def test_few_patients_do_not_stand_for_everyone_and_a_single_one_has_no_interval(observed, patients, why):
    trial = comparison.try_intervals(dice_of(observed), patients)
    assert trial.held.empty and not trial.too_narrow and why in trial.sentence()


def test_fresh_patients_stand_for_everyone_and_samples_are_as_large_as_the_test_side():
    trial = findings(dice_of(4), dice_of(20)).trial
    assert (trial.observed, trial.patients) == (20, 4) and not trial.held.empty
    trial = findings(dice_of(12)).trial
    assert (trial.observed, trial.patients) == (12, 12)


@pytest.mark.parametrize("turned", [False, True])
def test_faint_tumours_are_set_against_the_others(turned):
    dice = dice_of(40)
    found = comparison.compare_faint(dice["unet"].rank(ascending=not turned), dice)
    lowest = dice["unet"].nlargest(10) if turned else dice["unet"].nsmallest(10)
    assert (found.faint, found.others) == (10, 30)
    assert found.means.loc["faint", "unet"] == pytest.approx(lowest.mean())
    assert found.means.loc["others", "unet"] == pytest.approx(dice["unet"].drop(lowest.index).mean())
    assert found.rank.estimate == pytest.approx(-1 if turned else 1)
    assert f"U-Net {lowest.mean():.2f} against" in found.sentence()
    assert f"is {found.rank.estimate:+.2f} (95 % interval" in found.sentence()


def test_patients_without_a_score_or_a_ring_are_no_part_of_the_faint_and_the_others():
    dice = dice_of(40)
    dice.iloc[0] = np.nan
    found = comparison.compare_faint(dice_of(40)["unet"].drop("p01"), dice)
    assert found.faint + found.others == 38 and found.means.notna().all(axis=None)


def test_few_patients_say_nothing_of_faint_tumours_and_equal_scores_have_no_correlation():
    dice = dice_of(FEWEST_PATIENTS - 1)
    found = comparison.compare_faint(dice["unet"], dice)
    assert found.means.empty and np.isnan(found.rank.estimate) and "9. That is too few" in found.sentence()
    dice = dice_of(20)
    said = comparison.compare_faint(dice["unet"], dice.assign(unet=0.0)).sentence()
    assert "against the 15 others" in said and "correlation" not in said and "nan" not in said


def test_the_unit_that_matters_most_is_named():
    honest = pd.DataFrame({"mean": [0.5, 0.8]}, index=["U-Net", "ResUNet"])
    gap = comparison.widest_gap(article_of(unet=0.55, resunet=0.7), honest)
    assert gap == comparison.UnitGap("ResUNet", 0.7, 0.8)
    assert "most for ResUNet: 0.700 by batch against 0.800" in gap.sentence()
    assert comparison.widest_gap(article_of(unet=0.9, resunet=0.7), honest) == comparison.UnitGap("U-Net", 0.9, 0.5)


def test_fresh_patients_are_the_better_guess_unless_there_are_none():
    found = findings(dice_of(4), dice_of(20))
    tested, fresh = found.tested.loc["U-Net", "mean"], found.fresh.loc["U-Net", "mean"]
    assert f"U-Net {tested:.3f} there, {fresh:.3f} here" in found.fresh_sentence()
    assert "which patients were drawn" in found.fresh_sentence() and "the mean over the 20" in found.fresh_sentence()
    assert "stays locked" in findings(dice_of(12)).fresh_sentence()


def test_where_slices_were_split_the_test_patients_are_not_called_new():
    said = findings(dice_of(4), dice_of(20), on_several_sides=3).fresh_sentence()
    assert "learnt from other slices of the test patients" in said and "which patients were drawn" not in said


def test_results_are_those_of_test_and_fresh_patients():
    results = findings(dice_of(4), dice_of(20)).results()
    assert list(results.columns) == ["on", "model", "patients", "mean", "low", "high", "median", "worst"]
    assert results["on"].tolist() == ["test patients"] * 2 + ["fresh patients"] * 2
    assert results["patients"].tolist() == [4, 4, 20, 20] and results["model"].tolist() == ["U-Net", "ResUNet"] * 2
    assert set(findings(dice_of(12)).results()["on"]) == {"test patients"}


@pytest.mark.parametrize(("shift", "holds"), [(0.1, True), (-0.1, False)])
def test_the_order_is_that_of_the_test_patients(shift, holds):
    tested = dice_of(20).assign(resunet=lambda table: table["unet"] + shift)
    found = findings(tested, dice_of(30).assign(resunet=lambda table: table["unet"] - shift))
    assert found.ranking.article() is holds and found.ranking.patients == 20
    said = found.order_sentences().splitlines()
    assert said[0].startswith("- **ResUNet minus U-Net**") and ("as the article found" in said[-1]) is holds


def test_one_training_each_leaves_the_order_open():
    tested = dice_of(20).assign(resunet=lambda table: table["unet"] + 0.1)
    found = findings(tested, trainings=1)
    assert found.ranking.pairs[0].verdict.reason is Reason.TOO_FEW_TRAININGS
    assert found.ranking.article() is Answer.CANNOT_TELL


def test_networks_with_different_test_slices_are_not_compared():
    runs = {name: SimpleNamespace(rows=lambda part, n=n: np.arange(n)) for name, n in (("unet", 3), ("resunet", 4))}
    with pytest.raises(ValueError, match="different test slices"):
        comparison.score_test_side(runs)


def test_a_bright_tumour_stands_out_and_a_dark_one_does_not(monkeypatch):
    mask = np.zeros((64, 64), bool)
    mask[28:36, 28:36] = True

    def read(table, patient):
        images = np.full((2, 64, 64, 3), 100, np.uint8)
        images[:, mask] = {"bright": 200, "dark": 50}[patient]
        return images, np.stack([mask, np.zeros_like(mask)])

    monkeypatch.setattr(comparison, "read_patient", read)
    monkeypatch.setattr(comparison, "ring_of_brain", lambda image, mask: ~mask)
    found = comparison.how_far_tumours_stand_out(pd.DataFrame(), ["bright", "dark"])
    assert found.to_dict() == {"bright": 1.0, "dark": 0.0}
