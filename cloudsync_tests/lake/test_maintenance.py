"""What maintenance removes, and what it must never remove."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudsync_pipeline.core.errors import SnapshotGone
from cloudsync_pipeline.lake import Lake
from cloudsync_pipeline.lake.leftovers import remove_orphans, remove_released
from cloudsync_pipeline.lake.location import Removed
from cloudsync_pipeline.lake.maintenance import Retention, compact, expire, forget, maintain
from cloudsync_tests.lake.builders import (
    a_lake,
    live_files,
    moved,
    parquet_files,
    paths,
    put_files,
    put_orphan,
    run_sql,
    set_snapshot_time,
    snapshot_ids,
)
from cloudsync_tests.lake.places import Place

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
IN_A_MONTH = NOW + 30 * DAY


def _open_plan(lake: Lake, base: int, plan_id: str = "p1", closed_at: datetime | None = None) -> None:
    run_sql(
        lake,
        "INSERT INTO plans (plan_id, run_id, made_at, mode, base_snapshot, operations, held, closed_at) "
        "VALUES (?, 'r1', now(), 'incremental', ?, 1, 0, ?)",
        [plan_id, base, closed_at],
    )


# --- how data files are written -----------------------------------------------------------------


def _forms(lake: Lake) -> set[tuple[str, str]]:
    """(compression, encoding) of the paths, in the data files that the newest snapshot of `files` needs."""
    files = [row[0] for row in lake.read("SELECT data_file FROM ducklake_list_files('lake', 'files')")]
    listed = ", ".join(f"'{file}'" for file in files)
    return {
        (compression, encoding)
        for compression, encoding in lake.read(
            f"SELECT compression, encodings FROM parquet_metadata([{listed}]) WHERE path_in_schema = 'path'"
        )
    }


OLD, NEW = ("SNAPPY", "PLAIN"), ("LZ4_RAW", "DELTA_LENGTH_BYTE_ARRAY")


def test_data_files_are_written_in_the_form_that_is_read_quickly(lake: Lake) -> None:
    put_files(lake, *"abcd")
    assert _forms(lake) == {NEW}


def test_a_lake_of_an_older_release_takes_that_form_with_its_next_maintenance(lake: Lake) -> None:
    for option, value in {"parquet_version": "1", "parquet_compression": "snappy"}.items():
        run_sql(lake, f"CALL lake.set_option('{option}', '{value}')")
    put_files(lake, *"abcd")
    assert _forms(lake) == {OLD}
    maintain(lake, NOW, run_id="m1")
    assert paths(lake) == list("abcd")
    put_files(lake, *"efgh")
    assert _forms(lake) == {OLD, NEW}
    snapshots = snapshot_ids(lake)
    maintain(lake, NOW, run_id="m2")
    assert _forms(lake) == {NEW}
    assert paths(lake) == list("abcdefgh")
    assert snapshot_ids(lake)[: len(snapshots)] == snapshots


# --- compaction ---------------------------------------------------------------------------------


def test_small_files_become_one_and_every_snapshot_reads_as_before(lake: Lake) -> None:
    snapshots = [put_files(lake, path) for path in "abcd"]
    assert live_files(lake) == 4
    done = compact(lake, run_id="m1")
    assert done.merged["files"] == (4, 1)
    assert live_files(lake) == 1
    assert [paths(lake, snapshot) for snapshot in snapshots] == [["a"], ["a", "b"], ["a", "b", "c"], list("abcd")]
    assert lake.snapshots(1)[0].author == "m1"


def test_a_file_of_mostly_deleted_rows_is_rewritten_without_them(lake: Lake) -> None:
    before = put_files(lake, *"abcd")
    run_sql(lake, "DELETE FROM files WHERE path IN ('a', 'b', 'c')")
    assert compact(lake, run_id="m1").rewritten == {"files": (1, 1)}
    assert paths(lake) == ["d"]
    assert paths(lake, before) == list("abcd")


def test_a_compacted_lake_is_not_compacted_again(lake: Lake) -> None:
    for path in "abc":
        put_files(lake, path)
    compact(lake, run_id="m1")
    before = lake.current_snapshot()
    again = compact(lake, run_id="m1")
    assert (again.merged, again.rewritten) == ({}, {})
    assert lake.current_snapshot() == before


def test_compaction_between_small_updates_neither_doubles_nor_revives_a_row(lake: Lake) -> None:
    for path in "abcdef":
        put_files(lake, path)
    run_sql(lake, "DELETE FROM files WHERE path = 'b'")
    run_sql(lake, "UPDATE files SET size = 2 WHERE path = 'c'")
    compact(lake, run_id="m1")
    run_sql(lake, "UPDATE files SET size = 3 WHERE path = 'c'")
    run_sql(lake, "DELETE FROM files WHERE path = 'd'")
    compact(lake, run_id="m1")
    assert lake.read("SELECT path, size FROM files ORDER BY path") == [("a", 1), ("c", 3), ("e", 1), ("f", 1)]


# --- expiry -------------------------------------------------------------------------------------


def test_snapshots_younger_than_a_day_cannot_be_expired(lake: Lake) -> None:
    with pytest.raises(ValueError, match="at least"):
        expire(lake, NOW, timedelta(hours=23), run_id="m1")
    with pytest.raises(ValueError, match="at least"):
        Retention(snapshots=timedelta(hours=23))


def test_only_snapshots_past_their_retention_expire(lake: Lake) -> None:
    old, edge, young = (put_files(lake, path) for path in "abc")
    for snapshot, age in ((0, 9), (1, 9), (old, 8), (edge, 7), (young, 1)):
        set_snapshot_time(lake, snapshot, NOW - age * DAY)
    expire(lake, NOW, 5 * DAY, run_id="m1")
    assert paths(lake, young) == ["a", "b", "c"]
    with pytest.raises(SnapshotGone):
        lake.as_of(snapshot=old)
    # The state at the beginning of the kept time can still be asked for: the delete guard does.
    assert lake.as_of(time=NOW - 5 * DAY) == edge
    assert paths(lake, edge) == ["a", "b"]


def test_nothing_expires_in_a_lake_that_is_younger_than_the_retention(lake: Lake) -> None:
    put_files(lake, "a")
    before = snapshot_ids(lake)
    assert expire(lake, NOW + DAY / 2, DAY, run_id="m1") == 0
    assert snapshot_ids(lake) == before


def test_the_newest_snapshot_never_expires(lake: Lake) -> None:
    put_files(lake, "a", "b")
    assert expire(lake, IN_A_MONTH, DAY, run_id="m1") > 0
    assert paths(lake) == ["a", "b"]


def test_what_an_open_plan_was_made_from_does_not_expire_until_the_plan_is_closed(lake: Lake) -> None:
    base = put_files(lake, "a")
    put_files(lake, "b")
    _open_plan(lake, base)
    expire(lake, IN_A_MONTH, DAY, run_id="m1")
    assert min(snapshot_ids(lake)) == base
    assert paths(lake, base) == ["a"]
    run_sql(lake, "UPDATE plans SET closed_at = now()")
    expire(lake, IN_A_MONTH, DAY, run_id="m1")
    assert base not in snapshot_ids(lake)


def test_what_an_unfinished_run_began_with_does_not_expire_while_it_may_be_alive(lake: Lake) -> None:
    base = put_files(lake, "a")
    put_files(lake, "b")
    set_snapshot_time(lake, 0, NOW - 21 * DAY)
    for snapshot in range(1, base):
        set_snapshot_time(lake, snapshot, NOW - 20 * DAY)
    set_snapshot_time(lake, base, NOW - 10 * DAY)
    set_snapshot_time(lake, base + 1, NOW - 4 * DAY)
    run_sql(lake, "INSERT INTO runs (run_id, mode, started_at) VALUES ('r1', 'initial', ?)", [NOW - 5 * DAY])
    expire(lake, NOW, 2 * DAY, run_id="m1")
    assert min(snapshot_ids(lake)) == base
    expire(lake, NOW + 30 * DAY, 2 * DAY, run_id="m1")
    assert base not in snapshot_ids(lake)


# --- files --------------------------------------------------------------------------------------


def test_released_files_stay_a_day_for_readers_that_began_before(lake: Lake) -> None:
    for path in "abc":
        put_files(lake, path)
    before = parquet_files(lake)
    compact(lake, run_id="m1")
    expire(lake, IN_A_MONTH, DAY, run_id="m1")
    assert remove_released(lake, NOW + timedelta(hours=23), run_id="m1") == Removed()
    assert before <= parquet_files(lake)
    removed = remove_released(lake, NOW + timedelta(hours=25), run_id="m1")
    assert removed.files >= 3
    assert removed.bytes > 0
    assert not before & parquet_files(lake)
    assert paths(lake) == ["a", "b", "c"]
    assert remove_released(lake, NOW + timedelta(hours=25), run_id="m1") == Removed()


def test_a_released_file_that_is_gone_already_is_forgotten(lake: Lake) -> None:
    for path in "abc":
        put_files(lake, path)
    before = parquet_files(lake)
    compact(lake, run_id="m1")
    lake.files.remove(before)
    assert remove_released(lake, IN_A_MONTH, run_id="m1") == Removed()
    assert lake.scalar("SELECT count(*) FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion") == 0


ORPHAN = "main/files/ducklake-orphan.parquet"


def test_orphans_are_removed_once_they_are_a_day_old(lake: Lake) -> None:
    put_files(lake, "a")
    put_orphan(lake, ORPHAN, b"half a row group")
    assert remove_orphans(lake, NOW + timedelta(hours=23)) == Removed()
    assert ORPHAN in parquet_files(lake)
    assert remove_orphans(lake, NOW + timedelta(hours=25)) == Removed(1, 16)
    assert ORPHAN not in parquet_files(lake)
    assert paths(lake) == ["a"]


def test_files_that_any_kept_snapshot_names_are_no_orphans(lake: Lake) -> None:
    snapshots = [put_files(lake, path) for path in "abc"]
    run_sql(lake, "DELETE FROM files WHERE path = 'b'")
    compact(lake, run_id="m1")
    assert remove_orphans(lake, IN_A_MONTH) == Removed()
    assert [paths(lake, snapshot) for snapshot in snapshots] == [["a"], ["a", "b"], ["a", "b", "c"]]


def test_a_moved_lake_has_no_orphans_in_its_new_place(place: Place) -> None:
    with a_lake(place("old")) as lake:
        put_files(lake, "a")
    with a_lake(moved(place("old"), place("new"))) as lake:
        assert remove_orphans(lake, IN_A_MONTH) == Removed()
        assert paths(lake) == ["a"]


def test_a_neighbour_whose_folder_matches_ours_as_a_pattern_loses_nothing(place: Place) -> None:
    with a_lake(place("ab")) as neighbour, a_lake(place("a*")) as lake:
        put_files(neighbour, "theirs")
        put_files(lake, "ours")
        maintain(lake, IN_A_MONTH, run_id="m1")
        assert paths(neighbour) == ["theirs"]
        assert paths(lake) == ["ours"]


# --- retention of rows --------------------------------------------------------------------------


def _events(lake: Lake, ages: dict[str, int]) -> None:
    for identity, days in ages.items():
        received = NOW - days * DAY
        run_sql(lake, "INSERT INTO events (identity, received_at) VALUES (?, ?)", [identity, received])
        run_sql(lake, "INSERT INTO event_identities (identity, received_at) VALUES (?, ?)", [identity, received])


def test_event_identities_outlive_their_events(lake: Lake) -> None:
    _events(lake, {"young": 5, "old": 40, "ancient": 100})
    assert forget(lake, NOW, Retention(), run_id="m1") == {"events": 2, "event_identities": 1}
    assert lake.read("SELECT identity FROM events") == [("young",)]
    assert sorted(lake.read("SELECT identity FROM event_identities")) == [("old",), ("young",)]
    with pytest.raises(ValueError, match="event_identities"):
        Retention(event_identities=DAY)


def test_closed_plans_are_forgotten_with_all_that_is_theirs_and_open_ones_are_not(lake: Lake) -> None:
    _open_plan(lake, 1, "closed", NOW - 100 * DAY)
    _open_plan(lake, 1, "recent", NOW - DAY)
    _open_plan(lake, 1, "open")
    for plan in ("closed", "recent", "open"):
        run_sql(
            lake,
            "INSERT INTO operations (op_id, plan_id, seq, stage, kind, path, held) "
            "VALUES (?, ?, 0, 0, 'create', 'a', false)",
            [f"op-{plan}", plan],
        )
        run_sql(
            lake,
            "INSERT INTO outcomes (op_id, plan_id, kind, path, status, ended_at) "
            "VALUES (?, ?, 'create', 'a', 'done', ?)",
            [f"op-{plan}", plan, NOW - 100 * DAY],
        )
    assert forget(lake, NOW, Retention(), run_id="m1") == {"outcomes": 1, "operations": 1, "plans": 1}
    for table in ("plans", "operations", "outcomes"):
        assert sorted(lake.read(f"SELECT plan_id FROM {table}")) == [("open",), ("recent",)]
    with pytest.raises(ValueError, match="plans"):
        Retention(plans=DAY)


def test_nothing_to_forget_makes_no_snapshot(lake: Lake) -> None:
    _events(lake, {"young": 1})
    before = lake.current_snapshot()
    assert forget(lake, NOW, Retention(), run_id="m1") == {}
    assert lake.current_snapshot() == before


def test_a_maintenance_says_what_it_did_and_a_second_one_finds_nothing(lake: Lake) -> None:
    _events(lake, {"old": 1})
    for path in "abc":
        put_files(lake, path)
    put_orphan(lake, ORPHAN, b"half a row group")
    done = maintain(lake, IN_A_MONTH + DAY, run_id="m1")
    assert done.forgotten == {"events": 1}
    assert done.compacted.merged["files"] == (3, 1)
    assert done.expired > 0
    assert done.released.files > 0
    assert done.orphans.files == 1
    assert done.files >= 1
    assert done.bytes > 0
    assert paths(lake) == ["a", "b", "c"]
    maintain(lake, IN_A_MONTH + DAY, run_id="m1")
    before = lake.current_snapshot()
    last = maintain(lake, IN_A_MONTH + DAY, run_id="m1")
    assert (last.forgotten, last.compacted.merged, last.expired, last.released) == ({}, {}, 0, Removed())
    assert last.snapshot_id == before
