"""Work that is killed at random moments: the next call finishes it, and gives what an undisturbed one gives.

Each kind of work runs as a process of its own, with a build folder of its own. It is killed with all its children, as
when the power fails, several times in a row. Then it is left alone, and says what it made.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from tqdm import tqdm

from brainseg.paths import project_root

IN_A_ROW = 4
"""Kills before a call is left alone."""

BEFORE = """
import os
from pathlib import Path
from proof.kills import digest, said
build = Path(os.environ["BRAINSEG_BUILD"])
cohort = Path(os.environ["PROOF_COHORT"])
"""
"""What every call begins with."""

_TRAINING = (
    BEFORE
    + """
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.runs import train_or_load
from brainseg.splits import make_split
prepared = prepare(cohort, Preprocessing(image_size=32))
recipe = Recipe(options={"filters": 4, "depth": 2}, epochs=12, slices_per_epoch=64, batch_size=8)
run = train_or_load(recipe, prepared, make_split(prepared.table, n_folds=3))
said([array.tobytes() for array in run.model.get_weights()], run.history.drop(columns="seconds").to_csv())
"""
)

_EXPERIMENT = (
    BEFORE
    + """
from brainseg import results
results.project_root = lambda: build  # its results go to a checkout of their own
from brainseg.experiments.engine import run_experiment
settings = {"image_size": 32, "filters": 2, "epochs": 3, "slices_per_epoch": 16, "after_phantom": False}
run_experiment("leakage", cohort, settings | {"doses": [0, 80], "folds": [0], "seeds": 2})
with results.changing("leakage"):  # while another call may write the same
    tables = results.read_tables("leakage")
said(*[name + table.to_csv() for name, table in sorted(tables.items())])
"""
)

KINDS = {
    "drawing a phantom": BEFORE
    + """
from brainseg.phantom import make_phantom
said(digest(make_phantom(build / "cohort", patients=4)))
""",
    "preparing arrays": BEFORE
    + """
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
said(digest(prepare(cohort, Preprocessing(image_size=128)).folder, "*.npy", "boxes.csv"))
""",
    "writing crops": BEFORE
    + """
from brainseg.images.export import save_crops
said(digest(save_crops(cohort, build / "crops").parent))
""",
    "training": _TRAINING,
    "an experiment of four trainings": _EXPERIMENT,
    "executing a chapter": BEFORE
    + """
import nbformat
from brainseg.publishing import make_notebook
page = nbformat.read(make_notebook("04", "smoke", {"data": str(cohort)}), as_version=4)
shown = [output.get("data", {}) for cell in page.cells if cell.cell_type == "code" for output in cell.outputs]
said(*[output[kind] for output in shown for kind in ("image/png", "text/markdown") if kind in output])
""",
    "the whole book": BEFORE
    + """
from brainseg.publishing import make_book
from brainseg.publishing.manifest import hashes, read_manifest
page, results = make_book("smoke")
files = hashes(page.parent)
assert files == read_manifest(page.parent)["files"], "the site is not whole"
said(results, *sorted(files))
""",
}
"""A kind of work -> what a process of its own does."""


def digest(folder: Path, *patterns: str) -> str:
    """Names and contents of a folder's files, in one number; what hidden names are left of killed calls does not count.

    Parameters
    ----------
    folder : Path
    *patterns : str
        Of the files that count; without them, all.
    """
    found = {path for pattern in patterns or ("*",) for path in folder.rglob(pattern) if path.is_file()}
    shown = {path.relative_to(folder): path for path in found}
    shown = {name: path for name, path in shown.items() if not any(part.startswith(".") for part in name.parts)}
    whole = hashlib.sha256()
    for name, path in sorted(shown.items()):
        whole.update(f"{name.as_posix()}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def said(*results: str | Iterable[bytes]) -> None:
    """Print what a call made, in one number, as its last line."""
    whole = hashlib.sha256()
    for result in results:
        for part in [result.encode()] if isinstance(result, str) else result:
            whole.update(part)
    print(f"\n{whole.hexdigest()}")


@dataclass(frozen=True)
class Killed:
    """What became of one kind of work.

    Attributes
    ----------
    kind : str
    kills : int
        Of processes that were at work.
    finished : int
        Calls that were left alone after that, or were done before they could be killed.
    same : int
        Those that made what an undisturbed call makes.
    """

    kind: str
    kills: int
    finished: int
    same: int


def kill(kind: str, kills: int, cohort: Path, place: Path, seed: int = 0) -> Killed:
    """Kill one kind of work so many times.

    Parameters
    ----------
    kind : str
        Of `KINDS`.
    kills : int
    cohort : Path
        A sound cohort.
    place : Path
        A new folder for the build folders.
    seed : int
        Of the moments.

    Raises
    ------
    RuntimeError
        Where a call that nobody kills fails; with what it said.
    """
    rng = np.random.default_rng(seed)
    start = time.monotonic()
    undisturbed = finish(KINDS[kind], cohort, place / "undisturbed")
    seconds = time.monotonic() - start
    done = finished = same = rounds = 0
    with tqdm(total=kills, desc=f"killing: {kind}", unit="kill", leave=False) as bar:
        while done < kills:
            folder, in_a_row = place / f"{rounds}", 0
            rounds += 1
            # Most of a short call is starting Python, so the first of a row is killed after it wrote something.
            while in_a_row < min(IN_A_ROW, kills - done) and _interrupted(
                kind, cohort, folder, float(rng.uniform(0, seconds)), wrote=in_a_row == 0
            ):
                in_a_row += 1
                bar.update()
            done += in_a_row
            finished += 1
            same += finish(KINDS[kind], cohort, folder) == undisturbed
    return Killed(kind, done, finished, same)


def begin(code: str, cohort: Path, folder: Path, **options) -> subprocess.Popen:
    """Start code as a process of its own, with a build folder and a cohort; `options` are those of `Popen`."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {"BRAINSEG_BUILD": folder, "PROOF_COHORT": cohort, "PYTHONPATH": project_root()}
    environment = {**os.environ, **{name: str(path) for name, path in places.items()}}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, **options)


def finish(code: str, cohort: Path, folder: Path) -> str:
    """Leave code alone until it has done its work; the last line that it printed.

    Raises
    ------
    RuntimeError
        Where it fails; with what it said.
    """
    process = begin(code, cohort, folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"A call failed in {folder}: {errors.strip()}")
    return output.strip().rpartition("\n")[2]


def _interrupted(kind: str, cohort: Path, folder: Path, seconds: float, wrote: bool) -> bool:
    """Start a call and kill it, `seconds` after its start or after it `wrote` something; False where it was done."""
    process = begin(KINDS[kind], cohort, folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while wrote and process.poll() is None and not any(folder.iterdir()):
        time.sleep(0.01)
    try:
        process.wait(seconds * (0.5 if wrote else 1))
    except subprocess.TimeoutExpired:
        at_work = psutil.Process(process.pid)
        everyone = [at_work, *at_work.children(recursive=True)]
        for each in everyone:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        process.wait()
        psutil.wait_procs(everyone)
        return True
    return False


def kill_all(kills: dict[str, int], cohort: Path, place: Path) -> pd.DataFrame:
    """The table of kinds: ``kind, kills, finished, same``.

    Parameters
    ----------
    kills : dict
        Kind -> how many times it is killed.
    cohort, place
        As in :func:`kill`.
    """
    return pd.DataFrame([kill(kind, number, cohort, place / str(n)) for n, (kind, number) in enumerate(kills.items())])
