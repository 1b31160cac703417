"""The page "Try the network": the network that it runs, as files beside the page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from brainseg.cohort.examinations import ROLES
from brainseg.networks.record import RunRecord, finished_runs, reference_runs
from brainseg.publishing.onnx_export import description, export_onnx
from brainseg.publishing.runtime import FILES, onnx_runtime

MARK = "<!-- try -->"  # in book/try.md, where the network goes
MODEL = "unet"  # the smallest of the two that see well, and the one whose weights are kept in all folds
PIECE = 2**20  # characters in a script: the bar moves on with each of them
SCRIPTS = ("network", "segment", "files", "try")


def find_network(page: dict, shown: list[str]) -> RunRecord | None:
    """The run whose network the page carries: the one that the chapter of the shown patients predicts with.

    Parameters
    ----------
    page : dict
        The provenance of that chapter, from :meth:`brainseg.publishing.execute.Edition.record`.
    shown : list of str
        The patients that the book shows. A network that has met one of them is not taken.

    Returns
    -------
    RunRecord or None
        None where no such run is at hand.
    """
    for run in [*reference_runs(MODEL, with_weights=True), *finished_runs()]:
        if run.name == page["runs"].get(MODEL) and not run.has_met() & set(shown):
            return run
    return None


def write_network(record: RunRecord, folder: Path) -> None:
    """Write all that the page loads, as scripts: a page opened from a folder may read no other file.

    ``network.js`` describes the network, and brings the patterns by which the package tells sequences. The rest is
    loaded on demand: pieces of the runtime and of the network, packed by gzip, in base64. A piece is named after its
    content, so that no browser mixes editions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runtime = onnx_runtime()
    with tempfile.TemporaryDirectory() as place:
        network = export_onnx(record, Path(place) / "network.onnx").read_bytes()
    contents = [(runtime / name).read_bytes() for name in FILES]
    parts, size = [], 0
    for asset, content in zip(("runtime", "module", "wasm", "network"), [*contents, network], strict=True):
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        for start in range(0, len(packed), PIECE):
            script = f"brainsegTry.take({json.dumps(asset)}, {json.dumps(packed[start : start + PIECE])});\n"
            parts.append(f"{hashlib.sha256(script.encode()).hexdigest()[:12]}.js")
            (folder / parts[-1]).write_text(script, encoding="utf-8")
        size += len(packed)
    shutil.copyfile(runtime / "LICENSE.txt", folder / "onnxruntime-web.LICENSE.txt")
    said = {
        "network": description(record) | {"met": sorted(record.has_met())},
        "roles": list(ROLES.items()),  # in their order: a script would put the numbers of an object first
        "parts": parts,
        "bytes": size,
    }
    (folder / "network.js").write_text(f"window.brainsegTry = {json.dumps(said)};\n", encoding="utf-8")


def network_page(text: str, carried: bool, banner: str) -> str:
    """The page in MyST Markdown: the banner below its title, the place and its scripts at its mark.

    Where no network is carried, because none is at hand or nobody could bring the runtime, the page says so.
    """
    title, _, rest = text.partition("\n")
    if not carried:
        place, scripts = (
            "This edition carries no network: none, or nothing to run it, was at hand where it was made.",
            "",
        )
    else:
        place = "The network needs JavaScript."
        names = ["viewer/patients", *(f"try/{name}" for name in SCRIPTS)]
        scripts = "".join(f'<script defer src="{name}.js"></script>' for name in names)
    return f"{title}\n\n{banner}\n{rest}".replace(
        MARK, f'```{{raw}} html\n<div id="try"><p>{place}</p></div>\n{scripts}\n```'
    )
