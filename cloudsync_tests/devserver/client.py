"""What the tests send to a devserver: raw HTTP, so that nothing between them repairs what is broken on purpose."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cloudsync_pipeline.devserver import DevServer

BOUNDARY = "----cloudsync-test-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json["error"]["code"]
        return code


def connection(
    server: DevServer, context: ssl.SSLContext | None = None
) -> http.client.HTTPConnection | http.client.HTTPSConnection:
    where = urlsplit(server.url)
    assert where.hostname is not None
    if context is not None:
        return http.client.HTTPSConnection(where.hostname, where.port, timeout=20, context=context)
    return http.client.HTTPConnection(where.hostname, where.port, timeout=20)


def send(
    server: DevServer,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> Reply:
    line = connection(server, context)
    try:
        line.request(method, path, body, dict(headers or {}))
        answer = line.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, names, answer.read())
    finally:
        line.close()


def field(name: str, value: str | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + raw + b"\r\n"


def file_head(content_type: str | None = None) -> bytes:
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    return (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="content"\r\n{kind}\r\n').encode()


def file_part(content: bytes, content_type: str | None = None) -> bytes:
    return file_head(content_type) + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def save(server: DevServer, operation: str, path: str, content: bytes | None = None, **fields: str) -> Reply:
    """`POST /saveToDisk`, well formed."""
    parts = [field("operation", operation), field("file_path", path)]
    parts += [field(name, value) for name, value in fields.items()]
    if content is not None:
        parts += [field("size", str(len(content)))] if "size" not in fields else []
        parts.append(file_part(content))
    return send(server, "POST", "/saveToDisk", b"".join(parts) + END, {"Content-Type": FORM})


def permissions(server: DevServer, path: str, **fields: str) -> Reply:
    """`POST /updatePermissions`, as a plain form."""
    body = urlencode({"file_path": path, **fields}).encode()
    return send(server, "POST", "/updatePermissions", body, {"Content-Type": "application/x-www-form-urlencoded"})


def download(server: DevServer, path: str, **headers: str) -> Reply:
    """`GET /files/content`; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return send(server, "GET", f"/files/content?file_path={quote(path, safe='')}", headers=named)


def begin_upload(server: DevServer, path: str, announced: int, sent: bytes) -> socket.socket:
    """Send the beginning of a create, and give the open connection back."""
    head = field("operation", "create") + field("file_path", path) + field("size", str(announced)) + file_head()
    length = len(head) + announced + len(b"\r\n" + END)
    where = urlsplit(server.url)
    line = socket.create_connection((where.hostname, where.port or 0), timeout=20)
    request = f"POST /saveToDisk HTTP/1.1\r\nHost: test\r\nContent-Type: {FORM}\r\nContent-Length: {length}\r\n\r\n"
    line.sendall(request.encode() + head + sent)
    return line


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until a condition holds that nobody announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def unfinished(server: DevServer) -> int:
    """Uploads on the server's disk that are not whole."""
    return len(list((server.settings.root / "tmp").iterdir()))


def stored(server: DevServer) -> int:
    """Contents on the server's disk."""
    return sum(1 for path in (server.settings.root / "blobs").rglob("*") if path.is_file())
