"""Networks compared on tables made by hand: each answer, both ways round."""

import numpy as np
import pandas as pd
import pytest

from brainseg.experiments.ranking import by_fold, rank_networks
from brainseg.statistics import Answer, Reason

PATIENTS = 40


def dice_of(**shifts):
    """Scores that differ from a common one by a shift, and by a little that is each network's own."""
    rng = np.random.default_rng(0)
    common = rng.uniform(0.6, 0.9, PATIENTS)
    return pd.DataFrame({name: common + shift + rng.normal(0, 0.005, PATIENTS) for name, shift in shifts.items()})


def test_resunet_that_is_shown_to_be_better_than_each_is_best():
    ranking = rank_networks(dice_of(fcn32=0, unet=0, resunet=0.05), trainings=3)
    assert ranking.article() is True and ranking.best == "ResUNet"
    assert "as the article found" in ranking.sentence() and ranking.answer_to_article().startswith("**yes**")
    by_label = {pair.label: pair for pair in ranking.pairs}
    assert list(by_label) == ["ResUNet minus U-Net", "ResUNet minus FCN-32", "U-Net minus FCN-32"]
    assert by_label["ResUNet minus U-Net"].verdict.direction == 1
    assert by_label["U-Net minus FCN-32"].verdict.answer is Answer.EQUIVALENT


def test_another_network_that_is_better_refutes_it():
    ranking = rank_networks(dice_of(fcn32=0, unet=0.05, resunet=0), trainings=3)
    assert ranking.article() is False and ranking.best == "U-Net"
    assert "does not hold here" in ranking.sentence()
    said = "U-Net is shown to be better than ResUNet and FCN-32 is equivalent to ResUNet within 0.02"
    assert ranking.answer_to_article() == f"**no** ({said})" and said in ranking.sentence()
    assert ranking.pairs[0].verdict.direction == -1 and "-0.05" in ranking.pairs[0].sentence()


def test_with_an_equivalent_network_it_is_not_shown():
    ranking = rank_networks(dice_of(fcn32=-0.1, unet=0, resunet=0), trainings=3)
    assert ranking.pairs[0].verdict.answer is Answer.EQUIVALENT
    assert ranking.article() is Answer.EQUIVALENT and "**not shown** that ResUNet" in ranking.sentence()
    said = f"{ranking.best} has the highest mean, and U-Net is equivalent to ResUNet within 0.02"
    assert ranking.answer_to_article() == f"**not shown** ({said})"


@pytest.mark.parametrize("trainings", [1, 2])
def test_with_few_trainings_it_cannot_be_told(trainings):
    ranking = rank_networks(dice_of(fcn32=0, unet=0, resunet=0.2), trainings=trainings)
    assert {pair.verdict.reason for pair in ranking.pairs} == {Reason.TOO_FEW_TRAININGS}
    assert ranking.article() is Answer.CANNOT_TELL and "cannot tell" in ranking.sentence()
    assert ranking.answer_to_article() == "**cannot tell** (ResUNet has the highest mean)"


def test_with_few_patients_it_cannot_be_told():
    ranking = rank_networks(dice_of(fcn32=0, unet=0, resunet=0.2).head(9), trainings=3)
    assert {pair.verdict.reason for pair in ranking.pairs} == {Reason.TOO_FEW_PATIENTS}
    assert "too few patients (9" in ranking.pairs[0].sentence()


def test_only_patients_that_all_networks_have_count():
    dice = dice_of(unet=0, resunet=0.1)
    dice.loc[:9, "unet"] = np.nan
    ranking = rank_networks(dice, trainings=3)
    assert ranking.patients == PATIENTS - 10 == ranking.table().loc["ResUNet minus U-Net", "patients"]
    assert ranking.means["U-Net"] == pytest.approx(dice["unet"].mean())


def test_a_single_patient_gives_a_difference_and_no_interval():
    ranking = rank_networks(dice_of(unet=0, resunet=0.1).head(1), trainings=3)
    assert "interval" not in ranking.pairs[0].sentence() and "better on 1 of 1" in ranking.pairs[0].sentence()


@pytest.mark.parametrize("dice", [dice_of(unet=0), dice_of(unet=0, resunet=0).assign(unet=np.nan)])
def test_nothing_to_compare_is_an_error(dice):
    with pytest.raises(ValueError, match="nothing to compare"):
        rank_networks(dice, trainings=3)


def test_folds_and_the_patient_who_counts_most_are_told():
    dice = pd.DataFrame({"unet": 0.7, "resunet": [0.71] * 9 + [0.95]}, index=[f"P{n}" for n in range(10)])
    fold = pd.Series(np.arange(10) // 2, index=dice.index)
    said = by_fold(dice, fold)
    # The means of the folds are 0.01 four times and 0.13: their mean is 0.034, its standard error 0.024.
    assert "the 5 folds" in said and "-0.017 to +0.085 (by t), not within" in said
    assert "without P9 (+0.25) the mean difference is +0.010" in said
    assert "+0.009 to +0.011 (by t), within" in by_fold(dice.assign(resunet=0.71 + 0.001 * (fold % 2 - 0.4)), fold)
    assert by_fold(dice, fold.clip(upper=1)) == ""
