"""From prepared arrays to scores: feeding a training, predicting, scoring."""

from __future__ import annotations

import time
from dataclasses import replace

from benchmarks.timing import seconds
from brainseg.data import get_cohort
from brainseg.evaluation.predict import predict_masks
from brainseg.evaluation.scores import score_patients, score_slices
from brainseg.images.prepared import prepare
from brainseg.networks import batches
from brainseg.networks.backend import configure_backend
from brainseg.networks.record import reference_runs
from brainseg.networks.runs import Run, load_network


def measure_training(data: str, slices: int) -> list[dict]:
    """Seconds of a stretch of training with U-Net, how many of them it waits for slices, and making batches alone."""
    configure_backend()
    run, recipe = _reference(data)
    rows = run.rows("train")
    network = run.model
    network.compile("adam", loss="binary_crossentropy")
    recipe = replace(recipe, slices_per_epoch=slices)
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
