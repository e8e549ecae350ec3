"""Lakes on servers: what can be written under `database.lakes`, and what is said of what cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import Settings
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.lake.cluster import Cluster, schema_of
from cloudsync_pipeline.lake.location import Folder
from cloudsync_tests.config.builders import load

URL = "postgresql://fleet:${PASSWORD}@db.example.com/cloudsync?sslmode=require"
ENVIRON = {"PASSWORD": "sesame", "KEY": "AKIA", "SECRET": "open-sesame"}


def settings(folder: Path, lakes: str, url: str | None = URL) -> Settings:
    control = f"  url: '{url}'\n" if url else ""
    return load(folder, f"database:\n  path: state\n{control}  lakes: {lakes}\n", ENVIRON).settings


def location(folder: Path, lakes: str, name: str = "acme") -> Cluster:
    found = wiring.lake_location(settings(folder, lakes), name)
    assert isinstance(found, Cluster)
    return found


def test_without_lakes_each_is_a_folder_of_the_state(tmp_path: Path) -> None:
    found = wiring.lake_location(load(tmp_path, "database: {path: state}\n").settings, "acme")
    assert found == Folder(tmp_path / "state" / "integrations" / "acme")


def test_lakes_on_servers_have_a_schema_and_a_folder_of_the_bucket_each(tmp_path: Path) -> None:
    keys = "{access_key: '${KEY}', secret_key: '${SECRET}'}"
    found = location(
        tmp_path, f"{{data: 's3://bucket/all/lakes/', endpoint: 'http://s3:8333', region: eu-1, credentials: {keys}}}"
    )
    assert found.folder == tmp_path / "state" / "integrations" / "acme"
    assert found.schema == "lake_acme"
    assert found.files.address == "s3://bucket/all/lakes/acme/"
    assert found.catalog == URL.replace("${PASSWORD}", "sesame")
    bucket = found.bucket
    assert (bucket.endpoint, bucket.region, bucket.access_key) == ("http://s3:8333", "eu-1", "AKIA")
    assert bucket.secret_key == "open-sesame"


def test_the_catalog_may_be_on_another_server_than_the_control_database(tmp_path: Path) -> None:
    found = location(tmp_path, "{data: 's3://bucket', catalog: 'postgresql://lakes@other/lakes'}")
    assert found.catalog == "postgresql://lakes@other/lakes"
    assert found.files.address == "s3://bucket/acme/"


def test_no_secret_shows_in_any_text_about_it(tmp_path: Path) -> None:
    lakes = "{data: 's3://bucket', credentials: {access_key: '${KEY}', secret_key: '${SECRET}'}}"
    found = location(tmp_path, lakes)
    for text in (repr(settings(tmp_path, lakes)), repr(found), str(found)):
        assert "sesame" not in text


def test_names_too_long_for_postgresql_are_cut_and_still_differ() -> None:
    one, two = schema_of("a" * 62 + "b"), schema_of("a" * 62 + "c")
    assert one != two
    assert len(one) <= 63


@pytest.mark.parametrize("url", [None, "sqlite:////state/control.db"])
def test_lakes_of_several_machines_need_locks_among_machines(tmp_path: Path, url: str | None) -> None:
    with pytest.raises(ConfigError, match=r"`url` with PostgreSQL's address beside `lakes`"):
        settings(tmp_path, "{data: 's3://bucket'}", url)


def test_backups_of_lakes_on_servers_are_refused_with_what_makes_them(tmp_path: Path) -> None:
    text = f"database:\n  url: '{URL}'\n  lakes: {{data: 's3://bucket'}}\n  backup_enabled: true\n"
    with pytest.raises(ConfigError, match=r"`backup_enabled: false` beside `lakes`.*pg_dump, the bucket's versions"):
        load(tmp_path, text, ENVIRON)


@pytest.mark.parametrize(
    ("lakes", "says"),
    [
        ("{data: 'bucket/lakes'}", r"database\.lakes\.data.*s3://bucket/lakes"),
        ("{data: 's3://bucket/../other'}", r"database\.lakes\.data"),
        ("{data: 's3://key:secret@bucket'}", r"database\.lakes\.data"),
        ("{}", r"database\.lakes\.data"),
        ("{data: 's3://bucket', catalog: 'mysql://host/x'}", r"database\.lakes\.catalog.*PostgreSQL"),
        ("{data: 's3://bucket', credentials: {anonymous: true}}", r"database\.lakes\.credentials\.anonymous"),
        ("{data: 's3://bucket', credentials: {access_key: a}}", r"database\.lakes\.credentials.*secret_key"),
        ("{data: 's3://bucket', endpont: 'http://s3'}", r"endpont.*endpoint"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_is_expected(tmp_path: Path, lakes: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){says}") as caught:
        settings(tmp_path, lakes)
    assert "key:secret" not in str(caught.value)
