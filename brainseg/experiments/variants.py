"""U-Net trained otherwise than in the reference edition, and scored on the same patients.

Two questions. What is all that this study adds to a plain U-Net worth, patient by patient? And what does it cost to
meet a hospital for the first time? Size, length and steps of the training are those of the kept networks in each variant.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from brainseg import evaluation
from brainseg.claims import score_test_patients
from brainseg.cohort import index_cohort
from brainseg.kept import kept_by_patient, kept_networks, kept_split
from brainseg.prepare import Preprocessing, prepare
from brainseg.recipe import Recipe
from brainseg.runs import Run, prepare_for, train_or_load
from brainseg.splits import split_by_institution
from brainseg.tables import origin
from brainseg.weights import weights_digest

MODEL = "unet"
PLAIN = "plain"
"""The floor: the whole frame, grey levels as they are, slices as they come, no augmentation; a slice is predicted once, and
every piece counts."""
COLUMNS = ["patient", "institution", "tumour_px", "tp", "fp", "fn", "dice"]


def plain_run(root: str | Path, fold: int) -> Run:
    """The plain U-Net on the patients on whom the kept network of this fold was trained."""
    folder = _kept(fold)
    recipe, size = _recipe(folder)
    plain = replace(recipe, augmentation=False, tumour_share=0.0, drop_sequence=0.0)
    prepared = prepare(root, Preprocessing(image_size=size, contrast="none", crop="none", normalise="none"))
    return train_or_load(plain, prepared, kept_split(folder, prepared.table))


def run_without(root: str | Path, institution: str) -> Run:
    """A U-Net of the kept recipe that has met no patient of an institution; they are its test side."""
    folder = _kept()
    recipe, _ = _recipe(folder)
    prepared = prepare_for(folder, root)
    return train_or_load(recipe, prepared, split_by_institution(prepared.table, institution, seed=recipe.seed))


def _kept(fold: int | None = None) -> Path:
    """The folder of the kept U-Net of a fold, or of any where none is named."""
    for folder in kept_by_patient(MODEL):
        if fold in (None, json.loads((folder / "run.json").read_text())["fold"]):
            return folder
    raise ValueError(f"no U-Net is kept{'' if fold is None else f' of fold {fold}'}: python -m brainseg reference makes them")


def _recipe(folder: Path) -> tuple[Recipe, int]:
    """The recipe of a kept run, and the side of its slices in pixels."""
    record = json.loads((folder / "run.json").read_text())
    return Recipe(**record["recipe"]), record["preprocessing"]["image_size"]


def compute(
    root: str | Path, *, plain_folds: Sequence[int] = (), institutions: Sequence[str] = ()
) -> tuple[dict[str, pd.DataFrame], dict]:
    """Train what is not trained yet, and score every variant on its test patients.

    Parameters
    ----------
    root : str or path
        From :func:`brainseg.cohort.find_cohort`.
    plain_folds : sequence of int
        Folds of the reference edition in which the plain U-Net is trained. None by default: the kept table is replaced
        by what is named, so all that it shall hold has to be.
    institutions : sequence of str
        Those that are left out, one training each.

    Returns
    -------
    tables : dict of DataFrame
        ``"patients"``: ``variant`` ("plain", or "without HT"), ``patient, institution, tumour_px, tp, fp, fn, dice`` per volume
        in the original frame.
    record : dict
        The runs, the kept networks that they stand beside, and where all this comes from.

    Raises
    ------
    ValueError
        For a fold of which no U-Net is kept, an institution that the cohort does not have, or no variant at all.
    """
    start = time.perf_counter()
    # Before anything is trained: what cannot be trained.
    if not (plain_folds or institutions):
        raise ValueError("nothing to do: name plain_folds or institutions")
    for fold in plain_folds:
        _kept(fold)
    known = sorted(index_cohort(root)["institution"].unique())
    if strangers := set(institutions) - set(known):
        raise ValueError(f"no institution {', '.join(map(repr, sorted(strangers)))} in the cohort: choose from {', '.join(known)}")
    runs = [(PLAIN, plain_run(root, fold)) for fold in plain_folds]
    runs += [(f"without {name}", run_without(root, name)) for name in institutions]
    scored, described = [], []
    for variant, run in runs:
        if variant == PLAIN:
            patients = score_test_patients(run)
        else:
            patients = evaluation.score_patients(evaluation.evaluate(run, "test")).reset_index()
        scored.append(patients[COLUMNS].assign(variant=variant))
        kept = {key: run.record[key] for key in ("best_epoch", "validation_dice", "seconds", "processor")}
        sides = {part: len(names) for part, names in run.record["patients"].items()} | {"test": len(patients)}
        settings = {"recipe": asdict(run.recipe), "preprocessing": asdict(run.prepared.preprocessing)}
        digest = weights_digest(run.folder / "best.npz")
        described.append({"variant": variant, "weights": digest, "patients": sides, **kept, **settings})
    record = {"runs": described, "networks": kept_networks(MODEL), "seconds": round(time.perf_counter() - start, 1), **origin(index_cohort(root))}
    return {"patients": pd.concat(scored, ignore_index=True)[["variant", *COLUMNS]]}, record
