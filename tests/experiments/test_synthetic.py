"""What a synthetic tumour is worth: who is left out, who is scored, who chooses the threshold, and what comes of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import write_cohort

from brainseg.cohort import index_cohort
from brainseg.experiments import plan as plans
from brainseg.experiments import reference, synthetic
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.results import read_table
from brainseg.statistics import Answer, Reason


@pytest.fixture(scope="module")
def real_patients():
    """The real cohort's table as far as the kept scores tell it: one row a patient instead of one a slice."""
    patients = read_table("reference", "patients").query("protocol == 'honest' and model == 'unet'")
    patients = patients[["patient", "institution", "slices", "tumour_px"]].sort_values("patient", ignore_index=True)
    return patients.assign(case=patients["patient"].str.rpartition("_")[0], slice=1)


def test_the_kept_development_set_is_the_drawn_one(real_patients):
    kept = synthetic.development_patients()
    drawn = synthetic.draw_development(real_patients)
    assert kept["patient"].tolist() == drawn["patient"].tolist()
    merged = kept.merge(real_patients, on="patient", suffixes=("", "_reference"))
    assert len(merged) == synthetic.DEVELOPMENT_PATIENTS
    assert merged["tumour_px"].tolist() == merged["tumour_px_reference"].tolist()
    assert merged["slices"].tolist() == merged["slices_reference"].tolist()


def test_the_development_set_stands_for_the_cohort(real_patients):
    kept = synthetic.development_patients()
    share = len(kept) / len(real_patients)
    expected = real_patients["institution"].value_counts() * share
    assert (kept["institution"].value_counts().reindex(expected.index, fill_value=0) - expected).abs().max() < 1
    quartiles = real_patients["tumour_px"].quantile([0.25, 0.5, 0.75])
    counts = [(kept["tumour_px"] < edge).mean() for edge in quartiles]
    assert counts == pytest.approx([0.25, 0.5, 0.75], abs=0.1)


def test_another_draw_is_refused(real_patients, tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "results_folder", lambda name: tmp_path / name)
    synthetic.keep_development(real_patients)
    assert synthetic.development_patients()["patient"].is_unique
    with pytest.raises(FileExistsError, match="drawn once"):
        synthetic.keep_development(real_patients)


# ---------------------------------------------------------------- trainings, and who is scored


def test_the_trainings_are_those_that_the_reference_edition_starts_from(tiny_cohort_once, monkeypatch):
    cohort = index_cohort(tiny_cohort_once)
    folds = pd.Series("train", index=cohort.index).where(cohort["patient"] != cohort["patient"].iloc[0], "test")
    monkeypatch.setattr(reference, "fold_sides", lambda cohort, fold: folds)
    plan = synthetic.plan(cohort, synthetic.Settings())
    starts = [
        reference._training(training.labels["model"], 3, training.labels["seed"], cohort, "honest").start
        for training in plan
    ]
    assert [training.folder(cohort) for training in plan] == [start.folder(cohort) for start in starts]
    assert len({training.folder(cohort) for training in plan}) == 9
    assert all(set(training.split) == {"train"} and training.start is None for training in plan)


def test_a_synthetic_cohort_cannot_answer(tmp_path):
    phantom = index_cohort(write_cohort(tmp_path / "phantom", ["PHANTOM_AA_0001_20000101"], slices=2))
    with pytest.raises(ValueError, match="Real patients say"):
        synthetic.plan(phantom, synthetic.Settings())
    with pytest.raises(ValueError, match="unknown vnet"):
        synthetic.Settings(models=("vnet",))


@pytest.fixture
def small_phantom(monkeypatch):
    """A phantom of three patients in the place of the large one, two widths of the rim, and four thresholds."""
    monkeypatch.setattr(synthetic, "PHANTOM", plans.Phantom(3, 0))
    monkeypatch.setattr(synthetic, "RIMS_PX", (10, 18))
    monkeypatch.setattr(synthetic, "LEVELS", np.array([0.48, 0.56, 0.64, 0.72]))
    return synthetic.Settings(threshold_patients=2)


@pytest.fixture
def developed(tiny_cohort_once, monkeypatch):
    """The tiny cohort, whose first patient is the development set."""
    cohort = index_cohort(tiny_cohort_once)
    left_out = pd.DataFrame({"patient": [cohort["patient"].iloc[0]]})
    monkeypatch.setattr(synthetic, "development_patients", lambda: left_out)
    return cohort


def test_development_patients_are_scored_by_nobody(developed, small_phantom, run):
    plan = synthetic.plan(developed, replace(small_phantom, models=("unet",), seeds=(0, 1)))
    tables = synthetic.score(developed, small_phantom, ((training, run) for training in plan))
    scored = tables["patients"]
    others = sorted(set(developed["patient"]) - set(synthetic.development_patients()["patient"]))
    for _, part in scored.groupby(["model", "seed"]):
        assert sorted(part["patient"]) == others
    assert scored[["model", "seed"]].drop_duplicates().to_numpy().tolist() == [
        [synthetic.FLAT, 0], ["unet", 0], ["unet", 1],
    ]  # fmt: skip
    # What is kept of a network is what was scored.
    assert set(tables) == {"patients", "threshold", "unet-seed0", "unet-seed1"}
    slices, bits = tables["unet-seed1"]
    marked = pd.Series(np.unpackbits(bits, axis=1).sum(axis=1)).groupby(slices["patient"].to_numpy()).sum()
    own = scored.query("model == 'unet' and seed == 1").set_index("patient")
    assert marked.to_dict() == (own["tp"] + own["fp"]).to_dict()
    assert scored["separability"].between(0.9, 1).all()  # tumours of this cohort are far brighter than brain
    assert not set(tables["threshold"]["patient"]) & set(developed["patient"])


def test_the_threshold_is_chosen_without_a_real_mask(developed, small_phantom, monkeypatch):
    before = synthetic.score(developed, small_phantom, [])
    truth = synthetic.Prepared.truth
    # Masks of real patients are files; those of the phantom are not.
    monkeypatch.setattr(
        synthetic.Prepared, "truth",
        lambda self, rows: truth(self, rows) if self.packed_truth is not None else ~truth(self, rows),
    )  # fmt: skip
    after = synthetic.score(developed, small_phantom, [])
    pd.testing.assert_frame_equal(before["threshold"], after["threshold"])
    assert before["patients"]["dice"].tolist() != after["patients"]["dice"].tolist()
    called = [(table["tp"] + table["fp"]).tolist() for table in (before["patients"], after["patients"])]
    assert called[0] == called[1]


def test_the_best_threshold_is_applied_as_it_was_tried(small_phantom):
    phantom = synthetic.PHANTOM.prepare(Preprocessing())
    names = sorted(set(phantom.table["patient"]))[:2]
    tried = synthetic.try_thresholds(phantom, names)
    best = synthetic.best_threshold(tried)
    scored = synthetic.score_threshold(phantom, names, best)["dice"]
    at_best = tried[(tried["rim_px"] == best.rim_px) & (tried["level"] == best.level)].set_index("patient")["dice"]
    np.testing.assert_allclose(scored, at_best)
    assert at_best.mean() == tried.groupby(["rim_px", "level"])["dice"].mean().max()


def test_the_rim_of_the_head_is_no_brain(tiny_cohort_once):
    prepared = prepare(tiny_cohort_once, Preprocessing())
    rows = prepared.table.groupby("patient").indices[prepared.table["patient"].iloc[0]]
    thin, thick = (synthetic.brain_flair(prepared, rows, rim_px) for rim_px in (10, 34))
    assert ((thick > 0) <= (thin > 0)).all() and (thick > 0).sum() < (thin > 0).sum()
    whole = synthetic.brain_flair(prepared, rows, 0)
    assert whole.max() > thin[prepared.truth(rows) == 0].max()  # the scalp is the brightest part of a head


def test_networks_and_reference_meet_the_same_phantom():
    assert synthetic.PHANTOM is plans.PHANTOM


# ---------------------------------------------------------------- findings, on tables made by hand

NAMES = [f"P{number:02d}" for number in range(30)]
BASE = np.random.default_rng(0).uniform(0.4, 0.8, len(NAMES))
TRIED = pd.DataFrame(
    {"patient": ["a", "b"] * 2, "rim_px": [10, 10, 18, 18], "level": [0.5, 0.5, 0.6, 0.6], "dice": [0.1, 0.2, 0.4, 0.5]}
)


def scores_of(model, shift, seeds=3, base=BASE):
    """Each seed lies 0.01 above the one before, around the shifted base."""
    return pd.concat(
        pd.DataFrame(
            {"model": model, "seed": seed, "patient": NAMES, "institution": ["AA", "BB"] * 15,
             "tumour_px": range(100, 130), "dice": np.clip(base + shift + 0.01 * (seed - (seeds - 1) / 2), 0, 1),
             "separability": np.linspace(0.6, 0.9, len(NAMES))}
        )
        for seed in range(seeds)
    )  # fmt: skip


def found_of(flat=-0.2, real=0.1, seeds=3, real_seeds=3, base=BASE, noise=0.005):
    rng = np.random.default_rng(1)
    noisy = base + rng.normal(0, noise, len(base))
    patients = pd.concat([scores_of(synthetic.FLAT, flat, 1), scores_of("unet", 0.0, seeds, noisy)])
    return synthetic.findings(patients, TRIED, scores_of("unet", real, real_seeds))


@pytest.mark.parametrize(("flat", "direction"), [(-0.2, 1), (0.1, -1)])
def test_a_network_beside_the_threshold_both_ways_round(flat, direction):
    found = found_of(flat=flat)
    assert found.primary.estimate == pytest.approx(-flat, abs=0.01)
    assert (found.verdict.answer, found.verdict.direction) == (Answer.DIFFERENCE, direction)
    assert f"{found.primary.estimate:+.3f}" in found.primary_sentence()
    assert found.threshold == (18, 0.6)


def test_equal_methods_are_equivalent_and_two_trainings_cannot_tell():
    assert found_of(flat=0.0, noise=0.03).verdict.answer is Answer.EQUIVALENT
    assert found_of(seeds=2).verdict.reason is Reason.TOO_FEW_TRAININGS


def test_a_patient_counts_once_and_failures_are_counted():
    base = BASE.copy()
    base[:2] = 0.0
    flat, unet = found_of(base=base).methods
    assert (flat.model, unet.model) == (synthetic.FLAT, "unet")
    assert (unet.summary["patients"], unet.failures, len(unet.by_seed)) == (30, 2, 3)
    assert unet.summary["low"] < unet.summary["mean"] < unet.summary["high"]
    assert unet.by_seed[2] - unet.by_seed[0] == pytest.approx(0.02, abs=0.002)
    assert found_of(base=base).table()["failures"].tolist() == [flat.failures, 2]


@pytest.mark.parametrize(("real", "said"), [(0.1, "adds 0.10"), (-0.1, "takes away 0.10")])
def test_what_real_patients_add_is_paired_by_patient(real, said):
    found = found_of(real=real)
    (gap,) = found.gaps
    assert gap.difference.estimate == pytest.approx(real, abs=0.01) and gap.verdict.answer is Answer.DIFFERENCE
    assert gap.real - gap.alone == pytest.approx(gap.difference.estimate)
    assert said in found.conclusion() and f"{gap.difference.estimate:+.3f}" in found.gap_sentences()


def test_the_side_with_fewer_trainings_decides_whether_one_can_tell():
    (gap,) = found_of(real_seeds=2).gaps
    assert gap.verdict.reason is Reason.TOO_FEW_TRAININGS and "too few trainings (2" in gap.sentence()


def test_without_a_reference_there_is_no_gap():
    nobody = scores_of("unet", 0).iloc[:0]
    patients = pd.concat([scores_of(synthetic.FLAT, -0.2, 1), scores_of("unet", 0.0)])
    found = synthetic.findings(patients, TRIED, nobody)
    assert found.gaps == () and "No network" in found.gap_sentences() and "going on" not in found.conclusion()


def test_where_it_goes_better_is_told_by_size_and_visibility():
    found = found_of(base=np.linspace(0.3, 0.9, len(NAMES)))
    assert all(link.estimate > 0.95 for link in found.links.values())
    assert found.link_sentences().count("excludes 0") == 2
    assert "includes 0" in found_of().link_sentences()


def test_the_lowest_are_told_with_what_was_found_and_marked():
    table = scores_of("unet", 0.0).assign(tp=50, fp=150, fn=lambda rows: rows["tumour_px"] - 50)
    table.loc[table["patient"] == NAMES[3], ["dice", "tp", "fp", "fn"]] = 0.01, 0, 0, 103
    first, second = synthetic.failures(table, number=2)
    assert (first.patient, first.recall, first.precision) == (NAMES[3], 0, 0)
    assert second.recall == pytest.approx(50 / table.set_index("patient")["tumour_px"][second.patient].iloc[0])
    assert second.precision == 0.25


def test_institutions_are_set_side_by_side():
    table = synthetic.by_institution(scores_of("unet", 0.0), scores_of("unet", 0.1))
    assert table.index.tolist() == ["AA", "BB"] and table["patients"].tolist() == [15, 15]
    np.testing.assert_allclose(table["with real patients"] - table["without a real image"], 0.1)
