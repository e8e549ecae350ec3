"""What is told of the fleet and of an integration's files, operations, quarantine and runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cloudsync_tests.api.builders import Served, problem

LISTINGS = [
    "/integrations",
    *(f"/integrations/photos/{what}" for what in ("files", "operations", "quarantine", "plan")),
]
PATHS = [f"2026/{n:02}.jpg" for n in range(1, 8)]


def test_the_fleet_is_listed_by_name_with_its_states(served: Served) -> None:
    found = served.get("/integrations")["integrations"]
    assert [(one["id"], one["state"]) for one in found] == [
        ("broken", "broken"),
        ("held", "active"),
        ("new", "new"),
        ("photos", "active"),
    ]
    assert "storage.path" in found[0]["reason"]
    assert found[3]["counts"] == {"objects": 9, "files": 8, "bytes": 29, "owed": 1, "quarantined": 1, "held": 0}
    assert served.get("/integrations", state="broken")["integrations"] == found[:1]


def test_the_fleet_comes_in_pages(served: Served) -> None:
    pages = served.pages("/integrations", "integrations", limit=3)
    assert [[one["id"] for one in page] for page in pages] == [["broken", "held", "new"], ["photos"]]


def test_an_integration_tells_what_it_connects_and_how_it_fared(served: Served) -> None:
    found = served.get("/integrations/photos")
    assert found["configured"]["storage"] == "local"
    assert found["configured"]["feed"] == "inbox"
    assert [run["mode"] for run in found["recent_runs"]] == ["initial"]
    assert served.get("/integrations/new")["last_run"] is None
    assert served.get("/integrations/broken")["configured"] is None


@pytest.mark.parametrize("path", ["", "/files", "/operations", "/quarantine", "/plan"])
def test_an_unknown_integration_is_not_found_and_the_nearest_is_named(served: Served, path: str) -> None:
    document = problem(served.call("GET", f"/integrations/photo{path}"), 404, "no-integration")
    assert "'photos'" in document["remedy"]


def test_of_an_integration_that_never_synced_nothing_is_stored(served: Served) -> None:
    document = problem(served.call("GET", "/integrations/new/files"), 404, "nothing-stored")
    assert "initial sync" in document["remedy"]


# --- files --------------------------------------------------------------------------------------


def test_files_come_by_path_with_their_state(served: Served) -> None:
    found = served.get("/integrations/photos/files")["files"]
    assert [(one["path"], one["state"], one["present"]) for one in found] == [
        *((path, "in_step", True) for path in PATHS),
        ("clash/a", "in_step", True),
        ("notes.txt", "quarantined", False),
    ]
    assert found[2]["size"] == 3
    assert found[2]["internal_id"]
    assert found[-1]["error"]


@pytest.mark.parametrize("limit", [2, 9])
def test_pages_hold_every_file_once(served: Served, limit: int) -> None:
    pages = served.pages("/integrations/photos/files", "files", limit=limit)
    assert [one["path"] for page in pages for one in page] == [*PATHS, "clash/a", "notes.txt"]
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize(
    ("asked", "paths"),
    [
        ({"prefix": "2026/"}, PATHS),
        ({"prefix": "2026/0", "state": "quarantined"}, []),
        ({"state": "quarantined"}, ["notes.txt"]),
        ({"state": "owed"}, []),
        ({"state": "in_step", "prefix": "c"}, ["clash/a"]),
    ],
)
def test_files_are_filtered_by_prefix_and_state(served: Served, asked: dict[str, str], paths: list[str]) -> None:
    assert [one["path"] for one in served.get("/integrations/photos/files", **asked)["files"]] == paths


def test_files_are_told_as_they_were(served: Served) -> None:
    path = "/integrations/held/files"
    operations = served.get("/integrations/held/operations", limit=1000)["operations"]
    first = min(one["planned_at"] for one in operations if one["kind"] == "create")
    before = served.get(path, as_of=first)
    now = served.get(path, limit=1000)
    assert before["snapshot_id"] < now["snapshot_id"]
    assert [one for one in before["files"] if one["present"]] == []
    assert len([one for one in now["files"] if one["present"]]) == 30
    assert served.get(path, snapshot=before["snapshot_id"])["files"] == before["files"]
    # Every page is of the snapshot of the first, whatever was asked besides.
    page = served.get(path, snapshot=now["snapshot_id"], limit=2)
    assert served.get(path, limit=2, cursor=page["next_cursor"])["snapshot_id"] == now["snapshot_id"]


def test_a_state_that_is_not_kept_is_gone(served: Served) -> None:
    problem(served.call("GET", "/integrations/held/files?snapshot=999999"), 410, "snapshot-gone")
    problem(served.call("GET", "/integrations/held/files?as_of=1999-01-01T00:00:00Z"), 410, "snapshot-gone")


@pytest.mark.parametrize(
    "path",
    ["/integrations", *(f"/integrations/photos/{what}" for what in ("files", "operations", "quarantine", "plan"))],
)
@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "WzFd", "!!", "WyJvdGhlciIsMV0", "é"])
def test_a_cursor_of_somebody_else_is_refused(served: Served, path: str, cursor: str) -> None:
    problem(served.call("GET", path, params={"cursor": cursor}), 422, "cursor")


# --- operations, quarantine, runs ---------------------------------------------------------------


def test_operations_tell_what_became_of_them(served: Served) -> None:
    found = served.get("/integrations/photos/operations")["operations"]
    by_path = {one["path"]: one for one in found}
    assert by_path[PATHS[3]]["status"] == "done"
    assert by_path[PATHS[3]]["bytes"] == 4
    assert by_path["notes.txt"]["status"] == "quarantined"
    assert by_path["notes.txt"]["error"]


def test_operations_come_newest_plan_first_and_in_pages(served: Served) -> None:
    path = "/integrations/held/operations"
    whole = served.get(path, limit=1000)["operations"]
    assert [one["status"] for one in whole] == ["held"] * 25 + ["done"] * 30
    pages = served.pages(path, "operations", limit=20)
    assert [one for page in pages for one in page] == whole
    assert {one["run_id"] for one in served.get(path, run=whole[-1]["run_id"])["operations"]} == {whole[-1]["run_id"]}
    assert len(served.get(path, status="held")["operations"]) == 25
    assert {one["path"] for one in served.get(path, prefix="00")["operations"]} == {"00"}


def test_quarantine_tells_why_and_until_when(served: Served) -> None:
    [found] = served.get("/integrations/photos/quarantine")["quarantine"]
    assert found["path"] == "notes.txt"
    assert found["error"]
    assert datetime.fromisoformat(found["next_try"]) > datetime.now(UTC)


def test_a_run_is_told_with_what_it_reported(served: Served) -> None:
    [run] = served.get("/integrations/photos")["recent_runs"]
    found = served.get(f"/runs/{run['run_id']}")
    assert (found["integration"], found["mode"], found["status"]) == ("photos", "initial", "finished")
    assert found["results"]["statistics"]["files_processed"] == 8
    problem(served.call("GET", "/runs/nothing"), 404, "no-run")


def test_a_run_under_way_is_told_as_running(served: Served) -> None:
    control = served.client.app.state.world.control()  # type: ignore[attr-defined]
    control.ensure("busy")
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    control.record_start("busy", run_id="under-way", mode="reconcile", at=at)
    control.heartbeats.beat("busy", run_id="under-way", holder="h", at=at)
    try:
        found = served.get("/runs/under-way")
        assert (found["integration"], found["mode"], found["status"], found["verdict"]) == (
            "busy", "reconcile", "running", None,
        )  # fmt: skip
        assert served.get("/sync/status")["running"][0]["run_id"] == "under-way"
    finally:
        control.heartbeats.end("busy", run_id="under-way")
        control.remove("busy", "the test is over")


def test_the_status_of_the_fleet_names_what_needs_a_person(served: Served) -> None:
    found = served.get("/sync/status")
    assert found["held"] == ["held"]
    assert found["failed"] == []
    assert found["integrations"]["active"] == 2
    assert found["verdicts"] == {"held": 1, "partial": 1}
    assert found["counts"]["files"] == 38
    assert found["counts"]["held"] == 25
