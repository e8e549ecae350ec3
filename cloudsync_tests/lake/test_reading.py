"""What reading gives, and to whom."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.lake import Lake
from cloudsync_tests.lake.builders import NOON, parquet_files, put_files, run_sql


def test_rows_one_row_and_one_value(lake: Lake) -> None:
    put_files(lake, "a", "b")
    assert lake.read("SELECT path, size FROM files ORDER BY path") == [("a", 1), ("b", 1)]
    assert lake.one("SELECT path FROM files WHERE path = $path", {"path": "b"}) == ("b",)
    assert lake.scalar("SELECT count(*) FROM files WHERE size = ?", [1]) == 2
    assert lake.one("SELECT path FROM files WHERE false") is None
    assert lake.scalar("SELECT path FROM files WHERE false") is None


def test_times_are_aware_and_utc_whatever_zone_they_came_in(lake: Lake) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-5)))
    run_sql(lake, "INSERT INTO files (path, confirmed_at) VALUES ('a', ?)", [elsewhere])
    found = lake.scalar("SELECT confirmed_at FROM files")
    assert found == NOON
    assert found.tzinfo is UTC
    assert isinstance(lake.frame("SELECT confirmed_at FROM files")["confirmed_at"][0].to_pydatetime(), datetime)


def test_batches_come_in_the_size_asked_for_and_hold_every_row_once(lake: Lake) -> None:
    run_sql(lake, "INSERT INTO files (path) SELECT range::VARCHAR FROM range(5000)")
    batches = list(lake.batches("SELECT path FROM files", rows=1_000))
    assert max(batch.num_rows for batch in batches) <= 2_048
    assert len(set(pa.Table.from_batches(batches)["path"].to_pylist())) == 5_000


def test_an_iteration_that_is_given_up_leaves_the_lake_usable(lake: Lake) -> None:
    run_sql(lake, "INSERT INTO files (path) SELECT range::VARCHAR FROM range(5000)")
    batches = lake.batches("SELECT path FROM files", rows=1_000)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert lake.scalar("SELECT count(*) FROM files") == 5_000


def test_two_iterations_at_once_do_not_mix_their_rows(lake: Lake) -> None:
    run_sql(lake, "INSERT INTO files (path, size) SELECT range::VARCHAR, range FROM range(5000)")
    even = lake.batches("SELECT size FROM files WHERE size % 2 = 0", rows=100)
    odd = lake.batches("SELECT size FROM files WHERE size % 2 = 1", rows=100)
    pairs = list(zip(even, odd, strict=True))
    assert all(row["size"] % 2 == 0 for batch, _ in pairs for row in batch.to_pylist())
    assert all(row["size"] % 2 == 1 for _, batch in pairs for row in batch.to_pylist())


def test_threads_read_while_another_commits(lake: Lake) -> None:
    counts: list[list[int]] = [[], []]
    ended = threading.Event()

    def look(seen: list[int]) -> None:
        while not ended.is_set():
            seen.append(lake.scalar("SELECT count(*) FROM files"))

    readers = [threading.Thread(target=look, args=(seen,)) for seen in counts]
    for reader in readers:
        reader.start()
    for n in range(5):
        put_files(lake, f"{n}a", f"{n}b")
    ended.set()
    for reader in readers:
        reader.join()
    for seen in counts:
        assert seen == sorted(seen)
        assert all(count % 2 == 0 for count in seen)


@pytest.mark.parametrize("how", ["read", "arrow", "frame", "batches"])
def test_a_query_that_cannot_be_answered_is_a_state_error(lake: Lake, how: str) -> None:
    with pytest.raises(StateError, match=r"acme: The lake failed while reading.*no_such_column"):
        list(getattr(lake, how)("SELECT no_such_column FROM files"))


def test_an_error_amid_an_iteration_is_a_state_error(lake: Lake) -> None:
    run_sql(lake, "INSERT INTO files (path, size) SELECT range::VARCHAR, range FROM range(300000)")
    late = "SELECT if(size = 290000, error('halfway'), path) FROM files"
    with pytest.raises(StateError, match="halfway"):
        list(lake.batches(late, rows=1_000))


def test_a_data_file_that_vanished_is_an_error_that_names_it(lake: Lake) -> None:
    put_files(lake, "a", unique=False)
    (file,) = parquet_files(lake)
    lake.files.remove([file])
    with pytest.raises(StateError, match=file):
        lake.read("SELECT path FROM files")


def test_a_closed_lake_says_so(lake: Lake) -> None:
    lake.close()
    lake.close()
    with pytest.raises(StateError, match="closed"):
        lake.read("SELECT 1")
