"""What happens outside between two syncs: to the bucket, to what the feed tells of it, to the clock, by a person."""

from __future__ import annotations

import hashlib
import random
from datetime import timedelta

from cloudsync_pipeline.core.events import EventType
from cloudsync_tests.reliability.harsh_world import HarshWorld

CONTENTS = (b"one", b"two", b"other content", b"")

_CHANGES = {
    "put": 6,
    "delete": 3,
    "rename": 3,
    "put back": 3,
    "swap": 2,
    "permissions": 2,
    "copy": 1,
    "file becomes folder": 1,
    "folder becomes file": 1,
    "nonsense": 1,
    "over and over": 1,
    "told again": 1,
    "told too late": 1,
    "the clock is set": 1,
    "approve": 1,
    "reject": 1,
    "retry": 1,
}
_OF_OBJECTS = {"delete", "rename", "file becomes folder", "copy", "swap", "permissions"}


def one_of(dice: random.Random, weights: dict[str, int]) -> str:
    """One of the names, by weight."""
    return dice.choices(list(weights), list(weights.values()))[0]


def change(world: HarshWorld, keys: list[str], dice: random.Random) -> str:
    """Let something happen; returns it in words."""
    kind = one_of(dice, _CHANGES)
    key, other = dice.choice(keys), dice.choice(keys)
    there = world.model
    if there and kind in _OF_OBJECTS:
        key, other = dice.choice(sorted(there)), dice.choice(sorted({*keys, *there}))
    told = dice.random() < 0.75
    if kind in ("put", "put back", "copy"):
        return _content(world, kind, key, other, told, dice)
    if kind in ("delete", "rename", "file becomes folder", "folder becomes file", "swap"):
        return _place(world, kind, key, other, told, dice)
    if kind in ("approve", "reject", "retry"):
        return f"{kind}: {getattr(world, kind)()} paths"
    if kind == "the clock is set":
        hours = dice.choice([-48, -1, 1, 25, 24 * 8])
        world.clock.jump(timedelta(hours=hours))
        return f"the clock goes {hours:+} h"
    return _of_the_feed(world, kind, key, other, dice)


def _content(world: HarshWorld, kind: str, key: str, other: str, told: bool, dice: random.Random) -> str:
    if kind == "copy":
        if key not in world.model:
            return f"no copy of {key!r}"
        _put(world, other, world.model[key], None, told)
        return f"copy {key!r} to {other!r} told={told}"
    contents = CONTENTS if kind == "put" else sorted(world.ever.get(key, ())) or CONTENTS
    content, etag = dice.choice(contents), _an_etag(dice) if kind == "put" else None
    _put(world, key, content, etag, told)
    return f"{kind} {key!r} {content!r} {etag or ''} told={told}"


def _place(world: HarshWorld, kind: str, key: str, other: str, told: bool, dice: random.Random) -> str:
    there = world.model
    match kind:
        case "delete" if key in there:
            _delete(world, key, told)
        case "rename" | "file becomes folder" if key in there:
            other = f"{key}/b" if kind != "rename" else other
            world.rename(key, other)
            if told:
                world.announce(dice.choice([EventType.RENAME, EventType.MOVE]), key, other)
        case "folder becomes file" if any("/" in name.strip("/") for name in there):
            below = dice.choice(sorted(name for name in there if "/" in name.strip("/")))
            key = below.strip("/").split("/")[0]
            for name in [name for name in there if name.startswith(f"{key}/")]:
                _delete(world, name, told)
            _put(world, key, dice.choice(CONTENTS), None, told)
        case "swap" if {key, other} <= there.keys():
            world.swap(key, other)
            if told:
                world.announce(EventType.UPDATE, key)
                world.announce(EventType.UPDATE, other)
        case _:
            return f"no {kind} of {key!r}"
    return f"{kind} {key!r} {other!r} told={told}"


def _of_the_feed(world: HarshWorld, kind: str, key: str, other: str, dice: random.Random) -> str:
    match kind:
        case "permissions":
            world.announce(EventType.CHANGE_PERMISSION, key, permissions=dice.choice(["rw-------", "rwxr-xr-x"]))
        case "nonsense":
            world.announce_nonsense()
            for event in EventType:
                world.announce(event, key, other if event in (EventType.RENAME, EventType.MOVE) else None)
        case "over and over":
            for _ in range(12):
                world.announce(EventType.UPDATE, key)
        case "told again":
            world.feed.publish(*world.published[-3:])
        case "told too late":
            world.feed.lose(3)
    return f"{kind} {key!r} {other!r}"


def _an_etag(dice: random.Random) -> str | None:
    """Mostly the content's MD5; sometimes of the form of one, or of a multipart upload."""
    digest = hashlib.md5(dice.randbytes(8), usedforsecurity=False).hexdigest()
    return dice.choices([None, f"{digest}-2", digest], [8, 1, 1])[0]


def _put(world: HarshWorld, key: str, content: bytes, etag: str | None, told: bool) -> None:
    kind = EventType.UPDATE if key in world.model else EventType.CREATE
    world.put(key, content, etag)
    if told:
        world.announce(kind, key)


def _delete(world: HarshWorld, key: str, told: bool) -> None:
    world.delete(key)
    if told:
        world.announce(EventType.DELETE, key)
