"""Dagster's storage in PostgreSQL with the password in a file, as Docker and Kubernetes hand secrets over.

Dagster's own class takes a password from `dagster.yaml` or from a variable, which whoever lists a container can read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dagster import Field, StringSource
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.auth import PgTokenProvider
from dagster_postgres.utils import pg_config, pg_url_from_config

from cloudsync_pipeline.core.errors import ConfigError


class PasswordFile(PgTokenProvider):
    """The password as it stands in a file, read for each connection: it can be changed without a restart."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def get_token(self) -> str:
        """The file's text, without newlines at its end.

        Raises:
            ConfigError: it cannot be read, or is empty.
        """
        try:
            password = self._file.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ConfigError(
                f"PostgreSQL's password cannot be read from {self._file}: {reason}.",
                remedy="Make it a text file that this process may read.",
            ) from error
        if not password:
            raise ConfigError(f"The file {self._file} is empty.", remedy="Write PostgreSQL's password into it.")
        return password

    def _fetch_token(self) -> tuple[str, float]:
        return self.get_token(), 0.0


class PostgresStorage(DagsterPostgresStorage):
    """What `dagster.yaml` names under `storage.custom`: Dagster's `postgres_db`, and `password_file` beside it."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Of `config`: both keys must be there."""
        dagsters: Any = pg_config()
        return {
            "postgres_db": Field(dagsters["postgres_db"].config_type),
            "password_file": Field(StringSource, description="A file that holds the password."),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The storage.

        Raises:
            ConfigError: the password cannot be read.
        """
        password = PasswordFile(Path(config_value["password_file"]))
        database = {**config_value["postgres_db"], "password": password.get_token()}
        return cls(
            # With the password of now, for programs that are given the address alone.
            pg_url_from_config({"postgres_db": database}),
            inst_data=inst_data,
            token_provider=password,
        )
