"""A browser for the tests of the pages: Debian's Chromium, a server, and a tab that notes what goes wrong in it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from brainseg.publishing.pdf import find_browser

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
# SwiftShader, a graphics card in software, draws what asks for WebGL, and not the pages, which are quicker without it.
DRAWING = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader-webgl", "--enable-unsafe-swiftshader"]


EMPTY = "about:blank"


@contextlib.contextmanager
def chromium() -> Iterator:
    """A Chromium that shows nothing. Without one on the machine the test is skipped, or fails where one is required.

    Its tabs keep what they loaded, as a reader's do: to start the scripts of a page anew takes longer than to test it.
    """
    place = find_browser()
    if place is None:
        if os.environ.get("BRAINSEG_BROWSER") == "required":
            pytest.fail("BRAINSEG_BROWSER is required, and there is no chromium. On Debian: apt-get install chromium")
        pytest.skip("there is no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place, args=DRAWING)
        yield browser.new_context()
        browser.close()


def require_runtime() -> None:
    """Skip the test where the runtime of networks in a browser is not at hand and cannot be brought."""
    from brainseg.publishing.notebooks import StudyError
    from brainseg.publishing.runtime import onnx_runtime

    try:
        onnx_runtime()
    except StudyError as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a folder on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


class Visit:
    """A page in a tab, and everything that went wrong in it.

    A tab that an earlier visit left is taken again, because a new one takes as long as to open a page in it.
    """

    def __init__(self, browser, base: str, size: str = "desktop"):
        self.base, self.faults = base, []
        self.page = next((tab for tab in browser.pages if tab.url == EMPTY), None) or browser.new_page()
        self.resize(size)
        self.page.emulate_media(media="null", color_scheme="light", reduced_motion="reduce")
        self.page.set_default_timeout(180_000)  # ms; a network takes its time on a busy machine
        self.page.mouse.move(0, 0)
        self._watched = {
            "pageerror": lambda error: self.faults.append(f"error: {error}"),
            "console": lambda said: said.type == "error" and self.faults.append(f"console: {said.text}"),
            "requestfailed": self._failed,
            "response": lambda answer: answer.status >= 400 and self.faults.append(f"{answer.status}: {answer.url}"),
            "request": self._requested,
        }
        for event, note in self._watched.items():
            self.page.on(event, note)

    def _requested(self, request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.faults.append(f"foreign: {request.url}")

    def _failed(self, request) -> None:
        # A page that is left while its icon is still on the way aborts the request; nothing is missing then. An icon
        # that does not exist fails with another reason, and so does every file in a folder.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.url} ({request.failure})")

    def resize(self, size: str) -> None:
        width, height = SIZES[size]
        self.page.set_viewport_size({"width": width, "height": height})

    def open(self, name: str):
        self.page.goto(f"{self.base}/{name}", wait_until="load")
        return self.page

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        if self.page.is_closed():
            return
        for event, note in self._watched.items():
            self.page.remove_listener(event, note)
        self.page.goto(EMPTY)


def theme(page, colours: str) -> None:
    """The reader's system asks for light or dark, and the page follows."""
    page.emulate_media(color_scheme=colours)
    page.wait_for_function("wanted => document.documentElement.dataset.theme === wanted", arg=colours)


def accessibility_faults(page, **options) -> list[str]:
    """What axe-core calls serious or critical, one line for each rule and place."""
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    # Without its own requests for style sheets, which it would look for in the wrong place.
    wanted = {"preload": False, "resultTypes": ["violations"], **options}  # what passed need not be listed
    found = page.evaluate("wanted => axe.run(wanted)", wanted)["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]}"
        for rule in found if rule["impact"] in ("serious", "critical") for node in rule["nodes"]
    ]  # fmt: skip


def leave_one_of_each_kind(page) -> None:
    """Make plain text of marked words, and empty cells of tables, but for one of each kind in each kind of place.

    The others look the same, and axe-core would take most of its time for them. A kind is what style sheets tell apart:
    tags and classes of what there is and of all that it stands in, whether its row is an odd or an even one, and its
    colours, because a table may have a style sheet of its own.
    """
    page.evaluate("""() => {
        const seen = new Set();
        const plain = ({name, ownerElement}) => name === "class" || (name === "id" && ownerElement.tagName === "TD");
        // From the end, so that a word within a word is plain text when that one's turn comes.
        const all = [...document.querySelectorAll("article :is(span, em, strong, code, td)")].reverse();
        const colours = all.map((one) => getComputedStyle(one)).map((style) => style.color + style.backgroundColor);
        for (const [number, one] of all.entries()) {
            if (one.childElementCount || ![...one.attributes].every(plain)) continue;
            let kind = colours[number];
            for (let above = one; above.tagName !== "BODY"; above = above.parentElement)
                if (above.tagName !== "SECTION") kind += `/${above.tagName} ${above.className} ${above.rowIndex % 2}`;
            kind = kind.replace(/(row|col)\\d+/g, ""); // as pandas counts rows and columns in classes
            if (!seen.has(kind)) seen.add(kind);
            else if (one.tagName === "TD") one.textContent = "";
            else one.replaceWith(one.textContent);
        }
        document.querySelector("article").normalize();
    }""")


def cut_off(page) -> list[str]:
    """What does not fit the window: elements that reach beyond it and do not scroll, and words cut in two in tables."""
    return page.evaluate("""() => {
        const found = [], width = document.documentElement.clientWidth;
        const scrolls = (one) => ["auto", "scroll", "hidden"].includes(getComputedStyle(one).overflowX);
        // Not the contents, which wait beside the page for a tap.
        const parts = document.querySelectorAll(":is(.bd-article, .prev-next-area) *:not(svg *, mjx-container *)");
        for (const one of parts) {
            const box = one.getBoundingClientRect();
            if (!box.width || box.right <= width + 1 || !one.checkVisibility({visibilityProperty: true})) continue;
            let above = one.parentElement;
            while (above && !scrolls(above)) above = above.parentElement;
            if (!above) found.push("too wide: " + one.outerHTML.slice(0, 120));
        }
        for (const cell of document.querySelectorAll(".bd-article table :is(th, td)")) {
            const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
                const text = texts.currentNode;
                if (text.parentElement.closest("code")) continue; // a path may break
                for (const word of text.data.matchAll(/\\p{L}{2,}/gu)) {
                    const range = document.createRange();
                    range.setStart(text, word.index);
                    range.setEnd(text, word.index + word[0].length);
                    const tops = [...range.getClientRects()].map((one) => one.top);
                    if (tops.every((top) => Math.abs(top - tops[0]) < 4)) continue;
                    found.push(`cut in two: ${word[0]} in ${cell.innerText.slice(0, 60)}`);
                }
            }
        }
        return found;
    }""")
