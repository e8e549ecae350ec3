"""What a folder on disk makes of links, strangers' files, other processes and its own settings."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    CloudSyncError,
    ConfigError,
    ContainerNotFound,
    NotFound,
    PathRejected,
    Rejected,
    StateError,
    StorageFull,
    Unavailable,
)
from cloudsync_pipeline.core.fingerprint import Fingerprint
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.file_managers.local import LocalFileManager, LocalSettings
from cloudsync_pipeline.file_managers.local_errors import translating
from cloudsync_tests.contracts.file_manager import an_upload


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def used(root: Path, use: Callable[[LocalFileManager], Awaitable[Any]], prefix: str = "t", **settings: Any) -> Any:
    """What `use` gives with a file manager on `root`."""

    async def within() -> Any:
        async with LocalFileManager(LocalSettings(root, prefix, **settings)) as manager:
            return await use(manager)

    return asyncio.run(within())


def put(root: Path, path: str, content: bytes = b"content") -> Any:
    return used(root, lambda manager: manager.put(path, an_upload(content)))


async def paths(manager: LocalFileManager) -> set[str]:
    return {state.path async for state in manager.list()}


# --- links --------------------------------------------------------------------------------------


def test_a_link_to_a_folder_is_never_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"outside")
    put(root, "file")
    (root / "t" / "link").symlink_to(outside)

    with pytest.raises(PathRejected, match="link"):
        put(root, "link/new")
    with pytest.raises(PathRejected):
        used(root, lambda manager: manager.move("file", "link/new"))
    for use in (
        lambda manager: manager.get("link/file"),
        lambda manager: manager.delete("link/file"),
        lambda manager: manager.move("link/file", "mine"),
        lambda manager: manager.set_permissions("link/file", Permissions("rwxrwxrwx")),
    ):
        with pytest.raises(NotFound):
            used(root, use)
    assert used(root, paths) == {"file"}
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_bytes() == b"outside"


def test_a_link_to_a_file_is_no_file_and_is_replaced_itself(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"outside")
    target.chmod(0o600)
    put(root, "file")
    (root / "t" / "link").symlink_to(target)

    for use in (
        lambda manager: manager.get("link"),
        lambda manager: manager.delete("link"),
        lambda manager: manager.set_permissions("link", Permissions("rwxrwxrwx")),
    ):
        with pytest.raises(NotFound):
            used(root, use)
    put(root, "link", b"new")
    assert (root / "t" / "link").read_bytes() == b"new"
    assert not (root / "t" / "link").is_symlink()
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"outside", 0o600)


def test_a_pipe_is_no_file(root: Path) -> None:
    put(root, "file")
    os.mkfifo(root / "t" / "pipe")

    with pytest.raises(NotFound):
        used(root, lambda manager: manager.get("pipe"))
    assert used(root, paths) == {"file"}


# --- what others did to the folder ---------------------------------------------------------------


def test_a_file_that_somebody_else_put_there_has_an_id_that_stays(root: Path) -> None:
    put(root, "mine")
    (root / "t" / "theirs").write_bytes(b"theirs")

    first = used(root, lambda manager: manager.get("theirs"))
    assert (first.size, first.fingerprint) == (6, Fingerprint("md5", hashlib.md5(b"theirs").hexdigest(), 6))
    assert used(root, lambda manager: manager.get("theirs")).internal_id == first.internal_id
    moved = used(root, lambda manager: manager.move("theirs", "moved"))
    updated = used(root, lambda manager: manager.put("moved", an_upload(b"new")))
    assert moved.internal_id == updated.internal_id == first.internal_id


def test_a_file_that_somebody_else_changed_keeps_its_id_and_is_read_to_tell_its_digest(root: Path) -> None:
    before = put(root, "file")
    (root / "t" / "file").write_bytes(b"changed by hand")

    after = used(root, lambda manager: manager.get("file"))

    assert after.internal_id == before.internal_id
    assert (after.size, after.fingerprint) == (15, Fingerprint("md5", hashlib.md5(b"changed by hand").hexdigest(), 15))


def test_a_file_that_somebody_else_deleted_is_not_found_and_made_anew_with_a_new_id(root: Path) -> None:
    before = put(root, "file")
    (root / "t" / "file").unlink()

    with pytest.raises(NotFound):
        used(root, lambda manager: manager.get("file"))
    assert put(root, "file").internal_id != before.internal_id


def test_a_file_that_somebody_else_renamed_keeps_its_id(root: Path) -> None:
    before = put(root, "old")
    (root / "t" / "old").rename(root / "t" / "new")

    assert used(root, lambda manager: manager.get("new")).internal_id == before.internal_id


def test_a_hard_link_has_an_id_of_its_own(root: Path) -> None:
    first = put(root, "first")
    os.link(root / "t" / "first", root / "t" / "second")

    assert used(root, lambda manager: manager.get("first")).internal_id == first.internal_id
    assert used(root, lambda manager: manager.get("first")).fingerprint == first.fingerprint


def test_empty_folders_do_not_block_a_file(root: Path) -> None:
    (root / "t" / "name" / "a" / "b").mkdir(parents=True)
    (root / "t" / "name" / "c").mkdir()

    put(root, "name")

    assert (root / "t" / "name").read_bytes() == b"content"


def test_a_delete_leaves_no_empty_folders_but_the_prefix(root: Path) -> None:
    put(root, "a/b/c")
    put(root, "a/d")

    used(root, lambda manager: manager.delete("a/b/c"))
    assert not (root / "t" / "a" / "b").exists()
    used(root, lambda manager: manager.delete("a/d"))
    assert list((root / "t").iterdir()) == []


def test_deletes_and_puts_in_one_folder_do_not_disturb_each_other(root: Path) -> None:
    async def both(manager: LocalFileManager) -> None:
        for _ in range(50):
            await manager.put("folder/old", an_upload(b"x"))
            await asyncio.gather(manager.delete("folder/old"), manager.put("folder/new", an_upload(b"y")))
            await manager.delete("folder/new")

    used(root, both)


def test_a_listing_of_a_folder_that_cannot_be_read_is_no_listing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "a/file")
    put(root, "b/file")
    real = os.scandir
    scanned = 0

    def broken(fd: int) -> Any:
        nonlocal scanned
        scanned += 1
        if scanned == 3:
            raise PermissionError(errno.EACCES, "denied")
        return real(fd)

    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(AccessDenied):
        used(root, paths)


# --- permissions --------------------------------------------------------------------------------


def test_permissions_are_those_of_the_file(root: Path) -> None:
    put(root, "file")
    used(root, lambda manager: manager.set_permissions("file", Permissions("rwxr-x--x")))
    assert (root / "t" / "file").stat().st_mode & 0o777 == 0o751

    (root / "t" / "file").chmod(0o604)
    assert used(root, lambda manager: manager.read_permissions("file")).permissions == "rw----r--"


@pytest.mark.parametrize("text", ["755", "rwxrwxrw", "-rwxrwxrwx", "rwsrwxrwx", "wrxrwxrwx", "", "read"])
def test_permissions_that_cannot_be_set_are_rejected(root: Path, text: str) -> None:
    put(root, "file")
    before = (root / "t" / "file").stat().st_mode

    with pytest.raises(Rejected):
        used(root, lambda manager: manager.set_permissions("file", Permissions(text, owner="alice")))

    assert (root / "t" / "file").stat().st_mode == before
    assert used(root, lambda manager: manager.read_permissions("file")).owner is None


# --- settings -----------------------------------------------------------------------------------


def test_a_missing_root_is_not_made_unasked(tmp_path: Path) -> None:
    missing = tmp_path / "not-mounted"
    with pytest.raises(ContainerNotFound) as caught:
        put(missing, "file")
    assert caught.value.remedy
    assert not missing.exists()

    used(missing, lambda manager: manager.put("file", an_upload(b"x")), create_root=True)
    assert (missing / "t" / "file").exists()


def test_the_state_can_be_kept_outside_the_root(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"

    used(root, lambda manager: manager.put("file", an_upload(b"x")), prefix="", state_dir=state)

    assert [path.name for path in root.iterdir()] == ["file"]
    assert any(state.iterdir())


def test_the_state_within_the_root_is_neither_listed_nor_touched(root: Path) -> None:
    async def use(manager: LocalFileManager) -> set[str]:
        await manager.put("file", an_upload(b"x"))
        for path in (".cloudsync", ".cloudsync/%root/index.sqlite", ".cloudsync/x"):
            with pytest.raises(PathRejected):
                await manager.put(path, an_upload(b"x"))
            with pytest.raises(PathRejected):
                await manager.move("file", path)
            with pytest.raises(NotFound):
                await manager.get(path)
            with pytest.raises(NotFound):
                await manager.delete(path)
        await manager.put("folder/.cloudsync", an_upload(b"x"))
        return await paths(manager)

    assert used(root, use, prefix="") == {"file", "folder/.cloudsync"}


@pytest.mark.parametrize("prefix", ["..", "a/../b", "/a", "a//b", ".", "a/./b", "n" * 256, "a\0b"])
def test_a_prefix_that_leads_elsewhere_is_a_configuration_error(root: Path, prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix"):
        LocalFileManager(LocalSettings(root, prefix))


@pytest.mark.parametrize("prefix", [".cloudsync", ".cloudsync/x"])
def test_a_prefix_within_the_state_is_a_configuration_error(root: Path, prefix: str) -> None:
    with pytest.raises(ConfigError, match="state"):
        used(root, paths, prefix=prefix)


def test_a_prefix_that_is_a_link_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (root / "t").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PathRejected):
        put(root, "file")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_prefixes_with_long_and_hostile_names_have_states_of_their_own(root: Path) -> None:
    prefixes = ["a/b", "a%2Fb", "_", "", "ü" * 120, "é" * 120 + "/x", "_" * 200]

    for prefix in prefixes:
        used(root, lambda manager: manager.put("file", an_upload(b"x")), prefix=prefix)

    assert len(list((root / ".cloudsync").iterdir())) == len(prefixes)


def test_a_damaged_index_is_named_with_a_remedy(root: Path) -> None:
    put(root, "file")
    index = root / ".cloudsync" / "t" / "index.sqlite"
    index.write_bytes(b"no database" * 1000)

    with pytest.raises(StateError, match=r"index\.sqlite") as caught:
        put(root, "file")
    assert caught.value.remedy
    index.unlink()
    assert put(root, "file").internal_id


def test_using_it_before_connecting_is_an_error(root: Path) -> None:
    async def within() -> None:
        with pytest.raises(StateError, match="connect"):
            await LocalFileManager(LocalSettings(root)).get("file")

    asyncio.run(within())


# --- results and health --------------------------------------------------------------------------


def test_results_are_appended(root: Path) -> None:
    for number in (1, 2):
        used(root, lambda manager, number=number: manager.report({"run": number, "at": Path("x")}))  # type: ignore[misc]

    lines = (root / ".cloudsync" / "t" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"run": 1, "at": "x"}, {"run": 2, "at": "x"}]


def test_long_results_become_the_previous_ones(root: Path) -> None:
    used(root, lambda manager: manager.report({"run": 1}))
    file = root / ".cloudsync" / "t" / "results.jsonl"
    file.write_bytes(b"x" * (10 * 1024 * 1024 + 1))

    used(root, lambda manager: manager.report({"run": 2}))

    assert json.loads(file.read_text()) == {"run": 2}
    assert file.with_name("results.1.jsonl").stat().st_size > 10 * 1024 * 1024


def test_health_leaves_nothing_and_notices_a_folder_that_cannot_be_written(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(root.rglob("*"))
    used(root, lambda manager: manager.health())
    assert [path for path in sorted(root.rglob("*")) if path not in before and path.is_file()] == [
        root / ".cloudsync" / "t" / "index.sqlite",
        root / ".cloudsync" / "t" / "tmp" / "lock",
    ]
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(AccessDenied):
        used(root, lambda manager: manager.health())


def test_a_full_disk_while_writing_leaves_the_old_content(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "file", b"old")

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        for size in (10, 2_000_000):
            with pytest.raises(StorageFull) as caught:
                put(root, "file", b"n" * size)
            assert caught.value.key == "file"
    assert (root / "t" / "file").read_bytes() == b"old"
    assert not [path for path in (root / ".cloudsync" / "t" / "tmp").rglob("*") if path.name != "lock"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
        (errno.EACCES, AccessDenied),
        (errno.EPERM, AccessDenied),
        (errno.EROFS, AccessDenied),
        (errno.ENOENT, NotFound),
        (errno.ENAMETOOLONG, PathRejected),
        (errno.EILSEQ, PathRejected),
        (errno.EINVAL, PathRejected),
        (errno.ENOTDIR, PathRejected),
        (errno.EISDIR, PathRejected),
        (errno.ELOOP, PathRejected),
        (errno.EIO, Unavailable),
        (errno.ESTALE, Unavailable),
        (errno.EMFILE, Unavailable),
        (errno.ENODEV, Unavailable),
    ],
)
def test_every_error_of_the_system_has_its_own(code: int, kind: type[CloudSyncError]) -> None:
    with pytest.raises(kind) as caught, translating("file"):
        raise OSError(code, os.strerror(code))

    assert type(caught.value) is kind
    assert caught.value.key == "file"
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.remedy or kind is NotFound
