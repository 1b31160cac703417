"""Trainings on a Dask cluster: a scheduler and two workers of their own on this machine, one of which is killed."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import write_cohort

pytest.importorskip("distributed")
from brainseg.cohort import index_cohort
from brainseg.experiments import engine, leakage
from brainseg.experiments.cluster import get_cluster, train_on_worker

SETTINGS = leakage.Settings(image_size=32, filters=2, epochs=30, slices_per_epoch=16, seeds=2)


@pytest.fixture
def cohort(tmp_path):
    patients = [f"TEST_{'AB'[n % 2]}A_{n:04d}_20000101" for n in range(12)]
    return index_cohort(write_cohort(tmp_path / "kaggle_3m", patients=patients, slices=6))


@pytest.fixture
def start(tmp_path):
    """Start `dask WORDS` as a process of its own; all are ended with the test."""
    started = []

    def begin(*words: str) -> subprocess.Popen:
        # The workers' processes find the package where this one did.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        call = [sys.executable, "-m", "dask", *words]
        with open(tmp_path / f"dask-{len(started)}.log", "w") as log:
            started.append(subprocess.Popen(call, env=environment, stdout=log, stderr=log, start_new_session=True))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_it_answers(port: int) -> None:
    """On a busy machine Dask takes longer to start than `get_cluster` waits for a scheduler that is there."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"no scheduler answers at port {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_a_worker_that_dies_costs_no_result(cohort, start, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "serial"))
    serial, _ = engine.compute(leakage, cohort, SETTINGS)

    shared = tmp_path / "shared"
    monkeypatch.setenv("BRAINSEG_BUILD", str(shared))
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    wait_until_it_answers(port)
    words = ["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path)]
    first, second = start(*words), start(*words)
    killed = []

    def kill_in_the_middle() -> None:
        """Once a network has an epoch behind it and is not done, kill a worker without a word."""
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline:
            states = list(shared.glob("runs/*/*.weights.h5"))
            if states:
                os.killpg(first.pid, signal.SIGKILL)
                killed.append(states[0].parent.name)
                return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    with get_cluster(scheduler=address) as cluster:
        distributed, record = engine.compute(leakage, cohort, SETTINGS, cluster)
    killer.join()
    assert killed and first.poll() is not None and second.poll() is None
    assert serial.keys() == distributed.keys()
    for name, table in serial.items():
        pd.testing.assert_frame_equal(table, distributed[name], check_exact=True)
    assert len(record["runs"]) == 4


@pytest.mark.slow
def test_processes_of_this_machine_do_as_well(cohort, tmp_path, monkeypatch):
    settings = leakage.Settings(image_size=32, filters=2, epochs=1, slices_per_epoch=8, seeds=1)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "local"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    with get_cluster(workers=2) as cluster:
        engine.train_plan(leakage.plan(cohort, settings), cohort, cluster)
    runs = sorted(Path(tmp_path / "local" / "runs").glob("*/run.json"))
    assert len(runs) == 2


@pytest.mark.slow
def test_what_else_a_worker_draws_changes_no_training(cohort, tmp_path):
    """Dask estimates sizes in another thread of the worker, by Python's `random`, which Keras takes its seeds from."""
    training = leakage.plan(cohort, leakage.Settings(image_size=32, filters=2, epochs=1, slices_per_epoch=8))[0]
    root = str(tmp_path / "kaggle_3m")
    done = threading.Event()

    def draw() -> None:
        while not done.is_set():
            random.random()
            time.sleep(0)

    drawing = threading.Thread(target=draw)
    weights = []
    for name in ("alone", "beside others"):
        if name == "beside others":
            drawing.start()
        run = tmp_path / name / "runs" / train_on_worker(training, root, str(tmp_path / name))
        with np.load(run / "best.npz") as kept:
            weights.append({key: kept[key] for key in kept.files})
    done.set()
    drawing.join()
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.slow
def test_the_error_of_a_training_comes_back_as_itself(cohort, tmp_path):
    training = leakage.plan(cohort, leakage.Settings(image_size=32, filters=2))[0]
    nobody = replace(training, split=training.split.replace("validation", "out"))
    with pytest.raises(ValueError, match="no validation slices"):
        train_on_worker(nobody, str(tmp_path / "kaggle_3m"), str(tmp_path))


def test_without_an_address_and_workers_there_is_no_cluster():
    with get_cluster() as cluster:
        assert cluster is None


def test_an_address_where_nobody_answers_is_named(monkeypatch):
    import distributed

    def refuse(address, timeout):
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr(distributed, "Client", refuse)
    refused = pytest.raises(ValueError, match="No Dask scheduler answers at tcp://127.0.0.1:1 .*dask scheduler")
    with refused, get_cluster(scheduler="tcp://127.0.0.1:1"):
        pass
