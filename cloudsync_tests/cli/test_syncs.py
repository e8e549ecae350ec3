"""The sync commands, directly and for several integrations at once."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.control.locks import writer_lock
from cloudsync_pipeline.core.errors import Rejected
from cloudsync_pipeline.core.records import FileState
from cloudsync_pipeline.engine.listing import list_bucket
from cloudsync_pipeline.file_managers.base import Upload
from cloudsync_pipeline.file_managers.local import LocalFileManager
from cloudsync_tests.cli.builders import Place, put

SYNC_FIELDS = {"integration", "via", "run_id", "exit_code", "skipped", "result", "error"}


def test_an_initial_sync_brings_every_object_over(place: Place) -> None:
    place.local("one", {"a.txt": "alpha", "b/c.txt": "gamma"})
    ran = place.run("initial-sync")
    assert ran.code == 0
    assert place.files("one") == {"a.txt": "alpha", "b/c.txt": "gamma"}
    assert "one: initial sync in sync" in ran.out
    assert "2 create" in ran.out


def test_it_says_that_it_runs_without_dagster(place: Place) -> None:
    place.local("one")
    assert "directly, without Dagster (DAGSTER_HOME names no instance)" in place.run("initial-sync").err
    assert "directly, without Dagster\n" in place.run("initial-sync", "--direct").err


def test_it_says_that_it_used_an_older_listing_and_that_another_scan_is_due(place: Place) -> None:
    source = place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")

    async def killed_before_its_merge() -> None:
        async with wiring.open_session(
            load_fleet(place.config), "one", run_id="killed", purpose="reconcile"
        ) as session:
            await list_bucket(session, run_id="killed")

    asyncio.run(killed_before_its_merge())
    put(source, "b.txt", "beta")
    first, second = place.run("reconcile"), place.run("reconcile")
    assert "listing of an interrupted run was used" in first.out
    assert "listing of an interrupted run" not in second.out
    assert place.files("one") == {"a.txt": "alpha", "b.txt": "beta"}


def test_a_second_sync_does_nothing(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    [again] = place.run("reconcile", "--json").json()["integrations"]
    assert again["result"]["execution"]["done"] == {}


def test_changes_come_over_with_the_next_sync(place: Place) -> None:
    source = place.local("one", {"a.txt": "alpha", "b.txt": "beta"})
    place.run("initial-sync")
    (source / "a.txt").unlink()
    put(source, "b.txt", "changed")
    put(source, "c.txt", "new")
    assert place.run("incremental-sync").code == 0
    assert place.files("one") == {"b.txt": "changed", "c.txt": "new"}


def test_a_plan_shows_what_would_happen_and_does_none_of_it(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    ran = place.run("plan")
    assert ran.code == 0
    assert "one: would do: 1 create" in ran.out
    assert "a.txt" in ran.out
    assert place.files("one") == {}


def test_a_plan_as_json_holds_the_examples(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    document = place.run("plan", "--json").json()
    [one] = document["integrations"]
    assert one["result"]["verdict"] == "planned"
    assert one["result"]["plan"]["by_kind"]["create"] == 1
    assert ["create", "a.txt"] in [example[:2] for example in one["result"]["plan"]["examples"]]


def test_an_unknown_mode_of_a_plan_is_a_usage_error(place: Place) -> None:
    place.local("one")
    assert place.run("plan", "--mode", "sideways").code == 2


def test_json_has_the_documented_shape(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    document = place.run("initial-sync", "--json").json()
    assert set(document) == {"mode", "via", "exit_code", "integrations"}
    assert (document["mode"], document["via"], document["exit_code"]) == ("initial", "direct", 0)
    [one] = document["integrations"]
    assert set(one) == SYNC_FIELDS
    assert one["result"]["run_id"] == one["run_id"]
    assert one["result"]["execution"]["done"]["create"] == 1


def test_every_integration_is_synced_unless_some_are_named(place: Place) -> None:
    for name in ("one", "three", "two"):
        place.local(name, {"a.txt": name})
    named = place.run("initial-sync", "-i", "two", "-i", "one", "--json").json()
    assert [one["integration"] for one in named["integrations"]] == ["two", "one"]
    everything = place.run("initial-sync", "--json").json()
    assert [one["integration"] for one in everything["integrations"]] == ["one", "three", "two"]


def test_one_that_fails_does_not_keep_the_others_from_being_synced(place: Place) -> None:
    place.local("good", {"a.txt": "alpha"})
    shutil.rmtree(place.local("gone", {"a.txt": "alpha"}))
    ran = place.run("initial-sync")
    assert ran.code == 6
    assert place.files("good") == {"a.txt": "alpha"}
    assert "error: gone: " in ran.err


def test_a_defect_that_one_meets_does_not_end_the_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.local("good", {"a.txt": "alpha"})
    place.local("odd", {"a.txt": "alpha"})
    opened = wiring.open_session

    def opening(fleet: Any, name: str, **how: Any) -> Any:
        if name == "odd":
            raise ZeroDivisionError("nobody foresaw this")
        return opened(fleet, name, **how)

    monkeypatch.setattr(wiring, "open_session", opening)
    ran = place.run("initial-sync")
    assert ran.code == 1
    assert place.files("good") == {"a.txt": "alpha"}
    assert "error: odd: unexpected ZeroDivisionError: nobody foresaw this." in ran.err
    assert "Traceback" not in ran.err


def test_a_broken_file_is_told_and_the_others_are_synced(place: Place) -> None:
    place.local("good", {"a.txt": "alpha"})
    place.integration("broken", "storage: {type: local}\n")
    ran = place.run("initial-sync")
    assert ran.code == 5
    assert place.files("good") == {"a.txt": "alpha"}
    assert "error: broken: " in ran.err


def test_an_unknown_name_syncs_nothing(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    ran = place.run("initial-sync", "-i", "one", "-i", "ones")
    assert ran.code == 5
    assert "there is no integration 'ones'. Did you mean 'one'?" in ran.err
    assert place.files("one") == {}


def test_operations_that_fail_make_a_partial_sync(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.local("one", {"good.txt": "alpha", "bad.txt": "beta"})
    put_file = LocalFileManager.put

    async def refusing(self: LocalFileManager, path: str, upload: Upload) -> FileState:
        if path == "bad.txt":
            raise Rejected("The file manager does not want it.", key=path)
        return await put_file(self, path, upload)

    monkeypatch.setattr(LocalFileManager, "put", refusing)
    ran = place.run("initial-sync")
    assert ran.code == 3
    assert place.files("one") == {"good.txt": "alpha"}
    assert "failed create bad.txt: The file manager does not want it." in ran.out


def test_what_the_file_manager_cannot_hold_is_told_with_the_reason(place: Place) -> None:
    source = place.local("one", {"good.txt": "alpha"})
    place.run("initial-sync")
    put(source, "x" * 200 + "/file.txt", "long")
    (place.folder / "files" / "one" / ("x" * 200)).write_text("in the way")
    ran = place.run("reconcile")
    assert ran.code == 3
    assert "quarantined create" in ran.out


def test_deletes_beyond_the_guard_are_held(place: Place) -> None:
    source = place.local("one", {f"{number}.txt": "text" for number in range(25)})
    place.run("initial-sync")
    for file in source.iterdir():
        file.unlink()
    put(source, "new.txt", "new")
    ran = place.run("reconcile")
    assert ran.code == 4
    assert "held: 25 deletes" in ran.out
    assert len(place.files("one")) == 26


def test_a_second_writer_is_told_who_the_first_is(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    folder = place.folder / "state" / "integrations" / "one"
    with writer_lock(folder, integration="one", run_id="the-other-run", purpose="backup"):
        ran = place.run("initial-sync")
    assert ran.code == 7
    assert "the-other-run" in ran.err


def test_a_paused_integration_is_refused_when_named_and_left_out_otherwise(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("integrations", "pause", "one")
    named, unnamed = place.run("initial-sync", "-i", "one"), place.run("initial-sync", "--json")
    assert named.code == 9
    assert "Resume it first." in named.err
    assert unnamed.code == 0
    assert unnamed.json()["integrations"][0]["skipped"] is True
    assert place.files("one") == {}


def test_without_integrations_it_says_where_to_add_one(place: Place) -> None:
    ran = place.run("initial-sync")
    assert ran.code == 0
    assert str(place.folder / "integrations") in ran.err


def test_log_lines_of_a_sync_carry_run_and_integration(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "sync.log"
    place.config.write_text(f"database: {{path: state}}\nlogging: {{level: DEBUG, file: {log}}}\n")
    shutil.rmtree(place.local("one"))
    run_id = place.run("initial-sync", "--json").json()["integrations"][0]["run_id"]
    assert f"[one {run_id}]" in log.read_text()
