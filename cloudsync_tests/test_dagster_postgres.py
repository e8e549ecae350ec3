"""Dagster's storage in PostgreSQL takes its password from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_tests.control.postgres import ask_for_password, postgres
from cloudsync_tests.house.root import yaml_of
from cloudsync_tests.servers import unused_port


@pytest.fixture(scope="module")
def server() -> Iterator[sa.URL]:
    """It asks the role `dagster` for its password."""
    with postgres(unused_port()) as url:
        _tell(url, "CREATE ROLE dagster LOGIN PASSWORD 'first'", "CREATE DATABASE dagster OWNER dagster")
        ask_for_password(url, "dagster")
        yield url


def _tell(server: sa.URL, *statements: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture
def opened(tmp_path: Path, server: sa.URL, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dg.DagsterInstance]:
    """Opens the containers' storage; its password is in `password`."""
    storage = yaml_of("deploy", "dagster", "dagster.yaml")["storage"]
    storage["custom"]["config"]["postgres_db"]["port"] = server.port
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": storage, "telemetry": {"enabled": False}}))
    told = {"HOST": "127.0.0.1", "USER": "dagster", "DB": "dagster", "PASSWORD_FILE": str(tmp_path / "password")}
    for name, value in told.items():
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", value)
    return lambda: dg.DagsterInstance.from_config(str(tmp_path))


def test_a_password_is_changed_without_a_restart(
    tmp_path: Path, server: sa.URL, opened: Callable[[], dg.DagsterInstance]
) -> None:
    (tmp_path / "password").write_text("first\n")
    with opened() as instance:
        instance.add_dynamic_partitions("integrations", ["acme"])
        _tell(server, "ALTER ROLE dagster PASSWORD 'second'")
        (tmp_path / "password").write_text("second")
        assert instance.get_dynamic_partitions("integrations") == ["acme"]
    with opened() as again:
        again.upgrade()
        assert again.get_runs_count() == 0
        assert again.get_dynamic_partitions("integrations") == ["acme"]
        # What another process of this instance is handed leads there, too.
        with dg.DagsterInstance.from_ref(again.get_ref()) as theirs:
            assert theirs.get_dynamic_partitions("integrations") == ["acme"]


@pytest.mark.parametrize(("text", "told"), [(None, "No such file"), ("\n", "is empty"), (b"\xff", "no UTF-8")])
def test_a_file_that_holds_no_password_is_named(
    tmp_path: Path, opened: Callable[[], dg.DagsterInstance], text: str | bytes | None, told: str
) -> None:
    if text is not None:
        (tmp_path / "password").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError, match=rf"{tmp_path}/password.*{told}"):
        opened()
