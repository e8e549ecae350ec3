"""Events handed over by `cloudsync inbox` come with the next sync."""

from __future__ import annotations

import json

import pytest

from cloudsync_tests.cli.builders import Place, put

FEED = "feed: {type: inbox}\n"
CREATED = json.dumps({"event_type": "create", "file_path": "b.txt", "timestamp": "2026-01-02T03:04:05Z"})


def test_an_event_arrives_with_the_next_incremental_sync(place: Place) -> None:
    source = place.local("one", {"a.txt": "alpha"}, FEED)
    place.run("initial-sync")
    put(source, "b.txt", "beta")
    put(source, "unannounced.txt", "nobody told")

    ran = place.run("inbox", "one", stdin=CREATED)

    assert ran.code == 0
    assert ran.out == "one: 1 stored\n"
    assert place.run("incremental-sync").code == 0
    assert place.files("one") == {"a.txt": "alpha", "b.txt": "beta"}


def test_an_event_that_waits_already_is_not_stored_again(place: Place) -> None:
    place.local("one", extra=FEED)
    file = place.folder / "event.json"
    file.write_text(CREATED)

    counts = [place.run("inbox", "one", str(file), "--json").json() for _ in range(2)]

    assert counts == [{"integration": "one", "stored": 1}, {"integration": "one", "stored": 0}]


def test_an_unknown_integration_is_an_error_of_the_configuration(place: Place) -> None:
    place.local("one", extra=FEED)
    ran = place.run("inbox", "two", stdin=CREATED)
    assert ran.code == 5
    assert "two" in ran.err


def test_an_integration_that_reads_no_inbox_gets_nothing(place: Place) -> None:
    place.local("one")
    ran = place.run("inbox", "one", stdin=CREATED)
    assert ran.code == 5
    assert "feed: {type: inbox}" in ran.err


@pytest.mark.parametrize("body", ["", "{", "[]", '"text"', '{"size": NaN}', "[" * 100_000])
def test_what_is_no_json_object_is_a_usage_error(place: Place, body: str) -> None:
    place.local("one", extra=FEED)
    ran = place.run("inbox", "one", stdin=body)
    assert ran.code == 2
    assert "standard input is" in ran.err


def test_a_missing_file_is_a_usage_error(place: Place) -> None:
    place.local("one", extra=FEED)
    assert place.run("inbox", "one", "missing.json").code == 2
