"""A writer that was paused beyond its lease, while another machine took over: it must do no harm when it goes on."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_tests.children import python
from cloudsync_tests.control import postgres
from cloudsync_tests.devserver.client import save
from cloudsync_tests.e2e.builders import a_deployment, held, into_server, on_servers
from cloudsync_tests.lake.places import Servers

_FIRST = """
import asyncio, sys
from pathlib import Path
from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.control import leases, locks
from cloudsync_pipeline.core.errors import CloudSyncError
from cloudsync_pipeline.engine import sender
from cloudsync_pipeline.engine.results import Mode
from cloudsync_pipeline.engine.sync import sync

locks.HEARTBEAT = 0.5
name, lease = sys.argv[2], float(sys.argv[4])
if sys.argv[3] == "unawares":
    leases.Lease.check = lambda self: None

perform, take, count, held = sender.perform, leases.Leases.take, 0, []

def kept(self, wanted, lock_file):
    held.append(take(self, wanted, lock_file))
    return held[-1]

async def told(session, operation, attempt):
    global count
    outcome = await perform(session, operation, attempt)
    count += 1
    if count == 3:
        # Long until here, so that a slow machine does not lose it; short now, so that nobody waits for its end.
        held[0]._seconds = lease
        held[0].renew()
    print("sent", operation.path, flush=True)
    if count == 3:
        sys.stdin.readline()
    return outcome

leases.Leases.take = kept

sender.perform = told

async def main():
    async with wiring.open_session(load_fleet(Path(sys.argv[1])), name, run_id="first", purpose="sync") as session:
        await sync(session, Mode.INITIAL, run_id="first")

try:
    asyncio.run(main())
except CloudSyncError as error:
    print("ended", type(error).__name__, flush=True)
"""


LEASE = 2.0
"""Seconds of the paused writer's lease."""


@pytest.mark.parametrize("how", ["notices", "unawares"])
def test_a_writer_that_was_paused_beyond_its_lease_neither_sends_nor_commits_any_more(
    tmp_path: Path, postgres_server: sa.URL, lake_servers: Servers, server: DevServer, how: str
) -> None:
    control, name = postgres.emptied(postgres_server), f"acme-{uuid.uuid4().hex[:8]}"
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    for number in range(10):
        (bucket / f"f{number}").write_bytes(b"content %d" % number)
    database = on_servers(control, lake_servers, "taken-over")
    machines = [a_deployment(tmp_path / machine, database) for machine in ("first", "second")]
    for machine in machines:
        storage = f"storage: {{type: local, path: {bucket}}}\n"
        machine.add(name, storage, into_server(server), "sync: {transfers: 1}\n")

    # A file: where there is none DuckDB takes it for a person's session, and draws its progress between the lines.
    script = tmp_path / "first.py"
    script.write_text(_FIRST, encoding="utf-8")
    first = python(script, machines[0].config, name, how, str(LEASE))
    try:
        assert first.stdin is not None
        assert first.stdout is not None
        sent = [first.stdout.readline() for _ in range(3)]
        assert [line.split()[:1] for line in sent] == [["sent"]] * 3, sent
        first.send_signal(signal.SIGSTOP)
        _wait_until_expired(control)
        taken_over = machines[1].sync(name, Mode.RECONCILE)
        assert taken_over.verdict is Verdict.IN_SYNC
        assert set(held(server, name)) == {f"f{number}" for number in range(10)}
        before = {path: save(server, "get", f"{name}/{path}").body for path in held(server, name)}
        snapshot = machines[1].snapshot(name)

        first.send_signal(signal.SIGCONT)
        said, _ = first.communicate("\n", timeout=60)
    finally:
        first.kill()
        first.communicate()

    assert said.splitlines()[-1] == "ended LockLost"
    if how == "notices":
        assert "sent" not in said
        assert {path: save(server, "get", f"{name}/{path}").body for path in held(server, name)} == before
    assert machines[1].snapshot(name) == snapshot
    assert machines[1].sync(name, Mode.RECONCILE).verdict is Verdict.IN_SYNC
    lake_servers.forget(f"lake_{name}")


def _wait_until_expired(control: str) -> None:
    engine = sa.create_engine(sa.make_url(control).set(drivername="postgresql+psycopg2"))
    with engine.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_sleep(greatest(0, extract(epoch FROM expires_at - clock_timestamp()) + 0.05)) FROM leases"
            )
        )
    engine.dispose()
