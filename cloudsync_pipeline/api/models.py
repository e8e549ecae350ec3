"""What requests and answers look like. Times are UTC, sizes bytes, paths escaped as the lake has them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from cloudsync_pipeline.lake.pages import FileState, OperationStatus

Name = Annotated[
    str, Path(alias="id", description="The integration's name.", pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=63)
]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
Cursor = Annotated[str | None, Query(max_length=8192, description="`next_cursor` of the page before.")]
Prefix = Annotated[str, Query(max_length=4096, description="Only paths that begin with it.")]


class Asked(BaseModel):
    """A request's body: what is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class SyncRequest(Asked):
    """Which integration to sync."""

    integration: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=63)


class Accepted(BaseModel):
    """A run that Dagster took; `new` is false where one of the same job waited already."""

    run_id: str
    integration: str
    job: str
    new: bool


class LastRun(BaseModel):
    """How the newest run fared; `verdict` is "running" while it runs."""

    run_id: str
    mode: str | None
    verdict: str | None
    started_at: datetime | None
    finished_at: datetime | None


class Counts(BaseModel):
    """What is held and owed, at the end of the last run."""

    objects: int
    files: int
    bytes: int
    owed: int
    quarantined: int
    held: int


class IntegrationLine(BaseModel):
    """One integration of the fleet.

    `state` is "new" for one that has not been seen by any run yet, and "broken" for one whose configuration cannot be
    used; `overdue_since` is when a sync should have been completed, where none was.
    """

    id: str
    state: Literal["active", "paused", "removed", "new", "broken"]
    reason: str | None
    last_run: LastRun | None
    last_success_at: datetime | None
    last_scan_at: datetime | None
    next_incremental_at: datetime | None
    next_scan_at: datetime | None
    overdue_since: datetime | None
    counts: Counts


class Ends(BaseModel):
    """What an integration connects, without any credentials."""

    storage: str
    file_manager: str
    feed: str | None
    destination_prefix: str
    interval: float
    owner: str | None
    tags: dict[str, str]


class IntegrationDetails(IntegrationLine):
    """One integration, with what it connects and its newest runs."""

    configured: Ends | None
    waiting_events: int
    recent_runs: list[LastRun]


class Integrations(BaseModel):
    """A page of the fleet."""

    integrations: list[IntegrationLine]
    next_cursor: str | None


class Running(BaseModel):
    """A run that holds an integration, and its last sign of life."""

    integration: str
    run_id: str
    at: datetime


class SyncStatus(BaseModel):
    """How the fleet stands; the integrations that need a person are named, at most 100 of each kind."""

    integrations: dict[str, int] = Field(description="how many, by state")
    verdicts: dict[str, int] = Field(description="how many, by the verdict of their last run")
    running: list[Running]
    overdue: list[str]
    failed: list[str]
    held: list[str]
    counts: Counts
    waiting_events: int


class FileEntry(BaseModel):
    """A path: what the file manager holds there, and whether it is in step with the storage."""

    path: str
    present: bool
    state: FileState
    size: int | None
    internal_id: str | None
    permissions: str | None
    owner: str | None
    group: str | None
    content_type: str | None
    confirmed_at: datetime | None
    reason: str | None
    error: str | None


class Files(BaseModel):
    """A page of files, all of one snapshot."""

    integration: str
    snapshot_id: int
    files: list[FileEntry]
    next_cursor: str | None


class OperationEntry(BaseModel):
    """An operation of a plan, and what became of it."""

    op_id: str
    plan_id: str
    run_id: str
    seq: int
    planned_at: datetime
    kind: str
    path: str
    new_path: str | None
    size: int | None
    status: OperationStatus
    ended_at: datetime | None
    bytes: int | None
    seconds: float | None
    attempts: int | None
    error: str | None
    error_kind: str | None


class Operations(BaseModel):
    """A page of operations, of the newest plan first."""

    integration: str
    operations: list[OperationEntry]
    next_cursor: str | None


class QuarantineEntry(BaseModel):
    """A path that is not tried for now; without `next_try`, only a person makes it due again."""

    path: str
    aspect: str
    error: str
    error_kind: str
    attempts: int
    since: datetime
    quarantined_at: datetime
    next_try: datetime | None


class Quarantine(BaseModel):
    """A page of quarantined paths."""

    integration: str
    quarantine: list[QuarantineEntry]
    next_cursor: str | None


class HeldDelete(BaseModel):
    """A delete that waits for somebody's word."""

    path: str
    size: int | None
    reason: str


class HeldPlan(BaseModel):
    """The deletes that a plan holds; `plan_id` is null where none does."""

    integration: str
    plan_id: str | None
    held: int
    deletes: list[HeldDelete]
    next_cursor: str | None


class Decision(Asked):
    """Which plan is meant: the one that was looked at, whatever was planned since."""

    plan_id: str = Field(min_length=1, max_length=200)


class Decided(BaseModel):
    """How many deletes it was about; the next sync acts on it."""

    integration: str
    plan_id: str
    approved: int | None = None
    rejected: int | None = None


class Stored(BaseModel):
    """The notification is kept; 0 where the same one waits already."""

    integration: str
    stored: int


class RunDetails(BaseModel):
    """A run, as far as it has come.

    `status` is Dagster's word in small letters ("queued", "started", "success", ...), or "running" and "finished"
    where Dagster does not know the run. `results` is what it reported.
    """

    run_id: str
    integration: str | None
    mode: str | None
    status: str
    verdict: str | None
    started_at: datetime | None
    finished_at: datetime | None
    results: dict[str, Any] | None


class Component(BaseModel):
    """One thing that was asked for its health; "unknown" where it has not answered in time."""

    name: str
    status: Literal["ok", "failed", "unknown"]
    detail: str
    remedy: str | None
    checked_at: datetime | None


class IntegrationHealth(BaseModel):
    """The ends of one integration."""

    id: str
    status: Literal["ok", "failed", "unknown"]
    components: list[Component]


class Health(BaseModel):
    """The whole: "failed" where the fleet's own components fail, "degraded" where an integration does."""

    status: Literal["ok", "degraded", "failed"]
    components: list[Component]
    integrations: list[IntegrationHealth]


class Ready(BaseModel):
    """Whether this process can answer."""

    ready: bool


class Live(BaseModel):
    """This process answers."""

    live: Literal[True] = True
