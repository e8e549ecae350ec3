"""The Makefile, and who calls it: what people run is what CI runs."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from cloudsync_pipeline.config import load_fleet
from cloudsync_tests.house.root import ROOT, make_targets, yaml_of


def make(*arguments: str) -> str:
    """What make prints, without an environment that would change it."""
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    done = subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def commands_of(target: str) -> list[str]:
    return make("--dry-run", "--always-make", target).splitlines()


def test_make_alone_shows_every_target() -> None:
    listed = {line.split()[1] for line in make().splitlines()}

    assert listed == make_targets()


def test_every_target_says_what_it_is_for() -> None:
    for line in make("help").splitlines():
        assert re.fullmatch(r"  make [\w-]+ +\S.+", line)


@pytest.mark.parametrize("target", ["demo", "dev"])
def test_the_command_of_that_name_is_run(target: str) -> None:
    assert commands_of(target)[-1] == f".venv/bin/cloudsync {target}"


@pytest.mark.parametrize("target", ["status", "initial-sync", "incremental-sync"])
def test_a_command_for_the_containers_goes_through_the_script(target: str) -> None:
    assert commands_of(target) == [f"./sync_cli.sh {target} "]
    assert make("--dry-run", target, "INTEGRATION=photos").strip() == f"./sync_cli.sh {target} --integration photos"


def test_logs_and_shell_are_those_of_services_that_there_are() -> None:
    services = yaml_of("docker-compose.yml")["services"]
    [logs], [shell] = commands_of("logs-sync"), commands_of("shell")

    assert logs.startswith("docker compose logs --follow")
    assert {"code", "daemon"} <= set(logs.split()) & set(services)
    assert shell == "docker compose exec code sh"


@pytest.mark.parametrize("fails", ["", "incremental-sync"])
def test_the_workflow_of_the_sample_syncs_compares_and_always_cleans_up(tmp_path: Path, fails: str) -> None:
    assert commands_of("test-workflow") == ["deploy/sample/workflow.sh"]
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$*"\ncase "$*" in *"{fails or "nothing"}"*) exit 3;; esac\n')
    docker.chmod(0o755)
    done = subprocess.run(
        [ROOT / "deploy/sample/workflow.sh"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    every = [line.partition("--profile sample ")[2] for line in done.stdout.splitlines() if "compose" in line]
    services = yaml_of("docker-compose.yml")["services"]

    assert done.returncode == (3 if fails else 0)
    assert every[-1].startswith("down --volumes")
    assert set(every[0].split()) & set(services) == {"storage", "devserver", "code"}
    assert any("sample-data" in one for one in every)
    assert [one.split()[4] for one in every if one.startswith("exec")][:2] == ["initial-sync", "incremental-sync"]
    assert fails or any(" verify " in one for one in every)


def test_setup_makes_a_configuration_that_can_be_used() -> None:
    assert "deploy/setup/cloudsync.yaml" in "".join(commands_of("setup"))

    assert load_fleet(ROOT / "deploy/setup/cloudsync.yaml", {}).settings.database.backup_enabled


def test_tests_are_run_by_pytest_and_its_summary_comes_last() -> None:
    assert commands_of("test")[-1].startswith(".venv/bin/python -m pytest ")


def test_a_check_is_of_style_types_and_layers() -> None:
    run = " ; ".join(commands_of("check"))

    for tool in ("ruff check .", "ruff format --check .", "mypy", "lint-imports"):
        assert tool in run


def test_the_environment_is_installed_from_the_lock_with_hashes() -> None:
    run = "\n".join(commands_of("test"))

    assert re.search(r"--require-hashes --only-binary :all: --no-deps --requirement requirements/test\.lock", run)


def test_the_state_folder_is_never_cleaned() -> None:
    assert not re.search(r"\bstate\b", "\n".join(commands_of("clean")))


def test_ci_runs_what_people_run() -> None:
    script = (ROOT / ".ci/run").read_text()

    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "set -euo pipefail" in script
    assert script.splitlines()[-2:] == ["make check", "make test"]


def test_the_ci_script_is_valid() -> None:
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True, timeout=30)


def test_the_workflow_calls_targets_that_exist() -> None:
    jobs = yaml_of(".github", "workflows", "ci.yml")["jobs"]
    runs = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    # This installs what the tests take beside Python's packages, and calls make then.
    assert ".ci/run" in runs
    runs.append((ROOT / ".ci" / "run").read_text())
    called = {target for run in runs for target in re.findall(r"^make (\w+)", run, re.MULTILINE)}

    assert called == {"check", "test"}
    assert called <= make_targets()


def test_the_workflow_tests_every_python_that_is_supported() -> None:
    matrix = yaml_of(".github", "workflows", "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    requires = re.search(r'requires-python = "([^"]+)"', Path(ROOT / "pyproject.toml").read_text())

    assert requires is not None
    assert requires[1] == ">=3.11,<3.14"
    assert matrix == ["3.11", "3.12", "3.13"]
