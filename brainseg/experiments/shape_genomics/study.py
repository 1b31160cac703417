"""The experiment ``shape``: tumour shape by several sources of masks, and what it says about the genomic clusters.

:func:`score` measures every patient by every source, and :func:`brainseg.experiments.shape_genomics.analysis.analyse`
does the statistics, which take seconds. A source is a name and a :class:`Source`; the manual masks are always the
first. :func:`predicted` makes one of trained runs, out of fold, and :func:`together` one of the reference edition's
kept masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from brainseg.cohort import FRAME, read_mask, read_patient_table
from brainseg.evaluation.masks import read_masks
from brainseg.evaluation.scores import drop_small_pieces
from brainseg.experiments.plan import Training, after_the_phantom
from brainseg.experiments.reference import masks_of
from brainseg.experiments.shape_genomics.analysis import HONEST, LEAKY, MANUAL, analyse
from brainseg.experiments.shape_genomics.features import features_table
from brainseg.experiments.shape_genomics.findings import findings
from brainseg.images.prepared import Prepared
from brainseg.metrics import THRESHOLD
from brainseg.networks.record import RunRecord, reference_digests, reference_runs
from brainseg.results import REFERENCE, has_tables, read_log, read_table
from brainseg.splits import make_split

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

__all__ = [
    "Settings",
    "Source",
    "findings",
    "manual",
    "of_which_networks",
    "plan",
    "predicted",
    "score",
    "through_grid",
    "together",
]


class Source(NamedTuple):
    """Where masks come from.

    ``masks(patient)`` is a bool volume (n, 256, 256) in the order of slices, for each of `patients`. `trainings` says
    how many trainings a mask rests on: 0 where it is no network's.
    """

    masks: Callable[[str], np.ndarray]
    patients: list[str]
    trainings: int = 0


def manual(table: pd.DataFrame) -> Source:
    """The masks that were drawn, of all patients of :func:`brainseg.cohort.index_cohort`'s table."""
    paths = table.groupby("patient")["mask_path"].apply(list)
    return Source(lambda patient: np.stack([read_mask(path) for path in paths[patient]]), list(paths.index))


def predicted(runs: Sequence) -> Source:
    """Masks by trained runs, each slice by the run that has it on its test side; small pieces are dropped as elsewhere.

    Parameters
    ----------
    runs : sequence of brainseg.networks.runs.Run
        Folds of one division of the same prepared cohort, by patient or by slice. The source has the patients whose
        slices are all on a test side: of one run split by patient, its test patients.

    Raises
    ------
    ValueError
        The runs rest on different arrays, or a slice is on two test sides.
    """
    from brainseg.evaluation.predict import predict_probabilities

    prepared = runs[0].prepared
    if len({run.prepared.fingerprint for run in runs}) > 1:
        raise ValueError("The runs were prepared differently: give folds of one division of one cohort")
    on_test = np.array([run.split.to_numpy() == "test" for run in runs])
    if (on_test.sum(axis=0) > 1).any():
        raise ValueError(f"{np.sum(on_test.sum(axis=0) > 1)} slices are on the test side of more than one run")
    owner = np.where(on_test.any(axis=0), on_test.argmax(axis=0), -1)
    patients = prepared.table["patient"].to_numpy()
    whole = pd.Series(owner >= 0).groupby(patients).all()

    def masks(patient: str) -> np.ndarray:
        rows = np.flatnonzero(patients == patient)
        volume = np.empty((len(rows), *FRAME), bool)
        for number in np.unique(owner[rows]):
            mine = owner[rows] == number
            volume[mine] = predict_probabilities(runs[number], rows[mine]) >= THRESHOLD
        return drop_small_pieces(volume)

    return Source(masks, list(whole.index[whole]), trainings=1)


def together(cohort: pd.DataFrame, model: str) -> Source | None:
    """The kept masks of the reference runs by patient: those that the seeds of a network predict together, out of fold.

    Parameters
    ----------
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    model : str
        A name of :data:`brainseg.networks.recipe.MODELS`.

    Returns
    -------
    Source or None
        Of the patients of the cohort whom the reference runs have tested; None where there is none.
    """
    if not has_tables(REFERENCE):
        return None
    tested = read_table(REFERENCE, "patients").query("protocol == 'honest' and model == @model").set_index("patient")
    tested = tested[tested.index.isin(cohort["patient"])]
    if tested.empty:
        return None

    def masks(patient: str) -> np.ndarray:
        rows = cohort[cohort["patient"] == patient]
        return read_masks(masks_of("honest", model, int(tested.loc[patient, "fold"])), rows)

    return Source(masks, sorted(tested.index), int(tested["networks"].min()))


def through_grid(prepared: Prepared) -> Source:
    """The drawn masks as a faultless network would give them back: as coarse as its slices, and put back in the frame.

    What this source differs in from the manual one is the work of the grid, and no network's.
    """
    patients = prepared.table["patient"].to_numpy()

    def masks(patient: str) -> np.ndarray:
        rows = np.flatnonzero(patients == patient)
        return prepared.restore(prepared.tumour(rows).astype(np.float32), rows) >= THRESHOLD

    return Source(masks, list(dict.fromkeys(patients)))


@dataclass(frozen=True)
class Settings:
    """Whose masks are measured.

    Attributes
    ----------
    model : str
        A name of :data:`brainseg.networks.recipe.MODELS`.
    seed : int
        Of the bootstrap, the cross-validation and the shuffles.
    """

    model: str = "unet"
    seed: int = 0


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """The networks of `LEAKY`: the recipe of the reference runs, with slices dealt to as many folds at random.

    They differ from the reference runs in nothing but the split. None where the cohort shares no patient with those.
    """
    trainings = []
    for record in _references(cohort, settings):
        split = make_split(cohort, by="slice", fold=record.fold, seed=record.recipe.seed)
        if not record.patients["validation"]:
            split = split.replace("validation", "train")
        labels = {"source": LEAKY, "fold": record.fold}
        training = Training(record.recipe, record.preprocessing, split, labels)
        trainings.append(after_the_phantom(training, cohort) if record.recipe.start else training)
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Measure every patient by every source: drawn by hand, and by networks that have and have not met the patient.

    Returns
    -------
    dict of DataFrame
        ``features`` (:func:`brainseg.experiments.shape_genomics.features.features_table`), and those of
        :func:`brainseg.experiments.shape_genomics.analysis.analyse`.
    """
    by_slice = [run for _, run in runs]
    sources = {
        MANUAL: manual(cohort),
        HONEST: together(cohort, settings.model),
        LEAKY: predicted(by_slice) if by_slice else None,
    }
    features = features_table({name: source for name, source in sources.items() if source and source.patients})
    return {"features": features} | analyse(features, read_patient_table(cohort.attrs["root"]), settings.seed)


def of_which_networks(record: Mapping) -> str:
    """A sentence for a page that reads kept tables of networks that have been replaced since; else empty.

    Parameters
    ----------
    record : mapping
        Of the experiment, as :func:`brainseg.results.read_record` gives it. It names all reference runs of its day;
        only those of its own network predicted anything here.
    """
    own = f"{record['settings']['model']}-by-"
    digests = {name: digest for name, digest in record["networks"].items() if name.startswith(own)}
    if digests.items() <= reference_digests().items():
        return ""
    log = read_log()
    epochs = log.loc[log["weights"].isin(digests.values()), "epochs"].max()
    return (
        f" The networks of these predictions, trained for {epochs:.0f} epochs, have been replaced since in the "
        "[page of results](15_results.html), so the numbers here compare sources with each other and say nothing of "
        "today's networks."
    )


def _references(cohort: pd.DataFrame, settings: Settings) -> list[RunRecord]:
    """The reference runs by patient that have test patients in a cohort."""
    records = reference_runs(settings.model, "patient", with_weights=True)
    return [record for record in records if (record.split(cohort) == "test").any()]
