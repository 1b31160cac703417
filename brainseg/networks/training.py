"""Training one network, so that it can be interrupted and resumed.

The loop is written out, not Keras's ``fit``, which builds an input pipeline of TensorFlow anew for every epoch: to take
it down stopped some epochs for seconds, with all processor cores idle.
"""

from __future__ import annotations

import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from brainseg import metrics
from brainseg.images.prepared import Prepared
from brainseg.networks.batches import epoch_batches
from brainseg.networks.devices import training_step
from brainseg.networks.forward import predict_images
from brainseg.networks.losses import BY_NAME
from brainseg.networks.recipe import Recipe
from brainseg.networks.weights import save_weights
from brainseg.paths import write_atomically

PREDICTED = 512
"""Validation slices predicted at a time, so that memory does not grow with their number; whole batches."""


def train(
    model: keras.Model, recipe: Recipe, prepared: Prepared, split: pd.Series, folder: Path, bar: tqdm
) -> pd.DataFrame:
    """Train `model` in place and leave ``best.npz`` and ``history.csv`` in `folder`.

    An interrupted training that left its state in the same folder goes on after its last whole epoch.

    Parameters
    ----------
    bar : tqdm
        Moves by one a step; those of epochs that were trained before count at once.

    Returns
    -------
    DataFrame
        One row an epoch: ``epoch, loss, validation_dice, learning_rate, seconds``.
    """
    training, validation = (np.flatnonzero(split.to_numpy() == part) for part in ("train", "validation"))
    steps = recipe.all_steps(len(training))
    warmup = max(steps // 20, 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 20, max(steps - warmup, 1), warmup_target=recipe.learning_rate, warmup_steps=warmup
    )
    model.compile(keras.optimizers.Adam(schedule), loss=BY_NAME[recipe.loss])
    # Here and not in the first step, where TensorFlow would have to trace the whole step twice.
    model.optimizer.build(model.trainable_variables)
    step = training_step(model)
    history = _resume(model, folder)
    bar.update(len(history) * recipe.steps(len(training)))
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        began = time.perf_counter()
        losses, sizes = [], []
        for images, masks in epoch_batches(prepared, training, recipe, epoch - 1):
            losses.append(step(images, masks))
            sizes.append(len(images))
            bar.update()
        _save_state(model, folder, epoch)
        history.append(
            {
                "epoch": epoch,
                "loss": float(np.average(losses, weights=sizes)),
                "validation_dice": validation_dice(model, prepared, validation),
                "learning_rate": float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
                "seconds": time.perf_counter() - began,
            }
        )
        _keep_best(model, folder, history)
        bar.set_postfix_str(_progress(history))
    best = folder / _best_name(history)
    if best.exists():  # not so where an earlier call was stopped after this line
        best.replace(folder / "best.npz")
    return pd.DataFrame(history)


def _progress(history: list[dict]) -> str:
    loss, dice = history[-1]["loss"], history[-1]["validation_dice"]
    if np.isnan(dice):
        return f"loss {loss:.3f}"
    highest = max(row["validation_dice"] for row in history)
    return f"loss {loss:.3f}, validation Dice {dice:.3f}, best {highest:.3f}"


def clear_states(folder: Path) -> None:
    """Delete the states that a training keeps for being resumed."""
    for state in _saved_states(folder):
        state.unlink()


def _resume(model: keras.Model, folder: Path) -> list[dict]:
    """Load the newest state that is whole and has its history; the rows of the epochs that it has behind it."""
    history_path = folder / "history.csv"
    known = pd.read_csv(history_path).to_dict("records") if history_path.is_file() else []
    for state in reversed(_saved_states(folder)):
        epoch = int(state.name.split(".")[0])
        # The state is written before the history, so the last state may lack its row. Then one
        # epoch is trained again.
        if epoch <= len(known):
            model.load_weights(state)
            return known[:epoch]
    return []


def validation_dice(model: keras.Model, prepared: Prepared, rows: np.ndarray) -> float:
    """Mean Dice of the patients among `rows`, each scored as one volume, in the prepared frame.

    The training is steered by this number. It is not a reported result: those are computed in the
    original frame by :mod:`brainseg.evaluation.predict`. A patient without tumour and without a prediction counts as 1.
    """
    if not len(rows):
        return float("nan")
    counts = []
    for start in range(0, len(rows), PREDICTED):
        part = rows[start : start + PREDICTED]
        prediction = predict_images(model, prepared.images, part) >= metrics.THRESHOLD
        counts.append(metrics.confusion(prepared.tumour(part), prediction, axis=(1, 2)))
    every = metrics.Confusion(*map(np.concatenate, zip(*counts, strict=True)))
    volumes = metrics.pool(every, by=prepared.table["patient"].to_numpy()[rows])
    return float(np.mean(metrics.dice(volumes, empty=1)))


def _save_state(model: keras.Model, folder: Path, epoch: int) -> None:
    """Weights and optimiser as they are after an epoch, so that a training can go on from here."""
    with write_atomically(folder / f"{epoch:04d}.weights.h5") as part:
        model.save_weights(part)
    for older in _saved_states(folder)[:-2]:
        older.unlink()


def _saved_states(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.weights.h5"))


def _keep_best(model: keras.Model, folder: Path, history: list[dict]) -> None:
    """Write the history, and the weights where the last epoch is the best so far.

    The weights carry their epoch in their name until the training ends. Wherever it is interrupted, the
    history then says which file is the best one.
    """
    best = _best_name(history)
    if best == _best_name(history[-1:]):
        save_weights(model, folder / best)
    with write_atomically(folder / "history.csv") as part:
        pd.DataFrame(history).to_csv(part, index=False)
    for older in folder.glob("best-*.npz"):
        if older.name != best:
            older.unlink()


def _best_name(history: list[dict]) -> str:
    """File of the weights of the epoch with the highest validation Dice; of several, the first.

    Where nobody validates, the last.
    """
    scores = [row["validation_dice"] for row in history]
    best = history[-1] if np.isnan(scores).all() else history[int(np.nanargmax(scores))]
    return f"best-{best['epoch']:04d}.npz"
