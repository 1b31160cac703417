"""The whole book: executed and built in the smoke profile, then read in a browser.

Every page is opened, wide and narrow, light and dark, from a server and from a folder. The browser is Debian's
Chromium. Without one its tests are skipped, except where BRAINSEG_BROWSER=required.
"""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
import yaml
from browsing import SIZES, Visit, accessibility_faults, cut_off, require_runtime, serving, theme

from brainseg.paths import project_root
from brainseg.publishing.citation import read_citation
from brainseg.publishing.manifest import read_manifest
from brainseg.publishing.notebooks import find_notebooks
from brainseg.publishing.pdf import find_browser, joined, print_book, reading_order
from brainseg.publishing.stage import ON_SCREEN

LINK = re.compile(r'<a\b[^>]*?\shref="([^"]+)"')
TABBABLE = "a[href], button, input, select, textarea, summary, [tabindex]"
TOC = yaml.safe_load((project_root() / "book" / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [chapter.file for chapter in reading_order(TOC)]
# The pages from the docstrings are long and alike: two of them stand for all where a test takes seconds.
UNLIKE = [page for page in PAGES if not page.startswith("api/") or page in ("api/index", "api/scores")]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smoke_book(build_folder_of_tests) -> Path:
    """The page to start from of the project's own book in the smoke profile; made in about two minutes."""
    from brainseg.publishing import make_book

    page, results = make_book("smoke")
    assert "ResUNet" in results and "fresh patients" in results
    return page


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


@pytest.fixture(scope="module")
def server(smoke_book, tmp_path_factory):
    """The book's address on this machine, below a path as on a project's pages, where an absolute link would break."""
    above = tmp_path_factory.mktemp("server")
    (above / "someone").mkdir()
    (above / "someone" / "study").symlink_to(smoke_book.parent, target_is_directory=True)

    with serving(above) as address:
        yield f"{address}/someone/study"


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


# ---------------------------------------------------------------- finding one's way


@pytest.mark.parametrize("where", ["server", "folder"])
def test_search_finds_a_word(browser, server, smoke_book, where):
    with Visit(browser, server if where == "server" else smoke_book.parent.as_uri()) as visit:
        page = visit.open("search.html?q=leakage")
        page.wait_for_selector("ul.search li a")
        assert "glossary.html" in " ".join(link.get_attribute("href") for link in page.locator("ul.search li a").all())
        if where == "server":  # from a folder the browser denies the extracts, and only those
            assert visit.faults == []


def unreached(page) -> list[str]:
    """What can be used on a page, and the Tab key does not come to."""
    reachable = page.evaluate(
        """selector => [...document.querySelectorAll(selector)].filter(
            one => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({visibilityProperty: true})
        ).map((one, number) => one.dataset.number = number).length""",
        TABBABLE,
    )
    assert reachable > 20
    seen = set()
    for _ in range(reachable + 10):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.dataset.number"))
    return page.evaluate(
        "seen => [...document.querySelectorAll('[data-number]')].filter(one => !seen.includes(one.dataset.number))"
        ".map(one => one.outerHTML.slice(0, 120))",
        [number for number in seen if number],
    )


@pytest.mark.parametrize("name", ["intro", "notebooks/04_metrics", "viewer", "draw", "try", "playground"])
def test_the_keyboard_reaches_everything(browser, server, name):
    with Visit(browser, server) as visit:
        page = visit.open(f"{name}.html")
        page.keyboard.press("Tab")
        first = page.evaluate("document.activeElement.textContent.trim()")
        assert first == "Skip to main content"
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#main-content"

        assert unreached(visit.open(f"{name}.html")) == []


# ---------------------------------------------------------------- the viewer


def picture(page) -> np.ndarray:
    """The viewer's canvas as it is on the screen, float (height, width, 3), once the wanted state is drawn."""
    page.wait_for_function("""() => {
        const viewer = document.getElementById('viewer');
        const drawn = viewer.dataset.drawn && JSON.parse(viewer.dataset.drawn);
        return drawn && drawn.slice + 1 === Number(document.getElementById('viewer-slice').value)
            && drawn.model === document.getElementById('viewer-model').value
            && ['truth', 'prediction'].every(name => drawn[name] === document.getElementById('viewer-' + name).checked);
    }""")
    shot = np.frombuffer(page.locator("#viewer-canvas").screenshot(), np.uint8)
    return cv2.imdecode(shot, cv2.IMREAD_COLOR)[..., ::-1].astype(float)


def share_of(colour: tuple[int, int, int], shot: np.ndarray) -> float:
    return float((np.abs(shot - colour).max(axis=2) < 12).mean())


@pytest.mark.parametrize("where", ["server", "folder"])
def test_the_viewer_draws_and_follows_its_controls(browser, server, smoke_book, where):
    truth, prediction = (86, 180, 233), (230, 159, 0)
    with Visit(browser, server if where == "server" else smoke_book.parent.as_uri()) as visit:
        page = visit.open("viewer.html")
        page.wait_for_selector("#viewer[data-drawn]")
        page.uncheck("#viewer-prediction")
        with_truth = picture(page)
        assert with_truth.std() > 20, "the canvas is blank"
        assert share_of(truth, with_truth) > 0.001 and share_of(prediction, with_truth) == 0
        page.uncheck("#viewer-truth")
        bare = picture(page)
        assert share_of(truth, bare) == 0

        page.select_option("#viewer-sequence", "0")
        page.wait_for_function("JSON.parse(document.getElementById('viewer').dataset.drawn).sequence === 0")
        assert np.abs(picture(page) - bare).mean() > 1

        before = page.input_value("#viewer-slice")
        page.focus("#viewer-slice")
        page.keyboard.press("ArrowRight")
        assert int(page.input_value("#viewer-slice")) == int(before) + 1
        assert np.abs(picture(page) - bare).mean() > 1

        # On a slice where two networks differ, the outline changes with the network.
        models = page.evaluate("brainsegViewer.patients[0].models")
        differ = np.flatnonzero(np.array(models["unet"]["px"]) != models["resunet"]["px"])
        assert len(differ)
        page.check("#viewer-prediction")
        page.fill("#viewer-slice", str(differ[0] + 1))
        shots = []
        for name in ("unet", "resunet"):
            page.select_option("#viewer-model", name)
            shots.append(picture(page))
            assert models[name]["name"] in page.inner_text("#viewer-sentence")
        assert np.abs(shots[0] - shots[1]).max() > 50
        assert visit.faults == []


def test_a_link_opens_the_viewer_at_a_slice(browser, server):
    """The address names patient, slice and network; the worst patient opens on the worst slice of its network."""
    with Visit(browser, server) as visit:
        page = visit.open("viewer.html")
        page.wait_for_selector("#viewer[data-drawn]")
        patients = page.evaluate("brainsegViewer.patients")
        for number, patient in enumerate(patients):
            page.select_option("#viewer-patient", str(number))
            picture(page)
            scores = {i: dice for i, dice in enumerate(patient["models"]["resunet"]["slices"]) if dice is not None}
            shown = int(page.input_value("#viewer-slice")) - 1
            if "worst" in patient["title"]:
                assert scores[shown] == min(scores.values())
            else:
                assert patient["truth"][shown] == max(patient["truth"])
            page.click("#viewer-worst")
            picture(page)
            assert scores[int(page.input_value("#viewer-slice")) - 1] == min(scores.values())
            page.wait_for_url(f"**#patient={patient['name']}&slice=*")
        page = visit.open("claim.html")
        page = visit.open(f"viewer.html#patient={patients[-1]['name']}&slice=2&network=fcn32")
        picture(page)
        assert page.input_value("#viewer-slice") == "2" and page.input_value("#viewer-model") == "fcn32"
        assert page.input_value("#viewer-patient") == str(len(patients) - 1)
        visit.open("claim.html")
        page = visit.open("viewer.html#patient=nobody&slice=9999")
        page.wait_for_selector("#viewer[data-drawn]")
        assert visit.faults == []


def test_without_webgl_the_viewers_pictures_stay(browser, server):
    with Visit(browser, server) as visit:
        visit.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
        page = visit.open("viewer.html")
        assert "no WebGL" in page.inner_text("#viewer [role=status]")
        assert page.evaluate(
            "[...document.querySelectorAll('#viewer img')].every(one => one.complete && one.naturalWidth)"
        )
        assert visit.faults == []


# ---------------------------------------------------------------- the network in the page


@pytest.mark.parametrize("where", ["server", "folder"])
def test_the_book_s_network_segments_a_patient(browser, server, smoke_book, where):
    """Its masks are those of the package: test_network.py. Here it stands in the book, as the reader meets it."""
    require_runtime()
    with Visit(browser, server if where == "server" else smoke_book.parent.as_uri()) as visit:
        page = visit.open("try.html")
        assert "simulated patients" in page.inner_text("#try")
        page.click("#try-load")
        page.wait_for_selector("#try[data-shown]")
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.click("#try-all")
        page.wait_for_function("brainsegTry.result().mask")
        page.wait_for_function("!JSON.parse(document.getElementById('try').dataset.shown).running")
        assert "Dice of the volume" in page.inner_text("#try-sentence")
        assert asked == [] and visit.faults == []


def test_the_loaded_network_is_within_everybody_s_reach(browser, server):
    require_runtime()
    with Visit(browser, server) as visit:
        page = visit.open("try.html")
        page.click("#try-load")
        page.wait_for_selector("#try[data-shown]")
        page.click("#try-one")
        page.wait_for_function("JSON.parse(document.getElementById('try').dataset.shown).known === 1")
        page.wait_for_function("!JSON.parse(document.getElementById('try').dataset.shown).running")
        for colours in ("light", "dark"):
            theme(page, colours)
            assert accessibility_faults(page) == [], colours
        page.evaluate("document.activeElement.blur()")
        assert unreached(page) == []
        for width, height in SIZES.values():
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert visit.faults == []


# ---------------------------------------------------------------- the playground


def test_the_playground_computes_what_the_package_computes(browser, server):
    from brainseg import metrics
    from brainseg.networks import losses

    states = [
        {}, {"right": 0, "down": 0}, {"grow": 4}, {"grow": -6}, {"size": 2, "grow": 1},
        {"right": 24, "down": -24, "size": 18}, {"right": 22}, {"prediction": False}, {"tumour": False},
        {"tumour": False, "prediction": False}, {"size": 1, "grow": -10},
    ]  # fmt: skip
    with Visit(browser, server) as visit:
        page = visit.open("playground.html")
        start = page.evaluate("({size: 9, right: 3, down: 2, grow: 0, tumour: true, prediction: true})")
        for state in states:
            masks = page.evaluate(
                """state => { brainsegPlayground.change(state);
                    const {truth, prediction} = brainsegPlayground.masks(); return [[...truth], [...prediction]]; }""",
                start | state,
            )
            truth, prediction = (np.array(mask, bool).reshape(64, 64) for mask in masks)
            counts = metrics.confusion(truth, prediction)
            pair = truth[None].astype("float32"), prediction[None].astype("float32")
            expected = {
                **{name: str(count) for name, count in counts._asdict().items()},
                "dice": f"{metrics.dice(counts, empty=np.nan):.3f}",
                "iou": f"{metrics.iou(counts, empty=np.nan):.3f}",
                "hd95": f"{metrics.hd95_px(truth, prediction):.2f}",
                "diceLoss": f"{float(losses.dice_loss(*pair)[0]):.3f}",
                "negativeDice": f"{float(losses.negative_dice(*pair)[0]):.3f}",
            }
            shown = {one.get_attribute("data-score"): one.inner_text() for one in page.locator("[data-score]").all()}
            shown = {name: text.replace("−", "-").replace("not defined", "nan") for name, text in shown.items()}
            assert shown == expected, state
        page.evaluate("start => brainsegPlayground.change(start)", start)
        page.focus("#playground canvas")
        for key in ("ArrowRight", "ArrowUp", "+"):
            page.keyboard.press(key)
        assert [page.input_value(f"#playground-{name}") for name in ("right", "down", "grow")] == ["4", "1", "1"]
        assert visit.faults == []


# ---------------------------------------------------------------- figures and search


def test_a_figure_opens_large_and_closes(browser, server):
    with Visit(browser, server, "phone") as visit:
        page = visit.open("notebooks/04_metrics.html")
        figure = page.locator("img.opens").first
        figure.focus()
        page.keyboard.press("Enter")
        large = page.locator("dialog.large img")
        assert large.is_visible() and large.bounding_box()["width"] > 390 and large.get_attribute("alt")
        page.keyboard.press("Escape")
        assert not large.is_visible()
        figure.click()
        assert large.is_visible()
        large.click()
        assert not large.is_visible() and visit.faults == []


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("why is my Dice zero", "Why is my Dice zero?"),
        ("which threshold", "Which threshold?"),
        ("own data", "own data"),
    ],
)
def test_the_search_answers_with_the_right_page_first(browser, server, asked, wanted):
    with Visit(browser, server) as visit:
        page = visit.open(f"search.html?q={asked.replace(' ', '+')}")
        page.wait_for_selector("#search-results li > a")
        assert wanted in page.locator("#search-results li > a").first.inner_text()
        assert visit.faults == []
