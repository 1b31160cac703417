"""Contrast measures against hand-derived numbers, and what equalisation may and may not do."""

import numpy as np
import pytest
from scipy import ndimage

from brainseg.images.contrast import clahe, enhance, equalise
from brainseg.images.crop import head_silhouette
from brainseg.images.visibility import (
    RIM_PX,
    background_noise,
    contrast_to_noise,
    entropy_bits,
    ring_of_brain,
    separability,
    surrounding_ring,
)


@pytest.fixture
def dark_slice():
    random = np.random.default_rng(0)
    image = random.integers(0, 3, (256, 256, 3))
    image[60:200, 70:190] += random.integers(2, 12, (140, 120, 3))
    return image.astype(np.uint8)


def test_equalise_two_levels_by_hand():
    # 12 pixels of 10, 4 pixels of 20. The darkest level goes to 0; the other holds all of the rest: 255.
    plane = np.full((4, 4), 10, np.uint8)
    plane[0] = 20
    assert set(np.unique(equalise(plane)[0])) == {255}
    assert set(np.unique(equalise(plane)[1:])) == {0}


def test_equalise_three_levels_by_hand():
    # 8 of 10, 4 of 20, 4 of 30: after the darkest, cumulative 4 of 8 and 8 of 8: 127.5 and 255.
    plane = np.repeat(np.array([10, 10, 20, 30], np.uint8), 4).reshape(4, 4)
    assert np.unique(equalise(plane)).tolist() == [0, 128, 255]


def test_equalise_keeps_the_order_of_grey_levels(dark_slice):
    plane = dark_slice[..., 0]
    order = np.argsort(plane, axis=None, kind="stable")
    assert (np.diff(equalise(plane).ravel()[order].astype(int)) >= 0).all()


@pytest.mark.parametrize("treat", [equalise, clahe])
def test_each_channel_is_treated_alone(dark_slice, treat):
    treated = treat(dark_slice)
    assert treated.shape == dark_slice.shape and treated.dtype == np.uint8
    for channel in range(3):
        assert np.array_equal(treated[..., channel], treat(dark_slice[..., channel]))
    alone = dark_slice.copy()
    alone[..., 1] = 0
    assert np.array_equal(treat(alone)[..., 0], treated[..., 0])


@pytest.mark.parametrize("treat", [equalise, clahe])
def test_the_argument_is_not_changed(dark_slice, treat):
    before = dark_slice.copy()
    treat(dark_slice)
    enhance(dark_slice, "none")[:] = 0
    assert np.array_equal(dark_slice, before)


def test_both_brighten_a_dark_head(dark_slice):
    head = np.zeros((256, 256), bool)
    head[60:200, 70:190] = True
    before = dark_slice[head].std()
    assert equalise(dark_slice)[head].std() > 2 * before
    assert clahe(dark_slice)[head].std() > 2 * before


def test_a_higher_clip_limit_lets_more_noise_through(dark_slice):
    air = (slice(0, 50), slice(0, 256), 0)
    noise = [clahe(dark_slice, clip_limit=limit)[air].std() for limit in (1, 2, 4, 40)]
    assert noise == sorted(noise) and noise[-1] > 2 * noise[0]


def test_enhance_knows_three_names(dark_slice):
    assert np.array_equal(enhance(dark_slice, "none"), dark_slice)
    assert np.array_equal(enhance(dark_slice, "he"), equalise(dark_slice))
    assert np.array_equal(enhance(dark_slice, "clahe"), clahe(dark_slice))
    with pytest.raises(ValueError, match="none, he, clahe.*'gamma'"):
        enhance(dark_slice, "gamma")


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: clahe(np.zeros((8, 8), np.uint8), clip_limit=0), "clip_limit"),
        (lambda: clahe(np.zeros((8, 8), np.uint8), tiles=0), "tiles"),
        (lambda: clahe(np.zeros((8, 8), np.uint8), tiles=2.5), "tiles.*2.5"),
        (lambda: equalise(np.zeros((8, 8))), "float64"),
        (lambda: equalise(np.zeros((2, 8, 8, 3), np.uint8)), r"\(2, 8, 8, 3\)"),
    ],
)
def test_wrong_arguments_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


# ---------------------------------------------------------------- measures


def regions(lesion_values, ring_values):
    """One row that holds the lesion's pixels and then the ring's."""
    plane = np.array([[*lesion_values, *ring_values]], np.uint8)
    lesion = np.arange(plane.size)[None] < len(lesion_values)
    return plane, lesion, ~lesion


def test_contrast_to_noise_by_hand():
    # Means 120 and 100, variances 16 and 4 (deviations of 4 and 2): 20 / sqrt(10).
    plane, lesion, ring = regions([116, 124, 116, 124], [98, 102])
    assert contrast_to_noise(plane, lesion, ring) == pytest.approx(20 / np.sqrt(10))
    assert contrast_to_noise(255 - plane, lesion, ring) == pytest.approx(20 / np.sqrt(10))


def test_contrast_to_noise_ignores_a_linear_change():
    plane, lesion, ring = regions([20, 30, 40], [10, 12, 16, 20])
    changed = contrast_to_noise(plane * np.uint8(3) + np.uint8(9), lesion, ring)
    assert changed == pytest.approx(contrast_to_noise(plane, lesion, ring))


def test_separability_by_hand():
    # 2 x 3 pairs: 5 beats 1, 3 and ties with 5 (2.5); 4 beats 1 and 3 (2): 4.5 of 6.
    plane, lesion, ring = regions([5, 4], [1, 3, 5])
    assert separability(plane, lesion, ring) == pytest.approx(4.5 / 6)
    assert separability(255 - plane, lesion, ring) == pytest.approx(1.5 / 6)


def test_no_curve_of_grey_levels_changes_separability_unless_it_merges():
    random = np.random.default_rng(1)
    plane, lesion, ring = regions(random.integers(0, 100, 300), random.integers(0, 80, 400))
    bent = (plane.astype(float) ** 1.15).astype(np.uint8)
    assert len(np.unique(bent)) == len(np.unique(plane)), "this curve merges no levels"
    assert separability(bent, lesion, ring) == separability(plane, lesion, ring)
    merged = separability(equalise(plane), lesion, ring)
    assert merged == pytest.approx(separability(plane, lesion, ring), abs=0.01)


def test_measures_of_nothing_are_nan():
    plane, lesion, ring = regions([5, 5], [5, 5])
    nothing = np.zeros_like(lesion)
    assert np.isnan(contrast_to_noise(plane, lesion, ring)), "no spread"
    assert np.isnan(contrast_to_noise(plane, nothing, ring))
    assert np.isnan(separability(plane, lesion, nothing))
    assert separability(plane, lesion, ring) == 0.5


def test_the_ring_leaves_a_gap_and_stays_within():
    mask = np.zeros((101, 101), bool)
    mask[50, 50] = True
    ring = surrounding_ring(mask, gap_px=2, ring_px=10)
    y, x = np.nonzero(ring)
    distance = np.hypot(y - 50, x - 50)
    assert distance.min() > 2 and distance.max() < 13
    assert not (ring & mask).any()
    left = np.arange(101)[None] < 50
    assert np.array_equal(surrounding_ring(mask, np.broadcast_to(left, mask.shape)), ring & left)
    assert not surrounding_ring(np.zeros_like(mask)).any()


def test_background_noise_looks_at_the_air_alone():
    plane = np.zeros((60, 60), np.uint8)
    head = np.zeros((60, 60), bool)
    head[20:40, 20:40] = True
    plane[head] = np.random.default_rng(0).integers(0, 255, head.sum())
    assert background_noise(plane, head) == 0
    plane[:10:2] = 8  # in 10 of 60 rows, every other one
    air = 60 * 60 - background_pixels(head)
    assert background_noise(plane, head) == pytest.approx(8 * np.sqrt(300 / air * (1 - 300 / air)))
    assert np.isnan(background_noise(plane, np.ones_like(head)))


def background_pixels(head):
    """Pixels within 5 px of the head: 20 x 20, four sides of 5, and four corners by the disc's own pixels."""
    import cv2

    return int(cv2.dilate(head.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))).sum())


def test_entropy_by_hand():
    assert entropy_bits(np.full((4, 4), 9, np.uint8)) == 0
    assert entropy_bits(np.array([[0, 50], [100, 200]], np.uint8)) == pytest.approx(2)
    assert entropy_bits(np.array([[0, 0], [0, 200]], np.uint8)) == pytest.approx(0.25 * 2 + 0.75 * np.log2(4 / 3))


def test_the_ring_of_brain_stays_off_the_rim_of_the_head():
    row, column = np.ogrid[:256, :256]
    image = np.zeros((256, 256, 3), np.uint8)
    image[(row - 128) ** 2 + (column - 128) ** 2 <= 80**2] = 120
    middle, edge = ((row - 128) ** 2 + (column - place) ** 2 <= 10**2 for place in (128, 190))
    assert np.array_equal(ring_of_brain(image, middle), surrounding_ring(middle))
    ring = ring_of_brain(image, edge)
    head = head_silhouette(image[None])
    from_air = ndimage.distance_transform_edt(head)
    assert ring.any() and from_air[ring].min() >= RIM_PX
    assert from_air[surrounding_ring(edge, within=head)].min() < RIM_PX  # so the rim makes a difference here
    assert not ring_of_brain(np.zeros_like(image), middle).any()  # no head, no brain
