"""Trainings beyond one process: on the workers of a Dask cluster, which may be this machine's or a computing centre's.

A worker trains in a build folder that all share, so that a training whose worker died goes on after its last whole
epoch on another worker, and so that whoever asked finds the runs where it would have put them itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

from brainseg.experiments.plan import Training
from brainseg.paths import build_folder

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
    """Train one network in a worker's process.

    Parameters
    ----------
    training : Training
    root, build : str
        Folders of the cohort and of everything generated, which all workers share.

    Returns
    -------
    str
        The name of the run's folder.
    """
    os.environ["BRAINSEG_BUILD"] = build
    _take_gpu()
    from brainseg.images.prepared import prepare
    from brainseg.networks.runs import train_or_load

    return train_or_load(training.recipe, prepare(root, training.preprocessing), training.split).folder.name


def _take_gpu() -> None:
    """Show this worker one GPU alone, where there are several; before TensorFlow has looked for them."""
    from pathlib import Path

    from distributed import get_worker

    gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    if gpus > 1 and "CUDA_VISIBLE_DEVICES" not in os.environ:
        name = str(get_worker().name)
        os.environ["CUDA_VISIBLE_DEVICES"] = str(int(name) % gpus if name.isdecimal() else 0)


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
