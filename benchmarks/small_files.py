"""The initial sync of many small objects: into a folder in memory and on disk, and to the HTTP file manager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.filling import Contents
from benchmarks.measure import Contestant
from benchmarks.task import Benchmark, Goal, Task
from benchmarks.world import REMOTE, World, alone, cloudsync, engine, set_aside
from cloudsync_pipeline.devserver import process as devserver

COMMAND, ENGINE, BARE = "cloudsync initial-sync", "engine alone", "bare aiohttp loop"
FEW, MANY = "rclone sync", "rclone sync, 32 transfers"
FLAGS = ("--fast-list", "--checkers=32")


def run(world: World, size: Mapping[str, int]) -> Iterator[Task]:
    """Into two folders, then over HTTP."""
    contents = Contents("small", size["objects"], size["bytes"], size["folders"])
    bucket = world.bucket(contents)
    what = f"{contents.objects:,} x {contents.size:,} bytes"
    yield _folder(world, bucket, f"{what} into a folder in memory", world.memory)
    yield _folder(world, bucket, f"{what} into a folder on disk", world.folder)
    yield _http(world, contents, bucket, f"{what} to the HTTP file manager")


def _folder(world: World, bucket: str, title: str, place: Path) -> Task:
    state, ours_at, peer_at = place / "state", place / "ours", place / "peer"
    ours = world.ours(world.storage(bucket), {"type": "local", "path": str(ours_at)}, state)

    def rclone(name: str, transfers: int) -> Contestant:
        command = world.rclone("sync", f"{REMOTE}:{bucket}", str(peer_at), *FLAGS, f"--transfers={transfers}")
        return Contestant(name, command, world.rclone_environment, lambda: set_aside(peer_at))

    def fresh() -> None:
        set_aside(state, ours_at)

    goals = (Goal(title, COMMAND, (FEW, MANY), 0.9),)
    samples = world.in_turn(
        [
            rclone(FEW, 4),
            rclone(MANY, 32),
            *world.s5cmd("s5cmd cp", "cp", f"s3://{bucket}/*", f"{peer_at}/", prepare=lambda: set_aside(peer_at)),
            Contestant(COMMAND, cloudsync("initial-sync", "--direct"), ours, fresh),
            Contestant(ENGINE, engine("initial"), ours, fresh, tells=True),
        ],
        goals,
    )
    return Task(title, samples, goals)


def _http(world: World, contents: Contents, bucket: str, title: str) -> Task:
    state, files = world.folder / "state", world.folder / "files"
    set_aside(files)
    server = devserver.launch(files)
    world.ending.callback(server.stop)

    def fresh() -> None:
        server.stop()
        set_aside(state, files)
        server.restart()

    ours = world.ours(world.storage(bucket), {"type": "http_api", "url": server.url}, state)
    told = world.told("bare.json", contents, file_manager=server.url)
    goals = (Goal(f"{title}, permissions fetched", COMMAND, (BARE,), 1.5),)
    samples = world.in_turn(
        [
            Contestant(BARE, alone("bare", str(told)), {}, fresh),
            Contestant(COMMAND, cloudsync("initial-sync", "--direct"), ours, fresh),
            Contestant(ENGINE, engine("initial"), ours, fresh, tells=True),
        ],
        goals,
    )
    server.stop()
    note = "The loop reads each object, posts it and asks for its permissions; it lists, checks and remembers nothing."
    return Task(title, samples, goals, note)


BENCHMARK = Benchmark(
    "small_files",
    "the initial sync of many small objects, beside `rclone sync` and a bare loop",
    {
        "tiny": {"objects": 60, "bytes": 8192, "folders": 2},
        "small": {"objects": 2_000, "bytes": 8192, "folders": 20},
        "full": {"objects": 10_000, "bytes": 8192, "folders": 20},
    },
    run,
)
