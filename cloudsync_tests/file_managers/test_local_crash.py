"""What is left when the process is killed at any point: whole files, their ids, and nothing half-written."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest

from cloudsync_pipeline.core.records import FileState
from cloudsync_pipeline.file_managers import local
from cloudsync_pipeline.file_managers.local import LocalFileManager, LocalSettings
from cloudsync_tests.contracts.file_manager import an_upload

WRITER = """
import asyncio, sys
from pathlib import Path
from cloudsync_pipeline.file_managers.base import Upload
from cloudsync_pipeline.file_managers.local import LocalFileManager, LocalSettings

async def content(number):
    for _ in range(20):
        yield bytes([number % 256]) * 100_000

async def small(number):
    yield b"%d" % number

async def main():
    async with LocalFileManager(LocalSettings(Path(sys.argv[1]), "t")) as manager:
        number = 0
        while True:
            number += 1
            state = await manager.put("small", Upload(len(b"%d" % number), small(number)))
            print("small", state.internal_id, flush=True)
            state = await manager.put("large", Upload(2_000_000, content(number)))
            print("large", state.internal_id, flush=True)
            state = await manager.put("here", Upload(len(b"%d" % number), small(number)))
            print("moving", state.internal_id, flush=True)
            state = await manager.move("here", "there")
            print("moved", state.internal_id, flush=True)
            if number % 5 == 0:
                await manager.flush()

asyncio.run(main())
"""


async def found(root: Path) -> dict[str, FileState]:
    async with LocalFileManager(LocalSettings(root, "t")) as manager:
        return {state.path: state async for state in manager.list()}


def killed_after(root: Path, lines: int) -> list[tuple[str, str]]:
    """What a writer had told when it was killed after so many operations."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(lines)]
        os.kill(writer.pid, signal.SIGKILL)
        told += writer.stdout.readlines()
    return [(line.split()[0], line.split()[1]) for line in told if line.endswith("\n")]


def test_a_killed_writer_leaves_whole_files_with_the_ids_it_told(tmp_path: Path) -> None:
    for lines in (1, 2, 3, 4, 7, 18, 31):
        root = tmp_path / str(lines)
        root.mkdir()
        told = killed_after(root, lines)

        files = asyncio.run(found(root))

        last = dict(told)
        for path in ("small", "large"):
            if path in last:
                assert files[path].internal_id == last[path]
        # Each moved file replaces the one before; the last move may have gone through untold.
        if "moved" in last:
            assert files["there"].internal_id in {last["moved"], last["moving"]}
        if "large" in last:
            content = (root / "t" / "large").read_bytes()
            assert len(content) == 2_000_000
            assert len(set(content)) == 1
        for path, state in files.items():
            if state.fingerprint is not None:
                stored = (root / "t" / path).read_bytes()
                assert state.fingerprint.value == hashlib.md5(stored).hexdigest()
        assert set(files) <= {"small", "large", "here", "there"}
        assert staged(root) == []


def staged(root: Path) -> list[Path]:
    return [path for path in (root / ".cloudsync" / "t" / "tmp").rglob("*") if path.name != "lock"]


def test_what_a_living_process_is_writing_is_not_swept_away(tmp_path: Path) -> None:
    async def within() -> None:
        async with LocalFileManager(LocalSettings(tmp_path, "t")) as first:
            async with LocalFileManager(LocalSettings(tmp_path, "t")):
                folders = [path for path in (tmp_path / ".cloudsync" / "t" / "tmp").iterdir() if path.is_dir()]
                assert len(folders) == 2
            await first.put("file", an_upload(b"still works"))
        assert (tmp_path / "t" / "file").read_bytes() == b"still works"

    asyncio.run(within())


def _put_and_forgotten(root: Path) -> FileState:
    """A file as it was acknowledged; nothing of it is left in the index."""

    async def put() -> FileState:
        async with LocalFileManager(LocalSettings(root, "t")) as manager:
            return await manager.put("folder/file", an_upload(b"content"))

    state = asyncio.run(put())
    for file in (root / ".cloudsync" / "t").glob("index.sqlite*"):
        file.unlink()
    return state


def test_losing_the_index_loses_no_file_and_no_unchanged_id(tmp_path: Path) -> None:
    before = _put_and_forgotten(tmp_path)

    after = asyncio.run(found(tmp_path))["folder/file"]

    assert after.internal_id == before.internal_id
    assert after.fingerprint is None


def test_a_digest_that_was_lost_with_its_process_is_read_from_the_file_that_is_asked_for(tmp_path: Path) -> None:
    before = _put_and_forgotten(tmp_path)

    async def asked() -> FileState:
        async with LocalFileManager(LocalSettings(tmp_path, "t")) as manager:
            return await manager.get("folder/file")

    after = asyncio.run(asked())
    assert before.fingerprint is not None
    assert (after.fingerprint, after.internal_id) == (before.fingerprint, before.internal_id)


def test_a_file_that_changes_while_it_is_read_has_no_known_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_and_forgotten(tmp_path)
    digest_some = local._digest_some

    def changed_meanwhile(file: FileIO, digest: hashlib._Hash) -> bool:
        (tmp_path / "t" / "folder" / "file").write_bytes(b"changed by hand")
        return digest_some(file, digest)

    async def asked() -> FileState:
        async with LocalFileManager(LocalSettings(tmp_path, "t")) as manager:
            return await manager.get("folder/file")

    monkeypatch.setattr(local, "_digest_some", changed_meanwhile)
    assert asyncio.run(asked()).fingerprint is None


def test_many_small_files_cost_few_commits(tmp_path: Path) -> None:
    async def within() -> None:
        async with LocalFileManager(LocalSettings(tmp_path, "t")) as manager:
            await asyncio.gather(*(manager.put(f"file{index}", an_upload(b"x")) for index in range(300)))
            index = sqlite3.connect(tmp_path / ".cloudsync" / "t" / "index.sqlite")
            assert index.execute("SELECT count(*) FROM files").fetchone() == (0,)
            await manager.flush()
            assert index.execute("SELECT count(*) FROM files").fetchone() == (300,)
            index.close()

    asyncio.run(within())
