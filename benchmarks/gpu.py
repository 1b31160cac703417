"""Training steps a second on a GPU, one process alone and several at once: ``python -m benchmarks.gpu``.

    python -m benchmarks.gpu                       # each network alone, then U-Net in 8 processes; printed
    python -m benchmarks.gpu --processes 4 17 --keep    # other numbers of processes, into results/speed/gpu.csv
    python -m benchmarks.gpu --quick               # does it still run? On any machine, in seconds

It needs the package, Keras with any backend, and no cohort: the slices are random, because speed does not see what they
show. One process seldom fills a large GPU. Several fill it better where NVIDIA's MPS runs beside them
(``nvidia-cuda-mps-control -d``), which the table notes. ``XLA_PYTHON_CLIENT_PREALLOCATE=false`` lets processes of JAX
share the memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.timing import synthetic_batches
from benchmarks.worker import ANSWER
from brainseg.chapters import study_recipe
from brainseg.experiments.speed import AUGMENTED, FIXED
from brainseg.networks.recipe import MODELS, Recipe
from brainseg.paths import project_root
from brainseg.provenance import commit, versions
from brainseg.results import has_tables, read_record, write_tables

READY = "READY"


def measure(work: str, network: str, processes: int, size: int, seconds: float) -> dict:
    """One row: steps and slices a second of so many processes together, measured over the same seconds.

    Parameters
    ----------
    work : str
        `FIXED`: one batch again and again, so the network alone; `AUGMENTED`: batches as a training draws them.
    network : str
        A name of :data:`brainseg.networks.recipe.MODELS`.
    processes : int
    size : int
        Side of the slices, px.
    seconds : float
        How long the steps are counted, once all processes have compiled theirs.
    """
    call = [sys.executable, "-m", "benchmarks.gpu", "--one", json.dumps([work, network, size, seconds])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(call, cwd=project_root(), **pipes) for _ in range(processes)]
    for process in running:
        _await(process, READY)
    for process in running:
        print("go", file=process.stdin, flush=True)
    steps = sum(float(_await(process, ANSWER)) for process in running)
    for process in running:
        process.communicate()
    slices = steps * study_recipe(network).batch_size
    row = {"work": work, "network": network, "processes": processes, "mps": _has_mps(), "seconds": seconds}
    return {**row, "steps_a_second": steps, "slices_a_second": slices, "extrapolated": False}


def measure_one(work: str, network: str, size: int, seconds: float) -> None:
    """What each process does: compile, say so, and count steps from the word on."""
    import keras

    from brainseg.networks.backend import configure_backend
    from brainseg.networks.devices import training_step
    from brainseg.networks.losses import BY_NAME
    from brainseg.networks.models import build_model

    configure_backend()
    recipe = study_recipe(network)
    model = build_model(network, size, **recipe.options)
    model.compile(keras.optimizers.Adam(recipe.learning_rate), loss=BY_NAME[recipe.loss])
    model.optimizer.build(model.trainable_variables)
    step, batches = training_step(model), _batches(work, recipe, size)
    step(*next(batches))
    print(READY, flush=True)
    sys.stdin.readline()
    steps, began = 0, time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds:
        step(*next(batches))
        steps += 1
    print(ANSWER + str(steps / taken), flush=True)


def _batches(work: str, recipe: Recipe, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if work == FIXED:
        return itertools.repeat(synthetic_batches(size, recipe.batch_size))
    from brainseg.images.prepared import Prepared
    from brainseg.images.preprocess import Preprocessing
    from brainseg.networks.batches import epoch_batches

    images, masks = ((255 * array).astype(np.uint8) for array in synthetic_batches(size, 256))
    table = pd.DataFrame({"tumour_px": np.arange(len(images)) % 2})
    here = Path()
    prepared = Prepared(images, masks[..., 0], table, Preprocessing(image_size=size), "", here, here)
    epochs = (epoch_batches(prepared, np.arange(len(images)), recipe, epoch) for epoch in itertools.count())
    return itertools.chain.from_iterable(epochs)


def _await(process: subprocess.Popen, beginning: str) -> str:
    """The rest of the next line of a process that begins so."""
    for line in process.stdout:
        if line.startswith(beginning):
            return line.removeprefix(beginning)
    raise SystemExit(f"a process ended before it said {beginning}: its error stands above")


def _has_mps() -> bool:
    """Whether NVIDIA's daemon answers where the processes look for it."""
    return (Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")) / "control").exists()


def main() -> None:
    """Measure, print, and keep the table where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", nargs="+", type=int, default=[8], help="how many at once; 8 by default")
    parser.add_argument("--seconds", type=float, default=8, help="how long the steps of a row are counted")
    parser.add_argument("--keep", action="store_true", help="write results/speed/gpu.csv")
    parser.add_argument("--quick", action="store_true", help="the smallest of everything, printed and not kept")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure_one(*arguments.one)
        return
    size, seconds = (32, 0.2) if arguments.quick else (128, arguments.seconds)
    plan = [(FIXED, network, 1) for network in (MODELS[:1] if arguments.quick else MODELS)]
    at_once = [2] if arguments.quick else arguments.processes
    plan += [(work, "unet", number) for work in (FIXED, AUGMENTED) for number in at_once]
    table = pd.DataFrame([measure(*each, size, seconds) for each in plan])
    print(table.to_string(index=False))
    if arguments.keep and not arguments.quick:
        from brainseg.networks.backend import machine

        record = {"parts": {}, **(read_record("speed") if has_tables("speed") else {})}
        record["parts"]["gpu"] = {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "commit": commit(),
            "processor": machine(),
            "versions": versions(),
            "turns": 1,
            "how": "All rows by `python -m benchmarks.gpu`.",
        }
        print(f"written: {write_tables('speed', {'gpu': table}, record, add=True)}/gpu.csv")


if __name__ == "__main__":
    main()
