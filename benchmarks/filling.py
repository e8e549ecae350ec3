"""Fills buckets.

Large objects are uploaded, small ones put. Very many tiny ones are told to SeaweedFS's filer instead, by the call that
its own gateway makes (SeaweedFS, `weed/pb/filer.proto`, CreateEntry, content within the entry): a PUT costs the server
3 ms of CPU, an entry 0.3 ms, and neither a listing nor a GET tells them apart.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context

import aiohttp
from yarl import URL

from cloudsync_pipeline.demo import seaweedfs
from cloudsync_pipeline.transport.sigv4 import UNSIGNED_PAYLOAD, AwsCredentials, Signer

_PROCESSES = 2
_IN_FLIGHT = 16
_TINY = 64
_SMALL = 1024 * 1024
_PART = 64 * 1024 * 1024
DRAWN = 64 * 1024 * 1024
"""Bytes drawn at once: the generator refuses 256 MiB and more."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bucket is to hold.

    Attributes:
        objects: how many.
        size: bytes of each.
        folders: over how many folders they are spread; 0 puts all of them at the top.
        parts: large objects come by multipart upload, so that no ETag tells their MD5.
    """

    kind: str
    objects: int
    size: int
    folders: int = 0
    parts: bool = False

    @property
    def name(self) -> str:
        """The bucket's; the same contents have the same one."""
        return f"{self.kind}-{self.objects}-{self.size}-{self.folders}"

    def key(self, number: int) -> str:
        """The key of one object."""
        if not self.folders:
            return f"file-{number:07}.dat"
        return f"folder-{number % self.folders:02}/file-{number:07}.dat"

    def body(self, number: int) -> bytes:
        """Its content: no two objects are alike, and nothing in it compresses."""
        drawn = random.Random(number)
        return b"".join(drawn.randbytes(min(DRAWN, self.size - start)) for start in range(0, self.size, DRAWN))


def fill(server: seaweedfs.SeaweedFS, contents: Contents) -> None:
    """Make the bucket and put every object into it."""
    client = server.client()
    client.create_bucket(Bucket=contents.name)
    if contents.size > _SMALL:
        _fill_large(client, contents)
        return
    if contents.size <= _TINY:
        _tell_filer(server, contents)
        return
    each = -(-contents.objects // _PROCESSES)
    ranges = [(start, min(start + each, contents.objects)) for start in range(0, contents.objects, each)]
    with get_context("spawn").Pool(len(ranges)) as pool:
        pool.starmap(_fill_range, [(server, contents, start, end) for start, end in ranges])


def _fill_large(client: object, contents: Contents) -> None:
    from io import BytesIO

    from boto3.s3.transfer import TransferConfig

    size = _PART if contents.parts else contents.size + 1
    how = TransferConfig(multipart_threshold=size, multipart_chunksize=_PART, max_concurrency=4)
    for number in range(contents.objects):
        client.upload_fileobj(  # type: ignore[attr-defined]
            BytesIO(contents.body(number)), contents.name, contents.key(number), Config=how
        )


def _fill_range(server: seaweedfs.SeaweedFS, contents: Contents, start: int, end: int) -> None:
    asyncio.run(_put_all(server, contents, iter(range(start, end))))


async def _put_all(server: seaweedfs.SeaweedFS, contents: Contents, numbers: Iterator[int]) -> None:
    keys = server.credentials
    signer = Signer(AwsCredentials(keys.access_key, keys.secret_key), region=seaweedfs.REGION)
    async with aiohttp.ClientSession() as session:

        async def put() -> None:
            for number in numbers:
                url = f"{server.endpoint}/{contents.name}/{contents.key(number)}"
                headers = await signer.sign("PUT", url, {}, payload=UNSIGNED_PAYLOAD)
                async with session.put(URL(url, encoded=True), data=contents.body(number), headers=headers) as answer:
                    answer.raise_for_status()

        async with asyncio.TaskGroup() as group:
            for _ in range(_IN_FLIGHT):
                group.create_task(put())


def _tell_filer(server: seaweedfs.SeaweedFS, contents: Contents) -> None:
    import grpc  # type: ignore[import-untyped]  # it comes with Dagster

    with grpc.insecure_channel(server.filer) as channel:
        create = channel.unary_unary(
            "/filer_pb.SeaweedFiler/CreateEntry", request_serializer=bytes, response_deserializer=bytes
        )
        # One after the other until every folder is there; then nobody has to look for it.
        for number in range(min(contents.folders, contents.objects)):
            create(_entry(contents, number, known_folder=False))
        under_way: deque[grpc.Future] = deque()
        for number in range(contents.folders, contents.objects):
            under_way.append(create.future(_entry(contents, number, known_folder=True)))
            if len(under_way) > 4 * _IN_FLIGHT:
                under_way.popleft().result()
        for one in under_way:
            one.result()


def _entry(contents: Contents, number: int, *, known_folder: bool) -> bytes:
    """A `CreateEntryRequest`: directory, entry (name, attributes, content), and not to look for the directory."""
    folder, _, name = f"/buckets/{contents.name}/{contents.key(number)}".rpartition("/")
    body = contents.body(number)
    now = int(time.time())
    md5 = hashlib.md5(body, usedforsecurity=False).digest()
    attributes = _number(1, len(body)) + _number(2, now) + _number(3, 0o660) + _number(6, now) + _bytes(14, md5)
    entry = _bytes(1, name.encode()) + _bytes(4, attributes) + _bytes(9, body)
    return _bytes(1, folder.encode()) + _bytes(2, entry) + (_number(6, 1) if known_folder else b"")


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Protocol Buffers, "Encoding", base 128 varints."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
