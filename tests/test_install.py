"""Where a notebook may be opened: Colab, Binder, a bare JupyterLab, and for chapters 1 to 4 without any networks."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name
from test_requirements import CORE, EXTRAS, ROOT, imported

from brainseg.publishing import pair
from brainseg.publishing.notebooks import find_notebooks, read_source, unpaired, with_address

SOURCES = {name: read_source(path) for name, path in find_notebooks(ROOT / "notebooks").items()}
WITHOUT_NETWORKS = [name for name in SOURCES if name < "05" or name[:2] in ("12", "13", "15", "16")]
ADDRESS = "https://example.org/someone/study"


def install_cell(name, address=None):
    return with_address(SOURCES[name], address).cells[1]


@pytest.mark.parametrize("name", SOURCES)
def test_the_first_cell_installs_the_package_where_it_is_missing(name, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ran.append(command))
    monkeypatch.setattr(sys, "path", [*sys.path])
    cell = install_cell(name)
    assert cell.metadata["tags"] == ["install", "remove-cell"], "the cell below the title is not the one that installs"
    exec(cell.source, {})
    assert not ran, "the package is here, and it installs"
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e .*restart the kernel"):
        exec(cell.source, {})
    assert not ran
    exec(install_cell(name, ADDRESS).source, {})
    install = [sys.executable, "-m", "pip", "install", "--quiet"]
    if name in ("15_results", "16_synthetic", "17_phantoms"):  # it reads what an installed package does not have
        copy = "brainseg-project"
        assert ran == [["git", "clone", "--quiet", "--depth", "1", ADDRESS, copy], [*install, "-e", copy]]
        assert sys.path[0] == copy
    else:
        extra = "" if name in WITHOUT_NETWORKS else "[networks]"
        assert ran == [[*install, f"brainseg{extra} @ git+{ADDRESS}"]]
    assert "restart the kernel" in capsys.readouterr().out


def test_chapters_that_train_nothing_import_no_networks():
    lines = []
    for name in WITHOUT_NETWORKS:
        for cell in SOURCES[name].cells:
            if cell.cell_type == "code":
                lines += [
                    ast.unparse(n) for n in ast.parse(cell.source).body if isinstance(n, ast.Import | ast.ImportFrom)
                ]
    assert len(WITHOUT_NETWORKS) == 8 and any("brainseg.metrics" in line for line in lines)
    blocked = 'import sys\nsys.modules["tensorflow"] = sys.modules["keras"] = None\n'
    done = subprocess.run([sys.executable, "-c", blocked + "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [sys.executable, "-c", blocked + "import brainseg.networks.models"], capture_output=True, text=True
    )
    assert "ModuleNotFoundError" in done.stderr, "the block does not block"


def test_the_package_declares_what_it_and_the_notebooks_import():
    distributions = packages_distributions()
    declared = {
        canonicalize_name(requirement.name)
        for requirement in (*CORE, *EXTRAS["networks"], *EXTRAS["cluster"], *EXTRAS["volumes"])
    }
    used = {*imported("notebooks"), *imported("brainseg", but=("publishing", "__main__.py"))}
    for name in used - {"brainseg", "IPython", *sys.stdlib_module_names}:  # where a notebook runs, there is IPython
        own = {canonicalize_name(one) for one in distributions.get(name, [])}
        assert declared & own, f"pyproject.toml does not name the package of {name}"
    core = {canonicalize_name(requirement.name) for requirement in CORE}
    assert not {"tensorflow", "keras", "jupyter-book", "pytest", "ipykernel"} & core


def test_a_pair_knows_the_address_and_is_a_pair_still(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_REPOSITORY", ADDRESS)
    (tmp_path / "01_explore.py").write_text(
        (ROOT / "notebooks" / "01_explore.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (written,) = pair(tmp_path)
    assert re.search(r'repository = \\"https://example.org/someone/study\\"', written.read_text(encoding="utf-8"))
    assert unpaired(tmp_path) == [] and pair(tmp_path) == []
    assert "example.org" not in install_cell("01_explore").source
