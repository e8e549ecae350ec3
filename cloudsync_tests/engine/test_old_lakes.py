"""Lakes that earlier releases made: opened, migrated and synced by this one.

Each archive in `cloudsync_tests/lake/old` holds a lake as the release of that version left it, with objects, files,
events, debts, plans and outcomes. That of version 1 was left by a run that died between a plan and its outcomes; that
of version 2 holds deletes that the guard held, and a debt that the file manager had refused.
"""

from __future__ import annotations

import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudsync_pipeline.engine.results import Verdict
from cloudsync_pipeline.file_managers.memory import StoredFile
from cloudsync_pipeline.lake import schema
from cloudsync_tests.engine.world import World

ARCHIVES = sorted((Path(__file__).parents[1] / "lake" / "old").glob("version_*.tar.xz"))


def version_of(archive: Path) -> int:
    return int(archive.name.removeprefix("version_").removesuffix(".tar.xz"))


def content(path: str) -> bytes:
    """What the file of a path held then; a renamed one was `renamed` before."""
    return {"changed": b"changed content", "refused": b"refused content"}.get(
        path, f"content of {path.removesuffix('-since')}".encode()
    )


def test_there_is_a_lake_of_every_earlier_version() -> None:
    assert {version_of(archive) for archive in ARCHIVES} >= set(range(1, schema.VERSION))


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.name.partition(".")[0])
def test_an_old_lake_is_migrated_with_all_it_knows_and_its_next_sync_goes_on(tmp_path: Path, archive: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "lake", filter="data")
    world = World(tmp_path, real_lake=True)
    known = dict(world.lake.read("SELECT path, internal_id FROM files"))
    assert world.lake.scalar("SELECT value FROM meta WHERE name = 'schema_version'") == str(schema.VERSION)
    assert len(known) >= 6
    assert world.lake.scalar("SELECT count(*) FROM runs WHERE verdict = 'in_sync'") >= 1
    assert world.lake.scalar("SELECT count(*) FROM owed") >= 1

    # Both ends as they stood then.
    for path, internal_id in known.items():
        world.files.held.files[path] = StoredFile(content(path), internal_id, datetime.now(UTC))
    kept = {key for (key,) in world.lake.read("SELECT key FROM objects")}
    for key in kept:
        world.storage.put(key, content(key))

    assert world.sync().verdict is Verdict.IN_SYNC
    assert world.contents() == {key: content(key) for key in kept}
    assert world.ids()["kept"] == known["kept"]
    assert "kept" not in {call.path for call in world.files.calls if call.operation == "put"}
    world.check_debts()
    world.forget_calls()
    world.sync()
    assert world.sent() == []
    world.close()
