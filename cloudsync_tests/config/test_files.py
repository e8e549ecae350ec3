"""Which files are read, and which integrations they make."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_tests.config.builders import ACME, error_of, load, write


def test_each_file_in_the_folder_beside_the_main_file_is_an_integration(tmp_path: Path) -> None:
    fleet = load(tmp_path, acme=ACME, globex=ACME)

    assert list(fleet.integrations) == ["acme", "globex"]
    assert fleet.integration("acme").name == "acme"
    assert fleet.errors == {}


def test_adding_a_file_adds_an_integration(tmp_path: Path) -> None:
    main = write(tmp_path, acme=ACME)
    (tmp_path / "integrations" / "globex.yml").write_text((tmp_path / "integrations" / "acme.yaml").read_text())

    assert list(load_fleet(main, {}).integrations) == ["acme", "globex"]


def test_hidden_and_other_files_are_no_integrations(tmp_path: Path) -> None:
    main = write(tmp_path, acme=ACME)
    for name in (".#acme.yaml", "acme.yaml.bak", "README.md"):
        (tmp_path / "integrations" / name).write_text("not ours")

    fleet = load_fleet(main, {})

    assert list(fleet.integrations) == ["acme"]
    assert fleet.errors == {}


def test_without_the_folder_the_fleet_is_empty(tmp_path: Path) -> None:
    main = tmp_path / "cloudsync.yaml"
    main.write_text("")

    fleet = load_fleet(main, {})

    assert fleet.integrations == {}
    with pytest.raises(ConfigError, match=r"add a file .*integrations/acme\.yaml"):
        fleet.integration("acme")


def test_the_folder_can_be_another_one(tmp_path: Path) -> None:
    (tmp_path / "customers").mkdir()
    main = write(tmp_path, "integrations_folder: customers", acme=ACME)
    (tmp_path / "integrations" / "acme.yaml").rename(tmp_path / "customers" / "globex.yaml")

    assert list(load_fleet(main, {}).integrations) == ["globex"]


def test_the_working_directory_holds_the_main_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, acme=ACME)
    monkeypatch.chdir(tmp_path)

    fleet = load_fleet(environ={})

    assert list(fleet.integrations) == ["acme"]
    assert fleet.file == tmp_path / "cloudsync.yaml"


def test_a_variable_names_the_main_file(tmp_path: Path) -> None:
    main = write(tmp_path, acme=ACME)

    assert list(load_fleet(environ={"CLOUDSYNC_CONFIG": str(main)}).integrations) == ["acme"]


def test_the_processs_own_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSYNC_CONFIG", str(write(tmp_path, acme=ACME)))

    assert list(load_fleet().integrations) == ["acme"]


def test_a_variable_that_names_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"CLOUDSYNC_CONFIG names .*gone\.yaml, and there is no such file"):
        load_fleet(environ={"CLOUDSYNC_CONFIG": str(tmp_path / "gone.yaml")})


def test_a_main_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml cannot be read: No such file"):
        load_fleet(tmp_path / "gone.yaml", {})


def test_relative_places_count_from_the_folder_of_the_main_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load(tmp_path).settings.state_folder == tmp_path / "state"

    fleet = load(
        tmp_path,
        "database: {path: var/state}",
        acme="""
            storage: {type: local, path: source}
            file_manager: {type: http_api, url: "https://files.example.com", ca_file: ca.pem}
        """,
    )

    acme = fleet.integration("acme")
    assert fleet.settings.state_folder == tmp_path / "var" / "state"
    assert acme.storage.model_dump()["path"] == tmp_path / "source"
    assert acme.file_manager.model_dump()["ca_file"] == tmp_path / "ca.pem"


def test_an_invalid_file_stops_only_its_integration(tmp_path: Path) -> None:
    fleet = load(tmp_path, acme="storage: [\n", globex=ACME)

    assert list(fleet.integrations) == ["globex"]
    assert "acme.yaml is no valid YAML at line 2" in error_of(fleet)
    with pytest.raises(ConfigError, match="no valid YAML"):
        fleet.integration("acme")


def test_an_invalid_main_file_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cloudsync\.yaml: database\.path: expected a file or folder"):
        load(tmp_path, "database: {path: [1]}", acme=ACME)


def test_a_file_that_may_not_be_read_stops_only_its_integration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = write(tmp_path, acme=ACME, globex=ACME)
    read_bytes = Path.read_bytes

    def refuse(file: Path) -> bytes:
        if file.name == "acme.yaml":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        return read_bytes(file)

    monkeypatch.setattr(Path, "read_bytes", refuse)

    fleet = load_fleet(main, {})

    assert "acme.yaml cannot be read: Permission denied" in error_of(fleet)
    assert list(fleet.integrations) == ["globex"]


def test_a_folder_in_place_of_a_file_stops_only_its_integration(tmp_path: Path) -> None:
    main = write(tmp_path, globex=ACME)
    (tmp_path / "integrations" / "acme.yaml").mkdir()

    fleet = load_fleet(main, {})

    assert "cannot be read: Is a directory" in error_of(fleet)
    assert list(fleet.integrations) == ["globex"]


@pytest.mark.parametrize("name", ["Acme", "acme corp", "-acme", "ä", "a" * 64])
def test_a_file_whose_name_cannot_name_an_integration_is_its_error(tmp_path: Path, name: str) -> None:
    main = write(tmp_path, globex=ACME)
    (tmp_path / "integrations" / f"{name}.yaml").write_text("")

    error = error_of(load_fleet(main, {}), name)

    assert "cannot name an integration" in error
    assert "1 to 63 lower-case letters, digits, `-` and `_`" in error


def test_two_files_of_one_name_are_an_error_that_names_both(tmp_path: Path) -> None:
    main = write(tmp_path, acme=ACME, globex=ACME)
    (tmp_path / "integrations" / "acme.yml").write_text("")

    fleet = load_fleet(main, {})

    assert "acme.yaml" in error_of(fleet)
    assert "acme.yml" in error_of(fleet)
    assert list(fleet.integrations) == ["globex"]


def test_an_unknown_integration_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    fleet = load(tmp_path, acme=ACME, globex=ACME)

    with pytest.raises(ConfigError, match=r"there is no integration 'initech'\. Known are acme, globex\."):
        fleet.integration("initech")


def test_a_misspelt_integration_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    fleet = load(tmp_path, acme=ACME, globex=ACME)

    with pytest.raises(ConfigError, match=r"Did you mean 'globex'\?"):
        fleet.integration("globx")


def test_an_integration_is_named_by_its_file_alone(tmp_path: Path) -> None:
    assert "acme.yaml: name: an integration is named by its file" in error_of(
        load(tmp_path, acme=f"{ACME}    name: other\n")
    )


def test_a_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    error = error_of(load(tmp_path, acme="owner: ann\nowner: bob\n"))

    assert "the key 'owner' stands twice" in error
    assert "line 2, column 1" in error


def test_a_key_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    assert "a key is no text; put it in quotes" in error_of(load(tmp_path, acme="on: 1\n"))


def test_yaml_that_cannot_be_parsed_is_not_quoted(tmp_path: Path) -> None:
    error = error_of(load(tmp_path, acme="storage:\n  secret_key: hunter2: x\n"))

    assert "line 2" in error
    assert "hunter2" not in error


def test_a_file_of_other_bytes_is_an_error(tmp_path: Path) -> None:
    main = write(tmp_path)
    (tmp_path / "integrations" / "acme.yaml").write_bytes(b"owner: \xff\xfe\n")

    assert "no valid YAML" in error_of(load_fleet(main, {}))


def test_a_file_without_keys_is_an_error(tmp_path: Path) -> None:
    assert "holds no keys at its top" in error_of(load(tmp_path, acme="- a\n- b\n"))


def test_anchors_and_merges_of_yaml_work(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        acme="""
            storage: &bucket {type: s3, bucket: acme-data, region: eu-west-1}
            file_manager: {type: memory}
            tags: {<<: {team: data, tier: gold}, tier: silver}
        """,
    )

    assert fleet.integration("acme").tags == {"team": "data", "tier": "silver"}


def test_five_hundred_integrations_are_read_quickly_enough_for_a_tick(tmp_path: Path) -> None:
    main = write(tmp_path, **{f"customer-{number:03}": ACME for number in range(500)})

    began = time.process_time()
    fleet = load_fleet(main, {})

    # It takes a tenth of a second; the limit is for what grows with the square of their number.
    assert time.process_time() - began < 5
    assert len(fleet.integrations) == 500
