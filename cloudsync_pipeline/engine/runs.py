"""The beginning of a run, and the identity of what it works on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cloudsync_pipeline.core.errors import IdentityChanged
from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.lake import identity as stored
from cloudsync_pipeline.lake import runs


def begin(session: Session, *, run_id: str, mode: Mode, started_at: datetime | None = None) -> Mode:
    """Note that a run has begun, once, however many steps say so; returns the mode that it began with.

    Raises:
        IdentityChanged: the integration points elsewhere than its lake remembers.
    """
    check_identity(session, run_id=run_id)
    known = runs.get(session.lake, run_id)
    if known is not None:
        return Mode(known.mode)
    runs.begin(session.lake, run_id, mode.value, started_at or session.clock())
    return mode


def finish(
    session: Session,
    *,
    run_id: str,
    verdict: str,
    error: str | None = None,
    results: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> None:
    """Note how a run ended, with what its steps returned."""
    runs.finish(
        session.lake,
        run_id,
        verdict=verdict,
        error=error,
        results=results or {},
        now=now or session.clock(),
        steps=session.steps or (),
    )
    session.steps = None


def check_identity(session: Session, *, run_id: str) -> None:
    """Remember both ends at the first sync, and refuse others afterwards.

    Raises:
        IdentityChanged: names what changed.
    """
    known = runs.get_meta(session.lake, stored.META)
    now = dict(session.identity)
    if known is None:
        stored.remember(session.lake, run_id, now)
        return
    before = json.loads(known)
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        told = "; ".join(f"{name}: {before.get(name)!r} is now {now.get(name)!r}" for name in changed)
        raise IdentityChanged(
            f"Its configuration points elsewhere than its stored state: {told}.",
            integration=session.integration,
            remedy="Put the configuration back, or accept the change (everything is then owed again) with: "
            f"cloudsync integrations accept {session.integration}",
        )


def accept_identity(session: Session, *, run_id: str) -> None:
    """Take the ends as configured now; whatever was known of a changed end is forgotten, and so owed again."""
    known = runs.get_meta(session.lake, stored.META)
    before = json.loads(known) if known else {}
    now = dict(session.identity)
    changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    stored.accept(
        session.lake,
        run_id,
        now,
        storage_changed=any(name.startswith("storage.") for name in changed),
        destination_changed=any(not name.startswith("storage.") for name in changed),
    )
