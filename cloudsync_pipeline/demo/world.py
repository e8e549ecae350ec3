"""The small world: storage, file manager, configuration and a Dagster home, in one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from cloudsync_pipeline.demo import seaweedfs
from cloudsync_pipeline.demo.seaweedfs import SeaweedFS

if TYPE_CHECKING:
    from cloudsync_pipeline.devserver import DevServer

WITH_FEED = "with-feed"
WITHOUT_FEED = "without-feed"
"""The two integrations: into the devserver, told by its event feed; into a folder, found by scans."""

LOCATION = "cloudsync"
INTERVAL = 60
"""Seconds between two syncs of each."""


@dataclass(frozen=True, slots=True)
class World:
    """What is running.

    Attributes:
        folder: everything is below it.
        config: the main configuration file; each integration has a file in `integrations/` beside it.
        files: the folder of the local file manager.
        dagster_home: with `dagster.yaml` and `workspace.yaml`.
    """

    folder: Path
    storage: SeaweedFS
    server: DevServer
    config: Path
    files: Path
    dagster_home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables by which other programs find this world."""
        return environment(self.folder)


def environment(folder: Path) -> dict[str, str]:
    """The environment of programs that work in the world of a folder, whether it runs or not."""
    # An installation finds the package by itself; a source tree that is not installed is on the path.
    root = str(Path(__file__).resolve().parents[2])
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        "CLOUDSYNC_CONFIG": str(folder / "config" / "cloudsync.yaml"),
        "DAGSTER_HOME": str(folder / "dagster"),
    }


@contextmanager
def running(folder: Path) -> Iterator[World]:
    """Storage and file manager, started on a folder and stopped at the end; what they hold stays in the folder.

    Raises:
        ConfigError: a program that is needed is not installed.
        Unreachable: one of them did not start.
    """
    from cloudsync_pipeline import devserver

    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        storage = stack.enter_context(seaweedfs.running(folder / "storage"))
        server = stack.enter_context(devserver.running(folder / "file-manager", port=_port(folder)))
        (folder / "file-manager.port").write_text(str(server.settings.port))
        files = folder / "files"
        files.mkdir(exist_ok=True)
        config = _configure(folder, storage, server.url, files)
        yield World(folder, storage, server, config, files, _dagster_home(folder))


def _port(folder: Path) -> int:
    """The devserver's port of last time, where it is free."""
    from cloudsync_pipeline.demo.ports import is_free

    place = folder / "file-manager.port"
    port = int(place.read_text()) if place.exists() else 0
    return port if port and is_free(port) else 0


def _configure(folder: Path, storage: SeaweedFS, server_url: str, files: Path) -> Path:
    config = folder / "config"
    (config / "integrations").mkdir(parents=True, exist_ok=True)
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    _write_secret(secrets / "S3_ACCESS_KEY", storage.credentials.access_key)
    _write_secret(secrets / "S3_SECRET_KEY", storage.credentials.secret_key)
    main = {
        "database": {"path": str(folder / "state")},
        "logging": {"level": "INFO", "file": str(folder / "logs" / "cloudsync.log")},
        "secrets": {"type": "files", "folder": str(secrets)},
        "defaults": {
            "storage": {
                "type": "s3",
                "provider": "seaweedfs",
                "endpoint": storage.endpoint,
                "region": seaweedfs.REGION,
                "addressing": "path",
                "credentials": {"access_key": "${secret:S3_ACCESS_KEY}", "secret_key": "${secret:S3_SECRET_KEY}"},
            },
            "sync": {"interval": INTERVAL},
        },
    }
    _write(config / "cloudsync.yaml", main)
    http = {"type": "http_api", "url": server_url}
    _write(
        config / "integrations" / f"{WITH_FEED}.yaml",
        {"storage": {"bucket": WITH_FEED}, "file_manager": http, "feed": {"type": "http"}},
    )
    _write(
        config / "integrations" / f"{WITHOUT_FEED}.yaml",
        {"storage": {"bucket": WITHOUT_FEED}, "file_manager": {"type": "local", "path": str(files)}},
    )
    return config / "cloudsync.yaml"


def _dagster_home(folder: Path) -> Path:
    """A home whose runs wait in a queue, one at a time for each integration."""
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    _write(
        home / "dagster.yaml",
        {
            "telemetry": {"enabled": False},
            "nux": {"enabled": False},
            "concurrency": {
                "runs": {
                    "max_concurrent_runs": 4,
                    "tag_concurrency_limits": [
                        {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
                    ],
                }
            },
            "run_monitoring": {"enabled": True},
        },
    )
    module = {"module_name": "cloudsync_pipeline.definitions", "location_name": LOCATION}
    _write(home / "workspace.yaml", {"load_from": [{"python_module": module}]})
    return home


def _write(place: Path, document: Mapping[str, object]) -> None:
    # A file that stays as it is keeps its time: whoever watches for changes sees none.
    text = yaml.safe_dump(dict(document), sort_keys=False)
    if not place.exists() or place.read_text(encoding="utf-8") != text:
        place.write_text(text, encoding="utf-8")


def _write_secret(place: Path, text: str) -> None:
    place.touch(mode=0o600)
    place.write_text(text)
