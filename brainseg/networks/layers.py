"""The parts that the networks are built of: normalisation, convolutions, residual units, the last layer.

In the public API of Keras 3, with one exception: see `Normalisation`.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

# A short training sees few batches. With Keras's default momentum of 0.99 the moving statistics
# of batch normalisation would still remember their starting values when the training ends.
NORM_MOMENTUM = 0.9


# About two pixels in a hundred are tumour. An output that starts around there, not around one half, saves
# the first epochs (Lin et al. 2017, doi:10.1109/ICCV.2017.324, section 4.1).
PRIOR = keras.initializers.Constant(float(np.log(0.02 / 0.98)))


@keras.saving.register_keras_serializable(package="brainseg")
class Normalisation(layers.BatchNormalization):
    """Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167), in one operation where TensorFlow has it.

    Keras composes it of a dozen elementwise operations, which on a processor take about as long as the
    convolutions. ``results/speed/settings.csv`` has what the fused operation is worth, and what the settings of
    `brainseg.networks.backend.configure_backend` are. The fused operation wants channels in sixteens,
    for which the vector units of processors are made; for others it is slower, so they go Keras's way. Weights
    are the same either way, and outputs differ by rounding, moving variances by n/(n-1) for n values a channel.
    """

    def call(self, inputs, training=None, mask=None):  # noqa: D102
        if keras.backend.backend() != "tensorflow" or inputs.shape[-1] % 16 or not self.trainable:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        moving = [] if training else [self.moving_mean, self.moving_variance]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, *moving, epsilon=self.epsilon, is_training=bool(training)
        )
        if training:
            for kept, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept.assign(kept * self.momentum + seen * (1 - self.momentum))
        return outputs


def normalise(x):
    """Batch normalisation with the momentum of the study."""
    return Normalisation(momentum=NORM_MOMENTUM)(x)


def convolve(x, filters: int, size: int = 3, strides: int = 1):
    """Convolution without bias (the normalisation that follows has one), normalisation, ReLU."""
    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.Activation("relu")(normalise(x))


def probability(x):
    """One probability a pixel, in float32 whatever the precision of the layers before it."""
    return layers.Conv2D(1, 1, activation="sigmoid", bias_initializer=PRIOR, dtype="float32", name="probability")(x)


@keras.saving.register_keras_serializable(package="brainseg")
class Bilinear(keras.initializers.Initializer):
    """Kernel ``(height, width, out, in)`` that makes a transposed convolution interpolate bilinearly."""

    def __call__(self, shape, dtype=None):  # noqa: D102
        size = shape[0]
        ramp = 1 - np.abs((np.arange(size) - (size - 1) / 2) / (size / 2))
        kernel = np.outer(ramp, ramp)[:, :, None, None] / shape[3]
        return keras.ops.convert_to_tensor(np.broadcast_to(kernel, shape), dtype=dtype)


def plain_convolution(x, filters: int, size: int = 3, strides: int = 1):
    """Convolution with a bias, and nothing after it."""
    return layers.Conv2D(filters, size, strides=strides, padding="same", kernel_initializer="he_normal")(x)


def pre_activated(x, filters: int, strides: int = 1):
    """Normalisation and ReLU before the convolution, not after it."""
    return plain_convolution(layers.Activation("relu")(normalise(x)), filters, strides=strides)


def residual_unit(x, filters: int, name: str, strides: int = 1):
    """Full pre-activation residual unit (He et al. 2016, doi:10.1007/978-3-319-46493-0_38)."""
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = normalise(plain_convolution(x, filters, size=1, strides=strides))
    x = pre_activated(pre_activated(x, filters, strides=strides), filters)
    return layers.Add(name=name)([x, shortcut])
