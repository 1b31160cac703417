"""A set of trainings as one parcel, for a machine that has a GPU and neither the slices nor a network.

`pack` writes what the trainings need: the prepared arrays, the plan and this package, as numbered parts that are small
enough for most ways of copying. On the other machine, with the parts unpacked, `python train.py` trains what is not
trained yet, and goes on where it was stopped; several of them share the work. `unpack` takes the runs back into the
build folder, where an experiment finds them by their names as if they had been trained here.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from tqdm import tqdm

import brainseg
from brainseg.experiments.engine import Unit, share
from brainseg.experiments.plan import Training, to_do
from brainseg.experiments.storage import ARRAYS, COLUMNS, TABLE, load_arrays
from brainseg.images.prepared import Prepared
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import RECORD, WEIGHTS, RunRecord, run_folder
from brainseg.paths import BusyError, build_folder, folder_atomically, locked

PART_BYTES = 60 * 2**20

_SCRIPT = """\
# Trains what this bundle plans; run it again to go on. Needs: numpy pandas scipy opencv-python-headless pillow tifffile
# tqdm filelock keras, and a backend (tensorflow, jax or torch). The results are the folders below runs/.
# One network does not fill a large GPU. Start this several times at once, with about a core of the processor for each:
# the processes share the work. With NVIDIA's MPS (nvidia-cuda-mps-control -d) they share the GPU better.
import os
import sys
from pathlib import Path

here = Path(__file__).resolve().parent
os.environ["BRAINSEG_BUILD"] = str(here)
sys.path.insert(0, str(here))
from brainseg.experiments.bundle import train_bundle

train_bundle(here)
"""


def pack(plan: Iterable[Training], cohort: pd.DataFrame, out: str | Path) -> list[Path]:
    """Write the trainings of a plan that are not done as parts of at most `PART_BYTES`.

    Parameters
    ----------
    plan : iterable of Training
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    out : path
        A folder that does not exist yet.

    Returns
    -------
    list of Path
        ``bundle.tar.gz.000`` and so on, in their order; ``cat bundle.tar.gz.* | tar xz`` unpacks them.

    Raises
    ------
    ValueError
        Where the folder exists, or there is nothing to train.
    """
    out = Path(out)
    if out.exists():
        raise ValueError(f"{out} exists. Remove it or name another folder.")
    missing = to_do(plan, cohort)
    if not missing:
        raise ValueError("Nothing of this plan is left to train, so there is nothing to bundle.")
    distinct = {_source(training): training for training in missing}
    arrays = {source: training.prepare(cohort.attrs["root"]) for source, training in distinct.items()}
    # What a training starts from is in the plan itself, or was trained here before.
    starts = {training.start.folder(cohort) for training in missing if training.start is not None}
    starts -= {training.folder(cohort) for training in missing}
    with folder_atomically(out) as folder:
        parts = _Parts(folder, PART_BYTES)
        with tarfile.open(fileobj=parts, mode="w|gz") as archive:
            package = Path(brainseg.__file__).parent
            for path in sorted(package.rglob("*.py")):
                archive.add(path, str(Path("brainseg") / path.relative_to(package)))
            _add(archive, "train.py", _SCRIPT)
            _add(archive, "plan.json", json.dumps([_described(training, arrays) for training in missing]))
            for start in sorted(starts):
                for name in (RECORD, WEIGHTS):
                    archive.add(start / name, f"runs/{start.name}/{name}")
            for prepared in tqdm(arrays.values(), desc="packing", unit="cohort", leave=False):
                place = f"prepared/{prepared.fingerprint}"
                for name in ARRAYS:
                    archive.add(prepared.folder / name, f"{place}/{name}")
                _add(archive, f"{place}/{TABLE}", prepared.table[COLUMNS].to_csv(index=False))
    return sorted(out.iterdir())


def _source(training: Training) -> tuple:
    return training.phantom, training.preprocessing


def _described(training: Training, arrays: dict[tuple, Prepared]) -> dict:
    return {
        "recipe": asdict(training.recipe),
        "preprocessing": asdict(training.preprocessing),
        "prepared": arrays[_source(training)].fingerprint,
        "split": training.split.tolist(),
    }


def train_bundle(folder: str | Path) -> None:
    """Train what an unpacked bundle plans; the build folder must be the bundle's, so that the runs lie in it.

    Several processes that do so at once share the work, as :func:`brainseg.experiments.engine.share` says.

    Parameters
    ----------
    folder : path
        With ``plan.json`` and ``prepared``.
    """
    folder = Path(folder)
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    units = [_unit(folder, **training) for training in plan]
    with tqdm(total=sum(unit.steps for unit in units), desc="training", unit="step", mininterval=1) as bar:
        share(units, bar)


def _unit(folder: Path, recipe: dict, preprocessing: dict, prepared: str, split: list[str]) -> Unit:
    """What :func:`_described` wrote of a training, here."""
    own, sides = Recipe(**recipe), pd.Series(split)
    prepare = functools.partial(load_arrays, folder / "prepared" / prepared, Preprocessing(**preprocessing))
    return Unit(own, sides, run_folder(own, prepared, sides), prepare)


def unpack(place: str | Path) -> list[str]:
    """Take the runs of a trained bundle into the build folder.

    Those that are there already are left alone, and so are those that another process trains here.

    Parameters
    ----------
    place : path
        The bundle's folder, or its ``runs``, as it came back.

    Returns
    -------
    list of str
        The names of the runs that were taken.

    Raises
    ------
    ValueError
        Where there is no finished run; where a record or the weights are damaged.
    """
    place = Path(place)
    folders = sorted(path.parent for path in [*place.glob(f"*/{RECORD}"), *place.glob(f"runs/*/{RECORD}")])
    if not folders:
        raise ValueError(f"{place} holds no finished run. Name the folder in which train.py of a bundle was run.")
    # Only now, because it brings Keras: a wrong folder is refused at once.
    from brainseg.networks.runs import load_network

    taken = []
    for folder in folders:
        load_network(RunRecord.read(folder))  # refuses weights that are cut or of another network
        target = build_folder() / "runs" / folder.name
        with contextlib.suppress(BusyError), locked(target, wait=False):
            if (target / RECORD).is_file():
                continue
            shutil.rmtree(target, ignore_errors=True)  # what an interrupted training left
            with folder_atomically(target) as part:
                for file in folder.iterdir():
                    if file.is_file() and not file.name.startswith("."):
                        shutil.copyfile(file, part / file.name)
            taken.append(folder.name)
    return taken


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


class _Parts:
    """A file for writing that goes on in the next part when one is full."""

    def __init__(self, folder: Path, limit: int):
        self.folder, self.limit, self.written = folder, limit, 0

    def write(self, content: bytes) -> int:
        left = memoryview(content)
        while len(left):
            number, used = divmod(self.written, self.limit)
            now = left[: self.limit - used]
            with open(self.folder / f"bundle.tar.gz.{number:03d}", "ab") as part:
                part.write(now)
            self.written, left = self.written + len(now), left[len(now) :]
        return len(content)
