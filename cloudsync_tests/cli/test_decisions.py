"""What a person decides: held deletes, quarantined paths, and whether the file manager tells the truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloudsync_pipeline.cli.app import app
from cloudsync_pipeline.control import writer_lock
from cloudsync_tests.cli.builders import Place, put

FILES = 25


@pytest.fixture
def emptied(place: Place) -> Place:
    """A fleet whose only integration lost all its objects, so that its deletes are held."""
    source = place.local("one", {f"{number:02}.txt": "text" for number in range(FILES)})
    assert place.run("initial-sync").code == 0
    for file in source.iterdir():
        file.unlink()
    assert place.run("reconcile").code == 4
    return place


def test_held_deletes_are_listed(emptied: Place) -> None:
    document = emptied.run("plan", "show", "-i", "one", "--json", "-n", "3").json()
    assert set(document) == {"integration", "plan_id", "held", "deletes"}
    assert document["held"] == FILES
    assert [one["path"] for one in document["deletes"]] == ["00.txt", "01.txt", "02.txt"]
    assert f"... and {FILES - 3} more" in emptied.run("plan", "show", "-i", "one", "-n", "3").out


def test_approved_deletes_are_done_by_the_next_sync(emptied: Place) -> None:
    ran = emptied.run("plan", "approve", "-i", "one", "--yes")
    assert (ran.code, ran.out) == (0, f"one: {FILES} deletes approved\n")
    assert emptied.run("reconcile").code == 0
    assert emptied.files("one") == {}


def test_rejected_deletes_leave_the_files_until_they_are_asked_for_again(emptied: Place) -> None:
    assert emptied.run("plan", "reject", "-i", "one", "--yes", "--json").json()["rejected"] == FILES
    emptied.run("reconcile")
    assert len(emptied.files("one")) == FILES
    assert emptied.run("retry", "-i", "one", "--json").json() == {"integration": "one", "due": FILES}
    assert emptied.run("reconcile").code == 4


@pytest.mark.parametrize(("answer", "code"), [("n\n", 4), ("", 1)])
def test_nothing_is_approved_without_a_yes(emptied: Place, answer: str, code: int) -> None:
    ran = CliRunner().invoke(app, ["--config", str(emptied.config), "plan", "approve", "-i", "one"], input=answer)
    assert ran.exit_code == code
    assert "00.txt" in ran.stdout
    assert emptied.run("reconcile").code == 4
    assert len(emptied.files("one")) == FILES


def test_a_yes_that_is_typed_approves(emptied: Place) -> None:
    ran = CliRunner().invoke(app, ["--config", str(emptied.config), "plan", "approve", "-i", "one"], input="y\n")
    assert ran.exit_code == 0
    assert emptied.run("reconcile").code == 0


def test_whoever_decides_or_verifies_is_told_who_the_writer_is(emptied: Place) -> None:
    folder = emptied.folder / "state" / "integrations" / "one"
    with writer_lock(folder, integration="one", run_id="sync-7", purpose="sync"):
        for command in (("plan", "approve", "--yes"), ("plan", "reject", "--yes"), ("retry",), ("verify",)):
            ran = emptied.run(*command, "-i", "one")
            assert ran.code == 7, command
            assert "sync-7" in ran.err
    assert emptied.run("plan", "show", "-i", "one", "--json").json()["held"] == FILES


def test_where_nothing_is_held_there_is_nothing_to_approve(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    ran = place.run("plan", "approve", "-i", "one", "--yes")
    assert ran.code == 8
    assert "nothing to approve" in ran.err


def test_before_the_first_sync_nothing_can_be_decided_and_nothing_is_made(place: Place) -> None:
    place.local("one")
    for command in (("plan", "approve", "--yes"), ("plan", "reject", "--yes"), ("plan", "show"), ("retry",)):
        assert place.run(*command, "-i", "one").code == 8, command
    assert not (place.folder / "state" / "integrations" / "one" / "catalog.sqlite").exists()


def test_quarantined_paths_are_shown_with_reason_tries_and_next_try_until_they_are_tried_again(place: Place) -> None:
    source = place.local("one", {"a.txt": "alpha"})
    assert place.run("initial-sync").code == 0
    put(source, "clash", "a file")
    (place.folder / "files" / "one" / "clash").mkdir()
    blocking = place.folder / "files" / "one" / "clash" / "stray"
    blocking.write_text("somebody else's")
    assert place.run("reconcile").code == 3

    [status] = place.run("status", "-i", "one", "--json").json()["integrations"]
    [shown] = status["lake"]["quarantine"]
    assert (shown["path"], shown["aspect"], shown["attempts"]) == ("clash", "content", 1)
    assert "folder" in shown["error"]
    assert datetime.fromisoformat(shown["next_try"]) > datetime.now(UTC) + timedelta(minutes=50)
    [line] = [one for one in place.run("status", "-i", "one").out.splitlines() if one.startswith("clash ")]
    assert line.split()[1:3] == ["content", "1"]
    assert shown["error"] in line

    blocking.unlink()
    assert place.run("reconcile").code == 0
    assert "clash" not in place.files("one")
    assert place.run("retry", "-i", "one").code == 0
    assert place.run("reconcile").code == 0
    assert place.files("one")["clash"] == "a file"
    assert "clash " not in place.run("status", "-i", "one").out


def spoilt(place: Place) -> Path:
    place.local("one", {"a.txt": "alpha", "b.txt": "beta", "c.txt": "gamma"})
    assert place.run("initial-sync").code == 0
    folder = place.folder / "files" / "one"
    (folder / "a.txt").unlink()
    put(folder, "b.txt", "something else")
    put(folder, "stray.txt", "not ours")
    return folder


def test_verifying_finds_what_differs(place: Place) -> None:
    spoilt(place)
    ran = place.run("verify", "-i", "one", "--json")
    assert ran.code == 3
    document = ran.json()
    assert document["by_kind"] == {"missing": 1, "content": 1, "stray": 1}
    assert document["owed"] == 0
    out = place.run("verify", "-i", "one").out
    assert "a.txt" in out
    assert "stray.txt" in out


def test_verifying_can_let_the_next_sync_make_it_good(place: Place) -> None:
    spoilt(place)
    assert "2 paths are owed" in place.run("verify", "-i", "one", "--repair").out
    assert place.run("reconcile").code == 0
    assert place.files("one") == {"a.txt": "alpha", "b.txt": "beta", "c.txt": "gamma", "stray.txt": "not ours"}


def test_verifying_what_is_well_finds_nothing(place: Place) -> None:
    place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    ran = place.run("verify", "-i", "one", "--sample", "1")
    assert ran.code == 0
    assert "differences: none" in ran.out
