"""The worked example of the page on own data is run, and what came out stands on the page."""

import re
import shutil
from pathlib import Path

import nibabel
import pandas as pd
import pytest

from brainseg import results
from brainseg.paths import build_folder, project_root
from brainseg.publishing import example
from brainseg.publishing.example import NOT_RUN, PARTS, fill_example
from brainseg.publishing.notebooks import StudyError

PAGE = project_root() / "book" / "teach" / "own_data.md"


@pytest.fixture
def page(tmp_path):
    (tmp_path / "teach").mkdir()
    return Path(shutil.copy(PAGE, tmp_path / "teach"))


def test_without_networks_the_page_says_so(page, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    fill_example(tmp_path)
    text = page.read_text()
    assert text.count(NOT_RUN) == len(PARTS.findall(PAGE.read_text())) == 5 and "<!--" not in text
    assert text.replace(NOT_RUN, "") == PARTS.sub("", PAGE.read_text())


@pytest.mark.slow
@pytest.mark.rest
def test_the_page_shows_what_the_commands_gave(smoke_book, page, tmp_path, monkeypatch):
    """The book has run them, with the project's own networks."""
    staged = smoke_book.parents[1] / "src"
    monkeypatch.setenv("BRAINSEG_BUILD", str(staged.parent))
    text, shown = page.read_text(), (staged / "teach" / "own_data.md").read_text()
    assert "<!--" not in shown and NOT_RUN not in shown
    (done,) = (build_folder() / "examples").glob("[!.]*/")
    row = pd.read_csv(done / "masks" / "patients.csv").iloc[0]
    assert row["volume_ml"] == pytest.approx(row["predicted_px"] * 0.005) and row["missing"] != row["missing"]
    assert f"Dice of a patient's volume: {row['dice']:.3f}, the mean of 1\n" in shown
    assert f"| `predicted_px` | {row['predicted_px']} |" in shown
    assert "same place as the FLAIR: True" in shown
    assert f"voxels (256, 256, {row['slices']}) of" in shown.replace("np.int64", "")
    for name in ("anna/anna_flair_predicted.nii.gz", f"anna/anna_slice_{row['slices']}_overlay.png", "patients.csv"):
        assert f"\n{name}\n" in shown and (done / "masks" / name).is_file()
    assert (staged / "images" / "own-data-contact.png").is_file()
    assert nibabel.load(done / "masks/anna/anna_flair_predicted.nii.gz").get_fdata().sum() == row["predicted_px"]
    # Each output stands right below its own block, and the rest of the page is as it was.
    assert re.search(r"predict my_scans masks --truth\n```\n\n```text\n\d+ slices", shown)
    assert shown.endswith(text[text.index("\n## A cohort of pairs") :])
    before = (done / "output-1.txt").stat().st_mtime_ns
    fill_example(tmp_path)
    assert page.read_text() == shown and (done / "output-1.txt").stat().st_mtime_ns == before


def test_a_block_that_fails_stops_the_book(page, tmp_path, monkeypatch):
    monkeypatch.setattr(example, "reference_runs", lambda *_, **__: [1])
    monkeypatch.setattr(example, "reference_digests", dict)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    page.write_text(f"{example.SECTION}\n\n```python\nraise KeyError('of the block')\n```\n\n## Next\n")
    with pytest.raises(StudyError, match="of the block"):
        fill_example(tmp_path)
    assert list((tmp_path / "build" / "examples").iterdir()) == []
