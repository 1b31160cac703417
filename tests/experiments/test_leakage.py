"""The leak: copies with numbers derived by hand, doses that differ in nothing else, findings that hold either way."""

from __future__ import annotations

import itertools
import re
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from helpers import write_cohort, write_slice

from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.experiments import engine, leakage, reference
from brainseg.figures import leakage as figures
from brainseg.paths import project_root
from brainseg.splits import split_by_patient
from brainseg.statistics import Answer, p_text

AREAS = {1: 0, 2: 100, 3: 200, 4: 150, 5: 0, 6: 0}  # tumour pixels of the hand-made patient, by slice


@pytest.fixture
def by_hand(tmp_path) -> pd.DataFrame:
    """One patient of six slices. A mask is the first pixels of a square, row by row, so one holds the smaller."""
    folder = tmp_path / "HAND_AA_0001_20000101"
    rows = []
    for number, area in AREAS.items():
        mask = np.zeros((256, 256), bool)
        mask[50:70, 50:70] = np.arange(400).reshape(20, 20) < area
        write_slice(folder, number, np.zeros((256, 256, 3), np.uint8), mask)
        path = str(folder / f"{folder.name}_{number}_mask.tif")
        rows.append(
            {"patient": folder.name, "institution": "AA", "slice": number, "tumour_px": area, "mask_path": path}
        )
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- the copy


def test_a_copy_scores_what_is_counted_by_hand(by_hand):
    scores = leakage.score_copies(by_hand, sources=np.array([0, 2, 5]), targets=np.array([1, 3, 4])).set_index("slice")
    # Slice 2 lies between slices 1 and 3, equally far: the lower number is taken, which has no tumour.
    assert scores.loc[2, ["distance", "tp", "fp", "fn", "dice"]].tolist() == [1, 0, 0, 100, 0]
    # Slice 4 gets slice 3: 150 of its 200 pixels are right.
    assert scores.loc[4, ["distance", "tp", "fp", "fn"]].tolist() == [1, 150, 50, 0]
    assert scores.loc[4, "dice"] == pytest.approx(2 * 150 / (200 + 150))
    # Slice 5 has no tumour, and neither has slice 6.
    assert np.isnan(scores.loc[5, "dice"]) and scores.loc[5, "fp"] == 0


def test_the_nearest_source_is_of_the_same_patient():
    table = pd.DataFrame({"patient": list("aaabbb"), "slice": [1, 2, 3, 1, 2, 9]})
    rows, distance = leakage.nearest_source(table, sources=np.array([5, 2, 3]), targets=np.array([0, 1, 4]))
    assert rows.tolist() == [2, 2, 3]
    assert distance.tolist() == [2, 1, 1]
    with pytest.raises(ValueError, match="b has slices to test and none to copy from"):
        leakage.nearest_source(table, sources=np.array([0]), targets=np.array([1, 4]))


def disc(radius, centre=(100, 100)):
    rows, columns = np.mgrid[:256, :256]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


@pytest.mark.parametrize(("share", "radius"), [(0, 10), (0.5, 20), (1, 30), (0.25, 15)])
def test_between_two_discs_lies_a_disc_of_the_radius_between(share, radius):
    found = leakage.between(disc(10), disc(30), share)
    assert disc(radius - 1).sum() <= found.sum() <= disc(radius + 1).sum()
    assert not (disc(radius - 1) & ~found).any() and not (found & ~disc(radius + 1)).any()


def test_a_tumour_that_ends_shrinks_and_nothing_comes_of_nothing():
    empty = np.zeros((256, 256), bool)
    half, most = leakage.between(disc(20), empty, 0.5), leakage.between(disc(20), empty, 0.25)
    assert 0 <= half.sum() < most.sum() < disc(20).sum() and not (most & ~disc(20)).any()
    assert leakage.between(empty, disc(20), 0.75).sum() == most.sum()
    assert not leakage.between(empty, empty, 0.5).any()
    corner = disc(20, (0, 0))
    np.testing.assert_array_equal(leakage.between(corner, corner, 0.3), corner)


def test_an_interpolated_mask_beats_a_copy_where_the_tumour_grows(tmp_path):
    folder = tmp_path / "HAND_AA_0001_20000101"
    rows = []
    for number, radius in enumerate((10, 14, 18, 22, 26), start=1):
        write_slice(folder, number, np.zeros((256, 256, 3), np.uint8), disc(radius))
        path = str(folder / f"{folder.name}_{number}_mask.tif")
        rows.append({"patient": folder.name, "institution": "AA", "slice": number, "tumour_px": int(disc(radius).sum()),
                     "mask_path": path})  # fmt: skip
    table, sources, targets = pd.DataFrame(rows), np.array([0, 2, 3]), np.array([1, 4])
    copied = leakage.score_copies(table, sources, targets)
    drawn = leakage.score_interpolations(table, sources, targets)
    assert drawn["distance"].tolist() == copied["distance"].tolist() == [1, 1]
    assert drawn["dice"].iloc[0] > 0.97 > copied["dice"].iloc[0]
    assert drawn["dice"].iloc[1] == copied["dice"].iloc[1]  # above it there is nothing: a copy
    summed = leakage.image_free_table({"copied": copied, "drawn between": drawn})
    assert summed.loc["copied", "mean Dice of tumour slices"] == pytest.approx(copied["dice"].mean())
    with pytest.raises(ValueError, match="none to copy from"):
        leakage.score_interpolations(table.assign(patient=list("aaaab")), sources, targets)


def test_copies_at_a_distance_are_averaged_over_both_directions(by_hand):
    found = leakage.copies_by_distance(by_hand, distances=(1, 3, 5)).set_index("distance")["dice"]
    pairs = {"2 and 3": 2 * 100 / 300, "3 and 4": 2 * 150 / 350}
    # At distance 1: slice 2 from 1 and 3, slice 3 from 2 and 4, slice 4 from 3 and 5; slices 1 and 5 give nothing.
    assert found[1] == pytest.approx((2 * pairs["2 and 3"] + 2 * pairs["3 and 4"]) / 6)
    # At distance 3 every partner is empty, and at distance 5 no tumour slice has one.
    assert found[3] == 0
    assert list(found.index) == [1, 3]


# ---------------------------------------------------------------- the design


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> pd.DataFrame:
    """Twelve patients of ten slices, as a table only: nothing of the design reads a file."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "patient": f"TEST_{'AB'[p % 2]}A_{p:04d}_20000101", "case": f"TEST_{'AB'[p % 2]}A_{p:04d}",
            "institution": "AB"[p % 2] + "A", "slice": s, "tumour_px": int(3 <= s <= 7) * int(rng.integers(50, 900)),
        }
        for p in range(12)
        for s in range(1, 11)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def roles_of(cohort, fold=0, seed=0):
    return leakage.design(cohort, reference.sides(cohort, fold, 0), (0, fold, seed))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fold", (0, 4))
def test_the_doses_differ_in_the_leak_alone(cohort, fold, seed):
    roles = roles_of(cohort, fold, seed)
    probes = set(cohort["patient"][split_by_patient(cohort, fold=fold) == "test"])
    tested, tumour = leakage.is_tested(roles), roles["tumour_px"] > 0
    assert set(roles["patient"][tested]) == set(roles["patient"][tested & tumour]) == probes

    splits = {dose: leakage.dose_split(roles, dose) for dose in leakage.DOSES}
    assert set.union(*(set(split) for split in splits.values())) == {"train", "test", "out"}
    honest = splits[0] == "train"
    assert not probes & set(roles["patient"][honest])
    for dose, split in splits.items():
        trained = split == "train"
        for kind in (tumour, ~tumour):
            assert (trained & kind).sum() == (honest & kind).sum() > 0
        assert (split[tested] == ("train" if dose == 100 else "test")).all()
        own = roles.loc[trained & (roles["role"] == "probe")].groupby("patient").size()
        volumes = cohort.groupby("patient").size()
        assert ((own <= dose / 100 * volumes[own.index]).all()) and len(own) == (len(probes) if dose else 0)
    # What has leaked at a dose has leaked at a larger one.
    leaked = [set(roles.index[leakage.leaks(roles, dose)]) for dose in leakage.DOSES]
    assert all(less < more for less, more in itertools.pairwise(leaked))
    helpers = set(roles["patient"][roles["role"] == "stand-in"])
    assert len(helpers) == len(probes) and not helpers & set(roles["patient"][splits[100] == "train"])


def test_the_same_seed_gives_the_same_design_and_another_seed_another(cohort):
    pd.testing.assert_frame_equal(roles_of(cohort, seed=1), roles_of(cohort, seed=1))
    assert not roles_of(cohort, seed=1).equals(roles_of(cohort, seed=2))


def test_strangers_have_no_part(cohort):
    side = reference.sides(cohort, 0, 0)
    strangers = cohort["patient"].isin(cohort.loc[side == "train", "patient"].unique()[:2])
    roles = leakage.design(cohort, side.mask(strangers, "new"))
    assert set(roles["role"][strangers]) == {"new"}
    assert all((leakage.dose_split(roles, dose)[strangers] == "out").all() for dose in leakage.DOSES)


def test_the_distance_is_that_to_the_nearest_leaked_slice(cohort):
    roles = roles_of(cohort, seed=3)
    tested = roles[leakage.is_tested(roles)]
    for dose in (25, 80):
        for (_, row), distance in zip(tested.iterrows(), leakage.distance_to_leak(roles, dose), strict=True):
            leaked = roles[leakage.leaks(roles, dose) & (roles["patient"] == row["patient"])]
            assert distance == (leaked["slice"] - row["slice"]).abs().min() >= 1
    assert np.isnan(leakage.distance_to_leak(roles, 0)).all() and (leakage.distance_to_leak(roles, 100) == 0).all()


def test_a_probe_with_one_tumour_slice_has_it_tested(cohort):
    table = cohort.copy()
    table.loc[table["slice"] != 5, "tumour_px"] = 0
    roles = roles_of(table)
    only = roles[(roles["role"] == "probe") & (roles["tumour_px"] > 0)]
    assert len(only) and (only["turn"] == 100).all() and leakage.is_tested(roles)[only.index].all()


@pytest.fixture
def thin(cohort, monkeypatch) -> pd.DataFrame:
    """The cohort with two tumour slices left in each training patient, and the split that it had before."""
    side = reference.sides(cohort, 0, 0)
    monkeypatch.setattr(reference, "make_split", lambda *_, **__: side)
    table = cohort.copy()
    table.loc[(side != "test") & ~table["slice"].isin([4, 5]), "tumour_px"] = 0
    return table


def test_stand_ins_come_from_more_patients_where_few_have_tumour(thin):
    roles = roles_of(thin)
    sizes = leakage.training_sizes(roles).set_index("dose")
    assert sizes["slices"].nunique() == sizes["tumour_slices"].nunique() == 1
    assert sizes["probe_slices"].is_monotonic_increasing and sizes.loc[0, "probe_slices"] == 0
    patients = roles.groupby("role")["patient"].nunique()
    assert patients["stand-in"] > patients["probe"]


def test_too_few_others_are_refused(thin):
    side = reference.sides(thin, 0, 0)
    thin.loc[side == "train", "tumour_px"] = 0
    with pytest.raises(ValueError, match="too few slices to stand in"):
        leakage.design(thin, side)


def test_a_test_without_tumour_is_refused_before_anything_is_trained(thin):
    with pytest.raises(ValueError, match="none of the 30 test slices shows tumour: take another fold or seed"):
        roles_of(thin.assign(tumour_px=0))


def few(cohort, counts, side):
    """The cohort with the first slices of each kind alone in its test patients: patient -> (tumour, empty)."""
    keep = pd.Series(True, index=cohort.index)
    for patient, numbers in counts.items():
        for kind, number in zip((True, False), numbers, strict=True):
            own = cohort.index[(cohort["patient"] == patient) & ((cohort["tumour_px"] > 0) == kind)]
            keep[own[number:]] = False
    return cohort[keep].reset_index(drop=True), side[keep].reset_index(drop=True)


@pytest.mark.parametrize("counts", [(1, 1), (1, 0), (0, 1)])
def test_a_patient_with_nothing_to_leak_is_no_probe(cohort, counts, monkeypatch):
    """A slice with tumour and one without are both tested, so no mask is left to copy, after all trainings."""
    side = reference.sides(cohort, 0, 0)
    first, *others = cohort["patient"][side == "test"].unique()
    table, side = few(cohort, {first: counts}, side)
    roles = leakage.design(table, side)
    assert set(roles["role"][roles["patient"] == first]) == {"new"}
    assert set(roles["patient"][leakage.is_tested(roles)]) == set(others)
    tested, leaked = np.flatnonzero(leakage.is_tested(roles)), np.flatnonzero(leakage.leaks(roles, leakage.MOST))
    leakage.nearest_source(table, leaked, tested)  # refuses who has none
    assert (leakage.dose_split(roles, 80)[roles["patient"] == first] == "out").all()
    monkeypatch.setattr(leakage, "sides", lambda *_: side)
    turns = roles[roles["role"] == "probe"]
    assert leakage.no_probes(table, turns, 0, 0) == (
        f" Left out, with too few slices to leak some and test others: {first}."
    )
    assert leakage.no_probes(table, table, 0, 0) == ""


@pytest.mark.parametrize("counts", [(2, 0), (1, 2), (2, 1)])
def test_two_slices_of_a_kind_are_enough_for_a_probe(cohort, counts):
    side = reference.sides(cohort, 0, 0)
    first = cohort["patient"][side == "test"].iloc[0]
    table, side = few(cohort, {first: counts}, side)
    roles = leakage.design(table, side)
    assert set(roles["role"][roles["patient"] == first]) == {"probe"}
    assert leakage.leaks(roles, leakage.MOST)[roles["patient"] == first].any()


def test_where_nobody_can_leak_the_design_says_so(cohort):
    side = reference.sides(cohort, 0, 0)
    probes = cohort["patient"][side == "test"].unique()
    table, side = few(cohort, dict.fromkeys(probes, (1, 1)), side)
    with pytest.raises(ValueError, match=rf"none of the {2 * len(probes)} test slices shows tumour and is of a patient "
                       "with several slices: take another fold or seed"):  # fmt: skip
        leakage.design(table, side)


def test_masks_are_copied_where_there_is_one_to_copy():
    table = pd.DataFrame({"patient": list("aabbc"), "tumour_px": [5, 0, 0, 9, 9]})
    split = pd.Series(["train", "test", "train", "test", "test"])
    sources, targets = leakage.copy_sides(table, split)
    assert sources.tolist() == [0, 2] and targets.tolist() == [1, 3]
    assert leakage.without_source(split, targets) == " Left out: 1 test slice of patients who have none in training."
    assert leakage.without_source(split[:4], targets) == ""
    with pytest.raises(ValueError, match="split by slice, no test slice shows tumour and has another slice of"):
        leakage.copy_sides(table.assign(tumour_px=[5, 0, 9, 0, 9]), split)


# ---------------------------------------------------------------- from slices to a conclusion


def scored(leaky: float, honest: float = 0.6, patients: int = 12, spread: float = 0.01, seeds: int = 3) -> pd.DataFrame:
    """Scores of tumour slices at distances 1 to 7. The second seed lies `spread` higher, and patients differ."""
    rows = []
    levels = {
        "25 %": (leaky + honest) / 2,
        "80 %": leaky,
        "100 %": 0.9,
        "0 %": honest,
        "copy": 0.5,
        "interpolation": 0.55,
    }
    for patient, (arm, level), seed, distance in itertools.product(
        range(patients), levels.items(), range(seeds), (1, 3, 7)
    ):
        shift = spread * (patient - patients / 2) / patients if arm in ("25 %", "80 %") else 0
        dice = level + shift + (spread if seed == 1 and arm.endswith("%") else 0)
        tp = round(1000 * dice)
        rows.append(
            {"arm": arm, "fold": patient % 2, "seed": seed, "patient": f"p{patient:02d}", "slice": distance,
             "distance": np.nan if arm == "0 %" else distance, "tumour_px": 1000, "tp": tp, "fp": 1000 - tp,
             "fn": 1000 - tp, "tn": 0, "institution": "AA", "dice": dice}
        )  # fmt: skip
    return pd.DataFrame(rows)


def test_patients_add_their_counts_and_average_their_tumour_slices():
    slices = pd.DataFrame(
        {
            "arm": "80 %", "fold": 0, "seed": 0, "patient": list("aaab"), "slice": [1, 2, 3, 1],
            "tumour_px": [10, 30, 0, 0], "tp": [10, 10, 0, 0], "fp": [0, 0, 20, 0], "fn": [0, 20, 0, 0],
            "dice": [1, 0.5, np.nan, np.nan], "tn": 0, "institution": "AA",
        }
    )  # fmt: skip
    patients = leakage.score_probes(slices).set_index("patient")
    assert patients.loc["a", ["slices", "tumour_slices", "tumour_px"]].tolist() == [3, 2, 40]
    assert patients.loc["a", "slice_dice"] == pytest.approx(0.75)
    assert patients.loc["a", "volume_dice"] == pytest.approx(2 * 20 / (2 * 20 + 20 + 20))
    assert patients.loc["b", ["slice_dice", "volume_dice"]].isna().all()


def test_seeds_are_averaged_before_patients_are_compared():
    slices = scored(leaky=0.7, seeds=2)
    patients = leakage.score_probes(slices)
    by_arm = leakage.paired(patients)
    assert list(by_arm) == ["copy", "interpolation", "0 %", "25 %", "80 %", "100 %"] and len(by_arm) == 12
    assert by_arm["0 %"].to_numpy() == pytest.approx(np.full(12, 0.605))
    found = leakage.findings(patients, slices)
    assert [finding.dose for finding in found.doses] == [25, 80] and found.primary.dose == 80
    assert found.primary.difference.patients == 12
    assert found.primary.difference.estimate == pytest.approx(0.1, abs=1e-3)
    assert found.doses[0].difference.estimate == pytest.approx(0.05, abs=1e-3)
    assert (found.primary.honest, found.primary.mean) == pytest.approx((0.605, 0.7046), abs=1e-3)
    assert found.control.difference.estimate == pytest.approx(0.3) and found.image_free["copy"] == pytest.approx(0.5)
    assert len(found.gains) == 4 and found.gains == pytest.approx([0.1] * 4, abs=2e-3)
    assert found.table().loc["80 %", "gain"] == found.primary.difference.estimate


def test_the_gain_by_distance_pools_what_is_far():
    found = leakage.gap_by_distance(scored(leaky=0.7)).set_index(["arm", "distance"])
    assert sorted(found.loc["gap"].index) == [1, 3, leakage.FARTHEST]
    assert found.loc[("gap", 1), "dice"] == pytest.approx(0.05, abs=1e-3)
    assert found.loc[("gap", 1), ["patients", "slices"]].tolist() == [12, 36]
    assert set(found.index.get_level_values("arm")) == {"0 %", "25 %", "gap"}  # a copy has another distance to its leak
    low, high = found.loc[("gap", 1), ["low", "high"]]
    assert low < 0.05 < high


def test_folds_may_say_less_than_patients():
    """All of the gain is in one fold of three."""
    slices = scored(leaky=0.6, spread=0)
    slices["fold"] = slices["patient"].str[1:].astype(int) % 3
    slices.loc[slices["arm"].eq("80 %") & slices["fold"].eq(0), "dice"] += 0.3
    found = found_of(slices)
    assert found.primary.difference.low > 0 > found.by_fold.low
    assert "includes 0, so folds alone would not show a difference" in found.over_folds()
    slices.loc[slices["arm"].eq("80 %") & slices["fold"].ne(0), "dice"] += 0.29
    assert "excludes 0 as well" in found_of(slices).over_folds()
    assert found_of(scored(leaky=0.7)).over_folds() == ""  # one fold


def test_on_how_many_patients_each_kind_trains_is_said():
    rows = [(0, 70), (25, 88), (80, 88), (100, 66), (0, 72), (25, 90), (80, 90), (100, 70)]
    said = leakage.described_training(pd.DataFrame(rows, columns=["dose", "patients"]))
    assert "71 without a leak and 89 with one" in said and "The control trains on 68" in said
    assert "control" not in leakage.described_training(pd.DataFrame(rows[:3], columns=["dose", "patients"]))


def test_near_minus_far_has_an_interval_over_patients():
    """The gain falls by 0.2 in every patient but one, who has near slices alone."""
    slices = scored(leaky=0.7, spread=0)
    near = (slices["arm"] == "25 %") & (slices["distance"] == 1)
    slices.loc[near, "dice"] += 0.2
    slices = slices[(slices["patient"] != "p00") | (slices["slice"] == 1)]
    assert leakage.near_minus_far(slices) == pytest.approx((0.2, 0.2, 0.2))
    rng = np.random.default_rng(0)
    flat = scored(leaky=0.7, spread=0)
    flat["dice"] += rng.normal(0, 0.1, len(flat))
    fall = leakage.near_minus_far(flat)
    assert fall.low < 0 < fall.high and fall == leakage.near_minus_far(flat)
    assert np.isnan(leakage.near_minus_far(slices[slices["slice"] == 1]).estimate)
    (estimate, *interval) = leakage.near_minus_far(scored(leaky=0.7, patients=1))
    assert estimate == pytest.approx(0) and np.isnan(interval).all()


def found_of(slices):
    return leakage.findings(leakage.score_probes(slices), slices)


@pytest.mark.parametrize(
    ("slices", "answer", "said"),
    [
        (
            scored(leaky=0.7),
            Answer.DIFFERENCE,
            "; the data show a difference. That is what the leak is worth here; a new patient gets nothing",
        ),
        (
            scored(leaky=0.62),
            Answer.DIFFERENCE,
            "a difference, but one smaller than 0.03. That is what the leak is worth here; a new patient gets nothing",
        ),
        (
            scored(leaky=0.5),
            Answer.DIFFERENCE,
            "show a difference. Here the leak did not flatter the networks but held them back",
        ),
        (
            scored(leaky=0.59),
            Answer.DIFFERENCE,
            "but one smaller than 0.03. Here the leak did not flatter the networks",
        ),
        (scored(leaky=0.6, spread=0), Answer.EQUIVALENT, "the leak is worth less than 0.03 either way"),
        (scored(leaky=0.6, spread=0.5), Answer.CANNOT_TELL, "these data cannot tell: the 95 % interval includes 0"),
        (scored(leaky=0.7, seeds=2), Answer.CANNOT_TELL, "cannot tell: too few trainings (2, and 3 are needed)"),
        (scored(leaky=0.7, patients=5), Answer.CANNOT_TELL, "cannot tell: too few patients (5, and 10 are needed)"),
        (scored(leaky=0.7, patients=1), Answer.CANNOT_TELL, "a difference of +0.095, and a single patient gives no"),
    ],
)
def test_the_conclusion_holds_whichever_way_it_came_out(slices, answer, said):
    found = found_of(slices)
    assert found.verdict.answer is answer
    assert said in found.conclusion() and "nan" not in found.conclusion()
    assert ("a new patient gets nothing" in found.conclusion()) == ("gets nothing" in said)  # no gain without one


def test_what_hangs_on_one_patient_and_on_counting_one_question_is_told():
    found = found_of(scored(leaky=0.7))
    assert found.of_five.answer is Answer.DIFFERENCE and "the data show a difference" in found.fragility()
    table = scored(leaky=0.6, spread=0.0)
    rng = np.random.default_rng(0)
    own = dict(zip(table["patient"].unique(), rng.normal(0.0003, 0.001, 12), strict=True))
    rows = table["arm"] == "80 %"
    table.loc[rows, "dice"] += table.loc[rows, "patient"].map(own)
    table.loc[rows & (table["patient"] == table["patient"].iloc[0]), "dice"] += 0.2
    one = found_of(table)
    assert one.trimmed.patients == one.primary.difference.patients - 1
    assert one.trimmed.estimate < 0.003 < one.primary.difference.estimate
    assert f"mean gain is {one.trimmed.estimate:+.3f}" in one.fragility()
    assert one.of_five.answer is not Answer.DIFFERENCE and one.of_five.text in one.fragility()
    for finding in (found, one):
        assert finding.p_corrected == min(1.0, 5 * finding.primary.difference.p_value)
        assert f"this one would have {p_text(finding.p_corrected, name='p')}, and" in finding.fragility()
    assert found.p_corrected < 0.05 < one.p_corrected
    assert found_of(scored(leaky=0.7, patients=1)).fragility() == ""


def test_the_protocol_names_as_many_questions():
    rows = re.findall(r"^\| Q(\d) ", (project_root() / "results" / "protocol.md").read_text(encoding="utf-8"), re.M)
    assert len(rows) == leakage.QUESTIONS


def test_the_control_tells_whether_a_leak_could_be_seen():
    seen, unseen = scored(leaky=0.7), scored(leaky=0.7)
    unseen.loc[unseen["arm"] == "100 %", "dice"] = 0.5
    assert "can see a leak where there is one" in found_of(seen).sensitivity()
    assert "can hardly be seen" in found_of(unseen).sensitivity()
    assert "nothing shows that a leak can be seen" in found_of(seen[seen["arm"] != "100 %"]).sensitivity()
    assert "nan" not in found_of(scored(leaky=0.7, patients=1)).sensitivity()


def test_the_ways_without_an_image_are_held_against_the_honest_network():
    said = found_of(scored(leaky=0.7)).without_images()
    assert "drawing between the nearest leaked masks reaches **0.550**" in said and "91% of" in said
    assert "more than" in found_of(scored(leaky=0.7, honest=0.3)).without_images()


def test_the_luck_of_a_training_is_told_where_there_are_several():
    assert "(6 pairs), the gain lies between +0.0" in found_of(scored(leaky=0.7)).luck()
    one = scored(leaky=0.7, seeds=1)
    assert "one network with the leak" in found_of(one[one["fold"] == 0]).luck()


def shifted(near: float, noise: float = 0.0) -> pd.DataFrame:
    """Scores whose gain is `near` larger next to the leak."""
    slices = scored(leaky=0.7, spread=0)
    rng = np.random.default_rng(0)
    slices["dice"] += rng.normal(0, noise, len(slices))
    slices.loc[(slices["arm"] == "25 %") & (slices["distance"] == 1), "dice"] += near
    return slices


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        (shifted(0.2), "larger near the leak"),
        (shifted(-0.2), "smaller near the leak"),
        (shifted(0.2)[lambda rows: rows["seed"] < 2], "too few trainings for a verdict (2 of each dose"),
        (shifted(0, noise=0.1), "cannot tell whether the gain is larger"),
        (shifted(0.2)[lambda rows: (rows["patient"] < "p09") | (rows["slice"] == 1)], "too thin for a verdict"),
        (shifted(0.2)[lambda rows: rows["slice"] == 1], "no other distance"),
    ],
)
def test_near_and_far_are_told_apart_or_not(slices, said):
    assert said in found_of(slices).distance.sentence()


def test_a_copy_is_summed_up_and_fades(by_hand):
    copies = leakage.score_copies(by_hand, sources=np.array([0, 2, 5]), targets=np.array([1, 3, 4]))
    found = leakage.copy_findings(copies)
    assert (found.neighbours, found.patients) == (1.0, 1)
    assert found.slice_dice == pytest.approx((0 + 300 / 350) / 2)
    assert found.volume_mean == found.volume_median == pytest.approx(2 * 150 / (2 * 150 + 50 + 100))
    away = pd.DataFrame({"distance": [1, 2, 3], "dice": [0.8, 0.5, 0.3]})
    assert "From a distance of 3 slices on" in leakage.fading(away)
    assert "Even 2 slices away" in leakage.fading(away.head(2))


# ---------------------------------------------------------------- the whole, and its figures

SMALL = leakage.Settings(
    image_size=32, filters=2, epochs=1, slices_per_epoch=8, after_phantom=False, doses=(0, 80, 100), folds=(0,), seeds=1
)


@pytest.fixture(scope="module")
def computed(shallow, tmp_path_factory):
    """A network of each dose, trained for one step on ten tiny patients."""
    pytest.importorskip("keras")
    names = [f"TEST_{'AB'[n % 2]}A_{n:04d}_20000101" for n in range(10)]
    cohort = index_cohort(write_cohort(tmp_path_factory.mktemp("leak") / "kaggle_3m", names))
    return cohort, *engine.compute(leakage, cohort, SMALL)


@pytest.mark.slow
def test_computed_tables_hold_every_arm_on_the_same_slices(computed, tmp_path, monkeypatch):
    cohort, found, record = computed
    slices, turns = found["slices"], found["design"]
    tested = turns[turns["turn"] > leakage.MOST]
    for _, own in slices.groupby("arm"):
        assert own[["patient", "slice"]].to_numpy().tolist() == tested[["patient", "slice"]].to_numpy().tolist()
        assert (own["tp"] + own["fn"]).tolist() == tested["tumour_px"].tolist()
    assert set(slices["arm"]) == {"0 %", "80 %", "100 %", "copy", "interpolation"}
    distance = slices.groupby("arm")["distance"]
    assert distance.min()["80 %"] == distance.min()["copy"] == 1 and distance.max()["100 %"] == 0
    assert found["sizes"]["slices"].nunique() == 1
    assert record["settings"] == asdict(SMALL)
    assert [run["arm"] for run in record["runs"]] == ["0 %", "80 %", "100 %"]
    assert record["cohort"]["patients"] == cohort["patient"].nunique()
    assert "3 trainings" in leakage.described(record) and "10 real patients" in leakage.described(record)
    assert f"The test: {len(tested)} slices" in leakage.described_test(slices)

    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    results.write_tables("leakage", found, record)
    kept = results.read_tables("leakage")
    now, then = (leakage.findings(tables["patients"], tables["slices"]) for tables in (found, kept))
    assert then.primary.difference.estimate == pytest.approx(now.primary.difference.estimate, abs=1e-5)
    assert then.distance.near_gap == pytest.approx(now.distance.near_gap, abs=1e-5)


@pytest.mark.slow
def test_networks_of_all_doses_train_alike(computed):
    cohort, _, _ = computed
    plan = leakage.plan(cohort, SMALL)
    assert len({(str(training.recipe), training.preprocessing) for training in plan}) == 1
    assert len({(training.split == "train").sum() for training in plan}) == 1
    assert [training.labels["arm"] for training in plan] == ["0 %", "80 %", "100 %"]
    assert len({training.folder(cohort) for training in plan}) == 3


@pytest.mark.slow
def test_a_second_call_trains_nothing(computed, monkeypatch):
    cohort, found, _ = computed
    monkeypatch.setattr("brainseg.networks.runs.train", lambda *_: pytest.fail("it trains again"))
    again, _ = engine.compute(leakage, cohort, SMALL)
    pd.testing.assert_frame_equal(again["slices"], found["slices"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": 0}, "seeds is 0"),
        ({"doses": (80,)}, "name 0 and others"),
        ({"doses": (0, 80, 120)}, "up to 100"),
        ({"doses": (0, 100)}, "at least one up to 80"),
        ({"doses": (0, 90)}, "at least one up to 80"),
    ],
)
def test_settings_that_compare_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        leakage.Settings(**settings)


def test_figures_draw_what_they_are_given(cohort, by_hand):
    roles = roles_of(cohort)
    slices, patients = scored(leaky=0.7), leakage.score_probes(scored(leaky=0.7))
    (ax,) = figures.copies(leakage.copies_by_distance(by_hand)).axes
    assert ax.texts[0].get_text() == f"{leakage.copies_by_distance(by_hand)['dice'].iloc[0]:.2f}"

    probes = roles[roles["role"] == "probe"]
    (ax,) = figures.turns(probes).axes
    assert len(ax.patches) == len(probes)
    tested = [patch.get_facecolor()[:3] for patch in ax.patches]
    assert len(set(tested)) == 2 and tested.count(tested[0]) in (
        leakage.is_tested(probes).sum(),
        leakage.leaks(probes, 80).sum(),
    )

    by_arm, found = leakage.paired(patients), found_of(slices)
    left, right = figures.doses(by_arm, found, "score").axes
    assert [text.get_text() for text in left.texts] == [f"{by_arm[arm].mean():.2f}" for arm in list(by_arm)[2:]]
    assert [label.get_text() for label in right.get_xticklabels()] == ["25 %", "80 %", "100 %"]

    left, right = figures.distances(leakage.gap_by_distance(slices)).axes
    assert [line.get_label() for line in left.lines] == ["network without a leak", "network, 25 % leaked"]
    assert [label.get_text() for label in right.get_xticklabels()] == ["1\n36", "3\n36", "5+\n36"]
    drawn = [line.get_ydata() for line in left.lines]
    assert list(drawn[1] - drawn[0]) == pytest.approx(list(right.lines[0].get_ydata()))

    image, mask = np.zeros((8, 8, 3), np.uint8), np.eye(8) > 0
    assert figures.copied(image, mask, image, mask, 1.0).axes[1].get_title() == "test slice: Dice 1.00"
