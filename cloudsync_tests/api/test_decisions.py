"""Held deletes, decided on through the API as on the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudsync_pipeline.control import writer_lock
from cloudsync_tests.api.builders import READER, Served, a_fleet_with_held_deletes, problem, serve
from cloudsync_tests.cli.builders import forget_logging

PLAN = "/integrations/held/plan"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fleet whose state these tests change."""
    place = a_fleet_with_held_deletes(tmp_path_factory.mktemp("decided"))
    place.local("photos", {"a": "a"})
    place.run("initial-sync", "-i", "photos", "--direct")
    place.local("new")
    with serve(place, local_only=False) as running:
        yield running
    forget_logging()


@pytest.fixture
def plan_id(served: Served) -> str:
    found: str = served.get(PLAN)["plan_id"]
    return found


def test_held_deletes_are_shown_in_pages(served: Served, plan_id: str) -> None:
    found = served.get(PLAN, limit=10)
    assert found["held"] == 25
    assert len(found["deletes"]) == 10
    paths = [one["path"] for page in served.pages(PLAN, "deletes", limit=10) for one in page]
    assert paths == sorted(set(paths))
    assert len(paths) == 25
    assert served.get(PLAN, plan="no such plan")["held"] == 0


def test_where_nothing_is_held_there_is_no_plan(served: Served) -> None:
    assert served.get("/integrations/photos/plan") == {
        "integration": "photos", "plan_id": None, "held": 0, "deletes": [], "next_cursor": None,
    }  # fmt: skip
    answer = served.call("POST", "/integrations/photos/plan/approve", json={"plan_id": "no such plan"})
    problem(answer, 409, "nothing-held")


def test_whoever_decides_names_the_plan_that_was_looked_at(served: Served) -> None:
    document = problem(served.call("POST", f"{PLAN}/approve", json={}), 422, "invalid")
    assert document["errors"][0]["where"] == "body.plan_id"


def test_while_another_run_holds_the_integration_nothing_is_decided(served: Served, plan_id: str) -> None:
    folder = served.place.folder / "state" / "integrations" / "held"
    with writer_lock(folder, integration="held", run_id="other-run", purpose="reconcile"):
        answer = served.call("POST", f"{PLAN}/approve", json={"plan_id": plan_id})
    document = problem(answer, 409, "busy")
    assert "other-run" in document["detail"]
    assert int(answer.headers["retry-after"]) > 0


def test_deciding_about_an_integration_without_a_lake_makes_none(served: Served) -> None:
    answer = served.call("POST", "/integrations/new/plan/approve", json={"plan_id": "x"})
    problem(answer, 404, "nothing-stored")
    assert not (served.place.folder / "state" / "integrations" / "new" / "catalog.sqlite").exists()


def test_approved_deletes_are_sent_by_the_next_sync_and_say_who_approved(served: Served, plan_id: str) -> None:
    problem(served.call("POST", f"{PLAN}/approve", key=READER, json={"plan_id": plan_id}), 403, "forbidden")
    answer = served.call("POST", f"{PLAN}/approve", json={"plan_id": plan_id})
    assert answer.json() == {"integration": "held", "plan_id": plan_id, "approved": 25, "rejected": None}
    problem(served.call("POST", f"{PLAN}/reject", json={"plan_id": plan_id}), 409, "nothing-held")
    served.place.run("reconcile", "-i", "held")
    assert len(served.place.files("held")) == 5
    assert served.get(PLAN, plan=plan_id)["held"] == 0
