"""The application in this process, and whoever calls it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

from cloudsync_pipeline.api.app import create_app
from cloudsync_pipeline.api.keys import hash_of
from cloudsync_tests.cli.builders import Place, a_place

READER, SYNCER, ADMIN = "cloudsync_reader", "cloudsync_syncer", "cloudsync_admin"
KEYS = " ".join(f"{name}={name}={hash_of(key)}" for name, key in (("read", READER), ("sync", SYNCER), ("admin", ADMIN)))
"""Of each scope one, named by it."""


@dataclass
class Served:
    """An application and its fleet."""

    place: Place
    client: TestClient

    def call(self, method: str, path: str, key: str | None = ADMIN, **request: Any) -> httpx.Response:
        """One request, with a key unless told otherwise."""
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **request.pop("headers", {})}
        answer: httpx.Response = self.client.request(method, path, headers=headers, **request)
        return answer

    def get(self, path: str, **parameters: Any) -> Any:
        """What a call answers that goes well."""
        answer = self.call("GET", path, params={k: v for k, v in parameters.items() if v is not None})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pages(self, path: str, what: str, **parameters: Any) -> list[list[Any]]:
        """Every page of a listing."""
        found, cursor = [], None
        while True:
            answer = self.get(path, cursor=cursor, **parameters)
            found.append(answer[what])
            cursor = answer["next_cursor"]
            if cursor is None:
                return found


@dataclass(frozen=True, slots=True)
class Process:
    """A `cloudsync api` of its own."""

    url: str
    running: subprocess.Popen[str]
    client: httpx.Client

    def call(self, method: str, path: str, key: str = ADMIN, **request: Any) -> httpx.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {key}"}
        return self.client.request(method, self.url + path, headers=headers, **request)


@contextmanager
def a_process(place: Place, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Process]:
    """The command, from when it says that it can be called; its log goes to `api.log`."""
    with (place.folder / "api.log").open("w") as log:
        running = place.start("api", "--port", "0", *arguments, environment=environment, errors=log)
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert line, (place.folder / "api.log").read_text()
            with httpx.Client(timeout=300, trust_env=False) as client:
                yield Process(json.loads(line)["url"], running, client)
        finally:
            running.terminate()
            running.communicate(timeout=300)


def a_fleet_with_held_deletes(folder: Path) -> Place:
    """A fleet with keys, and one integration, `held`, whose guard holds 25 deletes of 30 files."""
    place = a_place(folder, f"api: {{keys: '{KEYS}', max_body: 4096, burst: 1000000}}\n")
    source = place.local("held", {f"{n:02}": "x" for n in range(30)})
    place.run("initial-sync", "-i", "held", "--direct")
    for n in range(25):
        (source / f"{n:02}").unlink()
    place.run("reconcile", "-i", "held", "--direct")
    return place


@contextmanager
def serve(place: Place, *, local_only: bool, base_url: str = "http://127.0.0.1") -> Iterator[Served]:
    """The application, from its start to its stop. Errors that nobody foresaw are answered, as in production."""
    app = create_app(place.config, local_only=local_only)
    with TestClient(app, base_url=base_url, raise_server_exceptions=False) as client:
        yield Served(place, client)


def eventually(question: Callable[[], object], *, within: float = 300) -> None:
    """Ask until the answer is yes; `within` is in seconds, and only for what never becomes true."""
    until = time.monotonic() + within
    while not question():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.1)


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The document of a call that is refused, checked for its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:cloudsync:problem:{kind}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document
