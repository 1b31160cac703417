"""The recipe of the study, the run that a chapter's parameters describe, and what chapters say alike of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import MODEL_NAMES, MODELS, Recipe
from brainseg.networks.record import RunRecord, differences, find_reference, reference_runs, run_folder
from brainseg.splits import make_split

if TYPE_CHECKING:
    import keras

    from brainseg.networks.runs import Run


LARGEST_SEED = 2**32 - 1
"""Of those that :func:`keras.utils.set_random_seed` takes, which says so only once the slices are prepared."""

SHORT_LEARNING_RATE = 2e-3
"""Twice the study's, for trainings of a few epochs."""


def study_recipe(model: str = "unet", *, filters: int = 16, **settings) -> Recipe:
    """THE recipe of this study for one of its networks.

    The three networks get the same slices, steps and settings. Their options are chosen so that no network is starved
    (chapter 8 prints what each costs): FCN-32 enlarges the slice, which gives its coarse grid more of the proportion
    that its paper has. ResUNet gets a level more than in its paper, so that it sees as much of the head as U-Net does.

    Parameters
    ----------
    model : str
        A name of :data:`brainseg.networks.recipe.MODELS`.
    filters : int
        The width of all three.
    **settings
        Fields of :class:`Recipe` in which a training departs from the study's.
    """
    extra = {"fcn32": {"enlarge": 2}, "unet": {}, "resunet": {"depth": 4}}[model]
    return Recipe(model=model, options={"filters": filters, **extra}, **settings)


def study_run(
    model: str,
    data: str | Path,
    *,
    seed: int,
    image_size: int,
    contrast: str,
    crop: str,
    split_by: str,
    fold: int,
    filters: int,
    epochs: int,
    slices_per_epoch: int,
) -> Run:
    """The run that a chapter's parameters describe: a reference run, or trained if it has not been before.

    Chapters 5 to 7 train these runs and chapters 8 and 9 load them, each by this one call, so that
    equal parameters always mean equal weights.

    Parameters
    ----------
    model : str
        A name of :data:`brainseg.networks.recipe.MODELS`.
    data : str or path
        As :func:`brainseg.data.get_cohort`.
    seed, image_size, contrast, crop, split_by, fold, filters, epochs, slices_per_epoch
        As in :class:`Recipe`, :class:`brainseg.images.preprocess.Preprocessing` and
        :func:`brainseg.splits.make_split`.
    """
    from brainseg.images.prepared import prepare
    from brainseg.networks.backend import configure_backend
    from brainseg.networks.runs import load_run, train_or_load

    preprocessing = Preprocessing(image_size=image_size, contrast=contrast, crop=crop)
    recipe = study_recipe(model, filters=filters, epochs=epochs, slices_per_epoch=slices_per_epoch, seed=seed)
    require_size(recipe, preprocessing)
    root = get_cohort(data)
    _study_split(index_cohort(root), recipe, preprocessing, split_by, fold)  # refuses before the slices are prepared
    prepared = prepare(root, preprocessing)
    record, split = _study_split(prepared.table, recipe, preprocessing, split_by, fold)
    if record is not None and record.has_weights:
        configure_backend()
        return load_run(record, prepared, split)
    # Where a reference run is there without its weights, it stands beside networks whose weights are kept, so it is
    # trained on their sides: in a larger cohort, a new split would put test patients of the one into the training of
    # the other.
    return train_or_load(recipe, prepared, split)


def _study_split(
    table: pd.DataFrame, recipe: Recipe, preprocessing: Preprocessing, split_by: str, fold: int
) -> tuple[RunRecord | None, pd.Series]:
    """The reference run that a run would be, and its sides; none, and new sides, where the cohort is another one.

    Raises
    ------
    ValueError
        Where the cohort cannot be split so; where a side shows no tumour, so that nothing is learnt or scored.
    """
    record = find_reference(recipe, preprocessing, split_by, fold)
    split = None if record is None else record.split(table)
    if split is None or not {"train", "test"} <= set(split):
        record, split = None, make_split(table, by=split_by, fold=fold, seed=recipe.seed)
    for side in ("train", "test"):
        if not (table["tumour_px"][split == side] > 0).any():
            raise ValueError(
                f"split by {split_by}, none of the {(split == side).sum()} slices to {side} on shows tumour; another "
                "fold or seed may do"
            )
    return record, split


def size_step(recipe: Recipe) -> int:
    """The number of pixels of which a network's image size is a multiple; what the networks themselves ask for."""
    if recipe.model == "fcn32":
        return 32 // recipe.options.get("enlarge", 1)
    return 2 ** recipe.options.get("depth", {"unet": 4, "resunet": 3}[recipe.model])


def require_size(recipe: Recipe, preprocessing: Preprocessing) -> None:
    """Refuse an image size that a network does not take, without building it.

    Raises
    ------
    ValueError
        With sizes that it takes.
    """
    size, step = preprocessing.image_size, size_step(recipe)
    if size % step:
        below = max(size // step, 1) * step
        raise ValueError(
            f"image_size {size} does not fit {MODEL_NAMES[recipe.model]}, which needs a multiple of {step}: choose "
            f"{below} or {below + step}"
        )
    if recipe.options.get("filters", 1) < 1:
        raise ValueError(f"filters must be at least 1, not {recipe.options['filters']}")


def study_settings(parameters: Mapping) -> tuple[Preprocessing, dict[str, Recipe]]:
    """What a chapter's parameters say of the slices, and of each network by name; others are passed over."""
    preprocessing = Preprocessing(**{name: parameters[name] for name in ("image_size", "contrast", "crop")})
    given = {name: parameters[name] for name in ("filters", "epochs", "slices_per_epoch", "seed")}
    return preprocessing, {model: study_recipe(model, **given) for model in MODELS}


def study_runs(parameters: Mapping) -> dict[str, str]:
    """The names of the runs that :func:`study_run` gives for a chapter's parameters, trained or not.

    Parameters
    ----------
    parameters : mapping
        As :func:`study_run` takes them; others are passed over.

    Returns
    -------
    dict
        Network -> the name of its run's folder.

    Raises
    ------
    ValueError
        Where the cohort cannot be split so.
    """
    from brainseg.images.prepared import prepared_fingerprint

    preprocessing, recipes = study_settings(parameters)
    table = index_cohort(get_cohort(parameters["data"]))
    names = {}
    for model, recipe in recipes.items():
        record, split = _study_split(table, recipe, preprocessing, parameters["split_by"], parameters["fold"])
        if record is None or not record.has_weights:
            names[model] = run_folder(recipe, prepared_fingerprint(table, preprocessing), split).name
        else:
            names[model] = record.name
    return names


def require_feasible(parameters: Mapping) -> None:
    """Refuse a chapter's parameters with which a training would fail, before anything else is done.

    Parameters
    ----------
    parameters : mapping
        As :func:`study_run` takes them; others are passed over.

    Raises
    ------
    ValueError
        Where a setting is wrong, a network does not take the image size, the cohort has too few patients, or those who
        train or are tested show no tumour. Chapters that split by patient in any case have to be possible as well.
    """
    preprocessing, recipes = study_settings(parameters)
    for recipe in recipes.values():
        require_size(recipe, preprocessing)
    table = index_cohort(get_cohort(parameters["data"]))
    try:
        for recipe in recipes.values():
            for split_by in dict.fromkeys((parameters["split_by"], "patient")):
                _study_split(table, recipe, preprocessing, split_by, parameters["fold"])
    except ValueError as error:
        patients = table["case"].nunique()
        raise ValueError(
            f"No network can be trained on {parameters['data']} ({patients} patients): {error}. Chapters "
            "1 to 4 run on any cohort, one at a time, as in: python -m brainseg notebook 01"
        ) from None


def require_reference(parameters: Mapping) -> None:
    """Refuse a chapter's parameters where one of the three networks would have to be trained.

    For a profile that promises to train nothing. A network that comes near a reference run without meeting it would
    otherwise be trained for hours.

    Parameters
    ----------
    parameters : mapping
        As :func:`study_run` takes them; others are passed over.

    Raises
    ------
    ValueError
        The message says in what each network differs from the reference run of its fold.
    """
    preprocessing, recipes = study_settings(parameters)
    problems = []
    for model, recipe in recipes.items():
        split_by, fold = parameters["split_by"], parameters["fold"]
        record = find_reference(recipe, preprocessing, split_by, fold)
        if record is not None and record.has_weights:
            continue
        if record is not None:
            problems.append(f"{record.name} is there without its weights")
            continue
        near = reference_runs(model, split_by, fold)
        problems += [f"{run.name} differs in {_named(differences(run, recipe, preprocessing))}" for run in near]
        problems += [] if near else [f"there is no {model} split by {split_by} in fold {fold}"]
    if problems:
        raise ValueError(
            "These settings promise to train nothing, and some networks are no reference runs:\n  "
            + "\n  ".join(problems)
            + "\nGive the settings of the reference runs, or add --train to have the networks trained."
        )


def _named(differing: Mapping[str, tuple]) -> str:
    return ", ".join(f"{name} ({theirs!r} there, {ours!r} here)" for name, (theirs, ours) in differing.items())


def of_type(value, kind: type, name: str):
    """A parameter's value, where it has the type that it should; a whole number may stand for a decimal one.

    Raises
    ------
    ValueError
        For a value of another type, and for a seed below 0 or above `LARGEST_SEED`.
    """
    if name == "seed" and type(value) is int and not 0 <= value <= LARGEST_SEED:
        raise ValueError(f"The parameter seed takes a whole number from 0 to {LARGEST_SEED}, not {value}.")
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is kind:
        return value
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    raise ValueError(f"The parameter {name} takes {wanted.get(kind, kind.__name__)}, not {value!r}.")


# ---------------------------------------------------------------- what chapters say alike


def epochs_text(epochs: int, slices_per_epoch: int) -> str:
    """As in "12 epochs of 480 slices"; all slices of the training side where an epoch has no number of its own."""
    return f"{epochs} epoch{'s' * (epochs > 1)} of {slices_per_epoch or 'all'} slices"


def trainings_text(record: dict) -> str:
    """As in "9 trainings, 6.2 minutes together (6 on a GPU; 3 on a CPU)": of an experiment; its tables' record."""
    runs = {run["weights"]: run for run in record["runs"]}.values()  # a network may stand in several rows
    processors = Counter(run["processor"] for run in runs)
    said = f"{len(runs)} training{'s' * (len(runs) != 1)}, {sum(run['seconds'] for run in runs) / 60:.1f} minutes"
    if len(processors) == 1:
        return f"{said} on {next(iter(processors))}"
    return f"{said} together ({'; '.join(f'{count} on {name}' for name, count in processors.most_common())})"


def network_summary(model: keras.Model) -> str:
    """How large a network is, what a slice costs it, and how much of the slice it sees, in Markdown."""
    from brainseg.networks.models import multiply_adds, receptive_field

    size, reach = model.input_shape[1], receptive_field(model)
    seen = "the whole frame" if reach >= size else f"{reach} of {size} rows of the input"
    return (
        f"It has **{model.count_params():,} parameters** and needs {multiply_adds(model) / 1e6:,.0f} million "
        f"multiply-adds for one slice of {size} × {size} pixels. Its output at the centre depends on {seen}."
    )


def training_summary(run: Run) -> str:
    """How a training went, and what its validation score is good for, in Markdown."""
    record = run.record
    memory = (
        ""
        if record.peak_memory_mib is None
        else f", and needed at most {record.peak_memory_mib / 1024:.1f} GiB of memory"
    )
    said = f"The training took **{record.seconds / 60:.1f} minutes** on {record.processor}{memory}. "
    if record.recipe.start:
        said += (
            "It began from a network of the same kind that had been trained on simulated patients alone, whose minutes "
            "come on top. "
        )
    if record.validation_dice is None:
        said += (
            f"Nobody validated it: its length, {record.recipe.epochs} epochs, was fixed beforehand, and the weights of "
            "the last epoch are kept. "
        )
    else:
        said += (
            f"The best epoch was {record.best_epoch} of {record.recipe.epochs}, with a mean validation Dice of "
            f"{record.validation_dice:.3f} (validation patients: {len(record.patients['validation'])}). It is taken on "
            "the slices as the network sees them, and no piece of a prediction is dropped. The epoch was chosen by "
            "this very number, so it is too good to be reported. "
        )
    said += (
        "[Chapter 8](08_compare.html) scores patients who had no say in any epoch, in the original frame.\n\n"
        f"{shown_sentence(run)}"
    )
    if not patients_on_several_sides(run.prepared.table, run.split):
        return said
    return (
        f"{said}\n\n**Slices were split here, not patients.** Slices of one patient stand on more than one side, so "
        "the network has seen near-copies of the slices that it is scored on. Where the text calls validation or test "
        "patients new to the network, that is not true of this run, and its scores are no estimate of how the network "
        "does on a new patient."
    )


def patients_on_several_sides(table: pd.DataFrame, split: pd.Series) -> int:
    """How many patients have slices on more than one side of a split; 0 where patients were split."""
    return int((split.groupby(table["patient"]).nunique() > 1).sum())


def shown_part(run: Run) -> str:
    """Whose slices a chapter on training shows: "validation", or "train" where nobody validates; nobody who tests."""
    return "validation" if (run.split == "validation").any() else "train"


def shown_sentence(run: Run) -> str:
    """Whose slices they are, and what that means, in Markdown."""
    if shown_part(run) == "validation":
        return "The pictures below are of **validation** patients: the network was not trained on their slices."
    return (
        "This network was trained without validation patients, so that all could train. The pictures and scores below "
        "are therefore of slices that it was **trained on**, and look better than those of a new patient would."
    )


def example_rows(run: Run) -> np.ndarray:
    """Up to three slices of :func:`shown_part` to look at, from a large tumour to a small one.

    They are the slices at a tenth, a half and nine tenths of the part's tumour slices, in the order of the tumour's
    area.

    Returns
    -------
    ndarray of int
        Row numbers in the prepared table; none where the part has no slice with tumour.
    """
    tumour_px = run.prepared.table["tumour_px"].to_numpy()
    rows = run.rows(shown_part(run))
    rows = rows[tumour_px[rows] > 0]
    rows = rows[np.argsort(-tumour_px[rows])]
    places = [len(rows) // 10, len(rows) // 2, len(rows) * 9 // 10]
    return rows[np.unique(places)] if len(rows) else rows
