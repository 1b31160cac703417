"""From the notebooks' sources to a published book.

The line of work: ``notebooks`` reads the sources and checks their parameters, ``execute`` runs them
into an edition that carries its provenance, ``status`` tells what each page was executed on, and
``stage`` stages the edition and builds the HTML, which ``pdf`` prints. ``student`` turns the sources into notebooks
without solutions.
"""

from __future__ import annotations

import re
from pathlib import Path

from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.networks import require_keras
from brainseg.networks.record import shares_reference_patients
from brainseg.paths import build_folder, project_root
from brainseg.publishing.execute import execute_edition
from brainseg.publishing.notebooks import StudyError, find_notebooks, pair, read_profile, refuse_edited
from brainseg.publishing.pdf import write_pdf
from brainseg.publishing.readme import fill_readme, keep_results, refuse_split_by_slice
from brainseg.publishing.stage import build_book, site_address
from brainseg.publishing.status import results_of
from brainseg.publishing.student import make_student_edition

__all__ = [
    "StudyError",
    "choose_profile",
    "make_book",
    "make_notebook",
    "make_pdf",
    "make_readme",
    "make_student",
    "pair",
    "study_root",
]


NEEDS_KERAS = r"\bimport keras\b|brainseg\.(networks\.(models|runs|losses)|evaluation\.predict)\b|\bstudy_run\b"
"""What a notebook that needs a network has in its text."""


def study_root() -> Path:
    """The checkout, which holds the notebooks and the book's pages; an installed package has neither."""
    root = project_root()
    if root is None:
        raise StudyError("The notebooks and the book live in the project's checkout. Run this from a clone of it.")
    return root


def choose_profile(overrides: dict | None = None) -> str:
    """The profile where none is named: "reference" for patients whom the kept networks know, else "quick"."""
    data = str((overrides or {}).get("data", "phantom"))
    if data.partition(":")[0] == "phantom":
        return "quick"  # so that a misspelt name is refused before any patient is drawn
    return "reference" if shares_reference_patients(index_cohort(get_cohort(data))) else "quick"


def make_notebook(
    name: str, profile: str | None = None, overrides: dict | None = None, root: Path | None = None, train: bool = False
) -> Path:
    """Execute one notebook, unless it is up to date already. Its source is executed, so an edited pair is refused.

    Parameters
    ----------
    name : str
        Its file name without suffix, as in ``"06_train_unet"``. The number alone will do.
    profile, overrides, root, train
        As in `make_book`.

    Returns
    -------
    Path
        The executed notebook.
    """
    root = root or study_root()
    sources = find_notebooks(root / "notebooks")
    _require({found: path for found, path in sources.items() if name in (found, found[:2])})
    edition = execute_edition(root, profile or choose_profile(overrides), overrides, only=name, train=train)
    return next(iter(edition.pages.values()))


def _require(sources: dict[str, Path]) -> None:
    """Refuse notebooks whose pairs were edited, and those of networks where Keras is missing, before anything runs."""
    refuse_edited(sources)
    if any(re.search(NEEDS_KERAS, source.read_text(encoding="utf-8")) for source in sources.values()):
        require_keras()


def make_book(
    profile: str | None = None, overrides: dict | None = None, root: Path | None = None, train: bool = False
) -> tuple[Path, str]:
    """Execute every notebook that changed and build the book from the edition.

    Parameters
    ----------
    profile : str, optional
        A file of ``notebooks/profiles``, without suffix; by default what `choose_profile` says.
    overrides : dict, optional
        Parameters that go before the profile's, such as ``{"data": "kaggle"}``.
    root : Path, optional
        The folder with ``_config.yml``, ``book`` and ``notebooks``; by default the checkout.
    train : bool
        As in `brainseg.publishing.execute.execute_edition`.

    Returns
    -------
    page : Path
        The book's first page.
    results : str
        A short table of results as text; empty where no notebook left one.

    Raises
    ------
    StudyError
        On an unknown profile or parameter, before anything runs; on a notebook that fails; on any
        warning of the build.
    """
    root = root or study_root()
    _require(find_notebooks(root / "notebooks"))
    edition = execute_edition(root, profile or choose_profile(overrides), overrides, train=train)
    found = results_of(edition)
    return build_book(root, edition), found[1].to_string(index=False) if found else ""


def make_readme(profile: str | None = None, overrides: dict | None = None, root: Path | None = None) -> Path:
    """Keep an edition's table of results in ``results/`` and write all kept tables into the README.

    The edition is executed where it is not up to date, so that no number outlives the code that made it.

    Returns
    -------
    Path
        The kept table.

    Raises
    ------
    StudyError
        Where no page of the edition left a table of results; before anything runs, where the parameters
        split by slice.
    """
    root = root or study_root()
    profile = profile or choose_profile(overrides)
    refuse_split_by_slice({**read_profile(root / "notebooks", profile), **(overrides or {})})
    edition = execute_edition(root, profile, overrides)
    found = results_of(edition)
    if not found:
        raise StudyError("No page of this edition left a table of results. Chapter 8 does: execute it first.")
    kept = keep_results(root, edition, *found)
    fill_readme(root)
    return kept


def make_pdf() -> tuple[Path, int]:
    """Print the built book into one PDF, and say how many pages it has; see `brainseg.publishing.pdf.write_pdf`."""
    return write_pdf(study_root(), build_folder() / "site", site_address())


def make_student(folder: Path | None = None) -> Path:
    """Write the student edition of every notebook; see `brainseg.publishing.student.make_student_edition`."""
    return make_student_edition(study_root(), folder)
