"""The pages on the package."""

from __future__ import annotations

import re

from brainseg.paths import project_root


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
