"""The whole book: executed and built in the smoke profile, then looked at in a browser, page by page.

Every page is opened, wide and narrow, light and dark. What a reader does with a page: test_reading.py.
"""

from __future__ import annotations

import re
from functools import cache
from urllib.parse import unquote

import pytest
import yaml
from browsing import SIZES, Visit, accessibility_faults, cut_off, theme

from brainseg.paths import project_root
from brainseg.publishing.notebooks import find_notebooks

LINK = re.compile(r'<a\b[^>]*?\shref="([^"]+)"')
TOC = yaml.safe_load((project_root() / "book" / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
# The pages from the docstrings are long and alike: two of them stand for all where a test takes seconds.
UNLIKE = [page for page in PAGES if not page.startswith("api/") or page in ("api/index", "api/scores")]

pytestmark = pytest.mark.slow


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
def test_a_page_is_sound_wide_and_narrow_light_and_dark(browser, server, name):
    with Visit(browser, server) as visit:
        page = visit.open(f"{name}.html")
        theme(page, "light")
        assert accessibility_faults(page) == []
        assert page.locator("h1:visible").count() == 1
        assert page.locator("article img:not([alt])").count() == 0
        theme(page, "dark")
        assert accessibility_faults(page, runOnly={"type": "rule", "values": ["color-contrast"]}) == [], "dark"
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            overhang = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overhang <= 0, f"{size}: the page is {overhang} px wider than the window"
            assert cut_off(page) == [], size
        assert visit.faults == []


def test_a_table_of_sentences_is_a_list_on_a_phone_and_one_of_numbers_says_that_it_scrolls(browser, server):
    with Visit(browser, server, "phone") as visit:
        page = visit.open("limits.html")
        cell = page.locator("table.stacks tbody tr").first.locator("td")
        assert cell.nth(1).bounding_box()["y"] > cell.nth(0).bounding_box()["y"]
        assert cell.nth(1).get_attribute("data-head") == "what was decided or done"
        page = visit.open("notebooks/01_explore.html")
        wide = page.locator("div.cell_output .text_html[tabindex]").first
        assert wide.evaluate("one => one.scrollWidth > one.clientWidth && !one.previousElementSibling.hidden")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.wait_for_function("!document.querySelector('div.cell_output .text_html[tabindex]')")
        assert page.locator("p.wider:visible").count() == 0
        assert visit.faults == []


@pytest.mark.parametrize("name", [TOC["root"], "notebooks/01_explore", "viewer", "draw", "try", "playground"])
def test_a_phone_in_the_dark(browser, server, name):
    with Visit(browser, server, "phone") as visit:
        page = visit.open(f"{name}.html")
        theme(page, "dark")
        assert accessibility_faults(page) == []
        assert visit.faults == []


def test_every_page_opens_from_a_folder(browser, smoke_book):
    with Visit(browser, smoke_book.parent.as_uri()) as visit:
        for name in PAGES:
            page = visit.open(f"{name}.html")
            assert page.locator("h1:visible").count() == 1
        page = visit.open("notebooks/04_metrics.html")
        page.wait_for_selector("mjx-container svg", state="attached")  # the formulas are drawn
        assert visit.faults == []
