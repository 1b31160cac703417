"""What a synthetic tumour is worth: networks that have met nothing but the phantom, on real patients.

They are the networks from which the reference edition starts. Beside them stands a rule that needs no network, a flat
threshold on FLAIR, which is chosen on phantom patients as well.

The phantom is steered by 20 real patients, the development set. They are left out of every score of a phantom-only
network that is reported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from brainseg.chapters import study_recipe
from brainseg.cohort import FLAIR, read_patient
from brainseg.data import prepare_phantom
from brainseg.evaluation.scores import VOLUME_COLUMNS, drop_small_pieces, score_patients, score_slices
from brainseg.experiments.plan import PHANTOM, Training, on_the_phantom
from brainseg.images.crop import head_silhouette
from brainseg.images.prepared import Prepared, prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.images.visibility import ring_of_brain, separability
from brainseg.metrics import confusion, dice
from brainseg.networks.recipe import MODELS
from brainseg.paths import write_atomically
from brainseg.results import results_folder
from brainseg.splits import draw_patients

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

SYNTHETIC = "synthetic"
"""The folder of its results."""

MODEL = "unet"
"""Of the primary question."""

FLAT = "flat threshold"
"""The rule that needs no network, in the place of a model's name."""

LEVELS = np.round(np.arange(0.4, 1, 0.04), 2)
"""Thresholds that are tried. The median of the brain lies at 0.4, what is 2.5 times as bright at 1."""

RIMS_PX = (10, 18, 26, 34)
"""How much of a head's edge is tried to be left out: about the scalp in its middle, and more where it is cut aslant."""

FAILURE = 0.1
"""Of Dice: below it, a tumour was not found."""

MARGIN = 0.03
"""Of Dice: what differs by less is equally good for this question."""

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


def score_real(run: Run, root: Path, patients: Collection[str]) -> pd.DataFrame:
    """Score a run that was trained on other patients: one row a patient, as `brainseg.evaluation.scores` has them.

    Parameters
    ----------
    run : Run
    root : Path
        The real cohort, from :func:`brainseg.data.get_cohort`.
    patients : collection of str
        Of the real cohort.
    """
    from brainseg.evaluation.predict import evaluate

    prepared = prepare(root, run.record.preprocessing)
    split = prepared.table["patient"].isin(list(patients)).map({True: "test", False: "new"})
    return score_patients(evaluate(replace(run, prepared=prepared, split=split), borders=False))


# ---------------------------------------------------------------- a threshold instead of a network


class Threshold(NamedTuple):
    """A flat threshold: what is at least as bright as `level`, farther than `rim_px` from the edge of the head."""

    rim_px: int
    level: float


def brain_flair(prepared: Prepared, rows: np.ndarray, rim_px: int) -> np.ndarray:
    """FLAIR as the networks get it, back in the original frame, and 0 near the edge of the head and outside.

    The scalp is the brightest part of a head, so a threshold alone would call it tumour.

    Parameters
    ----------
    prepared : Prepared
        With brain-normalised grey levels, so that one threshold can serve all patients.
    rows : ndarray of int
        Row numbers of its table.
    rim_px : int
        Width of what is left out along the edge of the head that a slice shows, in pixels of the original frame.

    Returns
    -------
    ndarray, float32 (n, 256, 256) in [0, 1]
    """
    images = prepared.images[rows]
    flair = images[..., FLAIR] / np.float32(255)
    for plane, image, row in zip(flair, images, rows, strict=True):
        reach = round(rim_px * prepared.preprocessing.image_size / prepared.box(row).height)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        plane[cv2.erode(head_silhouette(image[None]).astype(np.uint8), disc) == 0] = 0
    return prepared.restore(flair, rows)


def flat_mask(flair: np.ndarray, level: float) -> np.ndarray:
    """What is as bright as the threshold, without small pieces, as for a network: bool, as `flair`, a whole volume."""
    return drop_small_pieces(flair >= level)


def try_thresholds(prepared: Prepared, patients: Collection[str]) -> pd.DataFrame:
    """The Dice of the volume by each of `RIMS_PX` and `LEVELS`: ``patient, rim_px, level, dice``."""
    rows = prepared.table.groupby("patient").indices
    found = []
    for patient in tqdm(sorted(patients), desc="trying thresholds", unit="patient"):
        truth = prepared.truth(rows[patient])
        for rim_px in RIMS_PX:
            flair = brain_flair(prepared, rows[patient], rim_px)
            for level in LEVELS:
                reached = float(dice(confusion(truth, flat_mask(flair, level)), empty=np.nan))
                found.append({"patient": patient, "rim_px": rim_px, "level": level, "dice": reached})
    return pd.DataFrame(found)


def best_threshold(tried: pd.DataFrame) -> Threshold:
    """The one with the best mean Dice."""
    rim_px, level = tried.groupby(["rim_px", "level"])["dice"].mean().idxmax()
    return Threshold(int(rim_px), float(level))


def score_threshold(prepared: Prepared, patients: Collection[str], threshold: Threshold) -> pd.DataFrame:
    """Score a threshold on some patients: one row a patient, as :func:`score_real`."""
    rows = prepared.table.groupby("patient").indices
    scored = []
    for patient in tqdm(sorted(patients), desc="the threshold on patients", unit="patient"):
        own = rows[patient]
        mask = flat_mask(brain_flair(prepared, own, threshold.rim_px), threshold.level)
        scored.append(score_slices(mask, prepared.truth(own), prepared.table.iloc[own], borders=False))
    return score_patients(pd.concat(scored))


# ---------------------------------------------------------------- trainings, and the tables


@dataclass(frozen=True)
class Settings:
    """Which networks are scored, and on how many phantom patients the threshold is chosen.

    Attributes
    ----------
    models : tuple of str
        Names of :data:`brainseg.networks.recipe.MODELS`.
    seeds : tuple of int
    threshold_patients : int
        Of the phantom that the networks are trained on, drawn so that they stand for it.
    """

    models: tuple[str, ...] = ("unet", "resunet", "fcn32")
    seeds: tuple[int, ...] = (0, 1, 2)
    threshold_patients: int = 32

    def __post_init__(self) -> None:
        if strangers := set(self.models) - set(MODELS):
            raise ValueError(f"unknown {', '.join(sorted(strangers))}: choose from {', '.join(MODELS)}")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """Each network with each seed on the phantom alone: the networks that the reference edition starts from.

    Raises
    ------
    ValueError
        On a synthetic cohort, which cannot say what a synthetic tumour is worth.
    """
    if cohort["synthetic"].any():
        raise ValueError("Real patients say what a synthetic tumour is worth. Name their folder with --data.")
    return [
        on_the_phantom(study_recipe(model, seed=seed), Preprocessing(), {"model": model, "seed": seed})
        for model in settings.models
        for seed in settings.seeds
    ]


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score networks and threshold on the real patients outside the development set.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``model`` (or `FLAT`), ``seed`` (0 for the threshold), ``patient, institution, tumour_px, tp,
        fp, fn, dice`` of the volume, ``separability`` (the chance that a tumour pixel is brighter on FLAIR than one of
        the brain around it, mean over the patient's tumour slices; NaN where a patient has none). ``"threshold"``:
        :func:`try_thresholds` of phantom patients.
    """
    root = cohort.attrs["root"]
    names = sorted(set(cohort["patient"]) - set(development_patients()["patient"]))
    phantom = prepare_phantom(*PHANTOM, Preprocessing())
    tried = try_thresholds(phantom, draw_patients(phantom.table, settings.threshold_patients))
    real = prepare(root, Preprocessing())
    scored = [score_threshold(real, names, best_threshold(tried)).reset_index().assign(model=FLAT, seed=0)]
    networks = len(settings.models) * len(settings.seeds)
    for training, run in tqdm(runs, total=networks, desc="scoring real patients", unit="network"):
        scored.append(score_real(run, root, names).reset_index().assign(**training.labels))
    patients = pd.concat(scored, ignore_index=True)[["model", "seed", *VOLUME_COLUMNS]]
    visible = {name: _separability(cohort, name) for name in names}
    return {"patients": patients.assign(separability=patients["patient"].map(visible)), "threshold": tried}


def _separability(cohort: pd.DataFrame, patient: str) -> float:
    images, masks = read_patient(cohort, patient)
    found = [
        separability(image[..., FLAIR], mask, ring_of_brain(image, mask))
        for image, mask in zip(images, masks, strict=True)
        if mask.any()
    ]
    return float(np.nanmean(found)) if np.isfinite(found).any() else np.nan
