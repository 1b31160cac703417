"""What the book's viewer shows: whole patients as compressed NIfTI volumes, with outlines of truth and predictions.

The volumes travel as an output of the notebook that made them, so an executed notebook still carries everything
that its page needs. The study moves them into files beside the pages.
"""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap

from brainseg import metrics
from brainseg.cohort import POST, PRE, SEQUENCES, read_image
from brainseg.figures import style
from brainseg.figures.results import side_by_side
from brainseg.networks.recipe import MODEL_NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from brainseg.images.prepared import Prepared

MIME = "application/vnd.brainseg.viewer+json"
"""The kind of output, as Jupyter names it, that holds what `viewer_output` returns."""


def viewer_output(patients: Sequence[dict]) -> dict:
    """An output for ``display(..., raw=True)``: the patients for the viewer, and a line for every other reader.

    Parameters
    ----------
    patients : sequence of dict
        From `viewer_patient`.
    """
    lines = [f"- `{patient['name']}`: {patient['title']}" for patient in patients]
    text = "\n".join(["In the viewer:", "", *lines]) if lines else "No patient to show in the viewer."
    return {MIME: {"patients": list(patients)}, "text/markdown": text, "text/plain": text}


def viewer_patient(
    name: str,
    title: str,
    images: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    missing: Sequence[int] = (),
) -> dict:
    """One patient for the viewer, as JSON can hold it.

    Parameters
    ----------
    name, title : str
        Who it is, and why this one.
    images : uint8 array (n, H, W, 3)
        The patient's slices in their order.
    truth : bool array (n, H, W)
    predictions : mapping of model name to bool array (n, H, W)
    missing : sequence of int, optional
        Channels that are copies of FLAIR.

    Returns
    -------
    dict
        Volumes in base64 (`nifti`): the ``sequences``, the outlines of ``truth`` and of each of ``models``, and the
        ``mask`` of ``truth``. Pixels per slice, Dice per slice (None on slices without tumour) and of the volume. A
        ``picture`` for browsers that cannot draw volumes (PNG in base64), and in ``pictured`` its slices, counted
        from 1.
    """
    models = {}
    for model, prediction in predictions.items():
        counts = metrics.confusion(truth, prediction, axis=(1, 2))
        slices = np.where(truth.any(axis=(1, 2)), metrics.dice(counts, empty=0), np.nan)
        models[model] = {
            "name": MODEL_NAMES[model],
            "outline": nifti(outlines(prediction)),
            "px": prediction.sum(axis=(1, 2)).tolist(),
            "slices": [None if np.isnan(dice) else round(float(dice), 4) for dice in slices],
            "dice": _number(metrics.dice(metrics.pool(counts), empty=np.nan)),
        }
    with_tumour = np.flatnonzero(truth.any(axis=(1, 2)))
    pictured = (
        with_tumour[np.linspace(0, len(with_tumour) - 1, 5).astype(int)[1:4]] if len(with_tumour) else with_tumour
    )
    picture = side_by_side(
        images[pictured], truth[pictured], {model: masks[pictured] for model, masks in predictions.items()},
        [f"slice {number + 1}" for number in pictured],
    )  # fmt: skip
    return {
        "name": name,
        "title": title,
        "sequences": [
            {
                "name": f"{sequence} (missing: a copy of FLAIR)" if channel in missing else sequence,
                "volume": nifti(images[..., channel]),
            }
            for channel, sequence in enumerate(SEQUENCES)
        ],
        "truth": {"outline": nifti(outlines(truth)), "mask": nifti(truth), "px": truth.sum(axis=(1, 2)).tolist()},
        "models": models,
        "picture": _png(picture),
        "pictured": [int(number) + 1 for number in pictured],
    }


def patient_of_run(
    prepared: Prepared,
    rows: np.ndarray,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    patient: str,
    title: str,
) -> dict:
    """One patient of several predicted ones, for the viewer: :func:`viewer_patient` of that patient's slices.

    Parameters
    ----------
    prepared : Prepared
    rows : ndarray of int (n,)
        Row numbers in the prepared table, of the predicted slices.
    truth : bool array (n, 256, 256)
    predictions : mapping of model name to bool array (n, 256, 256)
    patient, title : str
    """
    own = (prepared.table["patient"] == patient).to_numpy()[rows]
    slices = prepared.table.iloc[rows[own]]
    return viewer_patient(
        patient,
        title,
        np.stack([read_image(path) for path in slices["image_path"]]),
        truth[own],
        {name: masks[own] for name, masks in predictions.items()},
        missing=[channel for channel, column in ((PRE, "missing_pre"), (POST, "missing_post")) if slices[column].any()],
    )


def outlines(masks: np.ndarray) -> np.ndarray:
    """The border pixels of each slice of a stack of masks, bool (n, H, W); see `brainseg.metrics.boundary`."""
    return np.stack([metrics.boundary(mask) for mask in masks])


def nifti(volume: np.ndarray) -> str:
    """A stack of slices as a gzipped NIfTI file, in base64.

    Parameters
    ----------
    volume : uint8 or bool array (n, H, W)
        Row 0 is the top of the picture.

    Returns
    -------
    str
        The file's axes are right, up and slice, and its voxels are cubes without a unit: the data set gives no
        spacing, so only the slices themselves can be looked at in true proportion.
    """
    import nibabel  # a fifth of a second, and only chapter 9 needs it

    axes = np.ascontiguousarray(volume[:, ::-1].transpose(2, 1, 0), dtype=np.uint8)
    return base64.b64encode(gzip.compress(nibabel.Nifti1Image(axes, np.eye(4)).to_bytes(), mtime=0)).decode()


def volume(text: str) -> np.ndarray:
    """What :func:`nifti` made a text of, uint8 (n, H, W)."""
    import nibabel

    read = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))
    return np.asarray(read.dataobj, np.uint8).transpose(2, 1, 0)[:, ::-1]


def opening(flair: np.ndarray, truth: np.ndarray, model: str, border: np.ndarray) -> Figure:
    """The picture that the book opens with: a slice, its true outline, and a network's beside that.

    Parameters
    ----------
    flair : uint8 array (H, W)
    truth : bool array (H, W)
    model : str
        The network's name, as it is written.
    border : bool array (H, W)
        The border pixels of its mask.
    """
    figure, axes = style.slice_grid(1, 3)
    for ax, title in zip(axes[0], ("the slice", "the true outline", f"with {model}'s"), strict=True):
        style.show_slice(ax, flair, title)
    for ax in axes[0, 1:]:
        style.outline(ax, truth)
    colour = ListedColormap([style.COLOURS["prediction"]])
    axes[0, 2].imshow(
        np.ma.masked_equal(border, False), cmap=colour, interpolation="nearest", zorder=3
    )  # over the truth
    style.outline_legend(figure, {"truth": style.COLOURS["truth"], "prediction": style.COLOURS["prediction"]})
    return figure


def _png(figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return base64.b64encode(content.getvalue()).decode()


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
