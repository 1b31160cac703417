"""The book in the hands of a reader: from a server and from a folder, by keyboard, search, viewer and playground."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from browsing import SIZES, Visit, accessibility_faults, require_runtime, theme

TABBABLE = "a[href], button, input, select, textarea, summary, [tabindex]"

pytestmark = [pytest.mark.slow, pytest.mark.rest]


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
        """selector => {
            window.reached = new Set();
            addEventListener("focusin", ({target}) => reached.add(target.dataset.number));
            return [...document.querySelectorAll(selector)].filter(
                one => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({visibilityProperty: true})
            ).map((one, number) => one.dataset.number = number).length;
        }""",
        TABBABLE,
    )
    assert reachable > 20
    for _ in range(reachable + 10):
        page.keyboard.press("Tab")
    return page.evaluate(
        "() => [...document.querySelectorAll('[data-number]')].filter(one => !reached.has(one.dataset.number))"
        ".map(one => one.outerHTML.slice(0, 120))"
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

        assert unreached(page) == []  # from there to the end, and round again from the beginning


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
        page.close()  # nobody else takes this tab: what was added to it stays


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
        for size in SIZES:
            visit.resize(size)
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
