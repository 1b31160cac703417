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

root, out = sys.argv[1:]
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
recipe = Recipe("unet", {"filters": 2, "depth": 1}, epochs=2, slices_per_epoch=11, batch_size=4)
prepared = prepare(root, Preprocessing(image_size=32))
split = make_split(prepared.table, n_folds=3, fold=1)
one = train_or_load(recipe, prepared, split, f"{out}/one").history
devices.gpus = lambda: ["/cpu:0", "/cpu:1"]
training.epoch_batches = interrupted
try:
    train_or_load(recipe, prepared, split, f"{out}/two")
except KeyboardInterrupt:
    training.epoch_batches = epoch_batches
two = train_or_load(recipe, prepared, split, f"{out}/two").history
print("TOLD", json.dumps({"one": one["loss"].tolist(), "two": two["loss"].tolist(), "replicas": replicas}))
"""

TOLERANCE = 0.005
"""How far the losses of six steps may drift apart, as a share: Adam divides by small sums."""


@pytest.mark.slow
def test_two_devices_train_as_one_and_go_on_where_they_were_stopped(tiny_cohort_once, tmp_path):
    paths = os.pathsep.join([str(project_root() / "tests"), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": paths, "BRAINSEG_BUILD": str(tmp_path)}
    call = [sys.executable, "-c", SCRIPT, str(tiny_cohort_once), str(tmp_path)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    told = json.loads(line.removeprefix("TOLD "))
    assert told["replicas"] == [1, 2, 2]  # and the training that was stopped was begun twice
    np.testing.assert_allclose(told["two"], told["one"], rtol=TOLERANCE)
