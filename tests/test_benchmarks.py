"""The benchmark runs, and knows an operation by its name. How fast anything is, no test asks."""

import contextlib
import io
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def benchmarks(monkeypatch):
    """The package beside the checkout's own, as ``python -m benchmarks`` finds it."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def kept(phantom, build_of_all, monkeypatch):
    """A build folder that has the phantom, and nothing kept by a benchmark that only tries itself."""
    monkeypatch.setenv("BRAINSEG_BUILD", str(build_of_all))
    before = {path: path.read_bytes() for path in (ROOT / "results").glob("speed/*")}
    yield
    assert {path: path.read_bytes() for path in (ROOT / "results").glob("speed/*")} == before


@pytest.mark.slow
def test_the_benchmark_measures_in_processes_of_their_own(kept):
    call = [sys.executable, "-m", "benchmarks", "--quick", "--parts", "notebooks"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "\nnotebooks\n" in f"\n{done.stdout}"


@pytest.mark.slow
@pytest.mark.rest
@pytest.mark.filterwarnings("default")  # as in a process of its own
def test_every_part_of_the_benchmark_runs(benchmarks, kept, monkeypatch, capsys):
    """On four phantom patients and networks of no use. What needs PyTorch is left out where it is missing.

    The measures are called in this process, because each of its own would load TensorFlow anew.
    """
    pytest.importorskip("tensorflow")
    from benchmarks import __main__ as command
    from benchmarks import worker

    def in_this_process(call, env, **_):
        with monkeypatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
            patch.setenv("BRAINSEG_BUILD", env["BRAINSEG_BUILD"])
            patch.setattr(sys, "argv", call[2:])
            worker.main()
        return subprocess.CompletedProcess(call, 0, said.getvalue(), "")

    parts = ("networks", "operations", "files", "pipeline", "growth")
    monkeypatch.setattr(command, "subprocess", SimpleNamespace(run=in_this_process))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", "--parts", *parts])
    command.main()
    said = capsys.readouterr().out
    for part in parts:
        assert f"\n{part}\n" in f"\n{said}", part
    assert "convolution" in said and "scoring with all metrics" in said


@pytest.mark.slow
@pytest.mark.rest
def test_the_benchmark_of_a_gpu_runs_on_any_machine():
    """Every row is measured, the last two by two processes at once; nothing is kept."""
    pytest.importorskip("keras")
    before = {path: path.read_bytes() for path in (ROOT / "results").glob("speed/*")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--quick"], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [line.split() for line in done.stdout.splitlines() if " unet " in line or " fcn32 " in line]
    steps, slices = ([float(row[place]) for row in rows] for place in (-3, -2))
    assert len(rows) == 3 and min(steps) > 0 and slices == pytest.approx([16 * each for each in steps], rel=1e-3)
    assert [row[-6] for row in rows] == ["1", "2", "2"]
    assert {path: path.read_bytes() for path in (ROOT / "results").glob("speed/*")} == before


def test_an_unknown_part_is_refused():
    call = [sys.executable, "-m", "benchmarks", "--parts", "moon"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 2 and "no part moon: choose from networks, " in done.stderr


@pytest.mark.parametrize(
    "event, kind",
    [
        ("gradient_tape/unet/conv2d_1/convolution/Conv2DBackpropFilter:_MklNativeConv2DBackpropFilter", "convolution"),
        ("unet/normalisation/FusedBatchNormV3:_MklNativeFusedBatchNormEx", "normalisation"),
        ("resunet/up/resize/ResizeNearestNeighbor:ResizeNearestNeighbor", "enlargement"),
        ("compile_loss/Sum:Sum", "everything else"),
        ("ExecutorState::Process", None),
        ("one_step_on_data", None),
    ],
)
def test_an_operation_is_known_by_its_name(benchmarks, event, kind):
    pytest.importorskip("tensorflow")
    from benchmarks.networks import kind_of

    assert kind_of(event) == kind


LOOP = """
import sys
import numpy as np
import torch
from benchmarks.loops import UNet, bce_dice

given = np.load(sys.argv[1])
print("TOLD", sum(weight.numel() for weight in UNet().parameters()))
print("TOLD", float(bce_dice(torch.from_numpy(given["logits"]), torch.from_numpy(given["masks"]))))
"""


def test_the_plain_loop_trains_the_network_of_the_study(tmp_path):
    """It learns as many weights and minimises the same loss; in a process of its own, as in the benchmark."""
    for package in ("torch", "segmentation_models_pytorch"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: make bench does it")
    from brainseg.networks.losses import bce_dice
    from brainseg.networks.models import unet

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 8, 8, 1)).astype(np.float32)
    masks = (rng.random((3, 8, 8, 1)) > 0.7).astype(np.float32)
    np.savez(tmp_path / "given.npz", logits=logits, masks=masks)
    call = [sys.executable, "-c", LOOP, str(tmp_path / "given.npz")]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    weights, loss = (line.split()[1] for line in done.stdout.splitlines() if line.startswith("TOLD"))
    assert int(weights) == sum(int(np.prod(weight.shape)) for weight in unet(32).trainable_variables)
    assert float(loss) == pytest.approx(float(np.mean(bce_dice(masks, 1 / (1 + np.exp(-logits))))), abs=1e-4)
