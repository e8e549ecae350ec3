"""sync_cli.sh: what is typed on the host reaches the command in the containers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cloudsync_tests.house.root import ROOT, yaml_of

DOCKER = """#!/bin/sh
if [ "$*" = "compose version" ]; then exit ${NO_COMPOSE:-0}; fi
case "$*" in "compose ps"*) echo "$RUNNING"; exit 0;; esac
for word in "$@"; do printf '%s\\n' "$word"; done >"$RECORD"
exit 3
"""


def run(
    folder: Path, *arguments: str, docker: bool = True, **environment: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The script, with a docker that writes its arguments down and ends with 3."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("sh", "dirname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    if docker:
        (programs / "docker").write_text(DOCKER)
        (programs / "docker").chmod(0o755)
    record = folder / "record"
    done = subprocess.run(
        [str(ROOT / "sync_cli.sh"), *arguments],
        cwd=folder,
        env={"PATH": str(programs), "RECORD": str(record), "RUNNING": "", **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=30,
    )
    return done, record.read_text().splitlines() if record.exists() else []


def test_a_command_goes_into_the_running_code_location(tmp_path: Path) -> None:
    done, called = run(tmp_path, "files", "-i", "a b", "--json", RUNNING="0123abc")
    assert called == ["compose", "exec", "-T", "code", "cloudsync", "files", "-i", "a b", "--json"]
    assert done.returncode == 3


def test_where_it_is_not_running_a_container_is_made_for_it(tmp_path: Path) -> None:
    done, called = run(tmp_path, "status")
    assert called == ["compose", "run", "--rm", "--no-deps", "-T", "code", "cloudsync", "status"]
    assert done.returncode == 3


def test_without_docker_it_says_what_to_use_instead(tmp_path: Path) -> None:
    done, _ = run(tmp_path, "status", docker=False)
    assert done.returncode == 127
    assert "docker is not installed" in done.stderr
    assert ".venv/bin/cloudsync status" in done.stderr


def test_an_old_docker_is_told_apart(tmp_path: Path) -> None:
    done, called = run(tmp_path, "status", NO_COMPOSE="1")
    assert done.returncode == 127
    assert "Docker Compose 2" in done.stderr
    assert called == []


def test_both_scripts_name_a_service_that_there_is() -> None:
    assert "code" in yaml_of("docker-compose.yml")["services"]
    for script in ("sync_cli.sh", "sync_cli.ps1"):
        text = (ROOT / script).read_text()
        assert "code cloudsync" in text
        # What the tests above see of the one holds for the other, which no PowerShell runs here.
        for said in ("compose version", "Docker Compose 2", "exit 127", "ps --quiet --status running code", "-T"):
            assert said in text
        assert re.search(r"compose exec \S+ code cloudsync", text)
        assert re.search(r"compose run --rm --no-deps \S+ code cloudsync", text)
    assert os.access(ROOT / "sync_cli.sh", os.X_OK)


def test_shellcheck_finds_nothing() -> None:
    if shutil.which("shellcheck") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("shellcheck is not installed")
        pytest.skip("shellcheck is not installed")
    subprocess.run(["shellcheck", "sync_cli.sh", ".ci/run"], cwd=ROOT, check=True, timeout=60)
