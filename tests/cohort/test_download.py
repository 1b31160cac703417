"""The download by kagglehub itself, from a server on this machine that fails as servers and networks do."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

kaggle_env = pytest.importorskip("kagglesdk.kaggle_env")
from kagglehub import clients

from brainseg.cohort import CohortError, index_cohort, kaggle

# kagglehub leaves the connection of an answer that it refuses to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

TINY = {"patients": 6, "slices": 30, "slices without tumour": 18, "slices with tumour": 12}


def packed(root, *, without="", also=None) -> bytes:
    """A cohort as an archive, as Kaggle holds it, without the files whose names end so."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(root.rglob("*.*")):
            if not (without and path.name.endswith(without)):
                archive.write(path, f"kaggle_3m/{path.relative_to(root)}")
        for name, text in (also or {}).items():
            archive.writestr(name, text)
    return content.getvalue()


class _Handler(BaseHTTPRequestHandler):
    """Asked for the data set, it leads to its archive; of that it sends what `server.faults` leaves."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        if self.server.status != 200:
            self.send_response(self.server.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            return
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/archive.zip")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        server = self.server
        first = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        server.sent_from.append(first)
        checksum = base64.b64encode(hashlib.md5(server.promised or server.archive).digest()).decode()
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(server.archive) - first))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("x-goog-hash", f"md5={checksum}")
        self.end_headers()
        rest = server.archive[first:]
        self.wfile.write(rest[: server.cut])
        if server.hangs:
            self.wfile.flush()
            server.released.wait(20)
        self.close_connection = True

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def server(tiny_cohort, tmp_path, monkeypatch):
    """A server that holds the tiny cohort, and a kagglehub that asks it and no other."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    running.archive, running.promised, running.cut, running.status = packed(tiny_cohort), None, None, 200
    running.asked, running.sent_from, running.hangs, running.released = [], [], False, threading.Event()
    monkeypatch.setitem(
        kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, f"http://127.0.0.1:{running.server_port}"
    )
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "nobody"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(kaggle, "PUBLISHED", TINY)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.released.set()
    running.shutdown()
    thread.join()
    running.server_close()


def refused() -> str:
    with pytest.raises(CohortError) as error:
        kaggle.download_kaggle()
    assert kaggle.PAGE in str(error.value) or "download again" in str(error.value)
    return str(error.value)


def sound() -> bool:
    return kaggle.count(index_cohort(kaggle.download_kaggle(), progress=False)) == TINY


def test_it_is_downloaded_once(server):
    assert sound() and sound()
    assert len(server.asked) == 1 and server.sent_from == [0]


def test_a_cut_download_goes_on_where_it_stopped(server):
    server.cut = len(server.archive) // 2
    refused()
    server.cut = None
    assert sound()
    assert 0 < server.sent_from[-1] <= len(server.archive) // 2  # kagglehub writes whole mebibytes


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(server, monkeypatch):
    monkeypatch.setattr(clients, "DEFAULT_READ_TIMEOUT", 0.3)
    server.cut = len(server.archive) // 3
    refused()
    server.hangs = True
    refused()  # the second call goes on by a request of kagglehub's own, which has a timeout
    server.hangs, server.cut = False, None
    assert sound()


def test_a_wrong_checksum_is_refused_and_the_next_try_is_sound(server):
    server.promised = b"something else"
    assert "MD5" in refused()
    server.promised = None
    assert sound() and server.sent_from == [0, 0]


def test_a_page_in_the_place_of_the_archive_is_refused(server):
    whole, server.archive = server.archive, b"<!DOCTYPE html><p>Sign in, please"
    assert "archive" in refused()
    server.archive = whole
    refused()  # kagglehub goes on behind the page, and throws it away when the checksum differs
    assert sound()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refusal_of_the_server_keeps_its_number(server, status):
    server.status = status
    assert str(status) in refused()
    server.status = 200
    assert sound()


def test_nobody_at_home_is_told_with_the_ways_out(server, monkeypatch):
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, "http://127.0.0.1:9")
    assert "cannot be reached" in refused()


@pytest.mark.parametrize("without", ["_3_mask.tif", "data.csv"])
def test_an_archive_that_lacks_files_is_refused(server, tiny_cohort, without):
    server.archive = packed(tiny_cohort, without=without)
    assert "damaged" in refused()


def test_an_archive_unpacks_inside_its_folder(server, tiny_cohort, tmp_path):
    server.archive = packed(tiny_cohort, also={"../../../../../evil.txt": "out", "/evil.txt": "out"})
    assert sound()
    outside = [path for path in tmp_path.rglob("evil.txt") if not path.is_relative_to(tmp_path / "cache" / "datasets")]
    assert outside == []
