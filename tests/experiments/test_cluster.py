"""Trainings on a Dask cluster: a scheduler and two workers of their own on this machine, one of which is killed."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from helpers import plan_of, write_cohort

pytest.importorskip("distributed")
pytest.importorskip("keras")
from brainseg.cohort import CohortError, index_cohort
from brainseg.experiments import cluster, engine, leakage, storage
from brainseg.experiments.cluster import get_cluster, train_on_worker
from brainseg.images.prepared import prepare
from brainseg.networks.record import RunRecord
from brainseg.networks.runs import train_or_load
from brainseg.paths import locked


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    patients = [f"TEST_{'AB'[n % 2]}A_{n:04d}_20000101" for n in range(12)]
    return index_cohort(write_cohort(tmp_path_factory.mktemp("cohort") / "kaggle_3m", patients=patients, slices=6))


@pytest.fixture
def start(tmp_path):
    """Start `dask WORDS` as a process of its own; all are ended with the test."""
    started = []

    def begin(*words: str, build: Path | None = None) -> subprocess.Popen:
        # The workers' processes find the package where this one did.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        if build is not None:
            environment["BRAINSEG_BUILD"] = str(build)
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
def test_a_worker_that_dies_costs_no_result(shallow, cohort, start, tmp_path, monkeypatch):
    settings = leakage.Settings(
        image_size=32,
        filters=2,
        epochs=15,
        slices_per_epoch=16,
        after_phantom=False,
        doses=(0, 80),
        folds=(0,),
        seeds=1,
    )
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "serial"))
    serial, _ = engine.compute(leakage, cohort, settings)

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
    with get_cluster(scheduler=address) as beyond:
        distributed, record = engine.compute(leakage, cohort, settings, beyond)
    killer.join()
    assert killed and first.poll() is not None and second.poll() is None
    assert serial.keys() == distributed.keys()
    for name, table in serial.items():
        pd.testing.assert_frame_equal(table, distributed[name], check_exact=True)
    assert len(record["runs"]) == 2


@pytest.mark.slow
@pytest.mark.rest
def test_processes_of_this_machine_do_as_well(cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "local"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    first, second = plan_of(cohort, epochs=1)
    after = second.starting_from(first, cohort)
    with get_cluster(workers=2) as beyond:
        engine.train_plan([after], cohort, beyond)
    runs = sorted(Path(tmp_path / "local" / "runs").glob("*/run.json"))
    assert len(runs) == 2 and after.is_done(cohort)


@pytest.mark.slow
def test_a_worker_with_folders_of_its_own_takes_and_brings_everything_by_the_storage(
    cohort, start, tmp_path, monkeypatch
):
    (training,) = plan_of(cohort, (0,), epochs=1)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    wait_until_it_answers(port)
    words = ["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path)]
    start(*words, build=tmp_path / "there")
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "here"))
    with get_cluster(scheduler=address, storage=f"file://{tmp_path}/storage") as beyond:
        engine.train_plan([training], cohort, beyond)
    assert training.is_done(cohort)
    for place in ("here", "there", "storage"):
        runs = tmp_path / place / "runs"
        assert [path.parent for path in runs.glob("*/run.json")] == [runs / training.folder(cohort).name]
        assert not list(runs.glob("*/*.weights.h5"))
    assert not list((tmp_path / "there").rglob("prepared")) and not list((tmp_path / "storage").rglob("*.tif"))


@pytest.mark.slow
@pytest.mark.rest
def test_another_worker_goes_on_after_the_last_epoch_in_the_storage(cohort, tmp_path, monkeypatch):
    (training,) = plan_of(cohort, (0,), epochs=20)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "here"))
    prepared = prepare(cohort.attrs["root"], training.preprocessing)
    whole = train_or_load(training.recipe, prepared, training.split)
    address = str(tmp_path / "storage")
    storage.Storage(address).send_prepared(prepared)
    given = (training, prepared.fingerprint, whole.folder.name, address)

    monkeypatch.setattr(cluster, "SECONDS", 0.05)
    send = storage.Storage.send

    def send_and_die(place, folder, name):
        send(place, folder, name)
        if any(each.endswith(".weights.h5") and each > "0002" for each in place.names(name)):  # with an epoch's history
            raise ConnectionError("the worker died")

    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "first"))
    with monkeypatch.context() as patch:
        patch.setattr(storage.Storage, "send", send_and_die)
        with pytest.raises(ConnectionError):
            cluster.train_apart(*given)
    left = tmp_path / "storage" / "runs" / whole.folder.name
    assert not (left / "run.json").exists()
    before = pd.read_csv(left / "history.csv")

    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "second"))
    assert cluster.train_apart(*given) == whole.folder.name
    record = RunRecord.read(left)
    assert 0 < len(before) < len(record.history) == 20
    assert record.history["seconds"][0] == before["seconds"][0]  # the first epoch was not trained again
    assert record.digest() == whole.record.digest()
    assert not list(left.glob("*.weights.h5"))


def test_a_worker_with_other_code_is_refused(cohort, tmp_path):
    (training,) = plan_of(cohort, (0,))
    with pytest.raises(ValueError, match="another version of this package"):
        cluster.train_apart(training, "arrays", "unet-0123456789ab", str(tmp_path))


def test_a_storage_holds_files_that_are_whole_and_forgets_those_that_are_gone(tmp_path):
    place = storage.Storage("memory://study")
    here = tmp_path / "run"
    here.mkdir()
    for name in ("history.csv", "0001.weights.h5", ".part-best.npz"):
        (here / name).write_text(name)
    place.send(here, "runs/a")
    assert place.names("runs/a").keys() == {"history.csv", "0001.weights.h5"}
    (here / "0001.weights.h5").unlink()
    (here / "history.csv").write_text("longer than before")
    place.files.pipe_file(f"{place.root}/runs/a/run.json.part", b"half")
    place.send(here, "runs/a")
    place.fetch("runs/a", tmp_path / "there")
    assert {path.name: path.read_text() for path in (tmp_path / "there").iterdir()} == {
        "history.csv": "longer than before"
    }
    place.fetch("runs/nothing", tmp_path / "there")
    assert (tmp_path / "there").is_dir()


def epoch(folder, number):
    """What a training without validation leaves after an epoch, in its order."""
    (folder / f"{number:04d}.weights.h5").write_text("a state")
    (folder / f"best-{number:04d}.npz").write_text("weights")
    (folder / "history.csv").write_text("epoch\n" + "".join(f"{row}\n" for row in range(1, number + 1)))
    (folder / f"best-{number - 1:04d}.npz").unlink(missing_ok=True)


@pytest.mark.parametrize("stopped", range(5))
def test_a_storage_never_holds_a_history_without_the_weights_that_it_speaks_of(tmp_path, monkeypatch, stopped):
    """An epoch ends while the files of the one before are sent, and the worker dies after some of them."""
    place, here = storage.Storage(str(tmp_path / "storage")), tmp_path / "run"
    there = tmp_path / "storage" / "runs" / "a"
    here.mkdir()
    epoch(here, 1)
    place.send(here, "runs/a")
    epoch(here, 2)
    put, sent = storage.Storage._put, []

    def put_while_an_epoch_ends(self, path, target):
        if len(sent) == stopped:
            raise ConnectionError("the worker died")
        if not sent:
            epoch(here, 3)
        put(self, path, target)
        sent.append(path.name)

    monkeypatch.setattr(storage.Storage, "_put", put_while_an_epoch_ends)
    with contextlib.suppress(ConnectionError):
        place.send(here, "runs/a")
    last = (there / "history.csv").read_text().split()[-1]
    assert (there / f"best-000{last}.npz").is_file() and (there / f"000{last}.weights.h5").is_file()


def test_the_record_comes_last_and_the_history_before_it(tmp_path, monkeypatch):
    place, here, sent = storage.Storage(str(tmp_path / "storage")), tmp_path / "run", []
    here.mkdir()
    for name in ("run.json", "history.csv", "best.npz", "zzz"):
        (here / name).write_text(name)
    monkeypatch.setattr(storage.Storage, "_put", lambda self, path, target: sent.append(path.name))
    place.send(here, "runs/a")
    assert sorted(sent[:2]) == ["best.npz", "zzz"] and sent[2:] == ["history.csv", "run.json"]


@pytest.mark.parametrize("whole", ["run.json", "table.csv"])
def test_what_is_whole_here_is_not_fetched_again(tmp_path, whole):
    place = storage.Storage(str(tmp_path / "storage"))
    there, here = tmp_path / "sent", tmp_path / "here"
    there.mkdir()
    (there / whole).write_text("from the storage")
    place.send(there, "runs/a")
    place.fetch("runs/a", here)
    assert (here / whole).read_text() == "from the storage"
    (here / "beside").write_text("somebody reads it")
    place.fetch("runs/a", here)
    assert {path.name for path in here.iterdir()} == {whole, "beside"}


def test_what_is_being_made_here_is_waited_for(tmp_path):
    place = storage.Storage(str(tmp_path / "storage"))
    there, here = tmp_path / "sent", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
    (there / "history.csv").write_text("of an earlier epoch")
    place.send(there, "runs/a")
    fetching = threading.Thread(target=place.fetch, args=("runs/a", here))
    with locked(here):  # as a training holds it
        fetching.start()
        fetching.join(0.5)
        assert fetching.is_alive()
        (here / "run.json").write_text("trained here")
    fetching.join()
    assert [path.name for path in here.iterdir()] == ["run.json"]


def test_a_storage_that_cannot_be_used_is_named():
    with pytest.raises(ValueError, match=r"The storage nothing://here cannot be used: .*nothing"):
        storage.Storage("nothing://here")
    with pytest.raises(ValueError, match="workers is -1"), get_cluster(workers=-1):
        pass
    with pytest.raises(ValueError, match="add --scheduler"), get_cluster(workers=2, storage="here"):
        pass


@pytest.mark.slow
def test_what_else_a_worker_draws_changes_no_training(cohort, tmp_path):
    """Dask estimates sizes in another thread of the worker, by Python's `random`, which Keras takes its seeds from."""
    (training,) = plan_of(cohort, (0,), epochs=1)
    root = cohort.attrs["root"]
    alone = train_or_load(training.recipe, prepare(root, training.preprocessing), training.split, tmp_path / "alone")
    done = threading.Event()

    def draw() -> None:
        while not done.wait(0.001):  # many times while a network is built, and the processor stays free for that
            random.random()

    drawing = threading.Thread(target=draw)
    drawing.start()
    name = train_on_worker(training, root, str(tmp_path / "beside"))
    done.set()
    drawing.join()
    assert name == alone.folder.name
    assert RunRecord.read(tmp_path / "beside" / "runs" / name).digest() == alone.record.digest()


@pytest.mark.slow
def test_the_error_of_a_training_comes_back_as_itself(cohort, tmp_path):
    (training,) = plan_of(cohort, (0,))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="empty"):
        train_on_worker(training, str(tmp_path / "empty"), str(tmp_path))


def test_without_an_address_and_workers_there_is_no_cluster():
    with get_cluster() as beyond:
        assert beyond is None


def test_an_address_where_nobody_answers_is_named(monkeypatch):
    import distributed

    def refuse(address, timeout):
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr(distributed, "Client", refuse)
    refused = pytest.raises(ValueError, match="No Dask scheduler answers at tcp://127.0.0.1:1 .*dask scheduler")
    with refused, get_cluster(scheduler="tcp://127.0.0.1:1"):
        pass


def test_an_address_that_is_none_is_named():
    refused = pytest.raises(ValueError, match=r"at here \(missing port number.* such as tcp://10.0.0.1:8786")
    with refused, get_cluster(scheduler="here"):
        pass
