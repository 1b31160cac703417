"""What a result comes from: the code that made it, and the processor that it ran on."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import subprocess
from pathlib import Path

from brainseg.paths import project_root


def code_digest(*paths: str | Path) -> str:
    """Sixteen hexadecimal digits that change with the code of the files, and with their order.

    Comments, docstrings and layout do not count, so that a better explanation makes no result stale.
    """
    digest = hashlib.sha256()
    for path in paths:
        tree = _WithoutText().visit(ast.parse(Path(path).read_text(encoding="utf-8")))
        digest.update(ast.unparse(tree).encode() + b"\0")
    return digest.hexdigest()[:16]


class _WithoutText(ast.NodeTransformer):
    """Takes out every text that stands alone: docstrings, and those below a constant."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if alone else node


def processor() -> str:
    """The processor's name and the cores that this process may use."""
    name = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).is_file() and (found := re.search(r"model name\s*:\s*(.+)", info.read_text())):
        name = found.group(1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def commit() -> str | None:
    """The checkout's commit, with a mark where tracked files other than results differ from it; None outside a checkout."""
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
