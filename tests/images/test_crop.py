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


# ---------------------------------------------------------------- to the pixel


def test_a_box_knows_its_sides():
    box = Box(2, 12, 5, 9)
    assert (box.height, box.width, box.area_px) == (10, 4, 40)
    assert Box.whole((7, 9)) == (0, 7, 0, 9)
    assert box.widened(1, (20, 30)) == (1, 13, 4, 10)
    assert box.widened(3, (13, 30)) == (0, 13, 2, 12)
    assert box.widened(6, (40, 14)) == (0, 18, 0, 14)


def test_a_head_must_cover_a_twentieth_of_the_frame():
    def found(side):
        return head_silhouette(drawn_slice(rows=(100, 100 + side), columns=(100, 100 + side))[None]).any()

    assert not found(52) and found(62)  # 4.1 and 5.9 % of the frame
    assert head_silhouette(drawn_slice(grey=0)[None]).dtype == bool


def test_a_silhouette_fills_holes_and_keeps_the_largest_region():
    image = drawn_slice(rows=(40, 200), columns=(60, 190))
    image[90:150, 90:150] = 0
    image[5:35, 200:250] = 120
    head = head_silhouette(image[None])
    assert head.dtype == bool and head[100:140, 100:140].all() and not head[:36].any()


def test_the_brightest_slice_and_channel_count():
    images = np.zeros((3, 256, 256, 3), np.uint8)
    images[0, 40:120, 60:190, 0] = 120
    images[2, 120:200, 60:190, 2] = 120
    rows = np.flatnonzero(head_silhouette(images).any(axis=1))
    assert abs(rows[0] - 40) <= 2 and abs(rows[-1] - 199) <= 2 and len(rows) == rows[-1] - rows[0] + 1


def test_speckle_is_averaged_away_over_five_pixels():
    image = drawn_slice()
    image[::3, 200:250:3] = 255  # a ninth of the pixels, and never more than four of 25 in a window
    head = head_silhouette(image[None])
    assert not head[:, 200:].any() and head[50:190, 70:180].all()


@pytest.mark.parametrize("rows, columns", [((3, 100), (50, 190)), ((150, 251), (2, 100)), ((10, 246), (60, 190))])
def test_a_square_box_is_square_and_holds_the_head(rows, columns):
    head = np.zeros((256, 256), bool)
    head[rows[0] : rows[1], columns[0] : columns[1]] = True
    box = square_box(head, margin_px=3)
    side = max(rows[1] - rows[0], columns[1] - columns[0]) + 6
    assert box.height == box.width == min(side, 256) and inside(Box(*rows, *columns), box)
    assert Box.whole((256, 256)).widened(0, (256, 256)) == (0, 256, 0, 256)


def test_shrinking_averages_and_growing_interpolates():
    ramp = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert crop.resize(ramp, 2, 2).tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert crop.resize(ramp, 4, 2).tolist() == (ramp.reshape(4, 2, 2).mean(2)).tolist()
    assert crop.resize(ramp, 2, 4).tolist() == (ramp.reshape(2, 2, 4).mean(1)).tolist()
    assert crop.resize(ramp[:1], 1, 8)[0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    assert crop.resize(ramp[:, :1], 8, 1)[:, 0].tolist() == [0, 1, 3, 5, 7, 9, 11, 12]
    # One side grows and the other shrinks: what grows must be smooth.
    assert crop.resize(ramp, 8, 2).shape == (8, 2) and len(set(crop.resize(ramp, 8, 2)[:, 0].tolist())) > 4
    assert crop.resize(ramp, 4, 4) is not ramp and crop.resize(ramp, 4, 4).tolist() == ramp.tolist()
    assert crop.resize(np.zeros((4, 6, 3), np.uint8), 2, 3).shape == (2, 3, 3)


def test_every_source_pixel_counts_when_an_array_shrinks():
    squares = np.arange(64, dtype=np.float32).reshape(8, 8) ** 2
    assert np.allclose(crop.resize(squares, 2, 2), squares.reshape(2, 4, 2, 4).mean((1, 3)))
    assert np.allclose(crop.resize(squares, 8, 2), squares.reshape(8, 2, 4).mean(2))
    assert np.allclose(crop.resize(squares, 2, 8), squares.reshape(2, 4, 8).mean(1))
    # Rows grow though there are fewer of them than columns: they must be smooth.
    assert len(set(crop.resize(squares[:2], 6, 4)[:, 0].tolist())) > 2


def test_an_odd_head_is_centred_to_the_half_pixel_above():
    head = np.zeros((256, 256), bool)
    head[41:200, 40:210] = True  # 159 rows; the side is 170, and half of 71 rows lies above
    box = square_box(head, margin_px=0)
    assert box == (35, 205, 40, 210) and all(isinstance(side, int) for side in box)


def test_thresholds_reach_the_box_of_a_slice():
    assert slice_box(drawn_slice(), canny=(5000, 9000)) == (0, 256, 0, 256)


def test_a_mask_without_tumour_becomes_an_empty_one():
    empty = crop_and_resize(np.zeros((20, 20), bool), Box(0, 10, 0, 10), 5)
    assert empty.dtype == np.uint8 and empty.shape == (5, 5) and not empty.any()
    stack = crop_and_resize(np.zeros((20, 20, 2), bool), Box(0, 10, 0, 10), 5)
    assert stack.dtype == np.uint8 and stack.shape == (5, 5, 2) and not stack.any()
    full = crop_and_resize(np.ones((20, 20), bool), Box(3, 10, 2, 9), 7)
    assert full.dtype == np.uint8 and (full == 255).all()


def test_the_way_back_needs_no_frame_of_its_own_for_the_study():
    whole = restore(np.ones((4, 4)), Box(0, 256, 0, 256))
    assert whole.shape == (256, 256) and (whole == 1).all()
    small = restore(np.ones((4, 4)), Box(1, 5, 2, 6), (8, 9))
    assert small.shape == (8, 9) and small.sum() == 16 and small[1:5, 2:6].all()


def test_stages_of_a_single_channel_and_of_five():
    image = drawn_slice()
    for channels in (1, 5):
        stages = crop_stages(np.repeat(image[..., :1], channels, axis=2))
        assert stages.found and stages.box == slice_box(image) and stages.contour.shape[1] == 2
    colour = image.copy()
    colour[..., 1:] = 0  # the mean of the channels is a third of the first
    assert crop_stages(colour).found
    bare = crop_stages(image * 0)
    assert bare.contour.shape == (0, 2) and np.array_equal(bare.cropped, image * 0)


def test_thresholds_of_canny_decide_what_an_edge_is():
    faint = drawn_slice(grey=20)
    assert crop_stages(faint, canny=(1, 2)).edges.any()
    assert not crop_stages(faint, canny=(5000, 9000)).found
    assert slice_box(faint, canny=(5000, 9000)) == (0, 256, 0, 256)


def test_dilation_adds_one_pixel_on_each_side():
    stages = crop_stages(drawn_slice())
    rows, columns = np.nonzero(stages.edges)
    assert stages.box == (rows.min() - 1, rows.max() + 2, columns.min() - 1, columns.max() + 2)
    assert set(np.unique(stages.dilated)) == {0, 255}
    x, y = stages.contour.T
    assert stages.extremes == {
        "top": (x[y.argmin()], y.min()),
        "bottom": (x[y.argmax()], y.max()),
        "left": (x.min(), y[x.argmin()]),
        "right": (x.max(), y[x.argmax()]),
    }


NO_IMAGE = r"an image must be uint8 with shape \(H, W, C\), not "
NO_VOLUME = r"a volume must be uint8 with shape \(slices, H, W, C\) and hold a slice, not "
NO_PREDICTION = r"a prediction must have shape \(S, S\), not "


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: crop_stages(np.zeros((9, 9, 3))), rf"{NO_IMAGE}float64 \(9, 9, 3\)"),
        (lambda: crop_stages(np.zeros((9, 9), np.uint8)), rf"{NO_IMAGE}uint8 \(9, 9\)"),
        (lambda: head_silhouette(np.zeros((0, 9, 9, 3), np.uint8)), rf"{NO_VOLUME}uint8 \(0, 9, 9, 3\)"),
        (lambda: head_silhouette(np.zeros((2, 9, 9, 3))), rf"{NO_VOLUME}float64 \(2, 9, 9, 3\)"),
        (lambda: restore(np.zeros((4, 9, 9)), Box(0, 9, 0, 9)), rf"{NO_PREDICTION}\(4, 9, 9\)"),
    ],
)
def test_what_is_wrong_with_an_array_is_said(call, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        call()
