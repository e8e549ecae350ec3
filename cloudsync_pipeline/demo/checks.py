"""What must hold after the demonstration's changes, besides equal content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloudsync_pipeline.demo.changes import Changes
from cloudsync_pipeline.demo.comparing import Folder
from cloudsync_pipeline.demo.memory import Remembered
from cloudsync_pipeline.demo.names import UNHOLDABLE
from cloudsync_pipeline.demo.world import WITH_FEED, WITHOUT_FEED, World


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as its file manager shows it, asked without our adapters.

    Attributes:
        identity: what stays while it is the same file: the internal id, or the inode of a file on disk.
        saved: changes whenever content is stored.
    """

    identity: str
    saved: str
    permissions: str | None = None


def look(here: World) -> dict[str, dict[str, Seen]]:
    """Every file of both integrations, by path."""
    prefix = f"{WITH_FEED}/"
    listed = {
        path.removeprefix(prefix): Seen(str(file["internal_id"]), str(file["saved_at"]), file["permissions"])
        for path, file in here.server.files(prefix).items()
    }
    folder = Folder(here.files / WITHOUT_FEED)
    on_disk = {}
    for path in folder.paths():
        found = folder.stat(path)
        on_disk[path] = Seen(str(found.st_ino), str(found.st_mtime_ns))
    return {WITH_FEED: listed, WITHOUT_FEED: on_disk}


def all_of(
    wanted: Changes,
    was: Mapping[str, Seen],
    now: Mapping[str, Seen],
    run: Remembered | None,
    quarantined: Mapping[str, str],
) -> dict[str, str | None]:
    """What was looked at, and what is wrong with it; None for nothing."""
    found = {
        "renames kept the internal id": _renames(wanted, was, now),
        "operations are those of the changes": _operations(wanted, run),
        "quarantined is only what a file manager cannot hold": _quarantine(quarantined),
    }
    if wanted.permissions:
        found["permissions arrived, without content sent again"] = _permissions(wanted, was, now)
    return found


def _renames(wanted: Changes, was: Mapping[str, Seen], now: Mapping[str, Seen]) -> str | None:
    wrong = [
        new
        for old, new in wanted.renamed.items()
        if old not in was or new not in now or was[old].identity != now[new].identity
    ]
    return f"not kept for {wrong}" if wrong else None


def _permissions(wanted: Changes, was: Mapping[str, Seen], now: Mapping[str, Seen]) -> str | None:
    wrong = [
        path
        for path, mode in wanted.permissions.items()
        if path not in now or now[path].permissions != mode or now[path].saved != was[path].saved
    ]
    return f"not so for {wrong}" if wrong else None


def _operations(wanted: Changes, run: Remembered | None) -> str | None:
    if run is None:
        return "the run left no result"
    expected = {
        "create": len(wanted.created),
        "update": len(wanted.overwritten),
        "delete": len(wanted.deleted),
        "move": len(wanted.renamed),
        "set_permissions": len(wanted.permissions),
    }
    expected = {kind: count for kind, count in expected.items() if count}
    # Reading permissions of what was created is no change.
    done = {kind: count for kind, count in run.done.items() if count and kind != "read_permissions"}
    return None if done == expected else f"expected {expected}, done {done}"


def _quarantine(quarantined: Mapping[str, str]) -> str | None:
    wrong = {path: why for path, why in quarantined.items() if path not in UNHOLDABLE or not why}
    return f"also {wrong}" if wrong else None
