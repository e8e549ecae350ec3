"""The end of a story: nothing goes wrong any more, and after a few full scans everything is as it should be."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from cloudsync_pipeline.core.errors import PathRejected
from cloudsync_pipeline.core.ordering import PARKING
from cloudsync_pipeline.engine.results import Mode, SyncResult, Verdict
from cloudsync_pipeline.engine.verify import verify

if TYPE_CHECKING:
    from cloudsync_tests.reliability.harsh_world import HarshWorld

CHANGES = ("put", "move", "delete", "set_permissions")


def settle_down(world: HarshWorld) -> None:
    """Quiet full scans until nothing is owed; then file manager, state, bucket and model are equal."""
    for end in (world.storage, world.files, world.feed):
        end.faults.clear()
    world.files.stores_nothing = False
    world.files.distort = None
    world.retry()
    for _ in range(6):
        world.clock.jump(timedelta(days=9))
        world.approve()
        result = world.sync(Mode.RECONCILE)
        assert isinstance(result, SyncResult), f"a quiet sync ended with {result!r}"
        if result.verdict is Verdict.IN_SYNC and _owed_in_vain(world) == [] and not _find_lies(world):
            break
    _check_equal(world)
    _check_state(world)
    _check_permissions(world)
    _check_idempotent(world)


def _find_lies(world: HarshWorld) -> int:
    """What a file manager can be asked about, verification finds; returns how much."""
    can = world.capabilities
    if not world.untrue or not can.content_hash or not (can.list or can.probe):
        return 0
    return asyncio.run(verify(world.session(), run_id="verification", repair=True)).owed


def _check_equal(world: HarshWorld) -> None:
    files = world.files.held.files
    assert {key: stored.content for key, stored in world.bucket.objects.items()} == world.model
    for path in files.keys() - world.model.keys() - world.untrue:
        assert world.promises.keeps, f"{path!r} is left over"
        assert not path.startswith(f"{PARKING}-") or path in world.ever, f"{path!r} is parked for ever"
    for key, content in world.model.items():
        if key in world.untrue:
            continue
        if key not in files:
            assert not _can_hold(world, key), f"{key!r} is missing"
            continue
        assert files[key].content == content, f"{key!r} holds {files[key].content!r}, not {content!r}"
    assert _owed_in_vain(world) == [], "debts that nothing forbids to pay"


def _check_state(world: HarshWorld) -> None:
    rows = world.lake.read("SELECT path, size, source_etag, internal_id FROM files")
    assert {row[0] for row in rows} - world.untrue == world.files.held.files.keys() - world.untrue
    for path, size, etag, internal_id in rows:
        if path in world.untrue:
            continue
        file = world.files.held.files[path]
        assert (size, internal_id) == (len(file.content), file.internal_id), path
        if path in world.model:
            assert etag == world.bucket.objects[path].etag, path


def _check_permissions(world: HarshWorld) -> None:
    if not world.capabilities.permissions:
        return
    for table, what in (("desired_permissions", "asked for"), ("files", "known")):
        where = "WHERE permissions_known" if table == "files" else ""
        for path, permissions in world.lake.read(f"SELECT path, permissions FROM {table} {where}"):
            file = world.files.held.files.get(path)
            if file is not None and path not in world.untrue:
                assert file.permissions.permissions == permissions, f"{path!r} has not the permissions {what}"


def _check_idempotent(world: HarshWorld) -> None:
    """Nothing has changed: neither kind of sync plans or sends anything."""
    for mode in (Mode.RECONCILE, Mode.INCREMENTAL):
        world.files.calls.clear()
        last = world.sync(mode)
        assert isinstance(last, SyncResult), f"a quiet sync ended with {last!r}"
        sent = [call for call in world.files.calls if call.operation in CHANGES]
        assert sent == [], f"a sync without changes did {sent}"
        assert last.plan is not None
        assert last.plan.by_kind == {}, f"a sync without changes planned {last.plan.by_kind}"


def _owed_in_vain(world: HarshWorld) -> list[tuple[str, str]]:
    """Debts that nothing forbids to pay."""
    owed = world.lake.read("SELECT path, aspect FROM owed")
    return [(path, aspect) for path, aspect in owed if _can_hold(world, path)]


def _can_hold(world: HarshWorld, path: str) -> bool:
    try:
        world.files._refuse(path)
    except PathRejected:
        return False
    return True
