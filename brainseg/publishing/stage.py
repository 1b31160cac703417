"""From an executed edition to HTML: staging the pages with their banners, and building them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from brainseg.paths import build_folder, setting
from brainseg.publishing.api import write_api
from brainseg.publishing.citation import write_citation
from brainseg.publishing.drawing import drawing_page, largest_tumour, write_drawing
from brainseg.publishing.example import fill_example
from brainseg.publishing.execute import PACKAGE, Edition, alone
from brainseg.publishing.landing import fill_landing, open_landing
from brainseg.publishing.manifest import write_manifest
from brainseg.publishing.minutes import fill_minutes
from brainseg.publishing.network import find_network, network_page, write_network
from brainseg.publishing.notebooks import StudyError, opening, repository_address, with_address
from brainseg.publishing.proof import fill_proof
from brainseg.publishing.quality import fill_quality
from brainseg.publishing.sheets import write_sheets
from brainseg.publishing.speed import fill_speed
from brainseg.publishing.status import banner, origin, status_page
from brainseg.publishing.student import make_student_edition
from brainseg.publishing.viewer import take_patients, viewer_page, write_viewer

KEPT = "kept-results"
"""The tag of the first cell of a chapter whose results are kept ones, whatever cohort it was executed on."""

BINARY = re.compile(r"(image|audio|video)/(?!svg)|application/(pdf|octet-stream)")
"""Kinds of output, as Jupyter names them, that are no text: a replacement in their base64 would spoil them."""


UNNAMED = '<summary><span class="toctree-toggle"'
NAMED = '<summary aria-label="The pages below"><span class="toctree-toggle"'
"""How the theme writes a button of the menu, and how it is here."""

ON_SCREEN = ("viewer", "draw", "try", "playground")
"""Pages with a part that answers the reader, by their names, which are the ids of these parts too."""


def build_book(root: Path, edition: Edition) -> Path:
    """Stage the edition in ``_build/src`` and build it; a site that stands is replaced only by a whole one.

    Returns
    -------
    Path
        ``_build/site/index.html``.

    Raises
    ------
    StudyError
        On any warning or error of the build. The whole output is in ``_build/book.log``.
    """
    with alone(build_folder() / "executed" / "book", "builds the book"):
        return _build(root, edition)


def _build(root: Path, edition: Edition) -> Path:
    build = build_folder()
    source, work, site, log = build / "src", build / "html", build / "site", build / "book.log"
    stage(root, edition, source)
    shutil.rmtree(work, ignore_errors=True)
    options = ["--path-output", str(work), "-W", "-n", "--keep-going"]
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source), *options]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    log.write_text(output, encoding="utf-8")
    if done.returncode:
        lines = [line for line in output.splitlines() if re.search("WARNING|ERROR|Error", line)] or output.splitlines()
        raise StudyError("The book was not built:\n  " + "\n  ".join(lines[-20:]) + f"\nSee {log}")
    finish(work / "_build" / "html", site_address())
    write_manifest(work / "_build" / "html", edition)
    shutil.rmtree(site, ignore_errors=True)
    os.replace(work / "_build" / "html", site)
    shutil.rmtree(work)
    return site / "index.html"


def finish(site: Path, address: str | None) -> None:
    """Mend what the build leaves, and write a sitemap where the address is known.

    For screen readers: a list that is none, and buttons without a name, which show the pages below one in the menu.
    """
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        if UNNAMED in text:
            path.write_text(text.replace(UNNAMED, NAMED), encoding="utf-8")
    references = site / "references.html"
    if references.is_file():
        text = references.read_text(encoding="utf-8")  # docutils calls it a list, and its entries no items of one
        references.write_text(
            text.replace('<div role="list" class="citation-list">', '<div class="citation-list">'), encoding="utf-8"
        )
    if address:
        pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
        entries = "".join(
            f"<url><loc>{address}{page}</loc></url>\n" for page in pages if page not in ("search.html", "genindex.html")
        )
        (site / "sitemap.xml").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
            f"{entries}</urlset>\n", encoding="utf-8",
        )  # fmt: skip


def site_address() -> str | None:
    """Where the book will be published, with a slash at its end: ``BRAINSEG_SITE``, set by the workflow."""
    address = setting("BRAINSEG_SITE")
    return f"{address.rstrip('/')}/" if address else None


def on_paper(text: str, name: str, address: str | None) -> str:
    """A page whose part with the id `name` works on a screen alone: on paper a sentence says where to find it."""
    place = f"at {address}{name}.html" if address else f"on the page {name}.html of the built book"
    said = f'<p class="d-none d-print-block">This part of the page needs a browser. You find it {place}.</p>'
    return text.replace(f'<div id="{name}">', f'{said}\n<div id="{name}" class="d-print-none">', 1)


def stage(root: Path, edition: Edition, target: Path) -> None:
    """Write everything that the build reads into `target`: pages, executed notebooks, configuration."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root / "book", target)
    (target / "notebooks").mkdir()
    patients, shown_on, network, synthetic = [], "", None, False
    for name, page in edition.pages.items():
        notebook = published(nbformat.read(page, as_version=4), root)
        found = take_patients(notebook)
        if patients:  # the page that showed patients first has named the network; others add to them
            shown = {patient["name"] for patient in patients}
            patients += [patient for patient in found if patient["name"] not in shown]
        elif found:
            patients, shown_on = found, banner(notebook.metadata["brainseg"])
            synthetic = bool((notebook.metadata["brainseg"]["cohort"] or {}).get("synthetic"))
            network = find_network(notebook.metadata["brainseg"], [patient["name"] for patient in patients])
        nbformat.write(notebook, target / "notebooks" / f"{name}.ipynb")
    if (page := target / "viewer.md").is_file():
        page.write_text(viewer_page(page.read_text(encoding="utf-8"), patients, shown_on), encoding="utf-8")
        write_viewer(patients, target / "_extra" / "viewer")
    drawn = largest_tumour(patients)
    if (page := target / "draw.md").is_file():
        page.write_text(drawing_page(page.read_text(encoding="utf-8"), drawn, shown_on), encoding="utf-8")
        if drawn is not None:
            write_drawing(drawn, target / "_extra" / "draw")
    if (page := target / "try.md").is_file():
        carried = network is not None
        try:
            if network is not None:
                write_network(network, target / "_extra" / "try")
        except StudyError as error:  # a book needs no network to be built, so one page does without
            print(f"warning: the page Try the network stays empty. {error}")
            carried = False
        page.write_text(network_page(page.read_text(encoding="utf-8"), carried, shown_on), encoding="utf-8")
    open_landing(target, drawn, synthetic)
    fill_landing(target)
    fill_minutes(target)
    fill_speed(target)
    fill_quality(target)
    fill_proof(target)
    fill_example(target)
    write_sheets(target)
    for name in ON_SCREEN:
        if (page := target / f"{name}.md").is_file():
            page.write_text(on_paper(page.read_text(encoding="utf-8"), name, site_address()), encoding="utf-8")
    write_api(PACKAGE, target / "api")
    for part in (root / "CITATION.cff", root / "results" / "reference" / "test_log.csv"):  # pages show and offer them
        if part.is_file():
            shutil.copyfile(part, target / part.name)
    if (root / "CITATION.cff").is_file():
        write_citation(root, target, site_address())
    if (target / "teach").is_dir():  # its first page offers the student edition
        shutil.copy(make_student_edition(root), target / "teach")
    (target / "status.md").write_text(status_page(edition), encoding="utf-8")
    mathjax = Path(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax"))
    for part in ("tex-mml-svg.js", "input/tex/extensions"):  # the rest serves other inputs, outputs and Node
        place = target / "_extra" / "mathjax" / part
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (mathjax / part).is_dir() else shutil.copyfile)(mathjax / part, place)
    config = configuration(root, repository_address(root))
    (target / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def published(notebook: NotebookNode, root: Path) -> NotebookNode:
    """An executed notebook as the book shows it.

    With its answer and the banner below the title and the question, and with the repository's address; without lines on
    stderr, timings of cells, and places on this machine.
    """
    notebook = with_address(notebook, repository_address(root))
    record = notebook.metadata["brainseg"]
    given = notebook.metadata.pop("papermill", {}).get("parameters", {})
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            tags = cell.metadata.get("tags", [])
            if "injected-parameters" in tags:
                cell.source = cell.source.replace("# Parameters", "# Parameters of this edition", 1)
            for tag in {"solution", "check"} & set(tags):  # what the reader clicks to see them
                cell.metadata["mystnb"] = {"code_prompt_show": f"Show the {tag}", "code_prompt_hide": f"Hide the {tag}"}
    first = notebook.cells[0]
    title, question, rest = opening(first.source)
    box = f":::{{div}} opening\n{question}\n\n{take_answer(notebook)}\n:::" if question else ""
    parts = title, box, banner(record, KEPT in first.metadata.get("tags", [])) + origin(record), rest
    first.source = "\n\n".join(filter(None, parts))
    places = {build_folder(): "_build", root: ".", Path(os.path.expanduser("~")): "~"}
    if os.path.isabs(data := str(given.get("data", ""))):
        places = {Path(data): Path(data).name, **places}
    # Never the bare root of the file system.
    return nbformat.from_dict(_without_places(notebook, {str(p): s for p, s in places.items() if len(p.parts) > 1}))


def take_answer(notebook: NotebookNode) -> str:
    """Take the cell tagged ``answer`` out of an executed notebook: what it printed, in Markdown.

    The cell stands at the end of a chapter, where its answer is known, and the page says it first.
    """
    (cell,) = (cell for cell in notebook.cells if "answer" in cell.metadata.get("tags", []))
    notebook.cells.remove(cell)
    return cell.outputs[0]["data"]["text/markdown"]


def _without_places(value, places: dict[str, str]):
    """A notebook, or a part of one, whose texts show `places` of this machine as they are called in the book.

    Only whole paths are replaced, or whole beginnings of one; images and other binary outputs stay as they are.
    """
    # The longest first: the build folder may lie in the checkout, and that in the home folder.
    known = "|".join(re.escape(place) for place in sorted(places, key=len, reverse=True))
    path = re.compile(rf"(?:(?<=://)|(?<![\w.+/~-]))(?:{known})(?![\w+~-]|\.\w)")

    def shown(value):
        if isinstance(value, str):
            return path.sub(lambda found: places[found[0]], value)
        if isinstance(value, list):
            return [shown(one) for one in value]
        if isinstance(value, dict):
            return {key: one if BINARY.search(key) else shown(one) for key, one in value.items()}
        return value

    return shown(value)


def configuration(root: Path, repository: str | None) -> dict:
    """The book's ``_config.yml`` with the links to `repository`, which are left out where there is none."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    if (scorer := root / "book" / "scorer.js").is_file():  # Sphinx looks for it where it was called from
        config["sphinx"]["config"]["html_search_scorer"] = str(scorer)
    if address := site_address():
        config["sphinx"]["config"] |= {"ogp_site_url": address, "html_baseurl": address}
    if repository:
        config["repository"] = {"url": repository, "path_to_book": "", "branch": "main"}
        config["html"] |= {"use_repository_button": True, "use_issues_button": True}
        if repository.startswith("https://github.com/"):
            config["launch_buttons"] = {
                "notebook_interface": "jupyterlab",
                "binderhub_url": "https://mybinder.org",
                "colab_url": "https://colab.research.google.com",
            }
    return config
