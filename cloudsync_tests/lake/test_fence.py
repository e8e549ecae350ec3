"""Of two writers of one lake on servers, the older one cannot commit, even if it never notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import LockLost
from cloudsync_pipeline.lake import Connection
from cloudsync_pipeline.lake.maintenance import compact, expire
from cloudsync_tests.lake.builders import a_lake, paths, put_files, snapshot_ids
from cloudsync_tests.lake.places import Place, places
from cloudsync_tests.lake.test_maintenance import DAY, IN_A_MONTH


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return places("cluster", tmp_path, request)


def test_a_commit_under_way_fails_when_a_newer_writer_opens_the_lake(place: Place) -> None:
    where = place("lake")
    with a_lake(where, fence_number=1) as old:
        put_files(old, "before")
        tries: list[int] = []

        def work(connection: Connection) -> None:
            tries.append(1)
            connection.execute("INSERT INTO files (path) VALUES ('late')")
            if len(tries) == 1:
                with a_lake(where, fence_number=2) as new:
                    put_files(new, "new")

        with pytest.raises(LockLost, match=r"acme: Another writer has taken over.*nothing of it was committed"):
            old.commit(work, run_id="run-1", step="late")
        with pytest.raises(LockLost):
            put_files(old, "later still")
        assert paths(old) == ["before", "new"]


def test_an_old_writer_can_neither_compact_nor_expire(place: Place) -> None:
    where = place("lake")
    with a_lake(where, fence_number=1) as old:
        for path in "abc":
            put_files(old, path)
        with a_lake(where, fence_number=2) as new:
            before = snapshot_ids(new)
            with pytest.raises(LockLost):
                compact(old, run_id="m1")
            with pytest.raises(LockLost):
                expire(old, IN_A_MONTH, DAY, run_id="m1")
            assert snapshot_ids(new) == before


def test_an_old_writer_cannot_open_the_lake_and_a_reader_can(place: Place) -> None:
    where = place("lake")
    with a_lake(where, fence_number=2) as lake:
        put_files(lake, "a")
    with pytest.raises(LockLost, match="newer writer has opened"):
        a_lake(where, fence_number=1)
    with a_lake(where, read_only=True) as reader:
        assert paths(reader) == ["a"]
    with a_lake(where, fence_number=2) as lake:
        put_files(lake, "b")


def test_reading_does_not_conflict_with_the_fence(place: Place) -> None:
    where = place("lake")
    with a_lake(where, fence_number=1) as lake, a_lake(where, read_only=True) as reader:
        put_files(lake, *"abc")
        rows = reader.batches("SELECT path FROM files", rows=1)
        next(rows)
        put_files(lake, "d")
        assert len(list(rows)) <= 3
