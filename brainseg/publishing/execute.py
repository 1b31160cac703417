"""Executing the notebooks into an edition: every page with its provenance, and only what changed.

An edition is a folder ``_build/executed/NAME`` with one executed notebook per page and a JSON file
beside it that says where it comes from. The same record stands in the notebook's metadata, and that
one decides whether the page is up to date.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill
import psutil
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

import brainseg
from brainseg.paths import build_folder, write_atomically
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
STUDY_RUN = {"data", "split_by", "fold", "filters", "epochs", "slices_per_epoch"}
"""The parameters by which a notebook asks for a network of `brainseg.chapters.study_run`."""
LIBRARIES = ("numpy", "scipy", "pandas", "scikit-learn", "opencv-python-headless", "keras", "tensorflow", "matplotlib")


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
        choose_parameters({name: declared[name]}, {}, overrides)  # for its refusal of names that others declare
        notebooks = {name: notebooks[name]}

    _require_feasible({name: parameters[name] for name in notebooks})
    if values.get("trains") == "nothing" and not train:
        _require_reference({name: parameters[name] for name in notebooks})
    cohorts = {data: _cohort(data) for data in sorted({parameters[name].get("data") for name in notebooks} - {None})}
    edition = Edition(_edition_folder(profile, parameters), {})
    base = {"package": _package_hash(), "results": _results_hash(root), "versions": _versions()}
    stale = []
    for name in notebooks:
        edition.pages[name] = edition.folder / f"{name}.ipynb"
        record = {
            "notebook": name,
            "profile": profile,
            "parameters": {key: _portable(value) for key, value in parameters[name].items()},
            "source": _hash(sources[name].read_bytes()),
            "cohort": _public(cohorts.get(parameters[name].get("data"))),
            **base,
        }
        record["key"] = _hash(json.dumps(record, sort_keys=True).encode())
        if not _is_fresh(edition.pages[name], record["key"]):
            stale.append((name, record))

    edition.folder.mkdir(parents=True, exist_ok=True)
    bar = tqdm(stale, desc="notebooks", unit="notebook", mininterval=0.5 if sys.stderr.isatty() else 30)
    for name, record in bar:
        bar.set_description(name)
        given = {key: value for key, value in parameters[name].items() if value != declared[name][key]}
        _execute(notebooks[name], edition.pages[name], given, record, bar)
    return edition


def _execute(notebook, page: Path, given: dict, record: dict, bar: tqdm) -> None:
    """Run one notebook; write it whole with its provenance, or write the failed one beside and raise."""
    failed = page.with_suffix(".failed.ipynb")
    for old in (page, page.with_suffix(".json"), failed):
        old.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="brainseg-", ignore_cleanup_errors=True) as neutral:
        raw = Path(neutral) / page.name
        started = time.perf_counter()
        try:
            with _Watch(bar) as watch:
                papermill.execute_notebook(
                    notebook,
                    raw,
                    parameters=given,
                    kernel_name=KERNEL["name"],
                    kernel_manager_class=ThisInterpreter,
                    cwd=neutral,
                    progress_bar=False,
                )
        except (PapermillExecutionError, DeadKernelError) as error:
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

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel of the running interpreter, with the environment of a page."""
        paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
        environment = {
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


class _Watch(threading.Thread):
    """Follows the memory of this process's children (the kernel and its workers) and moves the bar's clock."""

    def __init__(self, bar: tqdm):
        super().__init__(daemon=True)
        self.peak, self._bar, self._over = 0, bar, threading.Event()

    def run(self) -> None:
        """Look twice a second until told to stop."""
        while not self._over.wait(0.5):
            used = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    used += process.memory_info().rss
                except psutil.Error:  # it ended meanwhile
                    continue
            self.peak = max(self.peak, used)
            if sys.stderr.isatty():
                self._bar.refresh()

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self.join()


def _require_feasible(parameters: dict[str, dict]) -> None:
    """Refuse the notebooks' parameters where a training would fail; see `brainseg.chapters.require_feasible`."""
    from brainseg.chapters import require_feasible

    for values in parameters.values():
        if values.keys() >= STUDY_RUN | {"image_size"}:
            require_feasible(values)


def _require_reference(parameters: dict[str, dict]) -> None:
    """Refuse the notebooks' parameters where a network would be trained; see `brainseg.chapters.require_reference`."""
    from brainseg.chapters import require_reference

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
    # Imported here: a study of notebooks without data needs no cohort, and pandas is slow to import.
    from brainseg.cohort import index_cohort, is_synthetic
    from brainseg.data import get_cohort

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


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
