"""Losses against NumPy, their ranges, their gradients, and a fit that uses them."""

import functools
import os
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from brainseg.networks import losses

TRUTH = np.zeros((2, 4, 4, 1), "float32")
TRUTH[0, 1:3, 1:3] = 1  # 4 tumour pixels in the first slice, none in the second
PREDICTION = np.zeros((2, 4, 4, 1), "float32")
PREDICTION[0, 1:3, 1:4] = 1  # all 4 found, 2 false alarms
PREDICTION[1, 0, 0] = 1  # 1 false alarm on the empty slice


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def random_pair(seed, shape=(3, 8, 8, 1), soft=False):
    rng = np.random.default_rng(seed)
    truth = rng.random(shape) if soft else rng.random(shape) < 0.3
    return truth.astype("float32"), rng.random(shape).astype("float32")


def gradient(loss, truth, prediction):
    """The gradient of the mean loss with respect to the prediction, on whichever backend is running."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        variable = tf.Variable(prediction)
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(truth, variable))
        return tape.gradient(value, variable).numpy()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(lambda p: loss(truth, p).mean())(prediction))
    import torch

    tensor = torch.tensor(prediction, requires_grad=True)
    loss(torch.tensor(truth), tensor).mean().backward()
    return tensor.grad.numpy()


def test_dice_by_hand():
    # Slice by slice: (2*4 + 1) / (4 + 6 + 1) and (0 + 1) / (0 + 1 + 1); the batch: (2*4 + 1) / (4 + 7 + 1).
    np.testing.assert_allclose(
        numbers(losses.dice_loss(TRUTH, PREDICTION, batch=False)), [1 - 9 / 11, 1 / 2], rtol=1e-6
    )
    np.testing.assert_allclose(numbers(losses.dice_loss(TRUTH, PREDICTION)), [1 - 9 / 12] * 2, rtol=1e-6)
    np.testing.assert_allclose(numbers(losses.negative_dice(TRUTH, PREDICTION)), [-9 / 12] * 2, rtol=1e-6)
    assert numbers(losses.dice_coefficient(TRUTH, PREDICTION)) == pytest.approx(9 / 12)
    assert numbers(losses.dice_coefficient(TRUTH, PREDICTION, smooth=0)) == pytest.approx(8 / 11)


def test_iou_by_hand():
    # Slice by slice: (4 + 1) / (6 + 1) and (0 + 1) / (1 + 1); the batch: (4 + 1) / (7 + 1).
    assert numbers(losses.iou(TRUTH, PREDICTION)) == pytest.approx(5 / 8)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("smooth", [1e-6, 1.0, 100.0])
def test_ratios_match_numpy(smooth, soft):
    truth, prediction = random_pair(0, soft=soft)
    overlap = np.minimum(truth, prediction).sum((1, 2, 3))
    total = truth.sum((1, 2, 3)) + prediction.sum((1, 2, 3))
    dice = (2 * overlap + smooth) / (total + smooth)
    np.testing.assert_allclose(numbers(losses.dice_loss(truth, prediction, smooth, batch=False)), 1 - dice, rtol=1e-4)
    batch = (2 * overlap.sum() + smooth) / (total.sum() + smooth)
    np.testing.assert_allclose(numbers(losses.negative_dice(truth, prediction, smooth)), [-batch] * 3, rtol=1e-4)


def test_overlap_of_hard_masks_is_the_usual_product():
    truth, prediction = random_pair(1)
    usual = (2 * (truth * prediction).sum() + 1) / (truth.sum() + prediction.sum() + 1)
    assert numbers(losses.dice_coefficient(truth, prediction)) == pytest.approx(usual, rel=1e-5)


def test_cross_entropy_matches_numpy():
    truth, prediction = random_pair(2, soft=True)
    expected = -(truth * np.log(prediction) + (1 - truth) * np.log(1 - prediction)).mean((1, 2, 3))
    np.testing.assert_allclose(numbers(losses.bce(truth, prediction)), expected, rtol=1e-3)
    both = numbers(losses.bce(truth, prediction)) + numbers(losses.dice_loss(truth, prediction))
    np.testing.assert_allclose(numbers(losses.bce_dice(truth, prediction)), both, rtol=1e-6)


def test_cross_entropy_of_a_certain_error_is_finite():
    assert np.isfinite(numbers(losses.bce(TRUTH, 1 - TRUTH))).all()


@pytest.mark.parametrize("batch", [True, False])
def test_both_forms_of_the_dice_loss_have_one_gradient(batch):
    truth, prediction = random_pair(3)
    first = gradient(functools.partial(losses.dice_loss, batch=batch), truth, prediction)
    second = gradient(functools.partial(losses.negative_dice, batch=batch), truth, prediction)
    assert np.abs(first).max() > 0
    np.testing.assert_array_equal(first, second)


def test_gradient_matches_finite_differences():
    truth, prediction = random_pair(4, shape=(2, 3, 3, 1), soft=True)
    analytic = gradient(losses.dice_loss, truth, prediction)

    def value(p):
        return 1 - (2 * np.minimum(truth, p).sum() + 1) / (truth.sum(dtype=float) + p.sum() + 1)

    step = 1e-6
    for index in np.ndindex(prediction.shape):
        up, down = prediction.astype(float), prediction.astype(float)
        up[index] += step
        down[index] -= step
        assert analytic[index] == pytest.approx((value(up) - value(down)) / (2 * step), abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_ranges(seed):
    truth, prediction = random_pair(seed, soft=seed % 2 == 0)
    for batch in (True, False):
        for loss, low, high in ((losses.dice_loss, 0, 1), (losses.negative_dice, -1, 0)):
            values = numbers(loss(truth, prediction, batch=batch))
            assert values.shape == (3,) and (values >= low).all() and (values <= high).all()
            assert numbers(loss(truth, truth, batch=batch)) == pytest.approx(low, abs=1e-6)


def test_empty_slices_do_no_harm_to_the_batch_form():
    truth, prediction = random_pair(5, shape=(1, 8, 8, 1))
    nothing = np.zeros((7, 8, 8, 1), "float32")
    alone = numbers(losses.dice_loss(truth, prediction))[0]
    among = numbers(losses.dice_loss(np.concatenate([truth, nothing]), np.concatenate([prediction, nothing])))
    np.testing.assert_allclose(among, alone, rtol=1e-6)


def test_half_precision_prediction_is_summed_in_float32():
    truth = np.ones((1, 512, 512, 1), "float16")  # 262144 pixels: more than float16 can hold
    value = numbers(losses.dice_loss(truth, truth))
    assert value.dtype == np.float32 and value[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [losses.bce, losses.dice_loss, losses.negative_dice, losses.bce_dice, losses.iou])
def test_a_mask_of_0_and_255_gives_no_number(loss):
    """A number such as -105 would be taken for a training that goes well."""
    mask = np.zeros((2, 4, 4, 1), np.uint8)
    mask[:, 1:3, 1:3] = 255
    prediction = np.full(mask.shape, 0.3, np.float32)
    with pytest.raises(ValueError, match="y_true goes up to 255, and a mask to 1 at most. Divide it by 255"):
        loss(mask, prediction)
    tensor = keras.ops.convert_to_tensor(mask.astype("float32"))
    assert np.isnan(numbers(loss(tensor, prediction))).all()
    assert np.isfinite(numbers(loss(mask / 255, prediction))).all()
    assert np.isfinite(numbers(loss(mask // 255, prediction))).all()


def test_shapes_that_disagree_are_shown():
    with pytest.raises(ValueError, match=r"\(2, 4, 4, 1\).*\(2, 4, 4\)"):
        losses.dice_loss(TRUTH, PREDICTION[..., 0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        losses.dice_loss,
        losses.negative_dice,
        losses.bce,
        losses.bce_dice,
        functools.partial(losses.dice_loss, smooth=10.0, batch=False),
    ],
)
def test_one_pixel_network_learns_with_every_loss(loss):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    images = rng.random((16, 8, 8, 1)).astype("float32")
    masks = (images > 0.7).astype("float32")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 1, activation="sigmoid", dtype="float32")])
    model.compile(optimizer=keras.optimizers.Adam(0.3), loss=loss, metrics=[losses.dice_coefficient, losses.iou])
    history = model.fit(images, masks, batch_size=5, epochs=15, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["dice_coefficient"][-1] > history["dice_coefficient"][0]
    assert 0 < history["iou"][-1] < history["dice_coefficient"][-1]


def test_reported_coefficient_is_the_mean_over_batches():
    truth, prediction = random_pair(6, shape=(5, 4, 4, 1))
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Identity()])
    model.compile(loss=losses.bce, metrics=[losses.dice_coefficient])
    reported = model.evaluate(prediction, truth, batch_size=2, verbose=0, return_dict=True)["dice_coefficient"]
    by_batch = [numbers(losses.dice_coefficient(truth[i : i + 2], prediction[i : i + 2])) for i in (0, 2, 4)]
    assert reported == pytest.approx(np.mean(by_batch), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_everything_here_holds_on_other_backends(backend):
    """Keras fixes its backend when it is imported, so another one needs another process."""
    pytest.importorskip(backend)
    environment = os.environ | {"KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "pytest", "-q", "-k", "not other_backends", __file__]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
