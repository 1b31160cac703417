"""One network on several devices, here two parts of this processor: the same results as on one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from brainseg.paths import project_root

pytest.importorskip("tensorflow")

SCRIPT = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from helpers import write_cohort
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks import devices, training
from brainseg.networks.batches import epoch_batches
from brainseg.networks.recipe import Recipe
from brainseg.networks.runs import train_or_load
from brainseg.splits import make_split

number, root, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if number > 1:
    devices.gpus = lambda: ["/cpu:0", "/cpu:1"]
replicas = []

def interrupted(prepared, rows, recipe, epoch):
    for index, batch in enumerate(epoch_batches(prepared, rows, recipe, epoch)):
        if (epoch, index) == (1, 1):
            raise KeyboardInterrupt
        yield batch

def counted(model):
    replicas.append(model.distribute_strategy.num_replicas_in_sync)
    return devices.training_step(model)

training.training_step = counted
# Eleven slices in batches of four: the last batch is of three, which two devices cannot share evenly.
recipe = Recipe("unet", {"filters": 4, "depth": 2}, epochs=2, slices_per_epoch=11, batch_size=4)
prepared = prepare(root, Preprocessing(image_size=32))
split = make_split(prepared.table, n_folds=3, fold=1)
if number > 1:
    training.epoch_batches = interrupted
    try:
        train_or_load(recipe, prepared, split, out)
    except KeyboardInterrupt:
        training.epoch_batches = epoch_batches
history = train_or_load(recipe, prepared, split, out).history
print("TOLD", json.dumps({"loss": history["loss"].tolist(), "replicas": replicas}))
"""

TOLERANCE = 0.005
"""How far the losses of six steps may drift apart, as a share: Adam divides by small sums."""


@pytest.mark.slow
def test_two_devices_train_as_one_and_go_on_where_they_were_stopped(tiny_cohort_once, tmp_path):
    paths = os.pathsep.join([str(project_root() / "tests"), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": paths, "BRAINSEG_BUILD": str(tmp_path)}
    told = {}
    for number in (1, 2):
        call = [sys.executable, "-c", SCRIPT, str(number), str(tiny_cohort_once), str(tmp_path / str(number))]
        done = subprocess.run(call, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
        told[number] = json.loads(line.removeprefix("TOLD "))
    assert told[1]["replicas"] == [1] and told[2]["replicas"] == [2, 2]
    np.testing.assert_allclose(told[2]["loss"], told[1]["loss"], rtol=TOLERANCE)
