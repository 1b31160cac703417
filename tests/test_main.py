"""The command line: what it answers at once, what it removes, and how an error reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from brainseg.paths import project_root


@pytest.mark.parametrize("everything", [False, True])
def test_clean_removes_what_the_project_made_and_nothing_else(tmp_path, monkeypatch, everything):
    from brainseg.__main__ import main

    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    book, data = (
        {"executed", "src", "html", "site", "student", "examples"},
        {"cohorts", "prepared", "crops", "runs", "arrays"},
    )
    for name in book | data | {"letters"}:
        (tmp_path / "build" / name / "below").mkdir(parents=True)
    for name in ("book.log", "diary.txt"):
        (tmp_path / "build" / name).write_text("text")
    main(["clean", *(["--all"] if everything else [])])
    left = {path.name for path in (tmp_path / "build").iterdir()}
    assert left == {"letters", "diary.txt"} | (set() if everything else data)


def test_the_home_folder_is_no_build_folder(tmp_path, monkeypatch, capsys):
    from brainseg.__main__ import main

    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me" / "src").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "me"):
        monkeypatch.setenv("BRAINSEG_BUILD", str(folder))
        with pytest.raises(SystemExit, match="error: BRAINSEG_BUILD is"):
            main(["clean", "--all"])
    assert (tmp_path / "me" / "src").is_dir()


def test_help_answers_without_importing_the_study():
    code = "import sys, runpy\nsys.argv = ['brainseg', '--help']\n"
    code += "try: runpy.run_module('brainseg', run_name='__main__')\nexcept SystemExit: pass\n"
    code += "assert not {'numpy', 'pandas', 'papermill', 'tensorflow'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in ("data", "book", "notebook", "pair", "clean", "test"))


@pytest.mark.parametrize("command", ["experiment", "bundle"])
def test_the_help_names_every_experiment(command, capsys, monkeypatch):
    from brainseg.__main__ import main
    from brainseg.experiments import EXPERIMENTS, KEPT

    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"one of {', '.join([*EXPERIMENTS, *KEPT])};" in capsys.readouterr().out


def test_wrong_input_of_predict_is_refused_without_keras(tmp_path):
    (tmp_path / "empty").mkdir()
    code = "import sys\nfrom brainseg.evaluation.folder import predict_folder\n"
    code += (
        f"try: predict_folder({str(tmp_path / 'empty')!r}, {str(tmp_path / 'out')!r}, {str(tmp_path / 'empty')!r})\n"
    )
    code += "except ValueError as error: print(error)\nassert not {'keras', 'tensorflow'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "holds no finished run" in done.stdout, done.stderr


@pytest.mark.parametrize("command", [["predict", "nowhere", "out"], ["unbundle", "nowhere"]])
def test_a_wrong_folder_is_refused_without_keras(command, tmp_path):
    code = (
        f"import sys\nfrom brainseg.__main__ import main\ntry: main({command})\nexcept SystemExit as end: print(end)\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0 and "error: " in done.stdout and "nowhere" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["book", "--data", ""],
        ["notebook", "01", "--data="],
        ["notebook", "01", "--profile", " "],
        ["student", ""],
        ["pair", "--take", ""],
        ["predict", "", "out"],
    ],
)
def test_an_empty_argument_is_no_default(words, capsys, monkeypatch):
    from brainseg import publishing
    from brainseg.__main__ import main

    for name in ("make_book", "make_notebook", "make_student", "pair"):
        monkeypatch.setattr(publishing, name, lambda *_, **__: pytest.fail("it goes on"))
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "an argument is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["pair", "--check", "--take", "01_explore"], ["experiment", "claims", "--workers", "2", "--scheduler", "a:1"]],
)
def test_two_options_that_exclude_each_other_are_refused(words, capsys):
    from brainseg.__main__ import main

    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_phantom_of_more_patients_than_names_is_refused_at_once(tmp_path):
    from brainseg.__main__ import main

    with pytest.raises(SystemExit, match="at most 9999 patients"):
        main(["phantom", str(tmp_path / "cohort"), "--patients", "10000"])


def test_the_commands_do_not_wait_for_keras():
    code = "import sys, brainseg.publishing\nassert not {'keras', 'tensorflow'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_misspelt_name_is_refused_before_any_patient_is_drawn(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(project_root()), "BRAINSEG_BUILD": str(tmp_path)}
    command = [sys.executable, "-m", "brainseg", "notebook", "6_unet"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and done.stderr.startswith("error: There is no notebook '6_unet'. There are: ")
    assert done.stderr.count("\n") == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["phantom", "prepare", "predict ~/in", "bundle claims", "export-onnx", "student"])
def test_the_home_folder_may_be_written_as_a_sign(words):
    """A shell leaves it as it stands in quotes; a folder of that name would be made here, and searched for there."""
    from brainseg.__main__ import _commands

    arguments = _commands().parse_args([*words.split(), "~/mine"])
    assert Path.home() / "mine" in vars(arguments).values() and "~" not in str(vars(arguments))


def test_an_error_is_one_message(capsys):
    from brainseg.__main__ import main

    with pytest.raises(SystemExit) as stopped:
        main(["notebook", "no_such_notebook", "-p", "epochs"])
    assert str(stopped.value) == "error: -p takes NAME=VALUE, as in -p epochs=10, and not 'epochs'."
    with pytest.raises(SystemExit, match=r"^error: -p folds=\[0, cannot be read: .*A list is written as in") as stopped:
        main(["experiment", "claims", "-p", "folds=[0,"])
    assert "\n" not in str(stopped.value)
