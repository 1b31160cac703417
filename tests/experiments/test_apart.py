"""Whether empty slices lift a score: by masks made by hand, each answer both ways round."""

import numpy as np
import pandas as pd
import pytest

from brainseg.experiments import apart


def article_of(with_tumour, overall=0.6):
    return pd.DataFrame({"slices": [4, 2, 2], "Dice": [overall, with_tumour, 0.1]}, index=apart.GROUPS)


def slices_of(hit, quiet):
    """Two slices with tumour and two without; half the tumour is found where `hit`, a false pixel where not quiet."""
    truth, prediction = np.zeros((2, 4, 8, 8), bool)
    truth[:2, 2:4, 2:6] = True
    prediction[:2, 2:4, 2:4] = hit
    prediction[2:, 0, 0] = not quiet
    return truth, prediction


def test_five_rules_by_hand():
    scores = apart.score_rules(*slices_of(hit=True, quiet=True))
    assert scores["IoU on tumour slices only"] == 0.5 and scores["Dice on tumour slices only"] == pytest.approx(2 / 3)
    assert scores["IoU by slice, empty counts as 1"] == 0.75
    assert scores["pixel accuracy"] == pytest.approx(1 - 8 / 256)
    assert list(apart.score_rules(np.zeros((2, 4, 4), bool), np.zeros((2, 4, 4), bool)).values()) == [1, 1, 1]


@pytest.mark.parametrize(("with_tumour", "lifts"), [(0.4, True), (0.8, False)])
@pytest.mark.parametrize("quiet", [True, False])
def test_the_rule_decides_whether_empty_slices_lift(with_tumour, lifts, quiet):
    found = apart.findings(article_of(with_tumour), *slices_of(hit=True, quiet=quiet))
    assert found.by_article is lifts and found.by_slice == (0.25 if quiet else -0.25)
    assert ("shows the lift" in found.article_sentence()) is lifts
    said = found.rule_sentence()
    assert ("empty slices **lift**" in said) is quiet
    assert ("So the rule decides" in said) is (lifts is not quiet)
    assert "slice IoU of **0.50**" in said


def test_one_kind_of_slice_cannot_be_compared():
    truth, prediction = slices_of(hit=True, quiet=True)
    found = apart.findings(article_of(0.4).iloc[:2], truth[:2], prediction[:2])
    assert "cannot be compared" in found.article_sentence() and "nothing can be said" in found.rule_sentence()


def test_each_patient_counts_once():
    slices = pd.DataFrame(
        {
            "model": "unet",
            "patient": ["a", "a", "a", "b", "b"],
            "tumour_px": [9, 9, 9, 9, 0],
            "dice": [1.0, 1.0, 1.0, 0.0, np.nan],
            "tp": [9, 9, 9, 0, 0],
            "hd95_px": [0.0, 0.0, 0.0, 9.0, np.nan],
            "nsd_2px": [1.0, 1.0, 1.0, 0.0, np.nan],
        }
    )
    assert apart.by_patient_table(slices).loc["U-Net", ["patients", "mean"]].tolist() == [2, 0.5]
    table = apart.tumour_slice_table(slices).loc["U-Net"]
    assert (table["slices"], table["mean_dice"], table["missed"]) == (4, 0.75, 0.25)


def test_the_score_chooses_the_best_the_median_and_the_worst_tumour_slice():
    slices = pd.DataFrame(
        {"tumour_px": [5, 5, 0, 5, 5], "dice": [0.4, 0.9, np.nan, 0.1, 0.6]}, index=[30, 31, 32, 33, 34]
    )
    chosen = apart.best_median_worst(slices)
    assert dict(zip(chosen["which"], chosen.index, strict=True)) == {"best": 31, "median": 34, "worst": 33}
    assert apart.best_median_worst(slices.loc[[30]]).index.tolist() == [30, 30, 30]
    assert apart.best_median_worst(slices.loc[[32]]).empty


def test_the_median_and_the_worst_patient_have_titles():
    dice = pd.Series({"a": 0.9, "b": 0.1, "c": 0.5, "d": np.nan})
    titles = apart.median_and_worst(dice)
    assert titles == {"c": "median of 3 test patients by ResUNet", "b": "worst of 3 test patients by ResUNet"}
    assert list(apart.median_and_worst(dice[["a"]]).values()) == ["worst of 1 test patients by ResUNet"]
    assert apart.median_and_worst(dice[["d"]]) == {}
