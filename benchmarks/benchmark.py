"""How long the study's slow steps take, as ratios within one run on one machine.

    python benchmarks/benchmark.py                 # the embedded cohort
    python benchmarks/benchmark.py --real FOLDER   # also reading and preparing a Kaggle-layout cohort

Run it on a machine that does nothing else. The result goes to ``results/benchmark.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 5

TRAIN = """
import contextlib, json, os, sys, time
import numpy as np
import keras
from brainseg.chapters import study_recipe
from brainseg.networks import layers, losses, models
from brainseg.networks.backend import configure_backend
if sys.argv[1] == "tuned":
    configure_backend()
else:
    layers.Normalisation = keras.layers.BatchNormalization
name, size = sys.argv[2], 128
model = models.build_model(name, size, **study_recipe(name).options)
model.compile("adam", loss=losses.BY_NAME["bce_dice"])
rng = np.random.default_rng(0)
x = rng.random((128, size, size, 3), dtype="float32")
y = (rng.random((128, size, size, 1)) > 0.9).astype("float32")
model.train_on_batch(x[:16], y[:16]); model.predict_on_batch(x[:32])
start = time.perf_counter()
for i in range(0, 128, 16):
    model.train_on_batch(x[i:i + 16], y[i:i + 16])
train = 128 / (time.perf_counter() - start)
start = time.perf_counter()
for i in range(0, 128, 32):
    model.predict_on_batch(x[i:i + 32])
print(json.dumps({"training": train, "prediction": 128 / (time.perf_counter() - start)}))
"""


def unet_speed() -> dict:
    """Slices per second of U-Net at 128 pixels, a process each: TensorFlow and Keras as they come, and as the study
    sets them."""
    speed = {}
    for setting in ("default", "tuned"):
        call = [sys.executable, "-c", TRAIN, setting, "unet"]
        answer = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True)
        speed[setting] = json.loads(answer.stdout.splitlines()[-1])
    speed["training, tuned / default"] = speed["tuned"]["training"] / speed["default"]["training"]
    return speed


def cohort_steps(data: str) -> dict:
    """Seconds to read every file of a cohort, and to prepare it: medians of `REPEATS` turns.

    A machine's speed drifts, so a ratio is taken within each turn, of steps that ran one after the other. The median of
    the turns is reported, and the lowest and the highest beside it.
    """
    from brainseg.cohort import index_cohort
    from brainseg.data import get_cohort
    from brainseg.images.prepared import prepare
    from brainseg.images.preprocess import Preprocessing

    root = get_cohort(data)
    files = sorted(root.rglob("*.tif"))

    def read():
        for path in files:
            path.read_bytes()

    def decode():
        import tifffile

        for path in files:
            tifffile.imread(path)

    def preparing(settings):
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, BRAINSEG_BUILD=folder):
            index_cohort(root)  # its own step, and cached: prepare is timed without it
            return _timed(lambda: prepare(root, settings))

    steps = {
        "reading the bytes": lambda: _timed(read),
        "reading the images": lambda: _timed(decode),
        "prepare, as the study does": lambda: preparing(Preprocessing()),
        "prepare, as the article does": lambda: preparing(
            Preprocessing(contrast="clahe", crop="slice", normalise="none")
        ),
    }
    read()  # warms the file cache, so that all steps meet the same one
    turns = [{name: step() for name, step in steps.items()} for _ in range(REPEATS)]
    seconds = {name: statistics.median(turn[name] for turn in turns) for name in steps}
    ratios = {}
    for name in steps:
        if name.startswith("prepare"):
            ratio = [turn[name] / turn["reading the images"] for turn in turns]
            ratios[name] = {"median": statistics.median(ratio), "lowest": min(ratio), "highest": max(ratio)}
    return {"slices": len(files) // 2, "seconds": seconds, "ratio to reading the images": ratios}


def phantom() -> float:
    """Seconds to make the default embedded cohort."""
    from brainseg.phantom import make_phantom

    with tempfile.TemporaryDirectory() as folder:
        return _timed(lambda: make_phantom(Path(folder) / "kaggle_3m"))


def _timed(step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", help="a folder in Kaggle's layout")
    arguments = parser.parse_args()
    from brainseg.provenance import processor

    result = {
        "machine": {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()},
        "phantom of 24 patients, seconds": phantom(),
        "cohorts": {"phantom": cohort_steps("phantom")},
        "U-Net at 128 px, slices per second": unet_speed(),
    }
    if arguments.real:
        result["cohorts"]["real"] = cohort_steps(arguments.real)
    path = ROOT / "results" / "benchmark.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(_rounded(result), indent=1) + "\n")
    print(path.read_text())


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, 2) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
