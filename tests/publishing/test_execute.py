"""The study on two tiny notebooks: parameters, editions, provenance, crashes, and the book built from them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from helpers import write_cohort

from brainseg.paths import project_root
from brainseg.publishing import StudyError, execute, make_book, make_notebook, make_readme, pair
from brainseg.publishing.notebooks import choose_parameters, parameters_of, read_profile, read_source, unpaired
from brainseg.publishing.stage import configuration, repository_address

FIRST = """# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # First page
#
# With {numref}`fig-first-line` and $a^2$.

# %% tags=["parameters"]
data = "phantom"
seed = 0
epochs = 5

# %%
import sys

from tqdm import tqdm

total = sum(tqdm(range(epochs)))
print("interpreter", sys.executable)
print("cohort", data)

# %% mystnb={"figure": {"name": "fig-first-line", "caption": "A line."}, "image": {"alt": "a line"}} tags=["hide-input"]
import matplotlib.pyplot as plt

figure, axis = plt.subplots()
axis.plot([0, total])
figure;

# %%
from myst_nb import glue

glue("results", {"model": ["tiny"], "epochs": [epochs], "Dice": [float("nan")]}, display=False)
"""
SECOND = """# %% [markdown]
# # Second page

# %% tags=["parameters"]
seed = 0

# %%
1 / (seed - 3)

# %%
if seed == 4:
    import os

    os._exit(1)
"""
PLAIN = FIRST.partition("\n# %% mystnb")[0]
"""The first page without its figure, whose libraries take longest to load."""
RECORD = {
    "cohort": None,
    "parameters": {},
    "runs": {},
    "executed": "2020-01-01",
    "seconds": 1.0,
    "profile": "smoke",
    "processor": "a machine",
}
TOC = (
    "format: jb-book\nroot: intro\nchapters:\n- file: notebooks/01_first\n- file: notebooks/02_second\n- file: status\n"
)


@pytest.fixture
def root(tmp_path, tiny_cohort, monkeypatch) -> Path:
    """A study of two pages, the first of them on the tiny cohort, with a build folder of its own."""
    folder = tmp_path / "study"
    (folder / "notebooks" / "profiles").mkdir(parents=True)
    (folder / "book" / "images").mkdir(parents=True)
    shutil.copy(project_root() / "book" / "images" / "favicon.svg", folder / "book" / "images")
    (folder / "_config.yml").write_text((project_root() / "_config.yml").read_text())
    (folder / "book" / "_toc.yml").write_text(TOC)
    (folder / "book" / "intro.md").write_text("# Welcome\n\nA book.\n")
    (folder / "book" / "references.bib").write_text("")
    (folder / "notebooks" / "profiles" / "smoke.yml").write_text(f"epochs: 4\ndata: {tiny_cohort}\n")
    (folder / "notebooks" / "01_first.py").write_text(FIRST)
    (folder / "notebooks" / "02_second.py").write_text(SECOND)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    return folder


@pytest.fixture
def without_kernels(monkeypatch):
    """Call it, and from then on pages are written as they are: for what is told of a page before it is executed."""

    def written(notebook, page, **_) -> None:
        nbformat.write(notebook, page)

    return lambda: monkeypatch.setattr(execute.papermill, "execute_notebook", written)


def outputs(page: Path) -> str:
    return json.dumps([cell.get("outputs", []) for cell in nbformat.read(page, as_version=4).cells])


# ---------------------------------------------------------------- sources and parameters


def test_pairs_are_written_without_outputs_and_compared_by_content(root):
    folder = root / "notebooks"
    assert [path.name for path in pair(folder)] == ["01_first.ipynb", "02_second.ipynb"]
    assert pair(folder) == [] and unpaired(folder) == []
    paired = nbformat.read(folder / "02_second.ipynb", as_version=4)
    nbformat.validate(paired)
    paired.cells[-1].execution_count = 1
    paired.cells[0].source = "# Another title"
    nbformat.write(paired, folder / "02_second.ipynb")
    (folder / "01_first.ipynb").rename(folder / "07_gone.ipynb")
    problems = " ".join(unpaired(folder))
    for words in (
        "01_first.ipynb is missing",
        "02_second.ipynb differs",
        "02_second.ipynb holds outputs",
        "07_gone.py",
    ):
        assert words in problems


def test_parameters_are_read_as_values_and_must_be_plain(root):
    source = read_source(root / "notebooks" / "02_second.py")
    assert parameters_of(source, "02_second") == {"seed": 0}
    source.cells[1].source = "seed = 0\nepochs = 2 * seed"
    with pytest.raises(StudyError, match=r"02_second.*epochs = 2 \* seed"):
        parameters_of(source, "02_second")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<<<<<<< HEAD\n" + SECOND.encode(), "line 1, is no Python"),
        (SECOND.replace("seed = 0", "seed = (").encode(), "line 5, is no Python"),
        (SECOND.encode("utf-16"), "is no text in UTF-8"),
        (b"", "holds no cell"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(root, content, said):
    path = root / "notebooks" / "02_second.py"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=f"{re.escape(str(path))}.*{said}"):
        pair(root / "notebooks")


@pytest.mark.parametrize(
    "content", ["{}", '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}', "<<<"]
)
def test_a_pair_that_is_no_notebook_is_named(root, content):
    paired = root / "notebooks" / "02_second.ipynb"
    paired.write_text(content)
    for read in (pair, unpaired):
        with pytest.raises(StudyError, match=f"{re.escape(str(paired))} is no notebook"):
            read(root / "notebooks")


@pytest.mark.parametrize(
    "content",
    [
        b"a: [1,",
        b"- 1",
        b"text",
        b"\xff\xfe",
        b"notebooks: [02_second]",
        b"notebooks: {02_second: 3}",
        b"trains: nohting",
    ],
)
def test_a_profile_that_cannot_be_read_is_named(root, content):
    path = root / "notebooks" / "profiles" / "smoke.yml"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=rf"{re.escape(str(path))}(: trains takes one word| is no (YAML|profile))"):
        read_profile(root / "notebooks", "smoke")


def test_a_value_reaches_the_notebooks_that_declare_its_name():
    declared = {"a": {"seed": 0, "rate": 0.5}, "b": {"seed": 0, "epochs": 5}}
    profile = {"epochs": 2, "seed": 1, "notebooks": {"b": {"seed": 2}}}
    chosen = choose_parameters(declared, profile, {"rate": 1})
    assert chosen == {"a": {"seed": 1, "rate": 1.0}, "b": {"seed": 2, "epochs": 2}}


@pytest.mark.parametrize(
    ("profile", "overrides", "message"),
    [
        ({}, {"epoch": 3}, r"'epoch' \(did you mean 'epochs'\?\). Known: epochs, seed"),
        ({"sed": 3}, {}, "'sed'"),
        ({"notebooks": {"c": {}}}, {}, "'c'.*Known: a, b"),
        ({"notebooks": {"a": {"epochs": 1}}}, {}, "of a: 'epochs'"),
        ({}, {"epochs": "many"}, "epochs takes a whole number, not 'many'"),
        ({}, {"epochs": True}, "epochs takes a whole number, not True"),
        ({}, {"seed": -1}, "seed takes a whole number from 0 to 4294967295, not -1"),
        ({}, {"seed": 2**32}, "seed takes a whole number from 0 to 4294967295, not 4294967296"),
    ],
)
def test_wrong_parameters_are_refused(profile, overrides, message):
    with pytest.raises(StudyError, match=message):
        choose_parameters({"a": {"seed": 0}, "b": {"seed": 0, "epochs": 5}}, profile, overrides)


def test_nothing_runs_on_a_wrong_name(root, tmp_path):
    for wrong in (
        dict(overrides={"epoch": 1}),
        dict(profile="quik"),
        dict(name="03_third"),
        dict(name="02", overrides={"epochs": 1}),
        dict(overrides={"data": str(tmp_path / "nowhere")}),
    ):
        with pytest.raises(ValueError, match=r"epoch|quik.*smoke|03_third.*01_first|nowhere"):
            make_notebook(**{"name": "01_first", "profile": "smoke", "root": root, **wrong})
    assert not list((tmp_path / "build").rglob("*.ipynb"))


def test_a_page_without_a_cohort_says_so(root, tiny_cohort):
    with pytest.raises(StudyError, match="02_second looks at no cohort: leave --data"):
        make_notebook("02", profile="smoke", overrides={"data": str(tiny_cohort)}, root=root)


# ---------------------------------------------------------------- editions


@pytest.mark.slow
def test_an_executed_page_carries_its_provenance_and_is_kept_until_something_changes(root, tmp_path, without_kernels):
    def run(**overrides):
        page = make_notebook("01", profile="smoke", overrides=overrides, root=root)
        return page, page.stat().st_mtime_ns

    source = root / "notebooks" / "01_first.py"
    source.write_text(PLAIN)
    page, first = run()
    record = json.loads(page.with_suffix(".json").read_text())
    assert record == nbformat.read(page, as_version=4).metadata["brainseg"]
    assert record["parameters"]["epochs"] == 4 and record["parameters"]["seed"] == 0
    assert record["cohort"]["patients"] == 6 and not record["cohort"]["synthetic"]
    assert record["seconds"] > 0 and record["peak_memory_mb"] > 20 and record["versions"]["keras"]
    assert str(tmp_path) not in json.dumps(record)
    assert sys.executable in outputs(page) and "%|" not in outputs(page)

    # From here on the question is which page is executed anew, and not what comes of it.
    without_kernels()
    assert run() == (page, first)
    source.write_text(source.read_text().replace("a^2", "b^2"))
    assert run()[1] != first
    second = run()[1]
    (root / "results" / "leakage").mkdir(parents=True)
    (root / "results" / "leakage" / "patients.csv").write_text("a kept table that a chapter may read")
    third = run()[1]
    assert third != second
    assert run(seed=1)[1] != third

    other = write_cohort(tmp_path / "other")
    elsewhere, _ = run(data=str(other))
    assert elsewhere.parent != page.parent
    before = run(data=str(other))[1]
    mask = next(other.rglob("*_3_mask.tif"))
    mask.write_bytes(next(other.rglob("*_1_mask.tif")).read_bytes())
    changed = run(data=str(other))[1]
    assert changed != before
    patient_table = other / "data.csv"
    patient_table.write_text(patient_table.read_text().rstrip("\n").rpartition("\n")[0] + "\n")
    assert run(data=str(other))[1] != changed


@pytest.mark.slow
def test_a_relative_folder_means_the_same_inside_the_notebook(root, tmp_path, tiny_cohort, monkeypatch):
    monkeypatch.chdir(tiny_cohort.parent)
    (root / "notebooks" / "01_first.py").write_text(PLAIN)
    page = make_notebook("01", profile="smoke", overrides={"data": tiny_cohort.name}, root=root)
    assert f"cohort {tiny_cohort}" in outputs(page)


@pytest.mark.slow
def test_what_the_user_starts_interpreters_with_changes_no_page(root, tmp_path, monkeypatch):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    for path in (startup / "mine.py", tmp_path / "mine.py"):
        path.write_text("epochs = 7\nprint('of the user')\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "mine.py"))
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    source = '# %%\nimport warnings\n\nwarnings.warn("no error")\nprint(globals().get("epochs"), __debug__)\n'
    (root / "notebooks" / "02_second.py").write_text(source)
    assert "None True" in outputs(make_notebook("02", profile="smoke", root=root))


@pytest.mark.slow
def test_a_crash_leaves_the_failed_notebook_and_names_it(root):
    good = make_notebook("02", profile="smoke", root=root)
    with pytest.raises(StudyError, match=r"02_second failed.*ZeroDivisionError.*\n.*02_second\.failed\.ipynb"):
        make_notebook("02", profile="smoke", overrides={"seed": 3}, root=root)
    failed = good.with_name("02_second.failed.ipynb")
    assert "ZeroDivisionError" in outputs(failed)
    assert not good.exists() and not good.with_suffix(".json").exists()
    with pytest.raises(StudyError, match=r"02_second failed: its kernel died"):
        make_notebook("02", profile="smoke", overrides={"seed": 4}, root=root)
    assert failed.exists() and not good.exists()
    make_notebook("02", profile="smoke", root=root)
    assert good.exists() and not failed.exists()


def test_two_chapters_run_at_a_time_and_none_beside_one_that_trains_its_network():
    networks = {"1": set(), "5": {"fcn32"}, "6": {"unet"}, "8": {"fcn32", "unet"}, "9": {"fcn32"}, "10": set()}
    beside, running, lock = {}, set(), threading.Lock()
    together = threading.Barrier(2, timeout=20)

    def chapter(name):
        with lock:
            running.add(name)
            beside[name] = set(running)
        if name in ("5", "6"):
            together.wait()
        time.sleep(0.05)
        with lock:
            running.remove(name)

    execute._side_by_side(chapter, networks, threading.Event())
    order = list(beside)
    assert sorted(order, key=int) == list(networks)
    assert all(len(those) <= 2 for those in beside.values())
    assert "5" in beside["6"] | beside["1"] and "10" not in beside["1"]
    assert all(networks[name].isdisjoint(networks[other]) for name in order for other in beside[name] - {name})
    assert order.index("8") > max(order.index("5"), order.index("6")) and order.index("9") > order.index("8")


def test_a_chapter_that_fails_ends_the_edition_and_the_one_beside_it_is_kept():
    finished, together = [], threading.Barrier(2, timeout=20)

    def chapter(name):
        together.wait()
        if name == "1":
            raise StudyError("1 failed")
        time.sleep(0.3)
        finished.append(name)

    with pytest.raises(StudyError, match="1 failed"):
        execute._side_by_side(chapter, {name: set() for name in "1234"}, threading.Event())
    assert finished == ["2"]


@pytest.mark.slow
def test_an_interruption_ends_the_kernels_and_leaves_no_page(root, tmp_path):
    source = root / "notebooks" / "01_first.py"
    source.write_text(source.read_text().replace("import sys\n", "import sys, time\n\ntime.sleep(600)\n", 1))
    code = f"""
import signal
from pathlib import Path
from brainseg.publishing import make_notebook
signal.signal(signal.SIGINT, signal.default_int_handler)
make_notebook("01", profile="smoke", root=Path({str(root)!r}))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def is_kernel(process):
        with contextlib.suppress(psutil.Error):  # one that is done by now, such as git
            return "ipykernel_launcher" in process.cmdline()

    study = psutil.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (kernels := [*filter(is_kernel, study.children(recursive=True))]) and time.monotonic() < deadline:
        time.sleep(0.1)
    study.send_signal(signal.SIGINT)
    try:
        said = study.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        for process in (*kernels, study):
            process.kill()
        pytest.fail(f"it did not end, and said: {study.communicate()[1]}")
    assert kernels and "KeyboardInterrupt" in said
    assert psutil.wait_procs(kernels, timeout=20)[1] == []
    assert not list((tmp_path / "build").rglob("*.ipynb"))


# ---------------------------------------------------------------- the book


@pytest.mark.slow
def test_the_book(root, tmp_path):
    page, results = make_book("smoke", root=root)
    assert page == tmp_path / "build" / "site" / "index.html" and page.is_file()
    assert results.split() == ["model", "epochs", "Dice", "tiny", "4", "None"]
    site = page.parent
    first = (site / "notebooks" / "01_first.html").read_text()
    assert "Real MRI slices" in first and "Cancer Imaging Archive" not in first  # its patients are not of TCGA
    assert 'alt="a line"' in first and "Fig. 1" in first and "epochs = 4" in re.sub("<[^>]*>", "", first)
    assert "profile smoke, on " in first and "../status.html" in first
    assert "Synthetic" not in (site / "notebooks" / "02_second.html").read_text()
    status = (site / "status.html").read_text()
    assert "6 patients" in status and "First page" in status and "keras" in status
    for file in [*site.rglob("*.html"), *site.rglob("*.ipynb")]:
        text = file.read_text()
        assert str(tmp_path) not in text, f"{file.name} shows where this machine keeps its files"
        assert not re.search(r'(?:src|href)="(?:https?:)?//[^"]*\.(?:js|css|woff2?)', text), (
            f"{file.name} loads from outside"
        )
    assert (site / "mathjax" / "tex-mml-svg.js").is_file() and "mathjax/tex-mml-svg.js" in first

    manifest = json.loads((site / "manifest.json").read_text())
    there = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()} - {"manifest.json"}
    assert set(manifest["files"]) == there
    assert manifest["files"]["index.html"] == hashlib.sha256(page.read_bytes()).hexdigest()
    assert manifest["cohort"]["patients"] == 6 and manifest["pages"]["01_first"]["parameters"]["epochs"] == 4
    assert str(tmp_path) not in json.dumps(manifest)

    # A page that the table of contents names and nobody wrote stops the build; the site stays as it was.
    (root / "book" / "_toc.yml").write_text(TOC + "- file: missing\n")
    before = page.stat().st_mtime_ns
    with pytest.raises(StudyError, match=r"missing(?s:.*)book\.log"):
        make_book("smoke", root=root)
    assert page.stat().st_mtime_ns == before


def test_the_banners_say_what_a_page_was_executed_on(root, tmp_path, without_kernels):
    from brainseg.publishing.stage import published

    without_kernels()
    for names, words in ((["PHANTOM_AA_0001_20000101"], "Synthetic data"), (["TCGA_AA_0001_20000101"], "CC BY-NC-SA")):
        cohort = write_cohort(tmp_path / names[0], patients=names)
        page = make_notebook("01", profile="smoke", overrides={"data": str(cohort)}, root=root)
        text = published(nbformat.read(page, as_version=4), root).cells[0].source
        assert text.startswith("# First page\n\n:::{admonition}") and words in text and "ot for clinical use" in text
        assert "1 patients, 5 slices, 2 of them with tumour" in text


def test_a_page_names_the_runs_of_its_networks(tiny_cohort_once, monkeypatch):
    from brainseg.chapters import study_runs

    named = []
    monkeypatch.setattr(execute, "_execute", lambda *given: named.append(given[3]["runs"]))
    for fold in (0, 1):
        execute.execute_edition(project_root(), "smoke", {"data": str(tiny_cohort_once), "fold": fold}, only="06")
        parameters = dict(image_size=64, contrast="none", crop="patient", split_by="patient", fold=fold, seed=0)
        parameters |= dict(data=tiny_cohort_once, filters=4, epochs=1, slices_per_epoch=32)
        assert named[-1] == study_runs(parameters)
    assert not set(named[0].values()) & set(named[1].values())
    execute.execute_edition(project_root(), "smoke", {"data": str(tiny_cohort_once)}, only="04")
    assert named[2:] == [{}]


def test_the_banner_says_whom_the_networks_know():
    from brainseg.networks.record import reference_runs
    from brainseg.publishing.notebooks import read_profile
    from brainseg.publishing.status import banner

    values = read_profile(project_root() / "notebooks", "reference") | {"data": "kaggle"}
    cohort = dict(patients=88, slices=9, tumour_slices=5, synthetic=False, tcga=True, fingerprint="x")
    known = reference_runs("unet", "patient", values["fold"], with_weights=True)[0]
    page = {"cohort": cohort, "parameters": values, "runs": {"unet": known.name}}
    said = banner(page)
    assert not known.patients["validation"] and "best epoch" not in said
    trained = len(known.patients["train"])
    never = 88 - trained
    assert f"trained on {trained} of these patients. They have never met the other {never}. " in said
    for other in ({"runs": {}}, {"runs": {"unet": "unet-of-nobody"}}, {"parameters": values | {"split_by": "slice"}}):
        assert "never met" not in banner(page | other)


def test_the_answer_moves_up_to_the_question():
    from brainseg.publishing.stage import KEPT, published

    said = nbformat.v4.new_output("execute_result", {"text/markdown": "**Answer.** Yes."}, execution_count=1)
    first = nbformat.v4.new_markdown_cell("# Title\n\n**Question.** Is it?\n\nThe rest.", metadata={"tags": [KEPT]})
    last = nbformat.v4.new_code_cell("Markdown(found.answer())", outputs=[said], metadata={"tags": ["answer"]})
    cells = [first, nbformat.v4.new_code_cell("found = 1"), last, nbformat.v4.new_markdown_cell("## Take-away")]
    record = RECORD | {"cohort": {"patients": 2, "slices": 9, "tumour_slices": 4, "synthetic": True, "tcga": False}}
    page = published(nbformat.v4.new_notebook(cells=cells, metadata={"brainseg": record}), Path("/study"))
    assert [cell.source for cell in page.cells[1:]] == ["found = 1", "## Take-away"]
    text = page.cells[0].source
    opening = "# Title\n\n:::{div} opening\n**Question.** Is it?\n\n**Answer.** Yes.\n:::\n\n:::{admonition} "
    assert text.startswith(opening) and text.endswith("\n\nThe rest.")
    assert "Results on real MRI slices" in text and "Synthetic data" not in text  # its results are kept ones


def test_places_are_hidden_in_texts_and_nowhere_else(tmp_path, monkeypatch):
    from brainseg.publishing.stage import published

    monkeypatch.setenv("HOME", "/ho")
    monkeypatch.setenv("BRAINSEG_BUILD", "/ho/study/_build")
    picture = "iVBORw0KGgo/ho/A+/ho/study"
    outputs_ = [
        nbformat.v4.new_output("stream", text="in /ho/study/_build/runs, /ho/study and file:///ho/x.csv; '/ho'.\n"),
        nbformat.v4.new_output("stream", text="/hot/ho /home/ho /ho2 /ho-old /ho.bak ~/ho /ho/studying"),
        nbformat.v4.new_output(
            "display_data",
            {
                "image/png": picture,
                "application/papermill.record/image/png": picture,
                "text/html": f'<a href="/ho/study/a">a</a><img src="data:image/png;base64,{picture}">',
                "application/json": {"root": ["/ho/study"]},
            },
            metadata={"from": "/ho/study/a.py"},
        ),
    ]
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("read('/ho/y')", outputs=outputs_)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"brainseg": RECORD})
    shown = published(notebook, Path("/ho/study")).cells[1]
    assert shown.source == "read('~/y')"
    assert shown.outputs[0].text == "in _build/runs, . and file://~/x.csv; '~'.\n"
    assert shown.outputs[1].text == "/hot/ho /home/ho /ho2 /ho-old /ho.bak ~/ho ~/studying"
    data = shown.outputs[2].data
    assert data["image/png"] == data["application/papermill.record/image/png"] == picture
    assert data["text/html"] == f'<a href="./a">a</a><img src="data:image/png;base64,{picture}">'
    assert data["application/json"] == {"root": ["."]}
    assert shown.outputs[2].metadata["from"] == "./a.py"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("git@github.com:someone/study.git", "https://github.com/someone/study"),
        ("https://name:token@github.com/someone/study/", "https://github.com/someone/study"),
        ("ssh://git@gitlab.com/someone/study.git", "https://gitlab.com/someone/study"),
        ("/srv/git/study", None),
        ("", None),
    ],
)
def test_links_take_the_repositorys_address_and_are_left_out_without_one(address, shown, monkeypatch):
    monkeypatch.setenv("BRAINSEG_REPOSITORY", address)
    assert repository_address(project_root()) == shown
    config = configuration(project_root(), shown)
    assert config.get("repository", {}).get("url") == shown
    assert ("launch_buttons" in config) == (shown is not None and "github.com" in shown)


def test_the_address_comes_from_git(tmp_path, monkeypatch):
    monkeypatch.delenv("BRAINSEG_REPOSITORY", raising=False)
    assert repository_address(tmp_path) is None
    for command in (["init", "-q"], ["remote", "add", "origin", "https://github.com/someone/study.git"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert repository_address(tmp_path) == "https://github.com/someone/study"


def test_the_sitemap_names_every_page_where_the_address_is_known(tmp_path, monkeypatch):
    from brainseg.publishing.stage import finish, site_address

    for name in ("intro.html", "notebooks/01_first.html", "search.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.delenv("BRAINSEG_SITE", raising=False)
    finish(tmp_path, site_address())
    assert (
        not (tmp_path / "sitemap.xml").exists()
        and "ogp_site_url" not in configuration(project_root(), None)["sphinx"]["config"]
    )
    monkeypatch.setenv("BRAINSEG_SITE", "https://someone.example/study")
    finish(tmp_path, site_address())
    found = re.findall("<loc>(.*?)</loc>", (tmp_path / "sitemap.xml").read_text())
    assert found == [f"https://someone.example/study/{name}" for name in ("intro.html", "notebooks/01_first.html")]
    assert configuration(project_root(), None)["sphinx"]["config"]["ogp_site_url"] == "https://someone.example/study/"


# ---------------------------------------------------------------- the kept results


def test_results_split_by_slice_are_not_kept(root, tmp_path):
    with pytest.raises(StudyError, match="split by slice.*parts of patients"):
        make_readme("smoke", {"split_by": "slice"}, root=root)
    assert not list(tmp_path.rglob("edition-*.json")) and not (tmp_path / "build" / "executed").exists()
