"""The book's viewer: from the volumes in an executed notebook to files beside the pages.

The page draws with NiiVue (BSD 2-Clause), which comes inside the pinned package ipyniivue.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
from importlib.metadata import distribution
from pathlib import Path

from nbformat import NotebookNode

from brainseg.figures.viewer import MIME
from brainseg.publishing.notebooks import StudyError

MARK = "<!-- viewer -->"  # in book/viewer.md, where the viewer goes


def take_patients(notebook: NotebookNode) -> list[dict]:
    """The patients that a notebook holds for the viewer, removed from it: its download should stay small."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if MIME in output.get("data", {}):
                found += output["data"].pop(MIME)["patients"]
    return found


def write_viewer(patients: list[dict], folder: Path) -> None:
    """Write all that the viewer's page loads, as scripts: a page opened from a folder may read no other file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "niivue.js").write_text(niivue(), encoding="utf-8")
    licence = next(path for path in distribution("ipyniivue").files if path.name.startswith("LICENSE"))
    shutil.copyfile(licence.locate(), folder / "niivue.LICENSE.txt")
    described = []
    for number, patient in enumerate(patients):
        volumes = {
            "sequences": [sequence["volume"] for sequence in patient["sequences"]],
            "truth": patient["truth"]["outline"],
            "mask": patient["truth"]["mask"],
            "models": {name: model["outline"] for name, model in patient["models"].items()},
        }
        script = f"brainsegViewer.volumes[{number}] = {json.dumps(volumes)};\n"
        (folder / f"patient-{number}.js").write_text(script, encoding="utf-8")
        (folder / f"patient-{number}.png").write_bytes(base64.b64decode(patient["picture"]))
        described.append(
            {
                "name": patient["name"],
                "title": patient["title"],
                "sequences": [sequence["name"] for sequence in patient["sequences"]],
                "truth": patient["truth"]["px"],
                "models": {
                    name: {key: model[key] for key in ("name", "px", "slices", "dice")}
                    for name, model in patient["models"].items()
                },
            }
        )
    text = f"window.brainsegViewer = {json.dumps({'patients': described, 'volumes': {}})};\n"
    (folder / "patients.js").write_text(text, encoding="utf-8")


def viewer_page(text: str, patients: list[dict], banner: str) -> str:
    """The viewer's page in MyST Markdown: the banner below its title, pictures and scripts at its mark."""
    title, _, rest = text.partition("\n")
    pictures = "\n".join(
        f'<figure><img src="viewer/patient-{number}.png" alt="{html.escape(_picture_says(patient))}">'
        f"<figcaption>{html.escape(patient['name'])}: {html.escape(patient['title'])}</figcaption></figure>"
        for number, patient in enumerate(patients)
    )
    scripts = "".join(f'<script defer src="viewer/{name}.js"></script>' for name in ("patients", "niivue", "viewer"))
    shown = pictures or "<p>This edition holds no volumes.</p>"
    place = f'```{{raw}} html\n<div id="viewer">\n{shown}\n</div>\n{scripts}\n```'
    return f"{title}\n\n{banner}\n{rest}".replace(MARK, place)


def _picture_says(patient: dict) -> str:
    slices = ", ".join(str(number) for number in patient["pictured"])
    models = ", ".join(model["name"] for model in patient["models"].values())
    return (
        f"A row for each of the slices {slices}: FLAIR alone, then with the outlines of the true mask and of the "
        f"prediction by {models}."
        if slices
        else "There is no slice with tumour to show."
    )


def niivue() -> str:
    """NiiVue as a plain script that sets ``window.Niivue``.

    The package brings one module that exports a notebook's widget only, and a module cannot be loaded from a folder.
    So its text is wrapped, and its export is replaced by one of the class.
    """
    module = Path(distribution("ipyniivue").locate_file("ipyniivue/static/widget.js")).read_text(encoding="utf-8")
    body, export, _ = module.rpartition("export{")
    classes = set(re.findall(r'console\.log\("Creating new Niivue instance"\);[^;]*;\w+=new (\w+)\(', body))
    if not export or len(classes) != 1:
        raise StudyError("The script of ipyniivue is not laid out as expected: install the pinned version.")
    return f'(function () {{\n"use strict";\n{body}\nwindow.Niivue = {classes.pop()};\n}})();\n'
