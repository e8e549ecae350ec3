"""What the main file says once for all integrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_tests.config.builders import ACME, error_of, load

DEFAULTS = """
    defaults:
      storage: {type: s3, endpoint: "https://s3.example.com", region: eu-west-1}
      file_manager:
        type: http_api
        url: https://files.example.com
        auth: {type: bearer, token: t0ken}
      sync: {interval: 10m, transfers: 4}
      tags: {team: data}
      owner: ann
"""


def test_an_integration_inherits_what_it_does_not_say(tmp_path: Path) -> None:
    acme = load(tmp_path, DEFAULTS, acme="storage: {bucket: acme-data}").integration("acme")

    assert acme.storage.model_dump()["bucket"] == "acme-data"
    assert acme.storage.model_dump()["region"] == "eu-west-1"
    assert acme.file_manager.model_dump()["auth"]["token"].get_secret_value() == "t0ken"
    assert acme.sync.interval == 600
    assert acme.owner == "ann"


def test_an_integration_overrides_key_by_key(tmp_path: Path) -> None:
    acme = load(
        tmp_path,
        DEFAULTS,
        acme="""
            storage: {bucket: acme-data, region: us-west-2}
            sync: {interval: 1m}
            tags: {tier: gold}
        """,
    ).integration("acme")

    assert acme.storage.model_dump()["region"] == "us-west-2"
    assert acme.sync.interval == 60
    assert acme.sync.transfers == 4
    assert acme.tags == {"team": "data", "tier": "gold"}


def test_a_section_of_another_type_inherits_nothing(tmp_path: Path) -> None:
    acme = load(
        tmp_path,
        DEFAULTS,
        acme="""
            storage: {type: local, path: /srv/acme}
            file_manager: {auth: {type: basic, username: u, password: p}}
        """,
    ).integration("acme")

    assert acme.storage.model_dump() == {"type": "local", "path": Path("/srv/acme")}
    assert acme.file_manager.model_dump()["auth"]["type"] == "basic"


def test_integrations_do_not_share_what_one_overrides(tmp_path: Path) -> None:
    fleet = load(
        tmp_path, DEFAULTS, acme="storage: {bucket: aaa}\nsync: {interval: 1m}", globex="storage: {bucket: bbb}"
    )

    assert fleet.integration("acme").sync.interval == 60
    assert fleet.integration("globex").sync.interval == 600


def test_an_empty_file_is_enough_where_the_defaults_say_all(tmp_path: Path) -> None:
    fleet = load(tmp_path, "defaults: {storage: {type: memory}, file_manager: {type: memory}}", acme="")

    assert fleet.integration("acme").destination_prefix == "acme"


def test_a_wrong_default_is_an_error_of_the_main_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cloudsync\.yaml: defaults\.sync\.intervl: unknown key; did you mean"):
        load(tmp_path, "defaults: {sync: {intervl: 5}}", acme=ACME)


def test_a_wrong_default_of_a_typed_section_names_the_main_file(tmp_path: Path) -> None:
    fleet = load(tmp_path, DEFAULTS.replace("region:", "regon:"), acme="storage: {bucket: acme-data}")

    error = error_of(fleet)
    assert "cloudsync.yaml: defaults.storage.regon: unknown key; did you mean `region`?" in error


def test_what_neither_says_is_missing_from_the_integrations_file(tmp_path: Path) -> None:
    error = error_of(load(tmp_path, DEFAULTS, acme=""))

    assert "acme.yaml: storage.bucket: is missing; expected the bucket's name" in error


def test_a_relative_place_in_the_defaults_counts_from_the_main_file(tmp_path: Path) -> None:
    fleet = load(tmp_path, "defaults: {file_manager: {type: local, path: files}}", acme="storage: {type: memory}")

    assert fleet.integration("acme").file_manager.model_dump()["path"] == tmp_path / "files"
