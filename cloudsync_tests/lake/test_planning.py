"""A plan of very many debts is made by buckets of their paths, and is the same plan."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.core.guard import Judgement
from cloudsync_pipeline.lake import Connection, Lake, buckets, due, planning
from cloudsync_pipeline.lake.buckets import Span, within
from cloudsync_pipeline.lake.planning import Planned, PlanRules
from cloudsync_pipeline.lake.removal import plan_removal
from cloudsync_tests.lake.builders import NOON, put_files, run_sql

_OBJECT = "INSERT INTO objects (key, size, etag, observed_at) VALUES (?, ?, ?, ?)"
_FILE = (
    "INSERT INTO files (path, size, source_etag, internal_id, fingerprint_kind, fingerprint_value, permissions_known) "
    "VALUES (?, ?, ?, 'id-' || ?, 'md5', ?, false)"
)
_DEBT = "INSERT INTO owed (path, aspect, since, touched_at, observed_at, attempts) VALUES (?, ?, ?, ?, ?, 0)"


def a_mixture(connection: Connection) -> None:
    """New, changed, vanished, renamed and equal paths, all of them owed; and permissions of some."""
    dice = random.Random(11)
    for number in range(60):
        path, content, other = f"folder {number % 3}/f{number:02}", f"{number:032x}", f"{number + 1000:032x}"
        shape = dice.choice(["new", "changed", "vanished", "renamed", "equal"])
        if shape in ("new", "changed", "equal"):
            connection.execute(_OBJECT, [path, 5, content, NOON])
        if shape in ("changed", "vanished", "equal"):
            etag = content if shape == "equal" else other
            connection.execute(_FILE, [path, 5, etag, path, etag])
        if shape == "renamed":
            connection.execute(_OBJECT, [f"renamed/{path}", 5, content, NOON])
            connection.execute(_FILE, [path, 5, content, path, content])
            connection.execute(_DEBT, [f"renamed/{path}", "content", NOON, NOON, NOON])
        connection.execute(_DEBT, [path, "content", NOON, NOON, NOON])
        if dice.random() < 0.3:
            connection.execute(_DEBT, [path, "permissions", NOON, NOON, NOON])


def planned(folder: Path) -> tuple[Planned, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The plan of such a mixture: as it is told, its operations, and what is owed afterwards."""
    with Lake.open(folder, integration="acme") as lake:
        lake.commit(a_mixture, run_id="test", step="mix")
        told = planning.make(
            lake,
            "run",
            plan_id="plan",
            mode="reconcile",
            rules=PlanRules(etag_may_be_md5=True, folders_are_files=False),
            judge=lambda facts: Judgement(held=facts.planned > 0, reason="held"),
            now=NOON,
        )
        return told, lake.read("SELECT * FROM operations ORDER BY seq"), lake.read("SELECT * FROM owed ORDER BY ALL")


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row counts for so much that sixty of them are many."""
    monkeypatch.setattr(buckets, "BYTES_A_ROW", 100_000_000)
    monkeypatch.setattr(buckets, "BYTES_A_WIDE_ROW", 100_000_000)


def test_a_plan_made_by_buckets_is_the_plan_made_at_once(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    at_once = planned(tmp_path / "at once")
    request.getfixturevalue("little_memory")
    assert planned(tmp_path / "by buckets") == at_once
    told, operations, _ = at_once
    assert {"create", "update", "move", "read_permissions"} <= told.by_kind.keys()
    assert told.held > 0
    assert told.paid > 0
    assert len(operations) == sum(told.by_kind.values()) + told.held


def test_a_plan_of_few_debts_is_that_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_few = planned(tmp_path / "few")
    monkeypatch.setattr(due, "FEW", 0)
    assert planned(tmp_path / "many") == as_few


@pytest.mark.usefixtures("little_memory")
def test_operations_are_numbered_without_gaps_by_stage_and_path(tmp_path: Path) -> None:
    planned(tmp_path)
    with Lake.open(tmp_path, integration="acme") as lake:
        rows = lake.read("SELECT seq, stage, path, op_id FROM operations ORDER BY seq")
    assert [seq for seq, *_ in rows] == list(range(len(rows)))
    assert [op_id for *_, op_id in rows] == [f"plan-{number}" for number in range(len(rows))]
    order = [(stage, path.encode()) for _, stage, path, _ in rows]
    assert order == sorted(order)
    assert len({stage for stage, _ in order}) > 2


@pytest.mark.usefixtures("little_memory")
def test_a_stage_of_very_many_operations_is_never_sorted_at_once(tmp_path: Path) -> None:
    planned(tmp_path)
    with Lake.open(tmp_path, integration="acme") as lake:
        pieces = lake.read(
            "SELECT stage, filename, min(seq), max(seq), count(*) FROM read_parquet(?, filename = true) "
            "GROUP BY stage, filename ORDER BY min(seq)",
            [[row[0] for row in lake.read("SELECT data_file FROM ducklake_list_files('lake', 'operations')")]],
        )
        rows = lake.scalar("SELECT count(*) FROM operations")
    assert max(count for *_, count in pieces) < rows / 4
    assert all(last - first == count - 1 for _, _, first, last, count in pieces)


@pytest.mark.usefixtures("little_memory")
def test_the_deletes_of_a_removal_are_numbered_without_gaps_by_path(lake: Lake) -> None:
    paths = [f"f{number:02}" for number in range(60)]
    put_files(lake, *paths)
    run_sql(lake, "UPDATE files SET op_id = 'restored' WHERE path = 'f07'")
    plan = plan_removal(lake, "run", NOON)
    assert plan is not None
    assert plan.operations == 59
    rows = lake.read("SELECT seq, path, op_id, kind, size FROM operations ORDER BY seq")
    wanted = [path for path in paths if path != "f07"]
    assert rows == [(n, path, f"run-removal-{n}", "delete", 1) for n, path in enumerate(wanted)]
    files = [row[0] for row in lake.read("SELECT data_file FROM ducklake_list_files('lake', 'operations')")]
    assert len(files) > 4


HOSTILE = ["a", "a'b", "a//b", "/a", "ü", "u\u0308", "\U0001f600", "\x01", "z" * 900, " ", "%", "$low", "a"]


def test_spans_hold_every_path_once_and_follow_each_other(lake: Lake, little_memory: None) -> None:
    def parted(connection: Connection) -> list[list[str]]:
        connection.execute("CREATE OR REPLACE TEMP TABLE hostile AS SELECT unnest(?::VARCHAR[]) AS path", [HOSTILE])
        return [
            [
                path
                for (path,) in connection.execute(f"SELECT path FROM hostile WHERE {within('path')}", ends).fetchall()
            ]
            for ends in (span.ends for span in buckets.spans(connection, "hostile", 60))
        ]

    parts = lake.commit(parted, run_id="test", step="part")
    assert len(parts) > 4
    assert [path for part in parts for path in sorted(part)] == sorted(HOSTILE)
    assert all(parts[1:])


def test_few_rows_are_one_span(lake: Lake) -> None:
    spans = lake.commit(lambda connection: buckets.spans(connection, "owed", 1000), run_id="test", step="part")
    assert spans == [Span("", None)]
