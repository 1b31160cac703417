"""What was tried to prove the study wrong: ``python -m proof``, or ``make proof``.

    python -m proof                # all parts, some hours on two cores
    python -m proof field fuzz     # these parts alone; the tables of the others stay

The tables go to ``results/proof/``, and from there to the book's page "What was tried". MONAI and PyTorch are pinned in
``benchmarks/requirements.txt``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from brainseg.data import get_cohort
from brainseg.provenance import commit, processor, versions
from brainseg.results import has_tables, read_record, write_tables
from proof import again, coverage, mutants, tests
from proof.field import compare, empties
from proof.fuzz import fuzz
from proof.kills import kill_all

PAIRS = 5000
FILES = 10_000
KILLS = {
    "drawing a phantom": 24,
    "preparing arrays": 32,
    "writing crops": 24,
    "training": 16,
    "an experiment of four trainings": 8,
    "executing a chapter": 8,
    "the whole book": 4,
}
"""A kind of work -> how many times it is killed: more often where that costs seconds."""


def _field() -> dict[str, pd.DataFrame]:
    return {"field": compare(PAIRS), "empties": empties()}


def _fuzz() -> dict[str, pd.DataFrame]:
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(FILES, Path(folder))
    rows = [{"original": name, "outcome": outcome, "files": count} for (name, outcome), count in sorted(found.items())]
    return {"fuzz": pd.DataFrame(rows)}


def _kills() -> dict[str, pd.DataFrame]:
    with tempfile.TemporaryDirectory() as folder:
        return {"kills": kill_all(KILLS, get_cohort("phantom:6"), Path(folder))}


def _again() -> dict[str, pd.DataFrame]:
    with tempfile.TemporaryDirectory() as folder:
        return {"again": again.repeat(get_cohort("phantom:6"), Path(folder))}


def _together() -> dict[str, pd.DataFrame]:
    with tempfile.TemporaryDirectory() as folder:
        return {"together": again.all_together(get_cohort("phantom:6"), Path(folder))}


def _mutants() -> dict[str, pd.DataFrame]:
    with tempfile.TemporaryDirectory() as folder:
        return mutants.try_all(Path(folder))


def _coverage() -> dict[str, pd.DataFrame]:
    with tempfile.TemporaryDirectory() as folder:
        return {"coverage": coverage.measure(Path(folder))}


def _tests() -> dict[str, pd.DataFrame]:
    return {"tests": tests.count()}


PARTS = {
    "tests": _tests,
    "field": _field,
    "fuzz": _fuzz,
    "kills": _kills,
    "again": _again,
    "together": _together,
    "mutants": _mutants,
    "coverage": _coverage,
}
"""Name of a part -> what tries it and gives its tables."""


def main() -> None:
    """Try what was asked for, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    for name in arguments.parts or PARTS:
        start = time.monotonic()
        tables = PARTS[name]()
        record = {"parts": {}, **(read_record("proof") if has_tables("proof") else {})}
        record["parts"][name] = {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "commit": commit(),
            "processor": processor(),
            "versions": versions() | ({"monai": version("monai")} if name == "field" else {}),
            "minutes": round((time.monotonic() - start) / 60, 1),
        }
        print(f"written: {write_tables('proof', tables, record, add=True)} ({', '.join(tables)})")


if __name__ == "__main__":
    main()
