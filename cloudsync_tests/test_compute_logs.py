"""What runs print can be kept in S3, as the shipped files `dagster.yaml` say in a comment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
import yaml

from cloudsync_tests.house.root import ROOT
from cloudsync_tests.servers import S3Server

SHIPPED = ("dagster.yaml", "deploy/dagster/dagster.yaml")


def variant(file: str) -> dict[str, Any]:
    """The section that is commented out."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    block = []
    for line in lines[lines.index("#compute_logs:") :]:
        if not line.startswith("#"):
            break
        block.append(line[1:])
    section: dict[str, Any] = yaml.safe_load("\n".join(block))
    return section


def test_both_instances_offer_the_same() -> None:
    one, other = map(variant, SHIPPED)
    assert one == other


@dg.op
def speaks() -> None:
    """Prints as programs do that a step starts, beside Python's own streams."""
    os.write(1, b"printed by a step\n")
    os.write(2, b"complained by a step\n")


@dg.job
def talk() -> None:
    """One step."""
    speaks()


def test_what_a_run_prints_is_kept_in_s3_and_shown_from_there(
    tmp_path: Path, seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bucket = seaweedfs.new_bucket()
    for name, value in {
        "COMPUTE_LOGS_BUCKET": bucket,
        "COMPUTE_LOGS_ENDPOINT": seaweedfs.endpoint,
        "AWS_REGION": seaweedfs.region,
        "AWS_ACCESS_KEY_ID": seaweedfs.access_key,
        "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_key,
    }.items():
        monkeypatch.setenv(name, value)
    # boto3's session of this process keeps the credentials that it found first, in another test.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with _instance(tmp_path / "run") as instance:
        # Dagster redirects the process's own streams, in place of which pytest has put others.
        with capfd.disabled():
            run = talk.execute_in_process(instance=instance)
        # Where an upload fails, an event says so, and the run succeeds all the same.
        assert not [e for e in run.all_events if e.is_engine_event and e.engine_event_data.error is not None]
        [logs] = [event.logs_captured_data for event in run.all_events if event.event_type_value == "LOGS_CAPTURED"]
    # Another machine, which has none of the files that were uploaded.
    with _instance(tmp_path / "web-ui") as web_ui:
        kept = web_ui.compute_log_manager.get_log_data([run.run_id, "compute_logs", logs.file_key])
        assert web_ui.compute_log_manager.is_capture_complete(kept.log_key)
    assert kept.stdout == b"printed by a step\n"
    assert b"complained by a step" in (kept.stderr or b"")
    beginning = f"compute-logs/storage/{run.run_id}/compute_logs/{logs.file_key}"
    listed = seaweedfs.client().list_objects_v2(Bucket=bucket, Prefix=beginning).get("Contents", ())
    assert {one["Key"] for one in listed} == {f"{beginning}.out", f"{beginning}.err"}


def _instance(folder: Path) -> dg.DagsterInstance:
    """With the section that is commented out, and files of its own."""
    shipped = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    kept_in_s3 = variant("dagster.yaml")
    kept_in_s3["compute_logs"]["config"]["local_dir"] = str(folder / "logs")
    folder.mkdir()
    (folder / "dagster.yaml").write_text(yaml.safe_dump(shipped | kept_in_s3))
    return dg.DagsterInstance.from_config(str(folder))
