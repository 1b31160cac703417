"""The landing page: a slice with two outlines, then the study's headline chart, with what they show in words."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from brainseg.evaluation.headline import headline
from brainseg.experiments import outcome
from brainseg.figures import style
from brainseg.figures.results import headline as chart
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.results import has_tables

MARK = "<!-- headline -->"  # in book/intro.md, where the chart goes
COVER = "<!-- cover -->"  # and where the slice goes
SOCIAL = "social.png"  # at the site's root: the picture that goes with a shared link


def fill_landing(target: Path, patients: Sequence[Mapping], shown_on: str) -> None:
    """Put a slice of the edition and the reference edition's chart at the marks of the staged landing page.

    Parameters
    ----------
    target : Path
        The staged book.
    patients : sequence of mapping
        Those of the viewer, from :func:`brainseg.publishing.viewer.take_patients`.
    shown_on : str
        The banner that says whose slices they are.
    """
    page = target / "intro.md"
    text = page.read_text(encoding="utf-8").replace(COVER, _cover(target, patients, shown_on))
    page.write_text(text, encoding="utf-8")
    if MARK not in text:
        return
    if not has_tables("reference"):
        page.write_text(text.replace(MARK, "No results on real slices are kept yet."), encoding="utf-8")
        return
    style.use_theme()
    lines = headline()
    for path in (target / "images" / "headline.png", target / "_extra" / SOCIAL):
        path.parent.mkdir(exist_ok=True)
        chart(lines).savefig(path, dpi=200)
    scores = ", ".join(
        f"{MODEL_NAMES[name]} {summary['mean']:.2f} ({summary['low']:.2f} to {summary['high']:.2f}, "
        f"{summary['patients']} patients)"
        for name, _, summary in lines
    )
    sizes = {summary["patients"] for _, _, summary in lines}
    choice = outcome.read_findings().choice()
    figure = (
        "```{figure} images/headline.png\n:name: fig-headline\n:width: 100%\n"
        ":alt: Dice of test patients on a scale from 0 to 1, a row of dots per network with mean and interval. "
        f"{scores}.\n\n"
        "Real slices, split by patient: a small dot is a test patient, a large one the mean, the bar its 95 % "
        "interval. "
        + (
            f"The lower rows are the same {min(sizes)} patients, the upper ones more. "
            if len(sizes) > 1
            else "All rows are the same patients. "
        )
        + "The dashed line is a published mean, the grey band the agreement of two human readers. "
        "{doc}`Results on real slices <notebooks/15_results>` says how the networks were trained and where they "
        "fail.\n```"
    )
    page.write_text(text.replace(MARK, f"{figure}\n\n{choice}".rstrip()), encoding="utf-8")


def _cover(target: Path, patients: Sequence[Mapping], shown_on: str) -> str:
    """The slice with most tumour of the patient in the middle by Dice; nothing where the edition has none."""
    covered = [patient for patient in patients if patient["cover"]]
    if not covered:
        return ""
    covered.sort(key=lambda patient: list(patient["models"].values())[-1]["dice"])
    chosen = covered[len(covered) // 2]
    model = list(chosen["models"].values())[-1]
    path = target / "images" / "cover.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(base64.b64decode(chosen["cover"]))
    return (
        "```{figure} images/cover.png\n:name: fig-cover\n:width: 100%\n"
        ":alt: A slice of a head, and beside it the same slice with two outlines around a bright region: the true mask "
        f"and what {model['name']} drew.\n\n"
        f"Left, a slice as it is. Right, the outline that counts as true and the one that {model['name']} drew. Over "
        f"the whole head the two share a {{term}}`Dice` of {model['dice']:.2f}. {{doc}}`Scroll through this patient "
        f"and others <viewer>`.\n```\n\n{shown_on}"
    )
