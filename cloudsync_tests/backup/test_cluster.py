"""Lakes on servers: backups are those of the servers, and a lake that they have put back is verified like any other."""

from __future__ import annotations

import os
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from cloudsync_pipeline.backup.postgres import environment
from cloudsync_tests.cli.builders import Place, forget_logging, put
from cloudsync_tests.control import postgres
from cloudsync_tests.e2e.builders import a_deployment, on_servers
from cloudsync_tests.lake.places import Servers


def test_a_lake_on_servers_that_pg_restore_put_back_is_held_against_the_file_manager(
    tmp_path: Path, postgres_server: sa.URL, lake_servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DAGSTER_HOME", "CLOUDSYNC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    name = f"acme-{uuid.uuid4().hex[:8]}"
    database = on_servers(postgres.emptied(postgres_server), lake_servers, "restored")
    place = Place(a_deployment(tmp_path / "machine", database).folder)
    source, files = place.local(name, {"a": "alpha", "b": "beta", "c": "gamma"}), place.folder / "files" / name
    assert place.run("initial-sync").code == 0

    for command in (("backup",), ("backup", "-i", name), ("restore", "-i", name, "--yes")):
        refused = place.run(*command)
        assert refused.code == 8
        assert "pg_dump" in refused.err
        assert "versioning of the bucket" in refused.err

    # As docs/operations.md says.
    dump = tmp_path / "catalogs.dump"
    server = {"PATH": os.environ["PATH"], **environment(lake_servers.catalog)}
    subprocess.run(["pg_dump", "--format=custom", f"--schema=lake_{name}", f"--file={dump}"], env=server, check=True)
    dumped_at = datetime.now(UTC)
    put(source, "a", "alpha, changed")
    put(source, "d", "delta")
    (source / "b").unlink()
    assert place.run("incremental-sync").code == 0
    lake_servers.forget(f"lake_{name}")
    put(source, "e", "epsilon")
    (source / "d").unlink()
    put(files, "c", "spoilt")
    put(files, "of-a-person", "by hand")
    subprocess.run(["pg_restore", f"--dbname={lake_servers.postgres.database}", dump], env=server, check=True)
    assert place.run("restore", "--in-place", "-i", name, "--at", dumped_at.isoformat(), "--yes").code == 0

    synced = place.run("incremental-sync", "--json").json()

    assert synced["integrations"][0]["result"]["mode"] == "reconcile"
    # `d` was put there by the sync that nobody remembers: it may as well be a person's.
    wanted = {"a": "alpha, changed", "c": "gamma", "e": "epsilon"}
    assert place.files(name) == {**wanted, "d": "delta", "of-a-person": "by hand"}
    assert place.run("retry", "-i", name, "--path", "d").code == 0
    place.run("incremental-sync")
    assert place.files(name) == {**wanted, "of-a-person": "by hand"}
    forget_logging()
    lake_servers.forget(f"lake_{name}")
