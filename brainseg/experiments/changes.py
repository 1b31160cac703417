"""The phantoms that are not the study's own, by the names that tables have for them; and the ranges of one, to read."""

from __future__ import annotations

import pandas as pd

from brainseg.data import PhantomChange
from brainseg.experiments import ingredients, literature
from brainseg.experiments.ingredients import CHANGES
from brainseg.experiments.literature import LITERATURE


def change_named(name: str) -> PhantomChange | None:
    """How the phantom of a name differs from the study's own, whose name is empty: None.

    Raises
    ------
    ValueError
        For a name that is not known.
    """
    if name == LITERATURE:
        return literature.change()
    if name and name not in CHANGES:
        raise ValueError(f'no phantom is called "{name}": choose from {", ".join((*CHANGES, LITERATURE))}')
    return ingredients.change_named(name)


def literature_tissues() -> pd.DataFrame:
    """How the tissues of the literature's phantom answer a pulse: ``tissue``, T1 at two fields, T2, proton density."""
    matter = {"white": "white matter", "grey": "grey matter", "lesion": "tumour"}
    rows = [(matter.get(name, name), *map(_range, tissue)) for name, tissue in literature.TISSUES.items()]
    return pd.DataFrame(rows, columns=["tissue", "T1 at 1.5 T (ms)", "T1 at 3 T (ms)", "T2 (ms)", "proton density"])


def literature_ranges() -> pd.DataFrame:
    """From what else the literature's phantom is drawn: ``quantity``, ``range``."""
    x, y, z = ingredients.WIDE_SEED_MM
    rows = {
        "FLAIR: repetition time (ms)": literature.FLAIR_TR_MS,
        "FLAIR: echo time (ms)": literature.FLAIR_TE_MS,
        "FLAIR: inversion time / that at which fluid is black": literature.MISSED,
        "T1: repetition time (ms)": literature.T1_TR_MS,
        "T1: echo time (ms)": literature.T1_TE_MS,
        "noise: standard deviation / brightest tissue": ingredients.WIDE_NOISE,
        "blur (px)": ingredients.WIDE_BLUR_PX,
        "shading: standard deviation, of the brightness": ingredients.WIDE_BIAS,
        "grey level of the brightest tissue": ingredients.WIDE_BRIGHTNESS,
        "slices": ingredients.WIDE_SLICES,
        "side of a pixel (mm)": literature.PIXEL_MM,
        "age, which brings specks (years)": ingredients.WIDE_AGES,
        "ventricles and sulci: logarithm of their width / the average": literature.FLUID_BIAS,
        "tumour: volume (ml)": ingredients.WIDE_VOLUME_ML,
        "tumour: distance of its seed from the midline (mm)": x,
        "tumour: seed from back to front (MNI mm)": y,
        "tumour: seed from below to above (MNI mm)": z,
        "tumour: diffusivity in white / in grey matter": literature.WHITE_TO_GREY,
        "tumour: how unevenly it spreads (standard deviation of log diffusivity)": literature.ROUGHNESS,
        "tumour: diffusivity along one axis / across it": literature.ANISOTROPY,
        "tumour: how sharp its edge is (Hill exponent)": literature.SHARPNESS,
        "tumour: share with a cyst": literature.CYSTS,
        "tumour: share that enhances": literature.ENHANCING,
        "tumour: enhancement / brightest tissue": literature.ENHANCEMENT,
        "tumour on FLAIR / healthy brain, at least": literature.LEAST_CONTRAST,
        "vessels after contrast agent / the study's phantom": literature.VESSELS,
        "reader: smoothing of the edge (px)": literature.HAND_PX,
        "reader: spread of the threshold from patient to patient, as a share": literature.HAND_LEVEL,
        "reader: smallest piece (px)": literature.LEAST_PX,
    }
    return pd.DataFrame([(what, _range(ends)) for what, ends in rows.items()], columns=["quantity", "range"])


def _range(ends: float | tuple[float, float]) -> str:
    return " to ".join(f"{end:g}" for end in (ends if isinstance(ends, tuple) else (ends,)))
