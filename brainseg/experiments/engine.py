"""Experiments: each is computed by one call and kept as tables below ``results/``.

An experiment is a module with a function ``compute(root, *, ...) -> (tables, record)``. Its keyword arguments are
what the command line sets with ``-p NAME=VALUE``; their defaults are those of the real cohort. Trainings inside it
are runs of :func:`brainseg.runs.train_or_load`, so an interrupted experiment goes on where it was stopped.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

from brainseg.cohort import find_cohort, is_synthetic
from brainseg.tables import has_tables, log_test, read_record, write_tables

EXPERIMENTS = {
    "claims": "brainseg.claims",
    "leakage": "brainseg.leakage",
    "seeds": "brainseg.seeds",
    "shape": "brainseg.shape_study",
    "variants": "brainseg.variants",
}
"""Name of an experiment, and of its folder below ``results``, -> its module."""


def run_experiment(name: str, data: str | Path, settings: dict | None = None) -> Path:
    """Compute an experiment and keep its tables.

    Parameters
    ----------
    name : str
        A name of :data:`EXPERIMENTS`.
    data : str or path
        As :func:`brainseg.cohort.find_cohort`.
    settings : dict, optional
        Keyword arguments of the experiment's ``compute`` that differ from its defaults.

    Returns
    -------
    Path
        The folder of the tables, ``results/NAME``.

    Raises
    ------
    ValueError
        For a name or a setting that is not known; the message lists those that are. For one value where a list belongs, and
        for a list that names one twice. Also where results of real patients would be replaced by synthetic ones.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"unknown experiment {name!r}: choose one of {', '.join(EXPERIMENTS)}")
    compute = import_module(EXPERIMENTS[name]).compute
    known = {key: value.default for key, value in inspect.signature(compute).parameters.items() if value.kind is value.KEYWORD_ONLY}
    settings = settings or {}
    if unknown := settings.keys() - set(known):
        raise ValueError(f"{name} has no setting {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    for key, value in settings.items():
        if isinstance(known[key], tuple):
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"{key} is a list, as in -p {key}=[{value}], and not {value!r}")
            if len(set(value)) < len(value):
                raise ValueError(f"{key} names one twice: {', '.join(map(str, value))}")
    root = find_cohort(data)
    if is_synthetic(root) and has_tables(name) and not read_record(name)["cohort"]["synthetic"]:
        raise ValueError(f"results/{name} holds results of real patients, and these are synthetic. Move that folder away first.")
    tables, record = compute(root, **settings)
    folder = write_tables(name, tables, record)
    if not record["cohort"]["synthetic"]:
        # Another table may hold the whole cohort, as the design of an experiment does.
        scored = tables.get("patients", next(table for table in tables.values() if "patient" in table))
        log_test(
            run=f"experiment {name}",
            patients=scored["patient"].nunique(),
            commit=record["commit"],
            why="test patients scored by networks of the experiment",
        )
    return folder
