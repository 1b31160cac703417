"""The page "The study in five minutes": six findings of the kept tables, each a sentence, a figure and a link."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from brainseg.evaluation.headline import headline
from brainseg.evaluation.scores import summarise
from brainseg.experiments import claims, gallery, leakage, outcome, synthetic
from brainseg.experiments.ranking import rank_networks
from brainseg.figures import leakage as leak_figures
from brainseg.figures import results as figures
from brainseg.figures import style
from brainseg.figures import synthetic as synthetic_figures
from brainseg.publishing.marks import as_figure
from brainseg.results import has_tables, read_table

MARK = "<!-- minutes -->"  # in book/minutes.md, where the findings go


def _good() -> tuple[str, Figure]:
    found = outcome.read_findings()
    items = found.networks[0].sentence(), found.aim_of_best()
    return " ".join(item.removeprefix("- ") for item in items), figures.headline(headline())


def _order() -> tuple[str, Figure]:
    patients, _ = outcome.read_scores()
    by_model = {model: scored.set_index("patient") for model, scored in patients.groupby("model", sort=False)}
    summaries = {model: summarise(scored) for model, scored in by_model.items()}
    trainings = int(patients["networks"].min())
    said = rank_networks(outcome.wide_dice(patients), trainings=trainings).sentence()
    return said, figures.patient_dice(by_model, summaries)


def _worst() -> tuple[str, Figure]:
    patients, slices = outcome.read_scores()
    return gallery.tail(gallery.failures(patients)), figures.dice_against_size(slices)


def _leak() -> tuple[str, Figure]:
    patients = read_table("leakage", "patients")
    found = leakage.findings(patients, read_table("leakage", "slices"))
    drawn = leak_figures.doses(leakage.paired(patients), found, "mean Dice of a patient's tumour slices")
    return f"{found.conclusion()} {found.over_folds()}".strip(), drawn


def _contrast() -> tuple[str, Figure]:
    patients = read_table("claims", "patients")
    found = claims.findings(patients)
    changes = claims.effects(claims.mean_over_seeds(patients))
    drawn = figures.effects(found.table(), changes, claims.MAIN, claims.GREAT, beyond="great")
    return found.conclusion(), drawn


def _synthetic() -> tuple[str, Figure]:
    alone = synthetic.mean_dice(read_table("synthetic", "patients"))
    drawn = synthetic_figures.methods(alone, synthetic.mean_dice(synthetic.trained_on_real()))
    return synthetic.read_findings().conclusion(), drawn


class Finding(NamedTuple):
    """A question, whose tables answer it, the chapter that tells more, the answer, and what its figure shows."""

    question: str
    study: str
    chapter: str
    answer: Callable[[], tuple[str, Figure]]
    caption: str


FINDINGS = {
    "good": Finding(
        "How good are the networks?", "reference", "15_results", _good,
        "Dice of real patients whom the network has never met: a dot is a patient, a large one the mean with its 95 % "
        "interval.",
    ),
    "order": Finding(
        "Which network is best?", "reference", "15_results", _order,
        "The same patients scored by each network; the diamond is the mean with its 95 % interval.",
    ),
    "worst": Finding(
        "Where do they fail?", "reference", "15_results", _worst,
        "Dice of each slice with tumour against the size of its tumour, on a logarithmic scale.",
    ),
    "leak": Finding(
        "What is a split by slice worth?", "leakage", "10_leakage", _leak,
        "The same tested slices by networks that have met a share of these patients' other slices, beside masks that "
        "are made of those slices' masks alone (left), and what each share gains (right).",
    ),
    "contrast": Finding(
        "Does more contrast help, and does a crop?", "claims", "11_claims", _contrast,
        "What CLAHE and crops change in Dice: a dot is a patient, the diamond the mean with its 95 % interval. The "
        "numbers are the means, and the main effects are coloured.",
    ),
    "synthetic": Finding(
        "What is a synthetic tumour worth?", "synthetic", "16_synthetic", _synthetic,
        "Dice of real patients, a dot a patient: filled dots are of networks that trained on simulated patients alone, "
        "or of a threshold chosen on them; open dots are of networks that went on with real patients.",
    ),
}  # fmt: skip
"""By the name of their pictures."""


def fill_minutes(target: Path) -> None:
    """Write the findings into the staged book at `target`; one whose tables are not kept says so."""
    page = target / "minutes.md"
    if not page.is_file():
        return
    style.use_theme()
    parts = []
    for name, finding in FINDINGS.items():
        said, figure = "No tables are kept yet.", ""
        if has_tables(finding.study):
            said, drawn = finding.answer()
            figure = as_figure(drawn, target, f"minutes-{name}", finding.caption, finding.caption)
        more = f"{{doc}}`More in this chapter <notebooks/{finding.chapter}>`."
        parts.append(f"## {finding.question}\n\n{said} {more}\n\n{figure}\n")
    page.write_text(page.read_text(encoding="utf-8").replace(MARK, "\n".join(parts)), encoding="utf-8")
