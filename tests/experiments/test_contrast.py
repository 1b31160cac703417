"""CLAHE against HE on tables made by hand: each answer, both ways round."""

import numpy as np
import pandas as pd
import pytest

from brainseg.cohort import index_cohort
from brainseg.experiments import contrast
from brainseg.images.contrast import CONTRASTS
from brainseg.statistics import Answer

AS_IT_IS = {"cnr": 1.0, "separability": 0.7, "air": 10.0}
GOOD = {"cnr": 0.2, "separability": 0.05, "air": -2.0}


def measured(patients=20, **shifts):
    """A slice a patient; each treatment is a slice as it is plus its shifts, and a little of the patient's own."""
    rng = np.random.default_rng(0)
    rows = []
    for patient in range(patients):
        for treatment in CONTRASTS:
            values = {
                name: value + shifts.get(treatment, {}).get(name, 0) + rng.normal(0, 0.01)
                for name, value in AS_IT_IS.items()
            }
            rows.append({"patient": f"p{patient:02d}", "slice": 1, "treatment": treatment, **values})
    return pd.DataFrame(rows)


def test_clahe_that_is_better_by_all_three_is_better():
    found = contrast.findings(measured(clahe=GOOD))
    assert found.article() is True and "**holds** here" in found.sentence()
    assert [found.improvement(name, "clahe", "he") for name in contrast.MEASURES] == [1, 1, 1]
    assert found.differences["air", "clahe", "he"].estimate == pytest.approx(-2, abs=0.02)
    assert found.table().loc[("noise in the air", "CLAHE minus HE"), "mean"] < 0


def test_the_other_way_round_it_does_not_hold():
    found = contrast.findings(measured(he=GOOD))
    assert found.article() is False and "**does not hold**" in found.sentence()
    assert [found.improvement(name, "clahe", "he") for name in contrast.MEASURES] == [-1, -1, -1]
    assert found.improvement("air", "he", "none") == 1


def test_the_verdict_turns_round_where_he_and_clahe_are_swapped():
    table = measured(clahe=GOOD)
    swapped = table.assign(treatment=table["treatment"].replace({"he": "clahe", "clahe": "he"}))
    one, other = contrast.findings(table), contrast.findings(swapped)
    assert (one.article(), other.article()) == (True, False)
    for name in contrast.MEASURES:
        there, back = (found.differences[name, "clahe", "he"].estimate for found in (one, other))
        assert there == pytest.approx(-back)
        assert one.improvement(name, "clahe", "he") == -other.improvement(name, "clahe", "he") == 1


def test_three_p_values_are_corrected_and_the_other_six_are_not(monkeypatch):
    together, alone = [], []
    judge_all, judge = contrast.shown_together, contrast.shown
    monkeypatch.setattr(contrast, "shown_together", lambda found: together.append(list(found)) or judge_all(found))
    monkeypatch.setattr(contrast, "shown", lambda found: alone.append(found) or judge(found))
    found = contrast.findings(measured(clahe={"cnr": 0.2}))
    assert together == [[(name, *contrast.PRIMARY) for name in contrast.MEASURES]]
    assert alone == [found.differences[key] for key in found.differences if key[1:] != contrast.PRIMARY]


def test_better_by_one_measure_holds_in_part():
    found = contrast.findings(measured(clahe={"cnr": 0.2}, he={"air": -2.0}))
    assert found.article() is Answer.CANNOT_TELL and "only in part" in found.sentence()
    assert "tumour brighter than ring: these data cannot tell" in found.sentence().splitlines()[0]


def test_better_by_one_measure_and_worse_by_another_holds_in_part():
    found = contrast.findings(measured(clahe={"cnr": 0.2, "air": 2.0}))
    assert found.article() is Answer.CANNOT_TELL and "only in part" in found.sentence()
    assert "ratio: **better**" in found.sentence() and "air: **worse**" in found.sentence()


@pytest.mark.parametrize(("patients", "clahe"), [(20, {}), (6, GOOD)])
def test_no_difference_and_few_patients_cannot_tell(patients, clahe):
    found = contrast.findings(measured(patients, clahe=clahe))
    assert found.article() is Answer.CANNOT_TELL and "these data **cannot tell**" in found.sentence()


@pytest.mark.parametrize(
    ("he", "clahe", "against_he", "against_nothing"),
    [
        ({"air": -2.0, "cnr": -0.2}, {"cnr": -0.1, "separability": -0.05},
         "better on one of three measures and worse on two", "worse on two of three, and on one the data cannot tell"),
        ({}, GOOD, "better on all three measures", "better on all three"),
        (GOOD, {}, "worse on all three measures", "not shown to be better or worse on any of the three"),
        ({}, {}, "not shown to be better or worse on any of the three measures",
         "not shown to be better or worse on any of the three"),
        ({"air": 2.0}, {"cnr": 0.2}, "better on two of three measures, and on one the data cannot tell",
         "better on one of three, and on two the data cannot tell"),
        ({"air": 2.0, "separability": 0.05}, {"cnr": 0.2, "air": 1.0},
         "better on two of three measures and worse on one",
         "better on one of three and worse on one, and on one the data cannot tell"),
    ],
)  # fmt: skip
def test_the_answer_counts_measures(he, clahe, against_he, against_nothing):
    said = contrast.findings(measured(he=he, clahe=clahe)).answer()
    assert said == f"Against HE, CLAHE is {against_he}; against doing nothing it is {against_nothing}."


def test_each_patient_counts_once_and_slices_without_a_ring_are_counted():
    table = measured(12)
    again = table[table["patient"] == "p00"].assign(slice=2, cnr=np.nan, separability=np.nan)
    found = contrast.findings(pd.concat([table, again]))
    assert len(found.by_patient) == 12 and (found.slices, found.left_out) == (12, 1)
    assert found.counted() == (
        "12 patients, 12 slices with tumour. Not measured, because no brain is left for a ring: 1."
    )


def test_where_nothing_could_be_measured_the_findings_say_so():
    for nothing in (measured(12).assign(cnr=np.nan), measured(12).iloc[:0]):
        found = contrast.findings(nothing)
        assert found.article() is Answer.CANNOT_TELL and found.table().empty and found.by_patient.empty
        assert found.sentence().startswith("No slice with tumour could be measured")


def test_every_slice_with_tumour_is_measured_after_each_treatment(tiny_cohort_once):
    table = index_cohort(tiny_cohort_once)
    rows = contrast.measure(table)
    assert len(rows) == 3 * (table["tumour_px"] > 0).sum()
    assert rows["treatment"].value_counts().nunique() == 1 and rows["air"].ge(0).all()
    found = rows.pivot(index=["patient", "slice"], columns="treatment", values="separability").dropna()
    assert found.max(axis=None) <= 1 and found.min(axis=None) >= 0
