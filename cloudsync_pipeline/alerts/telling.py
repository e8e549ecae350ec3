"""One round: look at the fleet, and tell each channel what is news to it. What is not delivered is news next time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cloudsync_pipeline.alerts.changes import Change, State, changes
from cloudsync_pipeline.alerts.conditions import Condition, conditions
from cloudsync_pipeline.alerts.mail import Mail
from cloudsync_pipeline.alerts.texts import SINGLE, About, Message, digest, single
from cloudsync_pipeline.config import Fleet
from cloudsync_pipeline.config.alerting import AlertSettings
from cloudsync_pipeline.control import Control, Integration
from cloudsync_pipeline.control.control import RUNNING
from cloudsync_pipeline.core.errors import CloudSyncError

log = logging.getLogger(__name__)

WITHIN = 30.0
"""Seconds that a round may take: a sensor's tick has sixty."""


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str: ...

    def send(self, message: Message) -> None:
        """Deliver a message.

        Raises:
            CloudSyncError: it was not delivered.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round did by one channel.

    Attributes:
        told: integrations of which it told.
        error: why it could not tell of the others.
    """

    channel: str
    told: tuple[str, ...] = ()
    error: str | None = None


def channels(settings: AlertSettings | None) -> list[Channel]:
    """The channels that are configured."""
    # Definitions load this module, and no HTTP layer.
    from cloudsync_pipeline.alerts.webhook import Webhook

    found: list[Channel] = []
    if settings is not None and settings.webhook is not None:
        found.append(Webhook(settings.webhook))
    if settings is not None and settings.email is not None:
        found.append(Mail(settings.email))
    return found


def tell(fleet: Fleet, open_control: Callable[[], Control], now: datetime, *, within: float = WITHIN) -> list[Outcome]:
    """Tell of what began or ended since each channel told last.

    Channels work side by side, so that one that hangs keeps no other from telling; one that is still at work when the
    time is over goes on, and is left out of the next rounds until it ends.

    Args:
        open_control: opens the fleet's control database; each channel has its own.
        within: seconds.

    Raises:
        StateError: the control database cannot be read.
    """
    settings = fleet.settings.alerts
    ways = channels(settings)
    if settings is None or not ways:
        return []
    with open_control() as control:
        known = {one.name: one for one in control.list()}
    # What could never be used is not known there, and somebody waits for its first sync.
    never = {name: {Condition.UNUSABLE: now} for name in fleet.errors.keys() - known.keys()}
    state: State = never | {name: conditions(fleet, one, now) for name, one in known.items()}
    rounds = [_Round(way, fleet, settings, open_control, state, known, now) for way in ways]
    until = time.monotonic() + within
    for one in rounds:
        one.start()
    for one in rounds:
        one.wait(until)
    return [one.outcome for one in rounds]


_starting = threading.Lock()
_at_work: dict[str, threading.Thread] = {}
"""By configuration and channel, the thread of its last round."""


class _Round:
    """One channel's part of a round, in a thread of its own."""

    def __init__(
        self,
        way: Channel,
        fleet: Fleet,
        settings: AlertSettings,
        open_control: Callable[[], Control],
        state: State,
        known: Mapping[str, Integration],
        now: datetime,
    ) -> None:
        self._way = way
        self._fleet = fleet
        self._settings = settings
        self._open_control = open_control
        self._state = state
        self._known = known
        self._now = now
        self._thread: threading.Thread | None = None
        self._told: list[str] = []
        self._error: str | None = None

    @property
    def outcome(self) -> Outcome:
        return Outcome(self._way.name, tuple(self._told), self._error)

    def start(self) -> None:
        key = f"{self._fleet.file}/{self._way.name}"
        with _starting:
            before = _at_work.get(key)
            if before is not None and before.is_alive():
                self._error = "It is still busy with what it had to tell before."
                return
            self._thread = threading.Thread(target=self._work, name=f"alerts {self._way.name}", daemon=True)
            _at_work[key] = self._thread
            self._thread.start()

    def wait(self, until: float) -> None:
        if self._thread is None:
            return
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            self._error = "It took longer than a round may."

    def _work(self) -> None:
        try:
            with self._open_control() as control:
                told = control.alerts.told(self._way.name)
                news = changes(self._state, told, self._settings.conditions, self._under_way())
                about = {one.integration: self._about(control, one) for one in news}
                for group, message in _messages(self._spoken(control, news), about, self._now):
                    self._way.send(message)
                    self._note(control, group)
                    self._told += [one.integration for one in group]
        except CloudSyncError as error:
            log.warning("%s could not be told: %s", self._way.name, error)
            self._error = str(error)

    def _spoken(self, control: Control, news: Sequence[Change]) -> list[Change]:
        """Those to tell of. That nobody looks at an integration any more is no recovery: it is only noted."""
        silent = [one for one in news if one.recovered and not self._watched(one.integration)]
        if silent:
            self._note(control, silent)
        return [one for one in news if one not in silent]

    def _under_way(self) -> set[str]:
        return {name for name, one in self._known.items() if one.last_verdict == RUNNING and self._watched(name)}

    def _watched(self, name: str) -> bool:
        one = self._known.get(name)
        return name in self._fleet.integrations and (one is None or one.state == "active")

    def _note(self, control: Control, group: Sequence[Change]) -> None:
        control.alerts.note(
            self._way.name,
            begun={(one.integration, condition): since for one in group for condition, since in one.begun.items()},
            over=[(one.integration, condition) for one in group for condition in one.over],
            at=self._now,
        )

    def _about(self, control: Control, change: Change) -> About:
        name = change.integration
        config, one = self._fleet.integrations.get(name), self._known.get(name)
        broken = self._fleet.errors.get(name)
        url = self._settings.dagster_url
        return About(
            owner=config.owner if config else None,
            error=str(broken) if broken else _reason(control, name),
            counts=(one.owed, one.quarantined, one.held) if one else (0, 0, 0),
            run_id=one.last_run_id if one else None,
            link=f"{url}/runs/{one.last_run_id}" if url and one and one.last_run_id else None,
        )


def _messages(
    news: Sequence[Change], about: Mapping[str, About], now: datetime
) -> Iterator[tuple[Sequence[Change], Message]]:
    if len(news) > SINGLE:
        yield news, digest([(one, about[one.integration]) for one in news])
        return
    for one in news:
        yield [one], single(one, about[one.integration], now)


def _reason(control: Control, name: str) -> str | None:
    """Why the last run did not end well, as it said itself."""
    for result in control.results(name, limit=1):
        if result.results.get("error"):
            return str(result.results["error"])
        errors = result.results.get("errors") or [{}]
        return str(errors[0].get("error")) if errors[0].get("error") else None
    return None
