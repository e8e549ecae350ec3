"""A fleet whose alerts go to receivers of one test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.alerts import Outcome, tell
from cloudsync_pipeline.config import Fleet, load_fleet
from cloudsync_pipeline.control import Counts, RunResult
from cloudsync_tests.alerts.receivers import PASSWORD, Hook, Inbox, mail_server
from cloudsync_tests.cli.builders import Place, a_place, forget_logging
from cloudsync_tests.devserver.certificates import Authority


@dataclass
class Alerted:
    """A fleet with receivers; `at` is the time that a round is told."""

    place: Place
    hook: Hook
    inbox: Inbox
    at: datetime

    def load(self) -> Fleet:
        return load_fleet(self.place.config)

    def add(self, *names: str, extra: str = "") -> None:
        for name in names:
            self.place.local(name, extra=extra)
        with wiring.open_control(self.load().settings) as control:
            for name in names:
                control.ensure(name, now=self.at)

    def ended(self, *names: str, verdict: str, held: int = 0, **results: Any) -> None:
        """Runs of integrations that ended just now."""
        counts = Counts(owed=3, quarantined=1, held=held)
        with wiring.open_control(self.load().settings) as control:
            for name in names:
                run = RunResult(f"run-{self.at:%H%M%S}", name, "incremental", verdict, self.at, self.at, results)
                control.record_result(run, counts=counts)

    def round(self, *, after: float = 60, within: float = 20) -> dict[str, Outcome]:
        """What one round did, some seconds later."""
        self.at += timedelta(seconds=after)
        fleet = self.load()
        outcomes = tell(fleet, lambda: wiring.open_control(fleet.settings), self.at, within=within)
        return {one.channel: one for one in outcomes}


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    yield
    forget_logging()


@pytest.fixture
def hook() -> Iterator[Hook]:
    endpoint = Hook()
    try:
        yield endpoint
    finally:
        endpoint.close()


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def alerted(tmp_path: Path, hook: Hook, authority: Authority) -> Iterator[Alerted]:
    """A fleet without integrations whose alerts go to a webhook and by mail."""
    certificate, key = authority.issue("mail")
    with mail_server(certificate, key) as (inbox, port):
        settings = (
            "alerts:\n"
            f"  webhook: {{url: '{hook.url}', mentions: {{the photo team: '<!subteam^S1>'}}, timeout: 15}}\n"
            f"  email: {{host: 127.0.0.1, port: {port}, user: sync, password: {PASSWORD}, from: sync@example.com,\n"
            f"          to: [ops@example.com, lead@example.com], ca_file: {authority.certificate}}}\n"
            "  dagster_url: https://dagster.example.com/\n"
        )
        yield Alerted(a_place(tmp_path, settings), hook, inbox, datetime.now(UTC).replace(microsecond=0))
