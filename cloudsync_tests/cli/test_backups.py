"""`backup`, `backups` and `restore`: what is remembered survives its disk."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.backup import files, lakes
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.control.locks import writer_lock
from cloudsync_tests.cli.builders import Place, a_place, forget_logging, put


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Path]:
    """A place with one integration in step and two backups of it, and a copy of it."""
    folder = tmp_path_factory.mktemp("backups")
    (folder / "place").mkdir()
    place = a_place(folder / "place")
    place.local("one", {"a.txt": "alpha", "b.txt": "beta", "c.txt": "gamma"})
    place.run("initial-sync")
    place.run("backup")
    put(place.folder / "one-source", "d.txt", "delta")
    place.run("incremental-sync")
    assert place.run("backup").code == 0
    shutil.copytree(place.folder, folder / "copy", copy_function=_linked)
    forget_logging()
    return place, folder / "copy"


@pytest.fixture
def place(pristine: tuple[Place, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """That place, as it was: its state holds absolute paths, so it must not move."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    place, copy = pristine
    shutil.rmtree(place.folder)
    shutil.copytree(copy, place.folder, copy_function=_linked)
    yield place
    forget_logging()


def _linked(source: str, target: str) -> None:
    """A copy; backups keep their links, which nothing writes through."""
    if "/backups/" in source and source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def lake(place: Place) -> Path:
    return place.folder / "state" / "integrations" / "one"


def shelf(place: Place) -> list[Path]:
    return sorted((place.folder / "backups" / "integrations" / "one").iterdir())


def test_a_backup_copies_only_what_the_one_before_does_not_hold(place: Place) -> None:
    first, second = shelf(place)
    held = [json.loads((one / "manifest.json").read_text())["files"] for one in (first, second)]
    common = {path for path in held[0].keys() & held[1].keys() if path.startswith("data/")}
    assert common
    assert held[1].keys() - held[0].keys()
    for path in common:
        assert (first / path).stat().st_ino == (second / path).stat().st_ino
    assert (first / "catalog.sqlite").stat().st_ino != (second / "catalog.sqlite").stat().st_ino
    assert second.stat().st_mode & 0o077 == 0


def test_a_lost_lake_comes_back_and_both_ends_that_changed_meanwhile_are_equal_after_the_next_sync(
    place: Place,
) -> None:
    source, files = place.folder / "one-source", place.folder / "files" / "one"
    put(source, "e.txt", "epsilon")
    put(source, "a.txt", "alpha, changed")
    (source / "b.txt").unlink()
    assert place.run("incremental-sync").code == 0
    shutil.rmtree(lake(place))
    # Nobody remembers that sync. Now the ends change, too.
    put(source, "a.txt", "alpha, changed again")
    put(source, "f.txt", "phi")
    (source / "d.txt").unlink()
    (files / "c.txt").unlink()
    put(files, "of-a-person.txt", "put there by hand")
    (files / "e.txt").write_text("spoilt ")
    untouched = {"f.txt": "phi", "c.txt": "gamma", "e.txt": "epsilon", "a.txt": "alpha, changed again"}

    assert place.run("restore", "-i", "one", "--yes").code == 0
    assert place.run("plan", "-i", "one").code != 4
    assert place.files("one").keys() == {"a.txt", "d.txt", "e.txt", "of-a-person.txt"}
    ran = place.run("incremental-sync", "--json").json()

    assert ran["integrations"][0]["result"]["mode"] == "reconcile"
    assert place.files("one") == {**untouched, "of-a-person.txt": "put there by hand"}
    quarantined = place.run("status", "-i", "one", "--json").json()
    assert "of-a-person.txt" in json.dumps(quarantined)
    # What was restored is a state like any other: nothing is left to do.
    again = place.run("reconcile", "--json").json()
    assert again["integrations"][0]["result"]["execution"]["done"] == {}


def test_a_damaged_lake_says_how_to_restore_it(place: Place) -> None:
    shutil.rmtree(lake(place) / "data" / "main" / "files")
    for command in ("reconcile", "backup"):
        ran = place.run(command, "-i", "one")
        assert ran.code == 8
        assert "cloudsync restore --integration one" in ran.err
    assert len(shelf(place)) == 2
    assert place.run("restore", "--integration", "one", "--yes").code == 0
    assert place.run("files", "-i", "one").code == 0


def test_what_is_as_it_was_is_not_sent_again(place: Place) -> None:
    # The files of this copied place are others than those of the backups.
    place.run("reconcile")
    place.run("backup")
    stamps = {name: (place.folder / "files" / "one" / name).stat().st_mtime_ns for name in place.files("one")}
    put(place.folder / "one-source", "a.txt", "alpha, changed")
    place.run("restore", "-i", "one", "--yes")
    assert place.run("incremental-sync").code == 0
    now = {name: (place.folder / "files" / "one" / name).stat().st_mtime_ns for name in place.files("one")}
    assert {name for name in now if now[name] != stamps[name]} == {"a.txt"}


def test_an_older_one_is_put_in_place_of_a_lake_that_is_kept_beside_it(place: Place) -> None:
    first = shelf(place)[0]
    ran = place.run("restore", "-i", "one", "--at", first.name, "--keep-old", "--yes", "--json").json()
    kept = Path(ran["parts"][0]["result"]["kept"])
    assert (kept / "catalog.sqlite").is_file()
    assert "/before-restore-" in str(kept)
    paths = {row["path"] for row in place.run("files", "-i", "one", "--json").json()["rows"]}
    assert paths == {"a.txt", "b.txt", "c.txt"}
    fleet = load_fleet(place.config)
    with wiring.open_control(fleet.settings) as control:
        assert "restored from the backup" in (control.get("one").scan_reason or "")


@pytest.mark.parametrize("damage", ["missing", "short", "changed", "manifest", "unfinished"])
def test_a_backup_that_is_not_whole_is_refused_with_the_reason(place: Place, damage: str) -> None:
    newest = shelf(place)[-1]
    (file, *_) = sorted((newest / "data").rglob("*.parquet"))
    content = file.read_bytes()
    file.unlink()  # It is linked to that of the backup before.
    if damage == "short":
        file.write_bytes(content[:-1])
    elif damage == "changed":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "manifest":
        file.write_bytes(content)
        told = (newest / "manifest.json").read_text()
        (newest / "manifest.json").write_text(told.replace(file.name, "other.parquet"))
    elif damage == "unfinished":
        file.write_bytes(content)
        (newest / "manifest.json").unlink()
    before = (lake(place) / "catalog.sqlite").read_bytes()
    ran = place.run("restore", "-i", "one", "--yes")
    assert ran.code == 8
    assert "is not whole: " in ran.err
    assert {
        "missing": "is missing",
        "short": "bytes instead of",
        "changed": "holds other content",
        "manifest": "its manifest was changed",
        "unfinished": "its manifest cannot be read",
    }[damage] in ran.err
    assert (lake(place) / "catalog.sqlite").read_bytes() == before
    listed = place.run("backups", "--verify", "--json")
    assert listed.code == 8
    problems = [one["problem"] for one in listed.json()["backups"] if one["part"] == "integrations/one"]
    assert [problem is None for problem in problems] == [True, False]


def test_a_restore_that_is_killed_anywhere_loses_neither_state_and_is_finished_by_the_next(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = place.run("files", "-i", "one", "--json").json()["rows"]
    rename = Path.rename

    class Killed(BaseException):
        """As by SIGKILL: nothing is cleaned up."""

    for steps in itertools.count():
        left = iter(range(steps))

        def counted(self: Path, target: Path, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise Killed
            return rename(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", counted)
            try:
                lakes.restore(load_fleet(place.config).settings, "one", run_id="killed")
                break
            except Killed:
                pass
        # Nobody takes what is half there for a lake, or makes an empty one in its place.
        ran = place.run("incremental-sync", "-i", "one")
        assert ran.code == 8
        assert "A restore of the lake" in ran.err
        catalogs = list(lake(place).rglob("catalog.sqlite"))
        assert len(catalogs) == 2
        if steps % 2:
            assert place.run("restore", "-i", "one", "--yes").code == 0
            assert place.run("files", "-i", "one", "--json").json()["rows"] == wanted
    assert steps >= 5
    assert place.run("files", "-i", "one", "--json").json()["rows"] == wanted
    assert place.run("incremental-sync").code == 0
    assert list(lake(place).glob("before-restore-*")) == []


def test_neither_disturbs_a_writer_and_others_go_on(place: Place) -> None:
    place.local("two", {"z.txt": "omega"})
    place.run("initial-sync", "-i", "two")
    with writer_lock(lake(place), integration="one", run_id="sync-7", purpose="sync"):
        ran = place.run("restore", "-i", "one", "--yes")
        assert ran.code == 7
        assert "sync-7" in ran.err
        ran = place.run("backup", "--wait", "0", "--json")
        assert ran.code == 7
        assert "sync-7" in ran.err
    ended = {one["part"]: one["exit_code"] for one in ran.json()["parts"]}
    assert ended == {"one": 7, "two": 0, "control": 0}
    assert len(shelf(place)) == 2


def test_a_writer_is_waited_for(place: Place) -> None:
    with ExitStack() as stack:
        stack.enter_context(writer_lock(lake(place), integration="one", run_id="sync-7", purpose="sync"))
        tries: list[float] = []

        def sleep(seconds: float) -> None:
            tries.append(seconds)
            stack.close()

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("cloudsync_pipeline.cli.commands.backups.time.sleep", sleep)
            assert place.run("backup", "-i", "one").code == 0
    assert len(tries) == 1


def test_a_backup_whose_lock_was_lost_meanwhile_is_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_sqlite = files.copy_sqlite

    def lose_the_lock(source: Path, target: Path) -> None:
        copy_sqlite(source, target)
        (lake(place) / "lock").unlink()

    monkeypatch.setattr(files, "copy_sqlite", lose_the_lock)
    ran = place.run("backup", "-i", "one")
    assert ran.code == 8
    assert "lock" in ran.err
    assert len(shelf(place)) == 2
    assert not list((place.folder / "backups").rglob(".unfinished-*"))


def test_no_secret_is_in_a_backup(place: Place) -> None:
    place.config.write_text("database: {path: state}\nalerts: {webhook: {url: 'https://example.com/planted-1'}}\n")
    source = place.folder / "one-source"
    place.integration(
        "away",
        f"storage: {{type: local, path: {source}}}\nsync: {{retry_attempts: 1}}\n"
        "file_manager: {type: http_api, url: 'http://127.0.0.1:9', auth: {type: bearer, token: planted-2}}\n",
    )
    assert place.run("initial-sync").code == 6
    place.run("backup")
    backed_up = [one for one in (place.folder / "backups").rglob("*") if one.is_file()]
    assert {one.suffix for one in backed_up} == {".sqlite", ".db", ".parquet", ".json"}
    for one in backed_up:
        text = str(pq.read_table(one).to_pylist()) if one.suffix == ".parquet" else one.read_bytes().decode("latin-1")
        assert "planted" not in text, one


def test_what_is_too_old_is_thrown_away_and_the_newest_stays(place: Place) -> None:
    place.config.write_text("database: {path: state, backup_retention: 2}\n")
    place.run("backup", "-i", "one")
    assert len(shelf(place)) == 2
    place.config.write_text("database: {path: state, backup_retention: 1ms}\n")
    place.run("backup", "-i", "one")
    assert len(shelf(place)) == 1


def test_the_control_database_comes_back_and_everything_is_scanned(place: Place) -> None:
    place.run("integrations", "pause", "one", "--reason", "before the backup")
    assert place.run("backup", "--control").code == 0
    place.run("integrations", "resume", "one")
    assert place.run("restore", "--control", "--yes").code == 0
    with wiring.open_control(load_fleet(place.config).settings) as control:
        one = control.get("one")
    assert one.state == "paused"
    assert one.scan_requested


def test_what_to_restore_must_be_said(place: Place) -> None:
    assert place.run("restore", "--yes").code == 2
    assert place.run("restore", "-i", "one", "--yes", "--at", "tomorrow").code == 2
    early = place.run("restore", "-i", "one", "--yes", "--at", "2001-01-01T00:00:00Z")
    assert early.code == 8
    assert "The oldest was made at" in early.err
