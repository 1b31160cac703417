"""The same work again: with the same seed, with other numbers of threads, and twice at once in one build folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from proof.kills import BEFORE, KINDS, begin, finish

THREADS = (2, 2, 1, 4)
"""The first training is what the others are held against; the second repeats it."""

LIMITS = {"loss": 0.05, "validation Dice": 0.05, "probability": 0.2, "Dice of a patient": 0.05}
"""How far apart trainings with other numbers of threads may lie: sums of another order round otherwise, and the weights
drift apart from step to step."""

_TRAINING = (
    """
import os
os.cpu_count = lambda: {threads}  # what decides how many threads TensorFlow and the batches get
"""
    + BEFORE
    + """
import numpy as np
from brainseg.evaluation.predict import evaluate, predict_probabilities
from brainseg.evaluation.scores import score_patients
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.runs import train_or_load
from brainseg.splits import make_split
prepared = prepare(cohort, Preprocessing(image_size=64))
recipe = Recipe(options={{"filters": 4, "depth": 2}}, epochs=8, slices_per_epoch=160, batch_size=8)
run = train_or_load(recipe, prepared, make_split(prepared.table, n_folds=3))
history = run.history.drop(columns="seconds")
patients = score_patients(evaluate(run))
history.to_csv(build / "history.csv", index=False)
patients.to_csv(build / "patients.csv", index=False)
np.save(build / "probabilities.npy", predict_probabilities(run, run.rows("test")))
weights = [array.tobytes() for array in run.model.get_weights()]
said(weights, history.to_csv(), patients.to_csv())
"""
)


def repeat(cohort: Path, place: Path) -> pd.DataFrame:
    """Train one small network several times: ``threads, figure, largest, limit, same``.

    Parameters
    ----------
    cohort : Path
        A sound cohort.
    place : Path
        A new folder for the build folders.

    Returns
    -------
    DataFrame
        `largest` is how far a figure lies from that of the first training, and `same` says whether weights and tables
        are the same byte by byte. The limit is 0 for the same number of threads.
    """
    folders = [place / str(number) for number in range(len(THREADS))]
    counted = tqdm(zip(THREADS, folders, strict=True), total=len(THREADS), desc="training again", leave=False)
    results = [finish(_TRAINING.format(threads=threads), cohort, folder) for threads, folder in counted]
    first, rows = _figures(folders[0]), []
    for threads, folder, result in list(zip(THREADS, folders, results, strict=True))[1:]:
        found = _figures(folder)
        for name, limit in LIMITS.items():
            rows.append(
                {
                    "threads": threads,
                    "figure": name,
                    "largest": float(np.max(np.abs(found[name] - first[name]))),
                    "limit": limit if threads != THREADS[0] else 0.0,
                    "same": result == results[0],
                }
            )
    return pd.DataFrame(rows)


def _figures(folder: Path) -> dict[str, np.ndarray]:
    history, patients = (pd.read_csv(folder / f"{name}.csv") for name in ("history", "patients"))
    return {
        "loss": history["loss"].to_numpy(),
        "validation Dice": history["validation_dice"].to_numpy(),
        "probability": np.load(folder / "probabilities.npy"),
        "Dice of a patient": patients["dice"].fillna(0).to_numpy(),
    }


def together(kind: str, cohort: Path, place: Path, calls: int = 2) -> dict:
    """Start one kind of work twice at the same moment, in one build folder.

    Returns
    -------
    dict
        ``kind, calls, finished, same``: how many came to their end, and how many of these made what a call makes that
        has the folder for itself.
    """
    alone = finish(KINDS[kind], cohort, place / "alone")
    folder, outputs = place / "shared", [place / f"{number}.txt" for number in range(calls)]
    with_files = [path.open("w+", encoding="utf-8") for path in outputs]
    running = [begin(KINDS[kind], cohort, folder, stdout=file, stderr=subprocess.STDOUT) for file in with_files]
    codes = [process.wait() for process in running]
    for file in with_files:
        file.close()
    said = [path.read_text(encoding="utf-8").strip().rpartition("\n")[2] for path in outputs]
    finished = [text for text, code in zip(said, codes, strict=True) if code == 0]
    return {"kind": kind, "calls": calls, "finished": len(finished), "same": finished.count(alone)}


def all_together(cohort: Path, place: Path) -> pd.DataFrame:
    """The table of kinds: ``kind, calls, finished, same``; see :func:`together`."""
    kinds = tqdm(KINDS, desc="two at once", unit="kind", leave=False)
    return pd.DataFrame([together(kind, cohort, place / str(number)) for number, kind in enumerate(kinds)])
