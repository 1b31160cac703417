"""One network on all the GPUs of a machine: each takes a share of every batch, and all keep the same weights.

The result is that of one device, but for rounding: whatever is computed over a batch is computed over the whole of it.
These are the normalisation's means and variances, and the losses, which are one ratio for all slices of a batch.
Dropout draws otherwise, slice by slice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache

import keras
import numpy as np


def gpus() -> list[str]:
    """The names of the GPUs that TensorFlow sees; none on the other backends, which train on one device."""
    if keras.backend.backend() != "tensorflow":
        return []
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU")]


def on_all_gpus() -> AbstractContextManager:
    """Where a network is to be built and trained: variables made in here are on every GPU, where there are several."""
    names = gpus()
    return contextlib.nullcontext() if len(names) < 2 else _strategy(*names).scope()


# Once, for a second strategy numbers its exchanges between GPUs from the start again, as if they were the first's.
@cache
def _strategy(*names: str):
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names)


class SynchronisedNormalisation(keras.layers.BatchNormalization):
    """Batch normalisation whose means and variances are those of all GPUs' slices.

    Keras's own ``synchronized=True`` asks the other GPUs three times a layer, in an order that its gradients need not
    keep. This layer asks once.
    """

    def call(self, inputs, training=None, mask=None):  # noqa: D102
        if not training:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        values = tf.cast(inputs, "float32")
        size = tf.cast(tf.reduce_prod(tf.shape(values)[:-1]), "float32")
        axes = [0, 1, 2]
        sums = tf.stack([tf.reduce_sum(values, axes), tf.reduce_sum(values**2, axes), tf.fill(values.shape[-1:], size)])
        total, squares, size = tf.unstack(tf.distribute.get_replica_context().all_reduce("SUM", sums))
        mean = total / size
        variance = tf.maximum(squares / size - mean**2, 0.0)
        for kept, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept.assign(kept * self.momentum + seen * (1 - self.momentum))
        outputs = tf.nn.batch_normalization(values, mean, variance, self.beta, self.gamma, self.epsilon)
        return tf.cast(outputs, inputs.dtype)


def synchronised(model: keras.Model) -> keras.Model:
    """The same network with the same weights, whose normalisation sees all GPUs' slices.

    The fused operation of :class:`brainseg.networks.layers.Normalisation` knows one device alone.
    """

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.BatchNormalization):
            return SynchronisedNormalisation.from_config(layer.get_config())
        return type(layer).from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def training_step(model: keras.Model) -> Callable[[np.ndarray, np.ndarray], float]:
    """What trains a compiled network on one batch: images and masks in, the loss of before the step out.

    On one device, Keras's ``train_on_batch``. A network that was built in :func:`on_all_gpus` gives every GPU a part of
    the batch; then the predictions are brought together, because a loss needs all of them.
    """
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return model.train_on_batch
    import tensorflow as tf

    count = strategy.num_replicas_in_sync

    def share(images: tf.Tensor, masks: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        gpu = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            own = model(images, training=True)
            # In its place among zeros, so that the sum over the GPUs is what all have predicted.
            own = tf.pad(own, [[first, tf.shape(masks)[0] - first - tf.shape(own)[0]], [0, 0], [0, 0], [0, 0]])
            known = tf.stop_gradient(own)
            predicted = gpu.all_reduce("SUM", known) - known + own
            loss = tf.reduce_mean(model.loss(masks, predicted))
        # Each GPU has the gradient by its own slices' predictions, and the optimiser adds them up.
        model.optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    @tf.function(reduce_retracing=True)
    def everywhere(images, masks, first):
        return strategy.reduce("MEAN", strategy.run(share, (images, masks, first)), axis=None)

    def step(images: np.ndarray, masks: np.ndarray) -> float:
        parts = np.array_split(np.arange(len(images)), count)
        first = np.cumsum([0, *map(len, parts)])[:-1].astype(np.int32)

        def dealt(values: list[np.ndarray]):
            return strategy.experimental_distribute_values_from_function(
                lambda gpu: tf.constant(values[gpu.replica_id_in_sync_group])
            )

        return float(everywhere(dealt([images[part] for part in parts]), tf.constant(masks), dealt(list(first))))

    return step
