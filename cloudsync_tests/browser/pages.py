"""The pages of Dagster's web UI that the project's users look at, opened, waited for, and read.

Each call opens a page and returns once the page shows what it is about. Tests look at what it returns;
`screenshots` takes a picture then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from cloudsync_pipeline.assets.common import GROUP
from cloudsync_pipeline.demo.world import LOCATION
from cloudsync_tests.browser import scripts

T = TypeVar("T")

WITHIN = 40.0
"""Seconds after which a page counts as broken."""
_POLL = 0.25
# React puts new elements in place of old ones whenever it likes.
_PASSING = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
_FOLDED = "[Show Markdown]"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Graph:
    """The assets of the graph with the text of their boxes, and its edges from one asset to another."""

    assets: Mapping[str, str]
    edges: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Run:
    """A run: its status as Dagster names it, and its steps by what became of them ("Succeeded", "Errored", ...)."""

    status: str
    steps: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Plot:
    """The line of a plot: the part of the plot's width and of its height that it takes, 0 to 1."""

    width: float
    height: float


Table = list[list[str]]


class WebInterface:
    """Dagster's web UI.

    Args:
        url: of the web server, without a slash at the end.
    """

    def __init__(self, browser: WebDriver, url: str) -> None:
        self.browser = browser
        self._url = url

    def asset_graph(self) -> Graph:
        """The lineage of the project's asset group."""
        self._open(f"/locations/{LOCATION}/asset-groups/{GROUP}")
        found = self._read("a graph whose assets have all been asked about", scripts.GRAPH)
        boxes = {box["text"].splitlines()[0]: box for box in found["boxes"]}
        return Graph(
            {name: box["text"] for name, box in boxes.items()},
            frozenset(_ends(edge, boxes) for edge in found["edges"]),
        )

    def run(self, run_id: str) -> Run:
        """One run, with the list of its steps unfolded."""
        self._open(f"/runs/{run_id}")
        found = self._read("a run's steps", scripts.RUN)
        steps = {name: frozenset(steps) for name, steps in found["steps"].items()}
        return Run(found["status"], steps)

    def tags_of_run(self, run_id: str) -> frozenset[str]:
        """The tags of one run, as `name: value`."""
        self._open(f"/runs/{run_id}")
        self._click("//button[contains(., 'View tags and config')]")
        return frozenset(self._read("a run's tags", scripts.TAGS))

    def partitions(self, asset: str) -> Mapping[str, str]:
        """The partitions of an asset that the page counts, by state ("Materialized", "Missing", ...)."""
        self._open(f"/assets/{asset}?view=partitions")
        return dict(self._read("counted partitions", scripts.PARTITIONS))

    def metadata(self, asset: str, partition: str) -> Mapping[str, str | Table]:
        """What the newest materialization of a partition says of itself; tables as rows, the first being the head."""
        self._open(f"/assets/{asset}?view=partitions&partition={quote(partition)}")
        return self._entries()

    def latest_metadata(self, asset: str) -> Mapping[str, str | Table]:
        """As `metadata`, of the newest materialization of all, in the overview, scrolled to."""
        self._open_metadata(asset)
        return self._entries()

    def plots(self, asset: str) -> Mapping[str, Plot]:
        """The numbers of an asset's materializations over time, by name, in the overview, scrolled to."""
        self._open_metadata(asset)
        self._click("//button[.//span[text()='Plots']]")
        # By partition is the default.
        self._click("//button[.//span[text()='Events']]")
        found = self._read("plots with a line each", scripts.PLOTS)
        return {plot["name"]: Plot(plot["width"], plot["height"]) for plot in found}

    def checks(self, asset: str) -> Mapping[str, str]:
        """The checks of an asset with their newest result ("Succeeded", "Failed", ...)."""
        self._open(f"/assets/{asset}?view=checks")
        return dict(self._read("checks with results", scripts.CHECKS))

    def fold_navigation(self) -> None:
        """Make room: fold the navigation at the left to its icons, for this and all later pages."""
        self._click("//*[text()='Hide navigation']")

    def press(self, text: str) -> None:
        """Press the button with this text."""
        self._click(f"//button[normalize-space(.)='{text}']")

    def _open_metadata(self, asset: str) -> None:
        self._open(f"/assets/{asset}")
        # Sections above it have hundreds of pixels; folding is what a person does, too.
        for section in ("Description", "Columns"):
            self._fold(section)

    def _entries(self) -> Mapping[str, str | Table]:
        entries: dict[str, str | Table] = dict(self._read("metadata", scripts.METADATA))
        for name, value in entries.items():
            if value == _FOLDED:
                entries[name] = self._in_dialog(name)
        return entries

    def _in_dialog(self, name: str) -> Table:
        """A table of 1,000 characters or more, which is not shown in its place."""
        self._click(f"//tr[td[1][normalize-space(.)='{name}']]//*[text()='{_FOLDED}']")
        table: Table = self._read("a dialog with a table", scripts.DIALOG)
        ActionChains(self.browser).send_keys(Keys.ESCAPE).perform()
        self._until("no dialog any more", lambda: not self.browser.find_elements(By.CSS_SELECTOR, "[role=dialog]"))
        return table

    def _fold(self, section: str) -> None:
        # The web UI remembers it for later pages.
        def fold() -> bool:
            button = self.browser.find_element(By.XPATH, f"//button[@aria-expanded][.//span[text()='{section}']]")
            if button.get_attribute("aria-expanded") == "true":
                button.click()
            return button.get_attribute("aria-expanded") == "false"

        self._until(f"a section to fold: {section}", fold)

    def _open(self, path: str) -> None:
        self.browser.get(self._url + path)

    def _read(self, what: str, script: str) -> Any:
        """What a script finds once it finds the same twice: pages fill up bit by bit, and plots are drawn slowly."""
        before = None

        def settled() -> Any:
            nonlocal before
            last, before = before, self.browser.execute_script(script)
            return before if before == last else None

        return self._until(what, settled)

    def _click(self, xpath: str) -> None:
        def click() -> bool:
            self.browser.find_element(By.XPATH, xpath).click()
            return True

        self._until(f"something to click: {xpath}", click)

    def _until(self, what: str, look: Callable[[], T | None]) -> T:
        """What `look` finds, once it finds something."""
        wait = WebDriverWait(self.browser, WITHIN, poll_frequency=_POLL, ignored_exceptions=_PASSING)
        try:
            return wait.until(lambda _: look())  # type: ignore[return-value] # not None: it waits until it is true
        except TimeoutException:
            shown = self.browser.execute_script("return document.body.innerText")
            raise AssertionError(
                f"{self.browser.current_url} did not show {what} within {WITHIN:.0f} s. It shows:\n{shown}"
            ) from None


def _ends(edge: str, boxes: Mapping[str, Mapping[str, float]]) -> tuple[str, str]:
    """The assets that an edge leads from and to: those whose right and left sides its path begins and ends at."""
    numbers = [float(number) for number in _NUMBER.findall(edge)]
    start, end = numbers[:2], numbers[-2:]

    def away(point: list[float], side: float, box: Mapping[str, float]) -> float:
        return abs(point[0] - side) + abs(point[1] - box["y"] - box["height"] / 2)

    source = min(boxes, key=lambda name: away(start, boxes[name]["x"] + boxes[name]["width"], boxes[name]))
    target = min(boxes, key=lambda name: away(end, boxes[name]["x"], boxes[name]))
    return source, target
