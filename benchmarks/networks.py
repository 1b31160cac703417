"""Training and prediction of the study's networks, with the settings that were tried, and where a step's time goes."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

import keras
import tensorflow as tf

from benchmarks.timing import PREDICTED, slices_a_second, synthetic_batches
from brainseg.chapters import study_recipe
from brainseg.networks import layers, models
from brainseg.networks.backend import configure_backend
from brainseg.networks.losses import BY_NAME
from brainseg.networks.recipe import Recipe

OPERATIONS = {
    "normalisation": "FusedBatchNorm",
    "convolution": "Conv",
    "pooling": "MaxPool",
    "ReLU": "Relu",
    "enlargement": "Resize",
    "bridges": "Concat|Slice",
    "optimiser": "Adam|ResourceApply|AssignVariable|AssignSub|AssignAdd",
    "precision and copies": "Cast|Transpose|Identity|_Arg|_Retval|Reshape",
}
"""Kinds of operations -> what their names hold; a name belongs to the first kind that fits."""


def measure(model: str, setting: str, size: int, steps: int) -> list[dict]:
    """One network with one of `SETTINGS`: slices a second, and the arithmetic of a prediction."""
    recipe, compiled = study_recipe(model), {}
    SETTINGS[setting](compiled)
    batch = compiled.pop("batch", recipe.batch_size)
    network = _compiled(recipe, size, **compiled)
    images, masks = synthetic_batches(size, max(batch, PREDICTED))
    return [
        {
            "training": slices_a_second(lambda: network.train_on_batch(images[:batch], masks[:batch]), batch, steps),
            "prediction": slices_a_second(lambda: network.predict_on_batch(images[:PREDICTED]), PREDICTED, steps),
            "forward_gflop": 2 * models.multiply_adds(network) / 1e9,
        }
    ]


def measure_operations(model: str, size: int, steps: int) -> list[dict]:
    """Milliseconds of a training step in each kind of operation, summed over the threads that run them."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    configure_backend()
    recipe = study_recipe(model)
    network = _compiled(recipe, size)
    images, masks = synthetic_batches(size, recipe.batch_size)
    for _ in range(3):
        network.train_on_batch(images, masks)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(steps):
                network.train_on_batch(images, masks)
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    taken: Counter[str] = Counter()
    for plane in space.planes:
        names = {key: event.name for key, event in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                # Executed operations are named "layer/operation:Type"; the rest are the runtime's own notes.
                if kind := kind_of(names[event.metadata_id]):
                    taken[kind] += event.duration_ps
    return [{"operation": kind, "ms": picoseconds / 1e9 / steps} for kind, picoseconds in taken.items()]


def kind_of(event: str) -> str | None:
    """The kind of an operation by the name of its event, ``"layer/operation:Type"``; None for what is no operation."""
    if not (found := re.fullmatch(r"[^:]*:(\w+)", event)):
        return None
    return next((kind for kind, held in OPERATIONS.items() if re.search(held, found[1])), "everything else")


def _compiled(recipe: Recipe, size: int, **options) -> keras.Model:
    network = models.build_model(recipe.model, size, **recipe.options)
    network.compile(keras.optimizers.Adam(recipe.learning_rate), loss=BY_NAME[recipe.loss], **options)
    network.optimizer.build(network.trainable_variables)
    return network


# ---------------------------------------------------------------- settings that were tried: each changes one thing


def _study(_: dict) -> None:
    configure_backend()


def _as_they_come(_: dict) -> None:
    layers.Normalisation = keras.layers.BatchNormalization


def _float32(_: dict) -> None:
    configure_backend()
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": False})


def _policy(_: dict) -> None:
    _float32(_)
    keras.config.set_dtype_policy("mixed_bfloat16")


def _composed(_: dict) -> None:
    configure_backend()
    layers.Normalisation = keras.layers.BatchNormalization


def _one_layer(_: dict) -> None:
    configure_backend()
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _compiler(compiled: dict) -> None:
    configure_backend()
    compiled["jit_compile"] = True


def _batch(size: int):
    def setting(compiled: dict) -> None:
        configure_backend()
        compiled["batch"] = size

    return setting


SETTINGS = {
    "as the study has it": _study,
    "TensorFlow and Keras as they come": _as_they_come,
    "float32 throughout": _float32,
    "Keras's mixed_bfloat16 in place of TensorFlow's": _policy,
    "Keras's own batch normalisation": _composed,
    "one layer at a time": _one_layer,
    "compiled by XLA": _compiler,
    "batches of 8": _batch(8),
    "batches of 32": _batch(32),
}
"""Name -> what it sets before the network is built; each differs from the study in one thing, the second in all."""
