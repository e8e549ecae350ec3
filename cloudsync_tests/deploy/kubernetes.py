"""What deploy/kubernetes applies, as its own tests read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cloudsync_tests.house.root import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAY = FOLDER / "overlays" / "example"


def documents(folder: Path) -> list[dict[str, Any]]:
    """What the kustomization of a folder applies, its bases included."""
    found: list[dict[str, Any]] = []
    for entry in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]:
        path = (folder / entry).resolve()
        found += documents(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    return found


EVERYTHING = documents(OVERLAY)
WORKLOADS = [one for one in EVERYTHING if one["kind"] == "Deployment"]


def named(kind: str) -> dict[str, dict[str, Any]]:
    """Objects of a kind by name."""
    return {one["metadata"]["name"]: one for one in EVERYTHING if one["kind"] == kind}


def spec_of(workload: dict[str, Any]) -> dict[str, Any]:
    """Of its pods."""
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def instance(name: str = "dagster.yaml") -> dict[str, Any]:
    """A file of Dagster's folder."""
    text: dict[str, Any] = yaml.safe_load(named("ConfigMap")["dagster-instance"]["data"][name])
    return text


def sources(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and name of what a pod's volumes and environment are filled from."""
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
    for container in spec["containers"]:
        for source in container.get("envFrom", []):
            kind = "ConfigMap" if "configMapRef" in source else "Secret"
            yield kind, source[f"{kind[0].lower()}{kind[1:]}Ref"]["name"]
