"""What a person writes for an earlier state: a snapshot's number or a time."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_as_of(text: str) -> tuple[int | None, datetime | None]:
    """The snapshot or the time that is meant; UTC where no zone is given.

    Raises:
        ValueError: it is neither.
    """
    if text.isascii() and text.isdigit():
        return int(text), None
    try:
        time = datetime.fromisoformat(text)
        return None, (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither a snapshot's number nor a time like 2026-01-31T12:00:00Z") from None
