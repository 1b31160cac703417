"""The networks of the reference edition, trained again with another seed: how much of a score is the luck of a training.

The seed decides the starting weights, the order of the slices and their augmentation. Recipe, slices and splits stay. Named
before any of these trainings was scored: the measure is the Dice of each test patient, seed against seed within a
network, and network against network in the mean over the seeds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from brainseg import evaluation
from brainseg.cohort import index_cohort
from brainseg.kept import STUDY, kept_split, runs_on_record
from brainseg.recipe import Recipe
from brainseg.runs import Run, prepare_for, train_or_load
from brainseg.tables import origin, read_table
from brainseg.weights import weights_digest

COLUMNS = ["patient", "institution", "tumour_px", "tp", "fp", "fn", "dice"]


def run_again(root: str | Path, folder: Path, seed: int) -> Run:
    """The run that a folder of the reference edition describes, on the same slices and sides, with another seed."""
    prepared = prepare_for(folder, root)
    return train_or_load(_recipe(folder, seed), prepared, kept_split(folder, prepared.table))


def compute(
    root: str | Path, *, seeds: Sequence[int] = (1,), models: Sequence[str] = ("unet", "resunet"), folds: Sequence[int] = (0, 1, 2, 3, 4)
) -> tuple[dict[str, pd.DataFrame], dict]:
    """Train what is not trained yet, and score it on its test patients beside the run of the reference edition.

    Parameters
    ----------
    root : str or path
        From :func:`brainseg.cohort.find_cohort`.
    seeds : sequence of int
        Other ones than that of the reference edition.
    models : sequence of str
        Names of :data:`brainseg.models.MODELS`.
    folds : sequence of int

    Returns
    -------
    tables : dict of DataFrame
        ``"patients"``: ``model, fold, seed, patient, institution, tumour_px, tp, fp, fn, dice`` per volume in the original frame,
        and ``reference_seed, reference_dice`` of the same patient in the reference edition.
    record : dict
        The runs, and where all this comes from.

    Raises
    ------
    ValueError
        For an empty list, for a network and fold that the reference edition does not have, for the seed that it has already or one
        below 0, and for a cohort that lacks patients of the reference edition.
    """
    start = time.perf_counter()
    # Before anything is trained: what cannot be.
    if not (seeds and models and folds):
        raise ValueError("nothing to do: seeds, models and folds name at least one each")
    chosen = {(model, fold): _folder(model, fold) for model in models for fold in folds}
    table = index_cohort(root)
    for folder in chosen.values():
        for seed in seeds:
            if _recipe(folder, seed) == _recipe(folder):
                raise ValueError(f"seed {seed} is that of {folder.name} itself: name others")
        if lacking := set(pd.read_csv(folder / "split.csv")["patient"]) - set(table["patient"]):
            raise ValueError(f"{root} lacks {len(lacking)} patients of {folder.name}, {min(lacking)} among them: name the whole cohort")
    reference = read_table(STUDY, "patients").query("part == 'test'").set_index(["run", "patient"])
    scored, described = [], []
    for seed in seeds:
        for (model, fold), folder in chosen.items():
            run = run_again(root, folder, seed)
            patients = evaluation.score_patients(evaluation.evaluate(run, "test")).reset_index()[COLUMNS]
            beside = reference.loc[folder.name].reindex(patients["patient"])[["seed", "dice"]].add_prefix("reference_")
            scored.append(patients.assign(model=model, fold=fold, seed=seed).join(beside, on="patient"))
            kept = {key: run.record[key] for key in ("best_epoch", "validation_dice", "seconds", "processor")}
            described.append({"model": model, "fold": fold, "seed": seed, "weights": weights_digest(run.folder / "best.npz"), **kept})
    record = {"runs": described, "seconds": round(time.perf_counter() - start, 1), **origin(table)}
    return {"patients": pd.concat(scored, ignore_index=True)[["model", "fold", "seed", *COLUMNS, "reference_seed", "reference_dice"]]}, record


def _recipe(folder: Path, seed: int | None = None) -> Recipe:
    """The recipe of a run of the reference edition, with another seed where one is given."""
    recipe = Recipe(**json.loads((folder / "run.json").read_text())["recipe"])
    return recipe if seed is None else replace(recipe, seed=seed)


def _folder(model: str, fold: int) -> Path:
    for folder in runs_on_record():
        record = json.loads((folder / "run.json").read_text())
        if (record["recipe"]["model"], record["fold"], record["split_by"]) == (model, fold, "patient"):
            return folder
    raise ValueError(f"the reference edition has no {model!r} of fold {fold}: python -m brainseg reference trains it")
