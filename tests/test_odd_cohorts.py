"""Cohorts that the chapters do not expect: each says what it cannot show, and goes on to its end."""

from __future__ import annotations

import ast
import re
import shutil
import warnings

import numpy as np
import pytest
import tifffile
from helpers import PATIENTS, image_of, mask_of

from brainseg.cohort import index_cohort
from brainseg.experiments.exploration import counted
from brainseg.paths import project_root
from brainseg.publishing.notebooks import read_source

CHAPTERS = ("01_explore", "02_contrast", "03_crop", "04_metrics")


def without_tumour(root):
    for path in root.glob("*/*_mask.tif"):
        tifffile.imwrite(path, np.zeros((256, 256), np.uint8), photometric="minisblack")


def keep_slices(root, numbers):
    for path in root.glob("*/*.tif"):
        if int(path.stem.removesuffix("_mask").rpartition("_")[2]) not in numbers:
            path.unlink()


def keep_patients(root, count):
    for patient in PATIENTS[count:]:
        shutil.rmtree(root / patient)


def flair_alone(root):
    for path in root.glob("*/*[0-9].tif"):
        image = tifffile.imread(path)
        tifffile.imwrite(path, np.repeat(image[..., 1:2], 3, axis=-1), photometric="rgb")


def of_one_institution(root):
    for patient in PATIENTS[3:]:
        shutil.rmtree(root / patient)


def one_tumour(root):
    """A single slice with tumour, of a few pixels."""
    without_tumour(root)
    mask = np.zeros((256, 256), np.uint8)
    mask[120:122, 128:131] = 255
    tifffile.imwrite(mask_of(root, 3, PATIENTS[1]), mask, photometric="minisblack")


def black_slices(root):
    """The first slice of each patient holds nothing at all, and one patient is black throughout."""
    black = [image_of(root, 1, patient) for patient in PATIENTS]
    for path in [*black, *(image_of(root, number) for number in range(1, 6))]:
        tifffile.imwrite(path, np.zeros((256, 256, 3), np.uint8), photometric="rgb")


COHORTS = {
    "no tumour": [without_tumour],
    "one slice a patient": [lambda root: keep_slices(root, {3})],
    "one slice a patient, no tumour": [lambda root: keep_slices(root, {1})],
    "one patient": [lambda root: keep_patients(root, 1)],
    "two patients": [lambda root: keep_patients(root, 2)],
    "one patient, one slice": [lambda root: keep_patients(root, 1), lambda root: keep_slices(root, {2})],
    "one patient, one slice, no tumour": [lambda root: keep_patients(root, 1), lambda root: keep_slices(root, {1})],
    "no empty slice": [lambda root: keep_slices(root, {2, 3})],
    "one institution": [of_one_institution],
    "FLAIR alone": [flair_alone],
    "one tumour": [one_tumour],
    "black slices": [black_slices],
}


class _Shown:
    """What a chapter shows, made as Jupyter makes it, so that what fails there fails here."""

    def __init__(self):
        self.text = []

    def show(self, *values, **_):
        for value in values:
            if hasattr(value, "savefig"):
                value.canvas.draw()  # once, where a file would be drawn twice: to be measured, and to be written
            for name in ("_repr_markdown_", "_repr_html_", "_repr_mimebundle_"):
                if callable(getattr(value, name, None)) and not hasattr(value, "savefig"):
                    self.text.append(str(getattr(value, name)()))
            self.text.append(str(value))


def execute(chapter, monkeypatch, **parameters):
    """Run a chapter's cells one after another; everything that it shows, as one text."""
    shown, names = _Shown(), {}
    monkeypatch.setattr("IPython.display.display", shown.show)
    notebook = read_source(project_root() / "notebooks" / f"{chapter}.py")
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or "install" in tags:
            continue
        body = ast.parse(cell.source).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), chapter, "exec"), names)
        if "parameters" in tags:
            names |= parameters
        if last is not None:
            shown.show(eval(compile(ast.Expression(last.value), chapter, "eval"), names))
    return "\n".join(shown.text)


@pytest.mark.slow
@pytest.mark.parametrize("name", COHORTS)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_says_what_it_cannot_show_and_goes_on(chapter, name, tiny_cohort, monkeypatch, capsys):
    for change in COHORTS[name]:
        change(tiny_cohort)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = execute(chapter, monkeypatch, data=str(tiny_cohort)) + capsys.readouterr().out
    text = text.replace("CNR nan, tumour brighter nan", "")  # of an exercise that measures the first slice
    assert re.findall(r".{0,30}\b(?:nan|NaN|inf)\b.{0,30}", text) == []
    limited = name not in ("one tumour", "black slices")
    assert ("What this cohort cannot show" in text) == limited
    if "no tumour" in name:
        assert "No slice shows tumour" in text


def test_a_cohort_that_shows_everything_is_counted_alone(tiny_cohort_once):
    said = counted(index_cohort(tiny_cohort_once, progress=False))
    assert said == "6 patients, 30 slices, 12 of them with tumour."


class Trains(Exception):
    """A chapter asks for networks."""


def test_a_chapter_copies_masks_where_there_are_some_to_copy(tiny_cohort, monkeypatch):
    """Chapter 10 up to its trainings: of half of the patients there is one slice, which nothing can be copied to."""
    seen = []

    def get_tables(*_, **__):
        seen.extend(shown.text)
        raise Trains

    shown = _Shown()
    monkeypatch.setattr(f"{__name__}._Shown", lambda: shown)
    monkeypatch.setattr("brainseg.experiments.engine.get_tables", get_tables)
    for path in tiny_cohort.glob("*/*.tif"):
        number = int(path.stem.removesuffix("_mask").rpartition("_")[2])
        if path.parent.name in PATIENTS[3:] and number != 3:
            path.unlink()
    with pytest.raises(Trains):
        execute("10_leakage", monkeypatch, data=str(tiny_cohort))
    text = "\n".join(seen)
    assert "Left out: 1 test slice of patients who have none in training." in text and "nan" not in text
