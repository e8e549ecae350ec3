"""A listing of many objects: by rclone, by ours into the lake, and what memory it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.filling import Contents
from benchmarks.measure import Contestant
from benchmarks.task import Benchmark, Goal, Task
from benchmarks.world import REMOTE, World, cloudsync, emptied, engine

RCLONE, ENGINE, COMMAND = "rclone lsf --fast-list", "list and merge", "cloudsync plan"


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """Over folders, flat, and the memory at two sizes."""
    objects, folders = size["objects"], size["folders"]
    yield _layout(
        world,
        f"list {objects:,} objects in {folders} folders",
        world.bucket(Contents("many", objects, 8, folders)),
        (
            Goal("list and merge, whole process", ENGINE, (RCLONE,), 0.6),
            Goal("listing stage over several prefixes", ENGINE, (RCLONE,), 0.45, "listing"),
            Goal("CPU, list and merge", ENGINE, (RCLONE,), 1.0, "cpu"),
        ),
    )
    yield _layout(
        world,
        f"list {objects:,} objects in one flat prefix",
        world.bucket(Contents("many", objects, 8, 0)),
        (
            Goal("one flat prefix, whole process", ENGINE, (RCLONE,), 0.9),
            Goal("CPU, one flat prefix", ENGINE, (RCLONE,), 1.0, "cpu"),
        ),
    )
    yield _memory(world, objects, 5 * objects)


def _layout(world: World, title: str, bucket: str, goals: tuple[Goal, ...]) -> Task:
    state = world.folder / "state"
    destination = world.folder / "destination"
    emptied(destination)
    ours = world.ours(world.storage(bucket), {"type": "local", "path": str(destination)}, state)
    samples = world.in_turn(
        [
            Contestant(
                RCLONE, world.rclone("lsf", "-R", "--fast-list", f"{REMOTE}:{bucket}"), world.rclone_environment
            ),
            *world.s5cmd("s5cmd ls", "ls", f"s3://{bucket}/*"),
            Contestant(ENGINE, engine("listing"), ours, lambda: emptied(state), tells=True),
            Contestant(COMMAND, cloudsync("plan"), ours, lambda: emptied(state)),
        ],
        goals,
    )
    note = "`cloudsync plan` also plans a create for each object, which rclone does not."
    return Task(title, samples, goals, note)


def _memory(world: World, few: int, many: int) -> Task:
    """The listing stage against a server that makes keys up: SeaweedFS would take minutes to fill."""
    state = world.folder / "state"
    destination = world.folder / "destination"
    emptied(destination)
    contestants = []
    for objects in (few, many):
        endpoint = world.made_up(objects)
        storage = world.storage("made-up", endpoint=endpoint)
        ours = world.ours(storage, {"type": "local", "path": str(destination)}, state)
        contestants.append(Contestant(f"{objects:,} objects", engine("list"), ours, lambda: emptied(state), tells=True))
    goals = (
        Goal(
            f"memory of the listing stage, {many:,} beside {few:,}",
            contestants[1].name,
            (contestants[0].name,),
            1.1,
            "peak",
        ),
    )
    note = "Against a server that makes the pages of its listing up as they are asked for."
    return Task("memory of the listing stage", world.in_turn(contestants), goals, note)


BENCHMARK = Benchmark(
    "listing",
    "a listing of many objects into the lake, beside `rclone lsf`",
    {
        "tiny": {"objects": 2_000, "folders": 2},
        "small": {"objects": 20_000, "folders": 20},
        "full": {"objects": 200_000, "folders": 20},
    },
    run,
)
