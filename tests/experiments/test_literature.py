"""The phantom whose ranges come from the literature: its contrasts, its reader, and what it does not take over."""

from dataclasses import replace

import numpy as np
import pytest

from brainseg.cohort import FLAIR, POST, PRE
from brainseg.data import phantom_table, prepare_phantom
from brainseg.experiments import literature
from brainseg.experiments.changes import change_named, literature_ranges, literature_tissues
from brainseg.experiments.ingredients import CHANGES, WIDE
from brainseg.images.preprocess import Preprocessing
from brainseg.phantom import sequences
from brainseg.phantom.anatomy import load_head
from brainseg.phantom.plan import plan_cohort
from brainseg.phantom.tumour import VISIBLE_DENSITY


@pytest.fixture(scope="module")
def plan():
    """A patient with few slices and a tumour of middling size."""
    plans, _ = plan_cohort(12, 0)
    return replace(literature.planned(plans[1]), slices=6, volume_ml=60.0, seed_mm=(30.0, 10.0, 20.0))


@pytest.fixture(scope="module")
def drawing(plan):
    return literature.draw(plan, load_head())


def test_the_signals_are_those_of_the_sequences():
    white, fluid = (800.0, 80.0, 0.7), (4000.0, 1500.0, 1.0)
    # By hand: 0.7 (1 - exp(-0.75)) exp(-0.25).
    assert literature.spin_echo(white, 600, 20) == pytest.approx(0.7 * 0.527633 * 0.778801, abs=1e-5)
    ti = literature.black_at(4000.0, 10000)
    assert literature.inversion_recovery(fluid, 10000, 120, ti) == pytest.approx(0, abs=1e-12)
    # Without an inversion to speak of, that is a spin echo upside down, and its magnitude shows no sign.
    early = literature.inversion_recovery(white, 1e6, 20, 1e-6)
    assert early == pytest.approx(literature.spin_echo(white, 1e6, 20))
    # With a short TR the fluid is not at rest before the next pulse, so it is black earlier than ln 2 times its T1.
    assert ti < 4000 * np.log(2) < literature.black_at(4000.0, 1e6) + 1e-6


def test_every_tissue_of_the_phantom_has_ranges_and_a_tumour_is_brighter_than_healthy_brain():
    assert set(literature.TISSUES) == set(sequences.SIGNAL)
    drawn = [literature.levels(np.random.default_rng(seed)) for seed in range(200)]
    for channels in drawn:
        assert len(channels) == 3 and all(max(level.values()) == 1 and min(level.values()) >= 0 for level in channels)
        flair = channels[FLAIR]
        assert flair["lesion"] >= literature.LEAST_CONTRAST * max(flair["white"], flair["grey"])
        assert channels[PRE] == channels[POST]
    brighter = [channels[FLAIR]["lesion"] / channels[FLAIR]["white"] for channels in drawn]
    assert np.ptp(np.quantile(brighter, [0.05, 0.95])) > 1
    # White matter is brighter than grey on T1 and darker on FLAIR, as the textbooks have it.
    assert np.mean([channels[PRE]["white"] > channels[PRE]["grey"] for channels in drawn]) > 0.8
    assert np.mean([channels[FLAIR]["white"] < channels[FLAIR]["grey"] for channels in drawn]) > 0.8


def test_the_stronger_field_has_the_longer_times():
    t1 = {
        field: [literature._drawn("white", field, np.random.default_rng(seed))[0] for seed in range(20)]
        for field in (0, 1)
    }
    ends = literature.TISSUES["white"].t1_ms
    assert np.median(t1[0]) == pytest.approx(ends[0], rel=0.1) and np.median(t1[1]) == pytest.approx(ends[1], rel=0.1)
    lesion = [literature._drawn("lesion", 0, np.random.default_rng(seed))[0] for seed in range(50)]
    assert min(lesion) < 1300 and max(lesion) > 2500  # whatever the field


def test_no_contrast_of_the_study_s_phantom_comes_in(plan, drawing, monkeypatch):
    for name, values in sequences.SIGNAL.items():
        monkeypatch.setitem(sequences.SIGNAL, name, tuple(1 - value for value in values))
    monkeypatch.setattr(sequences, "LESION_SPREAD", (0.5, 0.5, 0.5))
    again = literature.draw(replace(plan, conspicuity=0.0), load_head())
    assert np.array_equal(again.images, drawing.images) and np.array_equal(again.masks, drawing.masks)


def test_a_plan_keeps_the_name_and_takes_wide_ranges():
    plans, _ = plan_cohort(60, 3)
    drawn = [literature.planned(plan) for plan in plans]
    assert [plan.name for plan in drawn] == [plan.name for plan in plans]
    assert drawn == [literature.planned(plan) for plan in plans]
    assert {plan.conspicuity for plan in drawn} == {0.0} and {plan.missing for plan in drawn} == {""}
    for plan, wide in zip(drawn, map(CHANGES[WIDE].planned, plans), strict=True):
        assert (plan.volume_ml, plan.seed_mm, plan.slices) == (wide.volume_ml, wide.seed_mm, wide.slices)
        assert literature.PIXEL_MM[0] <= plan.pixel_mm <= literature.PIXEL_MM[1]
        assert literature.WHITE_TO_GREY[0] <= plan.growth.white_to_grey <= literature.WHITE_TO_GREY[1]
    assert 0.25 < np.mean([plan.cyst for plan in drawn]) < 0.75
    assert 0.25 < np.mean([plan.enhancement > 0 for plan in drawn]) < 0.75


def test_the_tumour_is_drawn_where_flair_is_bright(drawing):
    assert drawing.images.dtype == np.uint8 and drawing.masks.any()
    largest = drawing.masks.sum(axis=(1, 2)).argmax()
    flair, mask = drawing.images[largest, ..., FLAIR].astype(float), drawing.masks[largest]
    rows, columns = np.nonzero(mask)
    mirrored = mask[:, ::-1] & ~mask
    assert flair[rows, columns].mean() > 1.1 * flair[mirrored & (flair > 0)].mean()


def test_a_smoother_hand_draws_a_smoother_line(monkeypatch):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :80]
    disc = 1 / (1 + np.exp((np.hypot(y - 40, x - 40) - 20 + rng.normal(0, 2.5, (80, 80))) / 2))
    density = np.stack([disc, np.zeros_like(disc)]).astype(np.float32)
    density[0, :3, :3] = 1  # smaller than anybody outlines
    monkeypatch.setattr(literature, "HAND_LEVEL", 0.0)

    def edges(width):
        monkeypatch.setattr(literature, "HAND_PX", (width, width))
        mask = literature.outlined(density, np.random.default_rng(0))
        assert not mask[1].any() and not mask[0, :3, :3].any()
        assert mask[0].sum() == pytest.approx((disc > VISIBLE_DENSITY).sum(), rel=0.1)
        return np.count_nonzero(np.diff(mask[0].astype(int), axis=0)) + np.count_nonzero(np.diff(mask[0], axis=1))

    assert edges(2.0) < 0.8 * edges(0.3)


def test_it_is_prepared_under_a_name_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path))
    change = change_named(literature.LITERATURE)
    prints = {phantom_table(1, 3, other).attrs["fingerprint"] for other in (None, change, change_named(WIDE))}
    assert len(prints) == 3
    prepared = prepare_phantom(1, 3, Preprocessing(image_size=32), change)
    assert prepared.images.any() and prepared.table["tumour_px"].sum() > 0
    assert prepared.fingerprint not in {
        prepare_phantom(1, 3, Preprocessing(image_size=32), other).fingerprint for other in (None, change_named(WIDE))
    }


def test_the_ranges_can_be_read():
    tissues, others = literature_tissues(), literature_ranges()
    assert tissues["tissue"].tolist() == list(literature.TISSUES)
    white = tissues.set_index("tissue").loc["white"]
    assert white.tolist() == ["500 to 1100", "65 to 85", "0.65 to 0.77"]
    assert not others.isna().any(axis=None) and others["what"].is_unique
    assert others.set_index("what").loc["volume of the tumour (ml)", "range"] == "2 to 300"
