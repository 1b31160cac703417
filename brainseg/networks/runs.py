"""Runs: a recipe, prepared arrays and a split, trained once and found ever after.

A run is identified by everything that its weights depend on, the code included.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from brainseg.images.prepared import Prepared, prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks import devices, losses
from brainseg.networks.backend import configure_backend, machine
from brainseg.networks.models import build_model
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import HISTORY, NEW, RECORD, SPLIT, WEIGHTS, RunRecord, run_folder
from brainseg.networks.training import clear_states, train
from brainseg.networks.weights import load_weights, save_weights
from brainseg.paths import folder_atomically, locked
from brainseg.provenance import commit, peak_memory_mib, versions
from brainseg.results import REFERENCE, results_folder


@dataclass
class Run:
    """A trained network with all that its evaluation needs.

    Attributes
    ----------
    model : keras.Model
        With the weights of the best validation epoch.
    prepared : Prepared
    split : Series
        "train", "validation" or "test" for each row of the prepared table.
    record : RunRecord
        What ran where: recipe, seconds, versions, processor, patients seen, best epoch.
    """

    model: keras.Model
    prepared: Prepared
    split: pd.Series
    record: RunRecord

    @property
    def recipe(self) -> Recipe:
        """How it was trained."""
        return self.record.recipe

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch: ``epoch, loss, validation_dice, learning_rate, seconds``."""
        return self.record.history

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.record.folder

    def rows(self, part: str) -> np.ndarray:
        """Row numbers of "train", "validation" or "test" in the prepared table."""
        return np.flatnonzero(self.split.to_numpy() == part)


def train_or_load(
    recipe: Recipe,
    prepared: Prepared,
    split: pd.Series,
    folder: str | Path | None = None,
    *,
    wait: bool = True,
    bar: tqdm | None = None,
) -> Run:
    """Train a run, or load it where it has been trained before, or go on where it was interrupted.

    The weights kept are those of the epoch with the best mean per-volume Dice on the validation
    patients; where nobody validates, those of the last epoch. Test slices are not read. Of several processes that ask
    for the same run, one trains it.

    Parameters
    ----------
    recipe : Recipe
    prepared : Prepared
    split : Series of "train", "validation", "test"
        One value a row of ``prepared.table``; other values keep a row out of the run.
    folder : path, optional
        Where runs are kept; ``runs`` in the build folder by default.
    wait : bool
        Whether to wait where another process trains this run.
    bar : tqdm, optional
        One that counts the steps of several trainings, in the place of the run's own.

    Raises
    ------
    ValueError
        Where the split does not fit the table or leaves nothing to train on, or the run to start from has no weights.
    BusyError
        Where another process trains this run, and `wait` is False.
    """
    if len(split) != len(prepared.table):
        raise ValueError(f"the split has {len(split)} rows, the prepared table {len(prepared.table)}")
    if not (split == "train").any():
        raise ValueError("the split has no training slices: give it more patients")
    configure_backend()
    folder = run_folder(recipe, prepared.fingerprint, split, folder)
    if not (folder / RECORD).is_file():
        with locked(folder, wait=wait):
            if not (folder / RECORD).is_file():  # nobody trained it while we waited
                _train(recipe, prepared, split, folder, bar)
    return load_run(RunRecord.read(folder), prepared, split)


def _train(recipe: Recipe, prepared: Prepared, split: pd.Series, folder: Path, bar: tqdm | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    steps = recipe.all_steps(int((split == "train").sum()))
    own = (
        tqdm(total=steps, desc=recipe.model, unit="step", mininterval=1) if bar is None else contextlib.nullcontext(bar)
    )
    with own as counted, devices.on_all_gpus():
        model = _build(recipe, prepared.preprocessing)
        if recipe.start:
            load_weights(model, folder.parent / recipe.start / WEIGHTS)
        if len(devices.gpus()) > 1:
            model = devices.synchronised(model)
        history = train(model, recipe, prepared, split, folder, counted)
    _record(folder, model, recipe, prepared, split, history).write(folder)
    clear_states(folder)


def load_run(record: RunRecord, prepared: Prepared, split: pd.Series) -> Run:
    """A finished run with its network, ready for the evaluation on a prepared cohort.

    Raises
    ------
    ValueError
        As :func:`load_network`.
    """
    model = load_network(record)
    # Compiled once, with what `brainseg.evaluation.predict.article_scores` asks for.
    model.compile(loss=losses.BY_NAME[record.recipe.loss], metrics=[losses.iou, losses.dice_coefficient])
    return Run(model, prepared, split, record)


def load_network(record: RunRecord) -> keras.Model:
    """A run's network with its weights. How its slices were prepared, the record says.

    Raises
    ------
    ValueError
        Where the run has no weights, or they are damaged.
    """
    if not record.has_weights and record.split_by is not None:
        raise ValueError(
            f"{record.folder} is kept without its weights. Take another run, or train it again: book/reproduce.md "
            "says how."
        )
    model = _build(record.recipe, record.preprocessing)
    load_weights(model, record.weights)
    return model


def load_reference(record: RunRecord, root: str | Path) -> Run:
    """A reference run with its own split of the cohort in `root`, prepared as it was for the training."""
    prepared = prepare(root, record.preprocessing)
    return load_run(record, prepared, record.split(prepared.table))


def keep(run: Run, split_by: str, fold: int, weights: bool = True) -> RunRecord:
    """Copy a run to the reference runs: weights in half precision, record, history and split.

    Without weights it is a document of a training: its scores and its split count, but there is nothing to load.

    Returns
    -------
    RunRecord
        Of ``results/reference/MODEL-by-SPLIT-foldN-seedS``. A run of this name is replaced.
    """
    folder = results_folder(REFERENCE) / f"{run.recipe.model}-by-{split_by}-fold{fold}-seed{run.recipe.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    keys = ["patient"] if split_by == "patient" else ["patient", "slice"]
    known = run.split.to_numpy() != NEW
    sides = run.prepared.table[keys].assign(part=run.split.to_numpy())[known].drop_duplicates()
    with folder_atomically(folder) as part:
        if weights:
            save_weights(run.model, part / WEIGHTS, small=True)
        run.history.to_csv(part / HISTORY, index=False, float_format="%.6g")
        sides.to_csv(part / SPLIT, index=False)
        run.record.as_reference(split_by, fold).write(part)
    return RunRecord.read(folder)


def _build(recipe: Recipe, preprocessing: Preprocessing) -> keras.Model:
    return build_model(recipe.model, preprocessing.image_size, **recipe.options)


def _record(
    folder: Path, model: keras.Model, recipe: Recipe, prepared: Prepared, split: pd.Series, history: pd.DataFrame
) -> RunRecord:
    patients = prepared.table["patient"]
    validated = history["validation_dice"].notna().any()
    best = history.loc[history["validation_dice"].idxmax() if validated else history.index[-1]]
    return RunRecord(
        folder=folder,
        recipe=recipe,
        preprocessing=prepared.preprocessing,
        prepared=prepared.fingerprint,
        # Who was seen, so that a prediction for one of them can say so.
        patients={part: sorted(patients[split.to_numpy() == part].unique()) for part in ("train", "validation")},
        training_slices=int((split == "train").sum()),
        best_epoch=int(best["epoch"]),
        validation_dice=float(best["validation_dice"]) if validated else None,
        seconds=float(history["seconds"].sum()),
        parameters=model.count_params(),
        versions=versions(),
        processor=machine(),
        commit=commit(),
        peak_memory_mib=peak_memory_mib(),
    )
