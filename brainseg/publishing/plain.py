"""Notebooks in plain Markdown: what MyST adds is written out, for Colab and for JupyterLab without extensions.

Figures get the numbers that they have in the book, and captions below them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

FENCE = re.compile(r"(?ms)^(?P<colons>:{3,})\{(?P<kind>\w+)\}(?P<title>[^\n]*)\n(?P<body>.*?)^(?P=colons)[ \t]*$")
ROLE = re.compile(r"\{(?P<role>[a-z:]+)\}`(?P<text>[^`]+)`")
TITLED = re.compile(r"(?s)^(?P<text>.*?)\s*<(?P<target>[^<>]+)>$")
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?![a-z]+:|#)[^)]*\)")


class Book:
    """What a page of the book must know of the others: titles, figures and references.

    Parameters
    ----------
    notebooks : mapping of name to NotebookNode
        In reading order; the first is chapter 1.
    root : Path
        The folder that holds ``book``.
    """

    def __init__(self, notebooks: Mapping[str, NotebookNode], root: Path):
        self.figures: dict[str, str] = {}
        self.titles = {path.stem: _title(path.read_text(encoding="utf-8")) for path in (root / "book").rglob("*.md")}
        for chapter, (name, notebook) in enumerate(notebooks.items(), start=1):
            self.titles[name] = _title(notebook.cells[0].source)
            named = [cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in notebook.cells]
            for number, figure in enumerate(filter(None, named), start=1):
                self.figures[figure] = f"Figure {chapter}.{number}"
        self.references = _references(root / "book" / "references.bib")

    def plain(self, notebook: NotebookNode) -> NotebookNode:
        """A copy of a notebook in plain Markdown, with a caption below each figure."""
        plain, cells = nbformat.from_dict(notebook), []
        for cell in plain.cells:
            if cell.cell_type == "markdown":
                cell.source = self.text(cell.source)
            cells.append(cell)
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            if "caption" in figure:
                caption = f"**{self.figures[figure['name']]}.** {self.text(figure['caption'])}"
                cells.append(nbformat.v4.new_markdown_cell(caption, id=f"{cell['id']}-caption"))
        plain.cells = cells
        return plain

    def text(self, source: str) -> str:
        """MyST Markdown as plain Markdown: boxes become quotations, and roles their text."""
        while FENCE.search(source):
            source = FENCE.sub(_quoted, source)
        source = ROLE.sub(self._role, source)
        return LINK.sub(lambda found: found["text"], source)  # the other page is not beside the notebook

    def _role(self, found: re.Match[str]) -> str:
        titled = TITLED.match(found["text"])
        text, target = (titled["text"], titled["target"]) if titled else ("", found["text"])
        role = found["role"]
        if role == "numref":
            return self.figures.get(target, "a figure of the book")
        if role == "doc":
            return text or f"*{self.titles[target.rpartition('/')[2]]}*"
        if role.startswith("cite"):
            cited = "; ".join(self.references[key.strip()] for key in found["text"].split(","))
            return f"({cited})" if role == "cite:p" else cited
        return text or target


def _title(text: str) -> str:
    return re.search(r"(?m)^# (.+)$", text)[1]


def _quoted(found: re.Match[str]) -> str:
    lines = [line for line in found["body"].strip("\n").splitlines() if not re.match(r":\w+:", line)]
    return "\n".join(f"> {line}".rstrip() for line in (f"**{found['title'].strip()}**", "", *lines))


def _references(path: Path) -> dict[str, str]:
    """Author and year of every reference, as the book cites it, by key."""
    from pybtex.database import parse_file

    cited: dict[str, str] = {}
    if not path.is_file():
        return cited
    for key, entry in parse_file(str(path)).entries.items():
        people = entry.persons.get("author") or entry.persons.get("editor") or []
        names = [" ".join([*person.prelast_names, *person.last_names]).strip("{}") for person in people]
        who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names) or key
        cited[key] = f"{who}, {entry.fields.get('year', 'no date')}"
    return cited
