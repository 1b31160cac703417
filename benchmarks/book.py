"""Seconds of each chapter in an executed edition, and what a notebook costs beside its cells."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest import mock

import nbformat

from brainseg.paths import build_folder
from brainseg.publishing.execute import execute_edition

EDITION = "phantom-quick"
"""The default book."""


def measure_chapters() -> list[dict]:
    """A row a chapter of the executed default book; no rows where it has not been executed."""
    rows = []
    for page in sorted((build_folder() / "executed" / EDITION).glob("[0-9]*.ipynb")):
        notebook = nbformat.read(page, as_version=4)
        record = notebook.metadata["brainseg"]
        cells = sum(cell.metadata.get("papermill", {}).get("duration") or 0 for cell in notebook.cells)
        rows.append(
            {
                "chapter": page.stem,
                "seconds": record["seconds"],
                "cells": round(cells, 2),
                "memory_mib": record["peak_memory_mb"],
                "processor": record["processor"],
            }
        )
    return rows


EMPTY = """# %% [markdown]
# # Nothing

# %% tags=["parameters"]
nothing = None
"""


def measure_empty() -> list[dict]:
    """Seconds of a chapter that does nothing, executed as the others are: its kernel, papermill, and its record."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, BRAINSEG_BUILD=f"{folder}/build"):
        notebooks = Path(folder) / "notebooks"
        (notebooks / "profiles").mkdir(parents=True)
        (notebooks / "profiles" / "quick.yml").write_text("")
        (notebooks / "01_nothing.py").write_text(EMPTY)
        edition = execute_edition(Path(folder), "quick")
        return [{"seconds": edition.record("01_nothing")["seconds"]}]
