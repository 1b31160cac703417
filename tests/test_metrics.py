"""Metrics: numbers derived by hand on drawn masks, brute force for borders, properties on random masks."""

import numpy as np
import pytest

from brainseg.metrics import (
    Confusion,
    accuracy,
    boundary,
    confusion,
    dice,
    hd95_px,
    iou,
    nsd,
    pool,
    pool_batches,
    precision,
    recall,
    smoothed_dice,
    soft_confusion,
    specificity,
    surface_distances,
)


def drawn(text):
    return np.array([[cell == "#" for cell in row] for row in text.split()])


TRUTH = drawn(".... .##. .##. ....")
SHIFTED = drawn(".... ..## ..## ....")  # TP 2, FP 2, FN 2, TN 10
NOTHING = np.zeros((4, 4), bool)
EVERYTHING = ~NOTHING


def random_masks(seed, shape=(20, 24)):
    rng = np.random.default_rng(seed)
    return rng.random(shape) < rng.uniform(0.02, 0.6), rng.random(shape) < rng.uniform(0.02, 0.6)


# Counts and ratios


def test_counts_and_ratios_by_hand():
    counts = confusion(TRUTH, SHIFTED)
    assert counts == (2, 2, 2, 10)
    assert dice(counts, empty=np.nan) == 4 / 8
    assert iou(counts, empty=np.nan) == 2 / 6
    assert precision(counts, empty=np.nan) == 2 / 4
    assert recall(counts, empty=np.nan) == 2 / 4
    assert specificity(counts, empty=np.nan) == 10 / 12
    assert accuracy(counts) == 12 / 16
    assert smoothed_dice(counts, 1) == 5 / 9


def test_precision_and_recall_are_told_apart():
    counts = confusion(TRUTH, EVERYTHING)
    assert counts == (4, 12, 0, 0)
    assert (precision(counts, empty=np.nan), recall(counts, empty=np.nan)) == (4 / 16, 1)
    assert specificity(counts, empty=np.nan) == 0


@pytest.mark.parametrize("empty", [np.nan, 0.0, 1.0])
def test_empty_policy_holds_only_where_nothing_is_divided_by_nothing(empty):
    both = confusion(NOTHING, NOTHING)
    for ratio in (dice, iou, precision, recall):
        np.testing.assert_equal(ratio(both, empty=empty), empty)
    np.testing.assert_equal(specificity(confusion(EVERYTHING, EVERYTHING), empty=empty), empty)
    # One side empty is a plain zero for the overlap, whatever the policy.
    for truth, prediction in ((TRUTH, NOTHING), (NOTHING, TRUTH)):
        assert dice(confusion(truth, prediction), empty=empty) == 0
        assert iou(confusion(truth, prediction), empty=empty) == 0
    np.testing.assert_equal(precision(confusion(TRUTH, NOTHING), empty=empty), empty)
    np.testing.assert_equal(recall(confusion(NOTHING, TRUTH), empty=empty), empty)


def test_empty_policy_must_be_said_and_be_one_of_three():
    with pytest.raises(TypeError, match="empty"):
        dice(confusion(TRUTH, TRUTH))
    with pytest.raises(ValueError, match="empty is 0.5"):
        dice(confusion(TRUTH, TRUTH), empty=0.5)


def test_stack_is_counted_slice_by_slice():
    stack = np.stack([TRUTH, NOTHING, TRUTH]), np.stack([SHIFTED, NOTHING, TRUTH])
    counts = confusion(*stack, axis=(1, 2))
    assert counts.tp.tolist() == [2, 0, 4]
    np.testing.assert_array_equal(dice(counts, empty=np.nan), [0.5, np.nan, 1])
    assert confusion(*stack) == (6, 2, 2, 38)


def test_pool_adds_counts_and_not_ratios():
    counts = Confusion(*map(np.array, ([2, 0, 4], [2, 3, 0], [2, 0, 0], [10, 13, 12])))
    assert pool(counts) == (6, 5, 2, 35)
    by_patient = pool(counts, by=np.array(["b", "a", "b"]))
    assert by_patient.tp.tolist() == [0, 6] and by_patient.fp.tolist() == [3, 2]
    np.testing.assert_allclose(dice(by_patient, empty=np.nan), [0, 12 / 16])
    assert pool_batches(counts, 2).tp.tolist() == [2, 4]
    assert by_patient.tp.dtype == counts.tp.dtype
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        pool(counts, by=np.array(["a", "b"]))


@pytest.mark.parametrize("seed", range(20))
def test_properties_on_random_masks(seed):
    truth, prediction = random_masks(seed)
    counts, swapped = confusion(truth, prediction), confusion(prediction, truth)
    d, j = dice(counts, empty=np.nan), iou(counts, empty=np.nan)
    assert sum(counts) == truth.size
    assert d == pytest.approx(2 * j / (1 + j)) and j <= d
    assert d == dice(swapped, empty=np.nan)
    assert precision(counts, empty=np.nan) == recall(swapped, empty=np.nan)
    p, r = precision(counts, empty=np.nan), recall(counts, empty=np.nan)
    assert d == pytest.approx(2 * p * r / (p + r))
    assert specificity(counts, empty=np.nan) == recall(confusion(~truth, ~prediction), empty=np.nan)
    assert accuracy(counts) == np.mean(truth == prediction)
    assert dice(confusion(truth, truth), empty=np.nan) == 1


@pytest.mark.parametrize("seed", range(5))
def test_soft_counts_of_hard_masks_are_the_hard_counts(seed):
    truth, prediction = random_masks(seed, (3, 8, 8))
    for axis in (None, (1, 2)):
        np.testing.assert_allclose(soft_confusion(truth, prediction, axis), confusion(truth, prediction, axis))


def test_soft_dice_by_hand():
    truth, probability = np.array([[1.0, 0.5], [0.0, 0.0]]), np.array([[0.8, 0.5], [0.2, 0.0]])
    counts = soft_confusion(truth, probability)
    np.testing.assert_allclose(counts, [1.3, 0.2, 0.2, 2.3])
    assert dice(counts, empty=np.nan) == pytest.approx(2.6 / 3.0)
    assert dice(soft_confusion(truth, truth), empty=np.nan) == 1
    assert dice(soft_confusion(truth / 10, truth / 10), empty=np.nan) == 1  # less than a pixel in all


def test_arrays_that_cannot_be_compared():
    with pytest.raises(ValueError, match=r"\(4, 4\).*\(4, 3\)"):
        confusion(TRUTH, TRUTH[:, :3])
    with pytest.raises(ValueError, match="prediction has dtype float64: threshold"):
        confusion(TRUTH, TRUTH.astype(float))
    with pytest.raises(ValueError, match="truth has values from 0.0 to 255.0"):
        soft_confusion(TRUTH * 255, TRUTH)
    for wrong in (np.nan, 1.01, -0.01):
        with pytest.raises(ValueError, match="probability has values"):
            soft_confusion(TRUTH, np.where(TRUTH, wrong, 0))
    with pytest.raises(ValueError, match=r"\(2, 4, 4\).*one slice"):
        hd95_px(np.stack([TRUTH] * 2), np.stack([TRUTH] * 2))


# Borders


def test_boundary_by_hand():
    mask = drawn("##### ##### ##### ..... .....")
    assert (boundary(mask) == drawn("##### #...# ##### ..... .....")).all()  # the frame's edge is a border
    ring = boundary(drawn("..... .###. .###. .###. ....."))
    assert (ring == drawn("..... .###. .#.#. .###. .....")).all()


def test_distances_of_two_squares_by_hand():
    truth, prediction = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    truth[2:4, 2:4] = True
    prediction[2:4, 5:7] = True  # three pixels to the right; its near column is 2 from the truth's
    for directed in surface_distances(truth, prediction):
        assert sorted(directed) == [2, 2, 3, 3]
    assert hd95_px(truth, prediction) == 3  # the 95th percentile of 2, 2, 3, 3
    assert nsd(truth, prediction, tolerance_px=1) == 0
    assert nsd(truth, prediction, tolerance_px=2) == 0.5
    assert nsd(truth, prediction, tolerance_px=3) == 1


def test_percentile_leaves_out_a_single_stray_pixel_but_not_a_part():
    truth = np.zeros((60, 60), bool)
    truth[20:40, 20:40] = True  # 76 boundary pixels
    stray = truth.copy()
    stray[50, 20] = True  # 11 pixels from the border, one of 77
    assert hd95_px(truth, stray) == 0
    stray[50, 20:30] = True
    assert hd95_px(truth, stray) == 11


@pytest.mark.parametrize("seed", range(20))
def test_borders_match_brute_force(seed):
    truth, prediction = random_masks(seed)

    def border(mask):
        padded = np.pad(mask, 1)
        return [
            (i, j)
            for i, j in zip(*np.nonzero(mask), strict=False)
            if not all(padded[i + 1 + di, j + 1 + dj] for di, dj in ((0, 1), (1, 0), (0, -1), (-1, 0)))
        ]

    def directed(start, end):
        return np.array([min(np.hypot(a - c, b - d) for c, d in end) for a, b in start])

    there, back = directed(border(truth), border(prediction)), directed(border(prediction), border(truth))
    ours = surface_distances(truth, prediction)
    np.testing.assert_allclose(np.sort(ours[0]), np.sort(there))
    np.testing.assert_allclose(np.sort(ours[1]), np.sort(back))
    assert hd95_px(truth, prediction) == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    within = (there <= 1.5).sum() + (back <= 1.5).sum()
    assert nsd(truth, prediction, tolerance_px=1.5) == pytest.approx(within / (len(there) + len(back)))


@pytest.mark.parametrize("seed", range(10))
def test_border_properties(seed):
    truth, prediction = random_masks(seed, (30, 30))
    assert hd95_px(truth, truth) == 0 and nsd(truth, truth, tolerance_px=0) == 1
    assert hd95_px(truth, prediction) == hd95_px(prediction, truth)
    assert hd95_px(truth, prediction) == hd95_px(truth.T, prediction.T)
    by_tolerance = [nsd(truth, prediction, tolerance_px=t) for t in (0, 1, 2, 5, 50)]
    assert by_tolerance == sorted(by_tolerance) and by_tolerance[-1] == 1
    placed = np.zeros((2, 70, 90), bool)  # the frame around the masks does not matter
    placed[0, 20:50, 31:61], placed[1, 20:50, 31:61] = truth, prediction
    assert hd95_px(*placed) == hd95_px(truth, prediction)


def test_an_empty_prediction_costs_the_diagonal_and_a_slice_without_tumour_is_left_out():
    assert hd95_px(np.pad(TRUTH, ((0, 252), (0, 252))), np.zeros((256, 256), bool)) == pytest.approx(256 * 2**0.5)
    assert nsd(TRUTH, NOTHING, tolerance_px=100) == 0
    assert [len(directed) for directed in surface_distances(NOTHING, NOTHING)] == [0, 0]
    for prediction in (NOTHING, TRUTH):
        assert np.isnan(hd95_px(NOTHING, prediction)) and np.isnan(nsd(NOTHING, prediction, tolerance_px=1))


def test_no_prediction_is_worse_than_none():
    truth, prediction = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    truth[0, 0] = prediction[29, 39] = True
    assert hd95_px(truth, prediction) == pytest.approx(np.hypot(29, 39))
    assert hd95_px(truth, prediction) < hd95_px(truth, np.zeros((30, 40), bool))


@pytest.mark.real
def test_one_pixel_more_costs_some_points_of_volume_dice(real_cohort):
    from scipy import ndimage

    from brainseg.cohort import index_cohort, read_mask

    table = index_cohort(real_cohort, progress=False)
    table = table[table["tumour_px"] > 0]
    masks = np.stack([read_mask(path) for path in table["mask_path"]])
    larger = ndimage.binary_dilation(masks, ndimage.generate_binary_structure(2, 1)[None])
    counts = confusion(masks, larger, axis=(1, 2))
    assert (counts.tp == table["tumour_px"]).all() and (counts.fn == 0).all()
    volumes = dice(pool(counts, by=table["patient"]), empty=np.nan)
    assert 0.91 < volumes.mean() < 0.97  # 0.94 on 88 patients: smaller tumours lose more
