"""`status`, `runs`, `files` and `export-state` tell what is stored."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cloudsync_tests.cli.builders import Place, a_place, forget_logging, put

OBJECTS = {"a.txt": "alpha", "b/c.txt": "gamma", "b/d.txt": "delta"}


def synced(place: Place, objects: dict[str, str] | None = None) -> Path:
    source = place.local("one", objects or OBJECTS)
    assert place.run("initial-sync").code == 0
    return source


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A fleet that was synced twice, and that these tests only look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        place = a_place(tmp_path_factory.mktemp("seen"))
        synced(place)
        place.local("two", {"a.txt": "alpha"})
        place.run("initial-sync", "-i", "two")
        place.run("reconcile", "-i", "one")
        yield place
    forget_logging()


def test_status_of_a_fleet_nobody_has_synced_yet(place: Place) -> None:
    place.local("one")
    ran = place.run("status")
    assert ran.code == 0
    assert ran.out.splitlines()[1].split()[:2] == ["one", "new"]


def test_status_tells_what_each_integration_holds_and_did(seen: Place) -> None:
    line = seen.run("status").out.splitlines()[1]
    assert line.split()[:4] == ["one", "active", "3", "3"]
    assert "reconcile in_sync" in line


def test_status_of_a_named_integration_has_the_details(seen: Place) -> None:
    out = seen.run("status", "-i", "one").out
    assert "objects      3, 15 B" in out
    assert "last scan" in out


def test_status_as_json_has_the_documented_shape(seen: Place) -> None:
    [one] = seen.run("status", "-i", "one", "--json").json()["integrations"]
    assert set(one) == {
        "integration",
        "configured",
        "state",
        "last_run",
        "next",
        "counts",
        "lake",
        "error",
        "holder",
    }
    assert one["counts"] == {"objects": 3, "files": 3, "bytes": 15, "owed": 0, "quarantined": 0, "held": 0}
    assert one["lake"]["objects"] == 3
    assert one["lake"]["quarantine"] == []
    assert one["last_run"]["verdict"] == "in_sync"
    assert one["next"]["initial_done"] is True


def test_status_shows_what_is_wrong_with_a_file(place: Place) -> None:
    place.integration("broken", "storage: {type: local}\n")
    named, fleet = place.run("status", "-i", "broken"), place.run("status")
    assert named.code == 5
    assert fleet.code == 0
    assert "broken" in fleet.out


def test_status_can_exit_as_the_last_runs_did(place: Place) -> None:
    source = synced(place, {f"{number}.txt": "text" for number in range(25)})
    assert place.run("status", "--check").code == 0
    for file in source.iterdir():
        file.unlink()
    place.run("reconcile")
    assert place.run("status").code == 0
    assert place.run("status", "--check").code == 4


def test_runs_are_listed_newest_first(seen: Place) -> None:
    runs = seen.run("runs", "--json").json()["runs"]
    assert [(one["integration"], one["mode"]) for one in runs] == [
        ("one", "reconcile"),
        ("two", "initial"),
        ("one", "initial"),
    ]
    assert set(runs[0]) == {"run_id", "integration", "mode", "verdict", "started_at", "finished_at", "results"}
    assert [one["mode"] for one in seen.run("runs", "-n", "1", "--json").json()["runs"]] == ["reconcile"]


def test_runs_can_be_those_of_one_integration(seen: Place) -> None:
    assert {one["integration"] for one in seen.run("runs", "-i", "two", "--json").json()["runs"]} == {"two"}
    assert "two" in seen.run("runs").out


def test_runs_of_a_new_fleet_are_none(place: Place) -> None:
    place.local("one")
    assert "no run has ended yet" in place.run("runs").out


def rows(place: Place, *arguments: str) -> list[dict[str, Any]]:
    document = place.run("files", "-i", "one", "--json", *arguments).json()
    assert set(document) == {"integration", "table", "snapshot_id", "rows", "next_after"}
    found: list[dict[str, Any]] = document["rows"]
    return found


def test_files_are_listed_by_path(seen: Place) -> None:
    assert [row["path"] for row in rows(seen)] == ["a.txt", "b/c.txt", "b/d.txt"]
    assert "a.txt" in seen.run("files", "-i", "one").out


def test_files_are_filtered_by_prefix(seen: Place) -> None:
    assert [row["path"] for row in rows(seen, "--prefix", "b/")] == ["b/c.txt", "b/d.txt"]
    assert seen.run("files", "-i", "one", "--prefix", "zzz").out == "none\n"


def test_files_come_a_page_at_a_time(seen: Place) -> None:
    found, after = [], None
    for _ in range(4):
        arguments: list[str] = ["--after", after] if after else []
        document = seen.run("files", "-i", "one", "--json", "-n", "1", *arguments).json()
        found += [row["path"] for row in document["rows"]]
        after = document["next_after"]
        if after is None:
            break
    assert found == ["a.txt", "b/c.txt", "b/d.txt"]
    assert "--after 'a.txt'" in seen.run("files", "-i", "one", "-n", "1").out


def test_objects_are_listed_too(seen: Place) -> None:
    assert [row["key"] for row in rows(seen, "--objects")] == ["a.txt", "b/c.txt", "b/d.txt"]
    assert "etag" in seen.run("files", "-i", "one", "--objects").out


def test_files_can_be_those_of_an_earlier_snapshot_or_time(place: Place) -> None:
    source = synced(place)
    snapshot = place.run("files", "-i", "one", "--json").json()["snapshot_id"]
    then = datetime.now(UTC)
    put(source, "new.txt", "new")
    place.run("reconcile")
    assert len(rows(place)) == 4
    assert len(rows(place, "--as-of", str(snapshot))) == 3
    assert len(rows(place, "--as-of", then.isoformat())) == 3
    # Without a zone it is UTC.
    assert len(rows(place, "--as-of", then.replace(tzinfo=None).isoformat())) == 3


def test_a_state_that_never_was_is_told(seen: Place) -> None:
    ran = seen.run("files", "-i", "one", "--as-of", "2020-01-01T00:00:00Z")
    assert ran.code == 8
    assert "expired, or never was" in ran.err


def test_a_time_that_is_none_is_a_usage_error(seen: Place) -> None:
    assert seen.run("files", "-i", "one", "--as-of", "yesterday").code == 2


def test_files_before_the_first_sync_are_told_to_be_missing(place: Place) -> None:
    place.local("one")
    ran = place.run("files", "-i", "one")
    assert ran.code == 8
    assert "initial sync" in ran.err


@pytest.mark.parametrize("how", [("--format", "csv"), ("--output", "out.csv")])
def test_state_is_exported_as_csv(
    seen: Place, how: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written = seen.run("export-state", "-i", "one", *how, "--json").json()
    with Path(written["path"]).open(newline="") as file:
        exported = list(csv.DictReader(file))
    assert [row["path"] for row in exported] == ["a.txt", "b/c.txt", "b/d.txt"]
    assert (written["table"], written["rows"]) == ("files", 3)


def test_another_table_is_exported_as_parquet_as_it_was(place: Place, tmp_path: Path) -> None:
    source = synced(place)
    snapshot = place.run("files", "-i", "one", "--json").json()["snapshot_id"]
    put(source, "new.txt", "new")
    place.run("reconcile")
    target = tmp_path / "objects.parquet"
    ran = place.run("export-state", "-i", "one", "-t", "objects", "-o", str(target), "--as-of", str(snapshot))
    assert ran.code == 0
    assert ran.out.startswith("3 rows of objects")
    assert pq.read_table(target)["key"].to_pylist() == ["a.txt", "b/c.txt", "b/d.txt"]


def test_an_unknown_table_is_told_with_those_that_are(seen: Place) -> None:
    ran = seen.run("export-state", "-i", "one", "-t", "nonsense")
    assert ran.code == 8
    assert "objects" in ran.err
