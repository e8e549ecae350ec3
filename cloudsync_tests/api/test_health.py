"""Health: asked side by side, not too often, not for too long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from cloudsync_pipeline import launch
from cloudsync_pipeline.api.health import HealthChecks
from cloudsync_pipeline.config import Fleet
from cloudsync_pipeline.core.errors import StateError, Unreachable
from cloudsync_pipeline.wiring import checks
from cloudsync_tests.api.builders import Served, eventually, problem, serve
from cloudsync_tests.cli.builders import Place

asked: list[tuple[str, str]] = []


@pytest.fixture
def running(place: Place) -> Iterator[Served]:
    for name in ("one", "two"):
        place.local(name)
    with serve(place, local_only=True) as served:
        yield served


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], object]:
    """How ends answer: nothing for well, an error, or what they wait for."""
    told: dict[tuple[str, str], object] = {}
    asked.clear()

    def ask(what: str) -> object:
        async def one(_: Fleet, name: str) -> str:
            asked.append((name, what))
            answer = told.get((name, what))
            if isinstance(answer, Exception):
                raise answer
            # Another thread sets it: no event of this loop.
            while isinstance(answer, threading.Event) and not answer.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return "well"

        return one

    monkeypatch.setattr(checks, "CONNECTIONS", {what: ask(what) for what in ("storage", "file manager")})
    return told


def impatient(running: Served, **times: float) -> None:
    app = running.client.app
    app.state.health = HealthChecks(app.state.world, **times)  # type: ignore[attr-defined]


def states(document: dict[str, list[dict[str, object]]]) -> dict[object, object]:
    return {one["id"]: one["status"] for one in document["integrations"]}


def test_all_is_well_end_to_end(running: Served) -> None:
    found = running.get("/health")
    assert found["status"] == "ok", found
    assert [one["name"] for one in found["components"]] == ["configuration", "control database", "dagster"]
    assert states(found) == {"one": "ok", "two": "ok"}
    assert [one["name"] for one in found["integrations"][0]["components"]] == [
        "configuration", "storage", "file manager", "event feed", "stored state",
    ]  # fmt: skip


def test_a_customers_end_that_fails_degrades_it_and_says_what_to_do(
    running: Served, answers: dict[tuple[str, str], object]
) -> None:
    answers["two", "storage"] = Unreachable("No route.", remedy="Check the network.")
    found = running.get("/health")
    assert found["status"] == "degraded"
    assert states(found) == {"one": "ok", "two": "failed"}
    [storage] = [one for one in found["integrations"][1]["components"] if one["name"] == "storage"]
    assert (storage["status"], storage["detail"], storage["remedy"]) == ("failed", "No route.", "Check the network.")


def test_a_defect_in_one_check_hides_no_other(running: Served, answers: dict[tuple[str, str], object]) -> None:
    answers["two", "storage"] = RuntimeError("hunter2")
    found = running.get("/health")
    assert states(found) == {"one": "ok", "two": "failed"}
    assert "hunter2" not in str(found)


def test_what_does_not_answer_in_time_is_failed_and_keeps_nobody_waiting(
    running: Served, answers: dict[tuple[str, str], object]
) -> None:
    impatient(running, each=1, within=60, fresh=0)
    answers["two", "storage"] = threading.Event()
    # On a slow machine the others, too, may be late at first.
    eventually(lambda: states(running.get("/health")) == {"one": "ok", "two": "failed"})


def test_what_takes_longer_than_the_whole_may_is_known_the_next_time(
    running: Served, answers: dict[tuple[str, str], object]
) -> None:
    answers["two", "storage"] = awaited = threading.Event()
    impatient(running, within=0.3, each=300)
    assert states(running.get("/health"))["two"] == "unknown"
    awaited.set()
    eventually(lambda: states(running.get("/health"))["two"] == "ok")
    assert asked.count(("two", "storage")) == 1


def test_answers_count_for_a_while(running: Served, answers: dict[tuple[str, str], object]) -> None:
    for _ in range(3):
        running.get("/health")
    assert asked.count(("one", "storage")) == 1
    impatient(running, fresh=0)
    for _ in range(2):
        running.get("/health")
    assert asked.count(("one", "storage")) == 3


def test_one_integration_can_be_asked_for_alone(running: Served, answers: dict[tuple[str, str], object]) -> None:
    assert states(running.get("/health", integration="one")) == {"one": "ok"}
    assert {name for name, _ in asked} == {"one"}
    problem(running.call("GET", "/health?integration=three", key=None), 404, "no-integration")


def test_a_paused_integration_is_not_asked(running: Served, answers: dict[tuple[str, str], object]) -> None:
    control = running.client.app.state.world.control()  # type: ignore[attr-defined]
    control.ensure("two")
    control.pause("two", "moving house")
    assert states(running.get("/health")) == {"one": "ok"}


def test_without_a_daemon_the_fleet_itself_fails(
    running: Served, answers: dict[tuple[str, str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "instance_configured", lambda: True)
    monkeypatch.setattr(launch, "daemon_alive", lambda: False)
    answer = running.call("GET", "/health", key=None)
    assert answer.status_code == 503
    assert answer.json()["status"] == "failed"


def test_without_its_control_database_it_is_alive_and_not_ready(
    running: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running.get("/ready") == {"ready": True}

    async def broken(_: object) -> None:
        raise StateError("The control database failed.")

    monkeypatch.setattr(running.client.app.state.world, "ask_control", broken)  # type: ignore[attr-defined]
    problem(running.call("GET", "/ready", key=None), 503, "not-ready")
    assert running.get("/live") == {"live": True}
