"""Integrations between real servers, as configuration files, and syncs of them through wiring and engine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.core.keys import unescape
from cloudsync_pipeline.devserver import DevServer
from cloudsync_pipeline.engine.results import Mode, SyncResult
from cloudsync_pipeline.engine.sync import new_run_id, sync
from cloudsync_tests.lake.places import Servers
from cloudsync_tests.servers import S3Server


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a real server, written and read by boto3."""

    server: S3Server
    name: str
    s3: Any = field(repr=False)

    def put(self, key: str, content: bytes) -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=content)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.s3.delete_object(Bucket=self.name, Key=key)

    def rename(self, key: str, new_key: str) -> None:
        self.s3.copy_object(Bucket=self.name, Key=new_key, CopySource={"Bucket": self.name, "Key": key})
        self.delete(key)

    def contents(self) -> dict[str, bytes]:
        """Every object."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key: self.s3.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}

    def as_yaml(self) -> str:
        """The section `storage` of a configuration."""
        return (
            f"storage:\n  type: s3\n  provider: {self.server.provider}\n  endpoint: {self.server.endpoint}\n"
            f"  bucket: {self.name}\n  addressing: path\n  credentials:\n    access_key: {self.server.access_key}\n"
            f"    secret_key: {self.server.secret_key}\n"
        )


def a_bucket(server: S3Server, objects: dict[str, bytes] | None = None) -> Bucket:
    """A new bucket that holds these objects."""
    bucket = Bucket(server, server.new_bucket(), server.client())
    for key, content in (objects or {}).items():
        bucket.put(key, content)
    return bucket


@dataclass(frozen=True, slots=True)
class Deployment:
    """A configuration with its state in one folder."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "cloudsync.yaml"

    def add(self, name: str, *sections: str) -> None:
        """Write the file of one integration."""
        (self.folder / "integrations" / f"{name}.yaml").write_text("".join(sections), encoding="utf-8")

    def sync(self, name: str, mode: Mode = Mode.INCREMENTAL) -> SyncResult:
        async def run() -> SyncResult:
            run_id = new_run_id()
            fleet = load_fleet(self.config)
            async with wiring.open_session(fleet, name, run_id=run_id, purpose=f"{mode} sync") as session:
                return await sync(session, mode, run_id=run_id)

        return asyncio.run(run())

    def believed(self, name: str) -> dict[str, dict[str, Any]]:
        """The files that an integration's lake holds to be there, by path."""
        with wiring.open_lake(load_fleet(self.config).settings, name, read_only=True) as lake:
            rows = lake.frame("SELECT * FROM files ORDER BY path").to_dict("records")
        return {unescape(row["path"]): {str(name): value for name, value in row.items()} for row in rows}

    def snapshot(self, name: str) -> int:
        """The number of an integration's newest state."""
        with wiring.open_lake(load_fleet(self.config).settings, name, read_only=True) as lake:
            return lake.current_snapshot()


def a_deployment(folder: Path, database: str = "database: {path: state}\n") -> Deployment:
    """One without integrations.

    Args:
        database: the section of the main file.
    """
    (folder / "integrations").mkdir(parents=True)
    deployment = Deployment(folder)
    deployment.config.write_text(database, encoding="utf-8")
    return deployment


def on_servers(control: str, lakes: Servers, prefix: str) -> str:
    """The section `database` of a machine whose control database and lakes other machines use, too."""
    keys = f"{{access_key: {lakes.storage.access_key}, secret_key: {lakes.storage.secret_key}}}"
    return (
        f"database:\n  path: state\n  url: '{control}'\n  lakes:\n    data: s3://{lakes.bucket}/{prefix}\n"
        f"    catalog: '{lakes.catalog}'\n    endpoint: {lakes.storage.endpoint}\n    region: {lakes.storage.region}\n"
        f"    credentials: {keys}\n"
    )


def into_server(server: DevServer) -> str:
    """The section `file_manager` for a devserver."""
    return f"file_manager: {{type: http_api, url: '{server.url}'}}\n"


def into_folder(folder: Path) -> str:
    """The section `file_manager` for a folder, which is made."""
    folder.mkdir(exist_ok=True)
    return f"file_manager: {{type: local, path: {folder}}}\n"


HTTP_FEED = "feed: {type: http}\n"


def held(server: DevServer, name: str) -> dict[str, bytes]:
    """What the file manager holds for an integration, read by its download call."""
    return {path.removeprefix(f"{name}/"): server.content(path) for path in server.files(f"{name}/")}


def an_event(name: str, kind: str, key: str, new_key: str | None = None, **metadata: str) -> dict[str, Any]:
    """A change of one integration's object, as a shared feed announces it."""
    return {
        "event_type": kind,
        "file_path": f"/{name}/{key}",
        "new_path": None if new_key is None else f"{name}/{new_key}",
        "metadata": metadata,
        "timestamp": datetime.now(UTC).isoformat(),
    }
