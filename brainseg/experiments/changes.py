"""The phantoms that are not the study's own, by the names that tables have for them; and the ranges of one, to read."""

from __future__ import annotations

import pandas as pd

from brainseg.data import PhantomChange
from brainseg.experiments import ingredients, literature


def change_named(name: str) -> PhantomChange | None:
    """How the phantom of a name differs from the study's own, whose name is empty: None.

    Raises
    ------
    ValueError
        For a name that is not known.
    """
    return literature.change() if name == literature.LITERATURE else ingredients.change_named(name)


def literature_tissues() -> pd.DataFrame:
    """How the tissues of the literature's phantom answer a pulse: ``tissue``, T1 and T2 in ms, proton density."""
    rows = [(name, *map(_range, tissue)) for name, tissue in literature.TISSUES.items()]
    return pd.DataFrame(rows, columns=["tissue", "T1 (ms)", "T2 (ms)", "proton density"])


def literature_ranges() -> pd.DataFrame:
    """From what else the literature's phantom is drawn: ``what``, ``range``."""
    x, y, z = ingredients.WIDE_SEED_MM
    rows = [
        ("FLAIR: repetition time (ms)", literature.FLAIR_TR_MS),
        ("FLAIR: echo time (ms)", literature.FLAIR_TE_MS),
        ("FLAIR: inversion time, of that at which fluid is black", literature.MISSED),
        ("T1: repetition time (ms)", literature.T1_TR_MS),
        ("T1: echo time (ms)", literature.T1_TE_MS),
        ("noise, of the brightest tissue", ingredients.WIDE_NOISE),
        ("blur (px)", ingredients.WIDE_BLUR_PX),
        ("shading (log standard deviation)", ingredients.WIDE_BIAS),
        ("grey level of the brightest tissue", ingredients.WIDE_BRIGHTNESS),
        ("slices", ingredients.WIDE_SLICES),
        ("side of a pixel (mm)", literature.PIXEL_MM),
        ("volume of the tumour (ml)", ingredients.WIDE_VOLUME_ML),
        ("its seed: from the midline (mm)", x),
        ("its seed: from back to front (MNI mm)", y),
        ("its seed: from below to above (MNI mm)", z),
        ("growth: white matter, of grey matter", literature.WHITE_TO_GREY),
        ("growth: roughness (log standard deviation)", literature.ROUGHNESS),
        ("growth: along one axis, of the others", literature.ANISOTROPY),
        ("sharpness of the tumour's edge", literature.SHARPNESS),
        ("enhancement of every second tumour, of fat", literature.ENHANCEMENT),
        ("the reader's smoothing (px)", literature.HAND_PX),
    ]
    return pd.DataFrame([(what, _range(ends)) for what, ends in rows], columns=["what", "range"])


def _range(ends: tuple[float, float]) -> str:
    return " to ".join(f"{end:g}" for end in ends)
