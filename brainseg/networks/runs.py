"""Runs: a recipe, prepared arrays and a split, trained once and found ever after.

A run is identified by everything that its weights depend on, the code included.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from brainseg import losses, models
from brainseg.kept import NEW, STUDY, kept_split, read_run, runs_on_record
from brainseg.paths import build_folder, folder_atomically, write_atomically
from brainseg.prepare import Prepared, Preprocessing, prepare
from brainseg.provenance import code_digest, commit, processor
from brainseg.recipe import LOSSES, Recipe
from brainseg.tables import results_folder
from brainseg.training import clear_states, train
from brainseg.weights import load_weights, save_weights


# The modules whose code changes weights. That of the preprocessing is part of the arrays' fingerprint.
CODE = [
    Path(__file__).with_name(f"{name}.py")
    for name in ("models", "losses", "augmentation", "batches", "recipe", "training")
]


@dataclass
class Run:
    """A trained network with all that its evaluation needs.

    Attributes
    ----------
    model : keras.Model
        With the weights of the best validation epoch.
    recipe : Recipe
    prepared : Prepared
    split : Series
        "train", "validation" or "test" for each row of the prepared table.
    history : DataFrame
        One row an epoch: ``epoch, loss, validation_dice, learning_rate, seconds``.
    record : dict
        What ran where: seconds, versions, processor, patients seen, best epoch.
    folder : Path
    """

    model: keras.Model
    recipe: Recipe
    prepared: Prepared
    split: pd.Series
    history: pd.DataFrame
    record: dict
    folder: Path

    def rows(self, part: str) -> np.ndarray:
        """Row numbers of "train", "validation" or "test" in the prepared table."""
        return np.flatnonzero(self.split.to_numpy() == part)


def train_or_load(recipe: Recipe, prepared: Prepared, split: pd.Series, folder: str | Path | None = None) -> Run:
    """Train a run, or load it where it has been trained before, or go on where it was interrupted.

    The weights kept are those of the epoch with the best mean per-volume Dice on the validation
    patients. Test slices are not read.

    Parameters
    ----------
    recipe : Recipe
    prepared : Prepared
    split : Series of "train", "validation", "test"
        One value a row of ``prepared.table``; other values keep a row out of the run.
    folder : path, optional
        Where runs are kept; ``runs`` in the build folder by default.

    Raises
    ------
    ValueError
        Where the split does not fit the table, or leaves nothing to train or validate on.
    """
    if len(split) != len(prepared.table):
        raise ValueError(f"the split has {len(split)} rows, the prepared table {len(prepared.table)}")
    for part in ("train", "validation"):
        if not (split == part).any():
            raise ValueError(f"the split has no {part} slices: give it more patients or a larger share")
    folder = Path(folder or build_folder() / "runs") / f"{recipe.model}-{identity(recipe, prepared, split)}"
    if not (folder / "run.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        configure_backend()
        keras.utils.set_random_seed(recipe.seed)
        model = _build(recipe, prepared.preprocessing)
        history = train(model, recipe, prepared, split, folder)
        with write_atomically(folder / "run.json") as part:
            part.write_text(json.dumps(_record(model, recipe, prepared, split, history), indent=1))
        clear_states(folder)
    return load_run(folder, prepared, split)


def load_run(folder: Path, prepared: Prepared, split: pd.Series) -> Run:
    """A finished run with its network, ready for the evaluation on a prepared cohort.

    Raises
    ------
    ValueError
        As :func:`load_network`.
    """
    model, _, record = load_network(folder)
    recipe = Recipe(**record["recipe"])
    # Compiled once, with what `evaluation.article_scores` asks for.
    model.compile(loss=LOSSES[recipe.loss], metrics=[losses.iou, losses.dice_coefficient])
    return Run(model, recipe, prepared, split, pd.read_csv(folder / "history.csv"), record, folder)


def load_network(folder: str | Path) -> tuple[keras.Model, Preprocessing, dict]:
    """A run's network with its weights, how its slices were prepared, and its record.

    Raises
    ------
    ValueError
        As :func:`brainseg.kept.read_run`, and where the weights are damaged.
    """
    folder = Path(folder)
    record = read_run(folder)
    preprocessing = Preprocessing(**record["preprocessing"])
    configure_backend()
    model = _build(Recipe(**record["recipe"]), preprocessing)
    load_weights(model, folder / "best.npz")
    return model, preprocessing, record


def find_on_record(recipe: Recipe, prepared: Prepared, split_by: str, fold: int) -> Path | None:
    """The run of the reference edition with this recipe, preprocessing and fold, where the cohort has patients for each part of
    its split. Its weights may not be kept."""
    wanted = json.dumps([asdict(recipe), asdict(prepared.preprocessing), split_by, fold], sort_keys=True)
    for folder in runs_on_record():
        record = json.loads((folder / "run.json").read_text())
        is_same = [record["recipe"], record["preprocessing"], record["split_by"], record["fold"]]
        if json.dumps(is_same, sort_keys=True) == wanted:
            return folder if {"train", "validation", "test"} <= set(kept_split(folder, prepared.table)) else None
    return None


def prepare_for(folder: Path, root: str | Path) -> Prepared:
    """The slices of the cohort in `root`, prepared as those that a kept run was trained on."""
    record = json.loads((folder / "run.json").read_text())
    return prepare(root, Preprocessing(**record["preprocessing"]))


def load_kept(folder: Path, prepared: Prepared) -> Run:
    """A kept run, with its own split of the prepared cohort."""
    return load_run(folder, prepared, kept_split(folder, prepared.table))


def keep(run: Run, split_by: str, fold: int, weights: bool = True) -> Path:
    """Copy a run to the kept ones: weights in half precision, record, history and split.

    Without weights it is a document of a training: its scores and its split count, but there is nothing to load.

    Returns
    -------
    Path
        ``results/reference/MODEL-by-SPLIT-foldN``. A run of this name is replaced.
    """
    folder = results_folder(STUDY) / f"{run.recipe.model}-by-{split_by}-fold{fold}"
    shutil.rmtree(folder, ignore_errors=True)
    keys = ["patient"] if split_by == "patient" else ["patient", "slice"]
    split = run.prepared.table[keys].assign(part=run.split.to_numpy()).query("part != @NEW").drop_duplicates()
    with folder_atomically(folder) as part:
        if weights:
            save_weights(run.model, part / "best.npz", dtype="float16")
        run.history.to_csv(part / "history.csv", index=False, float_format="%.6g")
        split.to_csv(part / "split.csv", index=False)
        record = {**run.record, "split_by": split_by, "fold": fold}
        (part / "run.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return folder


def _build(recipe: Recipe, preprocessing: Preprocessing) -> keras.Model:
    return models.build_model(recipe.model, preprocessing.image_size, channels=recipe.channels, **recipe.options)


def _record(model, recipe: Recipe, prepared: Prepared, split: pd.Series, history: pd.DataFrame) -> dict:
    patients = prepared.table["patient"]
    best = history.loc[history["validation_dice"].idxmax()]
    return {
        "recipe": asdict(recipe),
        "preprocessing": asdict(prepared.preprocessing),
        "prepared": prepared.fingerprint,
        # Who was seen, so that a prediction for one of them can say so.
        "patients": {
            part: sorted(patients[split.to_numpy() == part].unique()) for part in ("train", "validation")
        },
        "training_slices": int((split == "train").sum()),
        "best_epoch": int(best["epoch"]),
        "validation_dice": float(best["validation_dice"]),
        "seconds": float(history["seconds"].sum()),
        "peak_memory_mib": peak_memory_mib(),
        "parameters": model.count_params(),
        "commit": commit(),
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
        },
        "processor": processor(),
    }


def identity(recipe: Recipe, prepared: Prepared, split: pd.Series) -> str:
    """Twelve hexadecimal digits that change with recipe, arrays, split and code.

    Versions of libraries and the processor are recorded in ``run.json`` but do not change the
    identity: they change weights by rounding only.
    """
    parts = [json.dumps(asdict(recipe), sort_keys=True), prepared.fingerprint, ",".join(split), code_digest(*CODE)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def configure_backend() -> None:
    """Let TensorFlow use all cores for a layer, two layers at a time, and bfloat16 where the hardware has it.

    Two, because on the way back a layer's gradients for its input and for its weights wait for nothing but the layer
    above; a third gained nothing. On processors with AVX512-BF16 or AMX, convolutions multiply in bfloat16; weights, sums and the loss stay in float32.
    Elsewhere bfloat16 would be emulated and slow, so it stays off. What both are worth, together with
    :class:`brainseg.models.Normalisation`, is measured in ``results/benchmark.json``. GPUs from NVIDIA's Ampere
    generation on get Keras's mixed bfloat16.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it warns of every network after the fifth that is traced
    # Once the first operation has run, the threads can no longer be changed.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_inter_op_parallelism_threads(2)
        tf.config.threading.set_intra_op_parallelism_threads(os.cpu_count() or 1)
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        if details.get("compute_capability", (0, 0)) >= (8, 0):
            keras.config.set_dtype_policy("mixed_bfloat16")
    elif {"avx512_bf16", "amx_bf16"} & _processor_flags():
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})


def _processor_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux: no flags known
        return set()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return set(line.partition(":")[2].split())


def peak_memory_mib() -> float | None:
    """Most memory that this process has held so far, in MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)
