"""The kept scores are computed again, from kept weights and kept masks, and compared: what anybody can check."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from brainseg.cohort import index_cohort, read_mask
from brainseg.data import get_cohort
from brainseg.evaluation.masks import read_masks
from brainseg.evaluation.scores import score_patients, score_slices
from brainseg.experiments import synthetic
from brainseg.experiments.reference import TOLERANCE
from brainseg.experiments.synthetic import FLAT, SYNTHETIC
from brainseg.networks.record import MASKS, RunRecord, reference_runs
from brainseg.results import REFERENCE, has_tables, read_table, results_folder

_NOTHING = pd.DataFrame(columns=["model", "seed", "patient", "dice"]).astype({"dice": float})


def reproduce(data: str) -> pd.DataFrame:
    """Compute the kept scores again, and compare.

    The networks whose weights are kept score their own test patients again. The kept masks are scored again: those of
    every reference run, and of the networks of :mod:`brainseg.experiments.synthetic`. Patients whom no split names are
    not looked at: the locked test set is nobody's to look at.

    Returns
    -------
    DataFrame
        One row per network and test patient that the cohort has: ``by`` ("weights" or "masks"), ``run, patient,
        dice_again, dice_kept, difference`` (Dice of the volume), and ``same``: whether the two lie within `TOLERANCE`.

    Raises
    ------
    ValueError
        Where there are no runs with weights, the cohort has none of the patients, or masks are missing, damaged or of
        other slices.
    """
    records = reference_runs(with_weights=True)
    if not records or not has_tables(REFERENCE):
        raise ValueError(
            "There are no runs with weights in results/reference. Make them: python -m brainseg experiment reference."
        )
    root = get_cohort(data)
    cohort = index_cohort(root)
    again = [*_from_weights(records, cohort), *_from_masks(cohort), *_without_a_real_image(cohort)]
    if not again:
        raise ValueError(f"None of the patients with kept scores is in {data}.")
    both = pd.concat(again).merge(_kept(), on=["run", "patient"], how="left", suffixes=("_again", "_kept"))
    both["difference"] = both["dice_again"] - both["dice_kept"]
    far = both["difference"].abs().gt(TOLERANCE) | (both["dice_again"].isna() != both["dice_kept"].isna())
    return both.assign(same=~far)


def _from_weights(records: list[RunRecord], cohort: pd.DataFrame) -> Iterator[pd.DataFrame]:
    from brainseg.evaluation.predict import evaluate
    from brainseg.networks.backend import configure_backend
    from brainseg.networks.runs import load_reference

    configure_backend()
    for record in records:
        if (record.split(cohort) == "test").any():
            slices = evaluate(load_reference(record, cohort.attrs["root"]))
            yield _dice(slices, record.name, "weights")


def _from_masks(cohort: pd.DataFrame) -> Iterator[pd.DataFrame]:
    slices, folder = read_table(REFERENCE, "slices"), results_folder(REFERENCE)
    networks = pd.concat([read_table(REFERENCE, name) for name in ("seeds", "patients")]).drop_duplicates("run")
    # In the article's protocol not every slice of a patient is tested.
    tested = dict(iter(slices.groupby(["protocol", "model", "fold"])[["patient", "slice"]]))
    for network in networks.itertuples():
        rows = cohort.merge(tested[network.protocol, network.model, network.fold], on=["patient", "slice"])
        path = folder / network.run / MASKS
        if not path.parent.is_dir():
            path = folder / "masks" / f"{network.run}.npz"
        if len(rows):
            yield _from_file(path, rows, network.run)


def _without_a_real_image(cohort: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for (model, seed), part in _phantom_only().groupby(["model", "seed"]):
        rows, path = cohort[cohort["patient"].isin(part["patient"])], synthetic.masks_of(model, seed)
        if len(rows):
            yield _from_file(path, rows, _named(model, seed))


def _phantom_only() -> pd.DataFrame:
    """The scores of networks that trained on the phantom alone; of the threshold there are no masks."""
    if not has_tables(SYNTHETIC):
        return _NOTHING
    patients = read_table(SYNTHETIC, "patients")
    return patients[patients["model"] != FLAT]


def _named(model: str, seed: int) -> str:
    return f"{SYNTHETIC} {model} seed {seed}"


def _kept() -> pd.DataFrame:
    """The kept scores: ``run, patient, dice``."""
    alone = _phantom_only()
    names = [_named(*row) for row in alone[["model", "seed"]].itertuples(index=False, name=None)]
    tables = [*(read_table(REFERENCE, name) for name in ("seeds", "patients")), alone.assign(run=names)]
    return pd.concat([table[["run", "patient", "dice"]] for table in tables])


def _from_file(path: Path, rows: pd.DataFrame, run: str) -> pd.DataFrame:
    truth = np.stack([read_mask(mask) for mask in rows["mask_path"]])
    return _dice(score_slices(read_masks(path, rows), truth, rows, borders=False), run, "masks")


def _dice(slices: pd.DataFrame, run: str, by: str) -> pd.DataFrame:
    return score_patients(slices).reset_index()[["patient", "dice"]].assign(run=run, by=by)
