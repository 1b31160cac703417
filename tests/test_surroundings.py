"""Where the study runs: what leaks in from the user's machine, and how an error of it reads."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from brainseg import networks
from brainseg.__main__ import main
from brainseg.cohort import index_cohort
from brainseg.paths import build_folder, project_root, provide_home


def python(code, **environment):
    """Run code in an interpreter of its own; variables that are None are taken out."""
    given = {**os.environ, "PYTHONPATH": str(project_root()), **environment}
    given = {name: value for name, value in given.items() if value is not None}
    return subprocess.run([sys.executable, *code], capture_output=True, text=True, env=given)


@pytest.mark.slow
def test_keras_json_of_the_user_changes_no_run(tmp_path):
    pytest.importorskip("keras")
    settings = {"floatx": "float16", "epsilon": 1e-3, "backend": "theano", "image_data_format": "channels_first"}
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    code = (
        "import brainseg, keras; print(keras.config.image_data_format(), keras.config.floatx(), keras.config.epsilon())"
    )
    done = python(["-c", code], HOME=str(tmp_path), KERAS_HOME=None)
    assert done.stdout.split() == ["channels_last", "float32", "1e-07"], done.stderr
    assert json.loads((tmp_path / ".keras" / "keras.json").read_text()) == settings


def test_the_folder_of_keras_is_moved_once(monkeypatch):
    code = "import os, brainseg, subprocess, sys; print(os.environ.get('KERAS_HOME'))"
    nested = f"import brainseg, subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    assert python(["-c", code], KERAS_HOME="/mine").stdout.strip() == "/mine/brainseg"
    assert python(["-c", nested], KERAS_HOME="/mine").stdout.strip() == "/mine/brainseg"


@pytest.mark.parametrize(("what", "value"), [("image_data_format", "channels_first"), ("floatx", "float16")])
def test_a_network_is_built_with_the_studys_settings_only(what, value):
    keras = pytest.importorskip("keras")
    from brainseg.networks.models import build_model

    before = getattr(keras.config, what)()
    getattr(keras.config, f"set_{what}")(value)
    try:
        with pytest.raises(ValueError, match=rf"{what} = '{value}'.*keras\.json"):
            build_model("unet", 32, filters=2)
    finally:
        getattr(keras.config, f"set_{what}")(before)


@pytest.mark.parametrize(
    ("backend", "missing", "said"),
    [
        ("theano", (), "KERAS_BACKEND is 'theano'. Set it to one of tensorflow, jax, torch"),
        ("jax", ("jax",), "KERAS_BACKEND asks for jax, and that package is missing. Install it: .*pip install jax"),
        (None, ("tensorflow",), "Keras computes with tensorflow, and that package is missing"),
        (None, ("keras",), "Keras is missing, which networks need. Install it"),
        ("tensorflow", (), None),
    ],
)
def test_a_missing_backend_is_named_with_the_way_out(monkeypatch, backend, missing, said):
    monkeypatch.setattr(networks, "find_spec", lambda name: None if name in missing else object())
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if backend:
        monkeypatch.setenv("KERAS_BACKEND", backend)
    if said is None:
        networks.require_keras()
        return
    with pytest.raises(ValueError, match=said):
        networks.require_keras()


@pytest.mark.parametrize("command", [["predict", "a", "b", "--run", "c"], ["notebook", "05"], ["reproduce"]])
def test_commands_that_need_a_network_say_so_at_once(monkeypatch, command):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert str(stopped.value).startswith("error: KERAS_BACKEND is 'theano'.")


# ---------------------------------------------------------------- homes and disks


@pytest.mark.parametrize("home", ["~", "/nowhere/at/all"])
def test_who_has_no_home_gets_one_in_the_build_folder(monkeypatch, home):
    monkeypatch.setenv("HOME", "as it was")  # so that it is restored
    monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~", home))
    provide_home()
    monkeypatch.undo()
    assert (build_folder() / "home").is_dir()


def test_that_home_does_not_make_the_build_folder_one_of_the_users_own(monkeypatch):
    monkeypatch.setenv("HOME", "/nowhere/at/all")
    provide_home()
    assert os.environ["HOME"] == str(build_folder() / "home")
    provide_home()  # as in the kernel and in other processes that this one starts
    assert os.environ["HOME"] == str(build_folder() / "home")


def test_a_home_that_is_there_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    provide_home()
    assert os.environ["HOME"] == str(tmp_path)


def test_a_build_folder_behind_links_in_a_circle_is_no_traceback(monkeypatch, tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "circle"))
    assert build_folder() == tmp_path / "circle"


def fails_with(monkeypatch, error):
    """What the command line says of an error that comes up in a command."""

    def fails(*_, **__):
        raise error

    monkeypatch.setattr("brainseg.publishing.make_student", fails)
    with pytest.raises(SystemExit) as stopped:
        main(["student"])
    return str(stopped.value)


def test_a_build_folder_that_is_a_file_is_named(tiny_cohort, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "file"))
    with pytest.raises(SystemExit, match=r"error: Not a directory: .*file.* A file stands where a folder should be"):
        main(["data", str(tiny_cohort)])


def test_a_build_folder_that_cannot_be_made_is_refused_before_any_slice_is_read(tiny_cohort, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "file"))
    monkeypatch.setattr("brainseg.cohort.index._read_all", lambda *_: pytest.fail("slices are read"))
    with pytest.raises(OSError, match="A file stands where a folder should be"):
        index_cohort(tiny_cohort)


def test_a_misspelt_variable_is_refused(monkeypatch):
    name = "BRAINSEG_BUILD".replace("UI", "IU")
    monkeypatch.setenv(name, "/elsewhere")
    with pytest.raises(SystemExit, match=f"^error: Nothing reads the variable {name}. Did you mean BRAINSEG_BUILD"):
        main(["student"])


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_disk_that_refuses_is_named_with_the_way_out(monkeypatch, number):
    said = fails_with(monkeypatch, OSError(number, os.strerror(number), "/checkout/_build"))
    assert said.startswith(f"error: {os.strerror(number)}: /checkout/_build. ") and "BRAINSEG_BUILD" in said


def test_an_error_that_nobody_foresaw_is_one_message_all_the_same(monkeypatch):
    said = fails_with(monkeypatch, RuntimeError("of a library"))
    assert said.startswith("error: RuntimeError: of a library. ") and "--traceback" in said


def test_a_missing_package_is_named_with_the_way_out(monkeypatch):
    said = fails_with(monkeypatch, ModuleNotFoundError("No module named 'jupytext'"))
    assert said.startswith("error: No module named 'jupytext'. Install what is missing: ")


def test_a_console_without_umlauts_loses_no_work(tiny_cohort, tmp_path):
    place = tmp_path / "größe"
    tiny_cohort.rename(place)
    done = python(["-m", "brainseg", "data", str(place)], PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 0, done.stderr
    assert f"in {place!s}".encode("ascii", "backslashreplace").decode() in done.stdout


def test_a_damaged_cache_is_made_anew(tiny_cohort):
    table = index_cohort(tiny_cohort, progress=False)
    for cache in (build_folder() / "cohorts").glob("index-*.json"):
        cache.write_bytes(cache.read_bytes()[:100])
    assert index_cohort(tiny_cohort, progress=False).equals(table)


# ---------------------------------------------------------------- data.csv


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.encode("utf-16"), "another encoding than UTF-8"),
        (lambda text: text.encode("utf-16-le"), "another encoding than UTF-8"),
        (lambda text: text.replace("50", "fünfzig").encode("latin-1"), "another encoding than UTF-8"),
        (lambda text: text.replace(",", ";").encode(), "parts its columns by semicolons. Save it with commas"),
        (lambda text: text.replace(",", "\t").encode(), "by tabulators"),
        (lambda text: b"", "is not a table|has no"),
        (lambda text: bytes(range(256)), "another encoding"),
        (lambda text: ("\ufeff" + text).encode(), None),
        (lambda text: text.replace("\n", "\r\n").encode(), None),
    ],
)
def test_a_table_from_a_spreadsheet(tiny_cohort, change, said):
    from brainseg.cohort import CohortError, read_patient_table

    path = Path(tiny_cohort) / "data.csv"
    path.write_bytes(change(path.read_text(encoding="utf-8")))
    if said is None:
        assert len(read_patient_table(tiny_cohort)) == 6
        return
    with pytest.raises(CohortError, match=said) as caught:
        read_patient_table(tiny_cohort)
    assert str(path) in str(caught.value)
