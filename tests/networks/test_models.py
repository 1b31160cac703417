"""The architectures: shapes, widths, what they refuse, and that a copy with the same weights agrees."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
from brainseg.chapters import study_recipe
from brainseg.networks import layers, models

NETWORKS_OF_A_MEAN = [("unet", {"depth": 2}), ("unet", {"depth": 2}), ("resunet", {"depth": 2})]


@pytest.mark.parametrize("name", list(models.MODELS))
def test_maps_an_image_to_probabilities_of_the_same_size(name):
    model = models.build_model(name, 64, filters=4)
    image = np.random.default_rng(0).random((2, 64, 64, 3), dtype="float32")
    probability = model.predict_on_batch(image)
    assert probability.shape == (2, 64, 64, 1)
    assert probability.dtype == np.float32
    assert 0 <= probability.min() < probability.max() <= 1


@pytest.mark.parametrize("name", list(models.MODELS))
def test_an_untrained_network_expects_two_per_cent_tumour_where_it_sees_nothing(name):
    black = np.zeros((1, 64, 64, 3), np.float32)
    probability = models.build_model(name, 64, filters=8).predict_on_batch(black)
    np.testing.assert_allclose(probability, 0.02, rtol=0.02)  # bfloat16 may be on: two or three digits


@pytest.mark.parametrize("name", list(models.MODELS))
def test_same_weights_give_same_predictions(name):
    first, second = (models.build_model(name, 64, filters=4) for _ in range(2))
    image = np.random.default_rng(1).random((1, 64, 64, 3), dtype="float32")
    assert not np.allclose(first.predict_on_batch(image), second.predict_on_batch(image))
    second.set_weights(first.get_weights())
    np.testing.assert_array_equal(first.predict_on_batch(image), second.predict_on_batch(image))


def test_unet_doubles_its_width_at_each_level():
    model = models.unet(64, filters=6)
    widths = [model.get_layer(f"bridge{level}").output.shape[-1] for level in (1, 2, 3, 4)]
    assert widths == [12, 24, 48, 96]  # bridge and upsampled map, one beside the other
    assert [model.get_layer(f"bridge{level}").output.shape[1] for level in (1, 2, 3, 4)] == [64, 32, 16, 8]


def test_unet_has_the_papers_size_at_the_papers_width():
    # Two 3x3 convolutions a level (1->64->64 ... 1024) and 2x2 up-convolutions: 31.03 million for
    # one input channel and a single output map, counted by hand, without batch normalisation.
    model = models.unet(64, filters=64, channels=1)
    kernels = sum(int(np.prod(w.shape)) for w in model.trainable_weights if w.path.endswith("kernel"))
    levels = [64, 128, 256, 512, 1024]
    by_hand = 9 * 64 + sum(9 * a * a for a in levels) + sum(9 * a * 2 * a for a in levels[:-1])
    by_hand += sum(4 * 2 * a * a + 9 * 2 * a * a + 9 * a * a for a in levels[:-1]) + 64
    assert kernels == by_hand


def test_fcn32_has_a_last_grid_32_times_coarser_and_starts_from_bilinear_interpolation():
    model = models.fcn32(128, filters=4)
    assert model.get_layer("score").output.shape[1:] == (4, 4, 1)
    upsample = model.get_layer("upsample")
    score = np.zeros((1, 4, 4, 1), "float32")
    score[:] = 3.0
    (bias,) = upsample.get_weights()[1]
    enlarged = np.asarray(upsample(score)) - bias
    np.testing.assert_allclose(enlarged[0, 32:-32, 32:-32], 3.0, rtol=1e-5)  # a flat map stays flat


def test_resunet_adds_its_shortcuts():
    model = models.resunet(64, filters=4)
    additions = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert len(additions) == 7  # three encoder units, the bridge between them, three decoder units
    assert not any(isinstance(layer, keras.layers.MaxPooling2D) for layer in model.layers)


def test_an_enlarged_slice_gives_fcn32_a_finer_grid_and_the_same_output_size():
    model = models.fcn32(96, filters=4, enlarge=2)
    assert model.get_layer("score").output.shape[1:] == (6, 6, 1)
    assert model.output_shape[1:] == (96, 96, 1)
    with pytest.raises(ValueError, match="enlarge must be 1, 2 or 4, not 3"):
        models.fcn32(96, enlarge=3)


@pytest.mark.parametrize(
    "name, size, near", [("fcn32", 100, "96 or 128"), ("unet", 90, "80 or 96"), ("resunet", 4, "8")]
)
def test_refuses_a_size_that_does_not_fit_and_names_one_that_does(name, size, near):
    with pytest.raises(ValueError, match=near):
        models.build_model(name, size)


def test_refuses_unknown_names_and_widths_below_one():
    with pytest.raises(ValueError, match="fcn32, unet, resunet"):
        models.build_model("vnet", 64)
    with pytest.raises(ValueError, match="filters must be at least 1, not 0"):
        models.build_model("unet", 64, filters=0)


def test_multiply_adds_of_one_convolution_by_hand():
    image = keras.Input((8, 8, 3))
    same = keras.Model(image, keras.layers.Conv2D(5, 3, padding="same")(image))
    assert models.multiply_adds(same) == 8 * 8 * 3 * 3 * 3 * 5
    up = keras.Model(image, keras.layers.Conv2DTranspose(5, 2, strides=2)(image))
    assert models.multiply_adds(up) == 8 * 8 * 2 * 2 * 3 * 5


def test_receptive_field_of_known_chains():
    image = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(1, 3, padding="same")(image)
    x = keras.layers.Conv2D(1, 5, padding="same")(x)
    model = keras.Model(image, keras.layers.Activation("sigmoid", name="probability")(x))
    assert models.receptive_field(model) == 3 + 5 - 1


def test_unet_sees_further_than_resunet_of_the_papers_depths():
    assert models.receptive_field(models.resunet(128, filters=2)) < models.receptive_field(models.unet(128, filters=2))


@pytest.mark.parametrize("channels", [8, 16])
def test_the_fused_normalisation_computes_what_keras_computes(channels):
    rng = np.random.default_rng(2)
    image = rng.normal(3, 2, (4, 32, 32, channels)).astype("float32")
    gamma, answers = rng.uniform(0.5, 2, channels), []
    for kind in (layers.Normalisation, keras.layers.BatchNormalization):
        layer = kind(momentum=0.9)
        layer.build(image.shape)
        layer.gamma.assign(gamma)
        trained, applied = layer(image, training=True), layer(image, training=False)
        answers.append([np.asarray(a) for a in (trained, applied, layer.moving_mean, layer.moving_variance)])
    for ours, theirs in zip(*answers, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0.02, atol=0.02)  # bfloat16 may be on: two or three digits


def test_the_networks_of_the_study_have_channels_that_the_fused_normalisation_takes():
    for name in models.MODELS:
        model = models.build_model(name, 96, **study_recipe(name).options)
        widths = {layer.output.shape[-1] for layer in model.layers if isinstance(layer, layers.Normalisation)}
        assert widths and all(width % 16 == 0 for width in widths)


def test_the_mean_network_averages_probabilities():
    networks = [models.build_model(name, 32, filters=2, **more) for name, more in NETWORKS_OF_A_MEAN]
    rng = np.random.default_rng(0)
    for network in networks:
        network.set_weights([w + rng.normal(0, 0.2, w.shape) for w in network.get_weights()])
    image = rng.random((3, 32, 32, 3), dtype="float32")
    # Called eagerly, because a compiled graph may multiply in bfloat16.
    votes = [np.asarray(network(image, training=False)) for network in networks]
    mean = np.asarray(models.mean_network(networks)(image, training=False))
    np.testing.assert_allclose(mean, np.mean(votes, axis=0), atol=1e-5)
    assert np.abs(mean - votes[0]).max() > 0.01
    alone = np.asarray(models.mean_network(networks[:1])(image, training=False))
    np.testing.assert_allclose(alone, votes[0], atol=1e-6)


def test_a_mean_of_nothing_or_of_several_sizes_is_refused():
    with pytest.raises(ValueError, match="one input size"):
        models.mean_network([])
    with pytest.raises(ValueError, match="one input size"):
        models.mean_network([models.build_model("unet", size, filters=2, depth=2) for size in (16, 32)])
