"""One integration between a real bucket and a real file manager, and what must hold of it after any kill."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.control import Notice
from cloudsync_pipeline.core.errors import StateError
from cloudsync_pipeline.core.keys import unescape
from cloudsync_pipeline.core.ordering import PARKING
from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.lake import Lake
from cloudsync_pipeline.lake.observing import EQUAL
from cloudsync_pipeline.lake.schema import ONE_ROW_EACH
from cloudsync_tests.e2e.builders import Bucket, Deployment, an_event, held
from cloudsync_tests.reliability.kills_process import Ended

NAME = "acme"
PLACES = ("file_path", "new_path")
"""Where an event names keys."""


class Destination(Protocol):
    """The file manager, as it is without asking the project."""

    def contents(self) -> dict[str, bytes]:
        """Every file, whole."""
        ...

    def marks(self) -> dict[str, Any]:
        """Something of each file that changes whenever content is stored, be it the same content."""
        ...

    def rest(self) -> list[str]:
        """What unfinished work has left."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on this machine. What its index has not heard of is read again where it is asked about."""

    root: Path

    def contents(self) -> dict[str, bytes]:
        return {path: file.read_bytes() for path, file in self._files()}

    def marks(self) -> dict[str, Any]:
        return {path: (file.stat().st_ino, file.stat().st_mtime_ns) for path, file in self._files()}

    def rest(self) -> list[str]:
        tmp = self.root / ".cloudsync" / NAME / "tmp"
        return [str(one) for one in tmp.rglob("*") if one != tmp / "lock"]

    def _files(self) -> Iterator[tuple[str, Path]]:
        for file in (self.root / NAME).rglob("*"):
            if file.is_file():
                yield str(file.relative_to(self.root / NAME)), file


@dataclass(frozen=True, slots=True)
class Server:
    """A devserver."""

    server: DevServer

    def contents(self) -> dict[str, bytes]:
        return held(self.server, NAME)

    def marks(self) -> dict[str, Any]:
        found = self.server.files(f"{NAME}/")
        return {path.removeprefix(f"{NAME}/"): (file["internal_id"], file["saved_at"]) for path, file in found.items()}

    def rest(self) -> list[str]:
        return [str(one) for one in (self.server.settings.root / "tmp").iterdir()]


class Announces(Protocol):
    """A feed, as whoever tells of changes sees it."""

    def publish(self, *events: Any) -> None:
        """Tell of changes, as `builders.an_event` makes them."""
        ...


@dataclass(frozen=True, slots=True)
class InboxOf:
    """The integration's inbox in the control database of a deployment. Its events name keys without any prefix."""

    deployment: Deployment

    def publish(self, *events: Any) -> None:
        with wiring.open_control(load_fleet(self.deployment.config).settings) as control:
            control.ensure(NAME)
            control.inbox.put(NAME, [Notice(_without_prefix(event)) for event in events])

    def waiting(self) -> int:
        """How many notices nobody has acknowledged."""
        with wiring.open_control(load_fleet(self.deployment.config).settings) as control:
            return len(control.inbox.oldest(NAME, 1000))


def _without_prefix(event: dict[str, Any]) -> dict[str, Any]:
    places = {name: event[name] and event[name].lstrip("/").removeprefix(f"{NAME}/") for name in PLACES}
    return {**event, **places}


@dataclass(slots=True)
class World:
    """See the module's docstring.

    Attributes:
        ever: every content that a key has had.
        arrived: what must not be sent again, as it was when the last process ended: mark and content by path.
            Whatever stands there as it should, confirmed or not: it is recognised when it is asked about.
    """

    deployment: Deployment
    bucket: Bucket
    destination: Destination
    feed: Announces | None = None
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    ever: dict[str, set[bytes]] = field(default_factory=dict)
    arrived: dict[str, tuple[Any, bytes]] = field(default_factory=dict)
    _now: dict[str, bytes] = field(default_factory=dict)
    _count: int = 0

    def filled(self) -> Self:
        """With a few objects."""
        for number in range(6):
            self.put(f"first/{number}.txt")
        return self

    # --- what customers do ----------------------------------------------------------------------

    def put(self, key: str, size: int = 40) -> None:
        """A content of its own."""
        self._count += 1
        content = (f"{self._count} of {key} ".encode() + self.rng.randbytes(16)) * (size // 16 + 1)
        known = key in self._now
        self._remember(key, content)
        self.bucket.put(key, content)
        self._tell("update" if known else "create", key)

    def delete(self, key: str) -> None:
        del self._now[key]
        self.bucket.delete(key)
        self._tell("delete", key)

    def rename(self, key: str, new_key: str) -> None:
        self._remember(new_key, self._now.pop(key))
        self.bucket.rename(key, new_key)
        self._tell("rename", key, new_key)

    def change(self) -> None:
        """One of everything: new, changed, gone, renamed."""
        number = self._count
        # Of what was there before: what is renamed shall be known to a sync as a file.
        keys = sorted(self._now)
        self.rng.shuffle(keys)
        self.put(f"new/{number}.txt")
        self.put(keys[0], size=self.rng.choice((0, 40, 300_000)))
        self.rename(keys[1], f"renamed/{number}.txt")
        if len(keys) > 7:
            self.delete(keys[2])

    def _remember(self, key: str, content: bytes) -> None:
        self._now[key] = content
        self.ever.setdefault(key, set()).add(content)

    def _tell(self, *event: str) -> None:
        if self.feed is not None:
            self.feed.publish(an_event(NAME, *event))

    # --- what must hold -------------------------------------------------------------------------

    def require_whole(self) -> None:
        """After any kill: the lake agrees with itself, no path holds a part of anything, nothing was sent again."""
        contents, marks = self.destination.contents(), self.destination.marks()
        self._require_untouched(contents, marks)
        for path, content in contents.items():
            # A parked file stands between two names.
            if not path.startswith(PARKING):
                assert content in self.ever[path], f"{path} holds {len(content)} bytes that it never was"
        with self.opened() as lake:
            if lake is None:
                assert contents == {}
                return
            require_sound(lake)
        self.arrived = {
            path: (marks[path], content) for path, content in contents.items() if content == self._now.get(path)
        }

    def require_in_step(self) -> None:
        """After a sync that ended well: both ends are equal, and what had arrived before was not sent again."""
        contents = self.destination.contents()
        differ = {path for path in contents | self._now if contents.get(path) != self._now.get(path)}
        assert not differ, differ
        assert contents == self.bucket.contents()
        self._require_untouched(contents, self.destination.marks())
        assert self.destination.rest() == []
        with self.lake() as lake:
            require_sound(lake)
            assert lake.read("SELECT path, reason FROM owed") == []
            assert {unescape(path) for (path,) in lake.read("SELECT path FROM files")} == set(contents)

    def _require_untouched(self, contents: dict[str, bytes], marks: dict[str, Any]) -> None:
        for path, (mark, content) in self.arrived.items():
            # No content is ever given twice: equal means that it is the one that had arrived.
            if contents.get(path) == content:
                assert marks[path] == mark, f"{path} had arrived, and was sent again"

    def asks_for_a_scan(self) -> bool:
        """Whether the last sync knows that it has not seen everything."""
        with wiring.open_control(load_fleet(self.deployment.config).settings) as control:
            return control.get(NAME).scan_requested

    @contextmanager
    def lake(self) -> Iterator[Lake]:
        """As any reader opens it."""
        with wiring.open_lake(load_fleet(self.deployment.config).settings, NAME, read_only=True) as lake:
            yield lake

    @contextmanager
    def opened(self) -> Iterator[Lake | None]:
        """The lake; None where the first process was killed before it had made one."""
        with ExitStack() as stack:
            try:
                lake = stack.enter_context(self.lake())
            except StateError as error:
                assert "initial sync" in str(error) or "migrate" in str(error)  # noqa: PT017 - either is in order
                yield None
                return
            yield lake


def arguments(world: World, command: str) -> tuple[str, ...]:
    """The command line of a sync in the process itself."""
    return ("--config", str(world.deployment.config), command, "--direct")


def points_of(ended: Ended, trace: Path) -> list[tuple[str, int]]:
    """The points that a traced sync came by: name, and the how-many-th of that name from 0 on."""
    assert ended.code == 0, ended.log
    count: Counter[str] = Counter()
    points = []
    for name in trace.read_text(encoding="utf-8").splitlines():
        points.append((name, count[name]))
        count[name] += 1
    return points


def require_sound(lake: Lake) -> None:
    """What is true of every snapshot: keys stand once, and where both ends differ, the path is owed."""
    for table, columns in ONE_ROW_EACH.items():
        names = ", ".join(columns)
        twice = lake.read(f"SELECT {names} FROM {table} GROUP BY {names} HAVING count(*) > 1")
        assert twice == [], f"{table} holds {twice} twice"
    if lake.scalar("SELECT value FROM meta WHERE name = 'scanned_at'") is None:
        return
    unowed = lake.read(
        f"""
        SELECT coalesce(o.key, f.path) FROM objects o FULL JOIN files f ON f.path = o.key
        WHERE NOT {EQUAL} AND coalesce(o.key, f.path) NOT IN (SELECT path FROM owed)
        """
    )
    assert unowed == [], f"{unowed} differ and are not owed"
