"""The experiment on masks whose shapes are known to differ by code, and its figures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from brainseg.experiments.shape_genomics import association, features, study
from brainseg.figures import shape as figures

FRAME = np.indices((7, 40, 40)).transpose(1, 2, 3, 0) - (3, 20, 20)


@pytest.fixture(scope="module")
def drawn():
    """Sources of 24 patients: code 2 is a cross of plates, the others are balls of several sizes."""
    rng = np.random.default_rng(0)
    patients = [f"TEST_AA_{number:04d}_20000101" for number in range(24)]
    code = np.tile([1, 2, 3], 8)
    masks = {}
    for patient, value in zip(patients, code, strict=False):
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
    sources = {"manual": (masks.get, patients), "other": (other.get, patients[:20])}
    return features.features_table(sources, progress=False), clinical


@pytest.fixture(scope="module")
def results(drawn):
    return study.analyse(*drawn, draws=200)


def test_codes_follow_the_case_and_keep_their_gaps(drawn):
    features, clinical = drawn
    codes = study.codes_of(features, clinical)
    assert list(codes) == ["RNASeqCluster", "CNCluster"]  # those of the seven that the table has
    assert codes["RNASeqCluster"].isna().sum() == 2  # one patient, two sources
    assert codes.loc[1, "RNASeqCluster"] == 2 and codes.loc[25, "RNASeqCluster"] == 2


def test_what_was_built_in_is_found(results):
    table = results["associations"].set_index(["source", "code", "feature", "test"]).sort_index()
    assert table.loc[("manual", "RNASeqCluster", "bevr", "kruskal"), "holm"] < 0.01
    assert table.loc[("manual", "RNASeqCluster", "bevr", "fisher"), "holm"] < 0.05
    assert table.loc[("manual", "RNASeqCluster", "bevr", "fisher"), "paper_p_below"] == 0.0002
    assert (table.loc[("manual", "CNCluster"), "holm"] > 0.05).all()
    assert (table.loc[("other", "RNASeqCluster"), "missing"] == 2).all()  # no code, and an empty prediction
    auc = results["discrimination"].set_index(["source", "score"])["auc"]
    assert auc["manual", "bevr"] == 1 and auc["manual", "all three"] > 0.9


def test_equal_masks_agree_and_the_empty_one_is_not_among_them(results):
    agreement, effects = results["agreement"], results["effects"]
    assert (agreement["patients"] == 19).all() and (agreement["icc"] == 1).all()
    assert (effects["difference"] == 0).all() and (effects[["low", "high"]] == 0).all(axis=None)
    assert (effects.query("code == 'RNASeqCluster'")["patients"] == 18).all()
    assert (agreement[["icc_low", "icc_high"]] == 1).all(axis=None) and results["leak"].empty
    assert (effects["manual_p"] == effects["p_value"]).all()
    assert effects.query("code == 'RNASeqCluster' and feature == 'bevr'")["p_value"].iloc[0] < 0.01


def test_networks_that_know_the_patient_are_compared_with_those_that_do_not(drawn):
    """The leaky source is the manual one; the honest one has its features dealt out anew among the patients."""
    features, clinical = drawn
    manual = features[features["source"] == "manual"]
    names = list(features.FEATURES)
    dealt = manual.assign(source=study.HONEST)
    dealt[names] = manual[names].sample(frac=1, random_state=0).to_numpy()
    table = pd.concat([manual, dealt, manual.assign(source=study.LEAKY)], ignore_index=True)
    results = study.analyse(table, clinical, draws=200)
    leak = results["leak"].set_index(["measure", "feature"])
    assert leak.index.tolist() == [(measure, name) for name in names for measure in ("icc", "effect")]
    assert (leak.loc["icc", "leaky"] == 1).all() and (leak.loc["icc", "low"] > 0.2).all()
    assert (leak.loc["icc", "patients"] == 24).all() and (leak.loc["effect", "patients"] == 23).all()
    effects = results["effects"].set_index(["source", "code", "feature"])
    row, one = leak.loc[("effect", "bevr")], effects.loc[(study.HONEST, "RNASeqCluster", "bevr")]
    assert (row["honest"], row["leaky"]) == pytest.approx((one["effect"], one["manual"]))
    assert (row["low"], row["high"]) == pytest.approx((-one["high"], -one["low"])) and row["low"] > 0


def test_one_source_alone_gives_no_comparison(drawn):
    features, clinical = drawn
    results = study.analyse(features[features["source"] == "manual"], clinical, draws=50)
    assert results["agreement"].empty and results["effects"].empty and len(results["associations"]) == 12


def test_the_experiment_measures_a_cohort_and_says_what_it_did(tiny_cohort_once):
    tables, record = study.compute(tiny_cohort_once, {})
    assert len(tables["features"]) == 6 and not tables["features"]["empty"].any()
    assert (tables["features"]["slices"] == 2).all()
    assert record["sources"] == {"manual": 6} and record["cohort"]["patients"] == 6 and record["networks"] == {}
    pd.testing.assert_frame_equal(tables["features"], study.compute(tiny_cohort_once, {})[0]["features"])


def run_of(test, fingerprint="same"):
    """What `predicted` reads of a run: three patients with two slices each, the named rows on the test side."""
    table = pd.DataFrame({"patient": np.repeat(["a", "b", "c"], 2)})
    split = pd.Series(np.where(np.isin(np.arange(6), test), "test", "train"))
    return SimpleNamespace(prepared=SimpleNamespace(table=table, fingerprint=fingerprint), split=split)


def test_each_slice_is_predicted_by_the_run_that_tests_it(monkeypatch):
    """The fake network of a run marks a block of its own; which run it was can be read from the mask."""
    runs = [run_of([0, 3, 4]), run_of([1, 2])]

    def predict(run, rows):
        probabilities = np.zeros((len(rows), 256, 256), np.float32)
        probabilities[:, :10, : 10 if run is runs[0] else 8] = 1
        return probabilities

    monkeypatch.setattr(evaluation, "predict", predict)
    source = study.predicted(runs)
    assert source.patients == ["a", "b"]  # a slice of c is on no test side
    assert source.masks("a").sum(axis=(1, 2)).tolist() == [100, 80]
    assert source.masks("b").sum(axis=(1, 2)).tolist() == [80, 100]
    with pytest.raises(ValueError, match="1 slices are on the test side of more than one"):
        study.predicted([run_of([0, 1]), run_of([1, 2])])
    with pytest.raises(ValueError, match="prepared differently"):
        study.predicted([run_of([0]), run_of([1], "other")])


def test_the_figures_are_drawn(drawn, results):
    features, clinical = drawn
    manual = features[features["source"] == "manual"]
    codes = study.codes_of(manual, clinical)
    mask = (FRAME**2).sum(axis=-1) < 150
    image = np.zeros((*mask.shape, 3), np.uint8)
    outline = features.radii(mask[3])
    shuffled = association.shuffled_p_values(manual[list(features.FEATURES)], codes, shuffles=20)
    drawings = [
        figures.silhouettes({"disc": mask[3]}, {"disc": {"asd": 0.0, "mf": 0.0}}),
        figures.angular_bins(image[3], outline),
        figures.margin_profile(image[3], outline),
        figures.ellipsoid_slices(image, mask, features.enclosing_ellipsoid(features.corners(mask))),
        figures.ratio_by_slices([1, 2], [0.5, 0.6]),
        figures.by_cluster(manual, codes["RNASeqCluster"]),
        figures.heat_map(results["associations"].query("source == 'manual'"), study.CODES),
        figures.shuffles(shuffled, 0.001),
        figures.bland_altman(features, ["other"], results["agreement"]),
        figures.bland_altman(features, ["none"], results["agreement"]),
        figures.effect_differences(results["effects"], study.CODES),
        figures.effect_differences(results["effects"].query("feature == 'x'"), study.CODES),
        figures.aucs(results["discrimination"]),
    ]
    for drawing in drawings:
        assert isinstance(drawing, Figure)
        drawing.canvas.draw()


def test_the_studys_sources_differ_in_the_split_alone(tiny_cohort, tmp_path, monkeypatch):
    pytest.importorskip("keras")
    from brainseg.images.prepared import prepare
    from brainseg.images.preprocess import Preprocessing
    from brainseg.networks import record
    from brainseg.networks.recipe import Recipe
    from brainseg.networks.runs import keep, train_or_load
    from brainseg.networks.weights import weights_digest
    from brainseg.splits import make_split

    for module in (tables, kept):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    prepared = prepare(tiny_cohort, Preprocessing(image_size=32))
    recipe = Recipe(model="unet", options={"filters": 2, "depth": 2}, epochs=1, slices_per_epoch=8)
    keep(train_or_load(recipe, prepared, make_split(prepared.table, fold=1)), "patient", 1)

    used = {}
    monkeypatch.setattr(
        shape_study,
        "predicted",
        lambda runs: used.setdefault(runs[0].record["prepared"], []).append(runs) or study.Source(len, ["a"]),
    )
    assert list(study.study_sources(tiny_cohort)) == ["by patient", "by slice"]
    networks = record.reference_digests("unet")
    assert networks == {
        "unet-by-patient-fold1": weights_digest(tmp_path / "results/reference/unet-by-patient-fold1/best.npz")
    }
    assert record.reference_digests("resunet") == {}
    ((by_patient,), (by_slice,)) = used[prepared.fingerprint]
    assert by_patient.recipe == by_slice.recipe == recipe
    assert (
        by_slice.split.tolist() == make_split(prepared.table, by="slice", fold=1).tolist() != by_patient.split.tolist()
    )
