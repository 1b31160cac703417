"""The figures' style, and chapter 1's figures on a tiny cohort."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from brainseg.cohort import FLAIR, index_cohort, read_image, read_mask
from brainseg.figures import explore, style


@pytest.fixture(scope="module")
def table(tiny_cohort_once):
    return index_cohort(tiny_cohort_once, progress=False)


@pytest.fixture
def axes():
    return style.new_figure()[1]


def segments(ax) -> set:
    """The edges of the outline that was drawn last, as sets of two points."""
    return {frozenset(map(tuple, segment)) for segment in ax.collections[-1].get_segments()}


def test_outline_follows_the_edges_of_a_pixel(axes):
    mask = np.zeros((5, 5), bool)
    mask[2, 3] = True
    style.outline(axes, mask)
    corners = [(2.5, 1.5), (3.5, 1.5), (3.5, 2.5), (2.5, 2.5)]
    assert segments(axes) == {
        frozenset((one, other)) for one, other in zip(corners, corners[1:] + corners[:1], strict=True)
    }


@pytest.mark.parametrize(
    ("region", "edges"),
    [
        (np.s_[1:4, 1:4], 12),  # a square of 3 x 3, its inside without a line
        (np.s_[0:2, 0:5], 14),  # at the border of the frame the outline is closed all the same
        (np.s_[:, :], 20),
        (np.s_[0:0, :], 0),
    ],
)
def test_outline_is_as_long_as_the_perimeter(axes, region, edges):
    mask = np.zeros((5, 5), bool)
    mask[region] = True
    style.outline(axes, mask)
    assert len(segments(axes)) == edges


def test_outline_goes_around_a_hole(axes):
    mask = np.ones((3, 3), bool)
    mask[1, 1] = False
    style.outline(axes, mask)
    assert len(segments(axes)) == 12 + 4


def test_show_slice_picks_the_sequence_and_the_scale(axes):
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., FLAIR] = 7
    style.show_slice(axes, image)
    shown = axes.images[-1]
    assert (shown.get_array() == 7).all() and shown.get_clim() == (0, 255)
    style.show_slice(axes, image, sequence=None)
    assert axes.images[-1].get_array().shape == (4, 4, 3)
    style.show_slice(axes, image[..., 0] > 0)
    assert axes.images[-1].get_clim() == (0, 1)


def test_figures_are_not_left_open_for_a_second_display():
    before = plt.get_fignums()
    style.slice_grid(2, 2)
    assert plt.get_fignums() == before


def test_the_settings_of_a_user_change_no_figure():
    style.use_theme()
    ours = dict(plt.rcParams)
    with plt.rc_context({"image.origin": "lower", "text.usetex": True, "savefig.bbox": "tight", "image.cmap": "jet"}):
        style.use_theme()
        assert dict(plt.rcParams) == ours


def test_text_is_legible():
    style.use_theme()
    sizes = [
        size
        for name, size in plt.rcParams.items()
        if name in ("font.size", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    ]
    inches_on_a_phone = 390 / 96  # a window 390 pixels wide; CSS has 96 of them to the inch
    points = min(sizes) * inches_on_a_phone / plt.rcParams["figure.figsize"][0]
    assert points >= 6.9 and plt.rcParams["figure.figsize"][0] == style.WIDTH


def test_frequency_counts_patients_not_slices(table):
    """A pixel that is tumour on two slices of one of six patients is worth one sixth."""
    patient = table["patient"].iloc[0]
    alone = np.any([read_mask(path) for path in table.loc[table["patient"] == patient, "mask_path"]], axis=0)
    others = np.any([read_mask(path) for path in table.loc[table["patient"] != patient, "mask_path"]], axis=0)
    share, head = explore.tumour_frequency(table)
    assert (alone & ~others).any()
    assert share[alone & ~others] == pytest.approx(1 / 6)
    assert share[~alone & ~others].max() == 0 and head.max() == 1


def test_frequency_without_any_tumour(table):
    share, _ = explore.tumour_frequency(table[table["tumour_px"] == 0])
    assert share.max() == 0


def test_bars_show_the_counts(table):
    (ax,) = explore.tumour_counts(table).axes
    assert [bar.get_width() for bar in ax.patches] == [18, 12]
    assert [text.get_text() for text in ax.texts] == ["18 (60%)", "12 (40%)"]


def test_every_patient_has_a_bar_of_its_height(table):
    (ax,) = explore.slices_per_patient(table).axes
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == [2] * 6 + [3] * 6


def test_institutions_are_drawn_on_the_same_row_on_both_sides(table):
    uneven = table[table["patient"] != "TEST_AA_0003_20000103"]  # 2 of AA, 3 of BB
    figure = explore.institutions(uneven)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["BB", "AA"]
    rows = np.round(right.collections[0].get_offsets()[:, 1]).astype(int)
    assert np.bincount(rows).tolist() == [3, 2]


def test_a_missing_sequence_is_named(table):
    row = table[table["missing_post"] & (table["tumour_px"] > 0)].iloc[0]
    image, mask = read_image(row["image_path"]), read_mask(row["mask_path"])
    figure = explore.three_sequences(image, mask, row["missing_pre"], row["missing_post"])
    titles = [ax.get_title() for ax in figure.axes]
    assert ["missing" in title for title in titles] == [False, False, True]


def test_the_other_figures_are_drawn(table, tmp_path):
    row = table.loc[table["tumour_px"].idxmax()]
    figures = [
        explore.image_and_mask(read_image(row["image_path"]), read_mask(row["mask_path"])),
        explore.tumour_areas(table),
        explore.tumour_places(table, *explore.tumour_frequency(table)),
    ]
    for figure in figures:
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / "figure.png")  # layout and formatters run only when drawn
