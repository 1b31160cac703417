"""What a finished run says of itself, and the reference runs: networks that are kept so that nobody has to train them.

A run is a folder as :mod:`brainseg.networks.runs` makes it. A reference run lies under ``results/reference/``. It has
``split.csv`` as well, which says which patients, or which slices, it was trained, validated and tested on, the masks
that it predicts for its test slices, and its weights in half precision. Some reference runs are documents only:
history, record, split, masks and scores, without weights.

All of this is read without Keras, which takes seconds to load; :mod:`brainseg.networks.runs` loads the networks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import pandas as pd

from brainseg.cohort.find import case_of
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.weights import weights_digest
from brainseg.paths import build_folder, write_atomically
from brainseg.provenance import code_digest
from brainseg.results import REFERENCE, has_results, read_csv, results_folder

RECORD, WEIGHTS, HISTORY = "run.json", "best.npz", "history.csv"
"""The files of a run."""

SPLIT, MASKS = "split.csv", "masks.npz"
"""What a reference run has besides."""

NEW = "new"
"""The part of a split that holds the patients whom a reference run's split does not name."""


# The modules whose code changes weights. That of the preprocessing is part of the arrays' fingerprint.
CODE = [
    f"brainseg.networks.{name}"
    for name in ("layers", "models", "losses", "augmentation", "batches", "recipe", "training", "devices")
]


@dataclass(frozen=True)
class RunRecord:
    """The record of one finished run, ``run.json``.

    Attributes
    ----------
    folder : Path
        Where the run lies; not part of the file.
    recipe : Recipe
    preprocessing : Preprocessing
    prepared : str
        Fingerprint of the prepared arrays.
    patients : mapping
        The names of the patients that it was trained on (``"train"``) and its best epoch was chosen on
        (``"validation"``).
    training_slices : int
    best_epoch : int
        From 1.
    validation_dice : float, optional
        Of that epoch: mean over validation patients of the Dice of the volume, in the prepared frame. None where nobody
        validated: the last epoch then counts as the best.
    seconds : float
        Of training.
    parameters : int
        How many numbers the network learns or keeps.
    versions : mapping
        From :func:`brainseg.provenance.versions`; older records lack that of the backend.
    processor : str
        From :func:`brainseg.networks.backend.machine`; older records lack the GPU.
    commit : str, optional
    peak_memory_mib : float, optional
    split_by : {"patient", "slice"}, optional
        Of a reference run only, as is `fold`.
    fold : int, optional
    """

    folder: Path
    recipe: Recipe
    preprocessing: Preprocessing
    prepared: str
    patients: Mapping[str, list[str]]
    training_slices: int
    best_epoch: int
    validation_dice: float | None
    seconds: float
    parameters: int
    versions: Mapping[str, str]
    processor: str
    commit: str | None = None
    peak_memory_mib: float | None = None
    split_by: str | None = None
    fold: int | None = None

    @classmethod
    def read(cls, folder: str | Path) -> RunRecord:
        """Read the record of a finished run.

        Raises
        ------
        ValueError
            Where the folder holds no finished run, with the list of those that there are; where the record is damaged.
        """
        folder = Path(folder)
        path = folder / RECORD
        if not path.is_file():
            known = [record.folder for record in [*reference_runs(), *finished_runs()]]
            listed = "\n  ".join(map(str, known)) or "none yet"
            raise ValueError(f"{folder} holds no finished run. There are:\n  {listed}")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            values["recipe"], values["preprocessing"] = (
                Recipe(**values["recipe"]),
                Preprocessing(**values["preprocessing"]),
            )
            record = cls(folder=folder, **values)
            record.has_met()  # the guard against leaks rests on it
            return record
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"The record {path} is damaged ({error}). Restore it where the project keeps it; otherwise remove the "
                f"folder {folder} and train the run again."
            ) from error

    def write(self, folder: Path) -> None:
        """Write the record to a folder, whole or not at all."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "folder"}
        values |= {"recipe": asdict(self.recipe), "preprocessing": asdict(self.preprocessing)}
        if self.split_by is None:  # no reference run
            del values["split_by"], values["fold"]
        with write_atomically(folder / RECORD) as part:
            part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

    @property
    def name(self) -> str:
        """Of the folder; of a reference run ``MODEL-by-SPLIT-foldN-seedS``."""
        return self.folder.name

    @property
    def weights(self) -> Path:
        """The file of the weights of the best epoch, which may not be there: see `has_weights`."""
        return self.folder / WEIGHTS

    @property
    def has_weights(self) -> bool:
        """Whether the weights are there."""
        return self.weights.is_file()

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch: ``epoch, loss, validation_dice, learning_rate, seconds``."""
        return read_csv(self.folder / HISTORY)

    def as_reference(self, split_by: str, fold: int) -> RunRecord:
        """The same run, described as the reference run of a fold."""
        return replace(self, split_by=split_by, fold=fold)

    def digest(self) -> str:
        """The digest of the weights; see :func:`brainseg.networks.weights.weights_digest`."""
        return weights_digest(self.weights)

    def has_met(self) -> set[str]:
        """The patients that the run was trained on, or its best epoch chosen on."""
        return {patient for part in ("train", "validation") for patient in self.patients[part]}

    def sides(self) -> pd.DataFrame:
        """Who stands where in a reference run: ``patient, part``, and ``slice`` where it was split by slice."""
        return read_csv(self.folder / SPLIT)

    def split(self, table: pd.DataFrame) -> pd.Series:
        """The side of a reference run on which each slice of a cohort stands, "new" where it does not know it.

        Returns
        -------
        Series
            On the index of `table`.
        """
        sides = self.sides()
        keys = [name for name in ("patient", "slice") if name in sides]
        parts = table[keys].merge(sides, on=keys, how="left")["part"].fillna(NEW)
        return pd.Series(parts.to_numpy(), index=table.index, name="split")

    def summary(self) -> dict:
        """What the record of an experiment says of a run: best epoch, its validation Dice, seconds, processor."""
        return {key: getattr(self, key) for key in ("best_epoch", "validation_dice", "seconds", "processor")}


def run_folder(recipe: Recipe, prepared: str, split: pd.Series, folder: str | Path | None = None) -> Path:
    """Where a run lies, trained or not.

    The name ends in twelve hexadecimal digits that change with recipe, arrays, split and code. Versions of libraries
    and the processor are recorded in ``run.json`` but do not change them: they change weights by rounding only.

    Parameters
    ----------
    recipe : Recipe
    prepared : str
        Fingerprint of the prepared arrays.
    split : Series
        Side of every slice.
    folder : path, optional
        Where runs are kept; ``runs`` in the build folder by default.
    """
    parts = [json.dumps(asdict(recipe), sort_keys=True), prepared, ",".join(split.tolist()), code_digest(*CODE)]
    identity = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    return Path(folder or build_folder() / "runs") / f"{recipe.model}-{identity}"


def _finished(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/{RECORD}"))


def reference_runs(
    model: str | None = None, split_by: str | None = None, fold: int | None = None, *, with_weights: bool = False
) -> list[RunRecord]:
    """The reference runs that fit what is given, by name; none where the package is installed without its checkout.

    Parameters
    ----------
    model, split_by, fold
        Only runs of this network, split, fold.
    with_weights : bool
        Only runs whose weights are there.
    """
    if not has_results():
        return []
    wanted = {"split_by": split_by, "fold": fold}
    records = map(RunRecord.read, _finished(results_folder(REFERENCE)))
    return [
        record
        for record in records
        if model in (None, record.recipe.model)
        and all(value in (None, getattr(record, key)) for key, value in wanted.items())
        and (record.has_weights or not with_weights)
    ]


def finished_runs() -> list[RunRecord]:
    """The runs in the build folder that were trained to their end."""
    records = []
    for folder in _finished(build_folder() / "runs"):
        with contextlib.suppress(ValueError):  # of other code, whose records have other fields
            records.append(RunRecord.read(folder))
    return records


def reference_patients() -> set[str]:
    """The patients whom the reference runs with weights know: those that their splits name."""
    return {patient for record in reference_runs(with_weights=True) for patient in record.sides()["patient"]}


def shares_reference_patients(cohort: pd.DataFrame) -> bool:
    """Whether the reference runs with weights know a patient of a cohort."""
    return bool(cohort["patient"].isin(reference_patients()).any())


def locked_patients(patients: Iterable[str]) -> set[str]:
    """Those of some patients who are named as the locked test set is: of the reference runs' institutions, but new."""
    known = {case_of(patient) for patient in reference_patients()}
    institutions = {case.rpartition("_")[0] for case in known}
    cases = {patient: case_of(patient) for patient in patients}
    return {patient for patient, case in cases.items() if case not in known and case.rpartition("_")[0] in institutions}


def reference_digests() -> dict[str, str]:
    """The digest of the weights of each reference run by patient: which edition a table stands beside."""
    return {record.name: record.digest() for record in reference_runs(split_by="patient", with_weights=True)}


def find_reference(recipe: Recipe, preprocessing: Preprocessing, split_by: str, fold: int) -> RunRecord | None:
    """The reference run with this recipe, preprocessing and fold. Its weights may not be there."""
    for record in reference_runs(recipe.model, split_by, fold):
        if not differences(record, recipe, preprocessing):
            return record
    return None


def differences(record: RunRecord, recipe: Recipe, preprocessing: Preprocessing) -> dict[str, tuple]:
    """In what a recipe and a preprocessing differ from those of a run: name -> (the run's, the given one).

    Whose weights a run started from is not compared. That name changes with the code that drew a phantom, which must
    not put the reference runs out of reach.
    """
    theirs = asdict(record.recipe) | asdict(record.preprocessing)
    ours = asdict(recipe) | asdict(preprocessing)
    return {name: (theirs[name], ours[name]) for name in ours if theirs[name] != ours[name] and name != "start"}
