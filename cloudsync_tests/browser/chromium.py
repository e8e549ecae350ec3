"""A browser without a window, with a profile of its own that is thrown away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"
WIDTH, HEIGHT = 1500, 1100
"""The page's size in pixels."""

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # A container's /dev/shm is small, and a page that does not fit into it crashes.
    "--disable-dev-shm-usage",
)


def missing() -> str | None:
    """What has to be installed before a browser can be started; None for nothing."""
    if _browser() is None:
        return f"no browser is installed (one of {', '.join(BROWSERS)})"
    if shutil.which(DRIVER) is None:
        return f"{DRIVER} is not installed"
    return None


@contextmanager
def running() -> Iterator[WebDriver]:
    """A browser for the length of a `with` block. `missing` tells whether there is one."""
    options = Options()
    options.binary_location = _browser() or ""
    # A proxy for the outside must not be asked for this machine.
    options.add_argument("--no-proxy-server")
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        # With its path given, Selenium neither searches for a driver nor downloads one.
        browser = webdriver.Chrome(options=options, service=Service(shutil.which(DRIVER)))
        try:
            browser.set_page_load_timeout(60)
            resize(browser, WIDTH, HEIGHT)
            yield browser
        finally:
            browser.quit()


def resize(browser: WebDriver, width: int, height: int) -> None:
    """Give the page itself this size in pixels; a window's size includes what is around the page."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)
