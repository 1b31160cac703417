"""What is said of the bridges and units of a trained network, both ways round."""

import pytest

from brainseg.experiments.inside import BridgeFinding, UnitFinding


@pytest.mark.parametrize(
    ("ratios", "told", "answered"),
    [
        (
            (1.4, 4.9),
            "So these units do not merely correct: what each adds outweighs",
            "which is more than a correction.",
        ),
        ((0.2, 0.9), "So these units correct: what each adds is no larger", "which is a correction."),
        ((0.2, 1.0), "So these units correct", "which is a correction."),
        ((0.2, 1.04), "So these units correct", "which is a correction."),  # as printed, it is as large
        ((0.2, 1.1), "So 1 of 2 units do not merely correct", "which in some units is more than a correction."),
    ],
)
def test_whether_what_units_add_is_a_correction_follows_its_size(ratios, told, answered):
    units = UnitFinding(dict(zip(("unit1", "unit2"), ratios, strict=True)))
    assert told in units.sentence() and "the straight way for the gradient" in units.sentence()
    assert f"largest, relative to its shortcut, in `unit2` ({ratios[1]:.1f} times" in units.sentence()
    assert f"{ratios[0]:.1f} times (`unit1`) to {ratios[1]:.1f} times (`unit2`) as much" in units.answer()
    assert units.answer().endswith(answered)


def test_bridges_matter_where_a_cut_lowers_the_dice():
    assert "of 0.30 to 0.90 with one of them cut" in BridgeFinding(0.9, {"one": 0.3, "other": 0.9}).answer()
    assert "does not show that its bridges do it" in BridgeFinding(0.9, {"one": 0.9, "other": 0.95}).answer()
