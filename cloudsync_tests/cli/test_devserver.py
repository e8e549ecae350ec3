"""`cloudsync devserver` takes every option of the server, and is open to other hosts only if that is said."""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from cloudsync_pipeline.devserver import Settings
from cloudsync_pipeline.devserver import __main__ as server
from cloudsync_tests.cli.builders import Place

TOKEN = {"THE_TOKEN": "t0ken"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of each server that would have been started."""
    settings: list[Settings] = []

    def run(given: Settings, *, until_stdin_closes: bool) -> int:
        settings.append(given)
        return 0

    monkeypatch.setattr(server, "run", run)
    monkeypatch.setenv("THE_TOKEN", TOKEN["THE_TOKEN"])
    return settings


def test_it_asks_for_the_token_that_it_was_given(place: Place) -> None:
    arguments = ["devserver", "--port", "0", "--bearer-env", "THE_TOKEN", "--no-fsync"]
    process = place.start(*arguments, environment=TOKEN)
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        with pytest.raises(HTTPError, match="401"):
            urlopen(url, timeout=30)
        with urlopen(Request(url, headers={"Authorization": "Bearer t0ken"}), timeout=30) as answer:
            assert answer.status == 200
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "files.example.com", ""])
def test_it_is_not_open_to_other_hosts_by_mistake(place: Place, started: list[Settings], host: str) -> None:
    ran = place.run("devserver", "--host", host)
    assert ran.code == 2
    assert "--open" in ran.err
    assert started == []


@pytest.mark.parametrize(
    "more", [["--open"], ["--bearer-env", "THE_TOKEN"], ["--tls-cert=c", "--tls-key=k", "--client-ca=a"]]
)
def test_it_listens_to_other_hosts_where_a_proof_is_asked_for_or_none_is_wanted(
    place: Place, started: list[Settings], more: list[str]
) -> None:
    assert place.run("devserver", "--host", "0.0.0.0", *more).code == 0
    assert [one.host for one in started] == ["0.0.0.0"]


def test_encryption_alone_is_no_proof(place: Place, started: list[Settings]) -> None:
    assert place.run("devserver", "--host", "0.0.0.0", "--tls-cert", "c", "--tls-key", "k").code == 2
    assert started == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_this_host_alone_no_proof_is_needed(place: Place, started: list[Settings], host: str) -> None:
    assert place.run("devserver", "--host", host).code == 0
    assert [one.host for one in started] == [host]


@pytest.mark.parametrize("wrong", [["--nonsense"], ["surplus"], ["--bearer-env", "NOT_SET_ANYWHERE"]])
def test_what_the_server_does_not_understand_is_a_usage_error(
    place: Place, started: list[Settings], wrong: list[str]
) -> None:
    assert place.run("devserver", *wrong).code == 2
    assert started == []
