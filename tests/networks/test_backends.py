"""The same networks and trainings on Keras's three backends. JAX and PyTorch are extras: without them, skipped."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

SCRIPT = """
import json, sys
import numpy as np
import keras
from brainseg.chapters import study_recipe
from brainseg.networks import losses
from brainseg.networks.models import build_model
from brainseg.networks.weights import load_weights, save_weights

folder, first = sys.argv[1], sys.argv[2] == "first"
rng = np.random.default_rng(0)
images = rng.random((4, 64, 64, 3), dtype="float32")
masks = (rng.random((4, 64, 64, 1)) > 0.9).astype("float32")
told = {"backend": keras.backend.backend()}
for name in ("fcn32", "unet", "resunet"):
    model = build_model(name, 64, **study_recipe(name, filters=16).options)
    path = f"{folder}/{name}.npz"
    if first:
        keras.utils.set_random_seed(0)
        model = build_model(name, 64, **study_recipe(name, filters=16).options)
        model.compile(keras.optimizers.Adam(1e-3), loss=losses.bce_dice)
        for _ in range(5):  # so that the normalisation has statistics of its own
            model.train_on_batch(images, masks)
        save_weights(model, path)
    load_weights(model, path)
    np.save(f"{folder}/{name}-{told['backend']}.npy", model.predict_on_batch(images))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # its draws differ between backends
    model.compile(keras.optimizers.Adam(1e-3), loss=losses.bce_dice)
    told[name] = [float(model.train_on_batch(images, masks)) for _ in range(8)]
print("TOLD", json.dumps(told))
"""

FORWARD = 1e-4
"""How far two backends' probabilities may lie apart: float32 sums in another order."""

TRAINING = 0.01
"""How far their losses may have drifted after eight steps, as a share: Adam divides by small numbers."""


def run(backend: str, folder, first: bool) -> dict:
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    call = [sys.executable, "-c", SCRIPT, str(folder), "first" if first else "later"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    return json.loads(line.removeprefix("TOLD "))


@pytest.mark.slow
def test_backends_agree_on_what_a_network_says_and_how_it_learns(tmp_path):
    others = [backend for backend in ("jax", "torch") if find_spec(backend)]
    if not others:
        pytest.skip("neither jax nor torch is installed")
    tensorflow = run("tensorflow", tmp_path, first=True)
    for backend in others:
        other = run(backend, tmp_path, first=False)
        assert other["backend"] == backend
        for name in ("fcn32", "unet", "resunet"):
            said = [np.load(tmp_path / f"{name}-{which}.npy") for which in ("tensorflow", backend)]
            assert np.ptp(said[0]) > 0.001  # not one value everywhere
            np.testing.assert_allclose(said[1], said[0], atol=FORWARD, err_msg=f"{name} on {backend}")
            np.testing.assert_allclose(other[name], tensorflow[name], rtol=TRAINING, err_msg=f"{name} on {backend}")
            assert tensorflow[name][-1] < tensorflow[name][0]
