"""The engine in a process of its own, without the command around it: `python -m benchmarks.alone engine WHAT`.

Works on the integration that `CLOUDSYNC_CONFIG` describes, and prints one line of JSON: seconds of what it did.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.engine.listing import list_bucket
from cloudsync_pipeline.engine.observe import take_snapshot
from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_pipeline.lake import Connection


async def work(what: str) -> dict[str, float]:
    """Do one of: `list` (stage a listing), `listing` (and merge it into the lake), `settle` (and pretend that every
    object had been brought over), or a mode of a sync.
    """
    run_id = new_run_id()
    began = time.perf_counter()
    fleet = load_fleet()
    [one] = fleet.integrations
    async with wiring.open_session(fleet, one, run_id=run_id, purpose="benchmark") as session:
        opened = time.perf_counter()
        if what not in ("list", "listing", "settle"):
            result = await sync(session, Mode(what), run_id=run_id)
            if result.verdict.value != "in_sync":
                raise SystemExit(f"the sync ended as {result.verdict.value}")
            return {"opening": opened - began, "engine": time.perf_counter() - opened}
        await list_bucket(session, run_id=run_id)
        listed = time.perf_counter()
        if what != "list":
            await take_snapshot(session, run_id=run_id)
        if what == "settle":
            session.lake.commit(_settle, run_id=run_id, step="settle")
        return {"opening": opened - began, "listing": listed - opened, "merge": time.perf_counter() - listed}


def _settle(connection: Connection) -> None:
    """Each object has its file, and nothing is owed."""
    connection.execute(
        """
        INSERT INTO files (path, internal_id, size, source_etag, fingerprint_kind, fingerprint_value,
                           permissions_known, created_at, confirmed_at, op_id)
        SELECT key, key, size, etag, 'md5', etag, true, observed_at, observed_at, 'made-1-1' FROM objects ORDER BY key
        """
    )
    connection.execute("DELETE FROM owed")


def main() -> None:
    """See the module's docstring."""
    print(json.dumps(asyncio.run(work(sys.argv[1]))))
