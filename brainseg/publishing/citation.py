"""How to cite a page, and the study: everything comes from CITATION.cff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import yaml


class Citation(NamedTuple):
    """What CITATION.cff says of the study."""

    title: str
    authors: tuple[str, ...]
    """As in a text: a group by its name, a person as "Given Family"."""
    bibtex: str
    """The authors as BibTeX takes them: a group in braces, a person as "Family, Given"."""
    version: str
    year: int
    """Of the version."""


def read_citation(root: Path) -> Citation:
    """Read ``CITATION.cff`` in the folder `root`.

    Raises
    ------
    FileNotFoundError
        Where there is none.
    ValueError
        Where it lacks what a citation needs.
    """
    path = root / "CITATION.cff"
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    if missing := {"title", "authors", "version", "date-released"} - set(said):
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}, which a citation needs.")
    plain, bibtex = [], []
    for author in said["authors"]:
        if "name" in author:
            plain.append(author["name"])
            bibtex.append(f"{{{author['name']}}}")
        else:
            plain.append(f"{author['given-names']} {author['family-names']}")
            bibtex.append(f"{author['family-names']}, {author['given-names']}")
    year = int(str(said["date-released"])[:4])
    return Citation(said["title"], tuple(plain), " and ".join(bibtex), str(said["version"]), year)


def write_citation(root: Path, target: Path, address: str | None) -> None:
    """Write what ``book/_static/cite.js`` shows below each page into the staged book at `target`.

    Parameters
    ----------
    root : Path
        The folder that holds ``CITATION.cff``.
    target : Path
    address : str or None
        Where the book is published, with a slash at its end; None where that is not known.
    """
    said = read_citation(root)._asdict() | {"address": address}
    path = target / "_static" / "citation.js"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"window.brainsegCitation = {json.dumps(said)};\n", encoding="utf-8")
