"""What `cloudsync dev` runs until it is stopped: the small world, and Dagster beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cloudsync_pipeline
from cloudsync_pipeline.core.errors import CloudSyncError, Unreachable
from cloudsync_pipeline.demo import dagster_web, world
from cloudsync_pipeline.demo.dagster_web import DagsterWeb
from cloudsync_pipeline.demo.ports import free_ports, is_free
from cloudsync_pipeline.demo.sample import MIB, fill, samples
from cloudsync_pipeline.demo.story import SEEDS
from cloudsync_pipeline.demo.watching import Watch
from cloudsync_pipeline.demo.world import World

Say = Callable[[str], None]

UI_PORT = 3000
LOOK_SECONDS = 1.0
LARGEST = 2 * MIB
"""Bytes of the largest sample object: what is tried out again and again had better be quick."""
THIRD = "third"
"""A bucket that no integration is about: whoever wants to see one being added uses it."""


def run(*, folder: Path, port: int | None, say: Say) -> None:
    """Start everything, and watch over it until an exception (a signal) ends it.

    Args:
        folder: keeps buckets, files, state, logs, and Dagster's history from one time to the next.
        port: of the web UI; 3000 or, where that is taken, a free one by default.

    Raises:
        CloudSyncError: something is missing, did not start, or ended.
    """
    say(f"Starting storage, file manager and Dagster in {folder} ...")
    with world.running(folder) as here:
        _fill(here, say)
        with dagster_web.running(here, _port(port)) as dagster:
            _introduce(here, dagster, say)
            _watch_over(dagster, say)


def _port(wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    return UI_PORT if is_free(UI_PORT) else free_ports(1)[0]


def _fill(here: World, say: Say) -> None:
    """Buckets that are missing are made, with sample objects."""
    s3 = here.storage.client()
    there = {one["Name"] for one in s3.list_buckets()["Buckets"]}
    for name, seed in {**SEEDS, THIRD: 3}.items():
        if name in there:
            continue
        s3.create_bucket(Bucket=name)
        objects = samples(seed, largest=LARGEST)[: 20 if name == THIRD else None]
        fill(s3, name, objects)
        say(f"  bucket {name}: {len(objects)} sample objects")


def _introduce(here: World, dagster: DagsterWeb, say: Say) -> None:
    integrations = here.config.parent / "integrations"
    say("")
    say(f"Dagster web UI   {dagster.url}")
    say(f"S3 storage       {here.storage.endpoint}  (credentials: {here.folder / 'storage' / 's3.json'})")
    say(f"file manager     {here.server.url}  (publish events with POST {here.server.url}/admin/events)")
    say(f"local folder     {here.files}")
    say(f"configuration    {here.config}")
    say(f"logs             {here.folder / 'logs'}")
    say("")
    say("A third integration is a file: this one is found and synced by itself, within a minute:")
    say(f"  cat > {integrations / f'{THIRD}.yaml'} <<END")
    say(f"  storage: {{bucket: {THIRD}}}")
    say(f"  file_manager: {{type: local, path: {here.files}}}")
    say("  END")
    say("")
    say("In another terminal, for the cloudsync command:")
    say(f"  export CLOUDSYNC_CONFIG={here.config} DAGSTER_HOME={here.dagster_home}")
    say("")
    say("Changed source files are loaded anew. Ctrl-C ends everything.")


def _watch_over(dagster: DagsterWeb, say: Say) -> None:
    watch = Watch(Path(cloudsync_pipeline.__file__).parent)
    while True:
        time.sleep(LOOK_SECONDS)
        if (code := dagster.process.poll()) is not None:
            raise Unreachable(f"Dagster has ended with code {code}.", remedy=f"Its log is {dagster.log}.")
        changed = watch.changed()
        if not changed:
            continue
        names = ", ".join(one.name for one in changed[:5]) + (", ..." if len(changed) > 5 else "")
        try:
            problem = dagster.reload()
        except CloudSyncError as error:
            problem = error.message
        say(f"{names} changed: " + ("loaded anew" if problem is None else f"does not load: {problem}"))
