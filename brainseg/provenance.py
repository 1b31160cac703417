"""What a result comes from: the code that made it, and the processor that it ran on."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import pkgutil
import platform
import re
import subprocess
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg.paths import project_root

if TYPE_CHECKING:
    import pandas as pd  # slow to load, and for one signature alone


@functools.cache
def code_digest(*modules: str) -> str:
    """Sixteen hexadecimal digits that change with the code of the modules, and with their order.

    Comments, docstrings and layout do not count, so that a better explanation makes no result stale. Nor does the
    version of Python, from 3.11 to 3.13. The files are read once a process: what is edited later does not run in it.

    Parameters
    ----------
    *modules : str
        Full names, such as ``"brainseg.images.crop"``.
    """
    digest = hashlib.sha256()
    for module in modules:
        tree = _Plain().visit(ast.parse(Path(find_spec(module).origin).read_text(encoding="utf-8")))
        digest.update(ast.unparse(tree).encode() + b"\0")
    return digest.hexdigest()[:16]


def modules_of(package: str) -> list[str]:
    """The full names of a package's modules, itself first, then sorted."""
    inside = pkgutil.iter_modules(find_spec(package).submodule_search_locations)
    return [package, *sorted(f"{package}.{module.name}" for module in inside)]


class _Plain(ast.NodeTransformer):
    """Code as :func:`code_digest` sees it: without texts that stand alone, and with f-strings written one way.

    A text that stands alone is a docstring, or explains a constant. As for f-strings, ``ast.unparse`` quotes them
    differently from one version of Python to the next. Here they are quoted as in Python 3.11, by whose digests the
    first runs are known.
    """

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if alone else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        quotes, text = ["'", '"', '"""', "'''"], ""
        for value in node.values:
            part = self._part(value)
            if isinstance(value, ast.Constant):  # and no expression, which holds nothing to escape
                part = "".join(map(_escaped, part))
            quotes = [quote for quote in quotes if quote not in part]
            quotes.sort(key=lambda quote: part.endswith(quote[0]))
            text += part
        quote = quotes[0] if quotes else "'''"
        # A name stands for the whole, because nothing puts brackets around one.
        return ast.Name(f"f{quote}{text}{quote}")

    def _part(self, node: ast.expr) -> str:
        """A part of an f-string: text, an expression in braces, or the parts of a format."""
        if isinstance(node, ast.Constant):
            return node.value.replace("{", "{{").replace("}", "}}")
        if isinstance(node, ast.JoinedStr):
            return "".join(map(self._part, node.values))
        value = ast.unparse(self.visit(node.value))
        if isinstance(node.value, (ast.IfExp, ast.Lambda)):
            value = f"({value})"
        conversion = "" if node.conversion == -1 else f"!{chr(node.conversion)}"
        form = "" if node.format_spec is None else f":{self._part(node.format_spec)}"
        return f"{{{' ' * value.startswith('{')}{value}{conversion}{form}}}"


def _escaped(sign: str) -> str:
    return sign if sign.isprintable() and sign != "\\" else sign.encode("unicode_escape").decode()


def processor() -> str:
    """The processor's name and the cores that this process may use: "2 cores", or "1 of 2 cores" where it is pinned."""
    name = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).is_file() and (found := re.search(r"model name\s*:\s*(.+)", info.read_text())):
        name = found.group(1)
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    counted = f"{usable} of {cores}" if usable < cores else f"{usable}"
    return f"{name}, {counted} core{'s' * (max(usable, cores) > 1)}"


def commit() -> str | None:
    """The checkout's commit, marked where tracked files other than results differ; None outside a checkout."""
    if (root := project_root()) is None:
        return None
    git = ["git", "-C", str(root)]
    changes = ["status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)results"]
    try:
        name, changed = (
            subprocess.run([*git, *arguments], capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (["rev-parse", "--short=12", "HEAD"], changes)
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{name}-dirty" if changed else name


def peak_memory_mib() -> float | None:
    """Most memory that this process has held so far, in MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)


def versions() -> dict[str, str]:
    """Versions of Python and Keras, the name of the backend that Keras runs on, and under that name its version."""
    import keras  # slow to import, and only those who compute need it

    backend = keras.backend.backend()
    own = str(import_module(backend).__version__)
    return {"python": platform.python_version(), "keras": version("keras"), "backend": backend, backend: own}


def origin(table: pd.DataFrame) -> dict:
    """What every record says of where a result comes from: cohort, code, versions, processor.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    """
    return {
        "cohort": {
            "fingerprint": table.attrs["fingerprint"],
            "patients": int(table["patient"].nunique()),
            "slices": len(table),
            "tumour_slices": int((table["tumour_px"] > 0).sum()),
            "synthetic": bool(table["synthetic"].all()),
        },
        "commit": commit(),
        "versions": versions(),
        "processor": processor(),
    }
