"""A fleet that was synced once, and the application that serves it; tests that change nothing of it share them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudsync_tests.api.builders import Process, Served, a_fleet_with_held_deletes, a_process, serve
from cloudsync_tests.cli.builders import forget_logging
from cloudsync_tests.cli.conftest import place

__all__ = ["place"]


@pytest.fixture(autouse=True)
def _no_dagster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", "CLOUDSYNC_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`photos` is synced and reads an inbox, `held` waits for approval, `new` was never synced, `broken` cannot be."""
    place = a_fleet_with_held_deletes(tmp_path_factory.mktemp("served"))
    objects = {f"2026/{n:02}.jpg": "x" * n for n in range(1, 8)}
    place.local("photos", {**objects, "clash/a": "a", "notes.txt": "n"}, "feed: {type: inbox}\n")
    # A file cannot stand where a folder does: it goes into quarantine.
    (place.folder / "files" / "photos" / "notes.txt").mkdir(parents=True)
    (place.folder / "files" / "photos" / "notes.txt" / "inside").write_text("in the way")
    place.run("initial-sync", "-i", "photos", "--direct")
    place.local("new")
    place.integration("broken", "storage: {type: local}\n")
    with serve(place, local_only=False) as running:
        yield running
    forget_logging()


@pytest.fixture(scope="session")
def process(served: Served) -> Iterator[Process]:
    """The same fleet, served by a process of its own."""
    with a_process(served.place) as running:
        yield running
