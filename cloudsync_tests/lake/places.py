"""Places for lakes of both forms: a folder, and PostgreSQL with SeaweedFS."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from cloudsync_pipeline.lake.bucket import Bucket, BucketFiles
from cloudsync_pipeline.lake.cluster import Cluster
from cloudsync_pipeline.lake.fence import quote
from cloudsync_pipeline.lake.location import Folder, Location
from cloudsync_tests.servers import S3Server

FORMS = ("folder", "cluster")

Place = Callable[[str], Location]
"""Gives the lake's location of a name, always the same within one test."""


@dataclass(frozen=True, slots=True)
class Servers:
    """What lakes of the cluster form share.

    Attributes:
        postgres: the database for their catalogs.
        storage, bucket: where their files are.
    """

    postgres: sa.URL
    storage: S3Server
    bucket: str

    @property
    def catalog(self) -> str:
        return self.postgres.set(drivername="postgresql").render_as_string(hide_password=False)

    def files(self, prefix: str, bucket: str | None = None) -> BucketFiles:
        access = Bucket(
            bucket or self.bucket,
            endpoint=self.storage.endpoint,
            region=self.storage.region,
            access_key=self.storage.access_key,
            secret_key=self.storage.secret_key,
        )
        return BucketFiles(access, prefix)

    def location(self, folder: Path, name: str) -> Cluster:
        return Cluster(folder, self.catalog, name, self.files(f"lakes/{name}/"))

    def copy(self, template: Cluster, folder: Path, name: str) -> Cluster:
        """A new lake like another one: far cheaper than making all its tables again."""
        location = self.location(folder, name)
        engine = sa.create_engine(self.postgres)
        with engine.begin() as connection:
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = :schema"
            names = connection.execute(sa.text(tables), {"schema": template.schema}).scalars().all()
            connection.execute(sa.text(f'CREATE SCHEMA "{name}"'))
            for table in names:
                old, new = f'"{template.schema}".{table}', f'"{name}".{table}'
                connection.execute(sa.text(f"CREATE TABLE {new} (LIKE {old} INCLUDING ALL)"))
                connection.execute(sa.text(f"INSERT INTO {new} SELECT * FROM {old}"))
        engine.dispose()
        client = self.storage.client()
        for file in template.files.list():
            source = {"Bucket": self.bucket, "Key": template.files.prefix + file.path}
            client.copy_object(Bucket=self.bucket, Key=location.files.prefix + file.path, CopySource=source)
        return location

    def forget(self, name: str) -> None:
        """Drop the catalog of a lake: hundreds of them slow each other down."""
        engine = sa.create_engine(self.postgres)
        with engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
            # The driver takes a % for the beginning of a parameter.
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {quote(name).replace('%', '%%')} CASCADE")
        engine.dispose()


def places(form: str, folder: Path, request: pytest.FixtureRequest) -> Place:
    """Where the lakes of one test are, by name."""
    if form == "folder":
        return lambda name: Folder(folder / name)
    servers: Servers = request.getfixturevalue("lake_servers")
    mark = uuid.uuid4().hex[:8]

    def place(name: str) -> Cluster:
        schema = f"{name}_{mark}"
        request.addfinalizer(lambda: servers.forget(schema))
        return servers.location(folder / name, schema)

    return place
