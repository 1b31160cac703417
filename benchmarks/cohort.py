"""From files to scores: reading, preparing, feeding a training, predicting, scoring."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import tifffile

from benchmarks.timing import seconds
from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.evaluation.predict import predict_masks
from brainseg.evaluation.scores import score_patients, score_slices
from brainseg.images.crop import CANNY_THRESHOLDS
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks import batches
from brainseg.networks.backend import configure_backend
from brainseg.networks.record import reference_runs
from brainseg.networks.runs import Run, load_network

ARTICLE = Preprocessing(contrast="clahe", crop="slice", normalise="none")


def measure_files(data: str) -> list[dict]:
    """Seconds to read all files of a cohort, and to prepare it, here and by a plain loop over OpenCV's functions."""
    root = get_cohort(data)
    files = sorted(root.rglob("*.tif"))
    images = [path for path in files if not path.stem.endswith("_mask")]

    def preparing(preprocessing: Preprocessing) -> float:
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, BRAINSEG_BUILD=folder):
            index_cohort(root, progress=False)  # a step of its own, and kept: what is timed finds it
            return seconds(lambda: prepare(root, preprocessing))

    def index() -> float:
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, BRAINSEG_BUILD=folder):
            return seconds(lambda: index_cohort(root, progress=False))

    for path in files:  # so that every step finds the files in the system's memory
        path.read_bytes()
    taken = {
        "reading the files": seconds(lambda: [tifffile.imread(path) for path in files]),
        "checking the cohort": index(),
        "preparing, as the study does": preparing(Preprocessing()),
        "preparing, as the article does": preparing(ARTICLE),
        "the article's steps as a plain loop": seconds(lambda: [_article(path, ARTICLE.image_size) for path in images]),
    }
    return [{"step": step, "slices": len(images), "seconds": value} for step, value in taken.items()]


def _article(path: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The article's steps on one slice as a tutorial has them: CLAHE, edges, dilation, extreme points, crop, resize."""
    image, mask = cv2.imread(str(path)), cv2.imread(str(path.with_name(f"{path.stem}_mask.tif")), cv2.IMREAD_GRAYSCALE)
    enhancer = cv2.createCLAHE(2.0, (8, 8))
    enhanced = cv2.merge([enhancer.apply(channel) for channel in cv2.split(image)])
    edges = cv2.Canny(cv2.cvtColor(enhanced, cv2.COLOR_BGR2GRAY), *CANNY_THRESHOLDS)
    contours, _ = cv2.findContours(
        cv2.dilate(edges, np.ones((3, 3), np.uint8)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    if contours:
        x, y = max(contours, key=cv2.contourArea)[:, 0].T
        rows, columns = slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1)
        enhanced, mask = enhanced[rows, columns], mask[rows, columns]
    return cv2.resize(enhanced, (size, size)), cv2.resize(mask, (size, size))


def measure_training(data: str, slices: int) -> list[dict]:
    """Seconds of a stretch of training with U-Net, how many of them it waits for slices, and making batches alone."""
    configure_backend()
    run, recipe = _reference(data)
    rows = run.rows("train")
    network = run.model
    network.compile("adam", loss="binary_crossentropy")
    recipe = type(recipe)(**{**vars(recipe), "slices_per_epoch": slices})
    network.train_on_batch(*batches.make_batch(run.prepared, rows[: recipe.batch_size], recipe, 0, 0))
    waited, began = 0.0, time.perf_counter()
    following = batches.epoch_batches(run.prepared, rows, recipe, 0)
    while True:
        start = time.perf_counter()
        batch = next(following, None)
        waited += time.perf_counter() - start
        if batch is None:
            break
        network.train_on_batch(*batch)
    together = time.perf_counter() - began
    drawn = batches.draw_rows(run.prepared, rows, recipe, 1)
    parts = [drawn[start : start + recipe.batch_size] for start in range(0, slices, recipe.batch_size)]
    alone = seconds(
        lambda: [batches.make_batch(run.prepared, part, recipe, 1, index) for index, part in enumerate(parts)]
    )
    taken = {"training": together, "waiting for the next batch": waited, "making batches alone": alone}
    return [{"step": step, "slices": slices, "seconds": value} for step, value in taken.items()]


def measure_scoring(data: str, slices: int) -> list[dict]:
    """Seconds to predict masks as the study reports them, and to score them with all metrics.

    The slices are of patients that the network was trained on: nobody needs a test patient to learn how long it takes.
    """
    configure_backend()
    run, _ = _reference(data)
    rows = run.rows("train")[:slices]
    predict_masks(run, rows[:1])
    truth, table = run.prepared.truth(rows), run.prepared.table.iloc[rows]
    masks = []
    predicting = seconds(lambda: masks.append(predict_masks(run, rows)))
    scoring = seconds(lambda: score_patients(score_slices(masks[0], truth, table)))
    taken = {"predicting both ways": predicting, "scoring with all metrics": scoring}
    return [{"step": step, "slices": len(rows), "seconds": value} for step, value in taken.items()]


def _reference(data: str):
    """The reference U-Net of fold 0 on a cohort; of one that it does not know, all slices are its training side."""
    record = reference_runs("unet", "patient", 0, with_weights=True)[0]
    prepared = prepare(get_cohort(data), record.preprocessing)
    split = record.split(prepared.table)
    if not (split == "train").any():
        split = split.map(lambda _: "train")
    return Run(load_network(record), prepared, split, record), record.recipe
