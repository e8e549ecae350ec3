"""`maintenance` tends stored state, and leaves what there is."""

from __future__ import annotations

from cloudsync_pipeline.control.locks import writer_lock
from cloudsync_tests.cli.builders import Place


def test_it_says_what_it_did_and_files_are_as_before(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    before = place.run("files", "-i", "one", "--json").json()["rows"]
    ran = place.run("maintenance")
    assert ran.code == 0
    assert ran.out.startswith("one: ")
    assert place.run("files", "-i", "one", "--json").json()["rows"] == before


def test_json_has_the_documented_shape(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    document = place.run("maintenance", "--json").json()
    assert set(document) == {"exit_code", "integrations"}
    [one] = document["integrations"]
    assert set(one) == {"integration", "exit_code", "result", "error"}
    assert one["result"]["files"] >= 1


def test_where_nothing_is_stored_nothing_is_made(place: Place) -> None:
    place.local("one")
    ran = place.run("maintenance")
    assert ran.code == 0
    assert "no stored state yet" in ran.err
    assert not (place.folder / "state" / "integrations" / "one" / "catalog.sqlite").exists()


def test_a_writer_is_not_disturbed(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    with writer_lock(
        place.folder / "state" / "integrations" / "one", integration="one", run_id="sync-7", purpose="sync"
    ):
        ran = place.run("maintenance")
    assert ran.code == 7
    assert "sync-7" in ran.err
