"""The fake as a tool: what it records, and what can be made to go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from cloudsync_pipeline.core.errors import BadAnswer, ContentMismatch, NotFound, StorageFull, Unavailable, Unreachable
from cloudsync_pipeline.core.faults import Corrupt, Faults, LoseAnswer, Truncate
from cloudsync_pipeline.file_managers.memory import EVERYTHING, Call, MemoryFileManager, MemoryFiles, named
from cloudsync_tests.contracts.file_manager import a_failing_upload, an_upload


def run(use: Callable[[MemoryFileManager], Awaitable[Any]], manager: MemoryFileManager) -> Any:
    async def within() -> Any:
        async with manager:
            return await use(manager)

    return asyncio.run(within())


def a_manager(**settings: Any) -> MemoryFileManager:
    return MemoryFileManager(**settings)


def test_every_call_is_recorded() -> None:
    manager = a_manager()

    async def use(manager: MemoryFileManager) -> None:
        await manager.put("a", an_upload(b"x", replace=True))
        await manager.move("a", "b")
        await manager.get("b")
        await manager.flush()

    run(use, manager)

    assert manager.calls == [
        Call("connect"),
        Call("put", "a", replace=True),
        Call("move", "a", "b"),
        Call("get", "b"),
        Call("flush"),
        Call("close"),
    ]
    assert manager.called("move") == (Call("move", "a", "b"),)


def test_a_fault_hits_as_often_as_told() -> None:
    faults = Faults()
    faults.add("put", StorageFull("full"), key="a", times=2)
    manager = a_manager(faults=faults)

    async def use(manager: MemoryFileManager) -> None:
        await manager.put("b", an_upload(b"x"))
        for _ in range(2):
            with pytest.raises(StorageFull):
                await manager.put("a", an_upload(b"x"))
        await manager.put("a", an_upload(b"x"))

    run(use, manager)
    assert manager.content("a") == b"x"


@pytest.mark.parametrize("operation", ["put", "move", "delete", "set_permissions", "report"])
def test_a_lost_answer_is_an_operation_that_was_done(operation: str) -> None:
    faults = Faults()
    manager = a_manager(faults=faults)

    async def use(manager: MemoryFileManager) -> None:
        await manager.put("a", an_upload(b"old"))
        faults.add(operation, LoseAnswer(Unreachable("lost")))
        calls = {
            "put": lambda: manager.put("a", an_upload(b"new")),
            "move": lambda: manager.move("a", "b"),
            "delete": lambda: manager.delete("a"),
            "set_permissions": lambda: manager.set_permissions("a", replace(manager.held.files["a"].permissions)),
            "report": lambda: manager.report({"run": 1}),
        }
        with pytest.raises(Unreachable):
            await calls[operation]()  # type: ignore[no-untyped-call]

    run(use, manager)
    held = {path: file.content for path, file in manager.held.files.items()}
    assert held == {"put": {"a": b"new"}, "move": {"b": b"old"}, "delete": {}}.get(operation, {"a": b"old"})
    assert len(manager.held.reports) == (1 if operation == "report" else 0)


@pytest.mark.parametrize(("effect", "stored"), [(Truncate(3), b"con"), (Corrupt(0), b"bontent")])
def test_what_is_stored_can_differ_from_what_is_acknowledged(effect: Any, stored: bytes) -> None:
    faults = Faults()
    faults.add("put", effect)
    manager = a_manager(faults=faults)

    state = run(lambda manager: manager.put("a", an_upload(b"content")), manager)

    assert state.size == 7
    assert manager.content("a") == stored


def test_it_can_acknowledge_without_storing() -> None:
    manager = a_manager()
    manager.stores_nothing = True

    async def use(manager: MemoryFileManager) -> None:
        assert (await manager.put("a", an_upload(b"x"))).internal_id
        with pytest.raises(NotFound):
            await manager.get("a")

    run(use, manager)


def test_it_can_acknowledge_something_else() -> None:
    manager = a_manager()
    manager.distort = lambda state: replace(state, path="other")

    assert run(lambda manager: manager.put("a", an_upload(b"x")), manager).path == "other"


def test_a_listing_can_break_off() -> None:
    faults = Faults()
    faults.add("list", Truncate(1))
    manager = a_manager(faults=faults)

    async def use(manager: MemoryFileManager) -> None:
        for path in ("a", "b"):
            await manager.put(path, an_upload(b"x"))
        listing = manager.list()
        assert (await anext(listing)).path == "a"
        with pytest.raises(BadAnswer):
            await anext(listing)

    run(use, manager)


def test_without_stable_ids_every_change_gives_a_new_one() -> None:
    manager = a_manager(capabilities=replace(EVERYTHING, stable_ids=False))

    async def use(manager: MemoryFileManager) -> list[str | None]:
        states = [
            await manager.put("a", an_upload(b"x")),
            await manager.put("a", an_upload(b"y", replace=True)),
            await manager.move("a", "b"),
        ]
        return [state.internal_id for state in states]

    assert len(set(run(use, manager))) == 3


def test_without_atomic_put_an_aborted_upload_leaves_a_part() -> None:
    manager = a_manager(capabilities=replace(EVERYTHING, atomic_put=False))

    async def use(manager: MemoryFileManager) -> None:
        with pytest.raises(ContentMismatch):
            await manager.put("a", a_failing_upload(300_000, ContentMismatch("hash"), chunk=100_000))

    run(use, manager)
    assert manager.content("a") == b"n" * 200_000


def test_what_it_holds_outlives_it() -> None:
    files = MemoryFiles()
    created = run(lambda manager: manager.put("a", an_upload(b"x")), a_manager(files=files, destination_prefix="t"))

    found = run(lambda manager: manager.get("a"), a_manager(files=files, destination_prefix="t"))

    assert found == created
    assert list(files.files) == ["t/a"]


def test_files_can_be_named() -> None:
    assert named("one") is named("one")
    assert named("one") is not named("two")


def test_health_and_connecting_can_fail() -> None:
    for operation in ("connect", "health"):
        faults = Faults()
        faults.add(operation, Unavailable("down"))
        with pytest.raises(Unavailable):
            run(lambda manager: manager.health(), a_manager(faults=faults))
