"""A fleet on PostgreSQL, and a process with another state folder, as on another machine, that writes to it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from cloudsync_tests.cli.builders import Place, a_place, forget_logging
from cloudsync_tests.control import postgres
from cloudsync_tests.control.holding import another_process

FILES = 3


@pytest.fixture
def url(postgres_server: sa.URL) -> str:
    return postgres.emptied(postgres_server)


@pytest.fixture
def place(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A fleet with a plan that holds its deletes."""
    for name in ("DAGSTER_HOME", "CLOUDSYNC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    place = a_place(tmp_path)
    place.config.write_text(f"database: {{path: state, url: '{url}'}}\n", encoding="utf-8")
    source = place.local("one", {f"{number}.txt": "content" for number in range(FILES)})
    assert place.run("initial-sync").code == 0
    for file in source.iterdir():
        file.unlink()
    assert place.run("reconcile").code == 4
    yield place
    forget_logging()


@pytest.fixture
def writer(place: Place, url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the integration, as on another machine."""
    elsewhere = place.folder / "elsewhere"
    with another_process(elsewhere, "one", run_id="sync-7", purpose="a sync", url=url) as process:
        yield process


def test_whoever_decides_or_verifies_is_told_who_the_writer_is_on_the_other_machine(
    place: Place, writer: subprocess.Popen[str]
) -> None:
    restore = ("restore", "--in-place", "--at", "2026-01-01T00:00:00Z", "--yes")
    decides = (("plan", "approve", "--yes"), ("plan", "reject", "--yes"), ("retry",))
    for command in (*decides, ("verify",), ("reconcile",), ("maintenance",), restore):
        ran = place.run(*command, "-i", "one")
        assert ran.code == 7, command
        for told in ("Run sync-7", "a sync", f"process {writer.pid}"):
            assert told in ran.err, command
    holder = place.run("status", "-i", "one", "--json").json()["integrations"][0]["holder"]
    assert (holder["run_id"], holder["pid"], holder["alive"]) == ("sync-7", writer.pid, True)
    assert len(place.files("one")) == FILES
