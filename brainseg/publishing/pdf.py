"""The built book as one PDF: its pages joined in reading order, printed by a browser, and linked from the first page.

A browser draws the book as readers see it, formulas and tables included, so nothing else has to learn how. It numbers
the pages and makes links and bookmarks. Where each chapter begins is known only after printing, so all is printed
twice: the second time with these numbers in the table of contents.
"""

from __future__ import annotations

import html
import logging
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import yaml
from bs4 import BeautifulSoup, Tag
from tqdm import tqdm

from brainseg.paths import write_atomically
from brainseg.publishing.citation import Citation, read_citation
from brainseg.publishing.manifest import read_manifest, rewrite_hashes
from brainseg.publishing.notebooks import StudyError

if TYPE_CHECKING:
    from pypdf import PdfWriter

NAME = "brainseg.pdf"  # at the site's root
PLACE = re.compile(r"<!-- pdf -->.*?<!-- /pdf -->", re.S)  # in the built first page, where the link goes
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
SECONDS = 900  # a browser that takes longer hangs
OPTIONS = [
    "--headless", "--disable-gpu", "--no-pdf-header-footer", "--generate-pdf-document-outline",
    "--virtual-time-budget=120000",  # ms of waiting for formulas; none of them passes while the browser works
    "--no-sandbox",  # containers have none, and the page is our own
]  # fmt: skip


class Chapter(NamedTuple):
    """A page of the book in its reading order."""

    part: str
    """The caption above it in the table of contents; empty for the first page."""
    file: str
    """Without its ending, such as ``teach/index``."""
    level: int
    """0, and 1 for a page below another."""


def reading_order(toc: dict) -> list[Chapter]:
    """The pages of a ``_toc.yml`` in their order.

    Parameters
    ----------
    toc : dict
        As read: a ``root``, and ``parts`` with their ``caption`` and ``chapters``, which may have ``sections``.
    """

    def below(part: str, entries: list[dict], level: int) -> Iterator[Chapter]:
        for entry in entries:
            yield Chapter(part, entry["file"], level)
            yield from below(part, entry.get("sections", []), level + 1)

    chapters = [Chapter("", toc["root"], 0)]
    for part in toc["parts"]:
        chapters += below(part["caption"], part["chapters"], 0)
    return chapters


def find_browser() -> str | None:
    """The place of a Chromium, or of another browser that prints as it does; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def write_pdf(root: Path, site: Path, address: str | None) -> tuple[Path, int]:
    """Print the built book at `site` into one PDF in it, and link it from the first page.

    The pages of the code's docstrings are left out: they would fill two fifths of it, and are read beside the code. The
    PDF is there before the link is, and a book that is built anew has neither.

    Parameters
    ----------
    root : Path
        The checkout: it holds ``book/_toc.yml``, ``_config.yml`` and ``CITATION.cff``.
    site : Path
    address : str or None
        Where the book is published, with a slash at its end: what is no page of the PDF is linked there.

    Returns
    -------
    Path
        The PDF.
    int
        How many pages it has.

    Raises
    ------
    StudyError
        Where there is no browser or no book, where the book is another than the table of contents says, or where the
        browser fails.
    """
    chapters = reading_order(yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8")))
    chapters = [chapter for chapter in chapters if not chapter.file.startswith("api/")]
    first = site / f"{chapters[0].file}.html"
    if not first.is_file():
        raise StudyError(f"There is no built book in {site}. Build it first: make book, or python -m brainseg book.")
    if missing := [chapter.file for chapter in chapters if not (site / f"{chapter.file}.html").is_file()]:
        raise StudyError(f"The book in {site} lacks {', '.join(missing)}. Build it again: make book.")
    if not PLACE.search(first.read_text(encoding="utf-8")):
        raise StudyError(f"{first} has no place for the link to the PDF. Build the book again: make book.")
    browser = find_browser()
    if browser is None:
        raise StudyError(
            "The PDF is printed by a browser, and there is no Chromium or Chrome on the PATH. "
            "On Debian and Ubuntu: apt-get install chromium."
        )
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    citation = read_citation(root)
    text = joined(site, chapters, config, citation, read_manifest(site), address)
    with write_atomically(site / NAME) as part:
        pages = print_book(browser, text, part, {"/Title": config["title"], "/Author": ", ".join(citation.authors)})
    size = (site / NAME).stat().st_size / 2**20
    link = f'<p><a href="{NAME}">The whole book as one PDF</a> ({pages} pages, {size:.0f} MB).</p>'
    linked = PLACE.sub(f"<!-- pdf -->{link}<!-- /pdf -->", first.read_text(encoding="utf-8"))
    with write_atomically(first) as part:
        part.write_text(linked, encoding="utf-8")
    rewrite_hashes(site)
    return site / NAME, pages


def print_book(browser: str, text: str, path: Path, metadata: dict[str, str]) -> int:
    """Print a joined book with the right pages in its table of contents; return how many it has.

    Parameters
    ----------
    browser : str
    text : str
        From :func:`joined`.
    path : Path
        The PDF to write.
    metadata : dict
        Of the PDF, such as ``{"/Title": "..."}``.

    Raises
    ------
    StudyError
        Where the browser fails.
    """
    from pypdf import PdfReader, PdfWriter  # nothing else in the book asks for it

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of how Chromium counts, and reads it well
    with tempfile.TemporaryDirectory(prefix="brainseg-pdf-") as folder:
        source, printed = Path(folder) / "book.html", Path(folder) / "book.pdf"
        found: dict[str, int] = {}
        for _ in tqdm(range(2), desc="printing the book twice", unit="pass", leave=False):
            told = found
            source.write_text(_numbered(text, told), encoding="utf-8")
            _print(browser, source, printed)
            reader = PdfReader(printed)
            places = reader.named_destinations
            found = {name.lstrip("/"): reader.get_destination_page_number(places[name]) + 1 for name in places}
        if found != told:
            raise StudyError("The numbers in the PDF's table of contents moved the chapters that they point to.")
        writer = PdfWriter(clone_from=printed)
        headings = [
            one.get_text().strip() for one in BeautifulSoup(text, "html.parser").find_all(re.compile("^h[1-6]$"))
        ]
        _name_bookmarks(writer, headings)
        writer.add_metadata(metadata)
        writer.page_mode = "/UseOutlines"
        writer.write(path)
        return len(writer.pages)


def _print(browser: str, source: Path, printed: Path) -> None:
    printed.unlink(missing_ok=True)
    profile = f"--user-data-dir={source.parent / 'profile'}"
    command = [browser, *OPTIONS, profile, f"--print-to-pdf={printed}", source.as_uri()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise StudyError(f"{browser} was still printing after {SECONDS} s, and was stopped.") from None
    if done.returncode or not printed.is_file() or not printed.read_bytes().startswith(b"%PDF"):
        raise StudyError(f"{browser} did not print the book:\n{done.stderr[-2000:]}")


def _name_bookmarks(writer: PdfWriter, headings: list[str]) -> None:
    """Give the bookmarks, one a heading in their order, the headings' words: a browser writes some of them twice."""
    from pypdf.generic import NameObject, TextStringObject

    def items(parent) -> Iterator:
        item = parent.get("/First")
        while item is not None:
            yield item.get_object()
            yield from items(item.get_object())
            item = item.get_object().get("/Next")

    bookmarks = list(items(writer.root_object["/Outlines"]))
    if len(bookmarks) != len(headings):
        raise StudyError(f"The PDF has {len(bookmarks)} bookmarks for {len(headings)} headings.")
    for bookmark, heading in zip(bookmarks, headings, strict=True):
        bookmark[NameObject("/Title")] = TextStringObject(heading)


def _numbered(text: str, beginnings: dict[str, int]) -> str:
    """The joined book with page numbers in its table of contents, where they are known."""
    return re.sub(r'(<span data-begins="([^"]+)">)', lambda found: f"{found[1]}{beginnings.get(found[2], '')}", text)


# ---------------------------------------------------------------- one page of all


def joined(
    site: Path, chapters: list[Chapter], config: dict, citation: Citation, manifest: dict, address: str | None
) -> str:
    """All chapters as one page of HTML: a title page, a table of contents, and the chapters under their parts.

    What the pages have alike is made their own: ``ID`` on the page ``teach/index`` is ``page-teach-index--ID`` here.
    Links between chapters stay in the document, those to files lead to `address`, or to nowhere.
    """
    files = [chapter.file for chapter in chapters]
    soups = {file: _read(site / f"{file}.html") for file in files}
    contents, body, part = [], [], ""
    for chapter in chapters:
        article = _article(soups[chapter.file], site, chapter.file, set(files), address)
        key = _key(chapter.file)
        if chapter.part:
            for level in (5, 4, 3, 2, 1):  # below the heading of their part
                for heading in article.find_all(f"h{level}"):
                    heading.name = f"h{level + 1}"
        if chapter.part != part:
            part = chapter.part
            contents.append(f'<li class="pdf-part">{html.escape(part)}</li>')
            body.append(f'<h1 class="pdf-part">{html.escape(part)}</h1>')
        heading = article.find("h2" if part else "h1").get_text().strip()
        contents.append(
            f'<li class="pdf-level-{chapter.level}"><a href="#{key}">{html.escape(heading)}</a>'
            f'<span data-begins="{key}"></span></li>'
        )
        body.append(f'<div class="pdf-chapter" id="{key}">{article}</div>')
    head = soups[files[0]]
    styles = [
        f'<link rel="stylesheet" href="{_uri(site, files[0], link["href"])}">'
        for link in head.select('head link[rel="stylesheet"]')
    ]
    formulas = [
        f'<script src="{_uri(site, files[0], script["src"])}"></script>' if script.get("src") else str(script)
        for script in head.select("head script")
        if "mathjax" in script.get("src", "") or "window.MathJax" in script.get_text()
    ]
    authors = ", ".join(citation.authors)
    said = [f"By {authors}", f"Version {citation.version}, {citation.year}"]
    if manifest["commit"]:
        said[-1] += f", commit {manifest['commit']}"
    if cohort := manifest["cohort"]:
        kind = "simulated" if cohort["synthetic"] else "real"
        said.append(f"This edition was executed on {cohort['patients']} {kind} patients.")
    if address:
        said.append(f"Published at {address}")
    said.append(config["html"]["extra_footer"])
    title = html.escape(config["title"])
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">',
            f"<title>{title}</title>",
            *styles,
            *formulas,
            '</head><body class="pdf">',
            f'<div class="pdf-title"><p class="pdf-name">{title}</p>',
            *(f"<p>{html.escape(line)}</p>" for line in said),
            '</div><nav class="pdf-contents"><p class="pdf-name">Contents</p><ul>',
            *contents,
            "</ul></nav>",
            *body,
            "</body></html>",
        ]
    )


def _read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def _key(file: str) -> str:
    return "page-" + re.sub(r"[^a-zA-Z0-9]+", "-", file)


def _uri(site: Path, file: str, reference: str) -> str:
    """What a page refers to, as an address on this machine."""
    return (site / posixpath.dirname(file) / unquote(reference.partition("?")[0])).resolve().as_uri()


def _article(soup: BeautifulSoup, site: Path, file: str, files: set[str], address: str | None) -> Tag:
    """The content of a page, changed so that it can stand beside that of others on paper."""
    article = soup.select_one("article.bd-article")
    for gone in article.select("script, .headerlink, .d-print-none, button"):
        gone.decompose()
    for folded in article.find_all("details"):  # paper does not unfold
        folded.name = "div"
        if summary := folded.find("summary"):
            shown = summary.select_one(".collapsed") or summary
            summary.name = "p"
            summary.string = re.sub("^Show (the |code cell )?", "", shown.get_text().strip()).capitalize()
            summary["class"] = "pdf-unfolded"
    key = _key(file)
    for element in article.find_all(True):
        if element.get("id"):
            element["id"] = f"{key}--{element['id']}"
        for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls"):
            element.attrs.pop(name, None)
        if element.get("src"):
            element["src"] = _uri(site, file, element["src"])
        if element.name == "a" and element.get("href"):
            _relink(element, file, key, files, address)
    return article


def _relink(link: Tag, file: str, key: str, files: set[str], address: str | None) -> None:
    """Lead a link to its place in the joined book, or to the book's address; else it is text."""
    if re.match(r"[a-z]+:", link["href"]):
        return
    target, _, place = link["href"].partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), unquote(target))) if target else f"{file}.html"
    page = path.removesuffix(".html")
    if path.endswith(".html") and page in files:
        link["href"] = f"#{_key(page)}--{unquote(place)}" if place else f"#{_key(page)}"
    elif address:
        link["href"] = f"{address}{path}" + (f"#{place}" if place else "")
    else:
        del link["href"]
