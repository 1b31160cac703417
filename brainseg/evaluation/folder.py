"""A folder of slices in, masks and overlays out. Research and teaching only, not for clinical use."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import tifffile
from tqdm import tqdm

from brainseg.cohort import FLAIR, CohortError, read_image
from brainseg.cohort.find import PATIENT, by_patient, case_of, resolved, tiffs_below
from brainseg.cohort.pixels import write_png
from brainseg.evaluation.scores import drop_small_pieces
from brainseg.images.crop import restore
from brainseg.images.preprocess import boxes_and_images, crop_and_resize_all
from brainseg.metrics import THRESHOLD
from brainseg.networks.record import RunRecord
from brainseg.paths import write_atomically

OUTLINE_BGR = (0, 159, 230)  # the orange of predictions in all figures, as OpenCV orders colours


def predict_folder(
    slices: str | Path, out: str | Path, run_folder: str | Path, threshold: float = THRESHOLD
) -> pd.DataFrame:
    """Segment every slice below a folder with the network of one run.

    Intensities are normalised and the head is found over all slices of a patient together. Whose slice it is, the
    names tell: see :func:`brainseg.cohort.find.by_patient`. Where they do not, the folder is refused.

    Parameters
    ----------
    slices : path
        Holds 256x256x3 uint8 TIFFs, in itself or in folders below. Masks (``*_mask.tif``) and what an
        earlier call wrote (``*_predicted.tif``) are left alone.
    out : path
        Gets, in the same folders, ``NAME_predicted.tif`` (uint8, 0 or 255) and ``NAME_overlay.png``
        (FLAIR with the predicted outline), and ``predictions.csv``, written last.
    run_folder : path
        Of a trained run, with ``run.json`` and ``best.npz``.
    threshold : float
        A pixel whose probability is at or above it is called tumour. Small pieces are dropped, as in the reported
        scores: see :func:`brainseg.evaluation.scores.drop_small_pieces`.

    Returns
    -------
    DataFrame
        One row per slice: ``slice`` (path below `slices`), ``patient``, ``predicted_px``, ``highest_probability``, and
        ``seen_in_training``: whether the run was trained or its best epoch chosen on this patient, or on another date
        of the same case. Scores of such slices say nothing about new patients. It is missing where no name in the path
        is like those of the run's patients, so that it cannot be told.

    Raises
    ------
    CohortError
        Where there are no slices, some cannot be read, or two would give the same output; all of them
        in one report.
    ValueError
        Where the run or the threshold is unusable.
    """
    slices, out = Path(slices), Path(out)
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must lie between 0 and 1, not {threshold}")
    record = RunRecord.read(run_folder)
    images, patients = _read_all(resolved(slices))
    # Only now, because both bring Keras: wrong input is refused at once, and without a word of TensorFlow's.
    from brainseg.networks.forward import predict_both_ways
    from brainseg.networks.runs import load_network

    model, preprocessing = load_network(record), record.preprocessing
    seen = {case_of(patient) for patient in record.has_met()}
    size = preprocessing.image_size
    (out / "predictions.csv").unlink(missing_ok=True)
    rows = []
    for (folder, patient), paths in tqdm(patients.items(), desc="predicting", unit="patient"):
        stack = np.stack([images[path] for path in paths])
        boxes, enhanced = boxes_and_images(stack, preprocessing)
        inputs = crop_and_resize_all(enhanced, boxes, size)
        met = _met(folder, paths, patient, seen)
        place = out / folder.relative_to(resolved(slices))
        probabilities = predict_both_ways(model, inputs)
        probabilities = np.stack([restore(small, box) for small, box in zip(probabilities, boxes, strict=True)])
        masks = drop_small_pieces(probabilities >= threshold)
        for path, image, probability, mask in zip(paths, stack, probabilities, masks, strict=True):
            with write_atomically(place / f"{path.stem}_predicted.tif") as part:
                tifffile.imwrite(part, mask.astype(np.uint8) * 255, photometric="minisblack")
            with write_atomically(place / f"{path.stem}_overlay.png") as part:
                write_png(part, _overlay(image, mask))
            below = str(path.relative_to(resolved(slices)))
            rows.append((below, patient, int(mask.sum()), float(probability.max()), met))
    columns = ["slice", "patient", "predicted_px", "highest_probability", "seen_in_training"]
    table = pd.DataFrame(rows, columns=columns).astype({"seen_in_training": "boolean"})
    with write_atomically(out / "predictions.csv") as part:
        table.to_csv(part, index=False, errors="backslashreplace")  # a name need not be valid UTF-8
    return table


def _read_all(slices: Path) -> tuple[dict[Path, np.ndarray], dict[tuple[Path, str], list[Path]]]:
    """Every slice below the folder, and the slices of each patient; or one report of all that is wrong."""
    found = tiffs_below(slices) if slices.is_dir() else []
    paths = [path for path in found if not path.stem.endswith(("_mask", "_predicted"))]
    if not paths:
        raise CohortError([f"{slices} holds no .tif slices. Name a folder with 256x256x3 TIFF images in it or below."])
    images, problems, named, patients = {}, [], {}, {}
    for path in paths:
        if (other := named.setdefault(path.with_suffix(""), path)) != path:
            problems.append(f"{path} and {other.name} would give the same files. Rename one or move it away.")
        try:
            images[path] = read_image(path)
        except CohortError as error:
            problems.extend(error.problems)
    try:
        patients = by_patient(paths)
    except CohortError as error:
        problems.extend(error.problems)
    if problems:
        raise CohortError(problems)
    return images, patients


def _met(folder: Path, paths: list[Path], patient: str, seen: set[str]) -> bool | None:
    """Whether a run has met a patient; None where no name says who it is.

    Any name on the way to the slices may carry the case, in any spelling: TCGA-CS-4941, tcga_cs_4941.
    """
    names = "/".join([*folder.parts, *(path.stem for path in paths)]).upper().replace("-", "_")
    if any(re.search(rf"(?<![A-Z0-9]){re.escape(case)}(?![A-Z0-9])", names) for case in seen):
        return True
    return False if PATIENT.fullmatch(patient) else None


def _overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """FLAIR in grey, twice as large, with the outline of the mask: uint8 (512, 512, 3), OpenCV's colour order."""
    picture = cv2.cvtColor(cv2.resize(image[..., FLAIR], None, fx=2, fy=2), cv2.COLOR_GRAY2BGR)
    large = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture, contours, -1, OUTLINE_BGR, 1)
