"""The landing page: a slice with its outlines, and the study's headline chart, with what they show in words."""

from __future__ import annotations

from pathlib import Path

from brainseg.evaluation.headline import headline
from brainseg.experiments import outcome
from brainseg.figures import style
from brainseg.figures.results import headline as chart
from brainseg.figures.viewer import opening
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.publishing.drawing import TumourSlice
from brainseg.results import has_tables

OPENING = "<!-- opening -->"  # in book/intro.md, where the slice goes
MARK = "<!-- headline -->"  # in book/intro.md, where the chart goes
MODEL = "resunet"  # whose outline is shown: by its score the patient was picked
SOCIAL = "social.png"  # at the site's root: the picture that goes with a shared link


def open_landing(target: Path, drawn: TumourSlice | None, synthetic: bool) -> None:
    """Draw the slice into the staged book at `target`, and put it at the landing page's first mark.

    It is drawn from the cohort that the edition was executed on, so a picture of a real patient is never part of the
    project.
    """
    page = target / "intro.md"
    text = page.read_text(encoding="utf-8")
    figure = ""
    if drawn is not None:
        style.use_theme()
        network = MODEL_NAMES[MODEL] if MODEL_NAMES[MODEL] in drawn.outlines else list(drawn.outlines)[-1]
        path = target / "images" / "opening.png"
        path.parent.mkdir(exist_ok=True)
        opening(drawn.flair, drawn.truth, network, drawn.outlines[network]).savefig(path, dpi=200)
        patient = "a simulated patient" if synthetic else "a patient"
        figure = (
            "```{figure} images/opening.png\n:name: fig-opening\n:class: dark-light\n:width: 100%\n"
            ":alt: The same slice of a head three times: alone, with the true outline of the tumour, and with the "
            f"outline of {network} over it.\n\n"
            f"Slice {drawn.number} of {patient} whom no network here was trained on ({drawn.title}): the true outline, "
            f"and {network}'s, which has a Dice of {drawn.dice[network]:.2f} in this slice. 1 would be the same line. "
            "{doc}`Scroll through the whole head <viewer>`, or {doc}`draw the outline yourself <draw>`.\n```"
        )
    page.write_text(text.replace(OPENING, figure), encoding="utf-8")


def fill_landing(target: Path) -> None:
    """Draw the reference edition's chart into the staged book at `target`, and put it at the landing page's mark."""
    page = target / "intro.md"
    text = page.read_text(encoding="utf-8")
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
        f"{MODEL_NAMES[name]} {summary['mean']:.3f} ({summary['low']:.2f} to {summary['high']:.2f}, "
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
        + "The dashed line is a published mean, the grey band a mean quoted for two human readers, with one standard "
        "deviation to each side. "
        "{doc}`Results on real slices <notebooks/15_results>` says how the networks were trained and where they "
        "fail.\n```"
    )
    page.write_text(text.replace(MARK, f"{figure}\n\n{choice}".rstrip()), encoding="utf-8")
