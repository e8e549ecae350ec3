"""What a commit promises."""

from __future__ import annotations

import pickle
import signal
import threading
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cloudsync_pipeline.core.errors import CommitFailed, LockLost, StateError, StorageFull
from cloudsync_pipeline.core.keys import escape
from cloudsync_pipeline.lake import Connection, Lake, commit, threads
from cloudsync_pipeline.lake.faults import translate
from cloudsync_tests.children import python
from cloudsync_tests.hostile_keys import HOSTILE_KEYS
from cloudsync_tests.lake.builders import OWE, a_lake, parquet_files, paths, put_files, run_sql
from cloudsync_tests.lake.places import Place


def test_a_commit_returns_what_its_work_returns_and_carries_run_step_and_message(lake: Lake) -> None:
    def work(connection: Connection) -> str:
        connection.execute("INSERT INTO files (path) VALUES ('a')")
        return "done"

    assert lake.commit(work, run_id="run-7", step="merge", message="one file", info={"rows": 1}) == "done"
    newest = lake.snapshots(1)[0]
    assert (newest.author, newest.message, newest.info["rows"]) == ("run-7", "merge: one file", 1)
    assert newest.changes == {"tables_inserted_into": ("files",)}


def test_a_commit_over_several_tables_is_one_snapshot(lake: Lake) -> None:
    before = lake.current_snapshot()

    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO files (path) VALUES ('a')")
        connection.execute(OWE, ["a", "content"])

    lake.commit(work, run_id="run-1", step="both")
    assert lake.current_snapshot() == before + 1


def test_a_commit_that_changes_nothing_makes_no_snapshot(lake: Lake) -> None:
    before = lake.current_snapshot()
    lake.commit(lambda connection: connection.execute("DELETE FROM files"), run_id="run-1", step="nothing")
    assert lake.current_snapshot() == before


def test_an_error_in_the_work_undoes_it_and_passes_through(lake: Lake) -> None:
    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO files (path) VALUES ('a')")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        lake.commit(work, run_id="run-1", step="broken")
    assert paths(lake) == []
    put_files(lake, "b")
    assert paths(lake) == ["b"]


def test_a_statement_that_fails_is_a_state_error_that_names_the_step(lake: Lake) -> None:
    with pytest.raises(StateError, match=r"acme: The lake failed while committing 'sql'.*no_such_table") as caught:
        run_sql(lake, "DELETE FROM no_such_table")
    assert not isinstance(caught.value, CommitFailed)


def test_a_commit_within_a_commit_is_refused_instead_of_waiting_for_itself(lake: Lake) -> None:
    with pytest.raises(RuntimeError, match="not commit again"):
        lake.commit(lambda _: put_files(lake, "a"), run_id="run-1", step="outer")
    assert put_files(lake, "b")


@pytest.mark.parametrize("committed", [False, True])
def test_a_path_that_would_stand_twice_stops_the_commit(lake: Lake, committed: bool) -> None:
    twice = ("a", "b") if committed else ("b", "b")
    put_files(lake, "a")
    with pytest.raises(StateError, match=r"would have left .* twice in the table files"):
        put_files(lake, *twice)
    assert paths(lake) == ["a"]


def test_owed_may_hold_a_path_once_for_each_aspect(lake: Lake) -> None:
    def owe(aspect: str) -> None:
        lake.commit(
            lambda connection: connection.execute(OWE, ["a", aspect]),
            run_id="run-1",
            step="owe",
            unique=("owed",),
        )

    owe("content")
    owe("permissions")
    with pytest.raises(StateError, match="'a / content' twice in the table owed"):
        owe("content")


def test_a_row_that_was_replaced_in_the_same_commit_does_not_stand_twice(lake: Lake) -> None:
    put_files(lake, "a", "b", size=1)

    def work(connection: Connection) -> None:
        connection.execute("UPDATE files SET size = 2")
        connection.execute("DELETE FROM files WHERE path = 'b'")
        connection.execute("INSERT INTO files (path, size) VALUES ('b', 3)")

    lake.commit(work, run_id="run-1", step="replace", unique=("files",))
    assert lake.read("SELECT path, size FROM files ORDER BY path") == [("a", 2), ("b", 3)]


def test_small_commits_are_written_as_parquet_and_never_inlined(lake: Lake) -> None:
    put_files(lake, "a")
    assert len(parquet_files(lake)) == 1
    inlined = lake.scalar("SELECT count(*) FROM __ducklake_metadata_lake.ducklake_inlined_data_tables")
    assert inlined == 0


def test_a_null_character_needs_escaping_and_every_escaped_key_comes_back(lake: Lake) -> None:
    with pytest.raises(StateError):
        put_files(lake, "a\x00b")
    invalid = b"caf\xe9".decode("utf-8", "surrogateescape")
    escaped = [hostile.key for hostile in HOSTILE_KEYS] + [escape("a\x00b"), escape(invalid)]
    put_files(lake, *escaped)
    assert set(paths(lake)) == set(escaped)


# --- other writers ------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "FIRST_WAIT", 0.001)


@pytest.mark.usefixtures("impatient")
def test_the_sql_is_run_again_when_another_writer_came_between(lake: Lake) -> None:
    put_files(lake, "a")
    tries: list[int] = []
    with a_lake(lake.location) as other:

        def work(connection: Connection) -> None:
            tries.append(1)
            connection.execute("UPDATE files SET size = size + 1 WHERE path = 'a'")
            if len(tries) == 1:
                run_sql(other, "UPDATE files SET size = size + 10 WHERE path = 'a'")

        lake.commit(work, run_id="run-1", step="add")
    assert len(tries) > 1
    assert lake.read("SELECT path, size FROM files") == [("a", 12)]


@pytest.mark.usefixtures("impatient")
def test_a_commit_gives_up_after_its_tries_and_says_that_nothing_was_committed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "ATTEMPTS", 2)
    put_files(lake, "a")
    with a_lake(lake.location) as other:

        def work(connection: Connection) -> None:
            connection.execute("UPDATE files SET size = 100 WHERE path = 'a'")
            run_sql(other, "UPDATE files SET size = size + 1 WHERE path = 'a'")

        with pytest.raises(CommitFailed, match=r"came between 2 times.*Nothing was committed"):
            lake.commit(work, run_id="run-1", step="add")
    assert lake.scalar("SELECT size FROM files") == 3


@pytest.mark.usefixtures("impatient")
def test_a_writer_with_the_catalog_locked_is_waited_for(lake: Lake) -> None:
    seen: list[int] = []

    class LockedOnce:
        def execute(self, sql: str, params: Any = None) -> Any:
            if sql == "COMMIT" and not seen:
                seen.append(1)
                raise duckdb.IOException("Failed to commit: database is locked")
            return lake._writer.execute(sql, params) if params is not None else lake._writer.execute(sql)

    _commit_through(LockedOnce(), "a")
    assert paths(lake) == ["a"]


def test_a_commit_whose_answer_is_lost_is_not_done_twice(lake: Lake) -> None:
    class Deaf:
        def execute(self, sql: str, params: Any = None) -> Any:
            result = lake._writer.execute(sql, params) if params is not None else lake._writer.execute(sql)
            if sql == "COMMIT":
                raise duckdb.IOException("server closed the connection unexpectedly")
            return result

    assert _commit_through(Deaf(), "a") == "worked"
    assert paths(lake) == ["a"]


def _commit_through(connection: Any, path: str) -> str:
    def work(given: Connection) -> str:
        given.execute("INSERT INTO files (path) VALUES (?)", [path])
        return "worked"

    return commit.commit(
        connection,
        work,
        integration="acme",
        author="run-1",
        message="put",
        info={},
        unique=(),
        checking=nullcontext,
        fence=None,
    )


def test_a_fence_is_asked_in_every_commit_and_stops_a_writer_that_lost_its_lock(place: Place) -> None:
    lost = threading.Event()

    def fence(connection: Connection) -> None:
        if lost.is_set():
            raise LockLost("taken over", integration="acme")

    with a_lake(place("lake"), fence=fence) as lake:
        put_files(lake, "a")
        lost.set()
        with pytest.raises(LockLost):
            put_files(lake, "b")
        assert paths(lake) == ["a"]


@pytest.mark.parametrize(
    ("error", "ours", "says"),
    [
        (duckdb.IOException("Could not write file: No space left on device"), StorageFull, "Free some space"),
        (duckdb.IOException("database or disk is full"), StorageFull, "Free some space"),
        (duckdb.OutOfMemoryException("failed to allocate data"), StateError, "`database.memory_limit`"),
    ],
)
def test_what_a_person_can_act_on_is_told_apart(error: duckdb.Error, ours: type[Exception], says: str) -> None:
    translated = translate(error, "acme", "committing 'merge'")
    assert type(translated) is ours
    assert says in str(translated)


# --- kills --------------------------------------------------------------------------------------

_WRITER = """
import pickle, sys
from cloudsync_pipeline.lake import Lake, tidying

tidying.MANY_FILES = 2
lake = Lake.open(pickle.loads(bytes.fromhex(sys.argv[1])), integration="acme")
start = lake.scalar("SELECT count(*) FROM files")
for n in range(start, start + 100_000):
    def work(connection):
        connection.execute("INSERT INTO files (path) VALUES (?)", [str(n)])
        connection.execute("INSERT INTO desired_permissions (path) VALUES (?)", [str(n)])
    lake.commit(work, run_id="run-1", step="both")
    if sys.argv[2:]:
        assert tidying.tidy(lake, "run-1") or n == start
    print(n, flush=True)
"""


@pytest.mark.parametrize("joining", [(), ("joining",)])
def test_a_writer_killed_amid_commits_leaves_a_lake_that_opens_and_agrees_with_itself(
    place: Place, joining: tuple[str, ...]
) -> None:
    where = place("lake")
    a_lake(where).close()
    told = -1
    for commits in (1, 7):
        writer = python("-c", _WRITER, pickle.dumps(where).hex(), *joining)
        assert writer.stdout is not None
        for _ in range(commits):
            told = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        with a_lake(where) as lake:
            counts = [lake.scalar(f"SELECT count(*) FROM {table}") for table in ("files", "desired_permissions")]
            assert counts[0] == counts[1] > told
            put_files(lake, f"after {commits}")
            run_sql(lake, "DELETE FROM files WHERE starts_with(path, 'after')")


@pytest.mark.parametrize(("rows", "wanted"), [(0, 1), (9, 1), (10, 2)])
def test_only_what_looks_through_many_rows_has_more_than_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, wanted: int
) -> None:
    monkeypatch.setattr(threads, "MANY_ROWS", 10)

    def now(connection: Connection) -> int:
        return int(connection.execute("SELECT current_setting('threads')").fetchone()[0])  # type: ignore[index]

    with a_lake(tmp_path / "lake", threads=2) as lake:

        def look(connection: Connection) -> list[int]:
            seen = [now(connection)]
            with lake.looking_through(rows):
                seen.append(now(connection))
                with lake.looking_through(rows):
                    seen.append(now(connection))
                seen.append(now(connection))
            return [*seen, now(connection)]

        def fail(connection: Connection) -> None:
            with lake.looking_through(rows):
                with suppress(duckdb.Error):
                    connection.execute("INSERT INTO files (path) SELECT error('no such row')")
                raise ZeroDivisionError

        checked: list[int] = []

        def check(connection: Connection, *_: object) -> None:
            checked.append(now(connection))

        monkeypatch.setattr(commit, "assert_unique", check)
        for _ in range(2):
            assert lake.commit(look, run_id="run", step="count", unique=["files"], rows=rows) == [1, *[wanted] * 3, 1]
            assert lake.scalar("SELECT current_setting('threads')") == 1
            with pytest.raises(ZeroDivisionError):
                lake.commit(fail, run_id="run", step="fail", rows=rows)
            assert lake.scalar("SELECT current_setting('threads')") == 1
        assert checked == [wanted] * 2
