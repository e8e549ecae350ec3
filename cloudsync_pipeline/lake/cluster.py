"""The cluster form of a lake: catalog in PostgreSQL (a schema a lake), Parquet in a bucket, scratch on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from duckdb import DuckDBPyConnection

from cloudsync_pipeline.core.errors import ConfigError, StateError
from cloudsync_pipeline.lake import fence
from cloudsync_pipeline.lake.attach import attach, literal
from cloudsync_pipeline.lake.bucket import Bucket, BucketFiles
from cloudsync_pipeline.lake.faults import translated

SECRET = "cloudsync_catalog"  # noqa: S105 - the name of DuckDB's secret, not one
_LONGEST = 63
"""Bytes of a name in PostgreSQL (its documentation, "Identifiers and Key Words")."""
_REMEDY = "Check `database.lakes.catalog` (by default `database.url`): the server, the database, and its user's rights."


def schema_of(name: str) -> str:
    """The schema that holds an integration's catalog: `lake_<name>`, cut and told apart where that is too long."""
    schema = f"lake_{name}"
    if len(schema) <= _LONGEST:
        return schema
    return f"{schema[:50]}_{hashlib.sha256(name.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """See the module's docstring.

    Attributes:
        folder: on this machine, for listings on their way and DuckDB's spill.
        catalog: PostgreSQL's URL; may hold a password.
        schema: of PostgreSQL, of this lake alone.
        files: the lake's own part of the bucket.

    Raises:
        ConfigError: the URL is none of PostgreSQL's.
    """

    folder: Path
    catalog: str = field(repr=False)
    schema: str
    files: BucketFiles

    extensions = ("postgres_scanner", "httpfs", "ducklake")

    def __post_init__(self) -> None:
        try:
            good = sa.make_url(self.catalog).get_backend_name() in {"postgresql", "postgres"}
        except sa.exc.ArgumentError:
            good = False
        if not good:
            raise ConfigError(
                "The lakes' catalog must be a PostgreSQL database.",
                remedy="Write `database.lakes.catalog` like postgresql://user:password@host/name.",
            )

    @property
    def bucket(self) -> Bucket:
        return self.files.bucket

    def exists(self) -> bool:
        with self._postgres() as connection:
            return fence.exists(connection, self.schema)

    def attach(
        self,
        connection: DuckDBPyConnection,
        *,
        read_only: bool,
        integration: str,
        fence: int | None,
    ) -> Callable[[], None]:
        number = None if read_only else self._raise_fence(fence, integration)
        renew = self.bucket.tell(connection)
        with translated(integration, "opening the lake"):
            connection.execute(self._secret())
        attach(
            connection,
            f"postgres:{self._settings(number)}",
            self.files.address,
            read_only=read_only,
            integration=integration,
            options=(
                f"META_SECRET {literal(SECRET)}",
                f"METADATA_SCHEMA {literal(self.schema)}",
                # Of the catalog as DuckDB attaches it: so that its tables are found without naming the schema.
                f"META_SCHEMA {literal(self.schema)}",
            ),
        )
        if not read_only:
            self._guard(number)
        return renew

    def __str__(self) -> str:
        where = sa.make_url(self.catalog).render_as_string(hide_password=True)
        return f"schema {self.schema} of {where}"

    def _raise_fence(self, number: int | None, integration: str) -> int:
        with self._postgres(number) as connection:
            return fence.raise_to(connection, self.schema, number, integration)

    def _guard(self, number: int | None) -> None:
        with self._postgres(number) as connection:
            fence.guard(connection, self.schema)

    # --- PostgreSQL -----------------------------------------------------------------------------

    def _secret(self) -> str:
        """What DuckDB's errors must not show goes into a secret of its own."""
        url = sa.make_url(self.catalog)
        host = url.host or _one(url.query.get("host"))
        values = {"HOST": host, "PORT": url.port, "DATABASE": url.database, "USER": url.username}
        values |= {"PASSWORD": url.password}
        told = ", ".join(f"{name} {literal(str(value))}" for name, value in values.items() if value)
        return f"CREATE OR REPLACE TEMPORARY SECRET {SECRET} (TYPE postgres{', ' if told else ''}{told})"

    def _settings(self, number: int | None) -> str:
        """The rest of the URL, in libpq's words (PostgreSQL's documentation, "Connection Strings")."""
        rest = {name: _one(value) for name, value in sa.make_url(self.catalog).query.items() if name != "host"}
        rest = {"connect_timeout": "10"} | rest | {"application_name": fence.application_name(number)}
        return " ".join(f"{name}={_quoted(value)}" for name, value in rest.items() if value)

    @contextmanager
    def _postgres(self, number: int | None = None) -> Iterator[sa.Connection]:
        """One transaction on the catalog's server, committed at the end; named like a writer's, with its number."""
        url = sa.make_url(self.catalog).set(drivername="postgresql+psycopg2")
        try:
            told = {"connect_timeout": 10, "application_name": fence.application_name(number)}
            engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=told)
        except ImportError as error:
            raise ConfigError(
                f"The driver for the lakes' catalog is not installed: {error.name}.",
                remedy="Run: pip install 'cloudsync-pipeline[cluster]'",
            ) from error
        try:
            with engine.begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().split("\n", 1)[0].rstrip(".")
            raise StateError(f"The lakes' catalog in {self} failed: {cause}.", remedy=_REMEDY) from error


def _one(value: str | tuple[str, ...] | None) -> str | None:
    return ",".join(value) if isinstance(value, tuple) else value


def _quoted(value: str | None) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
