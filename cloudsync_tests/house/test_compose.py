"""docker-compose.yml: every service is watched, unprivileged, and has no password that everybody knows."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from cloudsync_pipeline.config import load_fleet
from cloudsync_tests.house.root import ROOT, pyproject, yaml_of

COMPOSE = yaml_of("docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CORE = sorted(name for name, service in SERVICES.items() if "profiles" not in service)
ONE_SHOT = {"sample-data"}
IN_THEIR_IMAGES = {"pg_isready", "wget", "weed"}
PARTS_OF_A_SERVICE = {
    "build", "cap_drop", "command", "depends_on", "entrypoint", "env_file", "environment", "healthcheck", "image",
    "init", "ports", "profiles", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "user",
    "volumes",
}  # fmt: skip
EACH_SERVICE = pytest.mark.parametrize("name", sorted(SERVICES))


def texts(value: object) -> Iterator[str]:
    """Every piece of text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def console_scripts() -> set[str]:
    installed = {script.name for script in entry_points(group="console_scripts")}
    return installed | set(pyproject()["project"]["scripts"]) | {"python"}


def sample_environment() -> dict[str, str]:
    lines = (ROOT / "deploy/sample/sample.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_core_is_dagster_and_its_storage() -> None:
    assert CORE == ["code", "daemon", "postgres", "webserver"]


@EACH_SERVICE
def test_a_service_says_only_what_compose_understands(name: str) -> None:
    assert set(SERVICES[name]) <= PARTS_OF_A_SERVICE


@EACH_SERVICE
def test_a_service_that_stays_is_watched_and_one_that_ends_is_not_restarted(name: str) -> None:
    service = SERVICES[name]

    if name in ONE_SHOT:
        assert service["restart"] == "no"
        assert "ports" not in service
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
        assert {"interval", "timeout", "retries", "start_period", "start_interval"} == {"test"} ^ set(
            service["healthcheck"]
        )
        assert service["restart"] == "unless-stopped"


@EACH_SERVICE
def test_a_service_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    user, group = map(int, service["user"].split(":"))

    assert user > 0
    assert group > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", CORE)
def test_a_core_service_has_no_password_unless_it_is_given_one(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|SECRET|TOKEN|KEY", key):
            assert re.fullmatch(r"\$\{\w+:\?.+\}", value), f"{key} has a default"
    for text in texts(SERVICES[name]):
        assert not re.search(r"\$\{\w*(PASSWORD|SECRET|TOKEN|KEY)\w*(:?-[^}]*)?\}", text), f"{text} has a default"


@EACH_SERVICE
def test_a_port_is_open_to_this_host_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@EACH_SERVICE
def test_a_program_that_is_started_exists(name: str) -> None:
    service = SERVICES[name]
    started = [*service.get("entrypoint", []), *service.get("command", [])][:1]
    watched = service.get("healthcheck", {}).get("test", [])[1:2]

    assert {*started, *watched} <= console_scripts() | IN_THEIR_IMAGES


def test_the_code_location_that_is_served_exists() -> None:
    command = SERVICES["code"]["command"]
    module = command[command.index("--module-name") + 1]

    assert module == pyproject()["tool"]["dagster"]["module_name"]
    assert importlib.util.find_spec(module) is not None


def test_web_ui_and_daemon_find_the_code_location() -> None:
    (location,) = yaml_of("deploy", "dagster", "workspace.yaml")["load_from"]
    command = SERVICES["code"]["command"]

    assert location["grpc_server"]["host"] in SERVICES
    assert str(location["grpc_server"]["port"]) == command[command.index("--port") + 1]
    assert location["grpc_server"]["location_name"] == pyproject()["tool"]["dagster"]["code_location_name"]


def test_named_volumes_are_used_and_declared() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    named = {mount.split(":")[0] for mount in mounts if re.match(r"[a-z]", mount)}

    assert named == set(COMPOSE["volumes"])


def test_files_that_are_mounted_exist() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]

    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []


@EACH_SERVICE
def test_what_a_service_waits_for_is_there_and_started_with_it(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] == "service_healthy"
        assert set(SERVICES[other].get("profiles", [])) >= set(SERVICES[name].get("profiles", [])) or other in CORE


def test_a_sync_has_time_to_stop_in_order() -> None:
    assert int(SERVICES["code"]["stop_grace_period"].removesuffix("s")) > 30


def test_the_sample_sets_every_variable_that_must_be_set() -> None:
    required = {match for text in texts(SERVICES) for match in re.findall(r"\$\{(\w+):\?", text)}

    assert required <= set(sample_environment())


def test_the_sample_can_be_used_as_it_is() -> None:
    environment = sample_environment()

    fleet = load_fleet(ROOT / environment["CLOUDSYNC_CONFIG_FOLDER"] / "cloudsync.yaml", environment)

    assert fleet.errors == {}
    assert list(fleet.integrations) == ["sample"]


def test_the_samples_ends_are_services() -> None:
    sample = load_fleet(ROOT / "deploy/sample/cloudsync.yaml", sample_environment()).integration("sample")
    addresses = [sample.storage.model_dump()["endpoint"], sample.file_manager.model_dump()["url"]]

    for address in addresses:
        host, port = address.removeprefix("http://").split(":")
        assert any(port in text for text in texts(SERVICES[host]))


def test_the_samples_keys_are_those_of_its_storage() -> None:
    keys = json.loads((ROOT / "deploy/sample/s3.json").read_text())["identities"][0]["credentials"][0]
    environment = sample_environment()

    assert environment["SAMPLE_ACCESS_KEY"] == keys["accessKey"]
    assert environment["SAMPLE_SECRET_KEY"] == keys["secretKey"]


def test_the_file_manager_lets_nobody_in_without_the_token_that_it_is_given() -> None:
    service = SERVICES["devserver"]
    sample = load_fleet(ROOT / "deploy/sample/cloudsync.yaml", sample_environment()).integration("sample")
    token = sample.file_manager.model_dump()["auth"]["token"].get_secret_value()
    command = service["command"]

    assert "--open" not in command
    assert command[command.index("--bearer-env") + 1] == "DEVSERVER_TOKEN"
    # Empty where it is not given: the server then refuses to start.
    assert service["environment"]["DEVSERVER_TOKEN"] == "${DEVSERVER_TOKEN:-}"
    assert token == sample_environment()["DEVSERVER_TOKEN"]


def test_state_is_kept_in_a_volume() -> None:
    settings = load_fleet(ROOT / "deploy/sample/cloudsync.yaml", sample_environment()).settings

    assert settings.state_folder == Path("/var/lib/cloudsync")
    assert "state:/var/lib/cloudsync" in SERVICES["code"]["volumes"]
