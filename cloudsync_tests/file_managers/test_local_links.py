"""Links below the root, whenever they come: nothing is ever written, changed, read or removed outside of it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import AccessDenied, CloudSyncError, ConfigError, PathRejected
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.file_managers.local import LocalFileManager, LocalSettings
from cloudsync_tests.contracts.file_manager import an_upload

Use = Callable[[LocalFileManager], Awaitable[Any]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """With the file `folder/file` of the integration `t`."""
    root = tmp_path / "root"
    root.mkdir()
    used(root, lambda manager: manager.put("folder/file", an_upload(b"inside")))
    return root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else, with a file of the same name."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_bytes(b"outside")
    (folder / "file").chmod(0o600)
    return folder


def used(root: Path, use: Use) -> Any:
    async def within() -> Any:
        async with LocalFileManager(LocalSettings(root, "t")) as manager:
            return await use(manager)

    return asyncio.run(within())


def require_untouched(outside: Path) -> None:
    assert [one.name for one in outside.iterdir()] == ["file"]
    file = outside / "file"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"outside", 0o600)


async def read(manager: LocalFileManager) -> bytes:
    async with manager.read("folder/file") as chunks:
        return b"".join([chunk async for chunk in chunks])


CALLS: dict[str, Use] = {
    "put": lambda manager: manager.put("folder/file", an_upload(b"changed")),
    "put a new file": lambda manager: manager.put("folder/new", an_upload(b"new")),
    "put a large file": lambda manager: manager.put("folder/file", an_upload(b"x" * 3_000_000)),
    "move away": lambda manager: manager.move("folder/file", "elsewhere"),
    "move into": lambda manager: manager.move("here", "folder/file"),
    "delete": lambda manager: manager.delete("folder/file"),
    "set permissions": lambda manager: manager.set_permissions("folder/file", Permissions("rwxrwxrwx")),
}


@pytest.mark.parametrize("use", CALLS.values(), ids=CALLS)
def test_a_folder_that_becomes_a_link_while_its_path_is_walked_is_not_followed(
    root: Path, outside: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link comes at the last moment: after every look at the path, right before the folder is opened."""
    used(root, lambda manager: manager.put("here", an_upload(b"here")))
    real = os.open
    swapped: list[bool] = []

    def late(path: Any, flags: int, *args: Any, **more: Any) -> int:
        if path == b"folder" and not swapped:
            swapped.append(True)
            (root / "t" / "folder").rename(root / "t" / "aside")
            (root / "t" / "folder").symlink_to(outside)
        return real(path, flags, *args, **more)

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(CloudSyncError):
        used(root, use)
    assert swapped
    require_untouched(outside)


def test_a_file_that_becomes_a_link_before_it_is_opened_is_not_read(
    root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    swapped: list[bool] = []

    def late(path: Any, flags: int, *args: Any, **more: Any) -> int:
        if path == b"file" and not swapped:
            swapped.append(True)
            (root / "t" / "folder" / "file").unlink()
            (root / "t" / "folder" / "file").symlink_to(outside / "file")
        return real(path, flags, *args, **more)

    monkeypatch.setattr(os, "open", late)
    for use in (read, CALLS["set permissions"]):
        with pytest.raises(CloudSyncError):
            used(root, use)
        assert swapped
    require_untouched(outside)


def test_links_that_come_and_go_all_the_time_lead_nowhere(root: Path, outside: Path) -> None:
    folder, aside = root / "t" / "folder", root / "t" / "aside"
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            with suppress(OSError):
                folder.rename(aside)
                folder.symlink_to(outside)
            with suppress(OSError):
                folder.unlink()
                aside.rename(folder)

    async def everything(manager: LocalFileManager) -> int:
        refused = 0
        for _ in range(15):
            for use in (*CALLS.values(), read):
                try:
                    found = await use(manager)
                except CloudSyncError:
                    refused += 1
                else:
                    assert found != b"outside"
            listed = {state.path async for state in manager.list()}
            assert not any(path.startswith("folder/") and path not in {"folder/file", "folder/new"} for path in listed)
            with suppress(CloudSyncError):
                await manager.put("here", an_upload(b"here"))
        return refused

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        assert used(root, everything) > 0
    finally:
        done.set()
        swapping.join()
    require_untouched(outside)


@pytest.mark.parametrize("where", [".cloudsync", ".cloudsync/t"])
def test_a_link_in_place_of_the_own_state_is_refused(tmp_path: Path, outside: Path, where: str) -> None:
    root = tmp_path / "another"
    (root / where).parent.mkdir(parents=True)
    (root / where).symlink_to(outside)

    with pytest.raises(ConfigError, match="is a link"):
        used(root, CALLS["put"])
    assert not (root / "t").exists() or not any((root / "t").iterdir())


def test_a_link_in_place_of_the_reports_is_not_written_through(root: Path, outside: Path) -> None:
    reports = root / ".cloudsync" / "t" / "results.jsonl"
    reports.unlink(missing_ok=True)
    reports.symlink_to(outside / "file")

    with pytest.raises((AccessDenied, PathRejected)):
        used(root, lambda manager: manager.report({"run": 1}))
    require_untouched(outside)
