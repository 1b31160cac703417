"""What is to be trained: a plan is a list of trainings, each known by everything that decides its weights.

Making a plan reads no image and loads no Keras, so it answers at once what there is to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from brainseg.images.prepared import prepared_fingerprint
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import RECORD, run_folder


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
    """

    recipe: Recipe
    preprocessing: Preprocessing
    split: pd.Series = field(repr=False)
    labels: Mapping[str, str | int]

    def folder(self, cohort: pd.DataFrame) -> Path:
        """Where its run lies, trained or not; two trainings with one folder are the same network.

        Parameters
        ----------
        cohort : DataFrame
            From :func:`brainseg.cohort.index_cohort`.
        """
        return run_folder(self.recipe, prepared_fingerprint(cohort, self.preprocessing), self.split)

    def is_done(self, cohort: pd.DataFrame) -> bool:
        """Whether its run has been trained to its end."""
        return (self.folder(cohort) / RECORD).is_file()


def to_do(plan: Iterable[Training], cohort: pd.DataFrame) -> list[Training]:
    """The trainings of a plan that have not been done, each network once."""
    missing = {training.folder(cohort): training for training in plan if not training.is_done(cohort)}
    return list(missing.values())
