"""Variants: trained otherwise, on the patients that the reference runs were tested on; and what they show."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

keras = pytest.importorskip("keras")
from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.evaluation import predict, scores
from brainseg.experiments import engine, variants
from brainseg.experiments.variants import Settings
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks import record, runs
from brainseg.networks.recipe import Recipe
from brainseg.splits import make_split
from brainseg.statistics import Reason

RECIPE = Recipe(options={"filters": 2, "depth": 1}, epochs=1, slices_per_epoch=8)


@pytest.fixture
def cohort(tiny_cohort):
    return index_cohort(tiny_cohort)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A build folder of all tests here: what one has trained, the next one finds."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture
def reference_run(cohort, build, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(build))
    prepared = prepare(cohort.attrs["root"], Preprocessing(image_size=32))
    run = runs.train_or_load(RECIPE, prepared, make_split(prepared.table, n_folds=3, fold=1))
    runs.keep(run, "patient", 1)
    return run


@pytest.mark.slow
def test_the_plain_network_has_nothing_added_and_the_same_patients(reference_run, cohort):
    (plain,) = variants.plan(cohort, Settings(plain_folds=(1,)))
    assert plain.split.tolist() == reference_run.split.tolist()
    steps = plain.preprocessing
    assert (steps.image_size, steps.contrast, steps.crop, steps.normalise) == (32, "none", "none", "none")
    recipe = plain.recipe
    assert (recipe.augmentation, recipe.tumour_share, recipe.drop_sequence) == (False, 0.0, 0.0)
    assert (recipe.epochs, recipe.slices_per_epoch, recipe.options) == (1, 8, RECIPE.options)


@pytest.mark.slow
def test_every_variant_is_scored_on_its_test_patients(reference_run, cohort):
    institution = cohort["institution"].iloc[0]
    settings = Settings(plain_folds=(1,), institutions=(institution,))
    tables, kept = engine.compute(variants, cohort, settings)
    patients = tables["patients"].set_index("variant")
    tested = set(cohort["patient"][reference_run.split == "test"])
    assert set(patients.loc[["plain"], "patient"]) == tested
    its = set(cohort["patient"][cohort["institution"] == institution])
    assert set(patients.loc[[f"without {institution}"], "patient"]) == its
    by_name = {
        training.labels["variant"]: run for training, run in engine.load_plan(variants.plan(cohort, settings), cohort)
    }
    by_hand = {
        "plain": scores.score_patients(predict.evaluate_bare(by_name["plain"])),
        f"without {institution}": scores.score_patients(predict.evaluate(by_name[f"without {institution}"])),
    }
    for variant, expected in by_hand.items():
        np.testing.assert_array_equal(patients.loc[[variant], ["tp", "fp", "fn"]], expected[["tp", "fp", "fn"]])
    plain, without = kept["runs"]
    assert without["weights"] == by_name[f"without {institution}"].record.digest()
    assert plain["patients"]["test"] == len(tested) and without["patients"]["test"] == len(its)
    assert kept["networks"] == record.reference_digests() != {}


@pytest.mark.slow
def test_a_network_that_began_with_the_phantom_is_varied_from_there(reference_run, cohort, monkeypatch):
    kept = variants._reference(1)
    began = replace(kept, recipe=replace(kept.recipe, start="unet-abc"), patients={**kept.patients, "validation": []})
    monkeypatch.setattr(variants, "_reference", lambda fold=None: began)
    monkeypatch.setattr(variants, "after_the_phantom", lambda training, cohort: replace(training, phantom=(1, 1)))
    plain, without = variants.plan(cohort, Settings(plain_folds=(1,), institutions=(cohort["institution"].iloc[0],)))
    assert (plain.recipe.start, plain.phantom) == ("", None)
    assert without.phantom == (1, 1) and set(without.split) == {"train", "test"}


@pytest.mark.slow
def test_the_page_sets_variants_beside_one_seed_of_todays_networks(reference_run, cohort, monkeypatch):
    tables, kept = engine.compute(variants, cohort, Settings(plain_folds=(1,)))
    names = tables["patients"]["patient"]
    seeds = pd.DataFrame({"protocol": "honest", "model": "unet", "seed": 0, "patient": names, "dice": 0.5})
    results.write_tables("reference", {"seeds": pd.concat([seeds, seeds.assign(seed=1, dice=0.9)])}, {})
    results.write_tables("variants", tables, kept)
    expected = tables["patients"]["dice"].mean() - 0.5
    assert f"{expected:+z.3f}" in variants.sentences()
    results.write_tables("variants", tables, {**kept, "networks": {"unet-by-patient-fold1-seed0": "another"}})
    assert "still to come" in variants.sentences()


@pytest.mark.slow
def test_what_cannot_be_computed_is_named(reference_run, cohort):
    with pytest.raises(ValueError, match="no reference U-Net of fold 4"):
        variants.plan(cohort, Settings(plain_folds=(4,)))
    with pytest.raises(ValueError, match="no institution 'QQ'"):
        variants.plan(cohort, Settings(institutions=("QQ",)))
    with pytest.raises(ValueError, match="nothing to do"):
        variants.plan(cohort, Settings())
    with pytest.raises(ValueError, match="HT is in size_matched.*add it to institutions"):
        Settings(plain_folds=(1,), size_matched=("HT",))


@pytest.mark.slow
def test_the_control_of_an_institution_has_its_size_and_meets_half_of_it(reference_run, cohort):
    taking_part = cohort.assign(institution=cohort["patient"].map(halved(cohort)))
    without, *halves = variants.plan(taking_part, Settings(institutions=("BB",), size_matched=("BB",)))
    assert without.labels == {"variant": "without BB", "part": 0}
    assert [half.labels for half in halves] == [{"variant": "with half of BB", "part": half} for half in (0, 1)]
    its = set(taking_part["patient"][taking_part["institution"] == "BB"])
    tested = [set(cohort["patient"][half.split == "test"]) for half in halves]
    assert tested[0] | tested[1] == its and not tested[0] & tested[1]
    for half, of_test in zip(halves, tested, strict=True):
        assert half.recipe == without.recipe
        assert set(cohort["patient"][half.split.isin(["train", "validation"])]) & its == its - of_test
        for side in ("train", "validation"):
            assert len(set(cohort["patient"][half.split == side])) == len(set(cohort["patient"][without.split == side]))
        assert "new" in set(half.split)


def halved(cohort):
    """The patients as those of two institutions, the smaller one BB."""
    names = sorted(set(cohort["patient"]))
    return {name: "BB" if number < 2 else "AA" for number, name in enumerate(names)}


def found_of(shift, patients=30, outlier=0.0):
    rng = np.random.default_rng(0)
    names = [f"P{number:02d}" for number in range(patients)]
    reference = pd.DataFrame({"patient": names, "dice": rng.uniform(0.5, 0.9, patients)})
    dice = reference["dice"] + shift + rng.normal(0, 0.001, patients)
    dice.iloc[0] += outlier
    scored = pd.DataFrame({"variant": "plain", "institution": "HT", "patient": names, "dice": dice})
    trained = [{"variant": "plain", "patients": {"train": 50}}, {"variant": "plain", "patients": {"train": 60}}]
    (found,) = variants.findings(scored, reference, trained)
    return found


@pytest.mark.parametrize("shift", [-0.1, 0.1])
def test_one_training_cannot_tell_whichever_way_it_goes(shift):
    found = found_of(shift)
    assert found.difference.estimate == pytest.approx(shift, abs=0.001) and found.trained_on == 55
    assert found.beside is None and " beside " not in found.sentence()
    assert found.verdict.reason is Reason.TOO_FEW_TRAININGS
    assert f"{shift:+.3f}" in found.sentence() and "too few trainings (1" in found.sentence()
    assert "pull the mean" not in found.sentence()


def test_few_patients_are_named_first():
    assert found_of(0.1, patients=9).verdict.reason is Reason.TOO_FEW_PATIENTS


def test_a_mean_that_a_patient_pulls_is_called_so():
    found = found_of(-0.001, outlier=-0.9)
    assert found.difference.median == pytest.approx(-0.001, abs=0.001)
    assert ("pull the mean" in found.sentence()) == (found.difference.high < found.difference.median)


def test_a_network_without_an_institution_stands_beside_its_control_as_well():
    rng = np.random.default_rng(0)
    names = [f"{home}{number:02d}" for home in ("DU", "HT") for number in range(20)]
    table = pd.DataFrame({"patient": names, "dice": rng.uniform(0.5, 0.9, 40)})
    known = table.assign(institution=[name[:2] for name in names])
    dice = {"without DU": -0.10, "without HT": -0.08, "with half of HT": -0.03}
    scored = [
        known[known["institution"] == variant[-2:]].assign(variant=variant, dice=lambda t, s=shift: t["dice"] + s)
        for variant, shift in dice.items()
    ]
    trained = [{"variant": name, "patients": {"train": 61}} for name in dice]
    found = variants.findings(pd.concat(scored), table, trained)
    shifts = {(each.variant, each.beside): each.difference.estimate for each in found}
    assert shifts == {
        ("without DU", None): pytest.approx(-0.10),
        ("without HT", None): pytest.approx(-0.08),
        ("with half of HT", None): pytest.approx(-0.03),
        ("without HT", "with half of HT"): pytest.approx(-0.05),
    }
    assert "**Without HT** against **with half of HT**, trained on 61 patients: -0.050" in found[-1].sentence()
