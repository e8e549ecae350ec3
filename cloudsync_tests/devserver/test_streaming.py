"""Large files pass through in pieces: memory stays flat."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from cloudsync_pipeline.devserver import DevServer
from cloudsync_tests.devserver.client import END, FORM, connection, field, file_head, send

MIB = 1024 * 1024
SIZE = 64 * MIB


def peak_memory(server: DevServer) -> int:
    """Most memory that the server's process ever held, in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(("VmHWM", "VmRSS")))
    return int(line.split()[1]) * 1024


def pieces() -> Iterator[bytes]:
    for number in range(SIZE // MIB):
        yield number.to_bytes(4, "big") * (MIB // 4)


def test_64_mib_go_up_and_down_in_flat_memory(own_server: DevServer) -> None:
    head = field("operation", "create") + field("file_path", "large") + field("size", str(SIZE)) + file_head()
    tail = b"\r\n" + END
    digest = hashlib.md5()
    for piece in pieces():
        digest.update(piece)

    def body() -> Iterator[bytes]:
        yield head
        yield from pieces()
        yield tail

    length = str(len(head) + SIZE + len(tail))
    reply = send(own_server, "POST", "/saveToDisk", body(), {"Content-Type": FORM, "Content-Length": length})
    assert (reply.status, reply.json["size"], reply.json["content_md5"]) == (200, SIZE, digest.hexdigest())

    back = hashlib.md5()
    line = connection(own_server)
    line.request("GET", "/files/content?file_path=large")
    answer = line.getresponse()
    while piece := answer.read(MIB):
        back.update(piece)
    line.close()
    assert back.hexdigest() == digest.hexdigest()
    assert peak_memory(own_server) < 200 * MIB
