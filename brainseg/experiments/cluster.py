"""Trainings beyond one process: on the workers of a Dask cluster, which may be this machine's or a computing centre's.

A worker trains in a build folder that all share, or it brings its run to a storage that all reach. Either way a
training whose worker died goes on after its last whole epoch on another worker, and whoever asked finds the runs where
it would have put them itself.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from brainseg.experiments.plan import Training
from brainseg.experiments.storage import Storage, load_arrays
from brainseg.networks.record import run_folder
from brainseg.paths import build_folder, write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client, Future

SECONDS = 10
"""How often a run that is being trained goes to the storage."""


class Cluster:
    """The workers of a Dask scheduler.

    Parameters
    ----------
    client : distributed.Client
    storage : str, optional
        Where workers that share no folders with this machine find what they train on and leave their runs: an address
        of :class:`brainseg.experiments.storage.Storage`. Without it all workers see the cohort and the build folder at
        the paths that they have here.
    """

    def __init__(self, client: Client, storage: str | None = None):
        self.client, self.storage = client, storage

    def train(self, trainings: Sequence[Training], cohort: pd.DataFrame, bar: tqdm) -> None:
        """Train networks, one at a time on each worker; the bar moves when one is done.

        Parameters
        ----------
        trainings : sequence of Training
            One that starts from the weights of another comes after it.
        cohort : DataFrame
            From :func:`brainseg.cohort.index_cohort`.

        Raises
        ------
        ValueError
            What a training raises on its worker.
        """
        from distributed import as_completed

        futures: dict[str, Future] = {}
        for training in trainings:
            start = futures.get(training.recipe.start)
            futures[training.folder(cohort).name] = self._submit(training, cohort, start)
        steps = {future: training.steps for future, training in zip(futures.values(), trainings, strict=True)}
        for future in as_completed(steps):
            name = future.result()
            if self.storage is not None:
                Storage(self.storage).fetch(f"runs/{name}", build_folder() / "runs" / name)
            bar.update(steps[future])

    def _submit(self, training: Training, cohort: pd.DataFrame, start: Future | None) -> Future:
        root = cohort.attrs["root"]
        # The larger ones first, so that no worker is left alone with one at the end.
        options = {"pure": False, "priority": training.steps}
        if self.storage is None:
            return self.client.submit(train_on_worker, training, root, str(build_folder()), start, **options)
        place, prepared = Storage(self.storage), training.prepare(root)
        place.send_prepared(prepared)
        if training.start is not None and start is None:  # trained before, and here
            place.send(training.start.folder(cohort), f"runs/{training.recipe.start}")
        name = training.folder(cohort).name
        return self.client.submit(train_apart, training, prepared.fingerprint, name, self.storage, start, **options)


def train_on_worker(training: Training, root: str, build: str, start: str | None = None) -> str:
    """Train one network on a worker that sees the same folders, in a process of its own.

    Parameters
    ----------
    training : Training
    root, build : str
        Folders of the cohort and of everything generated, which all workers share.
    start : str, optional
        The run that it starts from, so that Dask waits for it.

    Returns
    -------
    str
        The name of the run's folder.

    Raises
    ------
    RuntimeError
        Where the process ended without an answer, as it does when the system kills it.
    """
    return _in_a_process(training, root, None, {"BRAINSEG_BUILD": build})


def train_apart(training: Training, fingerprint: str, name: str, storage: str, start: str | None = None) -> str:
    """Train one network on a worker that has a build folder of its own, with a storage between it and the others.

    The run goes to the storage whenever it has changed, so that another worker goes on after the last epoch there.

    Parameters
    ----------
    training : Training
    fingerprint, name : str
        Of the prepared arrays, and the name of the run's folder.
    storage : str
        Address of the storage.
    start : str, optional
        As :func:`train_on_worker`.

    Raises
    ------
    ValueError
        Where this worker has other code, and so would train another network.
    RuntimeError
        As :func:`train_on_worker`.
    """
    if run_folder(training.recipe, fingerprint, training.split).name != name:
        raise ValueError("A worker has another version of this package. Install the same one everywhere.")
    build, place = build_folder(), Storage(storage)
    arrays, run = build / "arrays" / fingerprint, build / "runs" / name
    place.fetch(f"prepared/{fingerprint}", arrays)
    place.fetch(f"runs/{name}", run)
    if training.recipe.start:
        place.fetch(f"runs/{training.recipe.start}", build / "runs" / training.recipe.start)

    def save() -> None:
        if run.is_dir():
            place.send(run, f"runs/{name}")

    answer = _in_a_process(training, None, arrays, {"BRAINSEG_BUILD": str(build)}, save)
    save()
    return answer


def _in_a_process(
    training: Training,
    root: str | None,
    arrays: Path | None,
    environment: dict[str, str],
    meanwhile: Callable[[], None] = lambda: None,
) -> str:
    """Train in a process of its own, on a cohort or on arrays that came here; `meanwhile` is called every few seconds.

    Keras draws the seeds of a network's first weights from Python's `random`. So does Dask, in another thread of the
    worker, when it estimates the size of what it sends. In one process, now and then a training would begin with other
    weights than its recipe's seed gives.
    """
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, **_one_gpu(), **environment, "PYTHONPATH": paths}
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder) / "question", Path(folder) / "answer"
        question.write_bytes(pickle.dumps((training, root, arrays)))
        call = [sys.executable, "-c", f"from {__name__} import _train_alone; _train_alone()", question, answer]
        with subprocess.Popen(call, env=environment) as process:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(SECONDS)
                meanwhile()
        if not answer.is_file():
            code = process.returncode
            raise RuntimeError(f"the training {training.labels} ended without an answer (exit code {code})")
        result = pickle.loads(answer.read_bytes())
    if isinstance(result, Exception):
        raise result
    return result


def _train_alone() -> None:
    """What that process does: read the training, train, and write the run's name or the error."""
    training, root, arrays = pickle.loads(Path(sys.argv[1]).read_bytes())
    try:
        prepared = training.prepare(root) if arrays is None else load_arrays(arrays, training.preprocessing)
        from brainseg.networks.runs import train_or_load  # takes seconds to load, and what is refused above needs none

        result: str | Exception = train_or_load(training.recipe, prepared, training.split).folder.name
    except Exception as error:
        result = error
    with write_atomically(Path(sys.argv[2])) as part:
        part.write_bytes(pickle.dumps(result))


def _one_gpu() -> dict[str, str]:
    """The environment that shows a process the GPU of its worker alone, where there are several."""
    from distributed import get_worker

    gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    if gpus < 2 or "CUDA_VISIBLE_DEVICES" in os.environ:
        return {}
    name = str(get_worker().name)
    return {"CUDA_VISIBLE_DEVICES": str(int(name) % gpus if name.isdecimal() else 0)}


@contextlib.contextmanager
def get_cluster(scheduler: str | None = None, workers: int = 0, storage: str | None = None) -> Iterator[Cluster | None]:
    """A cluster for the time of a block: an existing one, one of this machine's processes, or none.

    Parameters
    ----------
    scheduler : str, optional
        Address of a Dask scheduler, as in ``"tcp://10.0.0.1:8786"``.
    workers : int
        Without an address: how many processes to start here. 0 trains in this process, without Dask.
    storage : str, optional
        With an address: as :class:`Cluster`.

    Raises
    ------
    ValueError
        Where Dask is not installed, nobody answers at the address, a storage is named without one, or `workers` is
        below 0.
    """
    if workers < 0:
        raise ValueError(f"workers is {workers}: name how many, or 0 to train in this process")
    if storage is not None and scheduler is None:
        raise ValueError(
            "A storage serves the workers of a scheduler: add --scheduler ADDRESS, or leave --storage out."
        )
    if scheduler is None and not workers:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ValueError("Dask is missing: python -m pip install 'brainseg[cluster]'") from None
    if scheduler is None:
        with (
            # Any free port: the usual one may be taken by another cluster of this machine.
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0") as local,
            Client(local) as client,
        ):
            yield Cluster(client)
        return
    try:
        client = Client(scheduler, timeout="20s")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"No Dask scheduler answers at {scheduler} ({error}). Start one, which says its address, such as "
            "tcp://10.0.0.1:8786: dask scheduler"
        ) from error
    with client:
        yield Cluster(client, storage)
