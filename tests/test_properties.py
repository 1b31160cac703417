"""What holds for any input, tried on inputs that nobody chose."""

import numpy as np
import pandas as pd
import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from brainseg import metrics
from brainseg.cohort.frame import framed, unframed
from brainseg.evaluation.scores import drop_small_pieces
from brainseg.images.contrast import enhance
from brainseg.images.crop import Box, crop_and_resize, crop_stages, head_silhouette, restore, square_box
from brainseg.images.preprocess import normalise_brain, normalise_volume
from brainseg.networks.augmentation import augment
from brainseg.splits import make_split, split_by_institution
from brainseg.statistics import bootstrap_interval, holm, sign_flip_p

settings.register_profile("study", max_examples=40, deadline=None, derandomize=True)
settings.load_profile("study")

FRAME = (256, 256)
seeds = st.integers(0, 2**32 - 1)
masks = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def images(seed, slices=1):
    """Pictures between the extremes: nothing, one level, noise, bright blobs that touch the border."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(4)
    if kind == 0:
        return np.full((slices, *FRAME, 3), rng.integers(256), np.uint8)
    noise = rng.integers(0, rng.integers(1, 256) + 1, (slices, *FRAME, 3)).astype(np.uint8)
    if kind == 1:
        return noise
    blob = np.zeros(FRAME, bool)
    top, left = rng.integers(0, 250, 2)
    blob[top : top + rng.integers(1, 256), left : left + rng.integers(1, 256)] = True
    return np.where(blob[..., None], np.maximum(noise, 90), noise // (1 if kind == 2 else 9)).astype(np.uint8)


# ---------------------------------------------------------------- images


@given(seeds, st.integers(0, 40))
def test_boxes_lie_in_the_frame_for_any_image(seed, margin):
    volume = images(seed, slices=2)
    for box in (square_box(head_silhouette(volume), margin), crop_stages(volume[0]).box.widened(margin, FRAME)):
        assert 0 <= box.top < box.bottom <= 256 and 0 <= box.left < box.right <= 256
    assert square_box(head_silhouette(volume), margin).height == square_box(head_silhouette(volume), margin).width


@given(seeds, st.integers(0, 200), st.integers(0, 200), st.integers(16, 56), st.integers(1, 3))
def test_a_crop_comes_back_to_its_place(seed, top, left, side, times):
    box = Box(top, top + side, left, left + side)
    mask = np.zeros(FRAME, np.float32)
    mask[box.top : box.bottom, box.left : box.right] = np.random.default_rng(seed).random((side, side)) > 0.5
    assert np.array_equal(restore(crop_and_resize(mask, box, side), box), mask)
    smooth = np.zeros(FRAME, np.float32)
    middle = np.s_[top + side // 4 : top + 3 * side // 4, left + side // 4 : left + 3 * side // 4]
    smooth[middle] = 1
    back = restore(crop_and_resize(smooth, box, side * times), box)
    assert np.mean((back >= 0.5) != (smooth >= 0.5)) < 0.001 and not back[: box.top].any()


@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(20, 300), st.integers(20, 300)), fill=st.just(0)),
    st.sampled_from([0.5, 1.0, 3.0]),
)
def test_a_plane_keeps_its_place_through_the_frame(plane, tall):
    mask = np.zeros(plane.shape, bool)
    rows, columns = plane.shape
    mask[rows // 4 : 3 * rows // 4, columns // 4 : 3 * columns // 4] = True
    back = unframed(framed(mask.astype(np.float32), tall) >= 0.5, plane.shape, tall)
    assert back.shape == mask.shape and np.mean(back != mask) < 0.08
    assert framed(plane, tall).dtype == np.uint8 and framed(plane, tall).max(initial=0) <= plane.max(initial=0)


@given(seeds, st.sampled_from(["none", "he", "clahe"]))
def test_contrast_keeps_type_shape_and_range(seed, contrast):
    image = images(seed)[0]
    enhanced = enhance(image, contrast)
    assert enhanced.dtype == np.uint8 and enhanced.shape == image.shape
    if contrast == "he":  # the order of grey levels stays
        for channel in range(3):
            order = np.argsort(image[..., channel], axis=None, kind="stable")
            assert (np.diff(enhanced[..., channel].ravel()[order].astype(int)) >= 0).all()


@given(seeds, st.sampled_from([normalise_volume, normalise_brain]))
def test_normalising_keeps_the_order_of_grey_levels(seed, normalise):
    volume = images(seed, slices=2)
    found = normalise(volume, head_silhouette(volume))
    assert found.dtype == np.uint8 and found.shape == volume.shape
    for channel in range(3):
        order = np.argsort(volume[..., channel], axis=None, kind="stable")
        assert (np.diff(found[..., channel].ravel()[order].astype(int)) >= 0).all()


@given(seeds)
def test_augmentation_moves_image_and_mask_together(seed):
    """The mask is painted into the image, and must be found there after the same change."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((64, 64), np.float32)
    top, left = rng.integers(16, 32, 2)
    mask[top : top + 14, left : left + 14] = 1
    image, moved = augment(np.repeat(mask[..., None], 3, axis=-1), mask, rng)
    inside, outside = image[..., 1][moved > 0.99], image[..., 1][moved < 0.01]
    assert len(inside) > 50 and inside.mean() > outside.mean() + 0.5


# ---------------------------------------------------------------- splits


def cohort(seed):
    """A cohort of any size and balance, some patients with two dates."""
    rng = np.random.default_rng(seed)
    rows = []
    for case in range(int(rng.integers(3, 30))):
        institution = "AB"[int(rng.integers(2))] + "CD"[int(rng.integers(2))]
        for date in range(1 + (rng.random() < 0.2)):
            patient = f"TEST_{institution}_{case:04d}_2000010{date + 1}"
            for number in range(1, int(rng.integers(2, 9))):
                tumour = int(rng.integers(0, 500)) if rng.random() < 0.4 else 0
                rows.append((patient, f"TEST_{institution}_{case:04d}", institution, number, tumour))
    table = pd.DataFrame(rows, columns=["patient", "case", "institution", "slice", "tumour_px"])
    return table.sample(frac=1, random_state=int(rng.integers(2**31))).reset_index(drop=True)


@given(seeds, st.integers(0, 2))
def test_no_split_shares_a_patient(seed, fold):
    table = cohort(seed)
    split = make_split(table, by="patient", fold=fold, seed=seed % 1000)
    assert split.index.equals(table.index) and set(split) == {"train", "validation", "test"}
    assert (split.groupby(table["case"]).nunique() == 1).all()


@given(seeds)
def test_every_case_is_tested_once(seed):
    table = cohort(seed)
    folds = min(5, table["case"].nunique())
    tested = [table.loc[make_split(table, by="patient", fold=fold, seed=1) == "test", "case"] for fold in range(folds)]
    assert sorted(case for part in tested for case in part.unique()) == sorted(table["case"].unique())


@given(seeds)
def test_an_institution_that_is_left_out_stands_on_no_other_side(seed):
    table = cohort(seed)
    counts = table.groupby("institution")["case"].nunique()
    hypothesis.assume(len(counts) > 1)
    left_out = counts.idxmin()
    hypothesis.assume(table["case"].nunique() - counts[left_out] >= 2)
    split = split_by_institution(table, left_out, seed=0)
    assert ((table["institution"] == left_out) == (split == "test")).all()
    assert (split.groupby(table["case"]).nunique() == 1).all()


# ---------------------------------------------------------------- metrics and statistics


@given(masks, seeds)
def test_overlaps_are_bounded_symmetric_and_ordered(truth, seed):
    prediction = np.random.default_rng(seed).random(truth.shape) > 0.5
    there, back = metrics.confusion(truth, prediction), metrics.confusion(prediction, truth)
    dice, iou = metrics.dice(there, empty=1), metrics.iou(there, empty=1)
    assert 0 <= iou <= dice <= 1 and dice == pytest.approx(2 * iou / (1 + iou))
    assert metrics.dice(back, empty=1) == dice and metrics.iou(back, empty=1) == iou
    assert sum(there) == truth.size
    assert metrics.dice(metrics.confusion(truth, truth), empty=1) == 1


@given(masks)
def test_losing_pixels_never_raises_the_overlap(truth):
    before = 1.0
    prediction = truth
    while prediction.any():
        prediction = ndimage.binary_erosion(prediction)
        dice = float(metrics.dice(metrics.confusion(truth, prediction), empty=1))
        assert dice <= before
        before = dice


@given(masks, seeds)
def test_borders_are_symmetric_and_zero_for_equal_masks(truth, seed):
    prediction = np.random.default_rng(seed).random(truth.shape) > 0.5
    if truth.any():
        assert metrics.border_scores(truth, truth, (0,)) == (0, (1,))
    if truth.any() and prediction.any():
        there, back = (metrics.border_scores(*pair, (1, 2)) for pair in ((truth, prediction), (prediction, truth)))
        assert there[0] == back[0] and there[1] == pytest.approx(back[1])
        assert there[1][0] <= there[1][1] <= 1


@given(arrays.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))))
def test_dropping_pieces_only_removes_and_is_done_once(mask):
    kept = drop_small_pieces(mask)
    assert not (kept & ~mask).any() and kept.any() == mask.any()
    assert np.array_equal(drop_small_pieces(kept), kept)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrected_p_values_are_larger_and_keep_their_order(p_values):
    corrected = holm(p_values)
    assert (corrected >= np.array(p_values) - 1e-12).all() and (corrected <= 1).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(corrected[order]) >= -1e-12).all()


@given(seeds)
def test_a_sign_flip_test_knows_no_direction(seed):
    differences = np.random.default_rng(seed).normal(0.1, 1, 9)
    assert sign_flip_p(differences) == pytest.approx(sign_flip_p(-differences)) and 0 < sign_flip_p(differences) <= 1


def test_bootstrap_intervals_cover_at_the_stated_rate():
    """Of 300 samples of 40 from a skewed distribution, about 95 % hold its mean; the binomial error is 1.3 points."""
    rng = np.random.default_rng(0)
    held = 0
    for sample in rng.beta(4, 1.2, (300, 40)):
        found = bootstrap_interval(sample, draws=1000, seed=1)
        held += found.low <= 4 / 5.2 <= found.high
    assert 0.90 <= held / 300 <= 0.985
