"""The reference edition: the kept runs are trained, scored on their test patients, and checked ever after where their weights are kept.

The protocol is the profile ``reference``: its parameters are those of the chapters, so that the chapters
find the kept runs by them. Everything that comes out lies in ``results/reference/``::

    MODEL-by-SPLIT-foldN/   a run: history, record, split, and its weights where `keeps_weights` says so
    slices.csv              one row per run and test slice
    patients.csv            one row per run and test patient
    article.csv             the runs that were split by slice, scored as the article scores
    test_log.csv            looks at test patients that led to a result: when, which weights, trained how, their score, by which commit
    record.json             where the tables come from
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from brainseg import evaluation
from brainseg.chapters import study_run
from brainseg.cohort import find_cohort, index_cohort
from brainseg.kept import NEW, STUDY, kept_runs, kept_split
from brainseg.runs import Run, keep, load_kept, prepare_for
from brainseg.study.notebooks import StudyError, read_profile
from brainseg.tables import has_tables, log_test, origin, read_log, read_table, results_folder, write_tables
from brainseg.weights import weights_digest

PROTOCOLS = {
    "honest": {},
    # The article gives no sizes and no settings. What is not named here is as in the honest protocol: our reading.
    "article": {"split_by": "slice", "contrast": "clahe", "crop": "slice"},
}
WEIGHTS_OF_ALL_FOLDS = "unet"
TOLERANCE = 0.01
"""How far a recomputed Dice may lie from the kept one. Sums of floats differ between processors, and convolutions in
bfloat16 carry two to three digits: computing the batch normalisation in another order moved 4 of 124 scores by more
than 0.005, and none by more than 0.0085."""
SLICE_COLUMNS = ["patient", "slice", "tumour_px", "tp", "fp", "fn", "tn", "dice", "hd95_px", "nsd_1px", "nsd_2px"]


def train_reference(root: Path, data: str, models: Sequence[str], folds: Sequence[int], protocol: str = "honest") -> Path:
    """Train runs of the reference edition, keep them, and score each on its test side.

    A run that is kept with its weights is left alone, so an interrupted call goes on where it was. While new weights wait for
    their scores the tables have no record, so that no page shows them beside the scores of those that they replace. Runs that
    are kept without weights (:func:`keeps_weights`) are trained again where the build folder no longer has them.

    Parameters
    ----------
    root : Path
        The checkout.
    data : str
        As :func:`brainseg.cohort.find_cohort`; the real cohort.
    models : sequence of str
        Names of :data:`brainseg.models.MODELS`.
    folds : sequence of int
    protocol : {"honest", "article"}

    Returns
    -------
    Path
        ``results/reference``.

    Raises
    ------
    StudyError
        On a synthetic cohort, which is no reference for anything.
    """
    table = index_cohort(find_cohort(data))
    if table["synthetic"].any():
        raise StudyError("The reference edition is made on the real cohort. Name its folder with --data.")
    parameters = {**read_profile(root / "notebooks", STUDY), **PROTOCOLS[protocol]}
    parameters.pop("fold", None)
    without_weights = {}
    for fold in folds:
        for model in models:
            run = study_run(model, data, fold=fold, **parameters)
            if run.folder.parent != results_folder(STUDY):
                (results_folder(STUDY) / "record.json").unlink(missing_ok=True)
                weights = keeps_weights(protocol, model, fold)
                folder = keep(run, parameters["split_by"], fold, weights=weights)
                if not weights:
                    record = json.loads((folder / "run.json").read_text())
                    without_weights[folder.name] = replace(run, record=record)
    return score_reference(data, without_weights)


def keeps_weights(protocol: str, model: str, fold: int) -> bool:
    """Whether the project keeps the weights of a reference run, or only its record, history, split and scores.

    All weights together would be some 50 MB in every checkout and archive of the project: U-Net's folds, which
    later chapters predict with, and the first fold of each other network are half of that. Runs of the article's protocol
    never keep theirs: no one should predict with a network that was chosen on other slices of its test patients.
    """
    return protocol == "honest" and (model == WEIGHTS_OF_ALL_FOLDS or fold == 0)


def score_reference(data: str, without_weights: Mapping[str, Run] = MappingProxyType({})) -> Path:
    """Score the runs that the tables lack, those that are kept and those of `without_weights`; write the tables anew."""
    table = index_cohort(find_cohort(data))
    kept_tables = {name: results_folder(STUDY) / f"{name}.csv" for name in ("slices", "patients", "article")}
    tables = {name: [pd.read_csv(path)] if path.is_file() else [] for name, path in kept_tables.items()}
    scored, lines = set(read_log()["weights"].dropna()), []
    for run_name, run in _unscored(data, without_weights, scored):
        of_run = score_run(run, run_name)
        for name, part in of_run.items():
            # Weights of this name that were there before are replaced, scores and all. Their line in the log stays.
            tables[name] = [of[of["run"] != run_name] for of in tables[name]] + [part]
        lines.append(_line(run_name, run, of_run["patients"]))
    joined = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items() if parts}
    record = {**origin(table), "tolerance": TOLERANCE}
    folder = write_tables(STUDY, joined, record)
    for line in lines:
        log_test(**line, commit=record["commit"], why="the reference edition")
    return folder


def _unscored(data: str, without_weights: Mapping[str, Run], scored: set[str]) -> Iterator[tuple[str, Run]]:
    for folder in kept_runs():
        if weights_digest(folder / "best.npz") not in scored:
            # From the kept weights, which are halves: what is scored is what was kept.
            yield folder.name, load_kept(folder, prepare_for(folder, find_cohort(data)))
    for name, run in without_weights.items():
        if weights_digest(run.folder / "best.npz") not in scored:
            yield name, run


def score_run(run: Run, name: str) -> dict[str, pd.DataFrame]:
    """The rows of one run in each table."""
    record = run.record
    known = {"run": name, "protocol": "honest" if record["split_by"] == "patient" else "article"}
    known |= {"model": run.recipe.model, "fold": record["fold"], "seed": run.recipe.seed}
    parts = ["test", NEW] if (run.split == NEW).any() else ["test"]
    slices = pd.concat([evaluation.evaluate(run, part).assign(part=part) for part in parts])
    patients = pd.concat(
        [evaluation.score_patients(of).assign(part=part) for part, of in slices.groupby("part", sort=False)]
    ).reset_index()
    missing = run.prepared.table.groupby("patient")[["missing_pre", "missing_post"]].first().any(axis=1)
    patients["missing_sequence"] = patients["patient"].map(missing)
    slices = slices[["part", *SLICE_COLUMNS]]
    tables = {"slices": slices, "patients": patients}
    if known["protocol"] == "article":
        tables["article"] = article_table(run)
    for table in tables.values():
        for place, (key, value) in enumerate(known.items()):
            table.insert(place, key, value)
    return tables


def article_table(run: Run) -> pd.DataFrame:
    """Loss, IoU and Dice by the article's convention: training, validation, test, and test by kind of slice."""
    tumour = run.prepared.table["tumour_px"].to_numpy() > 0
    sides = {part: run.rows(part) for part in ("train", "validation", "test")}
    groups = {(part, "all"): rows for part, rows in sides.items()}
    groups |= {("test", "tumour"): sides["test"][tumour[sides["test"]]]}
    groups |= {("test", "empty"): sides["test"][~tumour[sides["test"]]]}
    return pd.DataFrame(
        [
            {"part": part, "group": group, "slices": len(rows), **evaluation.article_scores(run, rows)}
            for (part, group), rows in groups.items()
        ]
    )


def reproduce(data: str) -> pd.DataFrame:
    """Score the kept runs again and compare with the kept tables.

    Returns
    -------
    DataFrame
        One row per run and test patient that the cohort has: ``run, part, patient, dice_again, dice_kept,
        difference`` (Dice of the volume), and ``same``: whether the two lie within `TOLERANCE`. Patients whom no split names are
        scored too; they have no kept score, and ``part`` is "new" for them.

    Raises
    ------
    StudyError
        Where nothing is kept, or the cohort has none of the patients.
    """
    if not kept_runs() or not has_tables(STUDY):
        raise StudyError("No reference runs are kept in results/reference. Make them: python -m brainseg reference.")
    kept = read_table(STUDY, "patients")[["run", "part", "patient", "dice"]]
    again = []
    for folder in kept_runs():
        table = index_cohort(find_cohort(data))
        if not (kept_split(folder, table) == "test").any():
            continue
        patients = score_run(load_kept(folder, prepare_for(folder, find_cohort(data))), folder.name)["patients"]
        again.append(patients[["run", "part", "patient", "dice"]])
    if not again:
        raise StudyError(f"None of the reference's test patients is in {data}.")
    both = pd.concat(again).merge(kept, on=["run", "part", "patient"], how="left", suffixes=("_again", "_kept"))
    both["difference"] = both["dice_again"] - both["dice_kept"]
    far = both["difference"].abs().gt(TOLERANCE) | (both["dice_again"].isna() != both["dice_kept"].isna())
    return both.assign(same=~far | both["part"].eq(NEW))


def _line(name: str, run: Run, patients: pd.DataFrame) -> dict:
    """What the log says of a scored run. It keeps the score when the weights are replaced."""
    tested = patients[patients["part"] == "test"]
    return {
        "run": name,
        "patients": len(tested),
        "slices": len(run.rows("test")),
        "weights": weights_digest(run.folder / "best.npz"),
        "epochs": run.recipe.epochs,
        "validation_dice": run.record["validation_dice"],
        "mean_dice": tested["dice"].mean(),
    }
