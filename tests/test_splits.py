"""Splits: nobody on two sides, every side like the whole, nothing left to the order of the rows."""

import numpy as np
import pandas as pd
import pytest

from brainseg.splits import (
    N_FOLDS,
    draw_patients,
    make_split,
    split_by_institution,
    split_by_patient,
    split_by_slice,
    split_size_matched,
)

# The institutions of the 88 real patients, with EZ's single one.
SIZES = {"CS": 13, "DU": 36, "EZ": 1, "FG": 11, "HT": 27}


def cohort(sizes=SIZES, seed=1):
    rng = np.random.default_rng(seed)
    rows = []
    for institution, n in sizes.items():
        for i in range(n):
            slices = int(rng.integers(20, 40))
            size_px = rng.lognormal(6, 1)
            for k in range(1, slices + 1):
                tumour = int(size_px) if slices / 3 < k < slices * 2 / 3 else 0
                case = f"TCGA_{institution}_{i:04}"
                rows.append((f"{case}_20000101", case, institution, k, tumour))
    return pd.DataFrame(rows, columns=["patient", "case", "institution", "slice", "tumour_px"])


def few(n):
    return cohort({"CS": n})


def folds_of(table, seed=0):
    """Patient -> the one fold in which it is tested, sorted by patient."""
    tested = [
        split_by_patient(table, fold=fold, seed=seed).eq("test").groupby(table.patient).all()
        for fold in range(min(N_FOLDS, table.case.nunique()))
    ]
    by_fold = pd.concat(tested, axis=1, keys=range(len(tested)))
    assert (by_fold.sum(axis=1) == 1).all()
    return by_fold.idxmax(axis=1).rename("fold")


def test_every_patient_is_tested_exactly_once():
    table = cohort()
    tested = [set(table.patient[split_by_patient(table, fold=fold) == "test"]) for fold in range(5)]
    assert sum(len(patients) for patients in tested) == 88
    assert set().union(*tested) == set(table.patient)
    assert {len(patients) for patients in tested} == {17, 18}


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_stands_on_two_sides(seed):
    table = cohort()
    for fold in range(5):
        side = split_by_patient(table, fold=fold, seed=seed)
        assert (side.groupby(table.patient).nunique() == 1).all()
        assert set(side) == {"train", "validation", "test"}


def test_an_institution_that_is_left_out_is_the_test_side_alone():
    table = cohort()
    side = split_by_institution(table, "HT")
    assert set(table.institution[side == "test"]) == {"HT"} and not (side[table.institution == "HT"] != "test").any()
    assert (side.groupby(table.patient).nunique() == 1).all()
    validation = table[side == "validation"].groupby("institution")["patient"].nunique()
    assert validation.sum() == round(0.15 * 61) and validation["DU"] > validation["CS"]
    shuffled = table.sample(frac=1, random_state=0)
    assert split_by_institution(shuffled, "HT").sort_index().equals(side)
    with pytest.raises(ValueError, match="no institution 'XX'.*CS, DU, EZ, FG, HT"):
        split_by_institution(table, "XX")
    with pytest.raises(ValueError, match="0 cases left"):
        split_by_institution(few(3), "CS")


@pytest.mark.parametrize("institution", ["HT", "DU", "CS"])
def test_the_control_of_an_institution_learns_from_as_many_cases(institution):
    table = cohort()
    left_out = split_by_institution(table, institution)
    sides = [split_size_matched(table, institution, half) for half in (0, 1)]
    its = set(table.case[table.institution == institution])
    tested = [set(table.case[side.index][side == "test"]) for side in sides]
    assert not tested[0] & tested[1] and tested[0] | tested[1] == its and abs(len(tested[0]) - len(tested[1])) <= 1
    rank = table[table.case.isin(its)].groupby("case")["tumour_px"].sum().rank(pct=True)
    assert abs(rank[list(tested[0])].mean() - rank[list(tested[1])].mean()) < 0.12
    for side, half in zip(sides, tested, strict=True):
        taking_part = table.loc[side.index]
        assert (side.groupby(taking_part.case).nunique() == 1).all()
        for name in ("train", "validation"):
            assert taking_part.case[side == name].nunique() == table.case[left_out == name].nunique()
        assert set(taking_part.case[side != "test"]) & its == its - half
        # Whom the institution's half displaces is drawn from all others.
        absent = table[~table.case.isin(taking_part.case)].drop_duplicates("case")
        assert absent["institution"].nunique() >= 3 and institution not in set(absent["institution"])
    shuffled = split_size_matched(table.sample(frac=1, random_state=0), institution, 0)
    pd.testing.assert_series_equal(shuffled.sort_index(), sides[0].sort_index())


def test_a_control_that_cannot_be_is_refused():
    table = cohort()
    with pytest.raises(ValueError, match="no institution 'XX'"):
        split_size_matched(table, "XX", 0)
    with pytest.raises(ValueError, match="half 2: choose 0 or 1"):
        split_size_matched(table, "HT", 2)
    with pytest.raises(ValueError, match="EZ has 1 of 88 cases"):
        split_size_matched(table, "EZ", 0)
    for sizes in ({"AA": 6, "BB": 3}, {"AA": 5, "BB": 3}):
        with pytest.raises(ValueError, match=f"AA has {sizes['AA']} of"):
            split_size_matched(cohort(sizes), "AA", 0)
    side = split_size_matched(cohort({"AA": 4, "BB": 3}), "AA", 0)
    assert set(side) == {"train", "validation", "test"}


def twice_examined():
    """Every second case has a second folder, of another date."""
    table = cohort()
    second = table[table.case.isin(sorted(set(table.case))[::2])].copy()
    second["patient"] = second.case + "_20010101"
    return pd.concat([table, second], ignore_index=True)


@pytest.mark.parametrize("seed", range(5))
def test_two_folders_of_one_case_stand_on_one_side(seed):
    table = twice_examined()
    for fold in range(5):
        side = split_by_patient(table, fold=fold, seed=seed)
        assert (side.groupby(table.case).nunique() == 1).all()
        assert set(side) == {"train", "validation", "test"}
    folds = folds_of(table, seed=seed)
    assert sorted(folds.index) == sorted(set(table.patient))
    of_case = folds.groupby(folds.index.str.rpartition("_").get_level_values(0))
    assert (of_case.nunique() == 1).all()
    assert of_case.first().value_counts().between(17, 18).all()


def test_folds_are_those_of_the_first_release():
    """Kept weights belong to these folds, so a cohort with one folder per case must go on giving them."""
    table = cohort({"CS": 4, "DU": 5})
    assert folds_of(table).tolist() == [3, 2, 0, 4, 4, 1, 0, 1, 2]
    side = split_by_patient(table, fold=1).groupby(table.patient).first()
    parts = ["train", "train", "validation", "train", "train", "test", "train", "test", "train"]
    assert side.tolist() == parts


@pytest.mark.parametrize("seed", range(5))
def test_folds_hold_their_share_of_every_institution_and_load(seed):
    table = cohort()
    folds = folds_of(table, seed=seed)
    patients = table.groupby("patient").agg(institution=("institution", "first"), load=("tumour_px", "sum"))
    by_institution = pd.crosstab(patients.institution, folds)
    # A run of five neighbours at each end of an institution may be shared: two apart at most.
    assert (by_institution.max(axis=1) - by_institution.min(axis=1)).max() <= 2
    # Within an institution whole runs of neighbours are dealt, so each fold's load stays near the whole's.
    rank = patients.load.rank(pct=True)
    assert rank.groupby(folds).mean().between(0.42, 0.58).all()


def test_stratified_load_is_evener_than_chance():
    table = cohort()
    load = table.groupby("patient")["tumour_px"].sum().rank(pct=True)
    ours, chance = [], []
    for seed in range(30):
        folds = folds_of(table, seed=seed)
        ours.append(load.groupby(folds).mean().std())
        shuffled = pd.Series(np.random.default_rng(seed).permutation(folds.to_numpy()), index=folds.index)
        chance.append(load.groupby(shuffled).mean().std())
    assert np.mean(ours) < 0.5 * np.mean(chance)


@pytest.mark.parametrize(("n_folds", "tested", "validating"), [(5, 18, 10), (2, 44, 7), (88, 1, 13)])
def test_three_in_twenty_of_the_remaining_patients_validate(n_folds, tested, validating):
    side = split_by_patient(cohort(), n_folds=n_folds).groupby(cohort().patient).first()
    assert ((side == "test").sum(), (side == "validation").sum()) == (tested, validating)


def test_validation_is_drawn_from_every_large_institution():
    table = cohort()
    for seed in range(10):
        side = split_by_patient(table, seed=seed)
        assert set(table.institution[side == "validation"]) >= {"CS", "DU", "HT"}


def test_order_of_rows_does_not_matter_and_seed_does():
    table = cohort()
    shuffled = table.sample(frac=1, random_state=3)
    for split in (split_by_patient, split_by_slice):
        pd.testing.assert_series_equal(split(shuffled).sort_index(), split(table))
        assert not split(table, seed=1).equals(split(table, seed=2))
        pd.testing.assert_series_equal(split(table, seed=1), split(table, seed=1))


def test_table_is_left_as_it_was_and_index_is_kept():
    table = cohort()
    table.index = [f"row {i}" for i in range(len(table))]
    before = table.copy()
    for split in (split_by_patient, split_by_slice):
        assert split(table).index.equals(table.index)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("n", [3, 4])
def test_few_patients_give_as_many_folds_as_patients(n):
    table = few(n)
    assert sorted(folds_of(table)) == list(range(n))
    side = split_by_patient(table, fold=n - 1)
    assert side.groupby(table.patient).first().value_counts().to_dict() == {"train": n - 2, "validation": 1, "test": 1}


def test_every_patient_from_another_institution():
    table = cohort({"AA": 1, "BB": 1, "CC": 1, "DD": 1})
    assert set(split_by_patient(table)) == {"train", "validation", "test"}


def test_split_by_slice_mixes_patients_and_keeps_the_tumour_share():
    table = cohort()
    tested = np.zeros(len(table), int)
    share = table.tumour_px.gt(0).mean()
    for fold in range(5):
        side = split_by_slice(table, fold=fold)
        tested += side == "test"
        for name, size in (("train", 0.68), ("validation", 0.12), ("test", 0.2)):
            assert (side == name).mean() == pytest.approx(size, abs=0.001)
            assert table.tumour_px[side == name].gt(0).mean() == pytest.approx(share, abs=0.01)
        assert (side.groupby(table.patient).nunique() > 1).mean() > 0.9
    assert (tested == 1).all()


def test_make_split_takes_the_way_by_name():
    table = few(6)
    pd.testing.assert_series_equal(make_split(table, by="slice", fold=1), split_by_slice(table, fold=1))
    pd.testing.assert_series_equal(make_split(table, fold=1), split_by_patient(table, fold=1))
    given = {"n_folds": 3, "fold": 1, "seed": 2}
    pd.testing.assert_series_equal(make_split(table, by="slice", **given), split_by_slice(table, **given))
    pd.testing.assert_series_equal(make_split(table, **given), split_by_patient(table, **given))
    with pytest.raises(ValueError, match="^cannot split by 'volume': choose one of 'patient', 'slice'$"):
        make_split(table, by="volume")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_folds": 5}, "5 folds of 4 cases: ask for at most 4"),
        ({"n_folds": 1}, "1 fold"),
        ({"fold": 4}, "fold 4 of 4: folds count from 0 to 3"),
        ({"fold": -1}, "fold -1 of 4"),
    ],
)
def test_values_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        split_by_patient(few(4), **arguments)


def test_nobody_left_to_train_on():
    way_out = (
        "left beside the test side: training and validation need one each; take a larger cohort or a smaller test side$"
    )
    with pytest.raises(ValueError, match=f"^1 cases {way_out}"):
        split_by_patient(few(2))
    with pytest.raises(ValueError, match=f"^1 slices {way_out}"):
        split_by_slice(few(1).iloc[:2])
    with pytest.raises(ValueError, match="^9 folds of 2 slices: ask for at most 2 folds$"):
        split_by_slice(few(1).iloc[:2], n_folds=9)
    with pytest.raises(ValueError, match="^fold 2 of 2: folds count from 0 to 1$"):
        split_by_slice(few(4), n_folds=2, fold=2)


def test_tables_that_cannot_be_split():
    missing = r"^the table lacks the columns \['case', 'institution'\]: pass the one that index_cohort returns$"
    ways = (
        split_by_patient,
        split_by_slice,
        lambda table: split_by_institution(table, "CS"),
        lambda table: split_size_matched(table, "CS", 0),
    )
    for split in ways:
        with pytest.raises(ValueError, match=missing):
            split(few(4).drop(columns=["institution", "case"]))
        with pytest.raises(ValueError, match="^the table has no rows, so there is nothing to split$"):
            split(few(4).iloc[:0])


def test_splits_of_four_institutions_are_those_that_kept_networks_have_seen():
    """The order in which neighbours are alike turns at every border between institutions."""
    table = cohort({"AA": 3, "BB": 4, "CC": 3, "DD": 5})
    side = split_by_patient(table, n_folds=3, fold=2, seed=4).groupby(table.case).first()
    assert "".join(name[1] for name in side) == "areerrrrreraeer"
    side = split_by_slice(table.iloc[:40], n_folds=4, fold=1, seed=3)
    assert "".join(name[1] for name in side) == "rrererrreaerrerrrreereraerrrearrrrrarrrr"
    assert split_by_patient(table).name == split_by_slice(table).name == split_by_institution(table, "AA").name
    assert split_by_patient(table).name == "split"


def test_the_first_fold_and_the_first_seed_are_the_default():
    table = cohort()
    for split in (split_by_patient, split_by_slice, make_split):
        pd.testing.assert_series_equal(split(table), split(table, fold=0, seed=0))
    pd.testing.assert_series_equal(split_by_institution(table, "HT"), split_by_institution(table, "HT", seed=0))
    assert draw_patients(table, 20) == draw_patients(table, 20, seed=0)


def test_a_tumour_of_one_pixel_is_a_tumour():
    """Of twenty slices ten have one pixel: as many on each of two test sides."""
    table = few(1).iloc[:20].assign(tumour_px=[0, 1] * 10)
    for fold in range(2):
        side = split_by_slice(table, n_folds=2, fold=fold)
        assert table["tumour_px"][side == "test"].sum() == 5


@pytest.mark.real
def test_real_patients_are_split_whole(real_cohort):
    from brainseg.cohort import index_cohort

    table = index_cohort(real_cohort, progress=False)
    for fold in range(N_FOLDS):
        side = split_by_patient(table, fold=fold)
        assert (side.groupby(table.patient).nunique() == 1).all()
        for name in ("train", "validation", "test"):
            assert table.tumour_px[side == name].sum() > 0


def test_drawn_patients_stand_for_their_cohort():
    table = cohort()
    drawn = draw_patients(table, 20, seed=3)
    assert len(set(drawn)) == 20 and drawn == sorted(drawn)
    assert drawn == draw_patients(table.sample(frac=1, random_state=0), 20, seed=3) != draw_patients(table, 20, seed=4)
    of_each = table[table["patient"].isin(drawn)].groupby("institution")["patient"].nunique()
    for institution, size in SIZES.items():
        assert abs(of_each.get(institution, 0) - size * 20 / 88) < 1.5
    load = table.groupby("patient")["tumour_px"].sum()
    assert load[drawn].median() == pytest.approx(load.median(), rel=0.3)
    assert len(draw_patients(table, 1)) == 1 and len(draw_patients(table, 87)) == 87
    for count in (0, 88):
        with pytest.raises(ValueError, match=f"^{count} of 88 cases: draw at least 1, and leave at least 1$"):
            draw_patients(table, count)
