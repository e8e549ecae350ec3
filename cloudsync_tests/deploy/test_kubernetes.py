"""deploy/kubernetes: valid by Kubernetes's own schemas, and whole: whatever is named is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from cloudsync_pipeline.config import load_fleet
from cloudsync_tests.deploy.kubernetes import EVERYTHING, FOLDER, OVERLAY, WORKLOADS, instance, named, sources, spec_of
from cloudsync_tests.house.root import yaml_of

OLDEST, NEWEST = "1.32", "1.37"
EACH = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one["metadata"]["name"])
SERVICES = yaml_of("docker-compose.yml")["services"]


def test_the_parts_of_a_deployment_are_there() -> None:
    assert {one["metadata"]["name"] for one in WORKLOADS} == {
        f"cloudsync-{name}" for name in ("code", "webserver", "daemon", "api", "consumer")
    }


def test_every_file_is_listed_by_a_kustomization() -> None:
    for folder in (FOLDER / "base", OVERLAY):
        there = {file.name for file in folder.iterdir()} - {"kustomization.yaml"}
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
        assert {entry for entry in listed if entry.endswith(".yaml")} == there


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("document", EVERYTHING, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_a_manifest_says_only_what_kubernetes_understands(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_a_word_that_kubernetes_does_not_know_would_be_found() -> None:
    [document] = [one for one in WORKLOADS if one["metadata"]["name"] == "cloudsync-code"]
    wrong = yaml.safe_load(yaml.safe_dump(document).replace("readOnlyRootFilesystem", "readOnlyRoot"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_nothing_stands_twice() -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in EVERYTHING]
    assert len(names) == len(set(names))


@EACH
def test_what_a_pod_is_filled_from_is_there(workload: dict[str, Any]) -> None:
    spec = spec_of(workload)
    found = list(sources(spec))
    assert ("ConfigMap", "dagster-instance") in found
    for kind, name in found:
        assert name in named(kind), f"{kind} {name}"
    for container in spec["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in spec["volumes"]}
    assert spec["serviceAccountName"] in named("ServiceAccount")


@EACH
def test_a_pod_has_no_rights_that_it_does_not_need(workload: dict[str, Any]) -> None:
    spec = spec_of(workload)
    assert spec["securityContext"]["runAsNonRoot"] is True
    user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    assert user == SERVICES["code"]["user"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@EACH
def test_it_does_what_the_same_service_of_compose_does(workload: dict[str, Any]) -> None:
    service = SERVICES[workload["metadata"]["name"].removeprefix("cloudsync-")]
    spec = spec_of(workload)
    [container] = spec["containers"]
    assert container["command"] == service["command"]
    grace = int(service.get("stop_grace_period", "10s").removesuffix("s"))
    assert spec["terminationGracePeriodSeconds"] >= grace
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if "exec" in container[probe]:
            assert container[probe]["exec"]["command"] == service["healthcheck"]["test"][1:]
    if "httpGet" in container["startupProbe"]:
        [port] = container["ports"]
        address = f"{port['containerPort']}{container['startupProbe']['httpGet']['path']}"
        assert address in service["healthcheck"]["test"][-1]


def test_ports_are_those_of_the_commands() -> None:
    for workload in WORKLOADS:
        [container] = spec_of(workload)["containers"]
        command = container["command"]
        told = [int(command[place + 1]) for place, word in enumerate(command) if word == "--port"]
        assert [port["containerPort"] for port in container.get("ports", [])] == told


def test_selectors_find_their_pods_and_ports_their_containers() -> None:
    pods = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in WORKLOADS}
    ports = {
        one["metadata"]["name"]: {port["name"] for port in spec_of(one)["containers"][0].get("ports", [])}
        for one in WORKLOADS
    }
    for workload in WORKLOADS:
        name = workload["metadata"]["name"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= pods[name].items()
    for service in named("Service").values():
        [name] = [one for one, labels in pods.items() if service["spec"]["selector"].items() <= labels.items()]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[name]
    closed = False
    for policy in named("NetworkPolicy").values():
        wanted = policy["spec"]["podSelector"]["matchLabels"].items()
        chosen = [one for one, labels in pods.items() if wanted <= labels.items()]
        assert chosen
        rules = policy["spec"].get("ingress", [])
        closed |= not rules and len(chosen) == len(WORKLOADS)
        for rule in rules:
            assert {port["port"] for port in rule["ports"]} <= ports[chosen[0]]
    assert closed, "no policy closes every pod"


def test_whoever_launches_may_reach_the_code_location() -> None:
    [location] = instance("workspace.yaml")["load_from"]
    service = named("Service")[location["grpc_server"]["host"]]
    assert location["grpc_server"]["port"] in {port["port"] for port in service["spec"]["ports"]}
    [rule] = named("NetworkPolicy")["cloudsync-code"]["spec"]["ingress"]
    [who] = [peer["podSelector"]["matchExpressions"][0]["values"] for peer in rule["from"]]
    assert set(who) == {one["metadata"]["name"] for one in WORKLOADS} - {"cloudsync-code"}


def test_pods_that_share_the_volume_are_on_one_node() -> None:
    code = named("Deployment")["cloudsync-code"]["spec"]["template"]["metadata"]["labels"]
    sharing = [one for one in WORKLOADS if ("PersistentVolumeClaim", "cloudsync-state") in sources(spec_of(one))]
    assert len(sharing) == 3
    for workload in sharing:
        if workload["metadata"]["name"] != "cloudsync-code":
            [near] = spec_of(workload)["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            assert near["labelSelector"]["matchLabels"].items() <= code.items()


def test_only_what_starts_and_ends_runs_has_a_token_of_kubernetes() -> None:
    accounts = named("ServiceAccount")
    assert accounts["cloudsync"]["automountServiceAccountToken"] is False
    launching = {one["metadata"]["name"] for one in WORKLOADS if spec_of(one)["serviceAccountName"] != "cloudsync"}
    assert launching == {"cloudsync-webserver", "cloudsync-daemon"}
    [subject] = named("RoleBinding")["cloudsync-launcher"]["subjects"]
    assert subject["name"] in accounts


def test_the_image_that_runs_are_started_from_is_that_of_the_pods() -> None:
    kustomization = yaml.safe_load((OVERLAY / "kustomization.yaml").read_text())
    [image] = kustomization["images"]
    [patch] = kustomization["patches"]
    [change] = yaml.safe_load(patch["patch"])
    assert change["value"] == f"{image['newName']}:{image['newTag']}"
    assert change["path"] == "/spec/template/spec/containers/0/env/0/value"
    for workload in WORKLOADS:
        [container] = spec_of(workload)["containers"]
        assert container["env"][0] == {"name": "CLOUDSYNC_IMAGE", "value": container["image"]}
        assert container["image"].split(":")[0] == image["name"]


def test_the_example_can_be_used_as_it_is(tmp_path: Path) -> None:
    maps, secrets = named("ConfigMap"), named("Secret")["cloudsync-secrets"]["stringData"]
    main = maps["cloudsync-config"]["data"]["cloudsync.yaml"]
    mounts = {
        mount["mountPath"] for mount in spec_of(named("Deployment")["cloudsync-code"])["containers"][0]["volumeMounts"]
    }
    assert set(re.findall(r": (/\S+)", main)) <= mounts
    # Only places are others here.
    for place, texts in (
        ("/etc/cloudsync-integrations", maps["cloudsync-integrations"]["data"]),
        ("/run/secrets/cloudsync", secrets),
    ):
        here = tmp_path / place.strip("/").replace("/", "-")
        here.mkdir()
        main = main.replace(place, str(here))
        for name, text in texts.items():
            (here / name).write_text(text)
    (tmp_path / "cloudsync.yaml").write_text(main)
    fleet = load_fleet(tmp_path / "cloudsync.yaml", {})
    assert fleet.errors == {}
    assert list(fleet.integrations) == ["photos"]
    assert fleet.settings.queue is not None
    assert fleet.settings.api.keys
