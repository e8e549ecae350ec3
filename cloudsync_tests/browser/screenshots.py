"""Makes the pictures of the documentation anew: `python -m cloudsync_tests.browser.screenshots`.

It starts what `cloudsync dev` starts, lets changes happen and syncs them through Dagster, and takes a picture of each
page. The tests of the web UI open the pages by the same calls, and so notice when one is no longer there.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from cloudsync_pipeline.demo import dagster_web, world
from cloudsync_pipeline.demo.changes import Changes, apply, changes, events
from cloudsync_pipeline.demo.names import UNHOLDABLE
from cloudsync_pipeline.demo.ports import free_ports
from cloudsync_pipeline.demo.sample import Sample, fill, samples
from cloudsync_pipeline.demo.world import WITH_FEED, WITHOUT_FEED, World
from cloudsync_tests.browser import chromium
from cloudsync_tests.browser.pages import WebInterface
from cloudsync_tests.browser.past import SEEDS

T = TypeVar("T")

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDTH, TALL = 1500, 1700
"""Of pages, in pixels; the second one is enough for everything that an asset shows of itself."""
GAP = 16
FIRST = {WITH_FEED: "initial-sync", WITHOUT_FEED: "initial-sync"}
AFTER_CHANGES = {WITH_FEED: "incremental-sync", WITHOUT_FEED: "reconcile"}
SHARES = (0.6, 1.0, 0.3, 0.8, 0.2, 0.5)
"""How much of the demonstration's changes happens before each sync, so that plots have a shape."""


def main() -> None:
    """Make the pictures."""
    [port] = free_ports(1)
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-", ignore_cleanup_errors=True) as folder,
        world.running(Path(folder)) as here,
    ):
        _let_nobody_else_sync(here)
        with dagster_web.running(here, port) as dagster:
            newest = _make_a_past(here)
            with chromium.running() as browser:
                take_pictures(WebInterface(browser, dagster.url), newest[WITH_FEED])


def take_pictures(web: WebInterface, run_id: str) -> None:
    """All of them, into the folder of the documentation's images."""
    browser = web.browser
    IMAGES.mkdir(parents=True, exist_ok=True)

    chromium.resize(browser, WIDTH, 560)
    web.asset_graph()
    web.fold_navigation()
    web.asset_graph()
    _save("asset-graph", _picture(browser))

    chromium.resize(browser, WIDTH, 1150)
    web.run(run_id)
    _save("run", _picture(browser))

    # Numbers and tables are two views of one place in the web UI: one below the other.
    chromium.resize(browser, WIDTH, TALL)
    web.plots("change_events")
    plots = _picture(browser, bottom=_position(browser, "document.querySelectorAll('canvas')[3]", "bottom") + GAP)
    web.latest_metadata("change_events")
    row = "[...document.querySelectorAll('tr')].find(row => row.querySelector('table'))"
    # The table is as wide as its widest row, and the page shows as much of it as there is room for.
    shown = "[...document.querySelectorAll('button')].find(button => button.innerText.trim() === 'Plots')"
    top, bottom, right = (_position(browser, *one) for one in ((row, "top"), (row, "bottom"), (shown, "right")))
    table = _picture(browser, top=top - 1, bottom=bottom + 1, right=right + 1)
    _save("asset-metadata", _stacked(browser, [plots, table]))


def _picture(browser: WebDriver, *, top: int = 0, bottom: int | None = None, right: int = WIDTH) -> str:
    """A part of the page that the browser shows, in pixels, as base64 of a PNG."""
    height = (bottom or browser.execute_script("return innerHeight")) - top
    clip = {"x": 0, "y": top, "width": right, "height": height, "scale": 1}
    picture: str = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})["data"]
    return picture


def _position(browser: WebDriver, element: str, side: str) -> int:
    position: float = browser.execute_script(f"return {element}.getBoundingClientRect().{side}")
    return round(position)


def _stacked(browser: WebDriver, pictures: Sequence[str]) -> str:
    """Pictures one below the other, as one."""
    browser.get("about:blank")
    images = "".join(f'<img src="data:image/png;base64,{one}" style="display: block">' for one in pictures)
    browser.execute_script("document.body.style.margin = 0; document.body.innerHTML = arguments[0]", images)
    loaded = "return [...document.images].every(image => image.complete && image.naturalWidth)"
    WebDriverWait(browser, 10).until(lambda _: browser.execute_script(loaded))
    return _picture(browser, bottom=_position(browser, "[...document.images].at(-1)", "bottom"))


def _save(name: str, picture: str) -> None:
    (IMAGES / f"{name}.png").write_bytes(base64.b64decode(picture))


def _let_nobody_else_sync(here: World) -> None:
    """A scheduled sync that finds nothing to do would be the newest in the pictures."""
    document = yaml.safe_load(here.config.read_text(encoding="utf-8"))
    document["defaults"]["sync"] = {"interval": "1d", "initial_sync_on_startup": False}
    here.config.write_text(yaml.safe_dump(document), encoding="utf-8")


def _make_a_past(here: World) -> dict[str, str]:
    """Two integrations, changed and synced a few times; the newest run of each."""
    s3 = here.storage.client()
    # A fleet in good health: no names that a folder cannot hold.
    left = {name: [one for one in samples(seed) if one.key not in UNHOLDABLE] for name, seed in SEEDS.items()}
    for name, objects in left.items():
        s3.create_bucket(Bucket=name)
        fill(s3, name, objects)
    newest = _sync(here, FIRST)
    for number, share in enumerate(SHARES):
        for name in SEEDS:
            wanted = _part(changes(left[name], 100 + number, permissions=name == WITH_FEED), share)
            apply(s3, name, wanted)
            if name == WITH_FEED:
                here.server.publish(*events(wanted, name))
            left[name] = _without(left[name], wanted)
        newest = _sync(here, AFTER_CHANGES)
    return newest


def _sync(here: World, commands: dict[str, str]) -> dict[str, str]:
    """Sync all side by side, as runs that Dagster starts; their ids."""
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", "cloudsync_pipeline.cli", command, "--integration", name, "--json"],
            env=here.environment,
            stdout=subprocess.PIPE,
        )
        for name, command in commands.items()
    }
    answers = {name: json.loads(process.communicate()[0]) for name, process in running.items()}
    for name, process in running.items():
        assert process.returncode == 0, f"{name}: {answers[name]}"
    return {name: answer["integrations"][0]["run_id"] for name, answer in answers.items()}


def _part(whole: Changes, share: float) -> Changes:
    def of(items: Sequence[T]) -> list[T]:
        return list(items)[: round(len(items) * share)]

    return replace(
        whole,
        created=of(whole.created),
        overwritten=of(whole.overwritten),
        deleted=of(whole.deleted),
        renamed=dict(of(list(whole.renamed.items()))),
        permissions=dict(of(list(whole.permissions.items()))),
    )


def _without(objects: Sequence[Sample], wanted: Changes) -> list[Sample]:
    gone: set[Any] = {*wanted.deleted, *wanted.renamed}
    return [one for one in objects if one.key not in gone]


if __name__ == "__main__":
    main()
