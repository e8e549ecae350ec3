"""What only a folder has: links, pipes, names that are no text, permissions, files that are written to."""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    ContainerNotFound,
    IncompleteListing,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from cloudsync_pipeline.storage.local import LocalStorage
from cloudsync_tests.contracts.subject import content_of, keys_of, rows_of


def head(root: Path, key: str) -> object:
    return asyncio.run(LocalStorage(root).head(key))


def read(root: Path, key: str) -> bytes:
    return asyncio.run(content_of(LocalStorage(root), key))


def test_links_are_no_objects_wherever_they_lead(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    root.mkdir()
    (root / "file").write_text("x")
    (root / "to-file").symlink_to(root / "file")
    (root / "out").symlink_to(outside / "secret")
    (root / "folder-out").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "broken").symlink_to(root / "nothing")

    assert keys_of(LocalStorage(root)) == ["file"]
    for key in ("to-file", "out", "folder-out/secret", "loop/file", "broken"):
        for use in (head, read):
            with pytest.raises(NotFound):
                use(root, key)


@pytest.mark.parametrize(
    "key", ["../outside", "a/../../outside", "/etc/passwd", ".", "..", "a//b", "", "a\x1a00b", "n" * 300]
)
def test_a_key_never_leads_out_of_the_root(tmp_path: Path, key: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "b").write_text("x")
    (tmp_path / "outside").write_text("secret")

    for use in (head, read):
        with pytest.raises(NotFound):
            use(root, key)


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert keys_of(LocalStorage(tmp_path / "link")) == ["file"]
    assert read(tmp_path / "link", "file") == b"x"


def test_names_that_are_no_text_are_escaped_and_found_again(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff\xfe")).write_text("content")

    assert keys_of(LocalStorage(tmp_path)) == ["bad\x1aff\x1afe"]
    assert read(tmp_path, "bad\x1aff\x1afe") == b"content"


def test_pipes_and_folders_are_no_objects_and_hang_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()

    assert keys_of(LocalStorage(tmp_path)) == []
    for key in ("pipe", "folder"):
        for use in (head, read):
            with pytest.raises(NotFound):
                use(tmp_path, key)


def test_the_label_changes_even_when_size_and_time_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before, status = rows_of(LocalStorage(tmp_path))[0]["etag"], path.stat()

    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert rows_of(LocalStorage(tmp_path))[0]["etag"] != before


@pytest.mark.parametrize("change", ["grows", "shrinks", "same size"])
def test_a_file_that_is_written_to_while_it_is_read_is_noticed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)

    async def main() -> None:
        async with LocalStorage(tmp_path).read("file") as body:
            pieces = body.chunks()
            await anext(pieces)
            with path.open("r+b") as file:
                file.truncate({"grows": 4_000_000, "shrinks": 10, "same size": 3_000_000}[change])
                file.write(b"y")
            async for _ in pieces:
                pass

    with pytest.raises(PreconditionFailed, match="changed while"):
        asyncio.run(main())


def test_a_deep_tree_needs_few_descriptors(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        assert keys_of(LocalStorage(tmp_path)) == ["/".join(["d"] * 300) + "/file"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_root_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(ContainerNotFound):
        asyncio.run(LocalStorage(tmp_path / "file").health())


def test_a_root_that_is_replaced_amid_a_listing_breaks_it_off(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for n in range(3):
        (root / str(n)).write_text("x")

    async def main() -> None:
        async for _ in LocalStorage(root, batch_size=2).list():
            if root.exists() and not (tmp_path / "old").exists():
                root.rename(tmp_path / "old")
                root.mkdir()

    with pytest.raises(IncompleteListing, match="replaced or unmounted"):
        asyncio.run(main())


def test_files_and_folders_that_vanish_amid_a_listing_are_left_out(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"folder {n}").mkdir()
        (tmp_path / f"folder {n}" / "file").write_text("x")

    async def main() -> list[str]:
        keys: list[str] = []
        async for batch in LocalStorage(tmp_path, batch_size=1).list():
            keys += [row["key"] for row in batch.to_pylist()]
            for folder in tmp_path.iterdir():
                if f"{folder.name}/file" not in keys:
                    (folder / "file").unlink()
                    folder.rmdir()
        return keys

    assert len(asyncio.run(main())) == 1


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
class TestDisks:
    """What root, who runs tests in containers, cannot make happen for real."""

    def failing(self, monkeypatch: pytest.MonkeyPatch, name: str, error: OSError) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(os, name, fail)

    def expected(self, error: OSError, otherwise: type[Exception]) -> type[Exception]:
        return AccessDenied if isinstance(error, PermissionError) else otherwise

    def test_a_folder_that_cannot_be_read_fails_the_listing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
    ) -> None:
        self.failing(monkeypatch, "scandir", error)

        with pytest.raises(self.expected(error, IncompleteListing)):
            rows_of(LocalStorage(tmp_path))

    def test_a_folder_that_cannot_be_read_fails_health(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
    ) -> None:
        self.failing(monkeypatch, "scandir", error)

        with pytest.raises(self.expected(error, Unavailable)):
            asyncio.run(LocalStorage(tmp_path).health())

    def test_a_file_that_cannot_be_asked_for_is_not_absent(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
    ) -> None:
        (tmp_path / "file").write_text("x")
        self.failing(monkeypatch, "stat", error)

        with pytest.raises(self.expected(error, Unavailable)):
            head(tmp_path, "file")

    def test_a_root_that_cannot_be_opened_is_not_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
    ) -> None:
        self.failing(monkeypatch, "open", error)

        for use in (head, read):
            with pytest.raises(self.expected(error, Unavailable)):
                use(tmp_path, "file")

    def test_a_disk_that_fails_within_a_body_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
    ) -> None:
        (tmp_path / "file").write_text("content")
        self.failing(monkeypatch, "pread", error)

        with pytest.raises(self.expected(error, Unavailable)):
            read(tmp_path, "file")
