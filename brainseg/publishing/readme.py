"""The kept results: a small table per edition in ``results/``, and the README's block made of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from brainseg.chapters import epochs_text
from brainseg.evaluation.headline import headline
from brainseg.experiments import outcome
from brainseg.figures import style
from brainseg.figures.results import headline as chart
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.paths import write_atomically
from brainseg.publishing.execute import Edition
from brainseg.publishing.notebooks import StudyError
from brainseg.results import has_tables, read_record, restorable

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
FRESH = "fresh patients are as many as the cohort has, simulated with another seed; "
COLUMNS = {
    "model": "network",
    "patients": "patients",
    "mean": "mean Dice per patient",
    "interval": "95 % interval",
    "median": "median",
    "worst": "worst",
}


def keep_results(root: Path, edition: Edition, page: str, table: pd.DataFrame) -> Path:
    """Write an edition's table of results and where it comes from to ``results/edition-NAME.json``.

    Raises
    ------
    StudyError
        Where the edition was split by slice.
    """
    record = edition.record(page)
    refuse_split_by_slice(record["parameters"])
    kept = {
        "edition": edition.folder.name,
        "cohort": record["cohort"],
        "parameters": record["parameters"],
        "versions": record["versions"],
        "processor": record["processor"],
        "pages": {
            name: {key: edition.record(name)[key] for key in ("seconds", "peak_memory_mb")} for name in edition.pages
        },
        "results": table.astype(object).where(table.notna(), None).to_dict("records"),  # JSON knows no NaN
    }
    path = root / "results" / f"edition-{edition.folder.name}.json"
    with write_atomically(path) as part:
        part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return path


def refuse_split_by_slice(parameters: dict) -> None:
    """Raise a `StudyError` where an edition's parameters split by slice."""
    if parameters.get("split_by") == "slice":
        raise StudyError(
            "An edition that was split by slice is not kept. Its test patients are parts of patients, and the networks "
            "were trained on the other parts, so its Dice per patient would flatter them. Use split_by=patient."
        )


def draw_headline(root: Path) -> Path:
    """Draw the headline chart to ``book/images/headline.png``, from the reference edition's tables."""
    style.use_theme()
    path = root / "book" / "images" / "headline.png"
    with write_atomically(path) as part:
        chart(headline()).savefig(part, dpi=160, facecolor="white", metadata={"Software": None})
    return path


def fill_readme(root: Path) -> None:
    """Replace the block between the README's two marks by the tables in ``results/``; real cohorts first.

    Where the reference edition has tables, its chart is drawn anew as well.

    Raises
    ------
    StudyError
        Where the README lacks the marks.
    """
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise StudyError(f"README.md needs one line {BEGIN} and one line {END} around its results.")
    kept = []
    for path in sorted((root / "results").glob("edition-*.json")):
        with restorable(path):
            kept.append(json.loads(path.read_text(encoding="utf-8")))
    kept.sort(key=lambda record: record["cohort"]["synthetic"])
    sections = [_section(record) for record in kept]
    if has_tables("reference"):
        draw_headline(root)
        sections.insert(0, _reference_section())
    block = "\n\n".join(sections) or "No results are recorded yet."
    filled = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{block}\n{END}", text, flags=re.DOTALL)
    with write_atomically(readme) as part:
        part.write_text(filled, encoding="utf-8")


def _reference_section() -> str:
    lines = headline()
    record = read_record("reference")
    how = (
        f"**Real slices** ({record['cohort']['patients']} patients, {record['cohort']['slices']} slices of TCGA-LGG). "
        "Each patient counts once per network: scored as one volume in the original frame, by a network that has never "
        "met the patient; a network of several seeds predicts the mean of their probabilities. Only rows with the same "
        "number of patients are of the same patients, and can be compared. "
        "How the networks were trained, and where they fail, is in the book's page of results.\n\n"
        "![Dice of every test patient, a row of dots per network, with the mean and its interval, "
        "a dashed line for the published mean and a grey band for two human readers.](book/images/headline.png)"
    )
    columns = {"model": COLUMNS["model"], "folds": "folds", "seeds": "seeds", **COLUMNS}
    rows = [list(columns.values()), ["---"] * len(columns)]
    for name, patients, summary in lines:
        row = {
            "model": MODEL_NAMES[name],
            "folds": patients["fold"].nunique(),
            "seeds": int(patients["networks"].min()),
            **summary,
            "interval": _interval(summary),
        }
        rows.append([_cell(row[column]) for column in columns])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    choice = outcome.read_findings().choice()
    return "\n\n".join(part for part in (how, table, choice) if part)


def _section(record: dict) -> str:
    cohort, values = record["cohort"], record["parameters"]
    if cohort["synthetic"]:
        title = f"**The embedded synthetic cohort** ({cohort['patients']} simulated patients: no claim about real MRI)"
    else:
        title = f"**Real slices** ({cohort['patients']} patients, {cohort['slices']} slices of TCGA-LGG)"
    how = (
        f"{title}. Test patients are those of fold {values['fold']} (split by {values['split_by']}), each scored as "
        f"one volume in the original frame; {FRESH if cohort['synthetic'] else ''}{values['image_size']} pixels, "
        f"{epochs_text(values['epochs'], values['slices_per_epoch'])}, seed {values['seed']}, "
        f"on {record['processor']}."
    )
    minutes = {name: page["seconds"] / 60 for name, page in record["pages"].items()}
    how += (
        f" The edition's {len(minutes)} chapters take {sum(minutes.values()):.1f} minutes, added up, the first nine "
        f"{sum(spent for name, spent in minutes.items() if name < '10'):.1f}, with at most "
        f"{max(page['peak_memory_mb'] for page in record['pages'].values()) / 1024:.1f} GB of memory."
    )
    columns = {"on": "scored on", **COLUMNS}
    rows = [list(columns.values()), ["---"] * len(columns)]
    rows += [[_cell({**row, "interval": _interval(row)}[name]) for name in columns] for row in record["results"]]
    return how + "\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _interval(row: dict) -> str:
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return "none (one patient)" if row["patients"] == 1 else "none"
    return f"{row['low']:.2f} to {row['high']:.2f}"


def _cell(value) -> str:
    if pd.isna(value):
        return "none"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
