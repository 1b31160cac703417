"""The whole book as one PDF: a tiny book, printed by a browser and read again."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat

import pytest
import yaml

from brainseg.paths import project_root
from brainseg.publishing import pdf
from brainseg.publishing.manifest import read_manifest
from brainseg.publishing.notebooks import StudyError
from brainseg.publishing.pdf import NAME, Chapter, joined, reading_order, write_pdf
from brainseg.publishing.stage import ON_SCREEN, on_paper

TOC = {
    "root": "intro",
    "parts": [
        {"caption": "Before", "chapters": [{"file": "data"}]},
        {"caption": "Teaching", "chapters": [{"file": "teach/index", "sections": [{"file": "teach/last"}]}]},
    ],
}
ARTICLES = {
    "intro": '<section id="start"><h1>The first chapter<a class="headerlink" href="#start">#</a></h1><p>Begin here, or '
    '<a href="teach/last.html#end">go to the end</a>.</p><!-- pdf --><!-- /pdf --></section>',
    "data": '<section id="start"><h1>The data</h1><p>Rows of slices.</p>' + "<p>More of them.</p>" * 200 + "<details>"
    '<summary><p class="collapsed">Show the solution</p><p class="expanded">Hide the solution</p></summary>'
    "<p>Forty-two patients.</p></details></section>",
    "teach/index": '<section id="start"><h1>For teachers</h1><h2>Routes</h2><p><a href="brainseg.zip">All notebooks</a>'
    '</p><div class="d-print-none">Only on a screen.</div></section>',
    "teach/last": '<section id="start"><h1>The last chapter</h1><p id="end">The end of the book.</p>'
    '<img src="../picture.png" alt="A dot."></section>',
}


def page(file: str, article: str) -> str:
    up = "../" * file.count("/")
    return (
        f'<!DOCTYPE html><html lang="en"><head><title>{file}</title>'
        f'<link rel="stylesheet" href="{up}_static/book.css?v=1"></head>'
        f'<body><nav>The menu</nav><article class="bd-article">{article}</article></body></html>'
    )


@pytest.fixture
def root(tmp_path):
    """A checkout as far as the PDF asks for one."""
    root = tmp_path / "checkout"
    (root / "book").mkdir(parents=True)
    (root / "book" / "_toc.yml").write_text(yaml.safe_dump(TOC))
    for name in ("_config.yml", "CITATION.cff"):
        shutil.copyfile(project_root() / name, root / name)
    return root


@pytest.fixture
def site(tmp_path):
    """A built book of four pages."""
    site = tmp_path / "site"
    for file, article in ARTICLES.items():
        path = site / f"{file}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(file, article), encoding="utf-8")
    (site / "_static").mkdir()
    shutil.copy(project_root() / "book" / "_static" / "book.css", site / "_static")
    (site / "picture.png").write_bytes(
        bytes.fromhex(
            "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8ffff3f"
            "0005fe02fea72d1d3a0000000049454e44ae426082"
        )
    )
    cohort = {"patients": 24, "synthetic": True}
    (site / "manifest.json").write_text(json.dumps({"commit": "abc123", "cohort": cohort, "files": {}}))
    return site


def test_the_reading_order_goes_into_sections():
    assert reading_order(TOC) == [
        Chapter("", "intro", 0),
        Chapter("Before", "data", 0),
        Chapter("Teaching", "teach/index", 0),
        Chapter("Teaching", "teach/last", 1),
    ]


def test_links_stay_in_the_document_or_lead_to_the_address(root, site):
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    citation = pdf.read_citation(root)

    def text(address):
        return joined(site, reading_order(TOC), config, citation, read_manifest(site), address)

    assert '<a href="#page-teach-last--end">go to the end</a>' in text(None) and 'id="page-teach-last--end"' in text(
        None
    )
    assert "<a>All notebooks</a>" in text(None)
    assert '<a href="https://x.org/teach/brainseg.zip">All notebooks</a>' in text("https://x.org/")
    assert (site / "picture.png").as_uri() in text(None) and (site / "_static" / "book.css").as_uri() in text(None)
    for gone in ("The menu", "Only on a screen", "Show the solution", "headerlink"):
        assert gone not in text(None)
    assert "24 simulated patients" in text(None) and "commit abc123" in text(None)


@pytest.mark.slow
def test_a_tiny_book_is_printed(browser, root, site):
    """`browser` skips the test where there is none."""
    pypdf = pytest.importorskip("pypdf")
    path, count = write_pdf(root, site, None)
    read = pypdf.PdfReader(path)
    texts = [one.extract_text() for one in read.pages]
    assert len(texts) == count and 7 <= count <= 16  # title, contents, four chapters of which one is long
    citation = pdf.read_citation(root)
    assert citation.version in texts[0] and str(citation.year) in texts[0] and "Not for clinical use" in texts[0]
    assert read.metadata.title in texts[0].replace("\n", " ") and read.metadata.author == ", ".join(citation.authors)

    def where(words):
        (place,) = [number for number, text in enumerate(texts) if words in text]
        return place + 1

    contents = texts[1]
    for heading, words in {
        "The first chapter": "Begin here",
        "The data": "Rows of slices",
        "For teachers": "All notebooks",
        "The last chapter": "The end of the book",
    }.items():
        line = next(line for line in contents.splitlines() if heading in line)
        assert line.split()[-1] == str(where(words)), contents
    assert where("The end of the book") == count and "Forty-two patients" in "".join(texts)
    assert [text.split()[0] for text in texts[1:]] == [str(number) for number in range(2, count + 1)]

    def titles(entries):
        return [titles(entry) if isinstance(entry, list) else entry.title.strip() for entry in entries]

    assert titles(read.outline) == [
        "The first chapter",
        "Before",
        ["The data"],
        "Teaching",
        ["For teachers", ["Routes"], "The last chapter"],
    ]

    first = (site / "intro.html").read_text(encoding="utf-8")
    assert first.count(f'href="{NAME}"') == 1 and f"({count} pages" in first
    files = read_manifest(site)["files"]
    for name in (NAME, "intro.html"):
        assert files[name] == hashlib.sha256((site / name).read_bytes()).hexdigest()
    write_pdf(root, site, None)
    assert (site / "intro.html").read_text(encoding="utf-8").count(f'href="{NAME}"') == 1


def refused(root, site, said):
    before = (site / "intro.html").read_bytes() if (site / "intro.html").is_file() else None
    with pytest.raises(StudyError, match=said):
        write_pdf(root, site, None)
    assert [path.name for path in site.rglob("*") if "pdf" in path.name] == []
    assert before is None or (site / "intro.html").read_bytes() == before


def test_what_is_missing_is_said(root, site, monkeypatch, tmp_path):
    refused(root, tmp_path / "nowhere", "There is no built book in .*nowhere.*make book")
    monkeypatch.setattr(pdf, "find_browser", lambda: None)
    refused(root, site, "no Chromium or Chrome on the PATH.*apt-get install chromium")
    (site / "data.html").unlink()
    refused(root, site, "lacks data. Build it again: make book")


@pytest.mark.parametrize("script", ["echo crashed >&2; exit 1", "true", 'echo no > "${0%/*}/x"; exit 0'])
def test_a_browser_that_fails_leaves_the_book_as_it_was(root, site, monkeypatch, tmp_path, script):
    pytest.importorskip("pypdf")
    fake = tmp_path / "chromium"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(pdf, "find_browser", lambda: str(fake))
    refused(root, site, "did not print the book" + (":\ncrashed" if "crashed" in script else ""))


def test_what_needs_a_screen_prints_a_sentence():
    for name in ON_SCREEN:
        source = (project_root() / "book" / f"{name}.md").read_text(encoding="utf-8")
        assert f'<div id="{name}">' in source or f"<!-- {name} -->" in source
    text = on_paper('<div id="draw"><p>x</p></div>', "draw", "https://x.org/")
    assert "https://x.org/draw.html" in text and '<div id="draw" class="d-print-none">' in text
    assert "the page draw.html of the built book" in on_paper('<div id="draw">', "draw", None)
