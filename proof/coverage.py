"""Which branches of the package the tests reach: every way that an ``if`` or a loop can go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from brainseg.paths import project_root

WHOLE = "the package"
"""The last row of the table."""


def measure(folder: Path) -> pd.DataFrame:
    """Run all tests and see what they reach, commands and kernels that they start included.

    Parameters
    ----------
    folder : Path
        For what is gathered; the settings are those of ``pyproject.toml``.

    Raises
    ------
    RuntimeError
        Where a test fails: then it has not reached what it would.
    """
    done = _coverage(folder, "run", "-m", "brainseg", "test", "-q", "-m", "")
    if done.returncode:
        raise RuntimeError(f"The tests failed, so their coverage is not that of the suite:\n{done.stdout[-3000:]}")
    return table(folder)


def table(folder: Path) -> pd.DataFrame:
    """What was gathered in a folder: ``room, lines, lines_reached, branches, branches_reached``, the package last.

    A room is a folder of the package, or a module at its top.
    """
    _coverage(folder, "combine", "--quiet")
    report = folder / "coverage.json"
    done = _coverage(folder, "json", "--quiet", "-o", str(report))
    if done.returncode:
        raise RuntimeError(f"There is nothing to count in {folder}: {done.stdout}{done.stderr}")
    rows = []
    for name, found in json.loads(report.read_text(encoding="utf-8"))["files"].items():
        parts = Path(name).parts
        parts = parts[parts.index("brainseg") + 1 :]
        counts = found["summary"]
        rows.append(
            {
                "room": parts[0].removesuffix(".py") if parts[0] != "__init__.py" else "brainseg",
                "lines": counts["num_statements"],
                "lines_reached": counts["covered_lines"],
                "branches": counts["num_branches"],
                "branches_reached": counts["covered_branches"],
            }
        )
    rooms = pd.DataFrame(rows).groupby("room", as_index=False).sum()
    return pd.concat([rooms, rooms.drop(columns="room").sum().to_frame().T.assign(room=WHOLE)], ignore_index=True)


def _coverage(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "COVERAGE_FILE": str(folder / ".coverage")}
    call = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(call, cwd=project_root(), env=environment, capture_output=True, text=True, encoding="utf-8")
