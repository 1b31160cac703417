"""The tables of masks whose shapes are known to differ by code."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainseg.experiments.shape_genomics import analysis, features
from brainseg.results import has_tables, read_tables

FRAME = np.indices((7, 40, 40)).transpose(1, 2, 3, 0) - (3, 20, 20)


@pytest.fixture(scope="module")
def drawn():
    """Sources of 24 patients: code 2 is a cross of plates, the others are balls of several sizes."""
    rng = np.random.default_rng(0)
    patients = [f"TEST_AA_{number:04d}_20000101" for number in range(24)]
    code = np.tile([1, 2, 3], 8)
    masks = {}
    for patient, value in zip(patients, code, strict=True):
        z, y, x = np.abs(FRAME).transpose(3, 0, 1, 2)
        size = rng.uniform(8, 15)
        ball = (z / 3.2) ** 2 + (y / size) ** 2 + (x / (0.9 * size)) ** 2 <= 1
        masks[patient] = ball & ((y < 3) | (x < 3)) if value == 2 else ball
    clinical = pd.DataFrame(
        {"RNASeqCluster": code.astype(float), "CNCluster": rng.integers(1, 3, 24).astype(float), "death01": 0},
        index=[patient.rpartition("_")[0] for patient in patients],
    )
    clinical.iloc[0, 0] = np.nan
    other = masks | {patients[5]: np.zeros_like(masks[patients[5]])}
    sources = {"manual": (masks.get, patients, 0), "other": (other.get, patients[:20], 1)}
    return features.features_table(sources), clinical


@pytest.fixture(scope="module")
def tables(drawn):
    return analysis.analyse(*drawn, draws=200)


def test_codes_follow_the_case_and_keep_their_gaps(drawn):
    codes = analysis.codes_of(*drawn)
    assert list(codes) == ["RNASeqCluster", "CNCluster"]  # those of the seven that the table has
    assert codes["RNASeqCluster"].isna().sum() == 2  # one patient, two sources
    assert codes.loc[1, "RNASeqCluster"] == 2 and codes.loc[25, "RNASeqCluster"] == 2


def test_what_was_built_in_is_found(tables):
    table = tables["associations"].set_index(["source", "code", "feature", "test"]).sort_index()
    assert table.loc[("manual", "RNASeqCluster", "bevr", "kruskal"), "holm"] < 0.01
    assert table.loc[("manual", "RNASeqCluster", "bevr", "fisher"), "holm"] < 0.05
    assert table.loc[("manual", "RNASeqCluster", "bevr", "fisher"), "paper_p_below"] == 0.0002
    assert (table.loc[("manual", "CNCluster"), "holm"] > 0.05).all()
    assert (table.loc[("other", "RNASeqCluster"), "missing"] == 2).all()  # no code, and an empty prediction
    auc = tables["discrimination"].set_index(["source", "score"])["auc"]
    assert auc["manual", "bevr"] == 1 and auc["manual", "all three"] > 0.9
    carried = tables["carried"].set_index("feature")  # the other masks are the same where they are not empty
    assert carried.index.tolist() == list(features.FEATURES) and set(carried["source"]) == {"other"}
    assert (carried["patients"] == 18).all() and (carried["positive"] == 7).all()
    assert carried.loc["bevr", ["manual", "auc", "difference", "difference_p"]].tolist() == [1, 1, 0, 1]


def test_equal_masks_agree_and_the_empty_one_is_not_among_them(tables):
    agreement, effects = tables["agreement"], tables["effects"]
    assert (agreement["patients"] == 19).all() and (agreement["icc"] == 1).all()
    assert (effects[["difference", "low", "high", "low_90", "high_90"]] == 0).all(axis=None)
    assert (effects["difference_p"] == 1).all()
    assert (effects.query("code == 'RNASeqCluster'")["patients"] == 18).all()
    assert (agreement[["icc_low", "icc_high"]] == 1).all(axis=None) and tables["leak"].empty
    assert (effects["manual_p"] == effects["p_value"]).all()
    assert effects.query("code == 'RNASeqCluster' and feature == 'bevr'")["p_value"].iloc[0] < 0.01


def test_networks_that_know_the_patient_are_compared_with_those_that_do_not(drawn):
    """The leaky source is the manual one; the honest one has its features dealt out anew among the patients."""
    features_of, clinical = drawn
    manual = features_of[features_of["source"] == "manual"]
    names = list(features.FEATURES)
    dealt = manual.assign(source=analysis.HONEST)
    dealt[names] = manual[names].sample(frac=1, random_state=0).to_numpy()
    together = pd.concat([manual, dealt, manual.assign(source=analysis.LEAKY)], ignore_index=True)
    tables = analysis.analyse(together, clinical, draws=200)
    leak = tables["leak"].set_index(["measure", "feature"])
    assert leak.index.tolist() == [(measure, name) for name in names for measure in ("icc", "effect")]
    assert (leak.loc["icc", "leaky"] == 1).all() and (leak.loc["icc", "low"] > 0.2).all()
    assert (leak.loc["icc", "difference_p"] < 0.05).all()
    assert (leak.loc["icc", "patients"] == 24).all() and (leak.loc["effect", "patients"] == 23).all()
    auc = tables["discrimination"].set_index(["source", "score"])["auc"]
    carried = tables["carried"].set_index(["source", "feature"])
    assert (carried.loc[analysis.LEAKY, "difference"] == 0).all()
    lost = carried.loc[(analysis.HONEST, "bevr")]
    assert (lost["manual"], lost["auc"]) == pytest.approx((auc["manual", "bevr"], auc[analysis.HONEST, "bevr"]))
    assert lost["difference"] == pytest.approx(lost["auc"] - lost["manual"]) and lost["high"] < 0
    effects = tables["effects"].set_index(["source", "code", "feature"])
    row, other = leak.loc[("effect", "bevr")], effects.loc[(analysis.HONEST, "RNASeqCluster", "bevr")]
    assert (row["honest"], row["leaky"]) == pytest.approx((other["effect"], other["manual"]))
    assert (row["low"], row["high"]) == pytest.approx((-other["high"], -other["low"])) and row["low"] > 0


def test_one_source_alone_gives_no_comparison(drawn):
    features_of, clinical = drawn
    tables = analysis.analyse(features_of[features_of["source"] == "manual"], clinical, draws=50)
    assert tables["agreement"].empty and tables["effects"].empty and len(tables["associations"]) == 12


def confounded(per_kind=30):
    """Code 2 has few slices, and BEVR follows the slices; ASD follows the code itself; MF is chance."""
    rng = np.random.default_rng(1)
    target = np.repeat([False, True], per_kind)
    slices = np.where(target, rng.normal(9, 2, 2 * per_kind), rng.normal(11, 2, 2 * per_kind))
    table = pd.DataFrame(
        {
            "source": "manual", "empty": False, "slices": slices, "tumour_px": rng.normal(100, 9, 2 * per_kind),
            "patient": [f"TEST_AA_{number:04d}_20000101" for number in range(2 * per_kind)],
            "bevr": slices + rng.normal(0, 0.5, 2 * per_kind), "asd": target + rng.normal(0, 0.8, 2 * per_kind),
            "mf": rng.normal(size=2 * per_kind),
        }
    )  # fmt: skip
    index = table["patient"].str.rpartition("_")[0]
    return table, pd.DataFrame({"RNASeqCluster": np.where(target, 2.0, 1.0), "age": 50}, index=index.to_numpy())


def test_what_a_feature_tells_of_slices_alone_is_not_told_beyond_them():
    table, clinical = confounded()
    others = analysis.others_of(table, clinical).set_index("what")
    assert others.index.tolist() == ["slices with tumour", "tumour size in pixels"]  # no age, no grade there
    assert others.loc["slices with tumour", "p_value"] < 0.01 < others.loc["tumour size in pixels", "p_value"]
    assert others.loc["slices with tumour", "in_cluster"] < others.loc["slices with tumour", "in_rest"]
    assert others.loc["slices with tumour", "auc"] < 0.4
    adjusted = analysis.adjusted_of(table, clinical).set_index(["feature", "adjusted_for"])["p_value"]
    assert adjusted["bevr", "nothing"] < 0.01 and adjusted["bevr", "slices and size"] > 0.05
    assert adjusted["asd", "nothing"] < 0.01 and adjusted["asd", "slices and size"] < 0.01
    assert adjusted["mf", "nothing"] > 0.05
    assert adjusted.xs("all four", level="adjusted_for").isna().all()  # without age and grade nobody is left


@pytest.mark.skipif(not has_tables("shape"), reason="the kept tables lie in the project's checkout")
def test_the_kept_tables_are_those_of_this_code(real_cohort):
    from brainseg.cohort import read_patient_table

    kept = read_tables("shape")
    tables = analysis.analyse(kept["features"], read_patient_table(real_cohort))
    for name in kept.keys() - {"features"}:
        pd.testing.assert_frame_equal(
            tables[name][kept[name].columns], kept[name], rtol=1e-4, atol=1e-5, check_dtype=False
        )
