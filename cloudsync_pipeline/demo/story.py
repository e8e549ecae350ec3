"""What `cloudsync demo` goes through, told step by step."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cloudsync_pipeline.demo import checks, world
from cloudsync_pipeline.demo.changes import Changes, apply, changes, events
from cloudsync_pipeline.demo.comparing import Comparison, Download, Folder, Side, compare
from cloudsync_pipeline.demo.dagster_runs import JobRun, Worker
from cloudsync_pipeline.demo.memory import Remembered, quarantined, remembered
from cloudsync_pipeline.demo.sample import MIB, Sample, fill, samples
from cloudsync_pipeline.demo.world import WITH_FEED, WITHOUT_FEED, World

Say = Callable[[str], None]

SEEDS = {WITH_FEED: 1, WITHOUT_FEED: 2}


@dataclass(slots=True)
class Told:
    """What is known of one integration at the end.

    Attributes:
        runs: in their order, as Dagster ran them and as the fleet remembers them.
        checks: what was looked at, and what was wrong with it (None: nothing).
        rclone: differences that rclone found; None where it was not asked.
    """

    integration: str
    runs: list[tuple[JobRun, Remembered | None]] = field(default_factory=list)
    compared: Comparison | None = None
    quarantined: Mapping[str, str] = field(default_factory=dict)
    checks: dict[str, str | None] = field(default_factory=dict)
    rclone: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return (
            all(run.success for run, _ in self.runs)
            and self.compared is not None
            and not self.compared.differing
            and not self.rclone
            and all(problem is None for problem in self.checks.values())
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole demonstration."""

    told: Sequence[Told]
    seconds: float
    folder: Path | None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong anywhere."""
        return all(one.ok for one in self.told)


def run(*, folder: Path | None, keep: bool, say: Say) -> Outcome:
    """Go through the whole demonstration.

    Args:
        folder: where; a temporary folder by default.
        keep: leave the folder, also where nothing is wrong.
        say: told a line at a time how it goes.

    Raises:
        CloudSyncError: something that it needs is missing or did not start.
    """
    began = time.monotonic()
    room = folder or Path(tempfile.mkdtemp(prefix="cloudsync-demo-"))
    kept = True
    try:
        outcome = Outcome(_go_through(room, say), time.monotonic() - began, room)
        # What went wrong can be looked into only while its logs are there.
        kept = keep or folder is not None or not outcome.ok
    except KeyboardInterrupt:
        kept = keep or folder is not None
        raise
    finally:
        if not kept:
            shutil.rmtree(room, ignore_errors=True)
    return outcome if kept else replace(outcome, folder=None)


def _go_through(room: Path, say: Say) -> list[Told]:
    told = {name: Told(name) for name in (WITH_FEED, WITHOUT_FEED)}
    say("Starting an S3 storage (SeaweedFS) and a file manager (devserver) ...")
    with world.running(room) as here, _workers(here) as workers:
        say(f"  storage {here.storage.endpoint}, file manager {here.server.url}, a local folder {here.files}")
        before = _fill(here, say)

        say("Dagster job initial_sync, for each integration ...")
        _run_jobs(here, workers, {WITH_FEED: "initial_sync", WITHOUT_FEED: "initial_sync"}, told, say)
        if not all(run.success for one in told.values() for run, _ in one.runs):
            return list(told.values())
        was = checks.look(here)

        wanted = {name: changes(before[name], seed, permissions=name == WITH_FEED) for name, seed in SEEDS.items()}
        _change(here, wanted, say)

        say("Dagster jobs incremental_sync (told by the feed) and reconcile (by a scan) ...")
        _run_jobs(here, workers, {WITH_FEED: "incremental_sync", WITHOUT_FEED: "reconcile"}, told, say)

        say("Comparing bucket and file manager byte for byte, by independent reads ...")
        now = checks.look(here)
        for name, one in told.items():
            one.quarantined = quarantined(here.config, name)
            one.compared = compare(here.storage.client(), name, _side(here, name), one.quarantined)
            one.checks = checks.all_of(wanted[name], was[name], now[name], one.runs[-1][1], one.quarantined)
        _ask_rclone(here, told[WITHOUT_FEED])
    return list(told.values())


@contextmanager
def _workers(here: World) -> Iterator[dict[str, Worker]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(Worker(name, environment=here.environment, logs=here.folder / "logs"))
            for name in (WITH_FEED, WITHOUT_FEED)
        }


def _fill(here: World, say: Say) -> dict[str, list[Sample]]:
    s3 = here.storage.client()
    before = {name: samples(seed) for name, seed in SEEDS.items()}
    for name, objects in before.items():
        s3.create_bucket(Bucket=name)
        size = fill(s3, name, objects)
        largest = max(one.size for one in objects)
        say(f"  bucket {name}: {len(objects)} objects, {size / MIB:.0f} MiB, from 0 bytes to {largest / MIB:.0f} MiB")
    return before


def _change(here: World, wanted: Mapping[str, Changes], say: Say) -> None:
    s3 = here.storage.client()
    say("Changing the buckets ...")
    for name, change in wanted.items():
        apply(s3, name, change)
        say(f"  {name}: " + ", ".join(f"{count} {what}" for what, count in change.counts().items() if count))
    announced = events(wanted[WITH_FEED], WITH_FEED)
    here.server.publish(*announced)
    say(f"  {len(announced)} events published to the feed of {WITH_FEED}, not in order, some of them twice")


def _run_jobs(
    here: World, workers: Mapping[str, Worker], jobs: Mapping[str, str], told: Mapping[str, Told], say: Say
) -> None:
    for name, job in jobs.items():
        workers[name].start(job)
    for name in jobs:
        one = workers[name].wait()
        known = remembered(here.config, name, one.run_id)
        told[name].runs.append((one, known))
        how = known.verdict.replace("_", " ") if known else "no result"
        say(f"  {name}: {one.job} run {one.run_id} {'succeeded' if one.success else 'FAILED'}: {how}")
        if not one.success:
            say(f"    its log is {one.log}")


def _side(here: World, name: str) -> Side:
    if name == WITH_FEED:
        return Download(here.server, name)
    return Folder(here.files / name)


def _ask_rclone(here: World, one: Told) -> None:
    from cloudsync_pipeline.demo import rclone

    left_out = one.compared.left_out if one.compared else {}
    one.rclone = rclone.check(
        here.storage.endpoint, here.storage.credentials, one.integration, here.files / one.integration, left_out
    )


def as_document(outcome: Outcome) -> dict[str, Any]:
    """The outcome for JSON; see the command's help."""
    return {
        "ok": outcome.ok,
        "seconds": round(outcome.seconds, 1),
        "folder": None if outcome.folder is None else str(outcome.folder),
        "integrations": [
            {
                "integration": one.integration,
                "ok": one.ok,
                "runs": [
                    {
                        "run_id": run.run_id,
                        "job": run.job,
                        "success": run.success,
                        "seconds": round(run.seconds, 1),
                        "verdict": known.verdict if known else None,
                        "operations": dict(known.done) if known else {},
                        "bytes": known.bytes if known else 0,
                    }
                    for run, known in one.runs
                ],
                "compared": None
                if one.compared is None
                else {
                    "equal": one.compared.equal,
                    "bytes": one.compared.bytes,
                    "differing": dict(one.compared.differing),
                },
                "quarantined": dict(one.quarantined),
                "checks": {what: {"ok": problem is None, "problem": problem} for what, problem in one.checks.items()},
                "rclone_differences": one.rclone,
            }
            for one in outcome.told
        ],
    }
