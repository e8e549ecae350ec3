"""In which order moves that stand in each other's way become possible.

A move needs its target free: whatever file stands there (or, where folders are not files, on the way
there or below it) has to move away first. Following that gives chains; where it comes back to itself
(swaps, longer cycles, a file that moves below its own name) one file is parked under a name of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PARKING = ".cloudsync-parked"
"""First part of parking names. They stand at the root: beside the file they would keep its folder from going."""


@dataclass(frozen=True, slots=True)
class Move:
    """One wanted move; `number` names it in the plan."""

    number: int
    path: str
    new_path: str


@dataclass(frozen=True, slots=True)
class Leg:
    """One move to send. Legs of one stage are independent; stages count from 0.

    Attributes:
        number: the wanted move it serves.
        final: False for the leg into the parking name.
    """

    number: int
    stage: int
    path: str
    new_path: str
    final: bool


def ancestors(path: str) -> Iterator[str]:
    """`a/b/c` gives `a`, then `a/b`."""
    at = path.find("/")
    while at != -1:
        yield path[:at]
        at = path.find("/", at + 1)


def parking_name(number: int, plan_id: str) -> str:
    """Where a file waits while its place and its target are exchanged; derived, so that a later run knows it."""
    return f"{PARKING}-{plan_id}-{number}"


def is_parking(path: str, plan_id: str) -> bool:
    """Whether a path is one that `parking_name` gave for this plan. A customer may have keys that only look so."""
    return path.startswith(f"{PARKING}-{plan_id}-")


def order_moves(
    moves: Sequence[Move], *, plan_id: str, folders_are_files: bool = True, case_sensitive: bool = True
) -> list[Leg]:
    """Moves as legs in stages, each possible when the stages before it are done.

    Args:
        moves: no two share a path, no two share a new path.
        folders_are_files: False where `a` and `a/b` exclude each other.
        case_sensitive: False where `A` and `a` are one path.
    """
    waits_for = _dependencies(moves, folders_are_files, case_sensitive)
    parked = _parked(waits_for)
    depth = _depths(waits_for)
    first = 1 if parked else 0
    legs = []
    for move in moves:
        path = move.path
        if move.number in parked:
            path = parking_name(move.number, plan_id)
            legs.append(Leg(move.number, 0, move.path, path, final=False))
        legs.append(Leg(move.number, first + depth[move.number], path, move.new_path, final=True))
    return sorted(legs, key=lambda leg: (leg.stage, leg.number))


def _dependencies(moves: Sequence[Move], folders_are_files: bool, case_sensitive: bool) -> dict[int, set[int]]:
    """For each move, those whose file stands in its way."""

    def spelled(path: str) -> str:
        return path if case_sensitive else path.casefold()

    at: dict[str, int] = {spelled(move.path): move.number for move in moves}
    below: defaultdict[str, set[int]] = defaultdict(set)
    if not folders_are_files:
        for move in moves:
            for folder in ancestors(spelled(move.path)):
                below[folder].add(move.number)
    waits_for: dict[int, set[int]] = {}
    for move in moves:
        target = spelled(move.new_path)
        blockers = {at[target]} if target in at else set()
        if not folders_are_files:
            blockers.update(at[folder] for folder in ancestors(target) if folder in at)
            blockers |= below.get(target, set())
        if spelled(move.path) == target:
            blockers.discard(move.number)  # a case-only rename is one step everywhere
        waits_for[move.number] = blockers
    return waits_for


def _parked(waits_for: dict[int, set[int]]) -> set[int]:
    """The moves to park so that no cycle is left; afterwards nobody waits for them in `waits_for`."""
    parked: set[int] = set()
    while True:
        cycles = [group for group in _groups(waits_for) if len(group) > 1 or group[0] in waits_for[group[0]]]
        if not cycles:
            return parked
        chosen = {min(group) for group in cycles}
        parked |= chosen
        for blockers in waits_for.values():
            blockers.difference_update(chosen)


def _groups(graph: dict[int, set[int]]) -> list[list[int]]:
    """Strongly connected groups (Tarjan), without recursion: a chain may be long."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    groups: list[list[int]] = []
    for root, blockers in graph.items():
        if root in index:
            continue
        work: list[tuple[int, Iterator[int]]] = [(root, iter(blockers))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, successors = work[-1]
            advanced = False
            for successor in successors:
                if successor not in index:
                    index[successor] = low[successor] = len(index)
                    stack.append(successor)
                    on_stack.add(successor)
                    work.append((successor, iter(graph[successor])))
                    advanced = True
                    break
                if successor in on_stack:
                    low[node] = min(low[node], index[successor])
            if advanced:
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == index[node]:
                group = []
                while True:
                    member = stack.pop()
                    on_stack.discard(member)
                    group.append(member)
                    if member == node:
                        break
                groups.append(group)
    return groups


def _depths(waits_for: dict[int, set[int]]) -> dict[int, int]:
    """Length of the longest chain of blockers, for an acyclic graph."""
    depth: dict[int, int] = {}
    for root in tuple(waits_for):
        work = [root]
        while work:
            node = work[-1]
            if node in depth:
                work.pop()
                continue
            missing = [blocker for blocker in waits_for[node] if blocker not in depth]
            if missing:
                work.extend(missing)
            else:
                depth[node] = 1 + max((depth[b] for b in waits_for[node]), default=-1)
                work.pop()
    return depth
