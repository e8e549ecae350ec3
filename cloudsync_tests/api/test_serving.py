"""`cloudsync api` and `cloudsync api-key` as commands."""

from __future__ import annotations

import signal
import socket
import threading

import httpx
import pytest

from cloudsync_pipeline.api.keys import hash_of
from cloudsync_pipeline.config import load_fleet
from cloudsync_tests.api.builders import READER, Process, Served, a_process
from cloudsync_tests.cli.builders import Place


def test_a_key_is_shown_once_with_what_to_configure(place: Place) -> None:
    ran = place.run("api-key", "prometheus", "--scope", "read", "--scope", "sync")
    assert ran.code == 0
    key = ran.out.strip()
    [line] = [one.strip() for one in ran.err.splitlines() if "- {name" in one]
    assert key not in ran.err
    place.config.write_text(f"database: {{path: state}}\napi:\n  keys:\n  {line}\n")
    [configured] = load_fleet(place.config).settings.api.keys
    assert (configured.name, configured.hash, configured.scopes) == ("prometheus", hash_of(key), ["read", "sync"])
    assert f"API_KEYS=prometheus=read+sync={hash_of(key)}" in ran.err


@pytest.mark.parametrize("arguments", [("a b",), ("prometheus", "--scope", "write")])
def test_a_key_that_could_not_be_configured_is_not_made(place: Place, arguments: tuple[str, ...]) -> None:
    ran = place.run("api-key", *arguments)
    assert ran.code == 2
    assert ran.out == ""


def test_it_refuses_to_be_reached_by_others_without_keys(place: Place) -> None:
    ran = place.run("api", "--host", "0.0.0.0", "--port", "0")
    assert ran.code == 5
    assert "api.keys" in ran.err


def test_an_address_that_is_taken_is_an_error_of_the_configuration(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = place.run("api", "--port", str(taken.getsockname()[1]))
    assert ran.code == 5
    assert "cannot be listened on" in ran.err


def test_it_answers_over_the_network_and_serves_its_documentation_by_itself(process: Process) -> None:
    assert process.call("GET", "/integrations/photos").json()["counts"]["files"] == 8
    page = process.call("GET", "/docs").text
    assert "//cdn" not in page
    assert "swagger-ui" in process.call("GET", "/docs/assets/swagger-ui.css").text


def test_reading_a_lake_keeps_nobody_else_waiting(process: Process) -> None:
    codes: list[int] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            codes.append(process.call("GET", "/live").status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        reads = 0
        # Were a lake read in the event loop, no more answers would come than lakes are read.
        while len(codes) < 10 + 2 * reads:
            assert process.call("GET", "/integrations/photos/files").status_code == 200
            reads += 1
            assert reads < 50, f"{len(codes)} other answers meanwhile"
    finally:
        ended.set()
        thread.join()
    assert set(codes) == {200}


def test_it_ends_in_order_when_it_is_asked_to(served: Served) -> None:
    with a_process(served.place) as process:
        assert process.call("GET", "/ready", key=READER).json() == {"ready": True}
        process.running.send_signal(signal.SIGTERM)
        assert process.running.wait(timeout=300) in {0, -signal.SIGTERM, 143}
        with pytest.raises(httpx.ConnectError):
            process.call("GET", "/live")
    log = (served.place.folder / "api.log").read_text()
    assert "Traceback" not in log
    assert READER not in log
