"""The book's pages on the package, one per group of modules, written from the docstrings."""

from __future__ import annotations

import re
from pathlib import Path

GROUPS = {
    "data": ("Data", "From files to a checked table, and the synthetic cohort.", ["data", "cohort", "phantom"]),
    "images": ("Images", "Contrast, cropping, and the whole cohort as arrays.", ["images"]),
    "networks": (
        "Networks and training",
        "Splits, networks, losses, and runs that are trained once and found ever after.",
        ["chapters", "splits", "networks"],
    ),
    "scores": (
        "Scores",
        "How good a mask is, per slice and per patient, and what the data show.",
        ["metrics", "evaluation", "statistics"],
    ),
    "experiments": (
        "Experiments",
        "What a leak is worth, the article's claims, a plain network and new institutions, what a synthetic tumour is "
        "worth, when to trust a mask, and tumour shape beside genomic clusters.",
        ["experiments"],
    ),
    "figures": ("Figures", "Every picture of the book, as a function that returns a figure.", ["figures"]),
    "publishing": (
        "The book",
        "Executed notebooks, kept tables, and this book.",
        ["publishing", "results", "provenance", "paths"],
    ),
}
"""By page: its title, a sentence, and the modules or subpackages on it. What nobody names goes on the last page."""

_UNSEARCHED = "---\nnosearch: true\n---\n\n"
"""Keeps a page's text out of the search: readers ask in words. Names of functions are found all the same."""

_BOX = """:::{admonition} On this page
:class: tip
- **You will find** each public function with its arguments, what it returns, its errors, and the source of its formula.
- **It takes** a glance per function.
:::
"""


def write_api(package: Path, folder: Path) -> None:
    """Write the pages in MyST Markdown to `folder`, and ``index.md`` above them, for all modules of `package`."""
    folder.mkdir(parents=True)
    modules: dict[str, list[str]] = {page: [] for page in GROUPS}
    fields: dict[str, list[str]] = {}
    places = {name: page for page, (_, _, names) in GROUPS.items() for name in names}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[-1].startswith("__") and (len(parts) == 2 or parts[-1] == "__main__"):
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[places.get(parts[1], list(GROUPS)[-1])].append(name)
        tuples = re.findall(
            r"^class \w+\(NamedTuple\):\n((?:    .*\n|\n)+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        fields[name] = re.findall(r"^    (\w+):", "".join(tuples), re.MULTILINE)
    for page, (title, summary, names) in GROUPS.items():
        order = {name: place for place, name in enumerate(names)}
        found = sorted(modules[page], key=lambda name: (order.get(name.split(".")[1], len(order)), name))
        sections = [_section(name, fields[name]) for name in found]
        (folder / f"{page}.md").write_text(
            f"{_UNSEARCHED}# {title}\n\n{summary}\n\n{_BOX}\n" + "\n".join(sections), encoding="utf-8"
        )
    rows = [f"- {{doc}}`{title} <{page}>`: {summary}" for page, (title, summary, _) in GROUPS.items()]
    text = (
        "# The package\n\nWhat each function takes and gives, with shapes, ranges and units. These pages are written "
        f"from the docstrings of the code that made this book.\n\n{_BOX}\n" + "\n".join(rows) + "\n"
    )
    (folder / "index.md").write_text(text, encoding="utf-8")


def _section(name: str, fields: list[str]) -> str:
    """One module. The fields of its named tuples are left out: all that Python says of them is their number."""
    options = [":members:", ":ignore-module-all:", *([f":exclude-members: {', '.join(fields)}"] if fields else [])]
    lines = [f".. automodule:: {name}", *(f"   {option}" for option in options)]
    return "\n".join([f"## {name.removeprefix('brainseg.')}", "", "```{eval-rst}", *lines, "```", ""])
