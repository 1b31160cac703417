"""The page "Draw it yourself" and the landing page's picture: the right slice, and the package's Dice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from browsing import SIZES, Visit, accessibility_faults, serving

from brainseg import metrics
from brainseg.cohort import index_cohort, read_patient
from brainseg.figures.viewer import nifti, viewer_patient, volume
from brainseg.paths import project_root
from brainseg.publishing import landing
from brainseg.publishing.drawing import MARK, drawing_page, largest_tumour, write_drawing


@pytest.fixture(scope="module")
def patient(tiny_cohort_once) -> tuple[dict, np.ndarray]:
    """A patient for the viewer, with a network that misses the tumour's right half; and the true masks."""
    table = index_cohort(tiny_cohort_once)
    images, truth = read_patient(table, table["patient"].iloc[0])
    half = truth.copy()
    half[:, :, int(np.argwhere(truth)[:, 2].mean()) :] = False
    return viewer_patient("P", "the only one", images, truth, {"fcn32": truth & False, "unet": half}), truth


def test_a_volume_comes_back_from_its_text():
    planes = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(volume(nifti(planes)), planes)


def test_the_largest_tumour_is_cut_to_the_head_and_whole(patient):
    described, truth = patient
    empty = {"truth": {"px": [0, 0]}}
    drawn = largest_tumour([empty, described])
    assert drawn is not None and largest_tumour([empty]) is None
    sizes = truth.sum(axis=(1, 2))
    assert drawn.number == sizes.argmax() + 1 and drawn.truth.sum() == sizes.max()
    assert drawn.flair.shape == drawn.truth.shape == drawn.outlines["U-Net"].shape and len(drawn.truth) < 256
    assert drawn.flair.max() == 255 and drawn.dice["FCN-32"] == 0 < drawn.dice["U-Net"] < 1


def test_the_landing_page_opens_with_the_slice(patient, tmp_path):
    page = tmp_path / "intro.md"
    page.write_text(f"# Title\n\n{landing.OPENING}\n")
    drawn = largest_tumour([patient[0]])
    landing.open_landing(tmp_path, drawn, synthetic=True)
    text = page.read_text()
    assert f"Slice {drawn.number} of a simulated patient" in text and f"Dice of {drawn.dice['U-Net']:.2f}" in text
    assert (tmp_path / "images" / "opening.png").stat().st_size > 1000
    page.write_text(landing.OPENING)
    landing.open_landing(tmp_path, None, synthetic=True)
    assert page.read_text() == ""


@pytest.fixture(scope="module")
def address(patient, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    drawn = largest_tumour([patient[0]])
    write_drawing(drawn, folder / "draw")
    (folder / "draw" / "draw.js").write_text((project_root() / "book/_extra/draw/draw.js").read_text("utf-8"), "utf-8")
    style, element = (
        (project_root() / "book" / "_static" / name).read_text(encoding="utf-8") for name in ("book.css", "element.js")
    )
    text = drawing_page(f"# Draw\n\n{MARK}\n", drawn, "")
    body = text[text.index('<div id="draw">') : text.rindex("```")]
    (folder / "draw.html").write_text(
        f'<!DOCTYPE html><html lang="en"><head><title>Draw</title><meta charset="utf-8"><style>{style}</style>'
        f"<script>{element}</script>"
        f"<link rel='icon' href='data:,'><meta name='viewport' content='width=device-width'></head><body><main>"
        f"<h1>Draw</h1>{body}</main></body></html>",
        encoding="utf-8",
    )
    with serving(Path(folder)) as address:
        yield address


def drawing(page, truth: np.ndarray) -> tuple[np.ndarray, float]:
    """What is drawn, and its Dice as the page has it; the package must have the same."""
    found = page.evaluate("brainsegDraw.result()")
    mine = np.array(found["mine"], bool).reshape(truth.shape)
    counts = metrics.confusion(truth, mine)
    assert found["dice"] == pytest.approx(float(metrics.dice(counts, empty=np.nan)))
    return mine, found["dice"]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_line_is_filled_and_scored_as_the_package_would(browser, address, patient, size):
    drawn = largest_tumour([patient[0]])
    side = len(drawn.truth)
    rows, columns = np.nonzero(drawn.truth)
    (top, bottom), (left, right) = ((int(places.min()), int(places.max()) + 1) for places in (rows, columns))
    with Visit(browser, address, size) as visit:
        page = visit.open("draw.html")
        assert page.is_disabled("#draw-compare") and page.is_disabled("#draw-undo")
        box = page.locator("#draw-canvas").bounding_box()
        pixel = box["width"] / side

        def drag(*corners):
            for number, (x, y) in enumerate(corners):
                page.mouse.move(box["x"] + x * pixel, box["y"] + y * pixel)
                if not number:
                    page.mouse.down()
            page.mouse.up()

        drag((left, top), (right, top), (right, bottom), (left, bottom))
        mine, score = drawing(page, drawn.truth)
        wanted = np.zeros_like(drawn.truth)
        wanted[top:bottom, left:right] = True
        assert (mine != wanted).sum() <= 2 * (bottom - top + right - left)  # a screen's pixels are not the slice's
        assert (mine == wanted).mean() > 0.98 and score > 0.5

        page.check("#draw-away")
        drag((left, top), (right, top), (right, (top + bottom) / 2), (left, (top + bottom) / 2))
        assert drawing(page, drawn.truth)[0].sum() < 0.6 * mine.sum()
        page.click("#draw-undo")
        assert np.array_equal(drawing(page, drawn.truth)[0], mine)

        page.click("#draw-compare")
        said = page.inner_text(".draw-scores")
        assert f"{score:.3f}" in said and f"{drawn.dice['U-Net']:.3f}" in said and "FCN-32" in said
        with page.expect_download() as kept:
            page.click("#draw-save")
        assert Path(kept.value.path()).read_bytes().startswith(b"\x89PNG")
        assert accessibility_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert visit.faults == []


@pytest.mark.slow
def test_the_keyboard_draws_too(browser, address, patient):
    truth = largest_tumour([patient[0]]).truth
    with Visit(browser, address) as visit:
        page = visit.open("draw.html")
        page.focus("#draw-canvas")
        for keys in (("Space",), ("Shift+ArrowRight", "Space"), ("Shift+ArrowDown", "Space"), ("ArrowUp", "Space")):
            for key in keys:
                page.keyboard.press(key)
        page.keyboard.press("Backspace")
        page.keyboard.press("Shift+ArrowLeft")
        for key in ("ArrowDown", "Space", "Enter"):
            page.keyboard.press(key)
        mine, _ = drawing(page, truth)
        middle = len(truth) // 2
        assert mine.sum() == 25 and mine[middle : middle + 6, middle : middle + 6].sum() == 25
        assert visit.faults == []
