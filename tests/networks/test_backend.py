"""What a record says of the machine that trained: the processor, and the GPU where Keras uses one."""

import sys
from types import SimpleNamespace

import pytest

keras = pytest.importorskip("keras")
from brainseg.networks import backend
from brainseg.provenance import processor

H200 = "NVIDIA H200"


def tensorflow(gpus):
    details = SimpleNamespace(get_device_details=lambda gpu: {"device_name": gpu})
    return SimpleNamespace(config=SimpleNamespace(list_physical_devices=lambda kind: gpus, experimental=details))


def jax(gpus):
    devices = [SimpleNamespace(platform="gpu", device_kind=gpu) for gpu in gpus]
    return SimpleNamespace(devices=lambda: devices or [SimpleNamespace(platform="cpu", device_kind="cpu")])


def torch(gpus):
    return SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: bool(gpus), get_device_name=lambda: gpus[0]))


@pytest.mark.parametrize("stand_in", [tensorflow, jax, torch])
@pytest.mark.parametrize("gpus, said", [([], ""), ([H200, "another"], f", {H200}")])
def test_a_machine_is_its_processor_and_the_gpu_that_keras_uses(monkeypatch, stand_in, gpus, said):
    name = stand_in.__name__
    monkeypatch.setattr(keras.backend, "backend", lambda: name)
    monkeypatch.setitem(sys.modules, name, stand_in(gpus))
    assert backend.machine() == f"{processor()}{said}"


def test_a_backend_without_a_gpu_of_its_own_names_the_processor(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    assert backend.machine() == processor()
