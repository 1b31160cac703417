"""Boxes derived by hand on drawn heads, and the way back into the frame."""

import numpy as np
import pytest

from brainseg.images import crop
from brainseg.images.crop import Box, crop_and_resize, crop_stages, head_silhouette, restore, slice_box, square_box


def drawn_slice(rows=(40, 200), columns=(60, 190), grey=120):
    """A black frame with one bright rectangle as head, rows and columns half-open."""
    image = np.zeros((256, 256, 3), np.uint8)
    image[rows[0] : rows[1], columns[0] : columns[1]] = grey
    return image


def drawn_volume(**kwargs):
    return np.stack([drawn_slice(**kwargs)] * 4)


def inside(box, other):
    return box.top >= other.top and box.bottom <= other.bottom and box.left >= other.left and box.right <= other.right


# ---------------------------------------------------------------- the article's box


def test_slice_box_of_a_drawn_head_is_the_head_and_the_dilated_edge():
    # Canny's edge lies on the border of the rectangle, on one side of it or the other, and the
    # dilation by 3 x 3 adds one pixel: no side may be off by more than two.
    box = slice_box(drawn_slice())
    assert np.abs(np.array(box) - (40, 200, 60, 190)).max() <= 2
    assert inside(Box(40, 200, 60, 190), box)


def test_margin_widens_the_slice_box_and_stops_at_the_frame():
    bare = slice_box(drawn_slice(rows=(10, 200)))
    wide = slice_box(drawn_slice(rows=(10, 200)), margin_px=20)
    assert wide == (0, bare.bottom + 20, bare.left - 20, bare.right + 20)


def test_stages_are_what_their_names_say():
    image = drawn_slice()
    stages = crop_stages(image)
    assert np.array_equal(stages.image, image)
    assert stages.enhanced.shape == image.shape
    assert set(np.unique(stages.edges)) == {0, 255}
    assert stages.edges.sum() < stages.dilated.sum()
    assert not (stages.edges & ~stages.dilated).any()
    assert stages.extremes["top"][1] == stages.box.top
    assert stages.extremes["bottom"][1] == stages.box.bottom - 1
    assert stages.extremes["left"][0] == stages.box.left
    assert stages.extremes["right"][0] == stages.box.right - 1
    assert np.array_equal(stages.cropped, crop.crop(image, stages.box))


def test_the_contour_of_the_largest_area_is_taken():
    image = drawn_slice(rows=(40, 200), columns=(100, 230))
    image[100:120, 20:40] = 200
    assert slice_box(image).left > 90


@pytest.mark.parametrize("grey", [0, 77])
def test_without_a_contour_the_whole_frame_is_kept(grey):
    image = np.full((256, 256, 3), grey, np.uint8)
    stages = crop_stages(image)
    assert not stages.found
    assert stages.box == (0, 256, 0, 256)
    assert stages.extremes == {}
    assert slice_box(image, margin_px=5) == (0, 256, 0, 256)


# ---------------------------------------------------------------- the box of a patient


def test_square_box_of_a_drawn_head_is_derived_by_hand():
    # 160 rows by 130 columns, grey 120. The 5 x 5 mean of a straight border is 120 * k / 5, Otsu
    # splits 0..120 near the middle of the ramp: the border moves by two pixels at the most.
    head = head_silhouette(drawn_volume())
    rows, columns = np.flatnonzero(head.any(1)), np.flatnonzero(head.any(0))
    found = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
    assert np.abs(np.array(found) - (40, 200, 60, 190)).max() <= 2


def test_square_box_centres_the_head_and_adds_the_margin():
    head = np.zeros((256, 256), bool)
    head[40:200, 60:190] = True  # 160 x 130, centre at row 120, column 125
    assert crop.square_box(head, margin_px=0) == (40, 200, 45, 205)
    assert crop.square_box(head, margin_px=10) == (30, 210, 35, 215)


def test_square_box_moves_into_the_frame():
    head = np.zeros((256, 256), bool)
    head[0:150, 200:256] = True  # the side is 150 + 2 * 5; it would start at -5 and at 148
    assert crop.square_box(head, margin_px=5) == (0, 160, 96, 256)


def test_square_box_is_never_larger_than_the_frame():
    head = np.zeros((256, 200), bool)
    head[2:250, 50:150] = True
    assert crop.square_box(head, margin_px=10) == (26, 226, 0, 200)


def test_square_box_joins_slices_that_show_different_parts():
    images = np.zeros((2, 256, 256, 3), np.uint8)
    images[0, 50:150, 60:160] = 100
    images[1, 100:220, 80:180] = 100
    box = square_box(head_silhouette(images), margin_px=4)
    assert box.height == box.width
    assert inside(Box(50, 220, 60, 180), box)
    assert box.height <= 170 + 2 * 4 + 4


def test_noise_specks_and_a_head_rest_do_not_move_the_square_box():
    random = np.random.default_rng(3)
    clean = square_box(head_silhouette(drawn_volume()))
    noisy = drawn_volume().astype(float) + np.abs(random.normal(0, 8, (4, 256, 256, 3)))
    noisy[0, random.integers(0, 256, 40), random.integers(0, 256, 40)] = 255  # single hot pixels
    noisy[:, 20:230, 8:11] = 200  # a thin bar beside the head
    box = square_box(head_silhouette(noisy.clip(0, 255).astype(np.uint8)))
    assert np.abs(np.array(box) - clean).max() <= 3


@pytest.mark.parametrize("grey", [0, 77])
def test_a_volume_without_a_head_keeps_the_whole_frame(grey):
    assert square_box(head_silhouette(np.full((3, 256, 256, 3), grey, np.uint8))) == (0, 256, 0, 256)


def test_pure_noise_keeps_the_whole_frame():
    noise = np.random.default_rng(0).integers(0, 12, (5, 256, 256, 3)).astype(np.uint8)
    assert square_box(head_silhouette(noise)) == (0, 256, 0, 256)


def test_a_single_channel_volume_works():
    assert square_box(head_silhouette(drawn_volume()[..., :1])) == square_box(head_silhouette(drawn_volume()))


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("size", [16, 61, 64, 128, 200])
def test_restore_undoes_a_crop_without_resize_exactly(size):
    prediction = np.random.default_rng(size).random((size, size), np.float32)
    box = Box(20, 20 + size, 31, 31 + size)
    whole = restore(prediction, box)
    assert whole.dtype == np.float32 and whole.shape == (256, 256)
    assert np.array_equal(whole[20 : 20 + size, 31 : 31 + size], prediction)
    assert whole.sum(dtype=float) == pytest.approx(prediction.sum(dtype=float))
    assert np.array_equal(crop_and_resize(whole, box, size), prediction)


@pytest.mark.parametrize("box", [Box(0, 256, 0, 256), Box(17, 180, 40, 203), Box(10, 100, 20, 240)])
@pytest.mark.parametrize("size", [64, 96, 128, 256])
def test_a_constant_comes_back_as_a_constant(box, size):
    whole = restore(np.full((size, size), 0.75, np.float32), box)
    expected = np.zeros((256, 256))
    expected[box.top : box.bottom, box.left : box.right] = 0.75
    assert np.allclose(whole, expected, atol=1e-6)


@pytest.mark.parametrize("size, least", [(256, 0.99), (128, 0.97), (64, 0.93)])
def test_a_disc_survives_the_round_trip(size, least):
    y, x = np.mgrid[:256, :256]
    disc = (y - 120) ** 2 + (x - 100) ** 2 < 30**2
    box = Box(20, 220, 10, 210)
    back = restore(crop_and_resize(disc, box, size) / 255, box) >= 0.5
    assert 2 * (disc & back).sum() / (disc.sum() + back.sum()) > least


def test_a_mask_becomes_soft_by_area():
    mask = np.zeros((256, 256), bool)
    mask[0:2, 0] = True  # half of the first 2 x 2 block
    mask[2:4, 2:4] = True  # all of the second on the diagonal
    small = crop_and_resize(mask, Box.whole((256, 256)), 128)
    assert small.dtype == np.uint8
    assert small[0, 0] in (127, 128)
    assert small[1, 1] == 255
    assert np.count_nonzero(small) == 2


def test_a_crop_is_a_copy():
    image = drawn_slice()
    before = image.copy()
    part = crop.crop(image, Box(0, 50, 0, 50))
    part[:] = 9
    crop_stages(image)
    square_box(head_silhouette(image[None]))
    crop_and_resize(image, Box(3, 200, 3, 200), 64)[:] = 0
    crop_and_resize(image, Box.whole((256, 256)), 256)[:] = 0
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "call",
    [
        lambda: crop_stages(np.zeros((256, 256, 3))),
        lambda: crop_stages(np.zeros((256, 256), np.uint8)),
        lambda: head_silhouette(np.zeros((256, 256, 3), np.uint8)),
        lambda: head_silhouette(np.zeros((0, 256, 256, 3), np.uint8)),
        lambda: restore(np.zeros((4, 64, 64)), Box(0, 64, 0, 64)),
    ],
)
def test_wrong_shapes_and_types_are_named(call):
    with pytest.raises(ValueError, match=r"\("):
        call()
