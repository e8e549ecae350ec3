"""One tick of each schedule and of each sensor that looks at the whole fleet, in this process, with every integration
due. Prints seconds as JSON, the wall time and the CPU time of each.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.definitions import assemble, resources
from cloudsync_pipeline.partitions import INTEGRATIONS
from cloudsync_pipeline.schedules import incremental_schedule, maintenance_schedule, reconcile_schedule
from cloudsync_pipeline.sensors.new_integrations import new_integrations
from cloudsync_pipeline.sensors.overdue import overdue_integrations


def main() -> None:
    """See the module's docstring."""
    provided = resources(None)
    definitions = assemble(None)
    fleet = load_fleet()
    with wiring.open_control(fleet.settings) as control:
        due = [one.next_incremental_at for one in control.list() if one.next_incremental_at is not None]
    when = max([*due, datetime.now(UTC)]) + timedelta(seconds=1)
    told: dict[str, float] = {}
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(INTEGRATIONS, list(fleet.integrations))

        def of(kind: dg.ScheduleDefinition | dg.SensorDefinition) -> dict[str, Any]:
            return {name: one for name, one in provided.items() if name in kind.required_resource_keys}

        def schedule(one: dg.ScheduleDefinition) -> object:
            with dg.build_schedule_context(instance, when, resources=of(one)) as context:
                return one(context)

        def sensor(one: dg.SensorDefinition) -> object:
            with dg.build_sensor_context(instance, resources=of(one), definitions=definitions) as context:
                return one(context)

        # The first one imports what all of them use.
        sensor(new_integrations)
        _timed(told, "sensor of new integrations", lambda: sensor(new_integrations))
        _timed(told, "overdue sensor", lambda: sensor(overdue_integrations))
        _timed(told, "reconcile tick", lambda: schedule(reconcile_schedule))
        _timed(told, "maintenance tick", lambda: schedule(maintenance_schedule))
        _timed(told, "incremental tick", lambda: schedule(incremental_schedule))
    with wiring.open_control(fleet.settings) as control:
        told["rested"] = sum(one.last_checked_at == when for one in control.list())
    print(json.dumps(told))


def _timed(told: dict[str, float], name: str, tick: Callable[[], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    tick()
    told[name] = time.perf_counter() - wall
    told[f"{name}, CPU"] = time.process_time() - cpu


if __name__ == "__main__":
    main()
