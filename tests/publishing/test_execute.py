"""The study on two tiny notebooks: parameters, editions, provenance, crashes, and the book built from them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from helpers import write_cohort

from brainseg.paths import project_root
from brainseg.publishing import StudyError, make_book, make_notebook, make_readme, pair
from brainseg.publishing.notebooks import choose_parameters, parameters_of, read_source, unpaired
from brainseg.publishing.readme import BEGIN, END, fill_readme, keep_results
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
RECORD = {
    "cohort": None,
    "parameters": {},
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
        ({}, {"seed": -1}, "seed takes a whole number of at least 0, not -1"),
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


# ---------------------------------------------------------------- editions


def test_an_executed_page_carries_its_provenance_and_is_kept_until_something_changes(root, tmp_path):
    def run(**overrides):
        page = make_notebook("01", profile="smoke", overrides=overrides, root=root)
        return page, page.stat().st_mtime_ns

    page, first = run()
    record = json.loads(page.with_suffix(".json").read_text())
    assert record == nbformat.read(page, as_version=4).metadata["brainseg"]
    assert record["parameters"]["epochs"] == 4 and record["parameters"]["seed"] == 0
    assert record["cohort"]["patients"] == 6 and not record["cohort"]["synthetic"]
    assert record["seconds"] > 0 and record["peak_memory_mb"] > 20 and record["versions"]["keras"]
    assert str(tmp_path) not in json.dumps(record)
    assert sys.executable in outputs(page) and "%|" not in outputs(page)

    assert run() == (page, first)
    source = root / "notebooks" / "01_first.py"
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


def test_a_relative_folder_means_the_same_inside_the_notebook(root, tmp_path, tiny_cohort, monkeypatch):
    monkeypatch.chdir(tiny_cohort.parent)
    page = make_notebook("01", profile="smoke", overrides={"data": tiny_cohort.name}, root=root)
    assert f"cohort {tiny_cohort}" in outputs(page)


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


# ---------------------------------------------------------------- the book


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


def test_the_banners_say_what_a_page_was_executed_on(root, tmp_path):
    from brainseg.publishing.stage import published

    for names, words in ((["PHANTOM_AA_0001_20000101"], "Synthetic data"), (["TCGA_AA_0001_20000101"], "CC BY-NC-SA")):
        cohort = write_cohort(tmp_path / names[0], patients=names)
        page = make_notebook("01", profile="smoke", overrides={"data": str(cohort)}, root=root)
        text = published(nbformat.read(page, as_version=4), root).cells[0].source
        assert text.startswith("# First page\n\n:::{admonition}") and words in text and "ot for clinical use" in text
        assert "1 patients, 5 slices, 2 of them with tumour" in text


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


def test_every_module_has_a_place_in_the_pages_on_the_package(tmp_path):
    from brainseg.publishing.api import GROUPS, write_api

    package = project_root() / "brainseg"
    write_api(package, tmp_path / "api")
    text = "\n".join(path.read_text() for path in (tmp_path / "api").glob("*.md"))
    named = re.findall(r"automodule:: (\S+)", text)
    modules = {
        path
        for path in package.rglob("*.py")
        if path.name != "__main__.py" and path.parent / path.name != package / "__init__.py"
    }
    assert len(named) == len(set(named)) == len(modules)
    toc = (project_root() / "book" / "_toc.yml").read_text()
    assert all(f"file: api/{page}\n" in toc for page in [*GROUPS, "index"])


# ---------------------------------------------------------------- the kept results


class OnePage:
    """An executed edition, as far as its results are concerned."""

    def __init__(self, folder, **parameters):
        self.folder, self.parameters = folder, parameters
        self.pages = {"08": folder / "08.ipynb", "10": folder / "10.ipynb"}

    def record(self, name):
        cohort = {"patients": 4, "slices": 20, "synthetic": True}
        cost = {"seconds": 90.0 if name == "08" else 30.0, "peak_memory_mb": 2048 if name == "10" else 1024}
        return {"cohort": cohort, "parameters": self.parameters, "versions": {}, "processor": "a machine", **cost}


SETTINGS = dict(fold=0, image_size=96, epochs=2, slices_per_epoch=8, seed=0)


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_one_test_patient_has_no_interval(tmp_path, nothing, monkeypatch):
    monkeypatch.setattr("brainseg.publishing.readme.has_tables", lambda study: False)
    (tmp_path / "README.md").write_text(f"# Study\n{BEGIN}\nformer text\n{END}\nafter\n")
    table = pd.DataFrame(
        {"on": ["test patients", "fresh patients"], "model": ["U-Net", "FCN-32"], "patients": [1, 2],
         "mean": [0.5, 0.25], "low": [nothing, 0.1], "high": [nothing, 0.4],
         "median": [0.5, 0.25], "worst": [0.5, 0.1]}
    )  # fmt: skip
    kept = keep_results(tmp_path, OnePage(tmp_path / "phantom-smoke", split_by="patient", **SETTINGS), "08", table)
    fill_readme(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| test patients | U-Net | 1 | 0.500 | none (one patient) | 0.500 | 0.500 |" in text
    assert "| fresh patients | FCN-32 | 2 | 0.250 | 0.10 to 0.40 | 0.250 | 0.100 |" in text
    assert "2 chapters were executed in 2.0 minutes, the first nine in 1.5, with at most 2.0 GB" in text
    assert text.endswith("after\n") and "former text" not in text
    assert "NaN" not in kept.read_text()


def test_the_reference_edition_leads_the_readme(tmp_path, monkeypatch):
    patients = pd.DataFrame(
        {
            "protocol": "honest",
            "part": "test",
            "model": "unet",
            "fold": [0, 1],
            "patient": ["a", "b"],
            "dice": [0.5, 0.75],
        }
    )
    leaky = patients.assign(protocol="article", dice=1.0)
    splits = pd.DataFrame({"patient": ["a", "b"], "chose_the_recipe": [False, True], "judged_the_mirror": False})

    def read_table(study, name):
        return splits if name == "splits" else pd.concat([patients, leaky])

    monkeypatch.setattr("brainseg.evaluation.headline.read_table", read_table)
    monkeypatch.setattr("brainseg.experiments.outcome.read_table", read_table)
    monkeypatch.setattr("brainseg.publishing.readme.has_tables", lambda study: True)
    monkeypatch.setattr(
        "brainseg.publishing.readme.read_record", lambda study: {"cohort": {"patients": 88, "slices": 3232}}
    )
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    fill_readme(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "(88 patients, 3232 slices of TCGA-LGG)" in text
    assert "| U-Net | 2 | 2 | 0.625 | 0.50 to 0.75 | 0.625 | 0.500 |\n\n1 of U-Net's 2 patients had a part" in text
    assert "**0.500 on the 1 others**" in text
    assert (tmp_path / "book" / "images" / "headline.png").stat().st_size > 10_000


def test_results_split_by_slice_are_not_kept(root, tmp_path):
    with pytest.raises(StudyError, match="split by slice.*parts of patients"):
        keep_results(tmp_path, OnePage(tmp_path / "x", split_by="slice", **SETTINGS), "08", pd.DataFrame())
    with pytest.raises(StudyError, match="split by slice"):
        make_readme("smoke", {"split_by": "slice"}, root=root)
    assert not list(tmp_path.rglob("edition-*.json")) and not (tmp_path / "build" / "executed").exists()


# ---------------------------------------------------------------- the command line


@pytest.mark.parametrize("everything", [False, True])
def test_clean_removes_what_the_project_made_and_nothing_else(tmp_path, monkeypatch, everything):
    from brainseg.__main__ import main

    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    book, data = {"executed", "src", "html", "site", "student"}, {"cohorts", "prepared", "crops", "runs"}
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


def test_the_commands_do_not_wait_for_keras():
    code = "import sys, brainseg.publishing\nassert not {'keras', 'tensorflow'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_misspelt_name_is_refused_before_any_patient_is_drawn(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(project_root()), "BRAINSEG_BUILD": str(tmp_path)}
    command = [sys.executable, "-m", "brainseg", "notebook", "6_unet"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and done.stderr.startswith("error: There is no notebook '6_unet'. There are: ")
    assert done.stderr.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_an_error_is_one_message(capsys):
    from brainseg.__main__ import main

    with pytest.raises(SystemExit) as stopped:
        main(["notebook", "no_such_notebook", "-p", "epochs"])
    assert str(stopped.value) == "error: -p takes NAME=VALUE, as in -p epochs=10, and not 'epochs'."
