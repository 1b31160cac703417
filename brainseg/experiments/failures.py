"""The patients for whom a network did worst: who they are, on which slice it shows most, and what went wrong."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import pandas as pd

MOST = 0.5
"""Of a patient's tumour or of what a network claims: from this share on, a sentence calls it most of it."""


@dataclass(frozen=True)
class Failure:
    """A patient for whom a network did badly.

    Attributes
    ----------
    patient, model : str
    slice : int
        Where most pixels are wrong, as the files number it.
    position : int
        The same slice by its place in the volume, from 1, as the viewer counts.
    dice : float
        Of the volume.
    tumour_px, found_px, false_px : int
        Pixels of tumour, how many of them were found, and how many were claimed beside them, over all slices.
    tumour_slices, missed_slices : int
        Slices with tumour, and how many of these have no pixel of it found.
    """

    patient: str
    model: str
    slice: int
    position: int
    dice: float
    tumour_px: int
    found_px: int
    false_px: int
    tumour_slices: int
    missed_slices: int

    def sentence(self) -> str:
        """What went wrong, in one sentence."""
        missed, claimed = self.tumour_px - self.found_px, self.found_px + self.false_px
        if not claimed:
            return f"The network claims nothing: all {self.tumour_px} pixels of tumour are missed."
        if not self.found_px:
            return f"The network claims {claimed} pixels, and none of them is tumour."
        if missed >= MOST * self.tumour_px and self.false_px >= MOST * claimed:
            return (
                f"The network looks in the wrong place: it finds {self.found_px} of {self.tumour_px} pixels of tumour, "
                f"and claims {self.false_px} beside them."
            )
        if missed >= self.false_px:
            slices = f", on {self.missed_slices} of {self.tumour_slices} slices all of it" if self.missed_slices else ""
            return f"Too little: {missed / self.tumour_px:.0%} of the tumour is missed{slices}."
        return f"Too much: {self.false_px / claimed:.0%} of what the network claims is no tumour."

    def link(self) -> str:
        """The part of the viewer's address that leads to the slice."""
        return urlencode({"patient": self.patient, "slice": self.position, "network": self.model})


def listed(failures: Sequence[Failure], viewed: Collection[str] = ()) -> str:
    """The failures as a numbered list in Markdown, with a link into the viewer for those whom it shows.

    Parameters
    ----------
    failures : sequence of Failure
    viewed : collection of str
        The patients that the viewer shows.
    """
    lines = []
    for number, failure in enumerate(failures, start=1):
        seen = f" [Scroll to it](../viewer.html#{failure.link()})." if failure.patient in viewed else ""
        lines.append(f"{number}. `{failure.patient}`, Dice {failure.dice:.2f}. {failure.sentence()}{seen}")
    return "\n".join(lines)


def worst_patients(slices: pd.DataFrame, count: int = 10) -> list[Failure]:
    """The patients with the lowest Dice of the volume, the worst first; of equal ones, that with more tumour.

    Parameters
    ----------
    slices : DataFrame
        Every slice of the patients, scored once by one network each: ``patient, model, slice, tumour_px, tp, fp, fn``.
    count : int

    Returns
    -------
    list of Failure
        As many as there are, at most `count`. Patients without tumour are left out.
    """
    found = []
    for patient, own in slices.sort_values("slice").groupby("patient"):
        with_tumour = own[own["tumour_px"] > 0]
        if with_tumour.empty:
            continue
        tp, fp, fn = (int(own[name].sum()) for name in ("tp", "fp", "fn"))
        position = int((own["fp"] + own["fn"]).to_numpy().argmax())
        found.append(
            Failure(
                str(patient),
                str(own["model"].iloc[0]),
                int(own["slice"].iloc[position]),
                position + 1,
                2 * tp / (2 * tp + fp + fn),
                int(own["tumour_px"].sum()),
                tp,
                fp,
                len(with_tumour),
                int((with_tumour["tp"] == 0).sum()),
            )
        )
    return sorted(found, key=lambda failure: (failure.dice, -failure.tumour_px))[:count]
