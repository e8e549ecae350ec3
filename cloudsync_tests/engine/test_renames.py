"""Renames of every shape become moves: no byte travels, and each file keeps its internal id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudsync_pipeline.engine.results import Mode, Verdict
from cloudsync_tests.engine.world import World


@dataclass(frozen=True)
class Shape:
    """What there is, what becomes of it (old key to new key), and what is deleted first."""

    keys: tuple[str, ...]
    renamed: dict[str, str]
    deleted: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()


SHAPES = {
    "one": Shape(("a", "z"), {"a": "b"}),
    "into a folder": Shape(("a", "z"), {"a": "folder/deep/a"}),
    "a chain": Shape(("a", "b", "c"), {"a": "b", "b": "c", "c": "d"}),
    "a swap": Shape(("a", "b"), {"a": "b", "b": "a"}),
    "a cycle": Shape(("a", "b", "c"), {"a": "b", "b": "c", "c": "a"}),
    "two cycles and a chain": Shape(
        ("a", "b", "c", "d", "e", "f"), {"a": "b", "b": "a", "c": "d", "d": "c", "e": "f", "f": "g"}
    ),
    "onto a path that was deleted": Shape(("a", "b", "z"), {"a": "b"}, deleted=("b",)),
    "only the case": Shape(("a", "z"), {"a": "A"}),
    "only the case, where case does not count": Shape(("a", "z"), {"a": "A"}, capabilities=("case_sensitive",)),
    "cases exchanged": Shape(("a", "B"), {"a": "b", "B": "A"}, capabilities=("case_sensitive",)),
    "a file below its own name": Shape(("a", "z"), {"a": "a/b"}, capabilities=("folders_are_files",)),
    "a file in the place of its folder": Shape(("a/b", "z"), {"a/b": "a"}, capabilities=("folders_are_files",)),
    "a file onto a folder that is emptied": Shape(
        ("a", "b/c", "z"), {"a": "b"}, deleted=("b/c",), capabilities=("folders_are_files",)
    ),
    "a file and a folder exchanged": Shape(("a", "b/c"), {"a": "b", "b/c": "a/c"}, capabilities=("folders_are_files",)),
}


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Shape:
    return SHAPES[request.param]


@pytest.mark.parametrize("mode", [Mode.INCREMENTAL, Mode.RECONCILE])
def test_a_rename_keeps_the_id_and_sends_no_byte(tmp_path: Path, shape: Shape, mode: Mode) -> None:
    world = World(tmp_path, capabilities=dict.fromkeys(shape.capabilities, False))
    for key in shape.keys:
        world.put(key, f"content of {key}".encode())
    assert world.sync().verdict is Verdict.IN_SYNC
    ids = world.ids()
    world.forget_calls()

    for key in shape.deleted:
        world.delete(key)
    # All at once, as if through names of their own on the way.
    objects = world.bucket.objects
    taken = {key: objects.pop(key) for key in shape.renamed}
    for key, new_key in shape.renamed.items():
        objects[new_key] = taken[key]
        world.announce_rename(key, new_key)
    result = world.sync(mode)

    assert result.verdict is Verdict.IN_SYNC
    assert world.contents() == world.wanted()
    assert result.execution is not None
    assert result.execution.bytes == 0
    assert "put" not in world.sent()
    kept = [key for key in shape.keys if key not in shape.deleted]
    assert world.ids() == {shape.renamed.get(key, key): ids[key] for key in kept}
    world.check_debts()
    world.close()


def test_a_file_moves_below_its_own_name_and_back(tmp_path: Path) -> None:
    world = World(tmp_path, capabilities={"folders_are_files": False})
    world.put("a", b"content")
    world.put("z", b"other")
    world.sync()
    before = world.ids()["a"]
    for key, new_key in (("a", "a/b"), ("a/b", "a")):
        world.forget_calls()
        world.rename(key, new_key)
        assert world.sync().verdict is Verdict.IN_SYNC
        assert world.sent() == ["move", "move"]
        assert world.ids()[new_key] == before
        assert world.contents() == world.wanted()
    world.close()


def test_a_folder_of_files_moves_file_by_file_without_content(tmp_path: Path) -> None:
    world = World(tmp_path, capabilities={"folders_are_files": False})
    for number in range(20):
        world.put(f"old/{number}", f"content {number}".encode())
    world.sync()
    world.forget_calls()
    for number in range(20):
        world.rename(f"old/{number}", f"new/{number}")
    result = world.sync()
    assert result.execution is not None
    assert (result.execution.done["move"], result.execution.bytes) == (20, 0)
    assert world.contents() == world.wanted()
    world.close()
