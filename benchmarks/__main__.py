"""How fast the study's steps are: ``python -m benchmarks``, or ``make bench``, on a machine that does nothing else.

    python -m benchmarks                      # the embedded cohort, about half an hour on two cores
    python -m benchmarks --data FOLDER        # in Kaggle's layout; what rerunning the study costs needs the real cohort
    python -m benchmarks --parts growth book  # these tables alone; the others stay
    python -m benchmarks --quick              # does everything still run? Prints, and keeps nothing

A machine's speed drifts, so measures take turns, and a ratio is taken within each turn. The tables go to
``results/speed/``, a row a turn; `brainseg.experiments.speed` reads them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from benchmarks.worker import ANSWER
from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.experiments.speed import FACTORS, STUDY
from brainseg.paths import build_folder, project_root
from brainseg.provenance import commit, processor
from brainseg.results import has_tables, read_record, write_tables

LIBRARIES = (
    "tensorflow",
    "keras",
    "torch",
    "segmentation-models-pytorch",
    "numpy",
    "opencv-python-headless",
    "tifffile",
)
SMALLEST = 4
"""Patients of the cohort that grows."""


class Measure(NamedTuple):
    """A function of a module here, ``"networks.measure"``, what it is called with, and what its rows are labelled."""

    call: str
    given: dict
    labels: dict


def parts(data: str, quick: bool) -> dict[str, tuple[int, list[Measure]]]:
    """Each table's name -> how many turns, and what is measured in each."""
    size, steps, slices = (32, 2, 32) if quick else (128, 16, 480)
    models = ("unet",) if quick else ("unet", "resunet", "fcn32")
    settings = SETTINGS[1:2] if quick else SETTINGS  # the first is that of the networks above
    torch = find_spec("torch") is not None

    def network(name: str, setting: str, labels: dict) -> Measure:
        given = dict(model=name, setting=setting, size=size, steps=steps)
        return Measure("networks.measure", given, labels)

    def loops(names: Sequence[str], label: str) -> list[Measure]:
        given = dict(size=size, steps=max(steps // 2, 2))  # they take longer
        return [Measure("loops.measure", {"loop": name, **given}, {label: name}) for name in names if torch]

    growing = [SMALLEST * factor for factor in (FACTORS[:1] if quick else FACTORS)]
    return {
        "networks": (
            1 if quick else 5,
            [network(name, STUDY, {"network": name}) for name in models]
            + loops(LOOPS[: 1 if quick else None], "network"),
        ),
        "settings": (
            1 if quick else 3,
            [network("unet", setting, {"setting": setting}) for setting in settings]
            + loops(() if quick else LOOP_SETTINGS, "setting"),
        ),
        "operations": (
            1,
            [
                Measure("networks.measure_operations", dict(model=name, size=size, steps=4), {"network": name})
                for name in models
            ],
        ),
        "files": (1 if quick else 5, [Measure("files.measure", {"data": data}, {})]),
        "pipeline": (
            1 if quick else 3,
            [
                Measure("cohort.measure_training", {"data": data, "slices": slices}, {}),
                Measure("cohort.measure_scoring", {"data": data, "slices": slices}, {}),
            ],
        ),
        "growth": (
            1 if quick else 3,
            [
                Measure("growth.measure", {"step": step, "patients": patients}, {})
                for patients in growing
                for step in ("check", "prepare", "train", "evaluate")
            ],
        ),
        "notebooks": (1 if quick else 3, [Measure("book.measure_empty", {}, {})]),
        "chapters": (1, [Measure("book.measure_chapters", {}, {})]),
        "trainings": (1, [Measure("study.list_trainings", {"data": data}, {})]),
    }


SETTINGS = (
    STUDY,
    "TensorFlow and Keras as they come",
    "float32 throughout",
    "Keras's mixed_bfloat16 in place of TensorFlow's",
    "Keras's own batch normalisation",
    "one layer at a time",
    "compiled by XLA",
    "batches of 8",
    "batches of 32",
)
"""Names of `benchmarks.networks.SETTINGS`, which is not imported: this process loads no TensorFlow."""

BESIDE_TORCH = frozenset({"networks", "settings"})
"""The parts that measure PyTorch as well."""

LOOPS = ("plain PyTorch loop", "segmentation_models_pytorch")
LOOP_SETTINGS = ("plain PyTorch loop", "plain PyTorch loop, channels first", "plain PyTorch loop, float32")


def main() -> None:
    """Measure, and keep or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="phantom", help='"phantom", "kaggle" or a folder in Kaggle\'s layout')
    parser.add_argument("--parts", nargs="+", metavar="PART", help="tables to measure; all by default")
    parser.add_argument("--quick", action="store_true", help="the smallest of everything, printed and not kept")
    arguments = parser.parse_args()
    data = "phantom:4" if arguments.quick else arguments.data
    plan = parts(data, arguments.quick)
    if unknown := set(arguments.parts or ()) - plan.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(plan)}")
    chosen = [name for name in plan if name in (arguments.parts or plan)]
    if find_spec("torch") is None and not arguments.quick and BESIDE_TORCH.intersection(chosen):
        parser.error("PyTorch is missing, which the networks are measured beside: run make bench")
    cohort = index_cohort(get_cohort(data))
    if cohort["synthetic"].any() and "trainings" in chosen:
        chosen.remove("trainings")  # the experiments of the study are those on the real cohort
    if "growth" in chosen:  # drawn before anything is timed
        for patients in sorted({measure.given["patients"] for measure in plan["growth"][1]}):
            get_cohort(f"phantom:{patients}")
    for name in chosen:
        turns, measures = plan[name]
        table = take_turns(name, turns, measures)
        if arguments.quick:
            print(f"{name}\n{table.to_string(index=False)}\n")
        elif len(table):
            record = {"parts": {}, **(read_record("speed") if has_tables("speed") else {})}
            record["parts"][name] = {
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
                "commit": commit(),
                "processor": processor(),
                "versions": _versions(),
                "turns": turns,
                "cohort": {"patients": int(cohort["patient"].nunique()), "slices": len(cohort)},
            }
            print(f"written: {write_tables('speed', {name: table}, record, add=True) / name}.csv")


def take_turns(name: str, turns: int, measures: list[Measure]) -> pd.DataFrame:
    """The rows of all measures, with the number of the turn; a turn starts one measure later than the one before."""
    if name == "growth":
        return pd.DataFrame([row for turn in range(turns) for row in _growing(turn, measures)])
    rows = []
    with tqdm(total=turns * len(measures), desc=name, unit="process") as bar:
        for turn in range(turns):
            first = turn % len(measures)
            for measure in [*measures[first:], *measures[:first]]:
                rows += [{"turn": turn, **measure.labels, **row} for row in run(measure)]
                bar.update()
    return pd.DataFrame(rows)


def _growing(turn: int, measures: list[Measure]) -> list[dict]:
    """As `take_turns`, of steps that find what the one before has left: each turn begins with an empty build folder."""
    with tempfile.TemporaryDirectory() as folder:
        # The drawn cohorts are shared; what is made of them is not.
        (Path(folder) / "cohorts").mkdir()
        for cohort in (build_folder() / "cohorts").glob("phantom-*"):
            (Path(folder) / "cohorts" / cohort.name).symlink_to(cohort.resolve())
        return [
            {"turn": turn, **row}
            for measure in tqdm(measures, desc=f"growth, turn {turn + 1}", unit="process")
            for row in run(measure, BRAINSEG_BUILD=folder)
        ]


def run(measure: Measure, **environment: str) -> list[dict]:
    """The rows of one measure, from a process of its own; what it prints is shown where it fails."""
    call = [sys.executable, "-m", "benchmarks.worker", measure.call, json.dumps(measure.given)]
    settings = os.environ | {"TQDM_DISABLE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"} | environment
    done = subprocess.run(call, cwd=project_root(), env=settings, capture_output=True, text=True)
    answer = [line for line in done.stdout.splitlines() if line.startswith(ANSWER)]
    if done.returncode or not answer:
        raise SystemExit(f"{measure.call} with {measure.given} failed:\n{done.stderr[-4000:]}")
    return json.loads(answer[-1].removeprefix(ANSWER))


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # of the extra
            continue
    return found


if __name__ == "__main__":
    main()
