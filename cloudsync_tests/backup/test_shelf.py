"""Where backups lie: nothing half made is one, and what is old goes."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudsync_pipeline.backup import manifest, shelf
from cloudsync_pipeline.core.errors import StateError, StorageFull

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PART = "integrations/photos"


def make(root: Path, source: Path, now: datetime = NOW, *, full: bool = False) -> int:
    """A backup of one file that never changes; returns how many files were copied."""
    with shelf.making(root, PART, "lake", now=now, facts={}, full=full) as making:
        making.add(source, "data/a.parquet")
    return making.copied


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "a.parquet"
    file.write_bytes(b"content")
    return file


def test_what_breaks_off_leaves_no_backup(tmp_path: Path, source: Path) -> None:
    def break_off() -> None:
        with shelf.making(tmp_path, PART, "lake", now=NOW, facts={}) as making:
            making.add(source, "data/a.parquet")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert shelf.listed(tmp_path, PART) == []
    assert list((tmp_path / PART).iterdir()) == []


def test_what_a_killed_process_left_is_no_backup_and_is_swept_after_a_day(tmp_path: Path, source: Path) -> None:
    left = [tmp_path / PART / f".unfinished-{name}" for name in ("old", "of-another-process")]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "a.parquet").write_bytes(b"half")
    a_day_ago = (NOW - timedelta(days=1, minutes=1)).timestamp()
    os.utime(left[0], (a_day_ago, a_day_ago))
    os.utime(left[1], (NOW.timestamp(), NOW.timestamp()))
    assert shelf.parts(tmp_path) == []
    make(tmp_path, source)
    assert [folder.exists() for folder in left] == [False, True]
    assert [one.made_at for one in shelf.listed(tmp_path, PART)] == [NOW]


def test_two_of_one_second_are_two(tmp_path: Path, source: Path) -> None:
    make(tmp_path, source)
    make(tmp_path, source)
    assert [one.made_at for one in shelf.listed(tmp_path, PART)] == [NOW, NOW + timedelta(seconds=1)]


@pytest.mark.parametrize("why", ["full", "no-links", "manifest-broken", "copy-short"])
def test_where_a_link_cannot_be_relied_on_the_file_is_copied(
    tmp_path: Path, source: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make(tmp_path, source) == 1
    assert make(tmp_path, source) == 0
    newest = shelf.find(tmp_path, PART).folder
    if why == "no-links":

        def refused(*_: object) -> None:
            raise OSError(errno.EPERM, "this file system has no links")

        monkeypatch.setattr(os, "link", refused)
    elif why == "manifest-broken":
        for one in shelf.listed(tmp_path, PART):
            (one.folder / "manifest.json").write_text("{}")
    elif why == "copy-short":
        (newest / "data" / "a.parquet").write_bytes(b"cont")
    assert make(tmp_path, source, full=why == "full") == 1
    assert manifest.check(shelf.find(tmp_path, PART).folder).bytes == len(b"content")


def test_a_full_disk_is_told_as_one_and_leaves_nothing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="No room left while making a backup of photos"):
        make(tmp_path, source)
    assert list((tmp_path / PART).iterdir()) == []


def test_the_newest_stays_however_old(tmp_path: Path, source: Path) -> None:
    for days in range(4):
        make(tmp_path, source, NOW + timedelta(days=days))
    late = NOW + timedelta(days=40)
    shelf.prune(tmp_path, PART, keep=3, keep_seconds=None, now=late)
    assert [one.made_at.day for one in shelf.listed(tmp_path, PART)] == [1, 2, 3]
    shelf.prune(tmp_path, PART, keep=None, keep_seconds=86_400, now=late)
    (kept,) = shelf.listed(tmp_path, PART)
    assert kept.made_at.day == 3
    # Its file was linked to those that are gone.
    manifest.check(kept.folder)


def test_the_newest_from_a_time_or_before_is_found(tmp_path: Path, source: Path) -> None:
    for days in range(3):
        make(tmp_path, source, NOW + timedelta(days=days))
    assert shelf.find(tmp_path, PART, at=NOW + timedelta(days=1, hours=3)).made_at == NOW + timedelta(days=1)
    with pytest.raises(StateError, match="no backup of photos from before 2026-01-30"):
        shelf.find(tmp_path, PART, at=NOW - timedelta(days=1))


def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path: Path, source: Path) -> None:
    make(tmp_path, source)
    folder = shelf.find(tmp_path, PART).folder
    held = manifest.read(folder)
    outside = {"../../../a.parquet": held.files["data/a.parquet"]}
    manifest.Manifest(held.part, held.kind, held.made_at, held.facts, outside).write(folder)
    with pytest.raises(StateError, match="lies outside of it"):
        manifest.check(folder)
