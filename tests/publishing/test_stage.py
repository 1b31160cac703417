"""The whole book: executed and built in the smoke profile, then looked at in a browser, page by page.

Every page is opened, wide and narrow, light and dark. What a reader does with a page: test_reading.py.
"""

from __future__ import annotations

import io
import re
from functools import cache
from urllib.parse import unquote

import pytest
import yaml
from browsing import Visit, accessibility_faults, cut_off, leave_one_of_each_kind, theme

from brainseg.paths import project_root
from brainseg.publishing.citation import read_citation
from brainseg.publishing.manifest import read_manifest
from brainseg.publishing.notebooks import find_notebooks
from brainseg.publishing.pdf import find_browser, joined, print_book, reading_order
from brainseg.publishing.stage import ON_SCREEN

LINK = re.compile(r'<a\b[^>]*?\shref="([^"]+)"')
TOC = yaml.safe_load((project_root() / "book" / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [chapter.file for chapter in reading_order(TOC)]
# The pages from the docstrings are long and alike: two of them stand for all where a test takes seconds.
UNLIKE = [page for page in PAGES if not page.startswith("api/") or page in ("api/index", "api/scores")]

pytestmark = [pytest.mark.slow, pytest.mark.rest]


def test_every_link_within_the_book_leads_somewhere(smoke_book):
    """To a file, and to a place in it. What a cell prints is looked at too: the build checks the sources alone."""
    site = smoke_book.parent

    @cache
    def places(page):
        return set(re.findall(r'\s(?:id|name)="([^"]+)"', page.read_text(encoding="utf-8")))

    checked, broken = 0, []
    for page in sorted(site.rglob("*.html")):
        for href in LINK.findall(page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:|//", href):
                continue
            checked += 1
            file, _, place = href.partition("#")
            target = page.parent / unquote(file.partition("?")[0]) if file else page
            if not target.is_file() or (
                place and target.suffix == ".html" and unquote(place) not in places(target.resolve())
            ):
                broken.append(f"{page.relative_to(site)}: {href}")
    assert checked > 1000 and not broken


def test_every_page_has_one_title(smoke_book):
    for name in PAGES:
        article = (smoke_book.parent / f"{name}.html").read_text(encoding="utf-8").partition("<article")[2]
        assert article.count("<h1") == 1, name


# ---------------------------------------------------------------- every page


def test_every_notebook_runs_and_has_its_page(smoke_book):
    for name in find_notebooks(project_root() / "notebooks"):
        page = smoke_book.parent / "notebooks" / f"{name}.html"
        assert page.is_file(), f"{name} is not in book/_toc.yml"
        before = re.sub(
            r"<[^>]+>", " ", page.read_text(encoding="utf-8").partition("<h1")[2].partition("In this chapter")[0]
        )
        assert re.search(r"(?s)Question\.\s.+\?\s.*Answer\.\s.+\.\s", before), f"{name} does not open with its answer"


@pytest.mark.parametrize("name", UNLIKE)
def test_a_page_is_sound_wide_and_narrow_light_and_dark(browser, smoke_book, name):
    """From a folder, where a browser allows less than from a server, and where an absolute link breaks too."""
    with Visit(browser, smoke_book.parent.as_uri(), "phone") as visit:
        page = visit.open(f"{name}.html")
        theme(page, "light")
        assert page.locator("h1:visible").count() == 1
        assert page.locator("article img:not([alt])").count() == 0
        for size in ("phone", "desktop"):
            visit.resize(size)
            overhang = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overhang <= 0, f"{size}: the page is {overhang} px wider than the window"
            assert cut_off(page) == [], size
        leave_one_of_each_kind(page)
        assert accessibility_faults(page) == []
        theme(page, "dark")
        assert accessibility_faults(page, runOnly={"type": "rule", "values": ["color-contrast"]}) == [], "dark"
        assert visit.faults == []


def test_a_table_of_sentences_is_a_list_on_a_phone_and_one_of_numbers_says_that_it_scrolls(browser, server):
    with Visit(browser, server, "phone") as visit:
        page = visit.open("limits.html")
        cell = page.locator("table.stacks tbody tr").first.locator("td")
        assert cell.nth(1).bounding_box()["y"] > cell.nth(0).bounding_box()["y"]
        assert cell.nth(1).get_attribute("data-head") == "what was decided or done"
        page = visit.open("notebooks/01_explore.html")
        wide = page.locator("p.wider:visible + .text_html").first
        assert wide.evaluate("one => one.scrollWidth > one.clientWidth && one.tabIndex === 0")  # the keys move it
        visit.resize("desktop")
        page.wait_for_function("[...document.querySelectorAll('p.wider')].every(one => one.hidden)")
        assert visit.faults == []


@pytest.mark.parametrize("name", [TOC["root"], "notebooks/01_explore", "viewer", "draw", "try", "playground"])
def test_a_phone_in_the_dark(browser, server, name):
    with Visit(browser, server, "phone") as visit:
        page = visit.open(f"{name}.html")
        theme(page, "dark")
        leave_one_of_each_kind(page)
        assert accessibility_faults(page) == []
        assert visit.faults == []


@pytest.mark.parametrize("where", ["server", "folder"])
def test_formulas_are_drawn(browser, server, smoke_book, where):
    with Visit(browser, server if where == "server" else smoke_book.parent.as_uri()) as visit:
        page = visit.open("notebooks/04_metrics.html")
        page.wait_for_selector("mjx-container svg", state="attached")
        assert visit.faults == []


@pytest.mark.parametrize("name", [page for page in PAGES if re.match("teach/(sheet|key)_", page)])
def test_a_sheet_prints_each_section_on_a_page(browser, server, name):
    """Also where the reader looks at it in the dark, and where the printer leaves backgrounds out."""
    pypdf = pytest.importorskip("pypdf")
    with Visit(browser, server) as visit:
        page = visit.open(f"{name}.html")
        theme(page, "dark")
        sections = page.locator("article section > section > h2").all_inner_texts()
        printed = page.pdf(prefer_css_page_size=True, print_background=False)
        texts = [one.extract_text() for one in pypdf.PdfReader(io.BytesIO(printed)).pages]
        assert len(texts) == len(sections) >= 4
        for section, text in zip(sections, texts, strict=True):
            assert section.rstrip("#").split()[-1] in text
        title = page.locator("article h1").inner_text().rstrip("#").strip()
        assert title in texts[0].replace("\n", " ") and "Cite this page" not in texts[-1]
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert visit.faults == []


@pytest.mark.parametrize("name", ON_SCREEN)
def test_what_needs_a_screen_prints_a_sentence(browser, server, name):
    with Visit(browser, server) as visit:
        page = visit.open(f"{name}.html")
        said = page.get_by_text("This part of the page needs a browser")
        assert page.locator(f"#{name}").is_visible() and not said.is_visible()
        page.emulate_media(media="print")
        assert said.is_visible() and not page.locator(f"#{name}").is_visible()
        assert f"{name}.html" in said.inner_text()


def test_pages_of_the_book_become_a_pdf(browser, smoke_book, tmp_path):
    """`browser` skips the test where there is none. A few pages stand for all, because printing takes a while."""
    pypdf = pytest.importorskip("pypdf")
    wanted = ("intro", "viewer", "notebooks/04_metrics", "teach/index", "teach/sheet_paper")
    chapters = [chapter for chapter in reading_order(TOC) if chapter.file in wanted]
    root, site = project_root(), smoke_book.parent
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    text = joined(site, chapters, config, read_citation(root), read_manifest(site), None)
    count = print_book(find_browser(), text, tmp_path / "book.pdf", {})
    read = pypdf.PdfReader(tmp_path / "book.pdf")
    texts = [page.extract_text() for page in read.pages]
    assert len(texts) == count and "Can a computer outline a brain tumour?" in texts[1]
    whole = "\n".join(texts)
    for said in ("soft_dice", "Neither counts TN", "This part of the page needs a browser", "1. Draw the outline"):
        assert said in whole
    for left in ("\\frac", "\\mathrm", "Show the solution", "Cite this page", "Skip to main content"):
        assert left not in whole
    bookmarks = [entry for part in read.outline if isinstance(part, list) for entry in part]
    (four,) = [one for one in bookmarks if not isinstance(one, list) and one.title == "4. How good is a mask?"]
    assert "4. How good is a mask?" in texts[read.get_destination_page_number(four)]


def test_content_pages_say_how_to_cite_them(browser, server):
    for name, shown in {"intro": 1, "notebooks/04_metrics": 1, "api/index": 1, "genindex": 0, "search": 0}.items():
        with Visit(browser, server) as visit:
            page = visit.open(f"{name}.html")
            assert page.locator(".cite-page").count() == shown, name
