"""A tiny trained run, for the tests of predictions."""

import pytest

keras = pytest.importorskip("keras")
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.runs import train_or_load


@pytest.fixture
def run(tiny_cohort, tmp_path):
    prepared = prepare(tiny_cohort, Preprocessing(image_size=32))
    names = list(dict.fromkeys(prepared.table["patient"]))
    split = prepared.table["patient"].map({**dict.fromkeys(names, "train"), names[-1]: "validation"})
    recipe = Recipe(options={"filters": 2, "depth": 2}, epochs=1, slices_per_epoch=8, batch_size=4)
    return train_or_load(recipe, prepared, split, tmp_path / "runs")
