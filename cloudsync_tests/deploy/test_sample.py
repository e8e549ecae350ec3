"""The services of compose that the sample adds: its data, and the file manager."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cloudsync_tests.cli.builders import plain_environment
from cloudsync_tests.deploy.containers import SERVICES, Host
from cloudsync_tests.e2e.builders import Bucket
from cloudsync_tests.house.root import ROOT
from cloudsync_tests.servers import running_seaweedfs, unused_port


def test_the_samples_bucket_is_filled_and_filling_it_again_changes_nothing() -> None:
    program, script = SERVICES["sample-data"]["command"]
    assert program == "python"
    [identity] = json.loads((ROOT / "deploy/sample/s3.json").read_text())["identities"]
    [keys] = identity["credentials"]
    contents = []
    with running_seaweedfs() as storage:
        server = storage.rotate(keys["secretKey"], keys["accessKey"])
        for _ in range(2):
            subprocess.run(
                [sys.executable, str(ROOT / script.replace("/opt/sample", "deploy/sample"))],
                env={**plain_environment(), "SAMPLE_ENDPOINT": server.endpoint},
                check=True,
                timeout=300,
            )
            contents.append(Bucket(server, "sample", server.client()).contents())
    assert contents[0]
    assert contents[0] == contents[1]


def test_the_file_manager_is_watched_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    places = {"/var/lib/devserver": str(tmp_path), "0.0.0.0": "127.0.0.1", "8080": str(unused_port())}
    token = {"DEVSERVER_TOKEN": "a-token"}
    server = Host(tmp_path, places, token).start("devserver")
    try:
        server.wait()
        assert server.stop() in {0, 143, -15}
        assert not server.healthy()
    finally:
        server.kill()


def test_the_file_manager_does_not_start_without_a_token(tmp_path: Path) -> None:
    places = {"/var/lib/devserver": str(tmp_path), "0.0.0.0": "127.0.0.1", "8080": str(unused_port())}
    server = Host(tmp_path, places, {"DEVSERVER_TOKEN": ""}).start("devserver")
    try:
        assert server.process.wait(120) != 0
        assert "DEVSERVER_TOKEN" in server.log.read_text()
    finally:
        server.kill()
