"""What `dev` runs: Dagster's queue, sensors and schedules, over real servers, until it is stopped."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.demo.ports import free_ports
from cloudsync_tests.cli.builders import COMMAND, plain_environment
from cloudsync_tests.demo.processes import started


@pytest.mark.timeout(500)
def test_a_third_integration_is_found_and_synced_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    [port] = free_ports(1)
    arguments = ("dev", "--folder", str(folder), "--port", str(port))
    with started(*arguments, output=tmp_path / "out", environment={"TMPDIR": str(tmp_path)}) as dev:
        dev.until(lambda: "Ctrl-C ends everything." in dev.text(), 200)
        ui = re.search(r"Dagster web UI +(\S+)", dev.text())
        assert ui is not None
        with urllib.request.urlopen(ui[1], timeout=30) as page:
            assert page.status == 200
        secret = json.loads((folder / "storage" / "s3.json").read_text())
        assert secret["identities"][0]["credentials"][0]["secretKey"] not in dev.text()

        integrations = folder / "config" / "integrations"
        (integrations / "third.yaml").write_text(
            f"storage: {{bucket: third}}\nfile_manager: {{type: local, path: {folder / 'files'}}}\n"
        )
        dev.until(lambda: status(folder).get("third") == "in_sync", 200)
        assert len([one for one in (folder / "files" / "third").rglob("*") if one.is_file()]) == 20

        # The command's own syncs are runs in the same queue.
        ran = command(folder, "reconcile", "-i", "third", "--json")
        document = json.loads(ran.stdout)
        assert (ran.returncode, document["via"]) == (0, "dagster"), ran.stderr
        assert document["integrations"][0]["result"]["verdict"] == "in_sync"

        # And whoever starts syncs as the schedules do is refused.
        refused = command(folder, "daemon")
        assert refused.returncode == 5
        assert "schedules are active" in refused.stderr

        dev.process.send_signal(signal.SIGTERM)
        assert dev.process.wait(60) == 143, dev.text()
        assert dev.descendants() == []
    assert "Traceback" not in dev.text()


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The `cloudsync` command as somebody in another terminal runs it."""
    there = {"CLOUDSYNC_CONFIG": str(folder / "config" / "cloudsync.yaml"), "DAGSTER_HOME": str(folder / "dagster")}
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**plain_environment(), **there},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def status(folder: Path) -> dict[str, Any]:
    """The last verdict of each integration."""
    document = json.loads(command(folder, "status", "--json").stdout)
    return {one["integration"]: (one["last_run"] or {}).get("verdict") for one in document["integrations"]}
