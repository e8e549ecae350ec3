"""Running it: the command, its one line, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from cloudsync_pipeline.devserver import DevServer, launch, running
from cloudsync_pipeline.devserver.__main__ import main
from cloudsync_tests.devserver.client import begin_upload, eventually, save, unfinished


def command(*arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cloudsync_pipeline.devserver", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=Path(__file__).resolve().parents[2],
    )


def test_it_prints_its_url_once_it_accepts_connections_and_ends_cleanly(tmp_path: Path) -> None:
    with command("--root", str(tmp_path / "new" / "root")) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        with urllib.request.urlopen(url + "/", timeout=10) as answer:
            assert answer.status == 200
        process.terminate()
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_it_ends_when_asked_when_its_standard_input_does(tmp_path: Path) -> None:
    with command("--root", str(tmp_path), "--until-stdin-closes") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--root"),
        (["--root", "x", "--bearer-env", "MISSING_VARIABLE"], "MISSING_VARIABLE is missing"),
        (["--root", "x", "--header", "X-Key"], "--header and --header-env go together"),
        (["--root", "x", "--tls-cert", "x.pem"], "--tls-cert and --tls-key go together"),
        (["--root", "x", "--client-ca", "x.pem"], "--client-ca needs"),
        (["--root", "x", "--basic-env", "PAIR"], "PAIR does not read user:password"),
    ],
)
def test_wrong_arguments_are_explained(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIR", "hunter2")
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    errors = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in errors
    assert "hunter2" not in errors


def test_a_port_in_use_is_said(server: DevServer, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="already in use"):
        launch(tmp_path, port=server.settings.port)


def test_stop_ends_cleanly_and_can_be_repeated(tmp_path: Path) -> None:
    server = launch(tmp_path)
    assert server.stop() == 0
    assert server.stop() == 0
    assert server.log() == ""


def test_stop_does_not_wait_for_idle_connections_or_endless_uploads(tmp_path: Path) -> None:
    server = launch(tmp_path, shutdown_seconds=1)
    with begin_upload(server, "half", 4_000_000, b"x" * 2_000_000):
        eventually(lambda: unfinished(server) == 1)
        server.stop()
    assert unfinished(server) == 0


def test_a_restart_keeps_address_and_settings(tmp_path: Path) -> None:
    with running(tmp_path, bearer="s3cret", owner="ann") as server:
        url, pid = server.url, server.pid
        server.restart()
        assert server.url == url
        assert server.pid != pid
        assert save(server, "get", "a").status == 401
