"""Networks that have met nothing but the phantom, on real patients.

The phantom is steered by 20 real patients, the development set: they calibrate it and judge its steps, and are left out
of every score of a phantom-only network that is reported.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from brainseg.paths import write_atomically
from brainseg.results import results_folder
from brainseg.splits import draw_patients

DEVELOPMENT_PATIENTS = 20
DEVELOPMENT_SEED = 15
"""Of the draw: fixed before any patient was looked at for it, and never drawn again."""

_FILE = "phantom_development.csv"


def draw_development(table: pd.DataFrame) -> pd.DataFrame:
    """Draw the development set from the real cohort: institutions and tumour loads in their shares.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.

    Returns
    -------
    DataFrame
        One row a patient: ``patient, institution, slices, tumour_px``.
    """
    drawn = draw_patients(table, DEVELOPMENT_PATIENTS, DEVELOPMENT_SEED)
    rows = table[table["patient"].isin(drawn)].groupby("patient", as_index=False)
    return rows.agg(institution=("institution", "first"), slices=("slice", "size"), tumour_px=("tumour_px", "sum"))


def keep_development(table: pd.DataFrame) -> None:
    """Write the development set of a cohort to ``results/phantom_development.csv``, once and for all.

    Raises
    ------
    FileExistsError
        Where one is kept: another draw would bring patients into it that scores were reported of.
    """
    path = results_folder(_FILE)
    if path.exists():
        raise FileExistsError(f"{path} is there: the development set is drawn once")
    with write_atomically(path) as part:
        draw_development(table).to_csv(part, index=False)


def development_patients() -> pd.DataFrame:
    """The kept development set, as :func:`draw_development` gives it."""
    return pd.read_csv(results_folder(_FILE))


def phantom_split(table: pd.DataFrame) -> pd.Series:
    """The sides of a phantom cohort for a network that real patients judge: a tenth validates, the others train."""
    patients = table["patient"].nunique()
    validation = draw_patients(table, max(1, patients // 10))
    return table["patient"].isin(validation).map({True: "validation", False: "train"}).rename("split")


def score_real(folder: Path, root: Path, patients: Collection[str]) -> pd.DataFrame:
    """Score a run that was trained on other patients: one row a patient, as `brainseg.evaluation.scores` has them.

    Parameters
    ----------
    folder : Path
        Of the run.
    root : Path
        The real cohort, from :func:`brainseg.data.get_cohort`.
    patients : collection of str
        Of the real cohort.
    """
    from brainseg.evaluation.predict import evaluate
    from brainseg.evaluation.scores import score_patients
    from brainseg.images.prepared import prepare
    from brainseg.networks.record import RunRecord
    from brainseg.networks.runs import load_run

    record = RunRecord.read(folder)
    prepared = prepare(root, record.preprocessing)
    split = prepared.table["patient"].isin(list(patients)).map({True: "test", False: "new"})
    return score_patients(evaluate(load_run(record, prepared, split)))
