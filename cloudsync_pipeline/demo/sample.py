"""Sample objects for a bucket: a few hundred, from nothing to 64 MiB, in nested folders, with hostile names."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from cloudsync_pipeline.demo.names import HOSTILE, UNHOLDABLE

KIB = 1024
MIB = 1024 * KIB
LARGEST = 64 * MIB
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """One object to be put; equal seeds and sizes have equal content.

    Attributes:
        size: bytes.
    """

    key: str
    size: int
    seed: int

    def content(self) -> bytes:
        """Its bytes."""
        return random.Random(self.seed).randbytes(self.size)


def samples(seed: int, largest: int = LARGEST) -> list[Sample]:
    """What a bucket is filled with at first; the same for the same seed.

    Args:
        largest: size of the largest object, in bytes.
    """
    chance = random.Random(seed)
    made: list[Sample] = []

    def add(key: str, size: int) -> None:
        made.append(Sample(key, size, chance.getrandbits(64)))

    for year in (2024, 2025, 2026):
        for month in range(1, 13):
            for number in range(1, 6):
                add(f"reports/{year}/{month:02}/report-{number}.csv", chance.randint(1, 40 * KIB))
    for number in range(40):
        add(f"photos/{number // 10}/image-{number:03}.jpg", chance.randint(20 * KIB, 400 * KIB))
    for number in range(12):
        add(f"empty/file-{number}.txt", 0)
    for number, size in enumerate(
        (1, 4 * KIB - 1, 4 * KIB, 64 * KIB + 1, MIB, 5 * MIB, 8 * MIB, 8 * MIB + 1, 20 * MIB)
    ):
        add(f"sizes/{number}-{size}.bin", size)
    add("sizes/largest.bin", largest)
    for key in HOSTILE:
        add(key, chance.randint(0, 4 * KIB))
    for key in UNHOLDABLE:
        # A name that ends in "/" is a marker that some programs write for a folder; it has no content.
        add(key, 0 if key.endswith("/") else chance.randint(1, 4 * KIB))
    return made


def fill(s3: Any, bucket: str, wanted: Iterable[Sample]) -> int:
    """Put samples into a bucket, large ones in parts; returns the bytes put."""
    from boto3.s3.transfer import TransferConfig

    parts = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)

    def put(sample: Sample) -> int:
        s3.upload_fileobj(io.BytesIO(sample.content()), bucket, sample.key, Config=parts)
        return sample.size

    samples = list(wanted)
    keys = {sample.key for sample in samples}
    # SeaweedFS makes a folder for `a/b`; if it does so while `a` is being put, it may lose that object.
    above: list[Sample] = []
    below: list[Sample] = []
    for sample in samples:
        nested = any(str(parent) in keys for parent in PurePosixPath(sample.key).parents)
        (below if nested else above).append(sample)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return sum(pool.map(put, above)) + sum(pool.map(put, below))
