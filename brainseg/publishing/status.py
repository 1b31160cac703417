"""What a page was executed on: the banner on the page, the status page, and the table of results."""

from __future__ import annotations

import ast
import re

import nbformat
import pandas as pd

from brainseg.publishing.execute import Edition
from brainseg.publishing.network import find_network

RESULTS = "results"  # the glue name under which a notebook leaves the short table of results


def banner(record: dict, kept: bool = False) -> str:
    """The box below a page's title, in MyST Markdown; empty for a page that read no cohort.

    Parameters
    ----------
    record : dict
        That of the page.
    kept : bool
        Whether the page's results are kept ones of real patients, whatever cohort it was executed on.
    """
    cohort = record["cohort"]
    if cohort is None:
        return ""
    size = f"{cohort['patients']} patients, {cohort['slices']} slices, {cohort['tumour_slices']} of them with tumour"
    met = _met(record)
    if cohort["synthetic"] and kept:
        return (
            ":::{admonition} Results on real MRI slices\n:class: note\n"
            "The results of this page are those of real patients, and are read from the tables in `results/`. The page "
            "itself was executed beside the embedded phantom cohort, so it shows none of their slices. Research and "
            "teaching only; not for clinical use.\n:::"
        )
    if cohort["synthetic"]:
        return (
            ":::{admonition} Synthetic data\n:class: warning\n"
            f"This page was executed on the embedded phantom cohort ({size}): real anatomy, simulated disease. "
            f"{met}It shows how the method works and supports no claim about real MRI. Not for clinical use.\n:::"
        )
    origin = (
        "Images: The Cancer Imaging Archive, TCGA-LGG (CC BY 3.0). Masks: Buda, Saha and Mazurowski, 2019, "
        "[doi:10.1016/j.compbiomed.2019.05.002](https://doi.org/10.1016/j.compbiomed.2019.05.002). Both from Kaggle, "
        "[mateuszbuda/lgg-mri-segmentation](https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation), "
        "CC BY-NC-SA 4.0. "
    )
    return (
        ":::{admonition} Real MRI slices\n:class: note\n"
        f"This page was executed on {size}. {met}{origin if cohort['tcga'] else ''}Research and teaching only; "
        "not for clinical use.\n:::"
    )


def _met(page: dict) -> str:
    """How many of a page's patients its networks know, as a sentence; empty where it has none, or splits by slice."""
    run = find_network(page, [])
    if run is None or page["parameters"]["split_by"] == "slice":
        return ""
    trained, chosen = len(run.patients["train"]), len(run.patients["validation"])
    never = page["cohort"]["patients"] - trained - chosen
    validated = f", and their best epoch was chosen on {chosen} more" if chosen else ""
    return (
        f"Its networks were trained on {trained} of these patients{validated}. They have never met the other {never}. "
    )


def origin(record: dict) -> str:
    """A line below the banner, in MyST Markdown: where the numbers of a page come from."""
    seed = record["parameters"].get("seed")
    return (
        f"\n\n*Where the numbers come from: this page was executed on {record['executed']} in {record['seconds']:.0f} s"
        f"{'' if seed is None else f', seed {seed}'}, profile {record['profile']}, on {record['processor']}. "
        "The [status page](../status.md) has the whole record.*\n"
    )


def status_page(edition: Edition) -> str:
    """A page in MyST Markdown: what each page was executed on, with what, and how long it took."""
    records = {name: edition.record(name) for name in edition.pages}
    pages = ["| Page | Cohort | Profile | Seed | Seconds | Peak memory (MB) |", "|---|---|---|--:|--:|--:|"]
    details = ["| Page | Parameters | Source | Executed |", "|---|---|---|---|"]
    for name, record in records.items():
        link = f"[](notebooks/{name}.ipynb)"
        seed = record["parameters"].get("seed", "")
        pages.append(
            f"| {link} | {_cohort(record['cohort'])} | {record['profile']} | {seed} | {record['seconds']:.0f} | "
            f"{record['peak_memory_mb']} |"
        )
        values = ", ".join(f"`{key} = {value!r}`" for key, value in record["parameters"].items())
        details.append(f"| {link} | {values} | `{record['source'][:8]}` | `{record['executed']}` |")
    first = next(iter(records.values()))  # package and libraries are part of a page's key: one set in an edition
    versions = [f"{name} {number}" for name, number in first["versions"].items()]
    processors = sorted({record["processor"] for record in records.values()})
    seconds = sum(record["seconds"] for record in records.values())
    return "\n".join(
        [
            "# Status",
            "",
            "What each page was executed on, with which settings, and how long it took.",
            "",
            ":::{admonition} On this page",
            ":class: tip",
            "- **You will learn** which data and which code are behind each page.",
            "- **It takes** a minute.",
            "- **Its numbers** are generated from the record that every executed notebook carries.",
            ":::",
            "",
            *pages,
            "",
            f"Added up, {seconds / 60:.1f} minutes on {'; '.join(processors)}. Two chapters run side by side.",
            "",
            "The memory is that of the notebook's kernel and its workers, taken twice a second.",
            "",
            "## Parameters and sources",
            "",
            *details,
            "",
            "Source is the beginning of the SHA-256 of the notebook's source; that of the package's code is",
            f"`{first['package'][:8]}`. A page is executed again when one of them, the cohort, a parameter or a "
            "library changes.",
            "",
            "## Libraries",
            "",
            ", ".join(versions) + ".",
            "",
        ]
    )


def results_of(edition: Edition) -> tuple[str, pd.DataFrame] | None:
    """The notebook that glued a table (column -> values) named ``results``, and the table; None where none did."""
    for name, page in edition.pages.items():
        for cell in nbformat.read(page, as_version=4).cells:
            for output in cell.get("outputs", []):
                if output.get("metadata", {}).get("scrapbook", {}).get("name") == RESULTS:
                    text = next(text for kind, text in output["data"].items() if kind.endswith("text/plain"))
                    return name, pd.DataFrame(ast.literal_eval(re.sub(r"\bnan\b", "None", text)))
    return None


def _cohort(cohort: dict | None) -> str:
    if cohort is None:
        return "none"
    kind = "synthetic" if cohort["synthetic"] else "real"
    return f"{kind}, {cohort['patients']} patients, {cohort['slices']} slices, `{cohort['fingerprint'][:8]}`"
