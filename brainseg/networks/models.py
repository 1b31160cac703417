"""The three networks of the study: FCN-32, U-Net and ResUNet. Architecture only.

Every network maps ``(batch, size, size, channels)`` float values in [0, 1] to ``(batch, size, size, 1)``
float32 probabilities. Nothing here compiles, trains or knows about files, so the same definitions
run on Keras's TensorFlow, JAX and PyTorch backends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from brainseg.networks.layers import (
    PRIOR,
    Bilinear,
    convolve,
    plain_convolution,
    pre_activated,
    probability,
    residual_unit,
)


def fcn32(image_size: int, filters: int = 16, channels: int = 3, enlarge: int = 1) -> keras.Model:
    """FCN-32s: a classification network turned into a segmentation network.

    A VGG-style encoder halves the grid five times. A 1x1 convolution scores each cell of the last
    grid, and one transposed convolution blows the scores up to the full frame, starting from
    bilinear interpolation.

    Parameters
    ----------
    image_size : int
        Side of the square input in pixels; times `enlarge` a multiple of 32.
    filters : int
        Width of the first stage. VGG-16 has 64; the later stages have 2, 4, 8 and 8 times as many.
    channels : int
        Channels of the input.
    enlarge : int
        How many times the slice is enlarged before the encoder: 1, 2 or 4. The paper's images are
        about 500 pixels wide, so that a cell of 32 pixels is a sixteenth of them. On a slice of 96 pixels it
        would be a third. Enlarging adds no information; it only restores the proportion.

    Raises
    ------
    ValueError
        Where the size does not fit or a number is out of range.

    Notes
    -----
    After Long, Shelhamer and Darrell (2015), doi:10.1109/CVPR.2015.7298965. Deviations: trained from
    scratch, with batch normalisation; a width that is a parameter; the fully convolutional layers
    have 16 times that width (VGG-16: 64 times), 3x3 instead of 7x7 in the first, and one dropout of 0.2 in
    place of two of 0.5; "same" padding in place of padding by 100 pixels and cropping; the last
    enlargement is learned, while the paper keeps it bilinear; and `enlarge`.
    """
    if enlarge not in (1, 2, 4):
        raise ValueError(f"enlarge must be 1, 2 or 4, not {enlarge}")
    _check(image_size, 32 // enlarge, filters=filters, channels=channels)
    image = x = keras.Input((image_size, image_size, channels), name="image")
    if enlarge > 1:
        x = layers.UpSampling2D(enlarge, interpolation="bilinear", name="enlarge")(x)
    for stage, (width, convolutions) in enumerate(zip((1, 2, 4, 8, 8), (2, 2, 3, 3, 3), strict=True), start=1):
        for _ in range(convolutions):
            x = convolve(x, width * filters)
        x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)
    x = convolve(x, 16 * filters)
    x = layers.Dropout(0.2)(x)
    x = convolve(x, 16 * filters, size=1)
    x = layers.Conv2D(1, 1, kernel_initializer="he_normal", name="score")(x)
    stride = 32 // enlarge
    x = layers.Conv2DTranspose(
        1, 2 * stride, strides=stride, padding="same", kernel_initializer=Bilinear(), bias_initializer=PRIOR,
        dtype="float32", name="upsample",
    )(x)  # fmt: skip
    return keras.Model(image, layers.Activation("sigmoid", dtype="float32", name="probability")(x), name="fcn32")


def unet(image_size: int, filters: int = 16, channels: int = 3, depth: int = 4) -> keras.Model:
    """U-Net: an encoder, a decoder, and a bridge between them at every resolution.

    Parameters
    ----------
    image_size : int
        Side of the square input in pixels, a multiple of ``2 ** depth``.
    filters : int
        Width of the first level; each level below has twice as many. The paper has 64.
    channels : int
        Channels of the input.
    depth : int
        How often the grid is halved. The paper has 4.

    Raises
    ------
    ValueError
        Where the size does not fit the depth or a number is not positive.

    Notes
    -----
    After Ronneberger, Fischer and Brox (2015), doi:10.1007/978-3-319-24574-4_28. Deviations: batch
    normalisation, "same" padding, so that output and input have one size, one sigmoid channel.
    """
    _check(image_size, 2**depth, filters=filters, channels=channels, depth=depth)
    image = x = keras.Input((image_size, image_size, channels), name="image")
    bridges = []
    for level in range(depth):
        x = convolve(convolve(x, filters * 2**level), filters * 2**level)
        bridges.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level + 1}")(x)
    x = convolve(convolve(x, filters * 2**depth), filters * 2**depth)
    for level in reversed(range(depth)):
        width = filters * 2**level
        x = layers.Conv2DTranspose(width, 2, strides=2, kernel_initializer="he_normal", name=f"up{level + 1}")(x)
        x = layers.Concatenate(name=f"bridge{level + 1}")([bridges[level], x])
        x = convolve(convolve(x, width), width)
    return keras.Model(image, probability(x), name="unet")


def resunet(image_size: int, filters: int = 16, channels: int = 3, depth: int = 3) -> keras.Model:
    """ResUNet: a U-Net built of residual units, which learn a correction to their input.

    Parameters
    ----------
    image_size : int
        Side of the square input in pixels, a multiple of ``2 ** depth``.
    filters : int
        Width of the first level; each level below has twice as many. The paper has 64.
    channels : int
        Channels of the input.
    depth : int
        How often the grid is halved. The paper has 3.

    Raises
    ------
    ValueError
        Where the size does not fit the depth or a number is not positive.

    Notes
    -----
    After Zhang, Liu and Wang (2018), doi:10.1109/LGRS.2018.2802944: pre-activation units
    (normalise, ReLU, convolve, twice), a stride in place of pooling, nearest-neighbour upsampling.
    Deviations: the shortcut is projected by a 1x1 convolution only where the shape changes, and what is projected is
    normalised.
    """
    _check(image_size, 2**depth, filters=filters, channels=channels, depth=depth)
    image = keras.Input((image_size, image_size, channels), name="image")
    # The first unit meets the raw image, so it starts with a convolution, not an activation.
    x = pre_activated(plain_convolution(image, filters), filters)
    x = layers.Add(name="unit1")([x, plain_convolution(image, filters, size=1)])
    bridges = []
    for level in range(1, depth + 1):
        bridges.append(x)
        x = residual_unit(x, filters * 2**level, strides=2, name=f"unit{level + 1}")
    for level in reversed(range(depth)):
        x = layers.UpSampling2D(2, name=f"up{level + 1}")(x)
        x = layers.Concatenate(name=f"bridge{level + 1}")([bridges[level], x])
        x = residual_unit(x, filters * 2**level, name=f"decode{level + 1}")
    return keras.Model(image, probability(x), name="resunet")


MODELS: dict[str, Callable[..., keras.Model]] = {"fcn32": fcn32, "unet": unet, "resunet": resunet}


def build_model(name: str, image_size: int, **options) -> keras.Model:
    """Build one of :data:`MODELS` by name; the options are those of its own function.

    Raises
    ------
    ValueError
        For an unknown name, or a size that the network cannot take.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(MODELS)}")
    _check_settings()
    return MODELS[name](image_size, **options)


def mean_network(networks: Sequence[keras.Model]) -> keras.Model:
    """One network that gives the mean of the probabilities of several.

    What differently trained networks agree on stays, and what only one of them saw grows faint.

    Parameters
    ----------
    networks : sequence of keras.Model
        Of this study, with one input size.

    Raises
    ------
    ValueError
        For no network, or networks of several input sizes.
    """
    if len({network.input_shape for network in networks}) != 1:
        raise ValueError(
            f"a mean needs networks of one input size, not {[network.input_shape for network in networks]}"
        )
    image = keras.Input(networks[0].input_shape[1:], name="image")
    # A layer's name tells it from the others of a model, and networks of one architecture share theirs.
    votes = [keras.Model(network.input, network.output, name=f"vote{i}")(image) for i, network in enumerate(networks)]
    mean = votes[0] if len(votes) == 1 else layers.Average(dtype="float32", name="mean")(votes)
    return keras.Model(image, mean, name="mean_network")


def _check_settings() -> None:
    """Refuse settings of Keras that are not the study's: they come from a keras.json, where Keras was loaded first."""
    for what, found, wanted in (
        ("image_data_format", keras.config.image_data_format(), "channels_last"),
        ("floatx", keras.config.floatx(), "float32"),
    ):
        if found != wanted:
            raise ValueError(
                f"Keras has {what} = {found!r}, and these networks need {wanted!r}. It comes from a keras.json, in "
                "~/.keras or where KERAS_HOME says: change it there, or import brainseg before keras."
            )


def _check(image_size: int, multiple: int, **positive: int) -> None:
    for name, value in positive.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if image_size < multiple or image_size % multiple:
        below = max(image_size // multiple, 1) * multiple
        raise ValueError(
            f"image_size {image_size} does not fit this network, which needs a multiple of {multiple}: "
            f"choose {below} or {below + multiple}"
        )


def multiply_adds(model: keras.Model) -> int:
    """Multiply-add operations of all convolutions for one image; a multiply-add is two FLOPs.

    Normalisations, activations and interpolations are left out: together they are about a percent.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2DTranspose):
            height, width = layer.input.shape[1:3]
        elif isinstance(layer, layers.Conv2D):
            height, width = layer.output.shape[1:3]
        else:
            continue
        total += height * width * int(np.prod(layer.kernel.shape))
    return total


def receptive_field(model: keras.Model) -> int:
    """Height in pixels of the part of the input that can change the output's central pixel.

    Measured, not derived: on a copy of the network whose kernels are all positive, one row of the
    input after the other is lit, and the rows that reach the centre are counted. The input's own
    height is the most that it can find.

    Returns
    -------
    int
        Rows between the first and the last that reach the centre, both included.
    """
    probe = keras.models.clone_model(model)
    for layer in probe.layers:
        if isinstance(layer, (layers.Conv2D, layers.Conv2DTranspose)):
            kernel, *bias = layer.get_weights()
            fan_in = int(np.prod(kernel.shape)) / kernel.shape[-1]
            layer.set_weights([np.full_like(kernel, 1 / fan_in), *(np.zeros_like(b) for b in bias)])
    # Before the sigmoid, which would flatten small differences into the same float.
    linear = keras.Model(probe.input, probe.get_layer("probability").input)
    size = model.input_shape[1]
    rows = np.zeros((size, size, *model.input_shape[2:]), "float32")
    rows[np.arange(size), np.arange(size)] = 1e6
    centre = [float(linear.predict_on_batch(rows[i : i + 1])[0, size // 2, size // 2].max()) for i in range(size)]
    reaching = np.flatnonzero(np.array(centre) > 0)
    return int(reaching[-1] - reaching[0] + 1)
