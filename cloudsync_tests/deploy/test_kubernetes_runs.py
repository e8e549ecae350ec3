"""A run in Kubernetes: the job that Dagster's launcher sends for it, and what its container then does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from dagster._config import process_config
from dagster._core.code_pointer import CodePointer
from dagster._core.instance.config import dagster_instance_config
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster_k8s import K8sRunLauncher

from cloudsync_pipeline.definitions import assemble
from cloudsync_tests.cli.builders import Place, a_place, plain_environment
from cloudsync_tests.deploy.kubernetes import instance, named, sources, spec_of
from cloudsync_tests.deploy.test_kubernetes import NEWEST
from cloudsync_tests.house.root import ROOT

ON_ITS_OWN = {"compute_logs", "local_artifact_storage", "run_launcher"}


def test_the_instance_is_that_of_the_containers_with_runs_in_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOST", "USER", "PASSWORD_FILE", "DB"):
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", "x")
    found = []
    for kind, text in (
        ("here", named("ConfigMap")["dagster-instance"]["data"]["dagster.yaml"]),
        ("compose", (ROOT / "deploy/dagster/dagster.yaml").read_text()),
    ):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "dagster.yaml").write_text(text)
        config, _ = dagster_instance_config(str(tmp_path / kind))
        found.append({key: value for key, value in config.items() if key not in ON_ITS_OWN})
    assert found[0] == found[1]


def test_the_launcher_s_settings_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOUDSYNC_IMAGE", "CLOUDSYNC_NAMESPACE"):
        monkeypatch.setenv(name, "x")
    checked = process_config(K8sRunLauncher.config_type(), instance()["run_launcher"]["config"])  # type: ignore[no-untyped-call]
    assert checked.success, checked.errors


class ApiServer:
    """Takes jobs as Kubernetes does.

    Attributes:
        jobs: what was created, as it was sent, by namespace.
    """

    def __init__(self) -> None:
        self.jobs: list[tuple[str, dict[str, Any]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.jobs.append((self.path, json.loads(body)))
                self.send_response(201)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A cluster as a pod finds it."""
    server = ApiServer()
    configuration = kubernetes.client.Configuration(host=server.url)
    monkeypatch.setattr(kubernetes.client.Configuration, "_default", configuration)
    monkeypatch.setattr("dagster_k8s.launcher.load_kubernetes_config", lambda **_: None)
    yield server
    server.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """One integration, `acme`, that was never synced."""
    (tmp_path / "fleet").mkdir()
    place = a_place(tmp_path / "fleet")
    place.local("acme", {"a.txt": "alpha"})
    return place


def launched(
    home: Path, place: Place, cluster: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], str]:
    """The job of an initial sync that the daemon launches, and the run's id. The instance keeps its runs in SQLite."""
    monkeypatch.setenv("CLOUDSYNC_IMAGE", "registry.example.com/cloudsync-pipeline:1")
    monkeypatch.setenv("CLOUDSYNC_NAMESPACE", "sync")
    home.mkdir()
    shipped = {key: value for key, value in instance().items() if key != "storage"}
    (home / "dagster.yaml").write_text(yaml.safe_dump(shipped))
    pointer = CodePointer.from_module("cloudsync_pipeline.definitions", "defs", None)
    origin = JobPythonOrigin("initial_sync", RepositoryPythonOrigin(sys.executable, pointer))
    with dg.DagsterInstance.from_config(str(home)) as daemon:
        daemon.add_dynamic_partitions("integrations", ["acme"])
        run = daemon.create_run_for_job(
            assemble(str(place.config)).resolve_job_def("initial_sync"),
            job_code_origin=origin,
            tags={"dagster/partition": "acme"},
        )
        daemon.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    [(path, job)] = cluster.jobs
    assert path == "/apis/batch/v1/namespaces/sync/jobs"
    return job, run.run_id


def by_name(mounts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A container's mounts."""
    return {mount["name"]: mount for mount in mounts}


def test_a_run_becomes_a_job_with_all_that_the_code_location_has_and_no_more(
    tmp_path: Path, place: Place, cluster: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, run_id = launched(tmp_path / "home", place, cluster, monkeypatch)
    kubernetes_validate.validate(job, NEWEST, strict=True)
    spec, code = spec_of(job), spec_of(named("Deployment")["cloudsync-code"])
    [container], [codes] = spec["containers"], code["containers"]

    assert set(sources(spec)) == set(sources(code))
    assert container["image"] == "registry.example.com/cloudsync-pipeline:1"
    assert container["securityContext"] == codes["securityContext"]
    assert spec["securityContext"] == code["securityContext"]
    assert spec["terminationGracePeriodSeconds"] == code["terminationGracePeriodSeconds"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == code["serviceAccountName"]
    assert container["resources"]["limits"]
    assert by_name(container["volumeMounts"]) == by_name(codes["volumeMounts"])
    closed = named("NetworkPolicy")["cloudsync-nothing-comes-in"]["spec"]["podSelector"]["matchLabels"]
    assert closed.items() <= job["spec"]["template"]["metadata"]["labels"].items()
    [near] = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    labels = named("Deployment")["cloudsync-code"]["spec"]["template"]["metadata"]["labels"]
    assert near["labelSelector"]["matchLabels"].items() <= labels.items()
    assert {one["name"] for one in container["env"]} >= {"CLOUDSYNC_IMAGE", "CLOUDSYNC_NAMESPACE", "DAGSTER_HOME"}

    # And the container does it, without any access to the cluster.
    environment = {one["name"]: one["value"] for one in container["env"]} | {"CLOUDSYNC_CONFIG": str(place.config)}
    command = [*container.get("command", []), *container["args"]]
    ran = subprocess.run(
        command,
        env={**plain_environment(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert place.files("acme") == {"a.txt": "alpha"}
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as one:
        run = one.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS
