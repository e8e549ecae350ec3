"""A session leaves its lake with few files; that it cannot is no failure of what was done in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.core.errors import LockLost, StorageFull, Unavailable
from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_pipeline.lake import Lake, tidying
from cloudsync_tests.lake.builders import live_files
from cloudsync_tests.test_wiring import fleet

FOLDERS = "storage: {{type: local, path: {0}/bucket}}\nfile_manager: {{type: local, path: {0}/files}}\n"


class Place:
    """A folder that is an integration's storage, and one that is its file manager."""

    def __init__(self, folder: Path) -> None:
        self.bucket, self.files = folder / "bucket", folder / "files"
        self.bucket.mkdir()
        self.files.mkdir()
        self.fleet = fleet(folder, FOLDERS.format(folder))

    def sync(self) -> Verdict:
        async def work() -> Verdict:
            run_id = new_run_id()
            async with wiring.open_session(self.fleet, "acme", run_id=run_id, purpose="sync") as session:
                return (await sync(session, Mode.RECONCILE, run_id=run_id)).verdict

        return asyncio.run(work())

    def end_with(self, error: BaseException) -> None:
        async def work() -> None:
            async with wiring.open_session(self.fleet, "acme", run_id="r", purpose="sync"):
                raise error

        asyncio.run(work())

    def lake(self) -> Lake:
        return Lake.open(wiring.lake_location(self.fleet.settings, "acme"), integration="acme", read_only=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_many_syncs_leave_few_files_and_the_same_state(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "MANY_FILES", 3)
    tidied = []
    for number in range(8):
        (place.bucket / f"new {number}").write_bytes(b"x" * number)
        (place.bucket / "changed").write_bytes(b"y" * number)
        if number % 2:
            (place.bucket / f"new {number - 1}").unlink()
        assert place.sync() is Verdict.IN_SYNC
        there = {file.name: file.read_bytes() for file in (place.files / "acme").iterdir()}
        assert there == {file.name: file.read_bytes() for file in place.bucket.iterdir()}
        with place.lake() as lake:
            assert (
                lake.scalar("SELECT count(*) FROM files") == lake.scalar("SELECT count(*) FROM objects") == len(there)
            )
            for table in ("objects", "files", "runs", "outcomes", "operations"):
                assert live_files(lake, table) <= 2 * tidying.MANY_FILES, table
            tidied = [one for one in lake.snapshots(1000) if (one.message or "").startswith("tidy")]
    assert 2 <= len(tidied) <= 8


def test_where_files_cannot_be_joined_the_sync_is_what_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(tidying, "tidy", full)
    (place.bucket / "a").write_bytes(b"a")
    assert place.sync() is Verdict.IN_SYNC
    assert "not joined" in caplog.text
    assert "The disk is full" in caplog.text


def test_a_session_that_broke_off_leaves_few_files_too_unless_it_lost_its_lock(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied: list[str] = []
    monkeypatch.setattr(tidying, "tidy", lambda _, run_id: tidied.append(run_id))
    with pytest.raises(Unavailable):
        place.end_with(Unavailable("The storage is away."))
    assert tidied == ["r"]
    for error in (LockLost("Another writer has taken over."), KeyboardInterrupt(), ValueError("a defect")):
        with pytest.raises(type(error)):
            place.end_with(error)
    assert tidied == ["r"]
