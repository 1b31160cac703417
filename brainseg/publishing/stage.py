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
from brainseg.publishing.drawing import drawing_page, largest_tumour, write_drawing
from brainseg.publishing.example import fill_example
from brainseg.publishing.execute import PACKAGE, Edition, alone
from brainseg.publishing.landing import fill_landing, open_landing
from brainseg.publishing.manifest import write_manifest
from brainseg.publishing.minutes import fill_minutes
from brainseg.publishing.network import find_network, network_page, write_network
from brainseg.publishing.notebooks import StudyError, repository_address, with_address
from brainseg.publishing.proof import fill_proof
from brainseg.publishing.quality import fill_quality
from brainseg.publishing.speed import fill_speed
from brainseg.publishing.status import banner, origin, status_page
from brainseg.publishing.student import make_student_edition
from brainseg.publishing.viewer import take_patients, viewer_page, write_viewer

BINARY = re.compile(r"(image|audio|video)/(?!svg)|application/(pdf|octet-stream)")
"""Kinds of output, as Jupyter names them, that are no text: a replacement in their base64 would spoil them."""


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
    """Mend what the build leaves: a list that is none for screen readers, and a sitemap where the address is known."""
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
    write_api(PACKAGE, target / "api")
    if (citation := root / "CITATION.cff").is_file():
        shutil.copyfile(citation, target / "CITATION.cff")
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

    With the banner below its title and the repository's address; without lines on stderr, timings of cells, and places
    on this machine.
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
    if text := banner(record) + origin(record):
        title, _, rest = notebook.cells[0].source.partition("\n")
        notebook.cells[0].source = f"{title}\n\n{text}\n{rest}"
    places = {build_folder(): "_build", root: ".", Path(os.path.expanduser("~")): "~"}
    if os.path.isabs(data := str(given.get("data", ""))):
        places = {Path(data): Path(data).name, **places}
    # Never the bare root of the file system.
    return nbformat.from_dict(_without_places(notebook, {str(p): s for p, s in places.items() if len(p.parts) > 1}))


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
