"""What happens in a bucket between two syncs: new objects, new versions, deletes, renames, changed permissions."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cloudsync_pipeline.demo.sample import KIB, MIB, Sample, fill


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of one bucket, as keys.

    Attributes:
        created, overwritten: with their new content.
        renamed: old key to new key; the content stays.
        permissions: key to what it shall be, like `rw-rw----`.
    """

    created: Sequence[Sample]
    overwritten: Sequence[Sample]
    deleted: Sequence[str]
    renamed: Mapping[str, str]
    permissions: Mapping[str, str]

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {
            "created": len(self.created),
            "overwritten": len(self.overwritten),
            "deleted": len(self.deleted),
            "renamed": len(self.renamed),
            "permissions changed": len(self.permissions),
        }


def changes(before: Sequence[Sample], seed: int, *, permissions: bool) -> Changes:
    """Choose changes to a bucket that holds `before`; the same for the same seed.

    Args:
        permissions: whether permissions change too, which only events can tell.
    """
    chance = random.Random(seed)
    plain = [one for one in before if one.key.startswith(("reports/", "photos/"))]
    chance.shuffle(plain)
    overwritten, deleted, renamed, changed = plain[:10], plain[10:16], plain[16:24], plain[24:29]
    created = [
        Sample(f"new/{number}/file with spaces {number}+.txt", size, chance.getrandbits(64))
        for number, size in enumerate(
            (0, 1, 10 * KIB, 300 * KIB, MIB, 12 * MIB, *(chance.randint(1, KIB) for _ in range(6)))
        )
    ]
    return Changes(
        created=created,
        overwritten=[Sample(one.key, one.size + chance.randint(0, KIB), chance.getrandbits(64)) for one in overwritten],
        deleted=[one.key for one in deleted],
        # Every other one stays in its folder, the rest move to another.
        renamed={one.key: _new_name(one.key, number) for number, one in enumerate(renamed)},
        permissions={one.key: "rw-rw----" for one in changed} if permissions else {},
    )


def _new_name(key: str, number: int) -> str:
    folder, _, name = key.rpartition("/")
    return f"{folder}/renamed-{name}" if number % 2 else f"archive/{folder}/{name}"


def apply(s3: Any, bucket: str, wanted: Changes) -> None:
    """Make the changes in the bucket; S3 knows no rename, so that is a copy and a delete."""
    fill(s3, bucket, [*wanted.created, *wanted.overwritten])
    for old, new in wanted.renamed.items():
        s3.copy_object(Bucket=bucket, Key=new, CopySource={"Bucket": bucket, "Key": old})
    for key in (*wanted.deleted, *wanted.renamed):
        s3.delete_object(Bucket=bucket, Key=key)


def events(wanted: Changes, prefix: str) -> list[dict[str, Any]]:
    """The changes as a feed announces them: some of them twice, some with a leading slash, not in order.

    Args:
        prefix: the integration's destination prefix, which paths in a shared feed begin with.
    """
    at = datetime.now(UTC).isoformat()

    def one(kind: str, key: str, new_key: str | None = None, **metadata: str) -> dict[str, Any]:
        return {
            "event_type": kind,
            "file_path": f"/{prefix}/{key}",
            "new_path": None if new_key is None else f"{prefix}/{new_key}",
            "metadata": metadata,
            "timestamp": at,
        }

    told = [
        *(one("create", sample.key) for sample in wanted.created),
        *(one("create", sample.key) for sample in wanted.overwritten),
        *(one("delete", key) for key in wanted.deleted),
        *(
            one("rename" if number % 2 else "move", old, new)
            for number, (old, new) in enumerate(wanted.renamed.items())
        ),
        *(one("change_permission", key, new_permissions=mode) for key, mode in wanted.permissions.items()),
    ]
    told += told[::5]
    random.Random(len(told)).shuffle(told)
    return told
