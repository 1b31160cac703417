"""Where generated things go, writing that is whole or absent, locks, and the environment variables."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

ENVIRONMENT = {
    "BRAINSEG_BUILD": "the folder for everything generated; `_build` in the checkout without it",
    "BRAINSEG_REPOSITORY": "the repository's web address, for launch buttons; git's remote `origin` without it",
    "BRAINSEG_SITE": "the address where the book will be published, for its sitemap",
    "BRAINSEG_DATA": "a folder with real slices, for the tests that need some; they are skipped without it",
    "BRAINSEG_BROWSER": "`required` makes the tests of the pages fail, not skip, where there is no Chromium",
}
"""Every environment variable that the project reads, and what it is for."""


def setting(name: str) -> str | None:
    """The value of one of `ENVIRONMENT`, without spaces around it; None where it is not set."""
    if name not in ENVIRONMENT:
        raise KeyError(f"{name} is none of {', '.join(ENVIRONMENT)}")
    value = os.environ.get(name)
    return None if value is None else value.strip()


def refuse_misspelt() -> None:
    """Refuse a variable that is named like those of `ENVIRONMENT` and is none: whoever set it meant something.

    Raises
    ------
    ValueError
        With the name that is closest.
    """
    for name in sorted(set(os.environ) - set(ENVIRONMENT)):
        if name.startswith("BRAINSEG_"):
            close = difflib.get_close_matches(name, ENVIRONMENT, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise ValueError(f"Nothing reads the variable {name}.{hint} There are: {', '.join(ENVIRONMENT)}.")


def project_root() -> Path | None:
    """The checkout that holds this package, or None where the package was installed without it."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "_config.yml").is_file() else None


def build_folder() -> Path:
    """The one folder for everything generated: cohorts, arrays, weights, executed notebooks, HTML.

    The environment variable ``BRAINSEG_BUILD`` names it; without that it is ``_build`` in the
    checkout, and ``~/.cache/brainseg`` where the package was installed without its checkout.

    Raises
    ------
    ValueError
        Where ``BRAINSEG_BUILD`` names the home folder or one above it.
    """
    named = setting("BRAINSEG_BUILD")
    if named:
        folder = Path(os.path.realpath(os.path.expanduser(named)))  # which fail neither without a home nor in a circle
        home = Path(os.path.expanduser("~"))  # stays "~" for a user without a home, where Path.home() fails
        own = folder / "home"  # of provide_home
        if home.is_absolute() and home.resolve().is_relative_to(folder) and home.resolve() != own:
            # Folders such as src and html are emptied in it, and these may well be the user's own here.
            raise ValueError(
                f"BRAINSEG_BUILD is {folder}, which holds your own files too. Name a folder for the build alone."
            )
        return folder
    root = project_root()
    return root / "_build" if root else Path(os.path.expanduser("~")).absolute() / ".cache" / "brainseg"


def provide_home() -> None:
    """Let ``HOME`` name ``home`` in the build folder where the user has no home that can be written.

    Jupyter, IPython and Matplotlib need one, and die without a word where there is none, as in many containers.
    """
    home = os.path.expanduser("~")
    if not (os.path.isabs(home) and os.path.isdir(home) and os.access(home, os.W_OK)):
        own = build_folder() / "home"
        with _naming(own.parent):
            own.mkdir(parents=True, exist_ok=True)
        os.environ["HOME"] = str(own)


class BusyError(OSError):
    """Another process holds what :func:`locked` was asked for, and nobody wanted to wait."""


@contextlib.contextmanager
def locked(path: str | Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a file or folder alone among all processes that ask by this function.

    The lock is the operating system's, on ``NAME.lock`` beside `path`, so a process that dies lets go of it.

    Parameters
    ----------
    path : path
        It need not exist.
    wait : bool
        Whether to wait for the process that holds it.

    Raises
    ------
    BusyError
        Where another process holds it, and `wait` is False.
    """
    from filelock import FileLock, Timeout

    path = Path(path)
    with _naming(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=-1 if wait else 0):
            yield
    except Timeout:
        raise BusyError(f"{path} is being made by another process") from None


_BUILD_ADVICE = "BRAINSEG_BUILD names the folder for everything generated."
_WAY_OUT = {
    errno.ENOSPC: "Make room on this disk, or name a folder on another.",
    errno.EDQUOT: "Your share of this disk is used up. Make room, or name a folder on another disk.",
    errno.EROFS: "Nothing can be written on this disk. Name a folder on another.",
    errno.EACCES: "You may not write there. Name a folder of your own.",
    errno.EPERM: "You may not write there. Name a folder of your own.",
    errno.ENOTDIR: "A file stands where a folder should be. Name another folder.",
    errno.EEXIST: "A file stands where a folder should be. Name another folder.",
    errno.ENAMETOOLONG: "A file there would get too long a name. Shorten the names of your files.",
    errno.ELOOP: "Links lead in a circle there. Name another folder.",
}


def way_out(error: OSError) -> str:
    """What to do about a refusal of the disk that does not say so itself; empty where nothing is known."""
    advice = _WAY_OUT.get(error.errno or 0, "")
    return "" if not advice or advice in str(error) else f"{advice} {_BUILD_ADVICE}"


@contextlib.contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Name the folder in an error of the disk, which often names nothing, and say what to do."""
    try:
        yield
    except OSError as error:
        # NumPy reports a full disk without a number: "65536 requested and 4096 written".
        number = errno.ENOSPC if error.errno is None and "written" in str(error) else error.errno
        elsewhere = error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(folder)
        if number not in _WAY_OUT or elsewhere:
            raise
        raise OSError(
            number,
            f"{os.strerror(number)}: {folder}. {_WAY_OUT[number]} {_BUILD_ADVICE}",
            str(folder),
        ) from error


@contextlib.contextmanager
def write_atomically(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there only when the block ends without error.

    A reader therefore sees the old file, the new file or none, never half of one.
    """
    path = Path(path)
    with _naming(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays, because writers such as NumPy and Keras choose the format by it.
        handle, name = tempfile.mkstemp(prefix=".part-", suffix="-" + path.name, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_atomically(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, and rename it to `path` only when the block succeeds.

    Where `path` came to exist meanwhile, written by another process, that one is kept.
    """
    path = Path(path)
    with _naming(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".part-", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            if not path.exists():
                os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
