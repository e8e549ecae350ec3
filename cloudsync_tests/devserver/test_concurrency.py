"""Many clients at once: every answer is true, no content is ever mixed."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

from cloudsync_pipeline.devserver import DevServer
from cloudsync_tests.devserver.client import download, save, stored


def test_parallel_puts_to_one_path_leave_one_whole_content(own_server: DevServer) -> None:
    contents = [bytes([number]) * (1000 + number) for number in range(60)]

    def put(content: bytes) -> str:
        reply = save(own_server, "create", "contested", content)
        assert reply.status == 200
        assert reply.json["content_md5"] == hashlib.md5(content).hexdigest()
        internal_id: str = reply.json["internal_id"]
        return internal_id

    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(put, contents))

    assert len(ids) == 1
    assert own_server.content("contested") in contents
    assert stored(own_server) == 1


def test_readers_beside_writers_see_whole_contents_only(own_server: DevServer) -> None:
    save(own_server, "create", "read", b"\0" * 300_000)

    def write(number: int) -> None:
        assert save(own_server, "update", "read", bytes([number]) * 300_000).status == 200

    def read(_: int) -> None:
        reply = download(own_server, "read")
        assert reply.status == 200
        assert len(reply.body) == 300_000
        assert reply.headers["etag"] == f'"{hashlib.md5(reply.body).hexdigest()}"'

    with ThreadPoolExecutor(6) as threads:
        writes = [threads.submit(write, number) for number in range(20)]
        reads = [threads.submit(read, number) for number in range(40)]
        for task in writes + reads:
            task.result()


def test_of_parallel_deletes_one_finds_the_file(own_server: DevServer) -> None:
    save(own_server, "create", "once", b"x")
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: save(own_server, "delete", "once").status, range(16)))
    assert sorted(statuses) == [200] + [404] * 15


def test_a_refused_change_does_not_touch_those_committed_with_it(own_server: DevServer) -> None:
    def one(number: int) -> int:
        if number % 2:
            return save(own_server, "update", f"missing{number}", b"x").status
        return save(own_server, "create", f"there{number}", b"x").status

    with ThreadPoolExecutor(12) as threads:
        statuses = list(threads.map(one, range(60)))

    assert statuses == [200, 404] * 30
    assert set(own_server.files()) == {f"there{number}" for number in range(0, 60, 2)}
