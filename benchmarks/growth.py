"""The same steps on cohorts of growing size, each in a process of its own: seconds, and the most memory held."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from benchmarks.timing import seconds
from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.images.preprocess import Preprocessing
from brainseg.provenance import peak_memory_mib

STEPS = ("check", "prepare", "train", "evaluate")
"""In this order, because each finds what the one before has left in the build folder."""

PREPROCESSING = Preprocessing(image_size=64)
TINY = {"filters": 8, "epochs": 2, "slices_per_epoch": 0}
"""Every slice once an epoch, so that the work grows with the cohort; the second epoch is timed, when all is compiled"""


class OwnMemory(threading.Thread):
    """The most memory of its own that this process holds while the block runs, in MiB.

    The pages of memory-mapped arrays are left out: the system lends them while nobody else needs the room, and the more
    there is to read, the more of them it lends. None where the system does not tell (it does on Linux).
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.peak: float | None = None
        self._over = threading.Event()

    def run(self) -> None:
        """Look fifty times a second."""
        while not self._over.wait(0.02):
            self._look()

    def _look(self) -> None:
        status = Path("/proc/self/status")
        if status.is_file() and (found := re.search(r"RssAnon:\s+(\d+) kB", status.read_text())):
            self.peak = max(self.peak or 0.0, int(found[1]) / 2**10)

    def __enter__(self) -> OwnMemory:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._look()
        self._over.set()
        self.join()


def measure(step: str, patients: int) -> list[dict]:
    """One of `STEPS` on a phantom cohort of so many patients; what the steps before it make is there already."""
    root = get_cohort(f"phantom:{patients}")
    largest = max(sum(1 for _ in folder.glob("*_mask.tif")) for folder in root.iterdir() if folder.is_dir())
    with OwnMemory() as memory:
        slices, taken = _do(step, root)
    return [
        {
            "step": step,
            "patients": patients,
            "slices": slices,
            "largest": largest,
            "seconds": taken,
            "memory_mib": memory.peak,
            "resident_mib": peak_memory_mib(),
        }
    ]


def _do(step: str, root: Path) -> tuple[int, float]:
    """How many slices a step handles, and its seconds."""
    if step == "check":
        tables = []
        taken = seconds(lambda: tables.append(index_cohort(root, progress=False)))
        return len(tables[0]), taken
    from brainseg.images.prepared import prepare

    table = index_cohort(root, progress=False)
    if step == "prepare":
        return len(table), seconds(lambda: prepare(root, PREPROCESSING))
    from brainseg.chapters import study_recipe
    from brainseg.evaluation.predict import evaluate, predict_masks
    from brainseg.networks.runs import train_or_load
    from brainseg.splits import make_split

    prepared = prepare(root, PREPROCESSING)
    run = train_or_load(study_recipe("unet", **TINY), prepared, make_split(prepared.table, n_folds=3, fold=0))
    if step == "train":
        return len(run.rows("train")), float(run.history["seconds"].iloc[-1])
    rows = run.rows("test")
    predict_masks(run, rows[:1])  # compiles
    return len(rows), seconds(lambda: evaluate(run))
