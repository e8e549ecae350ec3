"""docker-compose.yml: every service is watched, unprivileged, and has no password that everybody knows."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cloudsync_pipeline.api.keys import hash_of
from cloudsync_pipeline.config import load_fleet
from cloudsync_tests.house.root import ROOT, pyproject, yaml_of

COMPOSE = yaml_of("docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CORE = sorted(name for name, service in SERVICES.items() if "profiles" not in service)
ONE_SHOT = {"sample-data"}
IN_THEIR_IMAGES = {"pg_isready", "rabbitmq-diagnostics", "wget", "weed"}
PROFILES = {"api", "devserver", "monitoring", "queue", "sample"}
SAMPLE = ROOT / "deploy" / "sample"
PARTS_OF_A_SERVICE = {
    "build", "cap_drop", "command", "depends_on", "entrypoint", "env_file", "environment", "healthcheck", "image",
    "hostname", "init", "ports", "profiles", "read_only", "restart", "secrets", "security_opt", "stop_grace_period",
    "tmpfs", "user", "volumes",
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


def test_the_rest_is_started_by_profiles_that_the_file_s_head_explains() -> None:
    head = (ROOT / "docker-compose.yml").read_text().partition("\nx-pipeline:")[0]
    assert {profile for service in SERVICES.values() for profile in service.get("profiles", [])} == PROFILES
    assert set(re.findall(r"^#   (\w+)  +\w", head, re.MULTILINE)) == PROFILES


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


@pytest.mark.parametrize("name", sorted({*CORE, "api", "consumer", "grafana", "prometheus", "rabbitmq"}))
def test_a_service_has_no_password_unless_it_is_given_one(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if key.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/") in SERVICES[name]["secrets"]
        elif re.search("PASSWORD|SECRET|TOKEN|KEY", key):
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
    # Options alone are for the program that the image starts by itself.
    programs = {word for word in (*started, *watched) if not word.startswith("-")}

    assert programs <= console_scripts() | IN_THEIR_IMAGES


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


@pytest.mark.parametrize(("name", "needs"), [("code", 30), ("api", 20), ("consumer", 25)])
def test_what_is_under_way_has_time_to_end_in_order(name: str, needs: int) -> None:
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > needs


@pytest.mark.parametrize("name", ["api", "consumer"])
def test_what_launches_runs_has_all_that_the_code_location_has(name: str) -> None:
    for part in ("environment", "env_file", "volumes"):
        assert SERVICES[name][part] == SERVICES["code"][part]


def test_no_port_of_this_host_is_taken_twice() -> None:
    ports = [
        re.sub(r"\$\{\w+:-(\d+)\}", r"\1", port).split(":")[1]
        for service in SERVICES.values()
        for port in service.get("ports", [])
    ]
    assert len(ports) == len(set(ports)) == 4


def test_every_secret_is_a_file_that_is_declared_used_and_in_the_sample() -> None:
    used = {
        one if isinstance(one, str) else one["source"]
        for service in SERVICES.values()
        for one in service.get("secrets", [])
    }
    assert used == set(COMPOSE["secrets"])
    for secret in COMPOSE["secrets"].values():
        file = secret["file"].removeprefix("${CLOUDSYNC_CONFIG_FOLDER}/")
        assert (SAMPLE / file).is_file()


def test_prometheus_scrapes_the_api_with_the_key_that_it_is_given() -> None:
    [job] = yaml_of("deploy", "monitoring", "prometheus.yml")["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    command, [key] = SERVICES["api"]["command"], SERVICES["prometheus"]["secrets"]
    assert target == f"api:{command[command.index('--port') + 1]}"
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{key['target']}"
    [known] = load_fleet(SAMPLE / "cloudsync.yaml", sample_environment()).settings.api.keys
    assert known.hash == hash_of((SAMPLE / "secrets/metrics-key").read_text())
    assert "read" in known.scopes


def test_grafana_asks_prometheus_and_finds_its_dashboards() -> None:
    provisioning = ROOT / "deploy/monitoring/grafana/provisioning"
    [source] = yaml_of(str(provisioning / "datasources/prometheus.yml"))["datasources"]
    [folder] = yaml_of(str(provisioning / "dashboards/cloudsync.yml"))["providers"]
    assert source["url"] == "http://prometheus:9090"
    mounts = {mount.split(":")[1]: mount.split(":")[0] for mount in SERVICES["grafana"]["volumes"]}
    assert list((ROOT / mounts[folder["options"]["path"]]).glob("*.json"))
    assert (ROOT / mounts["/etc/grafana/provisioning"]).samefile(provisioning)


def test_the_samples_consumer_knows_the_login_of_its_broker() -> None:
    queue = load_fleet(SAMPLE / "cloudsync.yaml", sample_environment()).settings.queue
    assert queue is not None
    url = urlsplit(queue.url.get_secret_value())
    login = dict(re.findall(r"^(\w+) = (\w+)$", (SAMPLE / "secrets/rabbitmq.conf").read_text(), re.MULTILINE))
    assert url.hostname in SERVICES
    assert (url.username, url.password) == (login["default_user"], login["default_pass"])


def test_the_consumer_s_probe_looks_at_the_file_that_it_touches() -> None:
    command = SERVICES["consumer"]["command"]
    assert command[command.index("--heartbeat") + 1] in SERVICES["consumer"]["healthcheck"]["test"][-1]


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
