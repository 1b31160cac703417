"""The phantom with grey levels of the literature: its contrasts, its reader, and what it does not take over."""

from dataclasses import replace

import numpy as np
import pytest

from brainseg.cohort import FLAIR, POST, PRE
from brainseg.data import phantom_table, prepare_phantom
from brainseg.experiments import literature
from brainseg.experiments.changes import _range, change_named, literature_ranges, literature_tissues
from brainseg.experiments.ingredients import CHANGES, WIDE
from brainseg.images.preprocess import Preprocessing
from brainseg.phantom import sequences
from brainseg.phantom.anatomy import load_head
from brainseg.phantom.cohort import draw_patient
from brainseg.phantom.plan import plan_cohort
from brainseg.phantom.scanner import Pose, Scanner, slice_grid
from brainseg.phantom.sequences import Tissues
from brainseg.phantom.tumour import VISIBLE_DENSITY, annotate


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
    # Right after the inversion that is a spin echo upside down, and its magnitude shows no sign.
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
    # In most patients white matter is brighter than grey on T1 and darker on FLAIR, as the textbooks have it.
    assert np.mean([channels[PRE]["white"] > channels[PRE]["grey"] for channels in drawn]) > 0.6
    assert np.mean([channels[FLAIR]["white"] < channels[FLAIR]["grey"] for channels in drawn]) > 0.6


def test_t1_follows_the_field_where_the_ranges_say_so():
    def t1(name, field):
        return [
            literature._drawn(literature.TISSUES[name], field, np.random.default_rng(seed))[0] for seed in range(99)
        ]

    for name, tissue in literature.TISSUES.items():
        for field, (low, high) in ((0, tissue.low_ms), (1, tissue.high_ms)):
            assert low <= min(t1(name, field)) < low + 0.1 * (high - low)
            assert high >= max(t1(name, field)) > high - 0.1 * (high - low)
    # Half the way, on the logarithm's scale.
    white = literature.TISSUES["white"]
    assert min(t1("white", 0.5)) == pytest.approx(np.sqrt(white.low_ms[0] * white.high_ms[0]), rel=0.02)
    assert t1("fluid", 0) == t1("fluid", 1)


def test_a_tumour_that_flair_would_not_show_is_drawn_again_and_nothing_else_is(monkeypatch):
    drawn = []
    draw = literature._drawn
    monkeypatch.setattr(literature, "_drawn", lambda tissue, *rest: drawn.append(tissue) or draw(tissue, *rest))
    for seed in range(20):
        literature.levels(np.random.default_rng(seed))
    times = {name: sum(each is tissue for each in drawn) for name, tissue in literature.TISSUES.items()}
    assert times.pop("lesion") > 20 and set(times.values()) == {20}


def test_it_draws_as_the_study_s_phantom_does_but_for_what_it_replaces(monkeypatch):
    """With the study's parts in their places, the two are one: nothing else differs, and nothing lags behind."""
    plans, _ = plan_cohort(12, 0)
    plan = replace(plans[1], slices=12)
    own = draw_patient(plan, load_head())
    monkeypatch.setattr(literature, "_stream", lambda plan, step: np.random.default_rng([*plan.entropy, step - 1]))
    monkeypatch.setattr(literature, "_Signals", sequences.Signals)
    monkeypatch.setattr(literature, "_Scanner", Scanner)
    monkeypatch.setattr(literature, "outlined", annotate)
    monkeypatch.setattr(literature, "Tissues", lambda axes, bias, rng: Tissues(axes, bias_of(plan), rng))
    bias = []

    def bias_of(plan):
        warp = np.random.default_rng([*plan.entropy, 0])
        Pose(slice_grid(plan, warp), warp)
        bias.append(0.1 + 0.5 * (plan.age - 46) / 30 + 0.2 * warp.standard_normal())
        return bias[0]

    again = literature.draw(plan, load_head())
    assert bias and np.array_equal(again.images, own.images) and np.array_equal(again.masks, own.masks)


def test_no_level_of_the_study_s_tissues_comes_in(plan, drawing, monkeypatch):
    for name, values in sequences.SIGNAL.items():
        monkeypatch.setitem(sequences.SIGNAL, name, tuple(1 - value for value in values))
    monkeypatch.setattr(sequences, "LESION_SPREAD", (0.5, 0.5, 0.5))
    again = literature.draw(plan, load_head())
    assert np.array_equal(again.images, drawing.images) and np.array_equal(again.masks, drawing.masks)


def test_the_noise_floor_and_the_slabs_of_the_archive_stay_away(plan):
    axes = slice_grid(plan, np.random.default_rng(0))
    ours, own = (
        [kind(plan, axes, np.random.default_rng(seed)) for seed in range(9)] for kind in (literature._Scanner, Scanner)
    )
    assert any(scanner._floor for scanner in own)
    assert any(slab is not None for scanner in own for slab in scanner._slabs)
    assert not any(scanner._floor for scanner in ours)
    assert all(slab is None for scanner in ours for slab in scanner._slabs)


def test_vessels_change_what_follows_contrast_agent_alone(plan, drawing, monkeypatch):
    monkeypatch.setattr(literature, "VESSELS", (0.0, 0.0))
    bare = literature.draw(plan, load_head())
    assert np.array_equal(bare.images[..., [PRE, FLAIR]], drawing.images[..., [PRE, FLAIR]])
    assert bare.images[..., POST].sum() < drawing.images[..., POST].sum()


def test_a_plan_keeps_the_name_and_takes_wide_ranges():
    plans, _ = plan_cohort(60, 3)
    drawn = [literature.planned(plan) for plan in plans]
    assert [plan.name for plan in drawn] == [plan.name for plan in plans]
    assert drawn == [literature.planned(plan) for plan in plans]
    assert {plan.conspicuity for plan in drawn} == {0.0} and {plan.missing for plan in drawn} == {""}
    for plan, wide in zip(drawn, map(CHANGES[WIDE].planned, plans), strict=True):
        assert (plan.volume_ml, plan.seed_mm, plan.slices) == (wide.volume_ml, wide.seed_mm, wide.slices)
        assert literature.PIXEL_MM[0] <= plan.pixel_mm <= literature.PIXEL_MM[1]
        for field in ("white_to_grey", "roughness", "anisotropy"):
            low, high = getattr(literature, field.upper())
            assert low <= getattr(plan.growth, field) <= high
        assert plan.enhancement == 0 or literature.ENHANCEMENT[0] <= plan.enhancement <= literature.ENHANCEMENT[1]
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


def test_all_ranges_can_be_read():
    tissues, others = literature_tissues().set_index("tissue"), literature_ranges()
    assert len(tissues) == len(literature.TISSUES) and {"white matter", "tumour", "fat"} < set(tissues.index)
    assert tissues.loc["white matter"].tolist() == ["500 to 700", "800 to 1100", "65 to 85", "0.65 to 0.77"]
    assert others["quantity"].is_unique
    told = others.set_index("quantity")["range"]
    assert told["tumour: volume (ml)"] == "2 to 300" and told["tumour: share with a cyst"] == "0.5"
    # None is forgotten: every number of the module stands there.
    numbers = {
        name: value for name, value in vars(literature).items()
        if name.isupper() and name not in ("VISIBLE_DENSITY", "FRAME", "PRE") and isinstance(value, float | int | tuple)
        and not name.startswith("_")
    }  # fmt: skip
    assert len(numbers) > 15
    missing = {name for name, value in numbers.items() if _range(value) not in set(told)}
    assert not missing
