"""The long versions: ``python -m proof``. MONAI and PyTorch are pinned in ``benchmarks/requirements.txt``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from brainseg.provenance import commit, processor, versions
from brainseg.results import write_tables
from proof.field import compare, empties
from proof.fuzz import fuzz

PAIRS = 5000
FILES = 10_000


def main() -> None:
    """Try everything, and keep the figures."""
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(FILES, Path(folder))
    files = pd.DataFrame(
        [{"original": name, "outcome": outcome, "files": count} for (name, outcome), count in sorted(found.items())]
    )
    tables = {"field": compare(PAIRS), "empties": empties(), "fuzz": files}
    record = {"commit": commit(), "processor": processor(), "versions": versions()}
    print(f"written: {write_tables('proof', tables, record)}")


if __name__ == "__main__":
    main()
