"""What is to be trained: a plan is a list of trainings, each known by everything that decides its weights.

Making a plan reads no image and loads no Keras, so it answers at once what there is to do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from brainseg.chapters import require_size
from brainseg.data import phantom_table, prepare_phantom
from brainseg.experiments.changes import change_named
from brainseg.images.prepared import Prepared, prepare, prepared_fingerprint
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import RECORD, RunRecord, finished_runs, reference_runs, run_folder
from brainseg.provenance import processor

MAY_BE_EMPTY = {"may_be_empty": True}
"""Metadata of a field of an experiment's settings: a list of which an empty one means something."""


class Phantom(NamedTuple):
    """A phantom that takes the place of a cohort.

    Attributes
    ----------
    patients, seed : int
        As :func:`brainseg.phantom.make_phantom` takes them.
    change : str
        A name that :func:`brainseg.experiments.changes.change_named` knows, or empty for the study's own.
    """

    patients: int
    seed: int
    change: str = ""

    def table(self) -> pd.DataFrame:
        """Its slices, as :func:`brainseg.data.phantom_table` gives them."""
        return phantom_table(self.patients, self.seed, change_named(self.change))

    def prepare(self, preprocessing: Preprocessing) -> Prepared:
        """Its arrays, drawn where they are absent."""
        return prepare_phantom(self.patients, self.seed, preprocessing, change_named(self.change))


PHANTOM = Phantom(160, 7)
"""On which a network is trained first, where an experiment says so."""


@dataclass(frozen=True, eq=False)
class Training:
    """One network that an experiment needs.

    Attributes
    ----------
    recipe : Recipe
    preprocessing : Preprocessing
    split : Series
        "train", "validation" or "test" for each row of the cohort's table; other values keep a row out.
    labels : mapping
        What tells this training from the others in the experiment's tables, such as its arm and its seed.
    phantom : Phantom, optional
        Takes the place of the cohort; the split is then one of its table.
    start : Training, optional
        Whose weights this one starts from: see :meth:`starting_from`.

    Raises
    ------
    ValueError
        Where the network does not take slices of this size, or has no filters.
    """

    recipe: Recipe
    preprocessing: Preprocessing
    split: pd.Series = field(repr=False)
    labels: Mapping[str, str | int]
    phantom: Phantom | None = None
    start: Training | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require_size(self.recipe, self.preprocessing)

    def starting_from(self, first: Training, cohort: pd.DataFrame) -> Training:
        """The same training, which starts from the weights of another; cohort as in :meth:`folder`."""
        return replace(self, recipe=replace(self.recipe, start=first.folder(cohort).name), start=first)

    def prepare(self, root: str | Path) -> Prepared:
        """The arrays that it is trained on, made where they are absent; `root` is the cohort's folder."""
        return prepare(root, self.preprocessing) if self.phantom is None else self.phantom.prepare(self.preprocessing)

    def folder(self, cohort: pd.DataFrame) -> Path:
        """Where its run lies, trained or not; two trainings with one folder are the same network.

        Parameters
        ----------
        cohort : DataFrame
            From :func:`brainseg.cohort.index_cohort`.
        """
        slices = cohort if self.phantom is None else self.phantom.table()
        return run_folder(self.recipe, prepared_fingerprint(slices, self.preprocessing), self.split)

    @property
    def steps(self) -> int:
        """How many steps the training takes from its first epoch to its last."""
        return self.recipe.all_steps(int((self.split == "train").sum()))

    def is_done(self, cohort: pd.DataFrame) -> bool:
        """Whether its run has been trained to its end."""
        return (self.folder(cohort) / RECORD).is_file()


def on_the_phantom(
    recipe: Recipe, preprocessing: Preprocessing, labels: Mapping[str, str | int], phantom: Phantom = PHANTOM
) -> Training:
    """A training on all patients of a phantom and on nobody else: nobody validates, and it starts from no other."""
    everyone = pd.Series("train", index=phantom.table().index, name="split")
    # The recipe of a kept run names whose weights that run started from.
    return Training(replace(recipe, start=""), preprocessing, everyone, labels, phantom=phantom)


def after_the_phantom(training: Training, cohort: pd.DataFrame) -> Training:
    """A training that starts from the same network, trained by the same recipe :func:`on_the_phantom`.

    Parameters
    ----------
    training : Training
    cohort : DataFrame
        As in :meth:`Training.folder`.
    """
    first = on_the_phantom(training.recipe, training.preprocessing, {"phantom": PHANTOM.patients})
    return training.starting_from(first, cohort)


@dataclass(frozen=True)
class Workload:
    """What there is to do for a plan.

    Attributes
    ----------
    trainings : int
        Of the plan, each network once.
    done : int
        Those that have been trained.
    steps : int
        Of the trainings that are missing.
    seconds : float
        They will take about so long, by the measured steps of finished runs of the same network; NaN where
        nothing like them has been trained.
    """

    trainings: int
    done: int
    steps: int
    seconds: float

    def sentence(self) -> str:
        """As in "12 trainings, 4 of them done; the other 8 (9,216 steps) take about 35 minutes."."""
        left = self.trainings - self.done
        if not left:
            return f"{self.trainings} trainings, all of them done."
        time = f"about {_duration(self.seconds)}" if math.isfinite(self.seconds) else "a time that nothing here tells"
        return (
            f"{self.trainings} trainings, {self.done} of them done; the other {left} ({self.steps:,} steps) take "
            f"{time}."
        )


def workload(plan: Iterable[Training], cohort: pd.DataFrame) -> Workload:
    """How much of a plan is done, and what the rest will take."""
    plan = list(plan)
    missing = to_do(plan, cohort)
    everything = len({training.folder(cohort) for training in _with_starts(plan)})
    # What was measured on this machine goes before what the reference runs say of theirs.
    # A bundle brings runs of another machine into the build folder. A run here names this processor first.
    here = [record for record in finished_runs() if record.processor.startswith(processor())]
    measured = seconds_per_step_and_pixel(reference_runs()) | seconds_per_step_and_pixel(here)
    seconds = sum(
        training.steps * training.preprocessing.image_size**2 * measured.get(_kind(training.recipe), math.nan)
        for training in missing
    )
    return Workload(everything, everything - len(missing), sum(training.steps for training in missing), seconds)


def seconds_per_step_and_pixel(records: Iterable[RunRecord]) -> dict[tuple, float]:
    """Median seconds of a training step for each pixel of a slice, the validation's share included, by kind of network.

    A step takes about as long as its slices are large, so that a run at one size tells of another.
    """
    seconds: dict[tuple, list[float]] = {}
    for record in records:
        steps = record.recipe.all_steps(record.training_slices)
        each = record.seconds / (steps * record.preprocessing.image_size**2)
        seconds.setdefault(_kind(record.recipe), []).append(each)
    return {kind: float(np.median(values)) for kind, values in seconds.items()}


def _kind(recipe: Recipe) -> tuple:
    """What a step's time depends on, but for the size of the slices."""
    return recipe.model, *sorted(recipe.options.items()), recipe.batch_size


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return (
        f"{seconds:.0f} seconds"
        if minutes < 1.5
        else f"{minutes:.0f} minutes"
        if minutes < 90
        else f"{minutes / 60:.1f} hours"
    )


def to_do(plan: Iterable[Training], cohort: pd.DataFrame) -> list[Training]:
    """The trainings of a plan that have not been done, each network once, and after the one that it starts from."""
    missing = {training.folder(cohort): training for training in _with_starts(plan) if not training.is_done(cohort)}
    return list(missing.values())


def _with_starts(plan: Iterable[Training]) -> Iterator[Training]:
    for training in plan:
        if training.start is not None:
            yield from _with_starts([training.start])
        yield training
