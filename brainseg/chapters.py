"""The runs that the chapters share, described by the chapters' parameters."""

from __future__ import annotations

from pathlib import Path

from brainseg.cohort import find_cohort
from brainseg.kept import kept_split
from brainseg.prepare import Preprocessing, prepare
from brainseg.recipe import Recipe
from brainseg.runs import Run, find_on_record, load_kept, train_or_load
from brainseg.splits import make_split


def study_options(model: str, filters: int) -> dict[str, int]:
    """Options of a network in this study, chosen so that no network is starved (chapter 8 prints what each costs).

    FCN-32 enlarges the slice, which gives its coarse grid more of the proportion that its paper has. ResUNet gets a
    level more than in its paper, so that it sees as much of the head as U-Net does. `filters` is the width of all
    three.
    """
    return {
        "fcn32": {"filters": filters, "enlarge": 2},
        "unet": {"filters": filters},
        "resunet": {"filters": filters, "depth": 4},
    }[model]


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
    """The run that a chapter's parameters describe: kept with the project, or trained if it has not been before.

    Chapters 5 to 7 train these runs and chapters 8 and 9 load them, each by this one call, so that
    equal parameters always mean equal weights. The three networks get the same slices, steps and
    settings.

    Parameters
    ----------
    model : str
        A name of :data:`brainseg.models.MODELS`.
    data : str or path
        As :func:`brainseg.cohort.find_cohort`.
    seed, image_size, contrast, crop, split_by, fold, filters, epochs, slices_per_epoch
        As in :class:`Recipe`, :class:`brainseg.preprocessing.Preprocessing` and
        :func:`brainseg.splits.make_split`.
    """
    prepared = prepare(find_cohort(data), Preprocessing(image_size=image_size, contrast=contrast, crop=crop))
    recipe = Recipe(
        model=model,
        options=study_options(model, filters),
        epochs=epochs,
        slices_per_epoch=slices_per_epoch,
        tumour_share=0.5,
        drop_sequence=0.1,
        learning_rate=1e-3,
        seed=seed,
    )
    known = find_on_record(recipe, prepared, split_by, fold)
    if known is None:
        return train_or_load(recipe, prepared, make_split(prepared.table, by=split_by, fold=fold, seed=seed))
    if (known / "best.npz").is_file():
        return load_kept(known, prepared)
    # Its weights are not kept. It stands beside networks whose weights are, so it is trained on their sides: in a larger
    # cohort, a new split would put test patients of the one into the training of the other.
    return train_or_load(recipe, prepared, kept_split(known, prepared.table))
