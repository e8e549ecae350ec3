"""What is done to the company's file manager: the plan, its outcomes, and the report."""

# Dagster reads the annotations of what it decorates: they must not be strings (`from __future__ import annotations`).

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from cloudsync_pipeline.assets import lines, looks, metadata, previews
from cloudsync_pipeline.assets.common import AFTER_EACH_SYNC, GROUP, OWNERS
from cloudsync_pipeline.assets.observed import state_snapshot
from cloudsync_pipeline.assets.step import run_step
from cloudsync_pipeline.engine.results import Mode, SyncResult, Verdict
from cloudsync_pipeline.partitions import VERDICT_TAG, integrations
from cloudsync_pipeline.resources import RunOptions, SessionResource

if TYPE_CHECKING:
    from cloudsync_pipeline.engine.session import Session

_APPROVAL = "approval"
"""The step of a run in whose record an approval stands."""


@dg.asset(
    partitions_def=integrations,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"duckdb"},
    tags={"cloudsync/side": "file_manager"},
    deps=[state_snapshot],
    freshness_policy=AFTER_EACH_SYNC,
)
def state_diff(
    context: dg.AssetExecutionContext, session: SessionResource, options: RunOptions
) -> dg.MaterializeResult[None]:
    """The plan: every operation that would bring the company's files in step with the customer's objects.

    Made from what is owed and due. Renames are found before deletes are judged; deletes that the guard holds stand
    in the plan and are not sent. A dry run shows the same plan and stores none.
    """
    from cloudsync_pipeline.engine.plan import make_plan

    async def work(opened: "Session", _mode: Mode) -> dg.MaterializeResult[None]:
        _approve(context, opened, options)
        result = await make_plan(opened, run_id=context.run.run_id, dry_run=options.dry_run)
        context.log.info(lines.planned(result))
        if result.guard_reason is not None:
            context.log.warning(lines.held(result))
        return dg.MaterializeResult(
            metadata={**previews.table_of(opened.lake, "operations"), **metadata.plan_facts(result)},
            data_version=previews.version_of(opened.lake, "plans", "operations"),
        )

    return run_step(context, session, options, work)


@dg.asset(
    partitions_def=integrations,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"duckdb"},
    tags={"cloudsync/side": "file_manager"},
    deps=[state_diff],
    freshness_policy=AFTER_EACH_SYNC,
)
def executed_operations(
    context: dg.AssetExecutionContext, session: SessionResource, options: RunOptions
) -> dg.MaterializeResult[None]:
    """What became of each planned operation, and with it the files as the file manager confirmed them.

    An outcome is recorded only for what was acknowledged. A plan that no longer follows from the state is made anew
    first. In a dry run nothing is sent, and nothing changes here.
    """
    from cloudsync_pipeline.engine.execute import execute

    async def work(opened: "Session", _mode: Mode) -> dg.MaterializeResult[None]:
        facts: metadata.Metadata = {"dry_run": options.dry_run}
        if options.dry_run:
            context.log.info("Dry run: nothing is sent.")
        else:
            _approve(context, opened, options)
            result = await execute(opened, run_id=context.run.run_id)
            facts |= metadata.execution_facts(result)
            context.log.info(lines.executed(result))
            if result.failed:
                context.log.error(lines.not_done(result))
        return dg.MaterializeResult(
            metadata={**previews.table_of(opened.lake, "outcomes"), **facts},
            data_version=previews.version_of(opened.lake, "outcomes", "files"),
        )

    return run_step(context, session, options, work)


@dg.asset(
    partitions_def=integrations,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"duckdb"},
    tags={"cloudsync/side": "file_manager"},
    deps=[executed_operations],
    freshness_policy=AFTER_EACH_SYNC,
)
def sync_report(
    context: dg.AssetExecutionContext, session: SessionResource, options: RunOptions
) -> Iterator[dg.MaterializeResult[None]]:
    """How the sync went, as the file manager and the fleet's database were told.

    The verdict stands on the run as the tag `cloudsync/verdict`. The report is materialized in any case; when
    operations failed, the run fails after it, so that a list of runs shows no plain success.
    """
    from cloudsync_pipeline.engine.report import report
    from cloudsync_pipeline.engine.status import status

    async def work(opened: "Session", _mode: Mode) -> tuple[SyncResult, dg.MaterializeResult[None]]:
        result = (
            _dry(opened, context.run.run_id) if options.dry_run else await report(opened, run_id=context.run.run_id)
        )
        now = status(opened.lake, opened.integration)
        return result, dg.MaterializeResult(
            metadata={
                **previews.table_of(opened.lake, "runs"),
                **metadata.sync_facts(result, now),
                "quarantine": looks.quarantine(opened.lake).facts["examples"],
            },
            data_version=previews.version_of(opened.lake, "runs"),
        )

    result, materialized = run_step(context, session, options, work)
    context.instance.add_run_tags(context.run.run_id, {VERDICT_TAG: result.verdict.value})
    context.log.info("Verdict: %s", result.verdict.value)
    yield materialized
    raise_if_failed(result)


def _approve(context: dg.AssetExecutionContext, opened: "Session", options: RunOptions) -> None:
    """Approve what the run was started to approve, once, whichever assets it materializes."""
    from cloudsync_pipeline.engine import decisions
    from cloudsync_pipeline.lake import runs

    run_id, plan_id = context.run.run_id, options.approve_plan
    if not plan_id or options.dry_run or _APPROVAL in runs.steps(opened.lake, run_id):
        return
    by = context.run.tags.get("user") or f"Dagster run {run_id}"
    count = decisions.approve(opened.lake, run_id=run_id, plan_id=plan_id, by=by, now=opened.clock())
    runs.record_step(opened.lake, run_id, _APPROVAL, {"plan_id": plan_id, "deletes": count}, opened.clock())
    context.log.info("Approved %d deletes of plan %s", count, plan_id)


def _dry(opened: "Session", run_id: str) -> SyncResult:
    """A dry run is noted as one, and nobody is told."""
    from cloudsync_pipeline.engine.report import assemble
    from cloudsync_pipeline.lake import runs

    result = assemble(opened, run_id)
    runs.finish(opened.lake, run_id, verdict=result.verdict, error=None, results={}, now=opened.clock())
    return result


def raise_if_failed(result: SyncResult) -> None:
    """Fail the run of a sync that left something undone which it tried.

    Held deletes wait for a person, and quarantined paths for the customer: each has a check of its own, and
    a run that did all it could is not failed for them at every interval.

    Raises:
        Failure: the sync broke off, or operations failed.
    """
    failed = sum(result.execution.failed.values()) if result.execution else 0
    if result.verdict is not Verdict.FAILED and not failed:
        return
    what = result.error or f"{failed:,} operations failed and stay owed; the next sync tries them again."
    raise dg.Failure(
        description=f"{result.integration}: {what}",
        metadata={
            "integration": result.integration,
            "verdict": result.verdict.value,
            "failed_operations": failed,
            "remedy": "The failures stand in executed_operations, and all of them in the lake's outcomes.",
        },
        allow_retries=False,
    )
