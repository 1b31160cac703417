"""The page on trust: what foretells a low Dice, and how honest the probabilities are, from the kept tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from brainseg.evaluation.trust import FEATURES, agreement_threshold
from brainseg.experiments import quality
from brainseg.figures import quality as figures
from brainseg.publishing.marks import Part, as_figure, as_table, fill_marks

UNMEASURED = "This has not been measured yet: `python -m brainseg experiment quality` does it."


def fill_quality(target: Path) -> None:
    """Put the kept tables at the marks of the staged page ``quality.md``, and draw its figures beside it."""
    fill_marks(target, "quality", PARTS, UNMEASURED)


def _findings(tables: dict[str, pd.DataFrame], _: Path) -> str:
    return quality.findings(tables["patients"], tables["calibration"]).sentences()


def _agreement(tables: dict[str, pd.DataFrame], target: Path) -> str:
    patients = tables["patients"].dropna(subset=["dice", "agreement"])
    return as_figure(
        figures.agreement(patients, agreement_threshold(patients)),
        target,
        "quality-agreement",
        "Dice of held-out patients against how far a network's two looks at them agree. Left of the dashed "
        "line lies the fifth with the least agreement, about which the command warns.",
        f"A cloud of {len(patients)} dots, agreement to the right and Dice upwards, and a dashed vertical line.",
    )


def _calibration(tables: dict[str, pd.DataFrame], target: Path) -> str:
    curve = quality.reliability(tables["calibration"])
    said = ", ".join(f"{row.probability:.2f} means {row.tumour:.2f}" for row in curve.itertuples())
    return as_figure(
        figures.reliability(curve),
        target,
        "quality-calibration",
        "Reliability diagram: of the pixels that are called tumour with some probability, the share that is. On the "
        "dashed line a probability is what it says; below it the networks are too sure. The pixels of all patients "
        "count together, so large tumours weigh more than in the means above.",
        f"A curve beside a dashed diagonal: {said}.",
    )


def _strange(tables: dict[str, pd.DataFrame], _: Path) -> str:
    farthest = tables["patients"].nlargest(5, "strangeness")
    rows = [
        [row.patient, FEATURES[row.strangest], f"{row.strangeness:.1f}", f"{row.dice:.2f}"]
        for row in farthest.itertuples()
    ]
    return as_table(["patient", "most unusual number", "standard deviations", "Dice"], rows)


PARTS: dict[str, Part] = {
    "findings": ({"patients", "calibration"}, _findings),
    "agreement": ({"patients"}, _agreement),
    "calibration": ({"calibration"}, _calibration),
    "strange": ({"patients"}, _strange),
}
"""A part of the page -> the tables that it needs, and what writes it."""
