"""How news reads: a subject and lines of plain text, the same by every channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cloudsync_pipeline.alerts.changes import Change
from cloudsync_pipeline.alerts.conditions import Condition

SINGLE = 5
"""More news than this at once (a storage that went down) become one message."""
_LISTED = 30
_LONGEST = 600

_MEANS = {
    Condition.FAILED: "the last sync failed",
    Condition.UNUSABLE: "its configuration cannot be used",
    Condition.OVERDUE: "no sync has been completed in time",
    Condition.HELD: "the delete guard holds deletes",
    Condition.PARTIAL: "some operations failed",
}
_DO = {
    Condition.HELD: "cloudsync plan show {name}, then cloudsync plan approve or reject",
    Condition.OVERDUE: "cloudsync status -i {name}; is the scheduler running, or does a run hang?",
    Condition.PARTIAL: "cloudsync status -i {name} lists what failed; it stays owed and is tried again",
    Condition.UNUSABLE: "correct its file; cloudsync test -i {name} checks it",
    Condition.FAILED: "cloudsync test -i {name} checks every connection",
}


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an integration besides its news.

    Attributes:
        error: why its last sync failed, or why its file cannot be used.
        counts: owed, quarantined, held paths.
        run_id: of the last run; `link` leads to it.
    """

    owner: str | None = None
    error: str | None = None
    counts: tuple[int, int, int] = (0, 0, 0)
    run_id: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        subject: one line.
        lines: plain text, one line each.
        good: everything that it tells of is well again.
        owners: of the integrations in it, each once.
    """

    subject: str
    lines: tuple[str, ...]
    good: bool
    owners: tuple[str, ...] = ()


def single(change: Change, about: About, now: datetime) -> Message:
    """The message about one integration."""
    lines = []
    for condition, since in change.begun.items():
        lines.append(f"{condition.value}: {_MEANS[condition]}, since {_time(since)}")
    lines += [f"{one.value}: still" for one in change.still]
    for condition, since in change.over.items():
        lines.append(f"over: {condition.value}, after {_span(now - since)}")
    if about.error and not change.recovered:
        lines.append(f"reason: {one_line(about.error)}")
    owed, quarantined, held = about.counts
    lines.append(f"paths: {owed} owed, {quarantined} quarantined, {held} deletes held")
    lines += [f"what to do: {_DO[one].format(name=change.integration)}" for one in list(change.begun)[:1]]
    if about.owner:
        lines.append(f"owner: {one_line(about.owner)}")
    if about.run_id:
        lines.append(f"run: {about.link or about.run_id}")
    return Message(_subject(change), tuple(lines), change.recovered, (about.owner,) if about.owner else ())


def digest(news: Sequence[tuple[Change, About]]) -> Message:
    """One message about many integrations."""
    bad = [change for change, _ in news if not change.recovered]
    lines = [_subject(change).removeprefix("cloudsync: ") for change, _ in news[:_LISTED]]
    if len(news) > _LISTED:
        lines.append(f"and {len(news) - _LISTED} more; cloudsync status shows all")
    owners = tuple(dict.fromkeys(about.owner for _, about in news if about.owner))
    text = f"cloudsync: {len(bad)} integrations are not well, {len(news) - len(bad)} are well again"
    return Message(text, tuple(lines), not bad, owners)


def test_message() -> Message:
    """What `cloudsync alerts test` sends."""
    return Message("cloudsync: a test message", ("Alerts of cloudsync arrive here.",), good=True)


def one_line(text: str) -> str:
    """Text that may quote a customer's file names, without line breaks and of bounded length."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return printable if len(printable) <= _LONGEST else f"{printable[:_LONGEST]}..."


def _subject(change: Change) -> str:
    if change.recovered:
        return f"cloudsync: {change.integration} is well again"
    words = [one.value for one in (*change.begun, *change.still)]
    return f"cloudsync: {change.integration} is {' and '.join(dict.fromkeys(words))}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _span(duration: timedelta) -> str:
    minutes = max(1, round(duration.total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
