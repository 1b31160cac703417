"""Seconds of each chapter in an executed edition, and what a notebook costs beside its cells."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import nbformat
import papermill

from benchmarks.timing import seconds
from brainseg.paths import build_folder
from brainseg.publishing.execute import ThisInterpreter
from brainseg.publishing.notebooks import KERNEL

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


def measure_empty() -> list[dict]:
    """Seconds of a notebook with one cell that does nothing: the start of the kernel, papermill, and writing it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("pass")], metadata={"kernelspec": KERNEL})
    notebook = json.loads(nbformat.writes(notebook))
    with tempfile.TemporaryDirectory() as folder:
        taken = seconds(
            lambda: papermill.execute_notebook(
                nbformat.from_dict(notebook),
                Path(folder) / "empty.ipynb",
                kernel_name=KERNEL["name"],
                kernel_manager_class=ThisInterpreter,
                progress_bar=False,
            )
        )
    return [{"seconds": taken}]
