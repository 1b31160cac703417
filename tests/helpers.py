"""Tiny cohorts in Kaggle's layout, and a tiny run, for the tests that need slices or a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from brainseg.experiments.plan import Training
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import HISTORY, WEIGHTS, RunRecord, run_folder
from brainseg.splits import make_split

PATIENTS = (
    "TEST_AA_0001_20000101",
    "TEST_AA_0002_20000102",
    "TEST_AA_0003_20000103",
    "TEST_BB_0004_20000104",
    "TEST_BB_0005_20000105",
    "TEST_BB_0006_20000106",
)
SLICES = 5
TUMOUR_SLICES = (2, 3)  # of each patient; the last patient has no post-contrast T1


def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    """A filled ellipse in the frame of 256 x 256, True inside; centre and radii as (row, column)."""
    rows, columns = np.mgrid[:256, :256]
    return ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 <= 1


def write_slice(folder: Path, number: int, image: np.ndarray, mask: np.ndarray) -> None:
    """One image and its mask under the names of Kaggle's layout; the folder is named after the patient."""
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / f"{folder.name}_{number}.tif", image, photometric="rgb")
    tifffile.imwrite(folder / f"{folder.name}_{number}_mask.tif", mask.astype(np.uint8) * 255, photometric="minisblack")


def write_cohort(root: Path, patients=PATIENTS, slices: int = SLICES) -> Path:
    """Heads as ellipses with a bright rim for the scalp, tumours as blobs that are bright on FLAIR."""
    for position, patient in enumerate(patients):
        rng = np.random.default_rng(position)
        centre = rng.uniform(110, 146, 2)
        for number in range(1, slices + 1):
            scalp = ellipse(centre, (95 - 4 * number, 75 - 4 * number))
            brain = ellipse(centre, (87 - 4 * number, 67 - 4 * number))
            blob = ellipse(centre + (0, 25), (8 + position + number, 10))
            mask = blob & brain if number in TUMOUR_SLICES else np.zeros_like(blob)
            levels = np.zeros((256, 256, 3))
            levels[scalp] = (180, 150, 190)
            levels[brain] = (90, 70, 100)
            levels[mask] = (70, 170, 110)
            noise = rng.normal(0, 4, levels.shape) * scalp[..., None]
            image = np.clip(levels + noise, 0, 255).astype(np.uint8)
            if patient == patients[-1]:
                image[..., 2] = image[..., 1]
            write_slice(root / patient, number, image, mask)
    rows = [f"{patient.rpartition('_')[0]},{1 + position % 3},2,50" for position, patient in enumerate(patients)]
    text = "\n".join(["Patient,RNASeqCluster,neoplasm_histologic_grade,age_at_initial_pathologic", *rows, ""])
    (root / "data.csv").write_text(text)
    return root


def image_of(root, number=1, patient=PATIENTS[0]):
    return root / patient / f"{patient}_{number}.tif"


def mask_of(root, number=1, patient=PATIENTS[0]):
    return root / patient / f"{patient}_{number}_mask.tif"


SMALL = Recipe(options={"filters": 2, "depth": 1}, epochs=2, slices_per_epoch=8, batch_size=4)
"""A network of one level: what takes long in a short training is to trace it."""


def plan_of(cohort: pd.DataFrame, seeds=(0, 1), **departures) -> list[Training]:
    """Trainings of `SMALL`, with departures from it, that differ in their seeds alone."""
    split = make_split(cohort, by="patient", n_folds=3)
    recipes = [replace(SMALL, seed=seed, **departures) for seed in seeds]
    return [Training(recipe, Preprocessing(image_size=32), split, {"seed": recipe.seed}) for recipe in recipes]


def untrained_run(root: Path, folder: Path, fold: int = 1):
    """A run as a training on three of six patients would leave it, tested on one of three folds, its weights random.

    A tiny network that trains for a second calls nothing tumour, and empty masks agree whatever made them. This one
    calls about a third of the pixels tumour.
    """
    import keras

    from brainseg.networks.models import build_model
    from brainseg.networks.runs import load_run
    from brainseg.networks.weights import save_weights

    recipe = Recipe(options={"filters": 2, "depth": 2}, epochs=2, slices_per_epoch=8, batch_size=4)
    prepared = prepare(root, Preprocessing(image_size=32))
    split = make_split(prepared.table, n_folds=3, fold=fold)
    place = run_folder(recipe, prepared.fingerprint, split, folder)
    model, rng = build_model(recipe.model, 32, **recipe.options), np.random.default_rng(3 + fold)
    # Drawn by NumPy, so that the masks are those of this seed whatever the version of Keras.
    kernels = [rng.normal(0, (2 / w[..., 0].size) ** 0.5, w.shape) if w.ndim > 1 else w for w in model.get_weights()]
    model.set_weights(kernels)
    model.get_layer("probability").bias.assign([0.0])
    save_weights(model, place / WEIGHTS)
    history = {
        "epoch": [1, 2],
        "loss": [2.0, 1.0],
        "validation_dice": [0.25, 0.5],
        "learning_rate": 1e-3,
        "seconds": 1.0,
    }
    pd.DataFrame(history).to_csv(place / HISTORY, index=False)
    patients = prepared.table["patient"]
    RunRecord(
        folder=place,
        recipe=recipe,
        preprocessing=prepared.preprocessing,
        prepared=prepared.fingerprint,
        patients={part: sorted(set(patients[split == part])) for part in ("train", "validation")},
        training_slices=int((split == "train").sum()),
        best_epoch=2,
        validation_dice=0.5,
        seconds=2.0,
        parameters=model.count_params(),
        versions={"keras": keras.__version__},
        processor="none, for it was never trained",
    ).write(place)
    return load_run(RunRecord.read(place), prepared, split)
