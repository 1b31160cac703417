"""The reference edition: its runs are trained, scored on their test patients, and checked ever after.

The protocol is frozen in ``results/protocol.md``, and :func:`protocol` states it for machines. The profile
``reference`` gives the chapters the same parameters, so that they find the reference runs by them. A network's result
is the mean of the probabilities of its seeds. Everything that comes out lies in ``results/reference/``::

    MODEL-by-SPLIT-foldN-seedS/   a run: history, record, split, the masks of its test slices, and its weights where
                                  `keeps_weights` says so
    masks/MODEL-by-SPLIT-foldN.npz   the masks of the seeds together
    slices.csv, patients.csv      the seeds together: one row per network, fold and test slice, or test patient
    seeds.csv                     each seed for itself: one row per run and test patient
    article.csv                   the runs that were split by slice, scored as the article scores
    test_log.csv                  looks at test patients that led to a result: when, which weights, their score, the
                                  commit
    record.json                   where the tables come from
    folds.csv                     an input, which nothing here writes: in which fold each patient is tested
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainseg.chapters import study_recipe
from brainseg.evaluation.masks import pack_masks, save_masks
from brainseg.evaluation.scores import SMALLEST_PIECE, VOLUME_COLUMNS, score_patients
from brainseg.experiments.plan import PHANTOM, Training, after_the_phantom
from brainseg.experiments.ranking import MARGIN
from brainseg.images.preprocess import Preprocessing
from brainseg.metrics import THRESHOLD
from brainseg.networks.recipe import MODELS
from brainseg.networks.record import (
    MASKS,
    NEW,
    RunRecord,
    find_reference,
)
from brainseg.provenance import origin
from brainseg.results import (
    REFERENCE,
    changing,
    has_results,
    log_test,
    read_csv,
    read_log,
    results_folder,
    write_tables,
)
from brainseg.splits import make_split

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

PROTOCOLS = {
    "honest": ("patient", {}),
    # The article gives no sizes and no settings. What is not named here is as in the honest protocol: our reading.
    "article": ("slice", {"contrast": "clahe", "crop": "slice"}),
}
"""Protocol -> what it splits by, and in what its preprocessing departs from the study's."""

SEEDS = (0, 1, 2)
TOLERANCE = 0.01
"""How far a recomputed Dice may lie from the kept one. Sums of floats differ between processors, and convolutions in
bfloat16 carry two to three digits."""
SLICE_COLUMNS = ["patient", "slice", "tumour_px", "tp", "fp", "fn", "tn", "dice", "hd95_px", "nsd_1px", "nsd_2px"]
PATIENT_COLUMNS = [
    "patient", "institution", "slices", "tumour_slices", "tumour_px", "tp", "fp", "fn", "tn", "missed_slices",
    "false_alarm_slices", "dice", "iou", "precision", "recall", "specificity", "missing_sequence",
]  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Which runs are made.

    Attributes
    ----------
    models : tuple of str
        Names of :data:`brainseg.networks.recipe.MODELS`.
    folds : tuple of int
    seeds : tuple of int
        The runs of a network and fold whose mean is its result.
    protocol : {"honest", "article"}
    """

    models: tuple[str, ...] = ("unet", "resunet", "fcn32")
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    seeds: tuple[int, ...] = SEEDS
    protocol: str = "honest"

    def __post_init__(self) -> None:
        for given, names in ((self.models, MODELS), ((self.protocol,), PROTOCOLS)):
            if strangers := set(given) - set(names):
                raise ValueError(f"unknown {', '.join(sorted(strangers))}: choose from {', '.join(names)}")


def protocol() -> dict:
    """What is frozen in ``results/protocol.json``: everything that decides the runs and their scores."""
    return {
        "networks": {model: asdict(study_recipe(model)) for model in MODELS},
        "preprocessing": asdict(Preprocessing()),
        "trained first on a phantom": {"patients": PHANTOM.patients, "seed": PHANTOM.seed},
        "validation": "nobody: the weights of the last epoch",
        "seeds": SEEDS,
        "result": "the mean of the probabilities of the seeds, and of each slice as it is and mirrored",
        "threshold": THRESHOLD,
        "smallest piece": SMALLEST_PIECE,
        "margin of equivalence": MARGIN,
        "article": {"preprocessing": asdict(Preprocessing(**PROTOCOLS["article"][1])), "split": "by slice, fold 0"},
    }


def participants(cohort: pd.DataFrame) -> pd.DataFrame:
    """The slices of the patients who take part in experiments.

    Of TCGA-LGG they are those whom ``folds.csv`` names: the locked test set stays unseen, whatever folder it lies in.
    Of other people's cohorts they are all.

    Parameters
    ----------
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.

    Returns
    -------
    DataFrame
        Rows of `cohort` with their index, so that a split of them is reindexed to one of the cohort; its ``attrs``.
    """
    named = _tested_in(cohort).notna()
    return cohort[named] if named.any() else cohort


def _tested_in(cohort: pd.DataFrame) -> pd.Series:
    """The fold in which the patient of each slice is tested; NaN where ``folds.csv`` does not name the patient."""
    path = results_folder(REFERENCE) / "folds.csv" if has_results() else None
    if path is None or not path.is_file():
        return pd.Series(np.nan, index=cohort.index)
    return cohort["patient"].map(read_csv(path).set_index("patient")["fold"])


def fold_sides(cohort: pd.DataFrame, fold: int) -> pd.Series:
    """The side of each slice in one fold: "test", "train", or "new" for a patient whom no fold names.

    Parameters
    ----------
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    fold : int

    Raises
    ------
    ValueError
        Where no patient of the cohort is tested in this fold.
    """
    tested_in = _tested_in(cohort)
    if not (tested_in == fold).any():
        raise ValueError(f"no patient of {cohort.attrs['root']} is tested in fold {fold}: name the whole cohort")
    sides = (tested_in == fold).map({True: "test", False: "train"})
    return sides.where(tested_in.notna(), NEW).rename("split")


def sides(cohort: pd.DataFrame, fold: int, seed: int) -> pd.Series:
    """Who trains and who is tested in a fold of an experiment, where nobody validates.

    Patients of the reference edition keep their folds, so that one fold 0 is meant everywhere. Others are dealt anew.

    Parameters
    ----------
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    fold : int
    seed : int
        Of the split, where the patients are dealt anew.

    Returns
    -------
    Series
        "train", "test", or "new" for a patient who has no part in it.
    """
    if _tested_in(cohort).notna().any():
        return fold_sides(cohort, fold)
    return make_split(cohort, by="patient", fold=fold, seed=seed).replace("validation", "train")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """The runs of the reference edition that are needed for results that are not there.

    A network and fold whose seeds have been scored together needs none; of the others, a run whose weights are kept
    is not trained again.

    Raises
    ------
    ValueError
        On a synthetic cohort, which is no reference for anything.
    """
    if cohort["synthetic"].any():
        raise ValueError("The reference edition is made on the real cohort. Name its folder with --data.")
    return [training for group in _unfinished(cohort, settings) for training, record in group if not _kept(record)]


def _unfinished(cohort: pd.DataFrame, settings: Settings) -> list[list[tuple[Training, RunRecord | None]]]:
    """The networks and folds that lack a result: for each its seeds, with the record of those that are kept."""
    groups = []
    for model, fold in itertools.product(settings.models, settings.folds):
        trainings = [_training(model, fold, seed, cohort, settings.protocol) for seed in settings.seeds]
        group = [(training, _record(training, settings.protocol)) for training in trainings]
        if not (all(record for _, record in group) and masks_of(settings.protocol, model, fold).is_file()):
            groups.append(group)
    return groups


def _kept(record: RunRecord | None) -> bool:
    return record is not None and record.has_weights


def _training(model: str, fold: int, seed: int, cohort: pd.DataFrame, protocol: str) -> Training:
    split_by, departures = PROTOCOLS[protocol]
    recipe, preprocessing = study_recipe(model, seed=seed), Preprocessing(**departures)
    labels = {"model": model, "fold": fold, "seed": seed}
    if split_by == "patient":
        return after_the_phantom(Training(recipe, preprocessing, fold_sides(cohort, fold), labels), cohort)
    known = fold_sides(cohort, fold) != NEW
    split = make_split(cohort[known], by=split_by, fold=fold, seed=0).reindex(cohort.index, fill_value=NEW)
    return Training(recipe, preprocessing, split.rename("split"), labels)


def _record(training: Training, protocol: str) -> RunRecord | None:
    return find_reference(training.recipe, training.preprocessing, PROTOCOLS[protocol][0], int(training.labels["fold"]))


def masks_of(protocol: str, model: str, fold: int) -> Path:
    """The file of the masks that the seeds of a network and fold predict together."""
    return results_folder(REFERENCE) / "masks" / f"{_network_name(protocol, model, fold)}.npz"


def _network_name(protocol: str, model: str, fold: int) -> str:
    return f"{model}-by-{PROTOCOLS[protocol][0]}-fold{fold}"


def keep_runs(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> Path:
    """Keep new runs, and score them, each for itself and the seeds of a network and fold together.

    The masks of the seeds together are written last, so an interrupted call does an unfinished network again. Of calls
    at once one scores at a time, and the next finds what it did.

    Returns
    -------
    Path
        ``results/reference``.
    """
    from brainseg.networks.runs import keep, load_reference

    split_by, _ = PROTOCOLS[settings.protocol]
    trained = iter(runs)
    with changing(f"{REFERENCE}-runs"):
        for group in _unfinished(cohort, settings):
            members = {}
            for training, record in group:
                run = None
                if not _kept(record):
                    # Another process may have kept some meanwhile, so not every run is wanted.
                    run = next(run for given, run in trained if given.labels == training.labels)
                    weights = keeps_weights(settings.protocol, training.recipe.seed)
                    record = keep(run, split_by, int(training.labels["fold"]), weights=weights)
                # From the kept weights, where they are kept: what is scored is what was kept.
                if record.has_weights:
                    run = load_reference(record, cohort.attrs["root"])
                members[record.name] = replace(
                    run, record=run.record.as_reference(split_by, int(training.labels["fold"]))
                )
            _score_together(cohort, settings.protocol, members)
    return results_folder(REFERENCE)


def keeps_weights(protocol: str, seed: int) -> bool:
    """Whether the project keeps the weights of a reference run, or only its record, history, split and masks.

    All weights together would be some 115 MB in every checkout and archive of the project: the first seed's are a third
    of that. Runs of the article's protocol never keep theirs: no one should predict with a network that was chosen on
    other slices of its test patients.
    """
    return protocol == "honest" and seed == SEEDS[0]


def _score_together(cohort: pd.DataFrame, protocol: str, members: dict[str, Run]) -> None:
    """Score the seeds of one network and fold, by name, each for itself and together, and write it all down."""
    from brainseg.evaluation.predict import evaluate_with_masks
    from brainseg.networks.models import mean_network

    first, record = next(iter(members.values())), {**origin(participants(cohort)), "tolerance": TOLERANCE}
    described = {"protocol": protocol, "model": first.recipe.model, "fold": first.record.fold}
    tables: dict[str, list[pd.DataFrame]] = {"seeds": [], "article": []}
    logged = set(read_log()["weights"].dropna())
    for name, member in members.items():
        own = {"run": name, **described, "seed": member.recipe.seed}
        slices, masks = evaluate_with_masks(member)
        save_masks(results_folder(REFERENCE) / name / MASKS, pack_masks(slices, masks))
        patients = score_patients(slices).reset_index()
        tables["seeds"].append(_with(own, patients[VOLUME_COLUMNS]))
        if protocol == "article":
            tables["article"].append(_with(own, article_rows(member)))
        if (digest := member.record.digest()) not in logged:
            log_test(
                run=name, patients=len(patients), slices=len(slices), weights=digest,
                epochs=member.recipe.epochs, validation_dice=member.record.validation_dice,
                mean_dice=patients["dice"].mean(), commit=record["commit"], why="the reference edition",
            )  # fmt: skip
    if len(members) > 1:
        slices, masks = evaluate_with_masks(
            replace(first, model=mean_network([member.model for member in members.values()]))
        )
    together = masks_of(**described)
    own = {"run": together.stem, **described, "networks": len(members)}
    missing = first.prepared.table.groupby("patient")[["missing_pre", "missing_post"]].first().any(axis=1)
    patients = score_patients(slices).reset_index()
    patients["missing_sequence"] = patients["patient"].map(missing)
    tables |= {"slices": [_with(own, slices[SLICE_COLUMNS])], "patients": [_with(own, patients[PATIENT_COLUMNS])]}
    _write({name: pd.concat(parts) for name, parts in tables.items() if parts}, record)
    save_masks(together, pack_masks(slices, masks))


def _with(described: dict, table: pd.DataFrame) -> pd.DataFrame:
    """A table with columns in front that say what it is of."""
    return pd.DataFrame({**described}, index=table.index).join(table)


def _write(tables: dict[str, pd.DataFrame], record: dict) -> None:
    """Put rows into the kept tables, in the place of those of the same runs."""
    joined = {}
    for name, table in tables.items():
        path = results_folder(REFERENCE) / f"{name}.csv"
        kept = read_csv(path) if path.is_file() else table.iloc[:0]
        joined[name] = pd.concat([kept[~kept["run"].isin(table["run"])], table]).sort_values("run", kind="stable")
    write_tables(REFERENCE, joined, record, add=True)


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
