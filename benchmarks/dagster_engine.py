"""One Dagster run, by parts: `python -m benchmarks.dagster_engine JOB INTEGRATION`.

Runs a job in one process, as a run worker does, in the instance and with the configuration that the environment names.
Prints one line of JSON: CPU seconds (user and system) of each part, and wall seconds of each step of the run.
"""

from __future__ import annotations

import json
import sys
import time


def work(job: str, integration: str) -> dict[str, float]:
    """CPU seconds by part, in the order in which they come."""
    times = {}
    began = time.process_time()

    def lap(name: str) -> None:
        nonlocal began
        now = time.process_time()
        times[name] = now - began
        began = now

    import dagster as dg

    lap("import dagster")
    from cloudsync_pipeline.definitions import assemble
    from cloudsync_pipeline.partitions import INTEGRATIONS

    lap("import ours")
    chosen = assemble(None).resolve_job_def(job)
    lap("definitions")
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(INTEGRATIONS, [integration])
        lap("instance")
        result = chosen.execute_in_process(instance=instance, partition_key=integration, raise_on_error=True)
        lap("run")
    for event in result.all_events:
        if event.is_step_success:
            times[f"of it {event.step_key}, wall"] = event.step_success_data.duration_ms / 1000
    if not result.success:
        raise SystemExit(f"{job} failed")
    return times


if __name__ == "__main__":
    print(json.dumps(work(*sys.argv[1:])))
