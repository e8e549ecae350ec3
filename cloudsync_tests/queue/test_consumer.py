"""Messages of a real broker: none is lost, whatever breaks, and none is done before its run is accepted."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import AccessDenied, ConfigError, StateError
from cloudsync_pipeline.queue import Accepted, Refused, SyncRequest
from cloudsync_pipeline.queue.broker import BrokerSettings, connected
from cloudsync_pipeline.queue.consumer import Consumer
from cloudsync_tests.queue.rabbitmq import Queues, Way, until
from cloudsync_tests.servers import unused_port

Answer = Callable[[SyncRequest, str | None], Accepted]


class Desk:
    """Who accepts: notes what was asked, and answers as told."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.asked: list[str] = []
        self.accepted: list[str] = []
        self._answer = answer

    def accept(self, request: SyncRequest, message_id: str | None = None) -> Accepted:
        self.asked.append(request.integration)
        accepted = self._answer(request, message_id) if self._answer else Accepted("a-run", new=True)
        self.accepted.append(request.integration)
        return accepted

    def rest(self) -> None:
        """Nothing to let go of."""


@contextmanager
def reading(settings: BrokerSettings, desk: Desk, heartbeat: Path | None = None) -> Iterator[threading.Event]:
    """A consumer at work; what ends it with an error ends the test."""
    stop = threading.Event()
    errors: list[Exception] = []

    def work() -> None:
        try:
            Consumer(settings, desk, stop, heartbeat=heartbeat).run()
        except Exception as error:  # noqa: BLE001 - told to the test's own thread
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert errors == []


def a_request(integration: str, kind: str = "incremental") -> str:
    return json.dumps({"type": kind, "integration": integration})


def test_a_request_is_done_once_it_is_accepted(queues: Queues) -> None:
    open_door = threading.Event()

    def slowly(_request: SyncRequest, _id: str | None) -> Accepted:
        assert open_door.wait(30)
        return Accepted("a-run", new=True)

    desk = Desk(slowly)
    with reading(queues.settings(prefetch=2), desk):
        until(queues.made)
        queues.send(*(a_request(f"n{number}") for number in range(5)))
        until(lambda: desk.asked)
        # Two are held here, one of them at work; none is acknowledged: the rest waits in the broker.
        until(lambda: queues.left() == 3)
        assert desk.accepted == []
        open_door.set()
        until(lambda: len(desk.accepted) == 5)
    assert queues.left() == 0
    assert queues.dead() == []


def test_what_cannot_be_granted_is_a_dead_letter_with_the_reason(queues: Queues) -> None:
    def answer(request: SyncRequest, _id: str | None) -> Accepted:
        raise Refused("The integration is paused.", integration=request.integration, remedy="Resume it first.")

    with reading(queues.settings(), Desk(answer)):
        until(queues.made)
        queues.send("no request", message_id="m-1", headers={"from": "the shop"}, expiration="600000")
        queues.send(a_request("acme"), message_id="m-2")
        until(lambda: queues.left() == 0)
        dead = queues.dead_in_time(2)
    (first, about_first), (second, about_second) = dead
    assert (first, second) == (b"no request", a_request("acme").encode())
    assert about_first.headers["x-cloudsync-reason"] == "The message is no JSON."
    assert about_first.headers["from"] == "the shop"
    assert about_first.headers["x-cloudsync-queue"] == queues.name
    assert about_first.expiration is None
    assert about_second.headers["x-cloudsync-reason"] == "acme: The integration is paused. Resume it first."
    assert [one.message_id for _, one in dead] == ["m-1", "m-2"]
    assert {one.delivery_mode for _, one in dead} == {2}


def test_what_fails_here_is_tried_again_and_holds_nobody_up(queues: Queues) -> None:
    failing = [StateError("The database is away."), ValueError("a defect")]

    def answer(request: SyncRequest, _id: str | None) -> Accepted:
        if request.integration == "unlucky" and failing:
            raise failing.pop(0)
        return Accepted("a-run", new=True)

    desk = Desk(answer)
    with reading(queues.settings(), desk):
        until(queues.made)
        queues.send(a_request("unlucky"), a_request("other"))
        until(lambda: len(desk.accepted) == 2)
    assert desk.accepted == ["other", "unlucky"]
    assert desk.asked.count("unlucky") == 3
    assert queues.left() == 0
    assert queues.dead() == []


def test_connections_that_break_amid_work_lose_nothing(queues: Queues, way: Way) -> None:
    wanted = [f"n{number}" for number in range(40)]

    def answer(request: SyncRequest, _id: str | None) -> Accepted:
        if request.integration in {"n3", "n11", "n25"} and desk.asked.count(request.integration) == 1:
            # Between the launch and its acknowledgement.
            way.cut()
        if request.integration == "n7":
            raise Refused("Nobody can grant this.")
        return Accepted("a-run", new=True)

    desk = Desk(answer)
    with reading(queues.settings(way.url, prefetch=4), desk):
        until(queues.made)
        queues.send(*map(a_request, wanted))
        until(lambda: set(desk.asked) == set(wanted) and queues.left() == 0)
    assert way.opened >= 4
    assert queues.left() == 0
    assert set(desk.accepted) == set(wanted) - {"n7"}
    assert {body for body, _ in queues.dead()} == {a_request("n7").encode()}


def test_a_launch_that_takes_long_does_not_cost_the_connection(queues: Queues, way: Way) -> None:
    def slowly(_request: SyncRequest, _id: str | None) -> Accepted:
        threading.Event().wait(4)
        return Accepted("a-run", new=True)

    desk = Desk(slowly)
    # The broker ends a connection that is silent for twice its heartbeat.
    with reading(queues.settings(f"{way.url}?heartbeat=1"), desk):
        until(queues.made)
        queues.send(a_request("acme"))
        until(lambda: desk.accepted)
    assert (way.opened, desk.asked, queues.left()) == (1, ["acme"], 0)


def test_only_one_reads_and_the_next_one_takes_over(queues: Queues) -> None:
    first, second = Desk(), Desk()
    with reading(queues.settings(), second) as stop:
        until(queues.made)
        with reading(queues.settings(), first):
            queues.send(*(a_request(f"n{number}") for number in range(10)))
            until(lambda: len(second.accepted) == 10)
            assert first.asked == []
            stop.set()
            # It has to let go first.
            threading.Event().wait(1.5)
            queues.send(a_request("after"))
            until(lambda: first.accepted == ["after"])


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_queues_are_durable_and_a_queue_that_others_made_is_used_as_it_is(queues: Queues, kind: str) -> None:
    with queues.channel() as channel:
        channel.queue_declare(queues.name, durable=True)
    desk = Desk()
    with reading(queues.settings(kind=kind), desk):
        queues.send(a_request("acme"), "nonsense")
        until(lambda: desk.accepted == ["acme"] and queues.left() == 0)
        # It would get a part of the messages.
        with pytest.raises(Exception, match="exclusive"), queues.channel() as channel:
            channel.basic_consume(queues.name, lambda *_: None)
    assert len(queues.dead()) == 1
    with queues.channel() as channel, pytest.raises(Exception, match="durable"):
        channel.queue_declare(f"{queues.name}.dead", durable=False)


def test_a_queue_that_is_deleted_is_made_again(queues: Queues) -> None:
    desk = Desk()
    with reading(queues.settings(), desk):
        until(queues.made)
        with queues.channel() as channel:
            channel.queue_delete(queues.name)
        until(queues.made)
        queues.send(a_request("acme"))
        until(lambda: desk.accepted)


def test_a_login_that_the_broker_refuses_is_told_and_not_shown(queues: Queues) -> None:
    url = queues.url.replace("guest:guest@", "guest:a-wrong-password@")
    with pytest.raises(AccessDenied) as refused:
        Consumer(queues.settings(url), Desk(), threading.Event()).run()
    assert "a-wrong-password" not in str(refused.value) + repr(queues.settings(url))
    assert "queue.url" in str(refused.value)


def test_it_waits_for_a_broker_that_is_not_there(queues: Queues, caplog: pytest.LogCaptureFixture) -> None:
    with reading(queues.settings(f"amqp://guest:guest@127.0.0.1:{unused_port()}/"), Desk()):
        until(lambda: "no connection with the broker" in caplog.text)
    assert "Traceback" not in caplog.text


def test_a_file_of_certificates_that_is_none_is_named(queues: Queues, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    settings = queues.settings("amqps://guest:guest@127.0.0.1:1/", ca_file=tmp_path / "ca.pem")
    with pytest.raises(ConfigError, match="ca_file"), connected(settings):
        pass


def test_a_file_tells_that_it_lives_with_a_broker_and_without(queues: Queues, tmp_path: Path) -> None:
    file, nowhere = tmp_path / "alive", f"amqp://guest:guest@127.0.0.1:{unused_port()}/"

    def touched() -> bool:
        return file.stat().st_mtime > 0

    for settings in (queues.settings(), queues.settings(nowhere)):
        with reading(settings, Desk(), file):
            until(file.exists)
            os.utime(file, (0, 0))
            until(touched)
        file.unlink()


def test_a_file_tells_nothing_once_nobody_launches_any_more(
    queues: Queues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Consumer, "_work", lambda _: None)
    with reading(queues.settings(), Desk(), tmp_path / "alive"):
        until(queues.made)
    assert not (tmp_path / "alive").exists()
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="heartbeat"):
        Consumer(queues.settings(), Desk(), threading.Event(), heartbeat=tmp_path / "not there" / "alive").run()
