"""Who holds an integration's lock, in the words that the second writer and `cloudsync status` get."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cloudsync_pipeline.core.errors import LockHeld


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds, or last held, an integration's lock.

    Attributes:
        integration, run_id, purpose: what for; purpose in words ("incremental sync").
        pid, host, command: which process; command without its arguments' values.
        since, heartbeat_at: UTC.
        alive: True while it holds the lock; False for what a killed process, or a lost machine, has left.
        free_at: when the lock is taken over from a machine that is gone; None where its end is noticed at once.
    """

    integration: str
    run_id: str
    purpose: str
    pid: int
    host: str
    command: str
    since: datetime
    heartbeat_at: datetime
    alive: bool = True
    free_at: datetime | None = None

    @classmethod
    def myself(cls, integration: str, run_id: str, purpose: str) -> Holder:
        """This process, from now on."""
        now = datetime.now(UTC)
        return cls(integration, run_id, purpose, os.getpid(), socket.gethostname(), _command(), now, now)

    def __str__(self) -> str:
        return (
            f"Run {self.run_id} ({self.purpose}; process {self.pid} on {self.host}, {self.command}) holds the "
            f"integration since {self.since:%Y-%m-%d %H:%M:%S} UTC; last heartbeat {self.heartbeat_at:%H:%M:%S} UTC"
        )


def already_held(integration: str, other: Holder | None) -> LockHeld:
    """The error of who comes second."""
    remedy = "Wait until it has finished, or end that process."
    if other is None:
        who = "Another writer holds the integration, and has not said yet who it is."
    else:
        who = f"{other}."
        if other.free_at is not None:
            remedy += f" If its machine is gone, the lock is free from {other.free_at:%H:%M:%S} UTC on."
    return LockHeld(who, integration=integration, remedy=remedy)


def _command() -> str:
    # Arguments can carry secrets (a URL with a password): the program and its first plain word are enough.
    words = [Path(sys.argv[0]).name or "python", *(a for a in sys.argv[1:2] if a.isidentifier())]
    return " ".join(words)
