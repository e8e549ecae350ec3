"""One sync of a story, and what goes wrong in it: faults, kills, a bucket that changes meanwhile, lies."""

from __future__ import annotations

import copy
import random

from cloudsync_pipeline.core.errors import (
    AccessDenied,
    BadAnswer,
    ContentMismatch,
    IncompleteListing,
    PathRejected,
    Rejected,
    StorageFull,
    Throttled,
    Unavailable,
    Unreachable,
)
from cloudsync_pipeline.core.faults import ALWAYS, Corrupt, Effect, LoseAnswer, Truncate
from cloudsync_pipeline.engine.results import Mode
from cloudsync_tests.reliability.changes import CONTENTS, one_of
from cloudsync_tests.reliability.harsh_world import HarshWorld
from cloudsync_tests.reliability.kills import CAN_BE_LOST, Kill

_SYNCS = {
    "quiet": 4,
    "faults": 6,
    "killed": 4,
    "killed amid faults": 2,
    "the bucket changes": 2,
    "the bucket changes, faults": 1,
    "the bucket changes, killed": 1,
    "lies": 1,
}
_MODES = (Mode.INCREMENTAL, Mode.INCREMENTAL, Mode.RECONCILE)
_ERRORS = (
    Unreachable("the connection broke"),
    Unreachable("the connection broke"),
    Unavailable("HTTP 500"),
    Throttled("HTTP 429", retry_after=3600.0),
    AccessDenied("HTTP 403"),
    Rejected("HTTP 400"),
    BadAnswer("no JSON"),
    ContentMismatch("other bytes"),
    StorageFull("HTTP 507"),
    PathRejected("no such name here"),
)
_CALLS = {
    ("files", "put"): 6,
    ("files", "move"): 4,
    ("files", "delete"): 3,
    ("files", "set_permissions"): 2,
    ("files", "get"): 2,
    ("files", "read_permissions"): 1,
    ("files", "flush"): 1,
    ("files", "report"): 1,
    ("storage", "head"): 2,
    ("storage", "read"): 2,
    ("storage", "chunk"): 1,
    ("storage", "list"): 4,
    ("storage", "health"): 1,
    ("feed", "receive"): 1,
    ("feed", "acknowledge"): 1,
}


def sync(world: HarshWorld, keys: list[str], dice: random.Random, story: list[str]) -> None:
    """One sync; the story gets it in words."""
    mode, kind = dice.choice(_MODES), one_of(dice, _SYNCS)
    told = f"{mode} sync, {kind}"
    kill = None
    if "faults" in kind:
        told += "".join(f", {_add_fault(world, dice)}" for _ in range(dice.choice([1, 1, 2])))
    if "killed" in kind:
        count = dice.choice([*range(1, 12), 15, 20, 25])
        kill = Kill(dice.choice(["call", "call", "commit"]), count, dice.random() < 0.5)
        told += f", {kill}"
    if "the bucket changes" in kind:
        told += f", {_change_amid(world, dice.choice(keys), dice)}"
    if kind == "lies":
        told += f", {_lie(world, dice)}"
    story.append(told)
    ended = world.sync(mode, kill)
    story[-1] += f": {getattr(ended, 'verdict', ended)!r}"
    _heal(world)


def _add_fault(world: HarshWorld, dice: random.Random) -> str:
    ((end, operation),) = dice.choices(list(_CALLS), list(_CALLS.values()))
    effect: Effect = copy.copy(dice.choice(_ERRORS))
    if operation == "list":
        effect = IncompleteListing("it broke off")
    elif operation in CAN_BE_LOST and dice.random() < 0.5:
        effect = LoseAnswer(Unreachable("the answer was lost"))
    elif operation == "read" and dice.random() < 0.5:
        effect = Truncate(2) if dice.random() < 0.5 else Corrupt(0)
    times, after = dice.choice([1, 1, 2, ALWAYS]), dice.choice([0, 0, 0, 1, 3])
    faults = {"storage": world.storage.faults, "files": world.files.faults, "feed": world.feed.faults}[end]
    faults.add(operation, effect, times=times, after=after)
    return f"{operation} {effect!r} x{times} after {after}"


def _change_amid(world: HarshWorld, key: str, dice: random.Random) -> str:
    content, at = dice.choice(CONTENTS), dice.choice(["read", "head", "list", "put", "move", "delete"])

    def happen() -> None:
        if content:
            world.put(key, content)
        elif key in world.model:
            world.delete(key)

    faults = world.storage.faults if at in ("read", "head", "list") else world.files.faults
    faults.add(at, happen, times=2)
    return f"{key!r} becomes {content!r} at each {at}"


def _lie(world: HarshWorld, dice: random.Random) -> str:
    if dice.random() < 0.5:
        world.files.stores_nothing = True
        return "nothing is stored"
    world.files.faults.add("put", Corrupt(0), times=3)
    return "other bytes are stored"


def _heal(world: HarshWorld) -> None:
    for end in (world.storage, world.files, world.feed):
        end.faults.clear()
    world.files.stores_nothing = False
