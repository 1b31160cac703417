"""The notebooks' sources: reading them, pairing them, and choosing their parameters.

The source of a notebook is a Python file in jupytext's percent format. Its paired ``.ipynb`` is
derived from it, holds no outputs, and is there for readers on GitHub, Colab and Binder.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import io
import re
import subprocess
from pathlib import Path

import jupytext
import nbformat
import yaml
from jupytext.compare import NotebookDifference, compare_notebooks
from nbformat import NotebookNode

from brainseg.chapters import of_type
from brainseg.paths import setting, write_atomically

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

WRITTEN = "brainseg_cells"
"""The metadata of a derived notebook under which the digest of its cells is kept: who edits a cell breaks it."""

_SHOWN_LINES = 40  # of a difference that is printed


class StudyError(ValueError):
    """A notebook, a parameter or a page is wrong. The message names it and says what to do."""


def find_notebooks(folder: Path) -> dict[str, Path]:
    """The sources ``NN_name.py`` of a folder by name, in reading order.

    Raises
    ------
    StudyError
        Where there is none.
    """
    found = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.py"))}
    if not found:
        raise StudyError(f"{folder} holds no notebook source. Their names look like 01_explore.py.")
    return found


def read_source(path: Path) -> NotebookNode:
    """Read a source as a notebook without outputs.

    A cell's id is its place, so that the same source always gives the same file.

    Raises
    ------
    StudyError
        Where it is no Python, as with the marks of a conflict in it, no UTF-8, or holds no cell.
    """
    try:
        text = path.read_text(encoding="utf-8")
        ast.parse(text)
    except SyntaxError as error:
        raise StudyError(f"{path}, line {error.lineno}, is no Python: {error.msg}.") from None
    except ValueError as error:
        raise StudyError(f"{path} is no text in UTF-8 ({error}).") from None
    notebook = jupytext.reads(text, fmt="py:percent")
    if not notebook.cells:
        raise StudyError(f"{path} holds no cell.")
    notebook.metadata["kernelspec"] = dict(KERNEL)
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place:02d}"
    return notebook


def opening(source: str) -> tuple[str, str, str]:
    """The first cell of a chapter in three parts: its title, the question below it, if there is one, and the rest."""
    title, _, rest = source.partition("\n")
    rest = rest.strip("\n")
    question, _, after = rest.partition("\n\n")
    return (title, question, after) if question.startswith("**Question.**") else (title, "", rest)


def with_address(notebook: NotebookNode, address: str | None) -> NotebookNode:
    """A copy whose cell tagged ``install`` knows where to install the package from; without an address it says how."""
    copy = nbformat.from_dict(notebook)
    for cell in copy.cells:
        if "install" in cell.metadata.get("tags", []):
            cell.source = re.sub(r'(?m)^( *repository = )"[^"]*"', rf'\1"{address or ""}"', cell.source)
    return copy


def repository_address(root: Path) -> str | None:
    """The repository's web address: ``BRAINSEG_REPOSITORY``, else git's remote ``origin`` where that is on the web."""
    address = setting("BRAINSEG_REPOSITORY")
    if address is None:
        try:
            command = ["git", "-C", str(root), "remote", "get-url", "origin"]
            address = subprocess.run(command, capture_output=True, text=True).stdout
        except OSError:  # no git on this machine
            return None
    address = re.sub(r"^(?:ssh://)?git@([^:/]+)[:/]", r"https://\1/", address.strip())
    address = re.sub(r"//[^/@]*@", "//", address)  # a name or a token before the host is nobody's business
    address = address.removesuffix("/").removesuffix(".git")
    return address if address.startswith("https://") else None


def pair(folder: Path) -> list[Path]:
    """Write the paired ``.ipynb`` of every source in `folder`, where it is missing or differs.

    The pairs differ from their sources in two things: they know the repository's address, where there is one, and they
    carry a digest of their cells, so that what somebody writes into them is noticed.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    StudyError
        Where cells of a pair were edited, which would be lost; with the difference, and before anything is written.
    """
    sources = find_notebooks(folder)
    refuse_edited(sources)
    written = []
    address = repository_address(folder.parent)
    for source in sources.values():
        text = written_by_us(with_address(_without_jupytext_version(read_source(source)), address))
        paired = source.with_suffix(".ipynb")
        if paired.exists() and paired.read_text(encoding="utf-8") == text:
            continue
        with write_atomically(paired) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
        written.append(paired)
    return written


def written_by_us(notebook: NotebookNode) -> str:
    """The text of a derived notebook, with the digest of its cells."""
    notebook.metadata[WRITTEN] = _digest(notebook)
    return nbformat.writes(notebook, indent=1) + "\n"


def is_edited(path: Path) -> bool:
    """Whether somebody edited the cells of a notebook since :func:`written_by_us`; False where it is not there.

    Outputs do not count, nor does the address in the cell that installs.
    """
    if not path.exists():
        return False
    notebook = _read_derived(path)
    return notebook.metadata.get(WRITTEN) != _digest(notebook)


def refuse_edited(sources: dict[str, Path]) -> None:
    """Refuse to go on from the sources where a pair of theirs was edited.

    Raises
    ------
    StudyError
        With the difference of every such pair from its source, and the ways out.
    """
    refusals = []
    for name, source in sources.items():
        paired = source.with_suffix(".ipynb")
        if is_edited(paired) and (difference := _difference(source, paired)):
            refusals.append(
                f"{paired} was edited, but {source.name} is its source, and the edit is not in it:\n{difference}\n"
                f"Take it over:  python -m brainseg pair --take {name}\n"
                f"Or drop it:    remove {paired}, then python -m brainseg pair"
            )
    if refusals:
        raise StudyError("\n\n".join(refusals))


def take(folder: Path, name: str) -> Path:
    """Write what was edited in a paired ``.ipynb`` into its source.

    Parameters
    ----------
    folder : Path
        That of the notebooks.
    name : str
        Of the notebook, without suffix.

    Returns
    -------
    Path
        The source.

    Raises
    ------
    StudyError
        Where there is no such pair, and where the source was changed since the pair was written: two changes have to be
        brought together by hand.
    """
    sources = find_notebooks(folder)
    if name not in sources or not (paired := sources[name].with_suffix(".ipynb")).exists():
        raise StudyError(f"There is no notebook {name!r} with an .ipynb beside it. There are: {', '.join(sources)}.")
    source = sources[name]
    notebook, old = with_address(_read_derived(paired), None), read_source(source)
    if notebook.metadata.get(WRITTEN) != _digest(old) and _difference(source, paired):
        raise StudyError(
            f"{source.name} was changed as well since {paired.name} was written from it. Copy your cells into "
            f"{source.name}, remove {paired.name}, and run: python -m brainseg pair\n{_difference(source, paired)}"
        )
    notebook.metadata = old.metadata
    for cell in notebook.cells:
        cell.pop("id", None)
        # Equal metadata, in the order in which the source has them; an .ipynb sorts them.
        cell.metadata = next((c.metadata for c in old.cells if c.metadata == cell.metadata), cell.metadata)
    text = jupytext.writes(notebook, fmt="py:percent")
    # Captions keep their × and é, which jupytext writes as escapes.
    text = re.sub(r"(?m)^# %% .*$", lambda m: re.sub(r"\\u([0-9a-f]{4})", lambda u: chr(int(u[1], 16)), m[0]), text)
    border = "# ---\n"
    if (before := source.read_text(encoding="utf-8")).startswith(border) and text.startswith(border):
        # The head of a source names no version of jupytext.
        text = border.join([*before.split(border, 2)[:2], text.split(border, 2)[2]])
    with write_atomically(source) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    return source


def _read_derived(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:  # no JSON, or no notebook's
        reason = str(error).strip().splitlines()[0][:100]
        raise StudyError(
            f"{path} is no notebook ({reason}). Restore it, or remove it and run: python -m brainseg pair"
        ) from None


def _cells_as_text(notebook: NotebookNode) -> str:
    """The cells with their types and tags, without outputs and without the address."""
    parts = []
    for cell in with_address(notebook, None).cells:
        tags = cell.metadata.get("tags", [])
        parts.append(f"# %% [{cell.cell_type}]{f' {sorted(tags)}' if tags else ''}\n{cell.source.rstrip()}\n")
    return "\n".join(parts)


def _digest(notebook: NotebookNode) -> str:
    return hashlib.sha256(_cells_as_text(notebook).encode()).hexdigest()[:16]


def _difference(source: Path, paired: Path) -> str:
    """What the pair's cells have and the source's have not, and the other way round; empty where they are equal."""
    theirs, ours = (_cells_as_text(n).splitlines() for n in (read_source(source), _read_derived(paired)))
    lines = list(difflib.unified_diff(theirs, ours, source.name, paired.name, n=1, lineterm=""))
    more = [f"... and {len(lines) - _SHOWN_LINES} more lines"] if len(lines) > _SHOWN_LINES else []
    return "\n".join([*lines[:_SHOWN_LINES], *more])


def unpaired(folder: Path) -> list[str]:
    """What is wrong with the pairs of a folder, a sentence each; compared by content, never by time stamps."""
    problems = []
    sources = find_notebooks(folder)
    for source in sources.values():
        paired = source.with_suffix(".ipynb")
        if not paired.exists():
            problems.append(f"{paired.name} is missing.")
            continue
        notebook = _read_derived(paired)
        notebook.metadata.pop(WRITTEN, None)
        try:
            compare_notebooks(with_address(notebook, None), read_source(source), fmt="py:percent")
        except NotebookDifference as difference:
            problems.append(f"{paired.name} differs from {source.name}: {str(difference).strip().splitlines()[0]}")
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if any(cell.outputs or cell.execution_count is not None for cell in code):
            problems.append(f"{paired.name} holds outputs.")
    for stray in sorted({path.stem for path in folder.glob("*.ipynb")} - set(sources)):
        problems.append(f"{stray}.ipynb has no source {stray}.py.")
    return problems


def _without_jupytext_version(notebook: NotebookNode) -> NotebookNode:
    # The version would differ from machine to machine and says nothing about the notebook.
    notebook.metadata.get("jupytext", {}).get("text_representation", {}).pop("jupytext_version", None)
    return notebook


def parameters_of(notebook: NotebookNode, name: str) -> dict:
    """The names and default values of the cell tagged ``parameters``; none where there is no such cell.

    Raises
    ------
    StudyError
        Where there are two such cells, or a value is not a plain literal.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if not cells:
        return {}
    if len(cells) > 1:
        raise StudyError(f"{name} has {len(cells)} cells tagged 'parameters'. Leave one.")
    values = {}
    for statement in ast.parse(cells[0].source).body:
        try:
            (target,) = statement.targets
            values[target.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            line = io.StringIO(cells[0].source).readlines()[statement.lineno - 1].strip()
            raise StudyError(f"{name}: a parameter is one name = one plain value, and this is not: {line}") from None
    return values


def read_profile(folder: Path, name: str) -> dict:
    """The values of ``profiles/NAME.yml``.

    Raises
    ------
    StudyError
        Where there is no such profile; the message lists those there are. Where it is no profile; the message says why.
    """
    path = folder / "profiles" / f"{name}.yml"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.yml"))) or "none"
        raise StudyError(f"There is no profile {name!r}. Known profiles: {known}.")
    try:
        profile = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError) as error:
        raise StudyError(f"{path} is no YAML: {error}") from None
    apart = profile.get("notebooks") or {} if isinstance(profile, dict) else None
    if not isinstance(apart, dict) or not all(isinstance(own, dict) for own in apart.values()):
        raise StudyError(f"{path} is no profile. It takes lines such as epochs: 3, and notebooks: with names below it.")
    if profile.get("trains", "nothing") != "nothing":
        raise StudyError(f"{path}: trains takes one word, nothing, and not {profile['trains']!r}.")
    return profile


def choose_parameters(declared: dict[str, dict], profile: dict, overrides: dict) -> dict[str, dict]:
    """The value of every parameter of every notebook.

    Parameters
    ----------
    declared : dict
        Notebook name -> the parameters that it declares, with their defaults.
    profile : dict
        Parameter name -> value, given to each notebook that declares the name. The key ``notebooks``
        may hold notebook name -> {parameter name: value}, which goes before those; ``trains`` is no parameter.
    overrides : dict
        Parameter name -> value; goes before the profile.

    Returns
    -------
    dict
        Notebook name -> all its parameters.

    Raises
    ------
    StudyError
        On a name that no notebook declares, with the list of known ones, on a value of another
        type than the default's, and on a seed below 0. Papermill itself would only warn and run the defaults.
    """
    shared = {key: value for key, value in profile.items() if key not in ("notebooks", "trains")}
    apart = profile.get("notebooks") or {}
    if strangers := set(apart) - set(declared):
        raise StudyError(f"The profile names no such notebook: {_with_hints(strangers, set(declared))}")
    known = {key for values in declared.values() for key in values}
    if strangers := (set(shared) | set(overrides)) - known:
        raise StudyError(f"Unknown parameter: {_with_hints(strangers, known)}")
    chosen = {}
    for name, defaults in declared.items():
        own = apart.get(name, {})
        if strangers := set(own) - set(defaults):
            raise StudyError(f"Unknown parameter of {name}: {_with_hints(strangers, set(defaults))}")
        given = {key: value for key, value in {**shared, **own, **overrides}.items() if key in defaults}
        try:
            typed = {key: of_type(value, type(defaults[key]), key) for key, value in given.items()}
        except ValueError as error:
            raise StudyError(str(error)) from None
        chosen[name] = {**defaults, **typed}
    return chosen


def _with_hints(strangers: set[str], known: set[str]) -> str:
    named = []
    for stranger in sorted(strangers):
        close = difflib.get_close_matches(stranger, known, n=1)
        named.append(f"{stranger!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    return f"{', '.join(named)}. Known: {', '.join(sorted(known)) or 'none'}."
