"""The state alone, in a process of its own: `python -m benchmarks.alone state_engine WHAT FOLDER PERCENT LIMIT`.

`plan FOLDER PERCENT LIMIT` merges a listing into the lake `FOLDER/work` and plans what follows from it;
`join FOLDER PERCENT LIMIT` lets DuckDB alone join two bare Parquet files of the same rows. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import duckdb

from benchmarks.made_lake import INTEGRATION, LISTED
from cloudsync_pipeline.core.guard import Judgement
from cloudsync_pipeline.lake import Lake, merging, planning, plans, runs
from cloudsync_pipeline.lake.observing import Listing

NOW = LISTED + timedelta(hours=1)


def plan(folder: Path, percent: int, limit: str) -> dict[str, float]:
    """Seconds of each phase, and what came of it."""
    part = folder / f"{percent}.parquet"
    rows, size = duckdb.execute(f"SELECT count(*), sum(size)::BIGINT FROM '{part}'").fetchone() or (0, 0)
    began = time.perf_counter()
    with Lake.open(folder / "work", integration=INTEGRATION, memory_limit=limit, threads=2) as lake:
        listing = Listing("listing", (part,), LISTED, NOW, LISTED, rows, size, lake.current_snapshot())
        runs.begin(lake, "run", "reconcile", NOW)
        opened = time.perf_counter()
        merged = merging.merge_listing(lake, "run", listing, keep_deleted=False, announced=True, now=NOW)
        merged_at = time.perf_counter()
        made = planning.make(
            lake,
            "run",
            plan_id="run-1",
            mode="reconcile",
            rules=planning.PlanRules(etag_may_be_md5=True),
            judge=lambda _: Judgement(held=False),
            now=NOW,
            sent_up_to=4000,
        )
        planned_at = time.perf_counter()
        for stage in plans.stages(lake, "run-1"):
            plans.operations(lake, "run-1", stage=stage.number)
        read_at = time.perf_counter()
    return {
        "opening": opened - began,
        "merge": merged_at - opened,
        "plan": planned_at - merged_at,
        "first operations": read_at - planned_at,
        "differences": merged.added + merged.changed + merged.removed,
        "operations": sum(made.by_kind.values()),
    }


def join(folder: Path, percent: int, limit: str) -> dict[str, float]:
    """The full outer join by key of the listing before and the listing now, what differs written to a file."""
    connection = duckdb.connect(
        config={
            "memory_limit": limit,
            "threads": 2,
            "temp_directory": str(folder / "join.tmp"),
            "preserve_insertion_order": False,
        }
    )
    began = time.perf_counter()
    connection.execute(
        f"""
        COPY (
            SELECT coalesce(was.key, now.key) AS path, now.size, now.etag,
                   CASE WHEN was.key IS NULL THEN 'new' WHEN now.key IS NULL THEN 'vanished' ELSE 'changed' END AS kind
            FROM '{folder}/0.parquet' was FULL JOIN '{folder}/{percent}.parquet' now ON now.key = was.key
            WHERE NOT coalesce(was.size = now.size AND was.etag = now.etag, false)
        ) TO '{folder}/join.parquet' (FORMAT parquet, COMPRESSION zstd)
        """
    )
    return {"join": time.perf_counter() - began}


def main() -> None:
    """See the module's docstring."""
    work = {"plan": plan, "join": join}[sys.argv[1]]
    print(json.dumps(work(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
