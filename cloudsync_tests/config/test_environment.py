"""One integration described by environment variables, where there is no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline.config import IntegrationConfig, load_fleet
from cloudsync_pipeline.core.errors import ConfigError

VARIABLES = {
    "CUSTOMER_S3_ENDPOINT": "http://127.0.0.1:8333",
    "CUSTOMER_S3_BUCKET": "customer-data",
    "CUSTOMER_S3_ACCESS_KEY": "AKIA",
    "CUSTOMER_S3_SECRET_KEY": "hunter2",
    "CUSTOMER_S3_REGION": "eu-central-1",
    "FILE_MANAGER_API_URL": "http://127.0.0.1:5000",
}


@pytest.fixture(autouse=True)
def _no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def only(environ: dict[str, str]) -> IntegrationConfig:
    fleet = load_fleet(environ=environ)
    (integration,) = fleet.integrations.values()
    return integration


def test_the_variables_describe_one_integration() -> None:
    integration = only(VARIABLES)

    storage = integration.storage.model_dump()
    assert integration.name == "default"
    assert storage["endpoint"] == "http://127.0.0.1:8333"
    assert storage["bucket"] == "customer-data"
    assert storage["region"] == "eu-central-1"
    assert storage["credentials"]["access_key"].get_secret_value() == "AKIA"
    assert storage["credentials"]["secret_key"].get_secret_value() == "hunter2"
    assert integration.file_manager.model_dump()["url"] == "http://127.0.0.1:5000"
    assert integration.sync.interval == 300


def test_its_files_are_not_below_a_prefix() -> None:
    assert only(VARIABLES).destination_prefix == ""


def test_its_file_manager_announces_changes() -> None:
    feed = only(VARIABLES).feed

    assert feed is not None
    assert feed.model_dump()["url"] == "http://127.0.0.1:5000"


def test_it_can_be_named() -> None:
    assert only(VARIABLES | {"CUSTOMER_ID": "acme"}).name == "acme"


def test_a_name_that_cannot_be_one_is_an_error() -> None:
    with pytest.raises(ConfigError, match="CUSTOMER_ID: 'Acme Corp' cannot name an integration"):
        load_fleet(environ=VARIABLES | {"CUSTOMER_ID": "Acme Corp"})


def test_settings_come_from_variables_too(tmp_path: Path) -> None:
    fleet = load_fleet(
        environ=VARIABLES | {"SYNC_INTERVAL": "60", "DATABASE_PATH": "var/sync.db", "LOG_LEVEL": "warning"}
    )

    assert fleet.integration("default").sync.interval == 60
    assert fleet.settings.state_folder == tmp_path / "var" / "sync"
    assert fleet.settings.logging.level == "WARNING"


def test_the_state_is_in_the_working_directory_by_default(tmp_path: Path) -> None:
    assert load_fleet(environ=VARIABLES).settings.state_folder == tmp_path / "state"


def test_the_mocks_address_stands_in_for_the_file_managers() -> None:
    variables = {key: value for key, value in VARIABLES.items() if key != "FILE_MANAGER_API_URL"}

    integration = only(variables | {"MOCK_API_URL": "http://127.0.0.1:9"})

    assert integration.file_manager.model_dump()["url"] == "http://127.0.0.1:9"


def test_the_file_managers_own_address_wins() -> None:
    integration = only(VARIABLES | {"MOCK_API_URL": "http://127.0.0.1:9"})

    assert integration.file_manager.model_dump()["url"] == "http://127.0.0.1:5000"


def test_a_bucket_of_amazon_needs_neither_endpoint_nor_keys() -> None:
    storage = only({name: VARIABLES[name] for name in ("CUSTOMER_S3_BUCKET", "FILE_MANAGER_API_URL")}).storage

    assert storage.model_dump()["endpoint"] is None
    assert storage.model_dump()["credentials"]["access_key"] is None
    assert storage.model_dump()["region"] is None


def test_one_error_names_all_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_fleet(environ={"CUSTOMER_S3_ACCESS_KEY": "AKIA", "CUSTOMER_S3_BUCKET": ""})

    error = str(caught.value)
    assert f"there is no {tmp_path}/cloudsync.yaml" in error
    assert "missing: CUSTOMER_S3_BUCKET, FILE_MANAGER_API_URL, CUSTOMER_S3_SECRET_KEY." in error
    assert "CLOUDSYNC_CONFIG" in error


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("CUSTOMER_S3_ENDPOINT", "127.0.0.1:8333", "storage.endpoint: expected an address that begins with http://"),
        ("SYNC_INTERVAL", "often", "sync.interval: expected a duration"),
        ("CUSTOMER_S3_BUCKET", "a/b", "storage.bucket: expected the bucket's name"),
        ("LOG_LEVEL", "loud", "logging.level: expected one of `DEBUG`, `INFO`"),
    ],
)
def test_a_wrong_variable_is_named_and_its_text_not_shown(variable: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_fleet(environ=VARIABLES | {variable: text})

    error = str(caught.value)
    assert f"the environment: {message}" in error
    assert f"${{{variable}}}" in error
    assert text not in error


def test_a_file_wins_over_the_variables(tmp_path: Path) -> None:
    (tmp_path / "cloudsync.yaml").write_text("")

    assert load_fleet(environ=VARIABLES).integrations == {}
