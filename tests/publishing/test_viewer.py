"""The viewer's volumes, the files beside its page, and the landing page's chart."""

from __future__ import annotations

import base64
import gzip
import json
import re

import nbformat
import nibabel
import numpy as np
import pytest

from brainseg.experiments import outcome
from brainseg.figures.viewer import MIME, nifti, outlines, viewer_output, viewer_patient
from brainseg.publishing import landing
from brainseg.publishing.viewer import MARK, niivue, take_patients, viewer_page, write_viewer


@pytest.fixture
def patient() -> dict:
    """Three slices with a square tumour in the second; one network finds it, one finds nothing."""
    images = np.arange(3 * 32 * 40 * 3, dtype=np.uint32).reshape(3, 32, 40, 3).astype(np.uint8)
    truth = np.zeros((3, 32, 40), bool)
    truth[1, 4:10, 20:26] = True
    return viewer_patient("P", "the only one", images, truth, {"unet": truth, "fcn32": truth & False}, missing=[0])


def test_a_volume_has_its_axes_right_and_up():
    volume = np.zeros((3, 32, 40), np.uint8)
    volume[2, 0, 7] = 9  # the top row of the last slice
    read = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(nifti(volume))))
    assert read.shape == (40, 32, 3) and read.get_data_dtype() == np.uint8
    assert [tuple(place) for place in np.argwhere(read.get_fdata() == 9)] == [(7, 31, 2)]
    assert nifti(volume) == nifti(volume)  # no time of day in it


def test_a_patient_carries_its_scores(patient):
    assert patient["truth"]["px"] == [0, 36, 0]
    assert patient["models"]["unet"]["slices"] == [None, 1.0, None] and patient["models"]["unet"]["dice"] == 1
    assert patient["models"]["fcn32"]["slices"] == [None, 0.0, None] and patient["models"]["fcn32"]["px"] == [0, 0, 0]
    assert "copy of FLAIR" in patient["sequences"][0]["name"] and patient["sequences"][1]["name"] == "FLAIR"
    assert set(patient["pictured"]) == {2}
    json.dumps(patient)


def test_outlines_are_taken_slice_by_slice():
    masks = np.ones((2, 5, 5), bool)
    assert outlines(masks).sum(axis=(1, 2)).tolist() == [16, 16]


def test_a_patient_without_tumour_can_be_shown():
    empty = np.zeros((2, 8, 8), bool)
    shown = viewer_patient("P", "empty", np.zeros((2, 8, 8, 3), np.uint8), empty, {"unet": empty})
    assert shown["pictured"] == [] and shown["models"]["unet"]["dice"] is None


def test_patients_move_from_the_notebook_to_files_beside_the_page(patient, tmp_path):
    data = viewer_output([patient])
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", data)])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    found = take_patients(notebook)
    assert found == [patient] and MIME not in json.dumps(notebook) and "- `P`: the only one" in json.dumps(notebook)

    write_viewer(found, tmp_path)
    script = (tmp_path / "patient-0.js").read_text()
    volumes = json.loads(re.fullmatch(r"brainsegViewer\.volumes\[0\] = (.*);\n", script)[1])
    mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(volumes["mask"])))
    assert mask.get_fdata().sum(axis=(0, 1)).tolist() == [0, 36, 0]
    assert volumes["truth"] == patient["truth"]["outline"] and len(volumes["sequences"]) == 3
    assert (tmp_path / "patient-0.png").read_bytes().startswith(b"\x89PNG")
    assert "BSD 2-Clause" in (tmp_path / "niivue.LICENSE.txt").read_text()
    described = json.loads(
        (tmp_path / "patients.js").read_text().removeprefix("window.brainsegViewer = ").removesuffix(";\n")
    )
    assert described["patients"][0]["models"]["unet"]["slices"] == [None, 1.0, None]

    page = viewer_page(f"# Title\n\ntext\n\n{MARK}\n", found, "the banner")
    assert page.startswith("# Title\n\nthe banner\n") and MARK not in page
    assert 'src="viewer/patient-0.png" alt="A row for each of the slices 2' in page
    assert "no volumes" in viewer_page(MARK, [], "")


def test_niivue_is_a_plain_script():
    script = niivue()
    assert re.search(r"window\.Niivue = \w+;", script) and "export{" not in script[-2000:]
    assert not re.search(r"^import\b", script, re.MULTILINE)


def test_the_landing_page_says_what_its_chart_shows(tmp_path, monkeypatch):
    import pandas as pd

    from brainseg.evaluation import headline

    (tmp_path / "intro.md").write_text(f"# Title\n\n{landing.MARK}\n\nafter\n")
    monkeypatch.setattr(landing, "has_tables", lambda study: True)
    dice = pd.DataFrame({"dice": [0.5, 0.75], "fold": 0})
    monkeypatch.setattr(
        landing, "headline", lambda: [headline.Line("unet", dice, dict(mean=0.625, low=0.5, high=0.75, patients=2))]
    )
    unet = outcome.NetworkOutcome("unet", {}, (), 0.84)
    monkeypatch.setattr(outcome, "read_findings", lambda: outcome.Outcome((unet,), in_trials=1, others=1))
    landing.fill_landing(tmp_path)
    text = (tmp_path / "intro.md").read_text()
    assert "```\n\nAll 2 patients had a part in a choice" in text
    assert text.count("U-Net 0.625 (0.50 to 0.75, 2 patients)") == 1 and text.endswith(
        "after\n"
    )  # for those who do not see the chart
    for picture in ("images/headline.png", "_extra/social.png"):
        assert (tmp_path / picture).stat().st_size > 1000

    (tmp_path / "intro.md").write_text(landing.MARK)
    monkeypatch.setattr(landing, "has_tables", lambda study: False)
    landing.fill_landing(tmp_path)
    assert "No results" in (tmp_path / "intro.md").read_text()
