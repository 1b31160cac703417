"""Trainings beyond one process: on the workers of a Dask cluster, which may be this machine's or a computing centre's.

A worker trains in a build folder that all share, so that a training whose worker died goes on after its last whole
epoch on another worker, and so that whoever asked finds the runs where it would have put them itself.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from brainseg.experiments.plan import Training
from brainseg.paths import build_folder, write_atomically

if TYPE_CHECKING:
    from distributed import Client


class Cluster:
    """The workers of a Dask scheduler.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client):
        self.client = client

    def train(self, trainings: Sequence[Training], root: str, bar: tqdm) -> None:
        """Train networks, one at a time on each worker; the bar moves when one is done.

        Parameters
        ----------
        trainings : sequence of Training
        root : str
            The cohort's folder, which all workers see at this path.

        Raises
        ------
        ValueError
            What a training raises on its worker.
        """
        from distributed import as_completed

        # The larger ones first, so that no worker is left alone with one at the end.
        ordered = sorted(trainings, key=lambda training: -training.steps)
        futures = {
            self.client.submit(train_on_worker, training, root, str(build_folder()), pure=False): training
            for training in ordered
        }
        for future in as_completed(futures):
            future.result()
            bar.update(futures[future].steps)


def train_on_worker(training: Training, root: str, build: str) -> str:
    """Train one network on a worker, in a process of its own.

    Keras draws the seeds of a network's first weights from Python's `random`. So does Dask, in another thread of the
    worker, when it estimates the size of what it sends. In one process, now and then a training would begin with other
    weights than its recipe's seed gives.

    Parameters
    ----------
    training : Training
    root, build : str
        Folders of the cohort and of everything generated, which all workers share.

    Returns
    -------
    str
        The name of the run's folder.

    Raises
    ------
    RuntimeError
        Where the process ended without an answer, as it does when the system kills it.
    """
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, **_one_gpu(), "BRAINSEG_BUILD": build, "PYTHONPATH": paths}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        call = [sys.executable, "-c", f"from {__name__} import _train_alone; _train_alone()", str(answer)]
        done = subprocess.run(call, input=pickle.dumps((training, root)), env=environment)
        if not answer.is_file():
            raise RuntimeError(f"the training {training.labels} ended without an answer (exit code {done.returncode})")
        result = pickle.loads(answer.read_bytes())
    if isinstance(result, Exception):
        raise result
    return result


def _train_alone() -> None:
    """What that process does: read the training, train, and write the run's name or the error."""
    training, root = pickle.load(sys.stdin.buffer)
    from brainseg.images.prepared import prepare
    from brainseg.networks.runs import train_or_load

    try:
        run = train_or_load(training.recipe, prepare(root, training.preprocessing), training.split)
        result: str | Exception = run.folder.name
    except Exception as error:
        result = error
    with write_atomically(Path(sys.argv[1])) as part:
        part.write_bytes(pickle.dumps(result))


def _one_gpu() -> dict[str, str]:
    """The environment that shows a process the GPU of its worker alone, where there are several."""
    from distributed import get_worker

    gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    if gpus < 2 or "CUDA_VISIBLE_DEVICES" in os.environ:
        return {}
    name = str(get_worker().name)
    return {"CUDA_VISIBLE_DEVICES": str(int(name) % gpus if name.isdecimal() else 0)}


@contextmanager
def get_cluster(scheduler: str | None = None, workers: int = 0) -> Iterator[Cluster | None]:
    """A cluster for the time of a block: an existing one, one of this machine's processes, or none.

    Parameters
    ----------
    scheduler : str, optional
        Address of a Dask scheduler, as in ``"tcp://10.0.0.1:8786"``.
    workers : int
        Without an address: how many processes to start here. 0 trains in this process, without Dask.

    Raises
    ------
    ValueError
        Where Dask is not installed, or nobody answers at the address.
    """
    if scheduler is None and not workers:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ValueError("Dask is missing: python -m pip install 'brainseg[cluster]'") from None
    if scheduler is None:
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as local,
            Client(local) as client,
        ):
            yield Cluster(client)
        return
    try:
        client = Client(scheduler, timeout="20s")
    except OSError as error:
        raise ValueError(f"No Dask scheduler answers at {scheduler} ({error}). Start one: dask scheduler") from error
    with client:
        yield Cluster(client)
