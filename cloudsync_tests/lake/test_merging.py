"""A listing merged into the state, beside a plain reading of the same rules in Python."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudsync_pipeline.lake import Lake, buckets, merging, runs
from cloudsync_pipeline.lake.lake import Connection
from cloudsync_pipeline.lake.observing import Listing, Merged
from cloudsync_pipeline.lake.rows import put_rows
from cloudsync_pipeline.storage.batches import listing_batch
from cloudsync_tests.lake.builders import run_sql

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


@dataclass(frozen=True)
class Seen:
    """An object as the state or a page has it."""

    key: str
    size: int = 1
    etag: str = "one"
    modified: datetime = NOON
    version: str | None = None
    observed: datetime = NOON


_TIME = pa.timestamp("us", tz="UTC")
_OBJECTS_FIELDS: list[pa.Field[Any]] = [
    pa.field("key", pa.string()),
    pa.field("size", pa.int64()),
    pa.field("etag", pa.string()),
    pa.field("modified", _TIME),
    pa.field("version", pa.string()),
    pa.field("observed", _TIME),
]
_OBJECTS = pa.schema(_OBJECTS_FIELDS)
_FILES_FIELDS: list[pa.Field[Any]] = [
    pa.field("path", pa.string()),
    pa.field("size", pa.int64()),
    pa.field("etag", pa.string()),
]
_FILES = pa.schema(_FILES_FIELDS)


@pytest.fixture(params=["at once", "by buckets"])
def lake(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """An empty one, in which listings are merged either way."""
    if request.param == "by buckets":
        monkeypatch.setattr(buckets, "BYTES_A_ROW", 100_000_000)
        monkeypatch.setattr(buckets, "BYTES_A_WIDE_ROW", 100_000_000)
    with Lake.open(tmp_path / "lake", integration="photos") as opened:
        yield opened


def test_rows_are_parted_by_their_key_where_they_would_not_fit_into_memory(tmp_path: Path) -> None:
    with Lake.open(tmp_path / "lake", integration="photos", memory_limit="256MB") as lake:

        def parts(rows: int) -> list[str]:
            return lake.commit(lambda connection: [*buckets.of(connection, rows)], run_id="test", step="parts")

        assert parts(600_000) == ["true"]
        conditions = [part.format("path") for part in parts(4_000_000)]
        assert len(conditions) >= 4
        every = " UNION ALL ".join(f"SELECT path FROM names WHERE {condition}" for condition in conditions)
        names = "WITH names AS (SELECT range::VARCHAR AS path FROM range(1000))"
        assert lake.read(f"{names} SELECT count(*), count(DISTINCT path) FROM ({every})") == [(1000, 1000)]


def remember(lake: Lake, objects: Sequence[Seen], files: Sequence[tuple[str, int, str]]) -> None:
    def work(connection: Connection) -> None:
        put_rows(connection, "known", _OBJECTS, map(asdict, objects))
        connection.execute(
            "INSERT INTO objects (key, size, etag, last_modified, version_id, observed_at) "
            "SELECT key, size, etag, modified, version, observed FROM known"
        )
        put_rows(connection, "held", _FILES, [dict(zip(_FILES.names, file, strict=True)) for file in files])
        connection.execute("INSERT INTO files (path, size, source_etag) SELECT path, size, etag FROM held")
        runs.set_meta(connection, "scanned_at", NOON.isoformat())

    lake.commit(work, run_id="test", step="remember")


def listing(folder: Path, *parts: Sequence[Seen]) -> Listing:
    """Staged as the engine does it."""
    files = []
    for number, rows in enumerate(parts):
        file = folder / f"part-{number}.parquet"
        columns: dict[str, list[Any]] = {
            "key": [row.key for row in rows],
            "size": [row.size for row in rows],
            "etag": [row.etag for row in rows],
            "last_modified": [row.modified for row in rows],
            "version_id": [row.version for row in rows],
            "observed_at": [row.observed for row in rows],
        }
        pq.write_table(pa.Table.from_batches([listing_batch(columns, len(rows))]), file)
        files.append(file)
    rows = [row for part in parts for row in part]
    begun = min((row.observed for row in rows), default=LATER)
    return Listing("a-listing", tuple(files), LATER, LATER, begun, len(rows), sum(row.size for row in rows))


def merge(lake: Lake, staged: Listing) -> Merged:
    return merging.merge_listing(lake, "run", staged, keep_deleted=False, announced=True, now=LATER)


def state(lake: Lake) -> dict[str, tuple[int, str, str | None]]:
    rows = lake.read("SELECT key, size, etag, version_id FROM objects")
    assert len({row[0] for row in rows}) == len(rows), "a key stands twice"
    return {key: (size, etag, version) for key, size, etag, version in rows}


def owed(lake: Lake) -> set[str]:
    return {path for (path,) in lake.read("SELECT path FROM owed WHERE aspect = 'content'")}


def test_any_listing_leaves_what_it_shows_and_owes_what_differs(lake: Lake, tmp_path: Path) -> None:
    dice = random.Random(7)
    known = {f"k'{n}/\N{SNOWMAN}": Seen(f"k'{n}/\N{SNOWMAN}", dice.randrange(3), dice.choice("ab")) for n in range(60)}
    shown = [
        replace(
            seen,
            size=dice.choice([seen.size, seen.size, 9]),
            etag=dice.choice([seen.etag, seen.etag, "c"]),
            modified=seen.modified + timedelta(milliseconds=dice.choice([0, 500])),
            observed=LATER,
        )
        for seen in known.values()
        if dice.random() < 0.8
    ] + [Seen(f"new {n}", observed=LATER) for n in range(7)]
    # Every third file holds its object as the listing shows it, some hold nothing that is known.
    files = [(seen.key, seen.size, seen.etag) for seen in shown[::3]] + [("left over", 1, "x")]
    remember(lake, list(known.values()), files)

    merged = merge(lake, listing(tmp_path, shown[:20], shown[20:]))

    wanted = {seen.key: (seen.size, seen.etag, None) for seen in shown}
    before = {seen.key: (seen.size, seen.etag, None) for seen in known.values()}
    assert state(lake) == wanted
    assert merged.added == 7
    assert merged.removed == len(before.keys() - wanted.keys())
    assert merged.changed == sum(1 for key in before.keys() & wanted.keys() if before[key] != wanted[key])
    held = {path: (size, etag, None) for path, size, etag in files}
    differ = {path for path in wanted.keys() | held.keys() if wanted.get(path) != held.get(path)}
    assert owed(lake) == differ
    assert merged.drift == len(differ)

    again = merge(lake, replace(listing(tmp_path, shown), listing_id="again"))
    assert (again.added, again.changed, again.removed, again.drift) == (0, 0, 0, 0)
    assert owed(lake) == differ


def test_a_key_on_two_pages_stands_once_as_the_later_page_shows_it(lake: Lake, tmp_path: Path) -> None:
    remember(lake, [Seen("a"), Seen("b")], [("a", 1, "one"), ("b", 1, "one")])
    soon, late = LATER, LATER + timedelta(seconds=5)
    pages = [
        [Seen("a", observed=soon), Seen("b", observed=soon), Seen("c", observed=soon)],
        [Seen("a", etag="two", observed=late), Seen("c", etag="two", observed=late)],
    ]

    merge(lake, listing(tmp_path, *pages))

    assert state(lake) == {"a": (1, "two", None), "b": (1, "one", None), "c": (1, "two", None)}
    assert owed(lake) == {"a", "c"}


def test_what_was_observed_after_the_listing_stays_and_a_version_is_told_or_not(lake: Lake, tmp_path: Path) -> None:
    newer = LATER + timedelta(minutes=1)
    remember(
        lake,
        [
            Seen("changed since", etag="two", observed=newer),
            Seen("made since", observed=newer),
            Seen("versioned", version="v1"),
            Seen("told anew", version="v1"),
        ],
        [("versioned", 1, "one"), ("told anew", 1, "one"), ("changed since", 1, "two"), ("made since", 1, "one")],
    )

    merged = merge(
        lake,
        listing(
            tmp_path,
            [
                Seen("changed since", observed=LATER),
                Seen("versioned", observed=LATER),
                Seen("told anew", version="v2", observed=LATER),
            ],
        ),
    )

    assert (merged.added, merged.changed, merged.removed) == (0, 1, 0)
    assert state(lake) == {
        "changed since": (1, "two", None),
        "made since": (1, "one", None),
        "versioned": (1, "one", "v1"),
        "told anew": (1, "one", "v2"),
    }
    assert owed(lake) == set()


def test_files_that_differ_from_objects_that_did_not_change_are_found(lake: Lake, tmp_path: Path) -> None:
    remember(lake, [Seen("a"), Seen("b")], [("a", 1, "one"), ("b", 1, "other"), ("c", 1, "one")])

    merged = merge(lake, listing(tmp_path, [Seen("a", observed=LATER), Seen("b", observed=LATER)]))

    assert (merged.added, merged.changed, merged.removed, merged.drift) == (0, 0, 0, 2)
    assert owed(lake) == {"b", "c"}


@pytest.mark.parametrize("hidden", [False, True])
def test_in_a_lake_that_was_in_step_but_for_its_debts_a_listing_owes_what_differs(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    """`hidden`: one file is not as its object, and no debt says so."""
    summed: list[bool] = []
    real = merging._differ_where_named

    def spied(connection: Connection) -> bool:
        summed.append(real(connection))
        return summed[-1]

    monkeypatch.setattr(merging, "_differ_where_named", spied)
    dice = random.Random(11)
    for turn in range(6):
        known = [Seen(f"{turn}/{n}", dice.randrange(3), dice.choice("ab")) for n in range(40)]
        files = {seen.key: (seen.size, seen.etag) for seen in known}
        debts = set()
        for key in dice.sample(sorted(files), 12):
            debts.add(key)
            match dice.choice(["as it is", "missing", "other"]):
                case "missing":
                    del files[key]
                case "other":
                    files[key] = (5, "other")
        if dice.random() < 0.5:
            files[f"{turn}/left over"] = (1, "one")
            debts.add(f"{turn}/left over")
        secret = dice.choice(sorted(files.keys() - debts))
        if hidden:
            files[secret] = (7, "hidden")
        shown = [
            replace(seen, size=seen.size if seen.key == secret else dice.choice([seen.size] * 9 + [9]), observed=LATER)
            for seen in known
            if seen.key == secret or dice.random() < 0.9
        ] + [Seen(f"{turn}/new {n}", observed=LATER) for n in range(dice.randrange(3))]

        lake.commit(_forget, run_id="test", step="forget")
        remember(lake, known, [(path, *held) for path, held in files.items()])
        owe = "INSERT INTO owed (path, aspect, since, touched_at, observed_at, attempts) "
        for path in sorted(debts):
            run_sql(lake, owe + "VALUES (?, 'content', ?, ?, ?, 0)", [path, NOON, NOON, NOON])
        merge(lake, replace(listing(tmp_path, shown), listing_id=f"listing {turn}"))

        wanted = {seen.key: (seen.size, seen.etag) for seen in shown}
        assert owed(lake) == {path for path in wanted.keys() | files.keys() if wanted.get(path) != files.get(path)}
    # By spans of paths all are joined anyway; at once, only where the sums do not tell that nothing is hidden.
    by_spans = buckets.BYTES_A_ROW > 1_000_000
    assert summed == ([] if by_spans else [not hidden] * 6)


def _forget(connection: Connection) -> None:
    for table in ("objects", "files", "owed", "listings"):
        connection.execute(f"DELETE FROM {table}")
