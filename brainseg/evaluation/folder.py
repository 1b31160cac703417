"""Slices and volumes in, masks and overlays out. Research and teaching only, not for clinical use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from brainseg.cohort import FLAIR, CohortError
from brainseg.cohort.examinations import AS_NAMED, Examination, Images, Wanted, find_examinations
from brainseg.cohort.find import PATIENT, case_of, resolved
from brainseg.cohort.pixels import write_png
from brainseg.evaluation import trust
from brainseg.evaluation.scores import drop_small_pieces
from brainseg.images.crop import restore
from brainseg.images.preprocess import boxes_and_images, crop_and_resize_all
from brainseg.metrics import THRESHOLD, confusion, dice
from brainseg.networks.record import RunRecord, reference_patients, reference_runs
from brainseg.paths import write_atomically

if TYPE_CHECKING:
    import keras

OUTLINE_BGR = (0, 159, 230)  # the orange of predictions in all figures, as OpenCV orders colours
ON_A_SHEET = 24
"""Slices of a contact sheet, at most."""


class Predictions(NamedTuple):
    """What was predicted: a row a slice, and a row a patient."""

    slices: pd.DataFrame
    patients: pd.DataFrame


def predict_folder(
    place: str | Path,
    out: str | Path,
    runs: Sequence[str | Path] = (),
    threshold: float = THRESHOLD,
    *,
    truth: bool = False,
    wanted: Wanted = AS_NAMED,
) -> Predictions:
    """Segment all slices and volumes in a place by the mean of some networks.

    Grey levels are scaled and the head is found over all slices of a patient together. What is read, and whose it is,
    says :func:`brainseg.cohort.examinations.find_examinations`. Everything is read and checked before anything is
    written, and read again one patient at a time.

    Parameters
    ----------
    place : path
        A file, or a folder with files in it or below.
    out : path
        Gets, in the same folders, masks in the form that the slices came in (``NAME_predicted``: TIFF, PNG, NIfTI or a
        DICOM segmentation), an overlay a slice (``NAME_overlay.png``, FLAIR in the frame with the outline), a contact
        sheet a patient (``PATIENT_contact.png``), and last ``predictions.csv`` and ``patients.csv``.
    runs : sequence of path
        Folders of trained runs. By default the reference U-Nets of all folds, without those that have met the patient.
    threshold : float
        A pixel whose mean probability is at or above it is called tumour. Small pieces are dropped, as in the reported
        scores: see :func:`brainseg.evaluation.scores.drop_small_pieces`.
    truth : bool
        Whether to score against the masks that lie beside the slices; not those of locked patients.
    wanted : Wanted
        Which sequence a volume is, where names do not say.

    Returns
    -------
    Predictions
        ``slices``: ``slice`` (its folder below `place`, and its name), ``patient``, ``predicted_px`` (in the file's own
        grid), ``highest_probability``, ``seen_in_training``.
        ``patients``: ``patient, slices, predicted_px, volume_ml`` (NaN where the spacing is not known), ``networks``,
        ``agreement`` (see :mod:`brainseg.evaluation.trust`), ``between_folds`` (mean Dice between the masks of networks
        that were trained on different patients; NaN of one fold), ``volume_spread`` (the range of these masks' volumes,
        as a share of their mean), ``missing`` (sequences that FLAIR stands in for), ``seen_in_training``, ``warning``
        (see :func:`brainseg.evaluation.trust.warning`), and ``dice`` where it was asked for.
        ``seen_in_training`` says whether a network was trained or its best epoch chosen on this patient, or on another
        date of the same case. Scores of such slices say nothing about new patients. It is missing where no name in the
        path is like those of the runs' patients, so that it cannot be told.

    Raises
    ------
    CohortError
        Where there are no slices, some cannot be read, or two would give the same output; all of them in one report.
        Where `truth` is asked for of patients whom :mod:`brainseg.experiments.locked` scores.
    ValueError
        Where a run or the threshold is unusable, or there is no run.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must lie between 0 and 1, not {threshold}")
    records = [RunRecord.read(run) for run in runs] or reference_runs(trust.MODEL, "patient", with_weights=True)
    if not records:
        raise ValueError("There is no reference U-Net with weights. Name a run with --run.")
    examinations = find_examinations(place, wanted)
    if truth:
        _refuse_locked(examinations)
    _check(examinations, truth)
    # Only now, because it brings Keras: wrong input is refused at once, and without a word of TensorFlow's.
    from brainseg.networks.backend import configure_backend
    from brainseg.networks.runs import load_network

    configure_backend()
    networks = [(record, load_network(record)) for record in records]
    measured = not runs and threshold == THRESHOLD  # by brainseg.experiments.quality, which a warning quotes
    top, out = resolved(place), resolved(out)
    top = top.parent if top.is_file() else top
    for table in ("predictions", "patients"):
        (out / f"{table}.csv").unlink(missing_ok=True)
    slices, patients = [], []
    for each in tqdm(examinations, desc="predicting", unit="patient"):
        chosen, met = _spared(each, networks) if not runs else (networks, _met(each, networks))
        images = each.read(truth)
        answer = _ask(images.images, chosen, threshold)
        masks = drop_small_pieces(answer.probability >= threshold)
        own = images.own_masks(masks)
        goal = out / each.folder.relative_to(top)
        images.write(own, goal)
        _draw(images, masks, goal, each.name)
        names = [str(each.folder.relative_to(top) / name) for name in images.names]
        slices.append(
            pd.DataFrame(
                {
                    "slice": names,
                    "patient": each.patient,
                    "predicted_px": own.sum(axis=(1, 2)),
                    "highest_probability": answer.probability.max(axis=(1, 2)).astype(float),
                    "seen_in_training": pd.array([met] * len(names), "boolean"),
                }
            )
        )
        patients.append(
            {
                "patient": each.patient,
                "slices": len(names),
                "predicted_px": int(own.sum()),
                "volume_ml": own.sum() * images.voxel_ml,
                "networks": len(chosen),
                "agreement": answer.agreement,
                "between_folds": answer.between_folds,
                "volume_spread": answer.volume_spread,
                "missing": ", ".join(images.missing),
                "seen_in_training": met,
                "warning": trust.warning(answer.agreement if measured else float("nan"), images.images),
                **({"dice": float(dice(confusion(images.truth, own), empty=np.nan))} if truth else {}),
            }
        )
    found = Predictions(
        pd.concat(slices, ignore_index=True), pd.DataFrame(patients).astype({"seen_in_training": "boolean"})
    )
    for name, table in (("predictions", found.slices), ("patients", found.patients)):
        with write_atomically(out / f"{name}.csv") as part:
            table.to_csv(part, index=False, errors="backslashreplace")  # a name need not be valid UTF-8
    return found


def _check(examinations: Iterable[Examination], truth: bool) -> None:
    """Read everything once; one report of all that is wrong."""
    problems = []
    for each in tqdm(examinations, desc="reading", unit="patient", leave=False):
        try:
            images = each.read(truth)
        except CohortError as error:
            problems += error.problems
            continue
        if truth and images.truth is None:
            problems.append(f"{each.folder}: no mask of {each.patient} lies beside the slices. Leave --truth out.")
    if problems:
        raise CohortError(problems)


def _refuse_locked(examinations: Iterable[Examination]) -> None:
    """Refuse to score patients of the locked test: of the reference runs' institutions, but in none of their splits."""
    met = {case_of(patient) for patient in reference_patients()}
    if not met:
        return
    institutions = "|".join(sorted({re.escape(case.rpartition("_")[0]) for case in met}))
    case = re.compile(rf"(?<![A-Z0-9])(?:{institutions})_[A-Z0-9]{{4}}(?![A-Z0-9])")
    if locked := sorted({name for each in examinations for name in case.findall(_names(each))} - met):
        raise CohortError(
            [
                f"--truth would score {', '.join(locked)}. Patients of the data set whom the kept networks do not know "
                "are the locked test, which only `python -m brainseg locked-test` scores, and once. Leave --truth out, "
                "or leave them out."
            ]
        )


def _spared(each: Examination, networks: Sequence[tuple[RunRecord, keras.Model]]) -> tuple[Sequence, bool | None]:
    """The networks that have not met a patient, and whether one that is left has; all where each of them has."""
    apart = [network for network in networks if not _met(each, [network])] or networks
    return apart, _met(each, apart)


def _met(each: Examination, networks: Sequence[tuple[RunRecord, keras.Model]]) -> bool | None:
    """Whether one of some networks has met a patient; None where no name says who it is."""
    seen = {case_of(patient) for record, _ in networks for patient in record.has_met()}
    names = _names(each)
    if any(re.search(rf"(?<![A-Z0-9]){re.escape(case)}(?![A-Z0-9])", names) for case in seen):
        return True
    return False if PATIENT.fullmatch(each.patient) else None


def _names(each: Examination) -> str:
    """Every name that may say who a patient is, in one spelling of a case: TCGA_CS_4941, not tcga-cs-4941.

    Any name on the way to the slices may carry the case, and the patient's in a DICOM header.
    """
    return "/".join([*each.folder.parts, each.patient, *(path.stem for path in each.files)]).upper().replace("-", "_")


class _Answer(NamedTuple):
    """What some networks say of a volume: their mean, float32 (n, 256, 256), and how far they agree."""

    probability: np.ndarray
    agreement: float
    between_folds: float
    volume_spread: float


def _ask(images: np.ndarray, networks: Sequence[tuple[RunRecord, keras.Model]], threshold: float) -> _Answer:
    """Ask networks about a patient's slices, those that were trained on the same patients together."""
    alike: dict[frozenset[str], list[tuple[RunRecord, keras.Model]]] = {}
    for record, network in networks:
        alike.setdefault(frozenset(record.patients["train"]), []).append((record, network))
    said, agreed, masks = [], [], []
    for fold in alike.values():
        answers, looks = zip(*(_look(images, *one) for one in fold), strict=True)
        said += answers
        agreed.append(trust.agreement(np.concatenate(looks) >= threshold))
        masks.append(np.mean(answers, axis=0) >= threshold)
    mean = np.mean(said, axis=0)
    return _Answer(mean, float(np.mean(agreed)), trust.agreement(masks), trust.volume_spread(masks))


def _look(images: np.ndarray, record: RunRecord, network: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """What a network says of a patient's slices in the frame, float32 (n, 256, 256), and its two looks apart."""
    from brainseg.networks.forward import predict_looks

    boxes, enhanced = boxes_and_images(images, record.preprocessing)

    def back(small: np.ndarray) -> np.ndarray:
        return np.stack([restore(plane, box) for plane, box in zip(small, boxes, strict=True)])

    looks = predict_looks(network, crop_and_resize_all(enhanced, boxes, record.preprocessing.image_size))
    # The mean goes back as one, as in the reported scores: means of what went back differ in the last digit.
    return back((looks[0] + looks[1]) / 2), np.stack([back(look) for look in looks])


def _draw(images: Images, masks: np.ndarray, out: Path, patient: str) -> None:
    """An overlay a slice, and a sheet with some of them."""
    overlays = [_overlay(image, mask) for image, mask in zip(images.images, masks, strict=True)]
    for name, overlay in zip(images.names, overlays, strict=True):
        stem = Path(name).stem if "." in name else f"{patient}_{name.replace(' ', '_')}"
        with write_atomically(out / f"{stem}_overlay.png") as part:
            write_png(part, overlay)
    shown = np.unique(np.linspace(0, len(overlays) - 1, ON_A_SHEET).round().astype(int))
    small = [cv2.resize(overlays[place], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for place in shown]
    across = min(6, len(small))
    small += [np.zeros_like(small[0])] * (-len(small) % across)
    rows = [np.hstack(small[start : start + across]) for start in range(0, len(small), across)]
    with write_atomically(out / f"{patient}_contact.png") as part:
        write_png(part, np.vstack(rows))


def _overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """FLAIR in grey, twice as large, with the outline of the mask: uint8 (512, 512, 3), OpenCV's colour order."""
    picture = cv2.cvtColor(cv2.resize(image[..., FLAIR], None, fx=2, fy=2), cv2.COLOR_GRAY2BGR)
    large = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture, contours, -1, OUTLINE_BGR, 1)
