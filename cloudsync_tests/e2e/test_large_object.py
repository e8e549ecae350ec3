"""An object larger than the memory that a sync may take."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig

from cloudsync_pipeline.devserver import DevServer
from cloudsync_tests.cli.builders import plain_environment
from cloudsync_tests.e2e.builders import Deployment, a_bucket, into_server
from cloudsync_tests.servers import S3Server

NAME = "acme"
MIB = 2**20
SIZE = 300 * MIB
MEASURED = """
import atexit, os, pathlib
place, status = pathlib.Path(os.environ["MEASURED"]), pathlib.Path("/proc/self/status")
atexit.register(lambda: place.write_text(status.read_text()))
from cloudsync_pipeline.cli import main
main()
"""
"""The command, which leaves behind what the kernel knows of its process. The resources that `wait4` tells count the
process that started it, too."""


class Generated(io.RawIOBase):
    """300 MiB that stand nowhere; no two MiB of it are equal. `md5` is of what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.md5 = hashlib.md5()
        self._noise = os.urandom(MIB - 8)
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        number, offset = divmod(self._at, MIB)
        if self._at >= SIZE:
            return 0
        piece = (number.to_bytes(8, "big") + self._noise)[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self.md5.update(piece)
        self._at += len(piece)
        return len(piece)


def test_300_mib_pass_through_in_flat_memory(deployment: Deployment, seaweedfs: S3Server, server: DevServer) -> None:
    bucket = a_bucket(seaweedfs)
    content = Generated()
    parts = TransferConfig(multipart_threshold=16 * MIB, multipart_chunksize=16 * MIB, use_threads=False)
    bucket.s3.upload_fileobj(io.BufferedReader(content, MIB), bucket.name, "large.bin", Config=parts)
    deployment.add(NAME, bucket.as_yaml(), into_server(server))

    code, told = _run(deployment, "initial-sync", "--direct")

    assert code == 0, told
    file = server.files(f"{NAME}/")[f"{NAME}/large.bin"]
    assert (file["size"], file["content_md5"]) == (SIZE, content.md5.hexdigest())
    # Python and its libraries alone take most of what it takes.
    assert _most_memory(deployment) < SIZE


def _run(deployment: Deployment, *arguments: str) -> tuple[int, str]:
    """The command in a process of its own: its exit code, and what it said."""
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, "--config", str(deployment.config), *arguments],
        capture_output=True,
        text=True,
        env={**plain_environment(), "MEASURED": str(deployment.folder / "measured")},
        timeout=120,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def _most_memory(deployment: Deployment) -> int:
    """The most memory that the command's process held at once, in bytes."""
    lines = Path(deployment.folder / "measured").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
