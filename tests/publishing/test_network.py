"""The page "Try the network": its steps and masks are the package's, and nothing of the reader's leaves it."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pandas as pd
import pytest
import tifffile

pytest.importorskip("keras")
pytest.importorskip("onnx")

from browsing import Visit, require_runtime, serving

from brainseg.cohort import index_cohort, read_patient
from brainseg.cohort.convert import convert_pairs
from brainseg.cohort.examinations import AS_NAMED, _role, find_examinations
from brainseg.cohort.read import FLAIR, POST, PRE
from brainseg.evaluation.scores import drop_small_pieces
from brainseg.figures.viewer import viewer_patient
from brainseg.images.crop import head_silhouette, resize, restore, square_box
from brainseg.images.preprocess import boxes_and_images, crop_and_resize_all, normalise_brain, normalise_volume
from brainseg.metrics import confusion, dice
from brainseg.networks.forward import predict_both_ways
from brainseg.networks.record import reference_runs
from brainseg.networks.runs import load_network
from brainseg.paths import project_root
from brainseg.publishing.network import MARK, find_network, network_page, write_network
from brainseg.publishing.onnx_export import description
from brainseg.publishing.viewer import write_viewer

pytestmark = pytest.mark.slow

RECORD = reference_runs("unet", "patient", 0, with_weights=True)[0]


@pytest.fixture(scope="module")
def patients(phantom) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Slices and masks of three phantom patients, by name: sixteen slices, of which the ninth has the most tumour."""
    table, found = index_cohort(phantom), {}
    for name in table["patient"].unique()[:3]:
        images, truth = read_patient(table, name)
        first = int(truth.sum(axis=(1, 2)).argmax()) - 8
        found[name] = images[first : first + 16], truth[first : first + 16]
        assert first >= 0 and len(found[name][0]) == 16
    return found


@pytest.fixture(scope="module")
def site(patients, tmp_path_factory) -> Path:
    """A folder with the page alone, as the book has it below its theme: the network, and two patients in the viewer."""
    require_runtime()
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(project_root() / "book" / "_extra" / "try", folder / "try")
    write_network(RECORD, folder / "try")
    shown = [
        viewer_patient(name, "of a test", images, truth, {"unet": truth})
        for name, (images, truth) in list(patients.items())[:2]
    ]
    write_viewer(shown, folder / "viewer")
    style, element = (
        (project_root() / "book" / "_static" / name).read_text(encoding="utf-8") for name in ("book.css", "element.js")
    )
    text = network_page(f"# Try\n\n{MARK}\n", True, "")
    body = text[text.index('<div id="try">') : text.rindex("```")]
    (folder / "try.html").write_text(
        f'<!DOCTYPE html><html lang="en"><head><title>Try</title><meta charset="utf-8"><style>{style}</style>'
        f"<script>{element}</script>"
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


# Arrays come out of the page as text: of a million numbers, one by one, a browser makes several seconds of work.
AS_TEXT = "(array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength).toBase64()"


def from_text(text: str, dtype: type = np.uint8) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


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
        const {volume, mask} = brainsegTry.result();
        return {slices: volume.slices, tumour: [...mask.keys()].filter(i => mask[i])};
    }""")
    mask = np.zeros(found["slices"] * 256 * 256, bool)
    mask[found["tumour"]] = True
    return mask.reshape(-1, 256, 256)


@pytest.fixture(scope="module")
def opened(browser, address) -> Visit:
    """A page with its network loaded, for tests that only drop files on it."""
    with Visit(browser, address) as visit:
        loaded(visit)
        yield visit


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
                f"([slices, base64, described]) => {{ const text = {AS_TEXT};"
                """
                    const prepared = (normalise) => S.prepare(
                        volume, {...described, preprocessing: {...described.preprocessing, normalise}});
                    const sample = ({volume}) => text(volume.data.filter((_, i) => i % 101 === 0));
                    const data = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)), S = brainsegSegment;
                    const volume = {slices, height: 256, width: 256, data};
                    const {box, volume: normalised} = prepared('volume');
                    return {
                        box, head: text(S.headSilhouette(volume, described)),
                        levels: sample({volume: normalised}), brain: sample(prepared("brain")),
                        input: text(S.input({box, volume: normalised}, slices >> 1, described)),
                    };
                }""",
                [len(images), base64.b64encode(images.tobytes()).decode(), description(RECORD)],
            )
            head = head_silhouette(images)
            assert np.array_equal(from_text(found["head"]).reshape(256, 256), head)
            box = square_box(head, RECORD.preprocessing.margin_px)
            assert found["box"] == {"top": box.top, "left": box.left, "side": box.height}
            levels = normalise_volume(images, head)
            assert np.array_equal(from_text(found["levels"]), levels.ravel()[::101])
            assert np.array_equal(from_text(found["brain"]), normalise_brain(images, head).ravel()[::101])
            wanted = crop_and_resize_all(levels[len(images) // 2][None], [box], RECORD.preprocessing.image_size)[0]
            as_it_is, mirrored = from_text(found["input"], np.float32).reshape(2, *wanted.shape) * 255.0
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
            ({"crop": "slice"}, "crop: slice"), ({"normalise": "brain"}, None), ({"normalise": "x"}, "normalise: x"),
        ):  # fmt: skip
            said = description(RECORD)["preprocessing"] | settings
            assert page.evaluate("said => brainsegSegment.lacking(said)", said) == lacking


# ---------------------------------------------------------------- the masks


@pytest.mark.parametrize("where", ["server", "folder"])
def test_the_masks_of_the_book_s_patients_are_the_package_s(browser, address, site, patients, network, where):
    with Visit(browser, address if where == "server" else site.as_uri()) as visit:
        page = loaded(visit)
        # One patient each: volumes and network come otherwise from a folder, and the steps are the same.
        number = 1 if where == "server" else 0
        images, truth = list(patients.values())[number]
        page.evaluate("delete document.getElementById('try').dataset.shown")
        page.select_option("#try-patient", str(number))
        page.wait_for_selector("#try[data-shown]")
        wanted, found = package_mask(images, network), segmented(page)
        assert wanted.sum() > 500 and agreement(wanted, found) >= 0.995
        said = page.inner_text("#try-sentence")
        assert f"Dice of the volume {agreement(truth, found):.3f}" in said and f"{found.sum()} pixels" in said
        assert visit.faults == []


def test_dropped_slices_give_the_package_s_mask_and_ask_for_nothing(opened, patients, network, tmp_path):
    name, (images, truth) = list(patients.items())[2]
    files = {}
    for number, (image, mask) in enumerate(zip(images, truth, strict=True), start=1):
        files[f"{name}/{name}_{number}.tif"] = tiff(image)
        files[f"{name}/{name}_{number}_mask.tif"] = tiff(mask.astype(np.uint8) * 255)
    page, asked = opened.page, []
    page.on("request", lambda request: asked.append(request.url))
    assert "One patient read" in drop(page, tmp_path / "own", files)
    found = segmented(page)
    page.check("#try-heat")
    page.fill("#try-threshold", "0.3")
    page.fill("#try-threshold", "0.5")
    wanted = package_mask(images, network)
    assert page.evaluate("brainsegTry.result().name") == name
    assert wanted.sum() > 500 and agreement(wanted, found) >= 0.995
    assert asked == [] and opened.faults == []


def tiff(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    tifffile.imwrite(content, pixels, photometric="rgb" if pixels.shape[2:] == (3,) else "minisblack")
    return content.getvalue()


# ---------------------------------------------------------------- the reader's files


def read_in_page(page, folder: Path, files: dict[str, bytes]) -> tuple[str, np.ndarray, np.ndarray | None]:
    """Name, images and truth of the patient that the page makes of files."""
    said = drop(page, folder, files)
    assert "One patient read" in said, said
    found = page.evaluate(
        f"() => {{ const text = {AS_TEXT};"
        """
            const {name, volume, truth} = brainsegTry.result();
            return {name, slices: volume.slices, data: text(volume.data), truth: truth && text(truth)};
        }"""
    )
    images = from_text(found["data"]).reshape(found["slices"], 256, 256, 3)
    truth = None if found["truth"] is None else from_text(found["truth"]).reshape(images.shape[:3]).astype(bool)
    return found["name"], images, truth


def encoded(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


LZW, DEFLATE = (cv2.IMWRITE_TIFF_COMPRESSION, 5), (cv2.IMWRITE_TIFF_COMPRESSION, 8)
NO_PREDICTOR = (cv2.IMWRITE_TIFF_PREDICTOR, 1)


@pytest.mark.parametrize(
    "suffix, options",
    [(".png", ()), (".tif", LZW), (".tif", (*LZW, *NO_PREDICTOR)), (".tif", DEFLATE), (".TIFF", (*DEFLATE, 278, 7))],
    ids=["png", "lzw with a predictor", "lzw", "deflate", "strips"],
)
def test_pictures_of_three_sequences_are_read_as_they_are(opened, patients, tmp_path, suffix, options):
    images, truth = next(iter(patients.values()))
    files = {"notes.txt": b"no picture", ".hidden.png": b""}
    for number in (9, 10, 11):  # 10 comes after 9
        files[f"a/slice_{number}{suffix}"] = encoded(suffix, images[number, ..., ::-1], *options)
    files["a/slice_10_mask.png"] = encoded(".png", truth[10].astype(np.uint8))
    page = opened.page
    name, found, mask = read_in_page(page, tmp_path / "own", files)
    assert name == "a" and np.array_equal(found, images[9:12])
    assert np.array_equal(mask[1], truth[10]) and not mask[[0, 2]].any()
    assert opened.faults == []


@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_grey_slices_of_another_size_become_what_the_package_makes_of_them(opened, patients, tmp_path, deep):
    images, truth = next(iter(patients.values()))
    files, rows = {}, []
    for number in (10, 11):
        grey = cv2.resize(images[number, ..., 1], (180, 300), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(truth[number].astype(np.uint8) * 255, (180, 300), interpolation=cv2.INTER_NEAREST)
        grey = grey.astype(np.uint16) * 9 if deep else grey
        files[f"b/{number}.tif"], files[f"b/{number}_mask.tif"] = tiff(grey), tiff(mask)
        rows.append({"patient": "b", "flair": tmp_path / f"own/b/{number}.tif"})
        rows[-1]["mask"] = tmp_path / f"own/b/{number}_mask.tif"
    page = opened.page
    _, found, mask = read_in_page(page, tmp_path / "own", files)
    notes = page.inner_text(".try-notes")
    assert "pre-contrast T1, post-contrast T1" in notes
    assert opened.faults == []
    table = index_cohort(convert_pairs(pd.DataFrame(rows), tmp_path / "kaggle_3m"))
    wanted, wanted_mask = read_patient(table, table["patient"].iloc[0])
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert agreement(wanted_mask, mask) > 0.999


# As nibabel writes them: which way the file's axes run.
FRAMES = {"RAS": np.eye(3), "LPS": np.diag([-1, -1, 1]), "sagittal": np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]])}
FRAMES["LAS"] = np.diag([-1, 1, 1])
FORMS = [*itertools.product(FRAMES, ("sform", "qform")), ("LAS", "none")]  # nibabel's frame where a file names none


@pytest.mark.parametrize("frame, form", FORMS)
def test_a_volume_is_turned_upright_whatever_its_axes(opened, patients, tmp_path, frame, form):
    images, truth = next(iter(patients.values()))
    slices = slice(8, 14)
    files = {}
    volumes = [("x_flair", images[slices, ..., 1]), ("x_t1", images[slices, ..., 0])]
    for name, volume in [*volumes, ("x_t1ce", images[slices, ..., 2]), ("x_seg", truth[slices].astype(np.uint8) * 4)]:
        ras = volume[:, ::-1, ::-1].transpose(2, 1, 0)  # the patient's right is on the left of a slice
        axes = [int(np.flatnonzero(column)[0]) for column in FRAMES[frame].T]
        data = ras.transpose(axes)
        for axis, column in enumerate(FRAMES[frame].T):
            data = np.flip(data, axis) if column.sum() < 0 else data
        affine = np.eye(4)
        affine[:3, :3] = FRAMES[frame]
        image = nibabel.Nifti1Image(np.ascontiguousarray(data), None if form == "none" else affine)
        image.header.set_sform(affine, code=1 if form == "sform" else 0)
        image.header.set_qform(affine, code=0 if form == "none" else 1)
        if form == "none":
            image.header.set_zooms((1, 3, 2))  # whose order nothing vouches for
        files[f"{name}.nii.gz"] = gzip.compress(image.to_bytes())
    page = opened.page
    _, found, mask = read_in_page(page, tmp_path / "own", files)
    assert np.array_equal(found, images[slices]) and np.array_equal(mask, truth[slices])
    package = find_examinations(tmp_path / "own")[0].read()
    assert np.array_equal(found, package.images) and np.array_equal(mask, package.truth)
    assert opened.faults == []


ROLES = {
    **dict.fromkeys(("flair", "p_FLAIR", "p.flair", "t2_flair", "x-t2f"), FLAIR),
    **dict.fromkeys(("t1", "p_T1w", "t1_flair", "x-t1n", "p_t1_pre", "precontrast"), PRE),
    **dict.fromkeys(
        ("t1ce", "t1_ce", "t1-ce", "p_T1_Gd", "t1+c", "t1w_c", "x-t1c", "p.t1ce", "post", "ce-gd_T1w"), POST
    ),
    **dict.fromkeys(("seg", "t1_mask", "p-label", "flair_seg"), "truth"),
    **dict.fromkeys(("t2", "p_t2w", "adc", "swi", "pd", "dwi"), "unused"),
    **dict.fromkeys(("p", "scan1", "x_t3"), None),
}


def test_the_page_tells_sequences_by_their_names_as_the_package_does(opened):
    found = opened.page.evaluate("(names) => names.map((name) => brainsegFiles.roleOf(`a/${name}.nii.gz`))", [*ROLES])
    assert dict(zip(ROLES, found, strict=True)) == ROLES
    assert {name: _role(name, AS_NAMED)[0] for name in ROLES} == ROLES


def test_one_volume_whose_name_says_nothing_is_flair(opened, tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
    files = {
        f"c/{name}.nii.gz": gzip.compress(nibabel.Nifti1Image(pixels, np.eye(4)).to_bytes())
        for name, pixels in {"c": grey, "c_seg": (grey > 40).astype(np.uint8), "c_adc": grey}.items()
    }
    _, found, mask = read_in_page(opened.page, tmp_path / "own", files)
    assert found.max() == 63 and mask.any() and not mask.all()
    assert opened.faults == []


def test_a_folder_of_patients_is_read_one_at_a_time(opened, patients, tmp_path):
    images, _ = next(iter(patients.values()))
    files = {"first/1.tif": tiff(images[9]), "second/1.tif": tiff(images[10]), "third/1.tif": b"no tiff"}
    page = opened.page
    assert "3 patients found" in drop(page, tmp_path / "own", files)
    for place, name in ((1, "second"), (0, "first")):
        page.select_option("#try-patient", str(place))
        page.wait_for_function("name => brainsegTry.result().name === name", arg=name)
    page.select_option("#try-patient", "2")
    page.wait_for_function("document.getElementById('try-sentence').innerText.includes('1.tif: it is no TIFF')")
    assert page.input_value("#try-patient") == "0"
    assert opened.faults == []


def test_a_patient_who_comes_late_does_not_take_the_page_back(opened, patients, tmp_path):
    """Volumes of the book may take their time, and the reader goes on meanwhile."""
    images, _ = next(iter(patients.values()))
    page, held = opened.page, []
    page.route("**/viewer/patient-1.js", lambda route: held.append(route))
    with page.expect_request("**/viewer/patient-1.js"):
        page.select_option("#try-patient", str(page.locator("#try-patient option").count() - 1))
    read_in_page(page, tmp_path / "own", {"mine/1.tif": tiff(images[9])})
    held[0].continue_()
    page.wait_for_function("brainsegViewer.volumes[1]")
    page.wait_for_timeout(500)  # ms, in which the volumes are unpacked
    assert page.evaluate("brainsegTry.result().name") == "mine" and page.input_value("#try-slice") == "1"
    assert page.inner_text("#try-patient option:checked").startswith("mine")
    assert len(segmented(page)) == 1
    page.unroute("**/viewer/patient-1.js")
    assert opened.faults == []


def test_files_may_be_dragged_onto_the_page(opened, patients):
    images, _ = next(iter(patients.values()))
    page = opened.page
    page.evaluate("document.getElementById('try-files').textContent = ''")
    page.evaluate(
        """base64 => {
            const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], "dragged.tif"));
            document.querySelector(".view-stage").dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true}));
        }""",
        base64.b64encode(tiff(images[9])).decode(),
    )
    page.wait_for_function("document.getElementById('try-files').innerText.includes('One patient read')")
    assert page.evaluate("brainsegTry.result().name") == "dragged.tif"
    assert opened.faults == []


def test_a_file_that_cannot_be_read_is_named_with_the_way_out(opened, patients, tmp_path):
    images, truth = next(iter(patients.values()))
    truth = truth.astype(np.uint8) * 255
    good, mask = tiff(images[9]), tiff(truth[9])
    volume = gzip.compress(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_bytes())
    small = gzip.compress(nibabel.Nifti1Image(np.zeros((4, 4, 5), np.uint8), np.eye(4)).to_bytes())
    shift = np.eye(4)
    shift[0, 3] = 0.02  # mm
    moved, turned = (
        gzip.compress(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), affine).to_bytes())
        for affine in (shift, np.diag([-1, 1, 1, 1]))
    )
    holed, endless = np.ones((2, 4, 4, 4), np.float32)
    holed[0], endless[0, 0, 0] = np.nan, np.inf
    nowhere = nibabel.Nifti1Image(endless, None)
    nowhere.header.set_sform(np.diag([1, 0, 1, 1]), code=1)
    cases = [
        ({"a.nii": nowhere.to_bytes()}, "a.nii: it does not say how it lies in the head"),
        ({"a.nii": nibabel.Nifti1Image(holed, np.eye(4)).to_bytes()}, "a.nii: it holds 16 voxels that are no number"),
        (
            {"flair.nii.gz": volume, "t1.nii": nibabel.Nifti1Image(endless, np.eye(4)).to_bytes()},
            "t1.nii: it holds 1 v",
        ),
        ({"a.txt": b""}, "no TIFF, PNG, JPEG or NIfTI"),
        ({"a.tif": good[:5000]}, "a.tif: the file is damaged"),
        ({"a.tif": b"no tiff at all"}, "a.tif: it is no TIFF"),
        ({"a.png": b"no png"}, "a.png: the browser cannot read it"),
        ({"a_mask.png": encoded(".png", images[9])}, "Add the slices"),
        ({"slice_1.tif": good, "slice1_mask.tif": mask}, "slice1_mask.tif: it has no slice beside it"),
        ({"a.tif": good, "a_mask.tif": tiff(truth[9, :100, :100])}, "a_mask.tif: it has another size than its slice"),
        ({"a.tif": good, "a_mask.tif": mask, "a_seg.tif": mask}, "a_seg.tif: its slice has another mask, a_mask.tif"),
        ({"a.tif": tiff(images[8:10, ..., 1])}, "a.tif: it holds 2 pages"),
        ({"a.nii": b"short"}, "a.nii: it is no NIfTI-1"),
        ({"a.nii.gz": volume, "b.nii.gz": volume}, "does not say which sequence"),
        ({"t1.nii.gz": volume, "t1ce.nii.gz": volume}, "there is no FLAIR"),
        ({"p_t1.nii.gz": volume}, "there is no FLAIR"),
        ({"p_seg.nii.gz": volume}, "there is no FLAIR"),
        (
            {"flair.nii.gz": volume, "t1.nii.gz": small},
            "t1.nii.gz: it does not lie as the FLAIR does: 4 × 4 × 5 voxels",
        ),
        ({"flair.nii.gz": volume, "t1.nii.gz": moved}, "t1.nii.gz: it does not lie as the FLAIR does"),
        ({"flair.nii.gz": volume, "seg.nii.gz": turned}, "seg.nii.gz: it does not lie as the FLAIR does"),
    ]
    page = opened.page
    for number, (files, message) in enumerate(cases):
        assert message in drop(page, tmp_path / str(number), files)
    assert opened.faults == []


# ---------------------------------------------------------------- the page


def test_the_page_follows_its_controls(browser, address, patients):
    images, truth = next(iter(patients.values()))
    with Visit(browser, address) as visit:
        page = visit.open("try.html")
        # Nothing large comes until the reader asks.
        assert page.evaluate("performance.getEntriesByType('resource').length") <= 6
        page = loaded(visit)
        largest = int(truth.sum(axis=(1, 2)).argmax())
        assert page.input_value("#try-slice") == str(largest + 1)
        assert "Nothing is segmented" in page.inner_text("#try-sentence")
        page.click("#try-one")
        page.wait_for_function("JSON.parse(document.getElementById('try').dataset.shown).known === 1")
        page.wait_for_function("!JSON.parse(document.getElementById('try').dataset.shown).running")
        said = page.inner_text("#try-sentence")
        assert "Dice of this slice" in said and "Whole patient" not in said
        assert "for one slice" in page.inner_text(".try-notes")

        def drawn() -> np.ndarray:
            return cv2.imdecode(np.frombuffer(page.locator("#try-canvas").screenshot(), np.uint8), cv2.IMREAD_COLOR)

        bare = drawn()
        page.check("#try-heat")
        assert np.abs(drawn().astype(int) - bare).max() > 30
        page.uncheck("#try-heat")
        page.uncheck("#try-prediction")
        page.uncheck("#try-truth")
        assert np.abs(drawn().astype(int) - bare).max() > 30
        for threshold in ("0.02", "0.98"):
            page.fill("#try-threshold", threshold)
            said += page.inner_text("#try-sentence")
        areas = [int(area) for area in re.findall(r"calls (\d+) pixels", said)]
        assert areas[1] > areas[0] > areas[2]

        page.focus("#try-canvas")
        page.keyboard.press("ArrowUp")
        assert page.input_value("#try-slice") == str(largest + 2)
        assert "not segmented yet" in page.inner_text("#try-sentence")
        page.click("#try-all")
        page.click("#try-stop")
        page.wait_for_selector("#try-stop", state="hidden")
        known = page.evaluate("JSON.parse(document.getElementById('try').dataset.shown).known")
        assert known < len(images) and "Whole patient" not in page.inner_text("#try-sentence")
        assert "Not for clinical use" in page.inner_text(".view-stage")
        assert visit.faults == []


def test_a_part_that_does_not_come_is_said_with_the_way_out(browser, site, tmp_path):
    shutil.copytree(site, tmp_path / "site")
    for part in (tmp_path / "site" / "try").glob("????????????.js"):
        part.unlink()
    for base, way in ((tmp_path / "site").as_uri(), "python -m http.server"), (None, "Try again"):
        with serving(tmp_path / "site") as address, Visit(browser, base or address) as visit:
            page = visit.open("try.html")
            page.click("#try-load")
            page.wait_for_function(
                "way => document.querySelector('#try [role=status]').innerText.includes(way)", arg=way
            )
            assert "could not be loaded" in page.inner_text("#try [role=status]")


def test_the_page_without_a_network_says_so():
    page = network_page(f"# Try\n\n{MARK}\n", False, "a banner")
    assert page.startswith("# Try\n\na banner\n") and "carries no network" in page and "<script" not in page


def test_the_network_is_that_of_the_chapter_and_has_met_nobody_shown(run, monkeypatch):
    stranger = "TCGA_XX_0000_20000101"
    kept = {"runs": {"unet": RECORD.name, "resunet": "another"}}
    assert find_network(kept, [stranger]) == RECORD
    assert find_network(kept, [stranger, RECORD.patients["train"][0]]) is None
    assert find_network({"runs": {}}, []) is None

    # Runs of the edition itself, trained on its cohort: two of them differ in their split alone.
    first, second = (
        replace(RECORD, folder=Path("runs") / name, patients={"train": [patient], "validation": []})
        for name, patient in (("unet-1", "one"), ("unet-2", "two"))
    )
    monkeypatch.setattr("brainseg.publishing.network.finished_runs", lambda: [run.record, first, second])
    for trained in (first, second):
        page = {"runs": {"unet": trained.name}}
        assert find_network(page, [stranger]) == trained
        assert find_network(page, trained.patients["train"]) is None
    assert find_network({"runs": {"unet": "unet-3"}}, []) is None  # it was removed
