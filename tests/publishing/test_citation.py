"""How to cite a page: what CITATION.cff says, as text and as BibTeX, in everybody's reach."""

from __future__ import annotations

import shutil

import pytest
import yaml
from browsing import SIZES, Visit, accessibility_faults, serving

from brainseg.paths import project_root
from brainseg.publishing.citation import read_citation, write_citation

STATIC = project_root() / "book" / "_static"


def test_the_citation_is_that_of_the_project():
    said = yaml.safe_load((project_root() / "CITATION.cff").read_text(encoding="utf-8"))
    citation = read_citation(project_root())
    assert (citation.title, citation.version) == (said["title"], said["version"])
    assert citation.year == said["date-released"].year
    assert citation.authors == tuple(author["name"] for author in said["authors"])


def test_people_and_groups_are_named_as_bibtex_wants_them(tmp_path):
    authors = [{"name": "the group"}, {"family-names": "Curie", "given-names": "Marie"}]
    said = {"title": "T", "authors": authors, "version": 1.5, "date-released": "2031-05-06"}
    (tmp_path / "CITATION.cff").write_text(yaml.safe_dump(said))
    citation = read_citation(tmp_path)
    assert citation.authors == ("the group", "Marie Curie") and citation.bibtex == "{the group} and Curie, Marie"
    assert (citation.version, citation.year) == ("1.5", 2031)
    del said["date-released"]
    (tmp_path / "CITATION.cff").write_text(yaml.safe_dump(said))
    with pytest.raises(ValueError, match=r"CITATION\.cff lacks date-released"):
        read_citation(tmp_path)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Two pages as the theme makes them, and one that is no content."""
    folder = tmp_path_factory.mktemp("site")
    write_citation(project_root(), folder, "https://x.org/book/")
    for name in ("cite.js", "book.css"):
        shutil.copy(STATIC / name, folder / "_static")
    heading = '<h1><span class="section-number">4. </span>{}<a class="headerlink" href="#a">#</a></h1>'
    contents = {
        "good_mask": f'<section id="a">{heading.format("How good is a mask?")}</section>',
        "odd": f'<section id="a">{heading.format("50 % of R&amp;D_1")}</section>',
        "genindex": '<h1 id="index">Index</h1>',
    }
    for name, article in contents.items():
        (folder / f"{name}.html").write_text(
            '<!DOCTYPE html><html lang="en"><head><title>Page</title><meta charset="utf-8">'
            "<link rel='icon' href='data:,'><link rel='stylesheet' href='_static/book.css'>"
            "<meta name='viewport' content='width=device-width'>"
            f"<script>const DOCUMENTATION_OPTIONS = {{pagename: '{name}'}};</script>"
            "<script src='_static/cite.js'></script><script src='_static/citation.js'></script>"
            "<style>@media print { .d-print-none { display: none } }</style></head>"
            f'<body><main><article class="bd-article">{article}</article></main></body></html>',
            encoding="utf-8",
        )
    with serving(folder) as address:
        yield address


@pytest.mark.slow
def test_a_page_says_how_to_cite_it(browser, address):
    from pybtex.database import parse_string

    citation = read_citation(project_root())
    with Visit(browser, address) as visit:
        page = visit.open("good_mask.html")
        page.click(".cite-page summary")
        text, bibtex = (one.text_content() for one in page.locator(".cite-text").all())
        authors = ", ".join(citation.authors)
        assert text == (
            f"{authors[0].upper()}{authors[1:]} ({citation.year}). How good is a mask? In: {citation.title}, version "
            f"{citation.version}. https://x.org/book/good_mask.html"
        )
        ((key, entry),) = parse_string(bibtex, "bibtex").entries.items()
        assert key == f"brainseg{citation.year}-good-mask" and entry.type == "incollection"
        assert dict(entry.fields) == {
            "title": "How good is a mask?",
            "booktitle": citation.title,
            "year": str(citation.year),
            "note": f"Version {citation.version}",
            "url": "https://x.org/book/good_mask.html",
        }
        assert [str(person) for person in entry.persons["author"]] == [f"{{{name}}}" for name in citation.authors]

        assert page.locator(".cite-page").is_visible()
        page.emulate_media(media="print")
        assert not page.locator(".cite-page").is_visible()
        page.emulate_media(media="screen")
        odd = parse_string(visit.open("odd.html").locator("pre.cite-text").text_content(), "bibtex")
        assert odd.entries["brainseg" + str(citation.year) + "-odd"].fields["title"] == r"50 \% of R\&D\_1"
        assert visit.open("genindex.html").locator(".cite-page").count() == 0
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_the_keyboard_copies_and_a_screen_reader_hears_it(browser, address, size):
    with Visit(browser, address, size) as visit:
        visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = visit.open("good_mask.html")
        page.keyboard.press("Tab")  # the link of the heading
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Cite this page"
        page.keyboard.press("Enter")
        for words, shown in zip(("text", "BibTeX"), page.locator(".cite-text").all(), strict=True):
            page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            page.get_by_role("status").get_by_text(f"The {words} is copied.").wait_for()
            assert page.evaluate("navigator.clipboard.readText()") == shown.text_content()
        assert accessibility_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert visit.faults == []


@pytest.mark.slow
def test_where_the_browser_refuses_the_text_is_selected(browser, address):
    with Visit(browser, address) as visit:
        visit.page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
        page = visit.open("good_mask.html")
        page.click(".cite-page summary")
        page.click("text=Copy the BibTeX")
        page.get_by_role("status").get_by_text("press Ctrl and C").wait_for()
        assert page.evaluate("getSelection().toString().trim()").startswith("@incollection{")
