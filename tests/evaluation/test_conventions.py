"""Conventions of scoring, with every number derived by hand."""

import numpy as np
import pytest

from brainseg.evaluation import conventions
from brainseg.evaluation.conventions import CONVENTIONS, HONEST, bright_on_flair, count


def mask(number: int) -> np.ndarray:
    """A slice of 10 x 10 pixels whose first `number` pixels are True."""
    return (np.arange(100) < number).reshape(10, 10)


def stack(*numbers: int) -> np.ndarray:
    return np.stack([mask(number) for number in numbers])


# Patient a: two slices with 10 pixels of tumour each, one found whole, one not at all; one empty slice left clean.
# Patient b: one slice with 20 pixels, of which 10 are found; one empty slice with a false alarm of 5 pixels.
PATIENTS = np.array(["a", "a", "a", "b", "b"])
TRUTH = stack(10, 10, 0, 20, 0)
PREDICTION = stack(10, 0, 0, 10, 5)
EXPECTED = {
    # In all, TP 20, FP 5, FN 20, TN 455.
    "pixel accuracy": 475 / 500,
    "Dice of all pixels pooled": 40 / 65,
    "Dice, mean of tumour and background": (40 / 65 + 910 / 935) / 2,
    "IoU, mean of tumour and background": (20 / 45 + 455 / 480) / 2,
    # Slices: Dice 1, 0, empty pair, 2 * 10 / 30, 0.
    "Dice per slice, empty counts as 1": (1 + 0 + 1 + 2 / 3 + 0) / 5,
    "IoU per slice, empty counts as 1": (1 + 0 + 1 + 1 / 2 + 0) / 5,
    "Dice per slice, smoothed by 1": (1 + 1 / 11 + 1 + 21 / 31 + 1 / 6) / 5,
    "Dice per slice, smoothed by 100": (1 + 100 / 110 + 1 + 120 / 130 + 100 / 105) / 5,
    # Fewer than 16 slices are one batch.
    "soft Dice per batch, smoothed by 1": 41 / 66,
    "soft Dice per batch, smoothed by 100": 140 / 165,
    "Dice per tumour slice": (1 + 0 + 2 / 3) / 3,
    # Volumes: a has TP 10, FN 10; b has TP 10, FP 5, FN 10.
    "Dice per volume": (20 / 30 + 20 / 35) / 2,
}


def test_every_convention_has_a_number_by_hand():
    assert EXPECTED.keys() == CONVENTIONS.keys()
    assert set(HONEST) <= EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_convention_gives_the_number_derived_by_hand(name):
    assert CONVENTIONS[name](count(TRUTH, PREDICTION, PATIENTS)) == pytest.approx(EXPECTED[name])


def test_soft_dice_counts_probabilities_and_the_others_cut_them_at_one_half():
    counts = count(mask(4)[None], mask(4)[None] * 0.5, np.array(["a"]))
    assert CONVENTIONS["soft Dice per batch, smoothed by 1"](counts) == pytest.approx((2 * 2 + 1) / (4 + 2 + 1))
    assert CONVENTIONS["Dice per volume"](counts) == 1


def test_batches_hold_sixteen_shuffled_slices():
    # 20 slices make batches of 16 and 4. The prediction is right, so the totals are those of the truth.
    counts = count(stack(*range(20)), stack(*range(20)), np.repeat("a", 20), seed=1)
    assert counts.batches.tp.shape == (2,) and counts.batches.tp.sum() == sum(range(20))
    assert counts.batches.tp[1] != 16 + 17 + 18 + 19


def test_finding_nothing_scores_high_by_some_conventions_and_zero_by_the_honest_ones():
    counts = count(TRUTH, np.zeros_like(TRUTH), PATIENTS)
    assert CONVENTIONS["pixel accuracy"](counts) == pytest.approx(460 / 500)
    assert CONVENTIONS["Dice per slice, empty counts as 1"](counts) == pytest.approx(2 / 5)
    assert [CONVENTIONS[name](counts) for name in HONEST] == [0, 0]


def test_without_tumour_there_is_no_honest_dice():
    counts = count(stack(0, 0), stack(0, 3), np.array(["a", "b"]))
    assert all(np.isnan(CONVENTIONS[name](counts)) for name in HONEST)


def test_the_bright_part_of_the_head():
    flair = np.zeros((1, 20, 20), np.uint8)
    flair[0, 4:16, 4:16] = 100
    flair[0, 8:11, 8:11] = 200
    np.testing.assert_array_equal(bright_on_flair(flair), flair == 200)
    assert not bright_on_flair(np.zeros((1, 4, 4), np.uint8)).any()


def test_batch_size_is_that_of_the_study():
    from brainseg.networks.recipe import Recipe

    assert Recipe().batch_size == conventions.BATCH_SIZE
