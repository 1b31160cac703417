"""Variants: trained otherwise, on the patients that the kept networks were tested on."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
from brainseg.evaluation import predict  # noqa: E402
from brainseg.experiments import variants  # noqa: E402
from brainseg.experiments.claims import score_test_patients  # noqa: E402
from brainseg.images.prepared import prepare  # noqa: E402
from brainseg.images.preprocess import Preprocessing  # noqa: E402
from brainseg.networks import runs  # noqa: E402
from brainseg.networks.recipe import Recipe  # noqa: E402
from brainseg.networks.runs import train_or_load  # noqa: E402
from brainseg.networks.weights import weights_digest  # noqa: E402
from brainseg.splits import make_split  # noqa: E402

RECIPE = Recipe(
    model="unet", options={"filters": 2, "depth": 2}, epochs=1, slices_per_epoch=8, tumour_share=0.5, drop_sequence=0.1
)


@pytest.fixture
def kept_run(tiny_cohort, tmp_path, monkeypatch):
    for module in (tables, kept):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    prepared = prepare(tiny_cohort, Preprocessing(image_size=32))
    run = train_or_load(RECIPE, prepared, make_split(prepared.table, n_folds=3, fold=1))
    runs.keep(run, "patient", 1)
    return run


def test_the_plain_network_has_nothing_added_and_the_same_patients(kept_run, tiny_cohort):
    plain = variants.plain_run(tiny_cohort, 1)
    assert plain.split.tolist() == kept_run.split.tolist()
    steps = plain.prepared.preprocessing
    assert (steps.image_size, steps.contrast, steps.crop, steps.normalise) == (32, "none", "none", "none")
    recipe = plain.recipe
    assert (recipe.augmentation, recipe.tumour_share, recipe.drop_sequence) == (False, 0.0, 0.0)
    assert (recipe.epochs, recipe.slices_per_epoch, recipe.options) == (1, 8, RECIPE.options)


def test_every_variant_is_scored_on_its_test_patients(kept_run, tiny_cohort):
    table = kept_run.prepared.table
    institution = table["institution"].iloc[0]
    scores, record = variants.compute(tiny_cohort, plain_folds=[1], institutions=[institution])
    patients = scores["patients"].set_index("variant")
    tested = set(table["patient"][kept_run.split == "test"])
    assert set(patients.loc[["plain"], "patient"]) == tested
    of_institution = set(table["patient"][table["institution"] == institution])
    assert set(patients.loc[[f"without {institution}"], "patient"]) == of_institution
    by_hand = {"plain": score_test_patients(variants.plain_run(tiny_cohort, 1))}
    run = variants.run_without(tiny_cohort, institution)
    by_hand[f"without {institution}"] = scores.score_patients(predict.evaluate(run, "test")).reset_index()
    for variant, expected in by_hand.items():
        np.testing.assert_array_equal(patients.loc[[variant], ["tp", "fp", "fn"]], expected[["tp", "fp", "fn"]])
    assert record["networks"] == record.reference_digests("unet") != {}
    plain, without = record["runs"]
    assert without["weights"] == weights_digest(run.folder / "best.npz")
    assert plain["patients"]["test"] == len(tested) and plain["recipe"]["augmentation"] is False
    assert without["recipe"] == {**plain["recipe"], "augmentation": True, "tumour_share": 0.5, "drop_sequence": 0.1}
    assert without["patients"]["test"] == len(of_institution)


def test_what_cannot_be_computed_is_named(kept_run, tiny_cohort):
    with pytest.raises(ValueError, match="no U-Net is kept of fold 4"):
        variants.compute(tiny_cohort, plain_folds=[4])
    with pytest.raises(ValueError, match="no institution 'QQ'"):
        variants.compute(tiny_cohort, institutions=["QQ"])
    with pytest.raises(ValueError, match="nothing to do"):
        variants.compute(tiny_cohort)
