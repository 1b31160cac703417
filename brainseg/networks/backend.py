"""The backend's threads and precision, set in one place and never by an import or by loading a network; its machine."""

from __future__ import annotations

import contextlib
import os
from importlib import import_module
from pathlib import Path

import keras

from brainseg.provenance import processor


def configure_backend() -> None:
    """Let TensorFlow use all cores for a layer, two layers at a time, and bfloat16 where the hardware has it.

    Two, because on the way back a layer's gradients for its input and for its weights wait for nothing but the layer
    above; a third gained nothing. On processors with AVX512-BF16 or AMX, convolutions multiply in bfloat16; weights,
    sums and the loss stay in float32.
    Elsewhere bfloat16 would be emulated and slow, so it stays off. What both are worth, together with
    `brainseg.networks.layers.Normalisation`, is measured in ``results/speed/settings.csv``. GPUs from NVIDIA's Ampere
    generation on get Keras's mixed bfloat16.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it warns of every network after the fifth that is traced
    # Once the first operation has run, the threads can no longer be changed.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_inter_op_parallelism_threads(2)
        tf.config.threading.set_intra_op_parallelism_threads(os.cpu_count() or 1)
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        with contextlib.suppress(RuntimeError):  # as above
            for gpu in gpus:
                # By default the first process takes all of a GPU's memory, and the chapter beside it finds none.
                tf.config.experimental.set_memory_growth(gpu, True)
        details = tf.config.experimental.get_device_details(gpus[0])
        if details.get("compute_capability", (0, 0)) >= (8, 0):
            keras.config.set_dtype_policy("mixed_bfloat16")
    elif {"avx512_bf16", "amx_bf16"} & _processor_flags():
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})


def machine() -> str:
    """What Keras computes on: the processor and its cores, and the GPU where it uses one."""
    return ", ".join(name for name in (processor(), _accelerator()) if name)


def _accelerator() -> str | None:
    """The first GPU or TPU of the backend by its maker's name, as in "NVIDIA H200"; None on the processor alone."""
    backend = keras.backend.backend()
    library = import_module(backend)  # which Keras has loaded, whichever it is
    if backend == "tensorflow":
        gpus = library.config.list_physical_devices("GPU")
        return library.config.experimental.get_device_details(gpus[0]).get("device_name", "a GPU") if gpus else None
    if backend == "jax":
        device = library.devices()[0]
        return None if device.platform == "cpu" else device.device_kind
    if backend == "torch":
        return library.cuda.get_device_name() if library.cuda.is_available() else None
    return None


def _processor_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux: no flags known
        return set()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return set(line.partition(":")[2].split())
