"""The landing page: the study's headline chart, drawn from the results that the project keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from brainseg.metrics import bootstrap_interval

MARK = "<!-- headline -->"  # in book/intro.md, where the chart goes
SOCIAL = "social.png"  # at the site's root: the picture that goes with a shared link
MODELS = {"fcn32": "FCN-32", "unet": "U-Net", "resunet": "ResUNet"}


def headline_results(root: Path) -> tuple[pd.DataFrame, str] | None:
    """The results to put first, as :func:`brainseg.figures.results.headline` takes them, and a sentence on where they come from.

    The reference edition goes before a kept edition on real slices, and that before the synthetic cohort.
    None where nothing is kept.
    """
    reference = root / "results" / "reference"
    if (reference / "record.json").is_file():
        patients = pd.read_csv(reference / "patients.csv")
        patients = patients[(patients["protocol"] == "honest") & (patients["part"] == "test") & patients["dice"].notna()]
        rows = []
        for model, of in patients.groupby("model"):
            rows.append({"model": MODELS[model], **bootstrap_interval(of["dice"])._asdict(), "dice": of["dice"].to_list()})
        table = pd.DataFrame(rows).rename(columns={"estimate": "mean"}).sort_values("mean", ignore_index=True)
        folds = patients["fold"].nunique()
        return table, (
            f"Real slices: {patients['patient'].nunique()} test patients of {folds} {'fold' if folds == 1 else 'folds'}, "
            "split by patient, each scored as one volume. One dot is one patient."
        )
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((root / "results").glob("edition-*.json"))]
    if not kept:
        return None
    record = min(kept, key=lambda one: one["cohort"]["synthetic"])
    table = pd.DataFrame(record["results"]).astype({"low": float, "high": float}).sort_values("mean", ignore_index=True)
    cohort, values = record["cohort"], record["parameters"]
    kind = "The embedded synthetic cohort, which supports no claim about real MRI" if cohort["synthetic"] else "Real slices"
    return table, (
        f"{kind}: {table['patients'].max()} test patients of {cohort['patients']}, split by patient, each scored as one "
        f"volume; a short training at {values['image_size']} pixels."
    )


def fill_landing(root: Path, target: Path) -> None:
    """Draw the headline chart into the staged book at `target`, and put it at the landing page's mark."""
    page = target / "intro.md"
    text = page.read_text(encoding="utf-8")
    found = headline_results(root)
    if MARK not in text or found is None:
        page.write_text(text.replace(MARK, "No results are recorded yet."), encoding="utf-8")
        return
    from brainseg.figures.results import headline  # needs matplotlib

    table, where = found
    (target / "images").mkdir(exist_ok=True)
    (target / "_extra").mkdir(exist_ok=True)
    headline(table).savefig(target / "images" / "headline.png", dpi=200)
    headline(table, height=4.2).savefig(target / "_extra" / SOCIAL, dpi=150)
    scores = ", ".join(f"{row['model']} {row['mean']:.2f}" for row in table.to_dict("records"))
    figure = (
        "```{figure} images/headline.png\n:name: fig-headline\n:width: 100%\n"
        f":alt: Mean Dice per patient on a scale from 0 to 1, with intervals: {scores}. Two human readers agree to about 0.84.\n\n"
        f"{where}\n```"
    )
    page.write_text(text.replace(MARK, figure), encoding="utf-8")
