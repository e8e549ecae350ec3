"""What a backup holds, with checksums: nothing is restored from one that is not whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from cloudsync_pipeline.backup.files import digest
from cloudsync_pipeline.core.errors import SchemaTooNew, StateError

NAME = "manifest.json"
FORMAT = 1
"""Of manifests; a newer one is refused."""


@dataclass(frozen=True, slots=True)
class Held:
    """A file of a backup: bytes, and SHA-256.

    Attributes:
        changed: when its source was last changed, in nanoseconds, where that tells whether it has to be copied again.
    """

    size: int
    sha256: str
    changed: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is, and holds.

    Attributes:
        part: whose it is ("integrations/photos", "control", "dagster").
        kind: how it is put back ("lake", "sqlite", "postgres").
        made_at: aware; everything in it is as of then.
        facts: of its kind (a lake's snapshot and schema version).
        files: by their paths below the backup's folder.
    """

    part: str
    kind: str
    made_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Held] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files.values())

    def write(self, folder: Path) -> None:
        """Write it beside its files."""
        body = {
            "format": FORMAT,
            "part": self.part,
            "kind": self.kind,
            "made_at": self.made_at.isoformat(),
            "facts": dict(self.facts),
            "files": {path: asdict(held) for path, held in sorted(self.files.items())},
        }
        (folder / NAME).write_text(json.dumps({**body, "sha256": _digest(body)}, indent=1), encoding="utf-8")


def read(folder: Path) -> Manifest:
    """The manifest of a backup; its files are not looked at.

    Raises:
        StateError: there is none, or it was changed.
        SchemaTooNew: a newer release wrote it.
    """
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
        told = document.pop("sha256")
        if document["format"] > FORMAT:
            raise SchemaTooNew(
                f"The backup {folder} has the format {document['format']}; this release knows {FORMAT}.",
                remedy="Use the release that made it, or a newer one.",
            )
        if told != _digest(document):
            raise refused(folder, "its manifest was changed")
        return Manifest(
            document["part"],
            document["kind"],
            datetime.fromisoformat(document["made_at"]),
            document["facts"],
            {path: Held(**held) for path, held in document["files"].items()},
        )
    except OSError as error:
        raise refused(folder, f"its manifest cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise refused(folder, "its manifest is no manifest") from error


def check(folder: Path) -> Manifest:
    """Read every file of a backup and hold it against the manifest.

    Raises:
        StateError: something is missing, or other than it was; it names the first such file and says how many.
    """
    manifest = read(folder)
    broken = [f"{path} {wrong}" for path, held in manifest.files.items() if (wrong := _wrong(folder, path, held))]
    if broken:
        more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise refused(folder, f"{broken[0]}{more}")
    return manifest


def refused(folder: Path, why: str) -> StateError:
    """The error that a backup which is not whole is refused with."""
    return StateError(
        f"The backup {folder} is not whole: {why}. Nothing was restored from it.",
        remedy="Restore another one: `cloudsync backups --verify` shows which are whole.",
    )


def _wrong(folder: Path, path: str, held: Held) -> str | None:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return "lies outside of it"
    file = folder / path
    try:
        size = file.stat().st_size
        if size != held.size:
            return f"has {size:,} bytes instead of {held.size:,}"
        return None if digest(file) == held.sha256 else "holds other content"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
