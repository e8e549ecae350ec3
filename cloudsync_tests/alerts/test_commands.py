"""Alerts as a person and as the schedulers use them."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest

from cloudsync_pipeline.cli import daemon_loop
from cloudsync_pipeline.sensors.alerts import alerts
from cloudsync_tests.alerts.conftest import Alerted
from cloudsync_tests.cli.builders import a_place
from cloudsync_tests.dagster_fleet import a_fleet, tick


def test_a_test_message_arrives_and_what_was_told_is_listed(alerted: Alerted) -> None:
    ran = alerted.place.run("alerts", "test")
    assert (ran.code, ran.out) == (0, "ok    webhook: sent\nok    email: sent\n")
    assert alerted.hook.texts == ["cloudsync: a test message"]
    assert alerted.inbox.got[0]["Subject"] == "cloudsync: a test message"
    assert "nothing is told" in alerted.place.run("alerts", "list").out
    alerted.add("photos")
    alerted.ended("photos", verdict="failed")
    alerted.round()
    assert "photos: failed since" in alerted.place.run("alerts", "list").out
    listed = alerted.place.run("alerts", "list", "--json").json()["alerts"]
    assert [(one["integration"], one["channel"], one["condition"]) for one in listed] == [
        ("photos", "email", "failed"),
        ("photos", "webhook", "failed"),
    ]


def test_without_alerts_it_says_what_to_write(tmp_path: Path) -> None:
    ran = a_place(tmp_path).run("alerts", "test")
    assert (ran.code, "`alerts:`" in ran.err) == (5, True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{webhook: {url: 'hooks.example.com/x'}}", "alerts.webhook.url"),
        ("{email: {host: mail, to: [ops@example.com]}}", "alerts.email.from: is missing"),
        ("{email: {host: mail, from: 'sync', to: [ops@example.com]}}", "a mail address"),
        ("{email: {host: mail, from: a@b.c, to: [d@e.f], tls: none, user: u, password: p}}", "starttls"),
        ("{conditions: [everything]}", "alerts.conditions[0]"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, text: str, told: str) -> None:
    ran = a_place(tmp_path, f"alerts: {text}\n").run("alerts", "list")
    assert ran.code == 5
    assert told in ran.err


def test_the_sensor_tells_how_real_runs_ended(tmp_path: Path, alerted: Alerted) -> None:
    folder = tmp_path / "fleet"
    folder.mkdir()
    with a_fleet(folder, "acme") as fleet:
        (folder / "cloudsync.yaml").write_text(alerted.place.config.read_text())
        (folder / "files").mkdir()
        ends = f"{{type: local, path: {folder / 'source'}}}\nfile_manager: {{type: local, path: {folder / 'files'}}}"
        fleet.write("acme", f"storage: {ends}\n")
        said = []
        assert not fleet.run("initial_sync", "acme").success
        said += [tick(alerts, fleet), tick(alerts, fleet)]
        (folder / "source").mkdir()
        assert fleet.run("initial_sync", "acme").success
        said += [tick(alerts, fleet)]
    assert [one.skip_message for one in said] == [
        "webhook told of acme; email told of acme",
        "There is no news.",
        "webhook told of acme; email told of acme",
    ]
    assert alerted.hook.texts == ["cloudsync: acme is failed", "cloudsync: acme is well again"]
    assert str(folder / "source") in alerted.hook.got[0]["attachments"][0]["text"]
    assert len(alerted.inbox.got) == 2


def test_the_daemon_tells_too(alerted: Alerted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    alerted.place.local("fine", {"a.txt": "alpha"})
    shutil.rmtree(alerted.place.local("gone"))

    async def until_told() -> None:
        daemon = asyncio.create_task(daemon_loop.run(alerted.load, side_by_side=2, tick=0.1))
        deadline = time.monotonic() + 120
        while not (alerted.hook.got and alerted.inbox.got) and time.monotonic() < deadline:
            assert not daemon.done()
            await asyncio.sleep(0.05)
        daemon.cancel()
        with suppress(asyncio.CancelledError):
            await daemon

    asyncio.run(until_told())
    assert alerted.hook.texts == ["cloudsync: gone is failed"]
    assert len(alerted.inbox.got) == 1
