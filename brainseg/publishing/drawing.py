"""One slice of the viewer's first patient: to draw on, on a page of its own, and for the landing page."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from brainseg.cohort import FLAIR
from brainseg.figures import style
from brainseg.figures.viewer import volume
from brainseg.images.crop import Box, crop, head_silhouette, square_box

MARK = "<!-- draw -->"  # in book/draw.md, where the slice goes


class TumourSlice(NamedTuple):
    """A patient's slice with the largest tumour, cut to the head."""

    patient: str
    title: str
    """Why this patient is shown."""
    number: int
    """Of the slice, counted from 1."""
    flair: np.ndarray
    """uint8 (side, side), brightened as in the figures."""
    truth: np.ndarray
    """bool (side, side)"""
    outlines: dict[str, np.ndarray]
    """By the network's name, bool (side, side): the border pixels of its mask."""
    dice: dict[str, float]
    """By the network's name: its Dice in this slice."""


def largest_tumour(patients: list[dict]) -> TumourSlice | None:
    """The slice with the largest tumour of the first of the viewer's patients who has one; None where nobody has.

    Parameters
    ----------
    patients : list of dict
        From :func:`brainseg.publishing.viewer.take_patients`.
    """
    patient = next((patient for patient in patients if any(patient["truth"]["px"])), None)
    if patient is None:
        return None
    number = int(np.argmax(patient["truth"]["px"]))
    images = np.stack([volume(sequence["volume"]) for sequence in patient["sequences"]], axis=-1)
    truth = volume(patient["truth"]["mask"])[number].astype(bool)
    box = square_box(head_silhouette(images))
    if crop(truth, box).sum() < truth.sum():  # the whole tumour is to be drawn
        box = Box.whole(truth.shape)
    flair = images[number, ..., FLAIR].astype(float)
    bright = np.rint(np.clip(flair / style.white(flair), 0, 1) * 255).astype(np.uint8)
    models = patient["models"].values()
    return TumourSlice(
        patient["name"],
        patient["title"],
        number + 1,
        crop(bright, box),
        crop(truth, box),
        {model["name"]: crop(volume(model["outline"])[number].astype(bool), box) for model in models},
        {model["name"]: model["slices"][number] for model in models},
    )


def write_drawing(drawn: TumourSlice, folder: Path) -> None:
    """Write the slice as the script ``slice.js``: a page opened from a folder may read no other file."""

    def text(plane: np.ndarray) -> str:
        return base64.b64encode(plane.astype(np.uint8).tobytes()).decode()

    said = {
        "patient": drawn.patient,
        "slice": drawn.number,
        "side": len(drawn.truth),
        "flair": text(drawn.flair),
        "truth": text(drawn.truth),
        "models": [
            {"name": name, "dice": drawn.dice[name], "outline": text(outline)}
            for name, outline in drawn.outlines.items()
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "slice.js").write_text(f"window.brainsegDraw = {json.dumps(said)};\n", encoding="utf-8")


def drawing_page(text: str, drawn: TumourSlice | None, banner: str) -> str:
    """The page in MyST Markdown: the banner below its title, the place and its scripts at its mark."""
    title, _, rest = text.partition("\n")
    said, scripts = "This edition holds no slice to draw on.", ""
    if drawn is not None:
        said = f"Drawing needs JavaScript. The slice is number {drawn.number} of {html.escape(drawn.patient)}."
        scripts = "".join(f'<script defer src="draw/{name}.js"></script>' for name in ("slice", "draw"))
    place = f'```{{raw}} html\n<div id="draw"><p>{said}</p></div>\n{scripts}\n```'
    return f"{title}\n\n{banner}\n{rest}".replace(MARK, place)
