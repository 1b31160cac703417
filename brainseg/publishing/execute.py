"""Executing the notebooks into an edition: every page with its provenance, and only what changed.

An edition is a folder ``_build/executed/NAME`` with one executed notebook per page and a JSON file
beside it that says where it comes from. The same record stands in the notebook's metadata, and that
one decides whether the page is up to date.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import itertools
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill
import psutil
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

import brainseg
from brainseg.chapters import require_reference, study_run, study_runs
from brainseg.cohort import index_cohort, is_synthetic
from brainseg.data import get_cohort
from brainseg.networks.recipe import MODELS
from brainseg.paths import BusyError, build_folder, locked, write_atomically
from brainseg.provenance import processor
from brainseg.publishing.notebooks import (
    KERNEL,
    StudyError,
    choose_parameters,
    find_notebooks,
    parameters_of,
    read_profile,
    read_source,
)

PACKAGE = Path(brainseg.__file__).parent
STUDY_RUN = inspect.signature(study_run).parameters.keys() - {"model"}
"""The parameters by which a notebook asks for networks of `brainseg.chapters.study_run`."""
TRAINED = {"data", "image_size", "fold", "filters", "epochs", "slices_per_epoch"}
"""The parameters of a notebook that trains, be it by an experiment."""
LEAK = "10_leakage"
"""The chapter for which a cohort needs several slices of a patient."""
AT_A_TIME = 2
"""Chapters that run side by side. One that trains leaves a processor core idle now and then, and a figure takes one."""
LIBRARIES = (
    "numpy", "scipy", "pandas", "scikit-learn", "opencv-python-headless", "tifffile", "nibabel", "nilearn", "keras",
    "tensorflow", "matplotlib", "seaborn",
)  # fmt: skip


@dataclass(frozen=True)
class Cohort:
    """What a page was executed on: the folder, its content's hash, and its size."""

    root: str
    fingerprint: str
    patient_table: str  # hash of data.csv, which the fingerprint of the pixels leaves out
    patients: int
    slices: int
    tumour_slices: int
    synthetic: bool
    tcga: bool  # every patient is one of The Cancer Genome Atlas


@dataclass(frozen=True)
class Edition:
    """Executed notebooks by name, in reading order, and the folder that holds them."""

    folder: Path
    pages: dict[str, Path]

    def record(self, name: str) -> dict:
        """The provenance of one page."""
        return nbformat.read(self.pages[name], as_version=4).metadata["brainseg"]


def execute_edition(
    root: Path, profile: str, overrides: dict | None = None, only: str | None = None, train: bool = False
) -> Edition:
    """Execute every notebook whose source, package, cohort, parameters or libraries changed.

    Parameters
    ----------
    root : Path
        The folder that holds ``notebooks``.
    profile : str
        Name of a file in ``notebooks/profiles``.
    overrides : dict, optional
        Parameters that go before the profile's. ``data`` may be a relative folder.
    only : str, optional
        One notebook, by its name or its number.
    train : bool
        Let a profile that promises to train nothing (``trains: nothing``) train networks that are no reference runs.

    Raises
    ------
    StudyError
        On unknown names, before anything runs; on the first notebook that fails.
    """
    folder = root / "notebooks"
    overrides = dict(overrides or {})
    data = str(overrides.get("data", "phantom"))
    if data not in ("phantom", "kaggle") and Path(data).is_dir():
        overrides["data"] = str(Path(data).resolve())  # the notebooks run in another working folder
    sources = find_notebooks(folder)
    notebooks = {name: read_source(path) for name, path in sources.items()}
    declared = {name: parameters_of(notebook, name) for name, notebook in notebooks.items()}
    values = read_profile(folder, profile)
    parameters = choose_parameters(declared, values, overrides)
    if only is not None:
        name = _one_of(sources, only)
        if "data" in overrides and "data" not in declared[name]:
            raise StudyError(f"{name} looks at no cohort: leave --data, or DATA, out.")
        choose_parameters({name: declared[name]}, {}, overrides)  # for its refusal of names that others declare
        notebooks = {name: notebooks[name]}

    _require_feasible({name: parameters[name] for name in notebooks})
    if values.get("trains") == "nothing" and not train:
        _require_reference({name: parameters[name] for name in notebooks})
    cohorts = {data: _cohort(data) for data in sorted({parameters[name].get("data") for name in notebooks} - {None})}
    edition = Edition(_edition_folder(profile, parameters), {})
    base = {"package": _package_hash(), "results": _results_hash(root), "versions": versions()}
    records = {}
    for name in notebooks:
        edition.pages[name] = edition.folder / f"{name}.ipynb"
        asks = parameters[name].keys() >= STUDY_RUN
        record = {
            "notebook": name,
            "profile": profile,
            "parameters": {key: _portable(value) for key, value in parameters[name].items()},
            "source": _hash(sources[name].read_bytes()),
            "cohort": _public(cohorts.get(parameters[name].get("data"))),
            "runs": study_runs(parameters[name]) if asks else {},
            **base,
        }
        records[name] = record | {"key": _hash(json.dumps(record, sort_keys=True).encode())}

    edition.folder.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()

    def execute(name: str) -> None:
        given = {key: value for key, value in parameters[name].items() if value != declared[name][key]}
        _execute(notebooks[name], edition.pages[name], given, records[name], stop)

    with alone(edition.folder, "executes these chapters"):
        stale = [name for name, record in records.items() if not _is_fresh(edition.pages[name], record["key"])]
        _side_by_side(execute, {name: _networks(notebooks[name]) for name in stale}, stop)
    return edition


@contextlib.contextmanager
def alone(path: Path, doing: str) -> Iterator[None]:
    """Hold a file or folder as :func:`brainseg.paths.locked`, and say so where another call has to be waited for."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(path, wait=False))
        except BusyError:
            print(f"Another call {doing}. This one goes on when that is done.", file=sys.stderr)
            stack.enter_context(locked(path))
        yield


def _networks(notebook) -> set[str]:
    """The networks that a chapter asks `brainseg.chapters.study_run` for; all where it names none of them."""
    named = re.findall(r"\bstudy_run\(\s*(\S)(\w*)", "\n".join(cell.source for cell in notebook.cells))
    return {network for quote, word in named for network in ({word} if quote == '"' else MODELS)}


def _side_by_side(execute: Callable[[str], None], networks: Mapping[str, set[str]], stop: threading.Event) -> None:
    """Execute chapters in their order, `AT_A_TIME` at once, under one bar.

    A chapter that asks for a network waits for earlier ones that do. Otherwise two would wait for one training, in the
    place of a third that could work.

    Parameters
    ----------
    execute : callable
        Executes the chapter of a name.
    networks : mapping
        Chapter -> the networks that it asks for, in reading order.
    stop : Event
        Set on an interruption, when nothing more is wanted of those that run.

    Raises
    ------
    StudyError
        That of the first chapter that fails. The one that runs beside it is executed to its end and kept.
    """
    left, running = list(networks), {}
    bar = tqdm(total=len(left), desc="notebooks", unit="notebook", mininterval=0.5 if sys.stderr.isatty() else 30)
    with bar, ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            while left or running:
                while len(running) < AT_A_TIME and (name := _first_ready(left, [*running.values()], networks)):
                    left.remove(name)
                    running[pool.submit(execute, name)] = name
                bar.set_description(", ".join(running.values()), refresh=sys.stderr.isatty())  # moves its clock, too
                done, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                bar.update(len(done))
                for future in done:
                    del running[future]
                    future.result()
        except KeyboardInterrupt:
            stop.set()
            raise


def _first_ready(left: Sequence[str], running: Sequence[str], networks: Mapping[str, set[str]]) -> str | None:
    """The first of the chapters left that asks for no network of one that runs or comes before it."""
    for place, name in enumerate(left):
        if all(networks[name].isdisjoint(networks[other]) for other in [*running, *left[:place]]):
            return name
    return None


def _execute(notebook, page: Path, given: dict, record: dict, stop: threading.Event) -> None:
    """Run one notebook; write it whole with its provenance, or write the failed one beside and raise."""
    failed = page.with_suffix(".failed.ipynb")
    for old in (page, page.with_suffix(".json"), failed):
        old.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="brainseg-", ignore_cleanup_errors=True) as neutral:
        raw = Path(neutral) / page.name
        started = time.perf_counter()
        try:
            # A thread's event loop is closed by whoever opened it.
            with contextlib.closing(ensure_event_loop()), _Watch(stop) as watch:
                papermill.execute_notebook(
                    notebook,
                    raw,
                    parameters=given,
                    kernel_name=KERNEL["name"],
                    kernel_manager_class=type("Watched", (ThisInterpreter,), {"watch": watch, "place": neutral}),
                    # Its own `cwd` would move this whole process there, and other chapters with it.
                    resources={"metadata": {"path": neutral}},
                    progress_bar=False,
                )
        except (PapermillExecutionError, DeadKernelError) as error:
            if stop.is_set():  # it did not fail
                raise
            with write_atomically(failed) as part:
                part.write_bytes(raw.read_bytes())
            if isinstance(error, DeadKernelError):
                reason = "its kernel died, perhaps for want of memory."
            else:
                reason = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
            raise StudyError(f"{page.stem} failed: {reason}\nThe notebook with the traceback: {failed}") from None
        record = {
            **record,
            "seconds": round(time.perf_counter() - started, 1),
            "peak_memory_mb": round(watch.peak / 2**20),
            "processor": processor(),
            "executed": time.strftime("%Y-%m-%d", time.gmtime()),
        }
        executed = nbformat.read(raw, as_version=4)
    executed.metadata["brainseg"] = record
    with write_atomically(page) as part:
        nbformat.write(executed, part)
    with write_atomically(page.with_suffix(".json")) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


class ThisInterpreter(AsyncKernelManager):
    """The kernel ``python3`` as this very interpreter, whatever kernels the user has installed.

    tqdm's bars are off, because every state of a bar would become a line of the page.
    """

    transport_encryption = "auto"
    watch: _Watch
    place: str  # a folder for nothing but this kernel

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel of the running interpreter, with the environment of a page."""
        paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
        environment = {
            # A page is that of the study, whatever the user starts every interpreter of theirs with.
            "IPYTHONDIR": os.path.join(self.place, "ipython"),
            **dict.fromkeys(("PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTHONWARNINGS"), ""),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "BRAINSEG_BUILD": str(build_folder()),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "TQDM_DISABLE": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        return KernelSpec(env=environment, **get_kernel_dict())

    async def start_kernel(self, **options) -> None:
        """Start it, with what it writes on stderr kept out of the terminal."""
        # What a cell writes on stderr reaches the notebook all the same; the terminal belongs to the bar.
        await super().start_kernel(stderr=subprocess.DEVNULL, **options)
        self.watch.kernel = psutil.Process(self.provisioner.pid)


class _Watch(threading.Thread):
    """Follows the memory of a kernel and its workers, and ends it where it is to stop."""

    def __init__(self, stop: threading.Event):
        super().__init__(daemon=True)
        self.peak, self.kernel, self._stop_kernel, self._over = 0, None, stop, threading.Event()

    def run(self) -> None:
        """Look twice a second until told to stop; at first more often, because some notebooks are done in less."""
        for pause in itertools.chain([0.1] * 10, itertools.repeat(0.5)):
            if self._over.wait(pause):
                return
            with contextlib.suppress(psutil.Error):  # it ended meanwhile
                if self.kernel is None:
                    continue
                if self._stop_kernel.is_set():  # first, because a look at the memory may fail
                    self.kernel.kill()
                family = [self.kernel, *self.kernel.children(recursive=True)]
                self.peak = max(self.peak, sum(process.memory_info().rss for process in family))

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self.join()


def _require_feasible(parameters: dict[str, dict]) -> None:
    """Refuse the notebooks' parameters where a training would fail; see `brainseg.chapters.require_feasible`."""
    from brainseg.chapters import require_feasible
    from brainseg.experiments.leakage import require_leak

    for name, values in parameters.items():
        if values.keys() >= TRAINED:
            require_feasible({"split_by": "patient", **values})
        if name == LEAK:
            require_leak(values["data"], values["fold"], values["seed"], values["seeds"], values["recompute"])


def _require_reference(parameters: dict[str, dict]) -> None:
    """Refuse the notebooks' parameters where a network would be trained; see `brainseg.chapters.require_reference`."""
    for values in parameters.values():
        if values.keys() >= STUDY_RUN and not str(values["data"]).startswith("phantom"):
            require_reference(values)


MOVED = {"12_shape_genomics": "12_shape, 13_many_tests and 14_masks_in_use", "13_reference": "15_results"}
"""What became of chapters that readers may still ask for by name."""


def _one_of(sources: dict[str, Path], wanted: str) -> str:
    found = [name for name in sources if wanted in (name, name[:2])]
    if wanted in MOVED:
        raise StudyError(f"The notebook {wanted!r} is now {MOVED[wanted]}.")
    if not found:
        raise StudyError(f"There is no notebook {wanted!r}. There are: {', '.join(sources)}.")
    return found[0]


def _cohort(data: str) -> Cohort:
    root = get_cohort(data)
    table = index_cohort(root)
    return Cohort(
        root=str(root),
        fingerprint=table.attrs["fingerprint"],
        patient_table=_hash((root / "data.csv").read_bytes()),
        patients=int(table["patient"].nunique()),
        slices=len(table),
        tumour_slices=int((table["tumour_px"] > 0).sum()),
        synthetic=is_synthetic(root),
        tcga=bool(table["patient"].str.startswith("TCGA_").all()),
    )


def _public(cohort: Cohort | None) -> dict | None:
    """A cohort's record without the place where this machine keeps it."""
    return None if cohort is None else {key: value for key, value in vars(cohort).items() if key != "root"}


def _portable(value):
    """A folder's name instead of its place on this machine."""
    return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value


def _edition_folder(profile: str, parameters: dict[str, dict]) -> Path:
    datas = sorted({str(_portable(values["data"])) for values in parameters.values() if "data" in values})
    name = "-".join([*datas, profile])
    return build_folder() / "executed" / re.sub(r"[^\w.-]+", "-", name)


def _is_fresh(page: Path, key: str) -> bool:
    return page.is_file() and nbformat.read(page, as_version=4).metadata.get("brainseg", {}).get("key") == key


def _results_hash(root: Path) -> str:
    """A hash of what the notebooks read in ``results``: the tables, and the folders with kept networks.

    The tables of editions (``edition-NAME.json``) are written from executed pages, and none reads them.
    """
    content = hashlib.sha256()
    for path in sorted([*(root / "results").glob("*.csv"), *(root / "results").glob("*/**/*")]):
        if path.is_file():
            content.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:16]


def _package_hash() -> str:
    """A hash of the package's code, without that of the publishing and the command line, which no notebook calls."""
    content = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if place.parts[0] not in ("publishing", "__main__.py"):
            content.update(place.as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of Python and of the libraries that make a page: another one makes it anew."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
