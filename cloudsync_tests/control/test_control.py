"""The fleet's integrations: their state, results and due times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudsync_pipeline.control import Control, Counts, Integration, IntegrationState, RunResult, results
from cloudsync_pipeline.core.errors import ConfigError, Paused

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def a_result(verdict: str = "in_sync", mode: str = "incremental", at: datetime = NOON, **changes: Any) -> RunResult:
    values: dict[str, Any] = {
        "run_id": f"run-{at:%H%M%S}",
        "integration": "acme",
        "mode": mode,
        "verdict": verdict,
        "started_at": at - MINUTE,
        "finished_at": at,
        "results": {"operations": 3},
    }
    return RunResult(**{**values, **changes})


def a_synced_integration(control: Control, name: str = "acme", **next_times: Any) -> Integration:
    control.ensure(name, now=NOON)
    return control.record_result(a_result(mode="initial", integration=name), **next_times)


def names(found: Any) -> list[str]:
    return [integration.name for integration in found]


# --- which integrations there are ---------------------------------------------------------------


def test_a_new_integration_is_active_and_due_for_its_initial_sync_only(control: Control) -> None:
    added = control.ensure("acme", "fingerprint-1", now=NOON)
    assert (added.state, added.added_at, added.config_fingerprint) == (IntegrationState.ACTIVE, NOON, "fingerprint-1")
    assert names(control.due(NOON, "initial")) == ["acme"]
    assert names(control.due(NOON, "incremental")) == names(control.due(NOON, "reconcile")) == []


def test_ensuring_again_changes_nothing_but_the_fingerprint(control: Control) -> None:
    control.ensure("acme", "fingerprint-1", now=NOON)
    control.pause("acme", "holiday", now=NOON)
    again = control.ensure("acme", "fingerprint-2", now=NOON + HOUR)
    assert (again.state, again.reason, again.added_at) == (IntegrationState.PAUSED, "holiday", NOON)
    assert again.config_fingerprint == "fingerprint-2"
    assert control.ensure("acme").config_fingerprint == "fingerprint-2"


def test_integrations_are_listed_by_name_and_state(control: Control) -> None:
    for name in ("b", "c", "a"):
        control.ensure(name)
    control.pause("b", "holiday")
    control.remove("c", "left")
    assert names(control.list()) == ["a", "b", "c"]
    assert names(control.list(IntegrationState.PAUSED, IntegrationState.REMOVED)) == ["b", "c"]


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.get("nobody"),
        lambda c: c.require_active("nobody"),
        lambda c: c.pause("nobody", "x"),
        lambda c: c.resume("nobody"),
        lambda c: c.remove("nobody", "x"),
        lambda c: c.add_again("nobody"),
        lambda c: c.request_scan("nobody", "x"),
        lambda c: c.record_start("nobody", run_id="r", mode="initial", at=NOON),
        lambda c: c.record_result(a_result(integration="nobody")),
    ],
)
def test_an_unknown_integration_is_an_error_that_names_it(control: Control, call: Any) -> None:
    with pytest.raises(ConfigError, match="nobody: There is no such integration"):
        call(control)


# --- whether they may run -----------------------------------------------------------------------


def test_a_paused_integration_is_never_due_and_says_why_when_asked_to_run(control: Control) -> None:
    a_synced_integration(control)
    control.request_scan("acme", "gap")
    control.pause("acme", "migration of the bucket", now=NOON)
    assert all(control.due(NOON + 99 * HOUR, mode) == [] for mode in ("initial", "incremental", "reconcile"))
    with pytest.raises(Paused, match=r"acme: .*paused since 2026-03-01 12:00 UTC: migration of the bucket.*Resume"):
        control.require_active("acme")


def test_a_resumed_integration_is_due_at_once(control: Control) -> None:
    a_synced_integration(control, next_incremental_at=NOON + 9 * HOUR)
    control.pause("acme", "holiday", now=NOON)
    resumed = control.resume("acme", now=NOON + HOUR)
    assert (resumed.state, resumed.reason, resumed.state_changed_at) == (IntegrationState.ACTIVE, None, NOON + HOUR)
    assert names(control.due(NOON + HOUR, "incremental")) == ["acme"]
    assert control.require_active("acme") == resumed


def test_pausing_twice_keeps_the_first_time_and_the_last_reason(control: Control) -> None:
    control.ensure("acme")
    control.pause("acme", "one", now=NOON)
    again = control.pause("acme", "two", now=NOON + HOUR)
    assert (again.reason, again.state_changed_at) == ("two", NOON)


def test_resuming_an_active_integration_changes_nothing(control: Control) -> None:
    before = a_synced_integration(control, next_incremental_at=NOON + HOUR)
    assert control.resume("acme") == before


def test_a_removed_integration_stays_removed_until_it_is_added_again(control: Control) -> None:
    a_synced_integration(control)
    control.remove("acme", "contract ended", now=NOON)
    assert control.ensure("acme").state is IntegrationState.REMOVED
    with pytest.raises(Paused, match=r"removed.*Add it again"):
        control.pause("acme", "x")
    with pytest.raises(Paused, match=r"removed.*Add it again"):
        control.resume("acme")
    with pytest.raises(Paused, match=r"removed since .*: contract ended.*Add it again"):
        control.require_active("acme")


def test_an_integration_that_is_added_again_needs_an_initial_sync(control: Control) -> None:
    a_synced_integration(control)
    with pytest.raises(ConfigError, match="active, not removed"):
        control.add_again("acme")
    control.remove("acme", "contract ended")
    again = control.add_again("acme", now=NOON)
    assert (again.state, again.reason, again.initial_done) == (IntegrationState.ACTIVE, None, False)
    assert names(control.due(NOON, "initial")) == ["acme"]
    assert control.due(NOON, "incremental") == []


# --- how they fared -----------------------------------------------------------------------------


def test_a_run_reads_as_running_until_its_result_is_recorded(control: Control) -> None:
    control.ensure("acme")
    control.record_start("acme", run_id="run-1", mode="initial", at=NOON)
    running = control.get("acme")
    assert (running.last_run_id, running.last_verdict, running.last_finished_at) == ("run-1", "running", None)
    ended = control.record_result(a_result("partial", "initial", run_id="run-1"))
    assert (ended.last_verdict, ended.last_finished_at, ended.last_success_at) == ("partial", NOON, None)


def test_a_result_keeps_the_counts_and_an_interrupted_one_leaves_them(control: Control) -> None:
    control.ensure("acme")
    counts = Counts(owed=1, quarantined=2, held=3, objects=4, files=5, bytes=6_000_000_000)
    control.record_result(a_result("partial"), counts=counts)
    after = control.record_result(a_result("failed", at=NOON + HOUR))
    assert (after.owed, after.quarantined, after.held) == (1, 2, 3)
    assert (after.objects, after.files, after.bytes) == (4, 5, 6_000_000_000)


def test_only_a_run_that_leaves_nothing_owed_is_a_success(control: Control) -> None:
    control.ensure("acme")
    for hours, verdict in enumerate(("in_sync", "partial", "held", "failed", "planned")):
        control.record_result(a_result(verdict, at=NOON + hours * HOUR))
    assert control.get("acme").last_success_at == NOON


def test_results_come_newest_first_of_one_integration_or_all(control: Control) -> None:
    for hours, name in enumerate(("acme", "beta", "acme")):
        control.ensure(name)
        control.record_result(a_result(at=NOON + hours * HOUR, integration=name))
    assert [r.integration for r in control.results()] == ["acme", "beta", "acme"]
    (newest, older) = control.results("acme")
    assert newest == a_result(at=NOON + 2 * HOUR)
    assert older.finished_at == NOON
    assert len(control.results(limit=1)) == 1


def test_recording_a_run_again_replaces_its_result(control: Control) -> None:
    control.ensure("acme")
    control.record_result(a_result("failed", run_id="run-1"))
    control.record_result(a_result("in_sync", run_id="run-1"))
    assert [r.verdict for r in control.results("acme")] == ["in_sync"]


def test_the_history_of_each_integration_is_bounded(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "KEPT", 3)
    for name in ("acme", "beta"):
        control.ensure(name)
        for hours in range(5):
            control.record_result(a_result(at=NOON + hours * HOUR, integration=name))
    assert [r.finished_at for r in control.results("acme")] == [NOON + h * HOUR for h in (4, 3, 2)]
    assert len(control.results(limit=99)) == 6


# --- initial syncs ------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["in_sync", "partial", "held"])
def test_a_full_sync_that_ran_through_ends_the_need_for_an_initial_one(control: Control, verdict: str) -> None:
    control.ensure("acme")
    done = control.record_result(a_result(verdict, "initial"))
    assert done.initial_done
    assert control.due(NOON, "initial") == []
    assert names(control.due(NOON, "incremental")) == ["acme"]


def test_neither_a_dry_run_nor_an_incremental_sync_counts_as_initial(control: Control) -> None:
    control.ensure("acme")
    control.record_result(a_result("planned", "initial"))
    after = control.record_result(a_result("in_sync", "incremental", at=NOON + HOUR))
    assert (after.initial_done, after.initial_attempts) == (False, 0)


def test_a_failed_initial_sync_is_tried_again_at_growing_intervals(control: Control) -> None:
    control.ensure("acme")
    waits = []
    for attempt in range(1, 10):
        after = control.record_result(a_result("failed", "initial", at=NOON + attempt * MINUTE))
        assert after.initial_attempts == attempt
        assert after.initial_next_try is not None
        waits.append(after.initial_next_try - NOON - attempt * MINUTE)
    assert waits[:3] == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE]
    assert waits[-1] == 6 * HOUR
    due_at = NOON + 9 * MINUTE + 6 * HOUR
    assert control.due(due_at - timedelta(seconds=1), "initial") == []
    assert names(control.due(due_at, "initial")) == ["acme"]


def test_a_later_failure_does_not_undo_the_initial_sync(control: Control) -> None:
    a_synced_integration(control)
    after = control.record_result(a_result("failed", "reconcile", at=NOON + HOUR))
    assert (after.initial_done, after.initial_attempts) == (True, 0)


# --- due times ----------------------------------------------------------------------------------


def test_an_integration_is_due_from_its_time_on(control: Control) -> None:
    a_synced_integration(control, next_incremental_at=NOON + 5 * MINUTE, next_scan_at=NOON + 24 * HOUR)
    assert control.due(NOON + 5 * MINUTE - timedelta(microseconds=1), "incremental") == []
    assert names(control.due(NOON + 5 * MINUTE, "incremental")) == ["acme"]
    assert control.due(NOON + 23 * HOUR, "reconcile") == []
    assert names(control.due(NOON + 24 * HOUR, "reconcile")) == ["acme"]


def test_those_that_wait_longest_come_first(control: Control) -> None:
    for name, minutes in (("a", 3), ("b", 1), ("c", 2)):
        a_synced_integration(control, name, next_incremental_at=NOON + minutes * MINUTE)
    a_synced_integration(control, "never")
    assert names(control.due(NOON + HOUR, "incremental")) == ["never", "b", "c", "a"]


def test_a_result_without_times_leaves_those_that_were_set(control: Control) -> None:
    a_synced_integration(control, next_incremental_at=NOON + HOUR)
    after = control.record_result(a_result("failed", at=NOON + MINUTE))
    assert after.next_incremental_at == NOON + HOUR


def test_a_requested_scan_is_due_until_one_that_began_later_is_merged(control: Control) -> None:
    a_synced_integration(control, next_scan_at=NOON + 99 * HOUR)
    control.request_scan("acme", "a full page of unknown events", now=NOON + HOUR)
    assert names(control.due(NOON + HOUR, "reconcile")) == ["acme"]
    early = a_result(mode="reconcile", at=NOON + 2 * HOUR)
    still = control.record_result(early, scan_started_at=NOON + HOUR - MINUTE)
    assert (still.scan_requested, still.scan_reason) == (True, "a full page of unknown events")
    assert still.last_scan_at == NOON + 2 * HOUR
    done = control.record_result(a_result(mode="reconcile", at=NOON + 3 * HOUR), scan_started_at=NOON + HOUR + MINUTE)
    assert (done.scan_requested, done.scan_requested_at, done.scan_reason) == (False, None, None)
    assert control.due(NOON + 3 * HOUR, "reconcile") == []


def test_what_is_put_off_is_due_for_nothing_until_the_later_of_two_times_and_a_day_at_most(control: Control) -> None:
    a_synced_integration(control)
    control.request_scan("acme", "a person wants it", now=NOON)
    control.put_off("acme", 7200.0, now=NOON)
    control.put_off("acme", 60.0, now=NOON)
    assert [control.due(NOON + HOUR, mode) for mode in ("initial", "incremental", "reconcile")] == [[], [], []]
    assert names(control.due(NOON + 2 * HOUR, "incremental")) == ["acme"]
    assert names(control.due(NOON + 2 * HOUR, "reconcile")) == ["acme"]
    control.put_off("acme", 1e18, now=NOON)
    assert control.due(NOON + 23 * HOUR, "incremental") == []
    assert names(control.due(NOON + 24 * HOUR, "incremental")) == ["acme"]
    control.put_off("nobody", 60.0, now=NOON)


def test_an_unknown_mode_is_a_mistake_of_the_caller(control: Control) -> None:
    with pytest.raises(ValueError, match="'hourly' is no mode"):
        control.due(NOON, "hourly")


# --- signs of life ------------------------------------------------------------------------------


def test_the_last_heartbeat_of_each_integration_is_kept(control: Control) -> None:
    control.heartbeats.beat("acme", run_id="run-1", holder="pid 1 on host", at=NOON)
    control.heartbeats.beat("acme", run_id="run-1", holder="pid 1 on host", at=NOON + MINUTE)
    control.heartbeats.beat("beta", run_id="run-2", holder="pid 2 on host", at=NOON)
    assert [(one.integration, one.at) for one in control.heartbeats.all()] == [
        ("beta", NOON),
        ("acme", NOON + MINUTE),
    ]


def test_runs_that_fell_silent_are_told_from_those_that_ended(control: Control) -> None:
    control.heartbeats.beat("acme", run_id="run-1", holder="h", at=NOON)
    control.heartbeats.beat("beta", run_id="run-2", holder="h", at=NOON)
    control.heartbeats.end("beta", run_id="run-2")
    control.heartbeats.beat("gamma", run_id="run-3", holder="h", at=NOON + HOUR)
    assert [beat.run_id for beat in control.heartbeats.all(before=NOON + MINUTE)] == ["run-1"]


def test_a_run_that_was_taken_over_does_not_end_its_successors_heartbeat(control: Control) -> None:
    control.heartbeats.beat("acme", run_id="run-1", holder="h", at=NOON)
    control.heartbeats.beat("acme", run_id="run-2", holder="h", at=NOON + MINUTE)
    control.heartbeats.end("acme", run_id="run-1")
    assert [beat.run_id for beat in control.heartbeats.all()] == ["run-2"]
