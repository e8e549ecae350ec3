"""One browser and one world for all tests of the web UI."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from cloudsync_tests.browser import chromium
from cloudsync_tests.browser.pages import WebInterface
from cloudsync_tests.browser.past import Past, a_world_with_a_past


@pytest.fixture(scope="package")
def _browser_is_installed() -> None:
    """On a developer's machine without a browser the tests are skipped; CI has one, or is broken."""
    missing = chromium.missing()
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"The web UI cannot be tested: {missing}.")
    if missing:
        pytest.skip(f"{missing}; with CI=true this is a failure")


@pytest.fixture(scope="package")
def past(_browser_is_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    with a_world_with_a_past(tmp_path_factory.mktemp("world")) as past:
        yield past


@pytest.fixture(scope="package")
def web(past: Past) -> Iterator[WebInterface]:
    with chromium.running() as browser:
        yield WebInterface(browser, past.url)
