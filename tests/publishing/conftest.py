"""The browser that the tests of the pages share."""

import pytest
from browsing import chromium


@pytest.fixture(scope="session")
def browser():
    with chromium() as browser:
        yield browser
