"""Faults that are put into the code one at a time, to see whether the tests notice.

mutmut 3 makes the faults, because it fits this package better than Cosmic Ray does: it writes all mutants of a file at
once and switches them by a variable, so a process that has imported NumPy, pandas and OpenCV forks one child for each
mutant. Cosmic Ray starts Python anew each time, which takes longer than most tests here. The copies lie in a
folder of their own; the checkout stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from brainseg.paths import project_root
from proof.equivalent import EQUIVALENT

MODULES = {
    "metrics": ["test_metrics.py"],
    "statistics": ["test_statistics.py"],
    "splits": ["test_splits.py"],
    "images/crop": ["images/test_crop.py"],
    "cohort/pixels": ["cohort/test_pixels.py"],
    "cohort/convert": ["cohort/test_convert.py", "cohort/test_pixels.py"],
    "cohort/read": ["cohort/test_read.py"],
}
"""A module of the package -> the files below ``tests`` that speak of it. No other test runs against its mutants."""

_NEEDED = ("brainseg", "tests", "book", "_config.yml", "pyproject.toml")

# Each child starts pytest anew, and these plugins take longer than most tests.
_PLUGINS = ("cacheprovider", "xdist", "pytest_cov", "unraisableexception", "threadexception")

# A fork server that never runs a test: OpenCV's threads do not survive a fork.
_SETTINGS = """
[tool.mutmut]
source_paths = ["brainseg"]
only_mutate = ["brainseg/{module}.py"]
also_copy = ["book", "_config.yml"]
pytest_add_cli_args = [{plugins}]
pytest_add_cli_args_test_selection = [{tests}]
process_isolation = "forkserver"
use_git_change_detection = false
"""

_CALL = "from mutmut.__main__ import cli; cli()"
_SHOW = """
import sys
from mutmut.__main__ import cli
for name in sys.argv[1:]:
    cli.main(["show", name], standalone_mode=False)
"""


def prepare(module: str, folder: Path) -> None:
    """Copy what mutants of a module need to a new folder."""
    root = project_root()
    folder.mkdir(parents=True)
    for name in _NEEDED:
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy2
        copy(root / name, folder / name)
    tests = ", ".join(f'"tests/{name}"' for name in MODULES[module])
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as settings:
        plugins = ", ".join(f'"-p", "no:{name}"' for name in _PLUGINS)
        settings.write(_SETTINGS.format(module=module, tests=tests, plugins=plugins))


def run(folder: Path, names: list[str] | None = None) -> None:
    """Try all mutants of a prepared folder that were not tried yet, or those that are named.

    Raises
    ------
    RuntimeError
        Where the tests fail without a mutant, or mutmut does; with the end of what it said.
    """
    done = _python(_CALL, folder, "run", *(names or []))
    if done.returncode:
        raise RuntimeError(f"mutmut failed in {folder}: {done.stdout[-3000:]}{done.stderr[-3000:]}")


def outcomes(folder: Path) -> dict[str, str]:
    """A mutant's name -> "killed", "survived", "timeout", "no tests" or another word of mutmut."""
    said = _python(_CALL, folder, "results", "--all", "true").stdout
    return dict(re.findall(r"^\s*(\S+__mutmut_\d+): (.+)$", said, re.M))


def table(module: str, folder: Path) -> tuple[dict, pd.DataFrame]:
    """Of a folder that was run: the row of counts, and the mutants that no test noticed.

    Returns
    -------
    row : dict
        ``module, mutants, killed, timeouts, survived, equivalent``. A timeout counts as noticed, and so does a crash.
    survivors : DataFrame
        ``module, function, before, after, reason``; no reason where a test is missing.
    """
    found = outcomes(folder)
    left = [name for name, outcome in found.items() if outcome in ("survived", "no tests")]
    said = _python(_SHOW, folder, *left).stdout if left else ""
    rows = [{"module": module, **_change(text)} for text in re.split(r"^# ", said, flags=re.M)[1:]]
    survivors = pd.DataFrame(rows, columns=["module", "function", "before", "after"])
    survivors["reason"] = [
        EQUIVALENT.get((row.module, row.function), {}).get(row.after, "") for row in survivors.itertuples()
    ]
    counts = Counter(found.values())
    row = {
        "module": module,
        "mutants": len(found),
        "killed": len(found) - len(left) - counts["timeout"],
        "timeouts": counts["timeout"],
        "survived": len(left),
        "equivalent": int((survivors["reason"] != "").sum()),
    }
    return row, survivors


def _change(text: str) -> dict[str, str]:
    """What mutmut shows of a mutant, as its function and the lines before and after."""
    function = re.match(r"\S*?x[_ǁ](\S+?)__mutmut_\d+", text).group(1).replace("ǁ", ".")
    lines = {sign: re.findall(rf"^\{sign}(?!\{sign}\{sign}) *(.*)$", text, re.M) for sign in "-+"}
    return {"function": function, "before": " ".join(lines["-"]), "after": " ".join(lines["+"])}


def _python(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    # One thread each: two mutants are tried at a time.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONUTF8": "1", "BRAINSEG_DATA": ""}
    # The checkout must not be found before the mutants.
    paths = [path for path in environment.pop("PYTHONPATH", "").split(os.pathsep) if path != str(project_root())]
    if any(paths):
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    call = [sys.executable, "-c", code, *arguments]
    return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")


def try_all(place: Path) -> dict[str, pd.DataFrame]:
    """Mutants of all modules: the tables ``mutants`` and ``survivors``.

    Parameters
    ----------
    place : Path
        For the copies, one folder a module.
    """
    rows, survivors = [], []
    for module in tqdm(MODULES, desc="mutants", unit="module", leave=False):
        folder = place / module.replace("/", "_")
        prepare(module, folder)
        run(folder)
        row, left = table(module, folder)
        rows.append(row)
        survivors.append(left)
    return {"mutants": pd.DataFrame(rows), "survivors": pd.concat(survivors, ignore_index=True)}
