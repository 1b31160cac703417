"""How many tests try to break what, and what became of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from brainseg.paths import project_root

FILES = {
    "properties that hold for any input": ["test_properties.py"],
    "broken cohorts and pictures": ["cohort/test_broken_cohorts.py", "cohort/test_index.py", "cohort/test_find.py",
                                    "cohort/test_pixels.py", "cohort/test_convert.py"],
    "cohorts that the chapters do not expect": ["test_odd_cohorts.py"],
    "the download": ["cohort/test_kaggle.py", "cohort/test_download.py"],
    "surroundings": ["test_surroundings.py", "test_paths.py"],
    "full and locked disks": ["test_disks.py"],
    "safety": ["test_safety.py"],
}  # fmt: skip
"""What is tried -> the files below ``tests`` that try it."""


def count() -> pd.DataFrame:
    """Run these tests: ``what, tests, failed, skipped``."""
    rows = []
    for what, files in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            call = [sys.executable, "-m", "pytest", "-q", "-n", "0", f"--junitxml={report}"]
            subprocess.run([*call, *(f"tests/{name}" for name in files)], cwd=project_root(), stdout=subprocess.DEVNULL)
            suite = ElementTree.parse(report).getroot().find("testsuite")
            found = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
        rows.append(
            {
                "what": what,
                "tests": found["tests"],
                "failed": found["failures"] + found["errors"],
                "skipped": found["skipped"],
            }
        )
    return pd.DataFrame(rows)
