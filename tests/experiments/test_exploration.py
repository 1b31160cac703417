"""What a cohort holds: each answer told of tables made by hand, and counted on a tiny cohort."""

from dataclasses import replace

import pandas as pd
import pytest

from brainseg import results
from brainseg.cohort import index_cohort, read_patient_table
from brainseg.cohort.kaggle import PUBLISHED
from brainseg.experiments import exploration
from brainseg.experiments.exploration import STATED_SEQUENCES, Completeness, MissingSequences, Resemblance


@pytest.fixture(scope="module")
def table(tiny_cohort_once):
    """6 patients with 5 slices, 2 of them with tumour; the last patient has no post-contrast T1."""
    return index_cohort(tiny_cohort_once, progress=False)


# ---------------------------------------------------------------- slices to look at


def test_the_slice_without_tumour_is_a_bright_one(table):
    shown = exploration.slice_without_tumour(table, seed=3)
    assert shown["tumour_px"] == 0 and shown["mean_flair"] > table["mean_flair"].median()
    only_tumour = table[table["tumour_px"] > 0]
    smallest = exploration.slice_without_tumour(only_tumour)
    assert smallest["tumour_px"] == only_tumour["tumour_px"].min()


def test_the_slice_with_tumour_is_large_and_of_a_patient_with_all_sequences(table):
    areas = table.loc[table["tumour_px"] > 0, "tumour_px"]
    drawn = [exploration.slice_with_tumour(table, seed) for seed in range(10)]
    assert all(shown["tumour_px"] >= areas.median() and not shown["missing_post"] for shown in drawn)
    assert exploration.slice_with_tumour(table.assign(missing_pre=True))["tumour_px"] == areas.max()


def test_the_slice_with_a_copy_is_of_a_patient_who_lacks_a_sequence(table):
    assert exploration.slice_with_a_copy(table)["missing_post"]
    complete = table.assign(missing_post=False)
    assert exploration.slice_with_a_copy(complete)["tumour_px"] == table["tumour_px"].max()


# ---------------------------------------------------------------- is everything here?


def test_a_cohort_is_counted(table):
    found = exploration.completeness(table)
    assert found.here == {"patients": 6, "slices": 30, "slices without tumour": 18, "slices with tumour": 12}
    assert not found.synthetic and not found.published and not found.whole
    assert "share" not in found.table()
    assert exploration.completeness(table.assign(synthetic=True)).synthetic
    assert exploration.completeness(table.assign(case="TCGA_AA_0001")).published


@pytest.mark.parametrize(
    ("synthetic", "published", "here", "said"),
    [
        (True, False, {}, "are simulated. They"),
        (False, False, {}, "not those of the published data set"),
        (False, True, {}, "**the data set is complete**"),
        (False, True, {"patients": 88}, "**88 of the 110 published patients**"),
    ],
)
def test_each_kind_of_cohort_is_told(synthetic, published, here, said):
    found = Completeness(PUBLISHED | here, synthetic, published)
    assert said in found.sentence()
    assert ("complete" in found.sentence()) == found.whole
    assert ("share" in found.table()) == published


def test_a_part_of_the_data_set_names_the_difference_of_shares():
    part = Completeness(
        {"patients": 50, "slices": 1000, "slices without tumour": 600, "slices with tumour": 400}, False, True
    )
    assert "40.0% of the slices show tumour here, 34.9%" in part.sentence()
    assert "5.1 percentage points" in part.sentence()
    assert part.table().loc["patients", "share"] == "45%"


# ---------------------------------------------------------------- how unequal are patients?


def test_stacks_are_counted_by_patient(table):
    found = exploration.stacks(table.drop(index=[0, 1]))  # the first patient loses two slices, one with tumour
    assert (found.fewest, found.most, found.median) == (3, 5, 5)
    assert (found.fewest_tumour, found.most_tumour, found.without_tumour) == (1, 2, 0)
    assert "weighs 1.7 times the smallest" in found.sentence() and "**Every patient has a tumour**" in found.sentence()


def test_patients_without_tumour_are_told(table):
    first = table["patient"] == table["patient"].iloc[0]
    found = exploration.stacks(table.assign(tumour_px=table["tumour_px"].where(~first, 0)))
    assert "Patients without any tumour: 1." in found.sentence() and "Every patient" not in found.sentence()


def test_institutions_are_counted_by_patient(table):
    uneven = table[table["patient"] != "TEST_AA_0003_20000103"]
    found = exploration.institutions(uneven)
    assert (found.count, found.largest, found.share) == (2, "BB", 0.6)
    means = uneven.groupby("patient")["mean_flair"].mean()
    assert found.brightness_ratio == means.max() / means.min()
    assert "There are 2 institutions, and the largest, BB, gave **60%**" in found.sentence()
    assert "one institution, BB" in replace(found, count=1).sentence()


# ---------------------------------------------------------------- which sequences are copies?


def test_copies_are_counted_by_patient(table):
    found = exploration.missing_sequences(table)
    assert list(found.patients.index) == ["TEST_BB_0006_20000106"]
    assert list(found.found.values()) == [5, 1, 0]
    assert "other patients" in found.sentence()
    assert "lack both T1 sequences: 0. Patients who lack only the one before contrast: 0." in found.sentence()


WHOLE = Completeness(PUBLISHED, False, True)
PART = Completeness(PUBLISHED | {"patients": 88}, False, True)
FEWER = {"all three sequences": 76, "post-contrast T1 missing": 8, "pre-contrast T1 missing": 5}
MORE = FEWER | {"post-contrast T1 missing": 10}


@pytest.mark.parametrize(
    ("cohort", "found", "said"),
    [
        (WHOLE, STATED_SEQUENCES, "agree with the README"),
        (WHOLE, FEWER, "**The pixels disagree"),
        (PART, FEWER, "do not contradict it"),
        (PART, MORE, "**The pixels disagree"),
        (replace(PART, synthetic=True), MORE, "replaced on purpose"),
        (replace(PART, published=False), MORE, "about other patients"),
    ],
)
def test_pixels_and_readme_are_compared(cohort, found, said):
    missing = pd.DataFrame({"missing_pre": [True, True, False], "missing_post": [True, False, True]})
    sentence = MissingSequences(missing, found, cohort).sentence()
    assert said in sentence
    assert f"only the one before contrast: {found['pre-contrast T1 missing'] - 1}." in sentence


# ---------------------------------------------------------------- the patient table


def test_the_patient_table_is_counted(table, tiny_cohort_once):
    patient_table = read_patient_table(tiny_cohort_once)
    said = exploration.patient_table_sentence(patient_table, table[table["patient"] != table["patient"].iloc[0]])
    assert "6 rows, of which 6 have no gap. 5 of the 5 patients" in said and "1 rows have no slices here" in said
    assert "Ages run from 50 to 50 years, median 50." in said
    patient_table.iloc[0, 0] = float("nan")
    assert "5 have no gap" in exploration.patient_table_sentence(patient_table, table)


@pytest.mark.parametrize("column", [{}, {exploration.AGE: ["unknown", None]}])
def test_a_table_without_ages_says_so(table, column):
    patient_table = pd.DataFrame(column, index=["TEST_AA_0001", "OTHER"])
    said = exploration.patient_table_sentence(patient_table, table)
    assert "No age is given" in said and "1 of the 6 patients with slices have a row" in said


# ---------------------------------------------------------------- the phantom beside the real cohort


def resemblance(*rows) -> Resemblance:
    return Resemblance(pd.DataFrame(rows, columns=["measure", "phantom", "real"]).set_index("measure"))


FAINT = "brightest tenth of the lesion, 0 %"


def test_medians_and_shares_are_compared_and_other_quantiles_are_not():
    found = resemblance(
        ("share", 1, 1.2), ("size, 10 %", 1, 9), ("size, 50 %", 1, 2), ("width, 50 %", 130, 100), (FAINT, 2, 1)
    )
    assert list(found.central().index) == ["share", "size, median", "width, median"]
    assert list(found.far().index) == ["size, median", "width, median"]
    said = found.sentence()
    assert said.startswith("1 of the 3 values lie within a fifth")
    assert "**The phantom is lower in** size, median (1 against 2)." in said
    assert "**The phantom is higher in** width, median (130 against 100)." in said
    assert "The phantom is" not in resemblance(("share", 1, 1), (FAINT, 2, 1)).sentence()


@pytest.mark.parametrize(("phantom", "fainter"), [(0.5, True), (1.4, False), (2.0, False)])
def test_a_fainter_tumour_is_told_where_there_is_one(phantom, fainter):
    said = resemblance(("share", 1, 1), (FAINT, phantom, 1.4)).sentence()
    assert "at least 1.4 standard deviations" in said and f"in the phantom {phantom:.1f}" in said
    assert ("fainter than any of the real ones" in said) == fainter


def test_the_kept_statistics_are_read_and_an_installed_package_has_none(monkeypatch):
    kept = exploration.phantom_resemblance()
    assert "slices per patient, median" in kept.central().index and "patients" not in kept.values.index
    assert "How visible" in kept.sentence()
    monkeypatch.setattr(results, "project_root", lambda: None)
    none = exploration.phantom_resemblance()
    assert none.central().empty and "does not see" in none.sentence()


@pytest.mark.parametrize(("value", "written"), [(11217.5, "11,218"), (100, "100"), (0.0421, "0.0421"), (-250, "-250")])
def test_values_are_readable(value, written):
    assert exploration.readable(value) == written
