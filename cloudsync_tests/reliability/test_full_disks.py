"""A disk that is full: under the state, the destination, the file manager. Said clearly, nothing lost, nothing half."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudsync_pipeline import devserver
from cloudsync_tests.cli.builders import Ran
from cloudsync_tests.devserver.client import save
from cloudsync_tests.e2e.builders import a_bucket, a_deployment, into_folder, into_server
from cloudsync_tests.reliability.disks import Disk, small_disk
from cloudsync_tests.reliability.faults_case import Case
from cloudsync_tests.reliability.faults_proxy import Fault, Proxy, proxy
from cloudsync_tests.reliability.kills_world import NAME, Folder, Server
from cloudsync_tests.servers import S3Server

LARGE = b"0123456789abcdef" * 100_000


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with small_disk(tmp_path / "disk", 24) as disk:
        yield disk


@dataclass
class FromFolder(Case):
    """A folder of objects."""

    source: Path

    def put(self, key: str, content: bytes) -> None:
        self.source.mkdir(exist_ok=True)
        (self.source / key).write_bytes(content)

    def objects(self) -> dict[str, bytes]:
        return {one.name: one.read_bytes() for one in self.source.iterdir()}

    def configure(self, into: str) -> None:
        for number in range(4):
            self.put(f"{number}.txt", f"content {number}".encode())
        self.deployment.add(NAME, f"storage: {{type: local, path: {self.source}}}\n", into)

    def reconcile(self) -> Ran:
        return self.command("reconcile", "--direct")


def test_a_destination_without_room_keeps_what_it_has_and_gets_the_rest_later(disk: Disk, tmp_path: Path) -> None:
    folder = Folder(disk.folder / "files")
    case = FromFolder(a_deployment(tmp_path / "deployment"), folder, Proxy(), tmp_path / "source")
    case.configure(into_folder(folder.root))
    case.put("large", LARGE)
    assert case.reconcile().code == 0
    before = folder.contents()
    case.put("large", LARGE[::-1])
    case.put("small", b"small")
    disk.fill(leave=600_000)

    ran = case.reconcile()

    assert ran.code == 3, ran.out + ran.err
    assert "large" in ran.out
    assert "takes no more" in ran.out
    assert "Make room" in ran.out
    assert folder.contents() == before | {"small": b"small"}
    assert folder.rest() == []
    assert case.owed() == ["large"]

    disk.make_room()
    disk.fill()
    ran = case.reconcile()
    assert ran.code == 6, ran.out + ran.err
    assert str(folder.root) in ran.err
    assert "room" in ran.err

    disk.make_room()
    assert case.reconcile().code == 0
    case.require_in_step(case.objects())


def test_a_state_folder_that_gets_full_before_a_sync_stops_it_with_the_place_and_the_remedy(
    disk: Disk, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "files")
    case = FromFolder(a_deployment(disk.folder / "deployment"), folder, Proxy(), tmp_path / "source")
    case.configure(into_folder(folder.root))
    assert case.reconcile().code == 0
    before = folder.contents()
    case.put("more.txt", b"more")
    case.put("0.txt", b"changed")
    disk.fill()

    ran = case.reconcile()

    assert ran.code not in (0, 1), ran.out + ran.err
    [said] = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert str(disk.folder) in said
    assert "space" in said or "room" in said
    assert folder.contents() == before
    disk.make_room()
    assert case.reconcile().code == 0
    case.require_in_step(case.objects())


def test_a_state_folder_that_gets_full_while_files_are_sent_stops_the_sending(
    disk: Disk, seaweedfs: S3Server, tmp_path: Path
) -> None:
    """What cannot be recorded any more is asked about by the next run, and not sent again."""
    with devserver.running(tmp_path / "file-manager", fsync=False) as server, proxy(server.url) as between:
        bucket = a_bucket(seaweedfs, {f"{number}.txt": f"content {number}".encode() for number in range(4)})
        case = FromFolder(a_deployment(disk.folder / "deployment"), Server(server), between, tmp_path / "source")
        case.deployment.add(NAME, bucket.as_yaml(), f"file_manager: {{type: http_api, url: '{between.url}'}}\n")
        full: list[bool] = []

        def fill(_: object) -> None:
            if not full:
                full.append(True)
                disk.fill()

        between.rule = lambda request: Fault(after=fill) if request.operation == "create" else None

        ran = case.reconcile()

        assert full
        assert ran.code not in (0, 1), ran.out + ran.err
        assert str(disk.folder) in ran.err
        arrived = case.destination.marks()
        disk.make_room()
        between.rule = lambda _: None
        assert case.reconcile().code == 0
        case.require_in_step(bucket.contents())
        after = case.destination.marks()
        assert {path: after[path] for path in arrived} == arrived


def test_a_file_manager_without_room_is_told_apart_and_its_file_stays_owed(disk: Disk, tmp_path: Path) -> None:
    with devserver.running(disk.folder / "file-manager", fsync=False) as server:
        case = FromFolder(a_deployment(tmp_path / "deployment"), Server(server), Proxy(), tmp_path / "source")
        case.configure(into_server(server))
        case.put("large", LARGE)
        assert case.reconcile().code == 0
        case.put("large", LARGE[::-1])
        disk.fill()

        ran = case.reconcile()

        assert ran.code == 3, ran.out + ran.err
        assert "room" in ran.out
        assert server.content(f"{NAME}/large") == LARGE
        disk.make_room()
        assert case.reconcile().code == 0
        case.require_in_step(case.objects())
        assert save(server, "get", f"{NAME}/large").status == 200
