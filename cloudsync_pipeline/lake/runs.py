"""Runs and what each of their steps returned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloudsync_pipeline.lake.lake import Connection, Lake


@dataclass(frozen=True, slots=True)
class Run:
    """One run as stored; `verdict` is None while it goes on, or when it was killed."""

    run_id: str
    mode: str
    started_at: datetime
    finished_at: datetime | None
    verdict: str | None
    error: str | None


def begin(lake: Lake, run_id: str, mode: str, now: datetime) -> None:
    """Note that a run has begun; does nothing for one that is known."""

    def work(connection: Connection) -> None:
        connection.execute(
            "INSERT INTO runs (run_id, mode, started_at) SELECT ?, ?, ? WHERE NOT EXISTS "
            "(SELECT 1 FROM runs WHERE run_id = ?)",
            [run_id, mode, now, run_id],
        )

    lake.commit(work, run_id=run_id, step="begin", message=mode)


def get(lake: Lake, run_id: str) -> Run | None:
    """One run, or None."""
    row = lake.one("SELECT run_id, mode, started_at, finished_at, verdict, error FROM runs WHERE run_id = ?", [run_id])
    return None if row is None else Run(*row)


def newest(lake: Lake, limit: int) -> list[Run]:
    """The newest runs, newest first."""
    rows = lake.read(
        "SELECT run_id, mode, started_at, finished_at, verdict, error FROM runs ORDER BY started_at DESC LIMIT ?",
        [limit],
    )
    return [Run(*row) for row in rows]


def finish(
    lake: Lake,
    run_id: str,
    *,
    verdict: str,
    error: str | None,
    results: Mapping[str, Any],
    now: datetime,
    steps: Sequence[Step] = (),
) -> None:
    """Note how a run ended, and what its steps returned that is not stored yet; the last word counts."""
    text = json.dumps(results, default=str)

    def work(connection: Connection) -> None:
        connection.execute(
            "UPDATE runs SET finished_at = ?, verdict = ?, error = ?, results = ? WHERE run_id = ?",
            [now, verdict, error, text, run_id],
        )
        put_steps(connection, run_id, steps)

    lake.commit(work, run_id=run_id, step="finish", message=verdict)


@dataclass(frozen=True, slots=True)
class Step:
    """What a step of a run returned, and when."""

    name: str
    result: Mapping[str, Any]
    finished_at: datetime


def put_steps(connection: Connection, run_id: str, steps: Sequence[Step]) -> None:
    """Store what steps returned, within a commit of the caller's."""
    if not steps:
        return
    # One statement: each one writes a file of its own.
    connection.execute(
        "INSERT INTO steps (run_id, step, finished_at, result) SELECT ?, unnest(?), unnest(?), unnest(?)",
        [
            run_id,
            [step.name for step in steps],
            [step.finished_at for step in steps],
            [json.dumps(step.result, default=str) for step in steps],
        ],
    )


def record_step(lake: Lake, run_id: str, step: str, result: Mapping[str, Any], now: datetime) -> None:
    """Store what a step returned, in a commit of its own."""
    done = Step(step, result, now)
    lake.commit(lambda connection: put_steps(connection, run_id, [done]), run_id=run_id, step=step)


def steps(lake: Lake, run_id: str) -> dict[str, dict[str, Any]]:
    """The newest result of each step of a run, by step."""
    rows = lake.read("SELECT step, arg_max(result, finished_at) FROM steps WHERE run_id = ? GROUP BY step", [run_id])
    return {step: json.loads(result) for step, result in rows}


def get_meta(lake: Lake, name: str) -> str | None:
    """A value of the lake's own notes, or None."""
    value = lake.scalar("SELECT value FROM meta WHERE name = ?", [name])
    return None if value is None else str(value)


def set_meta(connection: Connection, name: str, value: str) -> None:
    """Set a value of the lake's own notes, within a commit of the caller's."""
    connection.execute("DELETE FROM meta WHERE name = ?", [name])
    connection.execute("INSERT INTO meta (name, value) VALUES (?, ?)", [name, value])
