"""What the tests of the pages share: a browser, and the book.

The browser is Debian's Chromium. Without one its tests are skipped, except where BRAINSEG_BROWSER=required.
"""

from pathlib import Path

import pytest
from browsing import chromium, serving

from brainseg.paths import locked


@pytest.fixture(scope="session")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def smoke_book(phantom, build_of_all) -> Path:
    """The page to start from of the project's own book in the smoke profile, which one worker makes for all."""
    from brainseg.publishing import make_book

    page = build_of_all / "site" / "index.html"
    with locked(build_of_all / "smoke-book"), pytest.MonkeyPatch.context() as patch:
        if not page.is_file():
            patch.setenv("BRAINSEG_BUILD", str(build_of_all))
            made, results = make_book("smoke")
            assert made == page and "ResUNet" in results and "fresh patients" in results
    return page


@pytest.fixture(scope="session")
def server(smoke_book, tmp_path_factory):
    """The book's address on this machine, below a path as on a project's pages, where an absolute link would break."""
    above = tmp_path_factory.mktemp("server")
    (above / "someone").mkdir()
    (above / "someone" / "study").symlink_to(smoke_book.parent, target_is_directory=True)

    with serving(above) as address:
        yield f"{address}/someone/study"
