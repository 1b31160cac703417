"""The worked example of the page on the reader's own data: its blocks are run, and what came out stands below them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

import brainseg
from brainseg.evaluation.trust import MODEL, QUALITY
from brainseg.networks.record import reference_digests, reference_runs
from brainseg.paths import build_folder, folder_atomically
from brainseg.provenance import code_digest, modules_of
from brainseg.publishing.execute import versions
from brainseg.publishing.marks import as_table
from brainseg.publishing.notebooks import StudyError
from brainseg.results import has_tables, read_table

SECTION = "## Masks of a volume"
BLOCK = re.compile(r"(```(python|bash)\n(.*?)```)(\n\n<!-- example: output -->)?", re.S)
PARTS = re.compile(r"<!-- example: (\w+) -->")
NOT_RUN = "*The project keeps no weights yet, so this was not run.*"


def fill_example(target: Path) -> None:
    """Run the example of the staged page ``teach/own_data.md``, and put what came out at its marks.

    Raises
    ------
    StudyError
        Where a block fails.
    """
    page = target / "teach" / "own_data.md"
    if not page.is_file():
        return
    text = page.read_text(encoding="utf-8")
    start = text.index(SECTION)
    end = text.index("\n## ", start)
    section = text[start:end]
    if reference_runs(MODEL, "patient", with_weights=True):
        blocks = [(language, lines) for _, language, lines, _ in BLOCK.findall(section)]
        done = _run(blocks)
        outputs = iter([(done / f"output-{place}.txt").read_text(encoding="utf-8") for place in range(len(blocks))])

        def with_output(found: re.Match) -> str:
            said = next(outputs).strip()
            return found[1] + (f"\n\n```text\n{said}\n```" if found[4] else "")

        section = BLOCK.sub(with_output, section)
        section = PARTS.sub(lambda found: WRITERS[found[1]](done / "masks", target), section)
    else:
        section = PARTS.sub(NOT_RUN, section)
    page.write_text(text[:start] + section + text[end:], encoding="utf-8")


def _run(blocks: list[tuple[str, str]]) -> Path:
    """The folder in which the blocks were run, one after the other.

    They run anew where blocks, networks, code or libraries changed, or the tables that say when to doubt.
    """
    rooms = [f"brainseg.{room}" for room in ("cohort", "evaluation", "images", "networks", "phantom")]
    files = [f"brainseg.{name}" for name in ("__main__", "data", "metrics", "paths", "results")]
    code = code_digest(*(module for room in rooms for module in modules_of(room)), *files)
    # The tables of `quality` say when a prediction is to be doubted.
    doubts = read_table(QUALITY, "patients").to_csv() if has_tables(QUALITY) else ""
    key = repr((blocks, sorted(reference_digests().items()), code, doubts, versions()))
    folder = build_folder() / "examples" / hashlib.sha256(key.encode()).hexdigest()[:12]
    if folder.is_dir():
        return folder
    environment = {**os.environ, "BRAINSEG_BUILD": str(build_folder()), "PYTHONIOENCODING": "utf-8"}
    environment["PYTHONPATH"] = str(Path(brainseg.__file__).parent.parent)
    with folder_atomically(folder) as part:
        for place, (language, lines) in enumerate(blocks):
            command = ["-c", lines] if language == "python" else lines.removeprefix("python ").split()
            done = subprocess.run(
                [sys.executable, *command], cwd=part, env=environment, capture_output=True, text=True, encoding="utf-8"
            )
            if done.returncode:
                raise StudyError(f"A block of book/teach/own_data.md fails:\n{lines}\n{done.stderr[-2000:]}")
            (part / f"output-{place}.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def _files(masks: Path, _: Path) -> str:
    """What was written, a line a file; of the slices' overlays the first and the last."""
    names = [path.relative_to(masks).as_posix() for path in sorted(masks.rglob("*")) if path.is_file()]
    slices = sorted((name for name in names if re.search(r"_slice_\d+_overlay\.png$", name)), key=len)
    others = [name for name in names if name not in slices]
    return "\n".join(["```text", *others, slices[0], "...", slices[-1], "```"])


def _patients(masks: Path, _: Path) -> str:
    row = pd.read_csv(masks / "patients.csv", keep_default_na=False).iloc[0]
    rows = [[f"`{name}`", f"{value:.2f}" if isinstance(value, float) else value] for name, value in row.items()]
    return as_table(["column", "value"], rows)


def _sheet(masks: Path, target: Path) -> str:
    (target / "images").mkdir(exist_ok=True)
    shutil.copyfile(next(masks.glob("*/*_contact.png")), target / "images" / "own-data-contact.png")
    return """```{figure} ../images/own-data-contact.png
:name: fig-own-data-contact
:width: 100%
:alt: Rows of slices of a simulated head, from the neck to the crown. What the networks call tumour is outlined.

The contact sheet of the example, a simulated patient.
```"""


WRITERS = {"files": _files, "patients": _patients, "sheet": _sheet}
"""A mark of the page -> what writes it, from the folder of the masks into the staged book."""
