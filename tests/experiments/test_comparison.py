"""What the comparison of the networks says, on tables made by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from brainseg.experiments import comparison
from brainseg.statistics import FEWEST_PATIENTS


def dice_of(patients=30):
    rng = np.random.default_rng(0)
    base = 1 - rng.exponential(0.1, patients).clip(0, 1)
    return pd.DataFrame(
        {"unet": base, "resunet": (base + rng.normal(0, 0.02, patients)).clip(0, 1)},
        index=[f"p{number:02d}" for number in range(patients)],
    )


def test_intervals_of_networks_and_of_differences_are_both_tried():
    table = comparison.coverage_table(dice_of(), patients=10)
    assert list(table.index) == ["Dice of U-Net", "Dice of ResUNet", "ResUNet minus U-Net"]
    assert table.min(axis=None) > 0.6 and table.max(axis=None) < 0.97
    assert (
        comparison.coverage_table(dice_of(), patients=200).loc["Dice of U-Net", "BCa"]
        > table.loc["Dice of U-Net", "BCa"]
    )
    said = comparison.coverage_sentence(table, 10)
    assert f"{table['BCa'].min():.0%} to {table['BCa'].max():.0%}" in said


def test_one_patient_gives_no_coverage():
    table = comparison.coverage_table(dice_of(1))
    assert table.empty and "too few" in comparison.coverage_sentence(table, 1)


@pytest.mark.parametrize("turned", [False, True])
def test_faint_tumours_are_set_against_the_others(turned):
    dice = dice_of(40)
    order = dice["unet"].rank(ascending=not turned)
    said = comparison.faint_sentence(order, dice)
    rank = "-1.00" if turned else "+1.00"
    assert said.startswith("The 10 patients") and f"is {rank}" in said
    faint = dice["unet"].nlargest(10) if turned else dice["unet"].nsmallest(10)
    assert f"U-Net {faint.mean():.2f} against" in said


def test_few_patients_say_nothing_of_faint_tumours():
    dice = dice_of(FEWEST_PATIENTS - 1)
    assert "too few" in comparison.faint_sentence(dice["unet"], dice)


def test_the_unit_that_matters_most_is_named():
    honest = pd.DataFrame({"mean": [0.5, 0.8]}, index=["U-Net", "ResUNet"])
    article = pd.DataFrame({"Dice": {("U-Net", "test"): 0.55, ("ResUNet", "test"): 0.7}})
    assert "most for ResUNet: 0.700 by batch against 0.800" in comparison.unit_sentence(article, honest)
    article.loc[("U-Net", "test"), "Dice"] = 0.9
    assert "most for U-Net: 0.900 by batch against 0.500" in comparison.unit_sentence(article, honest)


def test_fresh_patients_are_the_better_guess_and_real_ones_cannot_be_drawn():
    tested = pd.DataFrame({"mean": [0.5], "patients": [4]}, index=["U-Net"])
    fresh = pd.DataFrame({"mean": [0.7], "patients": [20]}, index=["U-Net"])
    assert "U-Net 0.500 there, 0.700 here" in comparison.fresh_sentence(tested, fresh)
    assert "stays locked" in comparison.fresh_sentence(tested, None)


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
