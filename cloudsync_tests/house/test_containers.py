"""deploy/: the image and the Dagster instance in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy
from dagster._core.instance.config import dagster_instance_config
from dagster_postgres.utils import pg_url_from_config

from cloudsync_tests.house.root import ROOT, yaml_of

DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
STAGES = DOCKERFILE.split("\nFROM ")[1:]
ONLY_IN_CONTAINERS = {"storage", "compute_logs", "local_artifact_storage"}


def instance_of(folder: Path, source: Path) -> dict[str, object]:
    """What Dagster makes of a dagster.yaml; it raises where that is none."""
    (folder / "dagster.yaml").write_text(source.read_text())
    config, _ = dagster_instance_config(str(folder))
    return dict(config)


def test_the_image_takes_nothing_that_no_hash_vouches_for() -> None:
    installs = [line for line in DOCKERFILE.replace("\\\n", "").splitlines() if "pip install" in line]

    assert len(installs) == 2
    for line in installs:
        assert "--require-hashes --only-binary :all:" in line or "--no-index" in line


def test_the_image_is_built_without_a_compiler() -> None:
    assert not re.search(r"apt-get|gcc|build-essential|curl|wget", DOCKERFILE)


def test_the_final_stage_runs_as_nobody_in_particular() -> None:
    users = re.findall(r"^USER (\S+)$", STAGES[-1], re.MULTILINE)

    assert users == ["10001:10001"]
    assert yaml_of("docker-compose.yml")["services"]["code"]["user"] == users[0]


def test_the_final_stage_holds_no_lock_no_source_and_no_build_tool() -> None:
    copied = re.findall(r"^COPY (.+)$", STAGES[-1], re.MULTILINE)

    assert copied == ["--from=build /opt/cloudsync /opt/cloudsync", "deploy/dagster /opt/dagster"]
    assert "uninstall --yes --quiet hatchling editables pip" in STAGES[0]


@pytest.mark.parametrize(
    "source", ["requirements", "pyproject.toml", "README.md", "cloudsync_pipeline", "deploy/dagster"]
)
def test_what_the_image_copies_is_sent_to_the_builder(source: str) -> None:
    assert re.search(rf"^COPY .*{re.escape(source)}", DOCKERFILE, re.MULTILINE)
    assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_new_volumes_belong_to_the_user_of_the_image() -> None:
    services = yaml_of("docker-compose.yml")["services"]
    ours = [service for service in services.values() if "build" in service]
    mounted = {mount.split(":")[1] for service in ours for mount in service.get("volumes", []) if mount[0].isalpha()}
    (made,) = re.findall(r"install --directory --owner=10001 --group=10001 (.+)", STAGES[-1])

    assert mounted == set(made.split())


def test_the_containers_instance_is_the_local_one_on_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOST", "USER", "PASSWORD_FILE", "DB"):
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", "x")
    (tmp_path / "local").mkdir()
    (tmp_path / "containers").mkdir()

    local = instance_of(tmp_path / "local", ROOT / "dagster.yaml")
    containers = instance_of(tmp_path / "containers", ROOT / "deploy/dagster/dagster.yaml")

    assert "Postgres" in str(containers["storage"])
    assert {key: value for key, value in containers.items() if key not in ONLY_IN_CONTAINERS} == {
        key: value for key, value in local.items() if key not in ONLY_IN_CONTAINERS
    }


def test_the_containers_instance_uses_a_driver_that_is_installed() -> None:
    database = yaml_of("deploy", "dagster", "dagster.yaml")["storage"]["custom"]["config"]["postgres_db"]
    known = {name: "x" for name, value in database.items() if isinstance(value, dict)}

    url = pg_url_from_config({"postgres_db": {**database, **known}})

    assert sqlalchemy.create_engine(url).driver == "psycopg2"
    assert any(
        line.startswith("psycopg2-binary==") for line in (ROOT / "requirements/cluster.lock").read_text().split("\n")
    )


def test_the_containers_instance_names_no_password() -> None:
    storage = yaml_of("deploy", "dagster", "dagster.yaml")["storage"]["custom"]["config"]
    services = yaml_of("docker-compose.yml")["services"]

    assert "password" not in storage["postgres_db"]
    for name in ("code", "webserver", "daemon", "api", "consumer"):
        file = services[name]["environment"][storage["password_file"]["env"]]
        assert file.removeprefix("/run/secrets/") in services[name]["secrets"]
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"] == file
