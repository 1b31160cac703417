"""Who takes part in an experiment: given all of the data set, none trains on, tests or scores a locked patient."""

from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import untrained_run, write_cohort

pytest.importorskip("keras")
from brainseg import results
from brainseg.cohort import FLAIR, index_cohort
from brainseg.evaluation.masks import Masks
from brainseg.experiments import EXPERIMENTS, longer, phantoms, synthetic
from brainseg.experiments.plan import Phantom
from brainseg.experiments.reference import fold_sides, participants, sides
from brainseg.images.prepared import prepare
from brainseg.networks.record import reference_patients
from brainseg.networks.runs import Run, keep

NAMED = [f"TCGA_{'AB'[number % 2] * 2}_{number:04d}_20000101" for number in range(1, 9)]
STRANGER = "TCGA_AA_0020_20000101"
FEW = {
    "claims": {"seeds": 1, "folds": (0,)},
    "exchange": {"sizes": (1,), "folds": (0,), "draws": (0,)},
    "leakage": {"doses": (0, 80), "folds": (0,), "seeds": 1},
    "longer": {"models": ("unet",), "seeds": (0,)},
    "ablation": {"seeds": (0,)},
    "phantoms": {"cohorts": (7,), "others": (), "seeds": (0,)},
    "quality": {},
    "shape": {},
    "synthetic": {"models": ("unet",), "seeds": (0,), "threshold_patients": 2},
    "trials": {"trials": ("head",)},
    "variants": {"plain_folds": (0,), "institutions": ("AA",), "size_matched": ("AA",)},
}
"""Settings with few trainings."""


class Bright:
    """Stands in for a network: FLAIR is its probability."""

    def predict_on_batch(self, batch):
        return batch[..., FLAIR : FLAIR + 1].copy()

    def test_on_batch(self, images, masks, return_dict):
        return {"loss": 0.5, "iou": 0.25, "dice_coefficient": 0.4}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A checkout whose three folds name all patients of a cohort but one, with a reference run in two of them."""
    place = tmp_path_factory.mktemp("project")
    root = write_cohort(place / "kaggle_3m", [*NAMED, STRANGER])
    folder = place / "results" / "reference"
    folder.mkdir(parents=True)
    pd.DataFrame({"patient": NAMED, "fold": np.arange(len(NAMED)) % 3}).to_csv(folder / "folds.csv", index=False)
    pd.DataFrame({"patient": NAMED[:2]}).to_csv(place / "results" / "phantom_development.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "project_root", lambda: place)
        for fold in (0, 1):
            run = untrained_run(root, place / "runs")
            keep(replace(run, split=fold_sides(run.prepared.table, fold)), "patient", fold)
    return place


@pytest.fixture
def cohort(project, monkeypatch):
    monkeypatch.setattr(results, "project_root", lambda: project)
    return index_cohort(project / "kaggle_3m")


def test_of_the_data_set_those_take_part_whom_the_folds_name(cohort):
    there = participants(cohort)
    assert set(there["patient"]) == set(NAMED) == reference_patients()
    assert there.attrs == cohort.attrs and there.equals(cohort.loc[there.index])


def test_of_other_people_all_take_part(cohort, monkeypatch):
    others = cohort[cohort["patient"] == STRANGER]
    assert participants(others).equals(others)
    monkeypatch.setattr(results, "project_root", lambda: None)  # an installed package has no folds
    assert participants(cohort).equals(cohort)


def test_the_folds_hold_without_a_reference_run(cohort, tmp_path, monkeypatch):
    folder = tmp_path / "results" / "reference"
    folder.mkdir(parents=True)
    pd.DataFrame({"patient": NAMED, "fold": 0}).to_csv(folder / "folds.csv", index=False)
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    assert not reference_patients()
    assert set(cohort.loc[sides(cohort, 0, 0) != "new", "patient"]) == set(NAMED)


def test_the_kept_folds_name_the_patients_of_the_kept_runs():
    folds = pd.read_csv(results.results_folder("reference") / "folds.csv")
    assert set(folds["patient"]) == reference_patients() and folds["patient"].is_unique


def plan_of(name, cohort):
    experiment = import_module(EXPERIMENTS[name])
    settings = experiment.Settings(**FEW[name])
    return experiment, settings, experiment.plan(cohort, settings)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_experiment_trains_on_or_tests_a_stranger(name, cohort):
    _, _, plan = plan_of(name, cohort)
    assert plan or name == "quality"
    for training in plan:
        if training.phantom is None:
            own = training.split[(cohort["patient"] == STRANGER).to_numpy()]
            assert len(training.split) == len(cohort) and not set(own) & {"train", "validation", "test"}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_experiment_scores_a_stranger(name, cohort, monkeypatch):
    experiment, settings, plan = plan_of(name, cohort)
    monkeypatch.setattr(synthetic, "PHANTOM", Phantom(3, 0))
    runs = []
    for training in plan:
        prepared = None if training.phantom else prepare(cohort.attrs["root"], training.preprocessing)
        record = SimpleNamespace(recipe=training.recipe, preprocessing=training.preprocessing)
        runs.append((training, Run(Bright(), prepared, training.split, record)))
    tables = experiment.score(cohort, settings, iter(runs))
    rows = (table.slices if isinstance(table, Masks) else table for table in tables.values())
    named = {patient for table in rows if "patient" in table for patient in table["patient"]}
    assert STRANGER not in named and len(named & set(NAMED)) > 1
    if name in (longer.LONGER, phantoms.PHANTOMS, synthetic.SYNTHETIC):
        assert set(tables["patients"]["patient"]) == set(NAMED[2:])
