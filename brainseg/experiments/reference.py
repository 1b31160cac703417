"""The reference edition: its runs are trained, scored on their test patients, and checked ever after.

The protocol is :func:`brainseg.chapters.study_recipe` with its defaults, and the profile ``reference`` gives the
chapters the same parameters, so that they find the reference runs by them. Everything that comes out lies in
``results/reference/``::

    MODEL-by-SPLIT-foldN/   a run: history, record, split, and its weights where `keeps_weights` says so
    slices.csv              one row per run and test slice
    patients.csv            one row per run and test patient
    article.csv             the runs that were split by slice, scored as the article scores
    test_log.csv            looks at test patients that led to a result: when, which weights, their score, the commit
    record.json             where the tables come from
    splits.csv              an input, which nothing here writes: it was written by hand when the protocol was frozen,
                            and says who had a part in a choice of settings, length or prediction
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from brainseg.chapters import study_recipe
from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.evaluation.scores import score_patients
from brainseg.experiments.plan import Training
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import MODELS
from brainseg.networks.record import find_reference, reference_runs
from brainseg.provenance import origin
from brainseg.results import REFERENCE, has_tables, log_test, read_log, read_table, results_folder, write_tables
from brainseg.splits import make_split

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

PROTOCOLS = {
    "honest": ("patient", {}),
    # The article gives no sizes and no settings. What is not named here is as in the honest protocol: our reading.
    "article": ("slice", {"contrast": "clahe", "crop": "slice"}),
}
"""Protocol -> what it splits by, and in what its preprocessing departs from the study's."""

WEIGHTS_OF_ALL_FOLDS = "unet"
TOLERANCE = 0.01
"""How far a recomputed Dice may lie from the kept one. Sums of floats differ between processors, and convolutions in
bfloat16 carry two to three digits."""
SLICE_COLUMNS = ["patient", "slice", "tumour_px", "tp", "fp", "fn", "tn", "dice", "hd95_px", "nsd_1px", "nsd_2px"]
PATIENT_COLUMNS = [
    "patient", "institution", "slices", "tumour_slices", "tumour_px", "tp", "fp", "fn", "tn", "missed_slices",
    "false_alarm_slices", "dice", "iou", "precision", "recall", "specificity", "part", "missing_sequence",
]  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Which runs are made.

    Attributes
    ----------
    models : tuple of str
        Names of :data:`brainseg.networks.recipe.MODELS`.
    folds : tuple of int
    protocol : {"honest", "article"}
    """

    models: tuple[str, ...] = ("unet", "resunet", "fcn32")
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    protocol: str = "honest"

    def __post_init__(self) -> None:
        for given, names in ((self.models, MODELS), ((self.protocol,), PROTOCOLS)):
            if strangers := set(given) - set(names):
                raise ValueError(f"unknown {', '.join(sorted(strangers))}: choose from {', '.join(names)}")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """The runs of the reference edition that are not there with their weights.

    A network that is on record without them (:func:`keeps_weights`) is trained on the sides that it had.

    Raises
    ------
    ValueError
        On a synthetic cohort, which is no reference for anything.
    """
    if cohort["synthetic"].any():
        raise ValueError("The reference edition is made on the real cohort. Name its folder with --data.")
    split_by, departures = PROTOCOLS[settings.protocol]
    preprocessing = Preprocessing(**departures)
    trainings = []
    for fold in settings.folds:
        for model in settings.models:
            recipe = study_recipe(model)
            record = find_reference(recipe, preprocessing, split_by, fold)
            if record is not None and record.has_weights:
                continue
            split = (
                make_split(cohort, by=split_by, fold=fold, seed=recipe.seed) if record is None else record.split(cohort)
            )
            trainings.append(Training(recipe, preprocessing, split, {"model": model, "fold": fold}))
    return trainings


def keep_runs(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> Path:
    """Keep new runs, and score each on its test side.

    While new weights wait for their scores the tables have no record, so that no page shows them beside the scores of
    those that they replace.

    Returns
    -------
    Path
        ``results/reference``.
    """
    from brainseg.networks.runs import Run, keep

    split_by, _ = PROTOCOLS[settings.protocol]
    without_weights = {}
    for training, run in runs:
        (results_folder(REFERENCE) / "record.json").unlink(missing_ok=True)
        model, fold = training.labels["model"], training.labels["fold"]
        record = keep(run, split_by, fold, weights=keeps_weights(settings.protocol, model, fold))
        if not record.has_weights:
            without_weights[record.name] = Run(
                run.model, run.prepared, run.split, run.record.as_reference(split_by, fold)
            )
    return score_reference(cohort, without_weights)


def keeps_weights(protocol: str, model: str, fold: int) -> bool:
    """Whether the project keeps the weights of a reference run, or only its record, history, split and scores.

    All weights together would be some 50 MB in every checkout and archive of the project: U-Net's folds, which
    later chapters predict with, and the first fold of each other network are half of that. Runs of the article's
    protocol never keep theirs: no one should predict with a network that was chosen on other slices of its test
    patients.
    """
    return protocol == "honest" and (model == WEIGHTS_OF_ALL_FOLDS or fold == 0)


def score_reference(cohort: pd.DataFrame, without_weights: Mapping[str, Run] = MappingProxyType({})) -> Path:
    """Score the runs that the tables lack, kept ones and those of `without_weights`, and write the tables."""
    kept_tables = {name: results_folder(REFERENCE) / f"{name}.csv" for name in ("slices", "patients", "article")}
    tables = {name: [pd.read_csv(path)] if path.is_file() else [] for name, path in kept_tables.items()}
    scored, lines = set(read_log()["weights"].dropna()), []
    for run_name, run in _unscored(cohort, without_weights, scored):
        of_run = score_run(run, run_name)
        for name, part in of_run.items():
            # Weights of this name that were there before are replaced, scores and all. Their line in the log stays.
            tables[name] = [kept[kept["run"] != run_name] for kept in tables[name]] + [part]
        lines.append(_line(run_name, run, of_run["patients"]))
    joined = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items() if parts}
    record = {**origin(cohort), "tolerance": TOLERANCE}
    folder = write_tables(REFERENCE, joined, record)
    for line in lines:
        log_test(**line, commit=record["commit"], why="the reference edition")
    return folder


def _unscored(cohort: pd.DataFrame, without_weights: Mapping[str, Run], scored: set[str]) -> Iterator[tuple[str, Run]]:
    from brainseg.networks.backend import configure_backend
    from brainseg.networks.runs import load_reference

    configure_backend()
    for record in reference_runs(with_weights=True):
        if record.digest() not in scored:
            # From the kept weights, which are halves: what is scored is what was kept.
            yield record.name, load_reference(record, cohort.attrs["root"])
    for name, run in without_weights.items():
        if run.record.digest() not in scored:
            yield name, run


def score_run(run: Run, name: str) -> dict[str, pd.DataFrame]:
    """The rows of one run in each table."""
    from brainseg.evaluation.predict import evaluate

    by_patient = run.record.split_by == "patient"
    described = {"run": name, "protocol": "honest" if by_patient else "article"}
    described |= {"model": run.recipe.model, "fold": run.record.fold, "seed": run.recipe.seed}
    slices = evaluate(run).assign(part="test")
    patients = score_patients(slices, by=["part"]).reset_index()
    missing = run.prepared.table.groupby("patient")[["missing_pre", "missing_post"]].first().any(axis=1)
    patients["missing_sequence"] = patients["patient"].map(missing)
    tables = {"slices": slices[["part", *SLICE_COLUMNS]], "patients": patients[PATIENT_COLUMNS]}
    if not by_patient:
        tables["article"] = article_rows(run)
    for table in tables.values():
        for place, (key, value) in enumerate(described.items()):
            table.insert(place, key, value)
    return tables


def article_rows(run: Run) -> pd.DataFrame:
    """Loss, IoU and Dice by the article's convention: training, validation, test, and test by kind of slice."""
    from brainseg.evaluation.predict import article_scores

    tumour = run.prepared.table["tumour_px"].to_numpy() > 0
    sides = {part: run.rows(part) for part in ("train", "validation", "test")}
    groups = {(part, "all"): rows for part, rows in sides.items()}
    groups |= {("test", "tumour"): sides["test"][tumour[sides["test"]]]}
    groups |= {("test", "empty"): sides["test"][~tumour[sides["test"]]]}
    return pd.DataFrame(
        [
            {"part": part, "group": group, "slices": len(rows), **article_scores(run, rows)}
            for (part, group), rows in groups.items()
        ]
    )


def reproduce(data: str) -> pd.DataFrame:
    """Score the reference runs on their own test patients again and compare with the kept tables.

    Patients whom no split names are not scored: the locked test set is nobody's to look at.

    Returns
    -------
    DataFrame
        One row per run and test patient that the cohort has: ``run, patient, dice_again, dice_kept, difference`` (Dice
        of the volume), and ``same``: whether the two lie within `TOLERANCE`.

    Raises
    ------
    ValueError
        Where there are no runs with weights, or the cohort has none of the patients.
    """
    records = reference_runs(with_weights=True)
    if not records or not has_tables(REFERENCE):
        raise ValueError(
            "There are no runs with weights in results/reference. Make them: python -m brainseg experiment reference."
        )
    from brainseg.networks.backend import configure_backend
    from brainseg.networks.runs import load_reference

    configure_backend()
    kept = read_table(REFERENCE, "patients").query("part == 'test'")[["run", "patient", "dice"]]
    root = get_cohort(data)
    cohort = index_cohort(root)
    again = []
    for record in records:
        if not (record.split(cohort) == "test").any():
            continue
        patients = score_run(load_reference(record, root), record.name)["patients"]
        again.append(patients[["run", "patient", "dice"]])
    if not again:
        raise ValueError(f"None of the reference's test patients is in {data}.")
    both = pd.concat(again).merge(kept, on=["run", "patient"], how="left", suffixes=("_again", "_kept"))
    both["difference"] = both["dice_again"] - both["dice_kept"]
    far = both["difference"].abs().gt(TOLERANCE) | (both["dice_again"].isna() != both["dice_kept"].isna())
    return both.assign(same=~far)


def _line(name: str, run: Run, patients: pd.DataFrame) -> dict:
    """What the log says of a scored run. It keeps the score when the weights are replaced."""
    tested = patients[patients["part"] == "test"]
    return {
        "run": name,
        "patients": len(tested),
        "slices": len(run.rows("test")),
        "weights": run.record.digest(),
        "epochs": run.recipe.epochs,
        "validation_dice": run.record.validation_dice,
        "mean_dice": tested["dice"].mean(),
    }
