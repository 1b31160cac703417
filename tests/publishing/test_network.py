"""The page "Try the network": its steps and masks are the package's, and nothing of the reader's leaves it."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

pytest.importorskip("keras")
pytest.importorskip("onnx")

from browsing import Visit, serving

from brainseg.cohort import index_cohort, read_patient
from brainseg.evaluation.scores import drop_small_pieces
from brainseg.figures.viewer import viewer_patient
from brainseg.images.crop import head_silhouette, resize, restore, square_box
from brainseg.images.preprocess import boxes_and_images, crop_and_resize_all, normalise_volume
from brainseg.metrics import confusion, dice
from brainseg.networks.forward import predict_both_ways
from brainseg.networks.record import reference_runs
from brainseg.networks.runs import load_network
from brainseg.paths import project_root
from brainseg.phantom import make_phantom
from brainseg.publishing.network import MARK, network_page, write_network
from brainseg.publishing.onnx_export import description
from brainseg.publishing.viewer import write_viewer

pytestmark = pytest.mark.slow

RECORD = reference_runs("unet", "patient", 0, with_weights=True)[0]
PATIENTS = 3


@pytest.fixture(scope="module")
def patients(tmp_path_factory) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Slices and masks of phantom patients, by name."""
    table = index_cohort(make_phantom(tmp_path_factory.mktemp("phantom") / "kaggle_3m", patients=PATIENTS, seed=0))
    return {name: read_patient(table, name) for name in table["patient"].unique()}


@pytest.fixture(scope="module")
def site(patients, tmp_path_factory) -> Path:
    """A folder with the page alone, as the book has it below its theme: the network, and two patients in the viewer."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(project_root() / "book" / "_extra" / "try", folder / "try")
    write_network(RECORD, folder / "try")
    shown = [
        viewer_patient(name, "of a test", images, truth, {"unet": truth})
        for name, (images, truth) in list(patients.items())[:2]
    ]
    write_viewer(shown, folder / "viewer")
    style = (project_root() / "book" / "_static" / "book.css").read_text(encoding="utf-8")
    text = network_page(f"# Try\n\n{MARK}\n", RECORD, "")
    body = text[text.index('<div id="try">') : text.rindex("```")]
    (folder / "try.html").write_text(
        f'<!DOCTYPE html><html lang="en"><head><title>Try</title><meta charset="utf-8"><style>{style}</style>'
        f"<link rel='icon' href='data:,'></head><body><main><h1>Try</h1>{body}</main></body></html>",
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def address(site):
    with serving(site) as address:
        yield address


@pytest.fixture(scope="module")
def network():
    return load_network(RECORD)


def package_mask(images: np.ndarray, network) -> np.ndarray:
    """What the package predicts, as in `brainseg.evaluation.folder.predict_folder`."""
    preprocessing = RECORD.preprocessing
    boxes, enhanced = boxes_and_images(images, preprocessing)
    small = predict_both_ways(network, crop_and_resize_all(enhanced, boxes, preprocessing.image_size))
    whole = np.stack([restore(one, box) for one, box in zip(small, boxes, strict=True)])
    return drop_small_pieces(whole >= 0.5)


def agreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(dice(confusion(ours, theirs), empty=np.nan))


def loaded(visit: Visit):
    """The page with its network loaded and a patient drawn."""
    page = visit.open("try.html")
    page.click("#try-load")
    page.wait_for_selector("#try[data-shown]")
    return page


def segmented(page) -> np.ndarray:
    """The page's mask of the patient that it shows, every slice of it segmented."""
    page.click("#try-all")
    page.wait_for_function(
        "!JSON.parse(document.getElementById('try').dataset.shown).running && brainsegTry.result().mask"
    )
    found = page.evaluate("""() => {
        const {slices, mask} = brainsegTry.result();
        return {slices, tumour: [...mask.keys()].filter(i => mask[i])};
    }""")
    mask = np.zeros(found["slices"] * 256 * 256, bool)
    mask[found["tumour"]] = True
    return mask.reshape(-1, 256, 256)


def drop(page, folder: Path, files: dict[str, bytes]) -> str:
    """Choose a folder of files, as the reader would; what the page says of them."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    page.evaluate("document.getElementById('try-files').textContent = ''")
    page.set_input_files("#try-folder", folder)
    page.wait_for_function("/^(?!Reading).+/.test(document.getElementById('try-files').textContent)")
    return page.inner_text("#try-files")


# ---------------------------------------------------------------- the steps


def test_each_step_is_that_of_the_package(browser, address, patients):
    """Silhouette, box, normalisation and sizes, on phantom patients and on odd volumes."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 256, 256, 3), np.uint8)
    corner = np.zeros((3, 256, 256, 3), np.uint8)
    corner[1, :120, 150:] = rng.integers(90, 200, (120, 106, 3))
    corner[1, 40:60, 180:200] = 0  # a hole
    volumes = [*(images for images, _ in patients.values()), noise, corner, np.zeros((1, 256, 256, 3), np.uint8)]
    with Visit(browser, address) as visit:
        page = visit.open("try.html")
        for images in volumes:
            found = page.evaluate(
                """([slices, base64, described]) => {
                    const data = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)), S = brainsegSegment;
                    const volume = {slices, height: 256, width: 256, data};
                    const {box, volume: normalised} = S.prepare(volume, described);
                    return {
                        box, head: [...S.headSilhouette(volume, described)],
                        levels: [...normalised.data.filter((_, i) => i % 101 === 0)],
                        input: [...S.input({box, volume: normalised}, slices >> 1, described)],
                    };
                }""",
                [len(images), base64.b64encode(images.tobytes()).decode(), description(RECORD)],
            )
            head = head_silhouette(images)
            assert np.array_equal(np.array(found["head"], bool).reshape(256, 256), head)
            box = square_box(head, RECORD.preprocessing.margin_px)
            assert found["box"] == {"top": box.top, "left": box.left, "side": box.height}
            levels = normalise_volume(images, head)
            assert found["levels"] == levels.ravel()[::101].tolist()
            wanted = crop_and_resize_all(levels[len(images) // 2][None], [box], RECORD.preprocessing.image_size)[0]
            as_it_is, mirrored = np.array(found["input"]).reshape(2, *wanted.shape) * 255
            assert np.abs(as_it_is - wanted).max() < 1.01 and np.abs(as_it_is - wanted).mean() < 0.01  # of 255
            assert np.array_equal(as_it_is, mirrored[:, ::-1])
        for size, to in ((128, 235), (128, 90), (64, 64), (100, 50)):
            plane = rng.random((size, size), np.float32)
            given = page.evaluate(
                "([values, from, to]) => [...brainsegSegment.resize((y, x) => values[y * from + x], from, to)]",
                [plane.ravel().tolist(), size, to],
            )
            assert np.abs(np.array(given).reshape(to, to) - resize(plane, to, to)).max() < 1e-5
        assert visit.faults == []


def test_a_step_that_the_page_lacks_is_named(browser, address):
    with Visit(browser, address) as visit:
        page = visit.open("try.html")
        for settings, lacking in (
            ({}, None), ({"crop": "none"}, None), ({"contrast": "clahe"}, "contrast: clahe"),
            ({"crop": "slice"}, "crop: slice"),
        ):  # fmt: skip
            said = description(RECORD)["preprocessing"] | settings
            assert page.evaluate("said => brainsegSegment.lacking(said)", said) == lacking


# ---------------------------------------------------------------- the masks


@pytest.mark.parametrize("where", ["server", "folder"])
def test_the_masks_of_the_book_s_patients_are_the_package_s(browser, address, site, patients, network, where):
    with Visit(browser, address if where == "server" else site.as_uri()) as visit:
        page = loaded(visit)
        for number, (images, truth) in enumerate(list(patients.values())[:2]):
            page.evaluate("delete document.getElementById('try').dataset.shown")
            page.select_option("#try-patient", str(number))
            page.wait_for_selector("#try[data-shown]")
            wanted, found = package_mask(images, network), segmented(page)
            assert wanted.sum() > 500 and agreement(wanted, found) >= 0.995
            said = page.inner_text("#try-sentence")
            assert f"Dice of the volume {agreement(truth, found):.3f}" in said and f"{found.sum()} pixels" in said
        assert visit.faults == []


def test_dropped_slices_give_the_package_s_mask_and_ask_for_nothing(browser, address, patients, network, tmp_path):
    name, (images, truth) = list(patients.items())[2]
    files = {}
    for number, (image, mask) in enumerate(zip(images, truth, strict=True), start=1):
        files[f"{name}/{name}_{number}.tif"] = tiff(image)
        files[f"{name}/{name}_{number}_mask.tif"] = tiff(mask.astype(np.uint8) * 255)
    with Visit(browser, address) as visit:
        page = loaded(visit)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        assert "One patient read" in drop(page, tmp_path / "own", files)
        found = segmented(page)
        page.check("#try-heat")
        page.fill("#try-threshold", "0.3")
        wanted = package_mask(images, network)
        assert page.evaluate("brainsegTry.result().name") == name
        assert wanted.sum() > 500 and agreement(wanted, found) >= 0.995
        assert asked == [] and visit.faults == []


def tiff(pixels: np.ndarray, *options) -> bytes:
    if options:
        bgr = pixels[..., ::-1] if pixels.ndim == 3 else pixels
        return cv2.imencode(".tif", bgr, list(options))[1].tobytes()
    content = io.BytesIO()
    tifffile.imwrite(content, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    return content.getvalue()
