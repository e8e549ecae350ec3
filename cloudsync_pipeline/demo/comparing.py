"""Whether a bucket and a file manager hold the same bytes, read by means that are not ours.

The bucket is read with boto3, a folder as files, an HTTP file manager by its download call.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from cloudsync_pipeline.devserver import DevServer

_PIECE = 1024 * 1024
_AT_ONCE = 4


class Side(Protocol):
    """The file manager's side of a comparison."""

    def paths(self) -> set[str]:
        """Every file, relative to the integration's folder."""
        ...

    def open(self, path: str) -> Any:
        """A context manager that gives a binary file."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on disk.

    Attributes:
        root: the integration's own folder.
    """

    root: Path

    def paths(self) -> set[str]:
        """Every regular file below it."""
        top = os.fsencode(self.root)
        found = (os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names)  # noqa: PTH118 - bytes
        return {os.path.relpath(file, top).decode("utf-8", "surrogateescape") for file in found}

    def stat(self, path: str) -> os.stat_result:
        """What the file system knows of one file."""
        return os.stat(os.path.join(os.fsencode(self.root), os.fsencode(path)))  # noqa: PTH116, PTH118 - bytes

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """One file."""
        with open(os.path.join(os.fsencode(self.root), os.fsencode(path)), "rb") as file:  # noqa: PTH118, PTH123 - bytes
            yield file


@dataclass(frozen=True, slots=True)
class Download:
    """A devserver, below a destination prefix."""

    server: DevServer
    prefix: str

    def paths(self) -> set[str]:
        """Every file that it lists below the prefix."""
        return {path.removeprefix(f"{self.prefix}/") for path in self.server.files(f"{self.prefix}/")}

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """One file, as it comes over the wire."""
        import urllib.request
        from urllib.parse import quote

        url = f"{self.server.url}/files/content?file_path={quote(f'{self.prefix}/{path}', safe='')}"
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
            yield answer


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found.

    Attributes:
        equal, bytes: paths whose content is the same on both sides, and how much that is.
        differing: path to what differs, in words.
        left_out: bucket keys that the file manager cannot hold, by reason; they are not there, and should not be.
    """

    equal: int
    bytes: int
    differing: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def compare(s3: Any, bucket: str, side: Side, quarantined: Mapping[str, str]) -> Comparison:
    """Compare every object of a bucket with its file, byte for byte.

    Args:
        quarantined: keys that the file manager was reported to be unable to hold, with the reason.
    """
    objects = dict(_objects(s3, bucket))
    files = side.paths()
    differing = dict.fromkeys(files - objects.keys(), "is in the file manager and not in the bucket")
    left_out = {key: why for key, why in quarantined.items() if key in objects and key not in files}
    differing |= dict.fromkeys(objects.keys() - files - left_out.keys(), "is in the bucket and not in the file manager")
    both = sorted(objects.keys() & files)

    def one(key: str) -> str | None:
        with side.open(key) as file:
            body = s3.get_object(Bucket=bucket, Key=key)["Body"]
            return _first_difference(body.iter_chunks(_PIECE), file)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = dict(zip(both, pool.map(one, both), strict=True))
    differing |= {key: what for key, what in found.items() if what is not None}
    equal = [key for key, what in found.items() if what is None]
    return Comparison(len(equal), sum(objects[key] for key in equal), differing, left_out)


def _objects(s3: Any, bucket: str) -> Iterator[tuple[str, int]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", []):
            yield one["Key"], one["Size"]


def _first_difference(wanted: Iterable[bytes], file: IO[bytes]) -> str | None:
    at = 0
    for piece in wanted:
        there = _exactly(file, len(piece))
        if there != piece:
            return f"differs in the {len(piece):,} bytes from byte {at:,} on"
        at += len(piece)
    return f"is longer than the object's {at:,} bytes" if file.read(1) else None


def _exactly(file: IO[bytes], count: int) -> bytes:
    pieces = []
    while count > 0 and (piece := file.read(count)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
