"""Intervals over patients and over slices, told both ways round, and a patch of false alarms."""

import numpy as np
import pytest

from brainseg.experiments.averaging import UnitFinding, patch_elsewhere, unit_finding
from brainseg.metrics import confusion, dice
from brainseg.statistics import Interval, bootstrap_interval


def test_alike_slices_make_the_honest_interval_wider():
    rng = np.random.default_rng(0)
    patients = np.repeat([f"P{number:02d}" for number in range(12)], 20)
    values = np.repeat(rng.uniform(0.3, 0.9, 12), 20) + rng.normal(0, 0.01, 240)
    found = unit_finding(values, patients)
    assert (found.patients, found.slices) == (12, 240)
    assert found.over_slices == bootstrap_interval(values)
    assert tuple(found.over_patients) == pytest.approx(bootstrap_interval(values.reshape(12, 20).mean(axis=1)))
    assert found.ratio > 3 and f"{found.ratio:.1f} times as wide" in found.sentence()


def test_patients_weigh_alike_however_many_slices_they_have():
    found = unit_finding(np.array([1, 1, 1, 0.0]), np.array(["a", "a", "a", "b"]))
    assert (found.over_patients.estimate, found.over_slices.estimate) == (0.5, 0.75)


@pytest.mark.parametrize(
    ("patients", "over_slices", "said", "unsaid"),
    [
        (1, Interval(0.5, 0.4, 0.6), "no interval to give", "times"),
        (9, Interval(0.5, 0.4, 0.6), "2.0 times as wide", "chance"),
        (9, Interval(0.5, 0.1, 0.9), "no wider, which is chance", "times as wide"),
        (9, Interval(0.5, 0.5, 0.5), "give 0.500 to 0.500.", "wide"),
    ],
)
def test_the_two_intervals_are_compared(patients, over_slices, said, unsaid):
    sentence = UnitFinding(Interval(0.5, 0.3, 0.7), over_slices, patients, 90).sentence()
    assert said in sentence and unsaid not in sentence


def test_a_patch_elsewhere_has_the_same_dice_as_a_rim():
    mask = np.zeros((40, 60), bool)
    mask[10:20, 5:15] = True
    patch = patch_elsewhere(mask, 44)
    assert patch.sum() == 44 and not (patch & mask).any()
    assert patch[:, 30:].sum() == 44 and patch[14:16, 49:51].all()  # round the mirrored centre
    rim = mask.copy()
    rim[9:21, 4:16] = True
    assert rim.sum() - mask.sum() == 44
    assert dice(confusion(mask, mask | patch), empty=np.nan) == dice(confusion(mask, rim), empty=np.nan)


def test_a_patch_beside_a_mask_on_the_midline_does_not_touch_it():
    mask = np.zeros((20, 21), bool)
    mask[8:12, 8:13] = True
    patch = patch_elsewhere(mask, 30)
    assert patch.sum() == 30 and not (patch & mask).any()
