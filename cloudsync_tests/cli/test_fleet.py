"""Integrations are paused, resumed, removed, added again and accepted."""

from __future__ import annotations

import shutil

from cloudsync_tests.cli.builders import Place


def state(place: Place, name: str = "one") -> str:
    listed = {one["integration"]: one for one in place.run("integrations", "list", "--json").json()["integrations"]}
    return str(listed[name]["state"])


def test_the_list_has_the_documented_shape(place: Place) -> None:
    place.local("one")
    place.integration("broken", "storage: {type: local}\n")
    document = place.run("integrations", "list", "--json").json()
    assert [one["integration"] for one in document["integrations"]] == ["broken", "one"]
    assert set(document["integrations"][0]) == {
        "integration",
        "state",
        "reason",
        "since",
        "configured",
        "owner",
        "tags",
        "initial_done",
        "error",
    }
    assert [one["configured"] for one in document["integrations"]] == ["broken", "yes"]


def test_pausing_says_why_and_resuming_ends_it(place: Place) -> None:
    place.local("one")
    paused = place.run("integrations", "pause", "one", "--reason", "the customer moves house")
    assert paused.code == 0
    assert "the customer moves house" in paused.out
    assert state(place) == "paused"
    assert place.run("integrations", "resume", "one").code == 0
    assert state(place) == "active"


def test_removing_asks_what_becomes_of_the_files(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    ran = place.run("integrations", "remove", "one")
    assert ran.code == 2
    assert "--keep-files or --delete-files" in ran.err
    assert state(place) == "active"


def test_removing_can_keep_the_files(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    assert place.run("integrations", "remove", "one", "--keep-files").code == 0
    assert state(place) == "removed"
    assert place.files("one") == {"a.txt": "alpha"}
    assert place.run("initial-sync", "-i", "one").code == 9


def test_removing_can_delete_the_files_and_nothing_else(place: Place) -> None:
    place.local("one", {"a.txt": "alpha", "b/c.txt": "gamma"})
    place.run("initial-sync")
    (place.folder / "files" / "one" / "not-ours.txt").write_text("somebody's")
    ran = place.run("integrations", "remove", "one", "--delete-files")
    assert ran.code == 0
    assert "2 files deleted" in ran.err
    assert place.files("one") == {"not-ours.txt": "somebody's"}


def test_removing_with_files_again_finds_nothing_left_to_do(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    place.run("integrations", "remove", "one", "--delete-files")
    ran = place.run("integrations", "remove", "one", "--delete-files")
    assert ran.code == 0
    assert "0 files deleted" in ran.err


def test_an_integration_that_is_added_again_gets_its_files_back(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    place.run("integrations", "remove", "one", "--delete-files")
    assert place.run("integrations", "add", "one").code == 0
    assert place.run("initial-sync").code == 0
    assert place.files("one") == {"a.txt": "alpha"}


def test_an_integration_without_a_file_cannot_be_added(place: Place) -> None:
    ran = place.run("integrations", "add", "nobody")
    assert ran.code == 5
    assert "nobody" in ran.err


def test_one_wrong_name_changes_nothing(place: Place) -> None:
    place.local("one")
    assert place.run("integrations", "pause", "one", "wrong").code == 5
    assert state(place) in {"new", "active"}


def test_one_that_is_no_longer_configured_can_still_be_removed(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    (place.folder / "integrations" / "one.yaml").unlink()
    assert place.run("integrations", "remove", "one", "--keep-files").code == 0
    assert state(place) == "removed"


def test_another_storage_stops_an_integration_until_it_is_accepted(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    other = place.folder / "another-source"
    shutil.copytree(place.folder / "one-source", other)
    (other / "b.txt").write_text("beta")
    place.integration(
        "one",
        f"storage: {{type: local, path: {other}}}\nfile_manager: {{type: local, path: {place.folder / 'files'}}}\n",
    )
    refused = place.run("reconcile")
    assert refused.code == 5
    assert "cloudsync integrations accept one" in refused.err
    assert place.run("integrations", "accept", "one").code == 0
    assert place.run("reconcile").code == 0
    assert place.files("one") == {"a.txt": "alpha", "b.txt": "beta"}
