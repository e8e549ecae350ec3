"""`${NAME}` and `${secret:NAME}`, and what is said where they lead nowhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cloudsync_pipeline.config.secrets import FileSecrets
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_tests.config.builders import ACME, error_of, load, refusal

WITH_KEYS = ACME.replace("bucket:", "credentials: {access_key: AKIA, secret_key: '${secret:acme-key}'}\n      bucket:")


def secrets_in(folder: Path, **files: str) -> str:
    """A secrets folder, and the main file that names it."""
    (folder / "vault").mkdir()
    for name, text in files.items():
        (folder / "vault" / name.replace("_", "-")).write_text(text)
    return "secrets: {folder: vault}"


def secret_key(folder: Path, main: str, text: str = WITH_KEYS) -> str:
    storage = load(folder, main, acme=text).integration("acme").storage
    value: str = storage.model_dump()["credentials"]["secret_key"].get_secret_value()
    return value


def test_a_variable_is_read_from_the_environment(tmp_path: Path) -> None:
    fleet = load(tmp_path, environ={"BUCKET": "b1"}, acme=ACME.replace("acme-data", "${BUCKET}-data"))

    assert fleet.integration("acme").storage.model_dump()["bucket"] == "b1-data"


def test_a_variable_can_be_a_number(tmp_path: Path) -> None:
    fleet = load(tmp_path, environ={"EVERY": "60"}, acme=f"{ACME}\n    sync: {{interval: '${{EVERY}}'}}\n")

    assert fleet.integration("acme").sync.interval == 60


def test_a_variable_is_read_in_the_main_file_too(tmp_path: Path) -> None:
    fleet = load(tmp_path, "database: {path: '${HERE}/state'}", {"HERE": "/srv"})

    assert fleet.settings.state_folder == Path("/srv/state")


def test_a_variable_is_read_in_lists_and_sections(tmp_path: Path) -> None:
    fleet = load(tmp_path, environ={"TIER": "gold"}, acme=f"{ACME}\n    tags: {{tier: '${{TIER}}'}}\n")

    assert fleet.integration("acme").tags == {"tier": "gold"}


def test_what_a_variable_holds_is_not_read_again(tmp_path: Path) -> None:
    fleet = load(tmp_path, environ={"OWNER": "${HOME}"}, acme=f"{ACME}\n    owner: ${{OWNER}}\n")

    assert fleet.integration("acme").owner == "${HOME}"


def test_a_default_stands_in_for_a_variable_that_is_not_set_or_empty(tmp_path: Path) -> None:
    text = f"{ACME}\n    owner: ${{OWNER:-ann}}\n"

    assert load(tmp_path, environ={}, acme=text).integration("acme").owner == "ann"
    assert load(tmp_path, environ={"OWNER": ""}, acme=text).integration("acme").owner == "ann"
    assert load(tmp_path, environ={"OWNER": "bob"}, acme=text).integration("acme").owner == "bob"


def test_two_dollars_escape(tmp_path: Path) -> None:
    fleet = load(tmp_path, acme=f"{ACME}\n    owner: $${{NAME}} costs $5\n")

    assert fleet.integration("acme").owner == "${NAME} costs $5"


def test_a_missing_variable_is_an_error_that_names_variable_file_key_and_remedy(tmp_path: Path) -> None:
    error = refusal(tmp_path, ACME.replace("acme-data", "${BUCKET}"))

    assert "integrations/acme.yaml: storage.bucket: the environment variable BUCKET is not set." in error
    assert "Set BUCKET, or write `${BUCKET:-default}`." in error


def test_every_missing_variable_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path, ACME.replace("acme-data", "${BUCKET}").replace("https://files.example.com", "${URL}"))

    assert "variable BUCKET is not set" in error
    assert "variable URL is not set" in error


def test_a_missing_variable_stops_only_its_integration(tmp_path: Path) -> None:
    fleet = load(tmp_path, acme=ACME.replace("acme-data", "${BUCKET}"), globex=ACME)

    assert list(fleet.integrations) == ["globex"]


def test_a_missing_variable_of_the_main_file_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cloudsync\.yaml: database\.path: the environment variable HERE is not set"):
        load(tmp_path, "database: {path: '${HERE}'}")


@pytest.mark.parametrize("text", ["${", "${}", "${a b}", "${NAME", "${9}", "${secret:}", "${vault:NAME}"])
def test_what_looks_like_a_reference_and_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    error = refusal(tmp_path, f"{ACME}\n    owner: '{text}'\n")

    assert "acme.yaml: owner: " in error
    assert "Write `${NAME}`" in error


def test_a_secret_is_a_file(tmp_path: Path) -> None:
    assert secret_key(tmp_path, secrets_in(tmp_path, acme_key="hunter2\n")) == "hunter2"


def test_only_one_newline_is_taken_off_a_secret(tmp_path: Path) -> None:
    assert secret_key(tmp_path, secrets_in(tmp_path, acme_key=" a\nb \r\n")) == " a\nb "


def test_a_secret_may_stand_in_a_folder_of_its_customer(tmp_path: Path) -> None:
    main = secrets_in(tmp_path)
    (tmp_path / "vault" / "acme").mkdir()
    (tmp_path / "vault" / "acme" / "key").write_text("hunter2")

    assert secret_key(tmp_path, main, WITH_KEYS.replace("acme-key", "acme/key")) == "hunter2"


def test_a_missing_secret_is_an_error_that_names_secret_file_key_and_remedy(tmp_path: Path) -> None:
    error = refusal(tmp_path, WITH_KEYS, secrets_in(tmp_path))

    assert "acme.yaml: storage.credentials.secret_key: the secret 'acme-key' is not in" in error
    assert f"Put it into the file {tmp_path}/vault/acme-key." in error


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", ".", "a//b", ".hidden"])
def test_a_secret_never_comes_from_outside_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("hunter2")

    error = refusal(tmp_path, WITH_KEYS.replace("acme-key", name), secrets_in(tmp_path))

    assert "cannot name a secret" in error


def test_a_secret_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    main = secrets_in(tmp_path)
    (tmp_path / "vault" / "acme-key").write_bytes(b"\xff\xfe\x00")

    assert "it is no UTF-8 text" in refusal(tmp_path, WITH_KEYS, main)


def test_an_empty_secret_is_an_error(tmp_path: Path) -> None:
    error = refusal(tmp_path, WITH_KEYS, secrets_in(tmp_path, acme_key="\n"))

    assert "storage.credentials.secret_key: expected a secret that is not empty." in error


def test_the_secrets_backend_is_not_configured_by_its_own_secrets(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"secrets\.folder: a secret cannot be used here"):
        load(tmp_path, "secrets: {folder: '${secret:place}'}")


def test_no_secret_is_shown_by_repr(tmp_path: Path) -> None:
    main = secrets_in(tmp_path, acme_key="hunter2", database="postgresql://u:hunter2@db/x")
    fleet = load(tmp_path, f"{main}\ndatabase: {{url: '${{secret:database}}'}}", acme=WITH_KEYS)

    assert fleet.errors == {}
    assert "hunter2" not in repr(fleet)
    assert "hunter2" not in str(fleet.integration("acme"))
    assert "hunter2" not in fleet.settings.model_dump_json()
    assert fleet.settings.control_url() == "postgresql://u:hunter2@db/x"


@pytest.mark.parametrize(
    "text",
    [
        ACME.replace("bucket:", "credentials: hunter2\n      bucket:"),
        ACME.replace("bucket:", "credentials: {secret_key: [hunter2]}\n      bucket:"),
        ACME.replace("bucket:", "credentials: {access_key: A, secret_key: 5, profile: hunter2}\n      bucket:"),
        ACME.replace("bucket:", "credentials: {sekret_key: hunter2}\n      bucket:"),
        ACME.replace("acme-data", "${KEY}/x"),
        ACME.replace("https://files.example.com", "https://user:hunter2@files.example.com"),
        f"{ACME}\n      auth: {{type: hunter2}}\n",
        f"{ACME}\n      auth: hunter2\n",
        f"{ACME}\n      auth: {{type: bearer, tokn: hunter2}}\n",
        f"{ACME}\n    sync: {{interval: '${{KEY}}'}}\n",
        f"{ACME}\n    sync: {{interval: '${{secret:key}}'}}\n",
    ],
)
def test_no_secret_is_shown_by_an_error(tmp_path: Path, text: str) -> None:
    fleet = load(tmp_path, secrets_in(tmp_path, key="hunter2"), {"KEY": "hunter2"}, acme=text)

    assert "hunter2" not in error_of(fleet)
    assert "hunter2" not in repr(fleet.errors["acme"])


def test_an_error_shows_the_reference_in_place_of_what_it_holds(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"{ACME}\n    sync: {{interval: '${{EVERY}}'}}\n", environ={"EVERY": "often"})

    assert "found '${EVERY}'" in error
    assert "often" not in error


def test_a_field_of_a_secret_that_is_a_json_object_can_be_chosen(tmp_path: Path) -> None:
    main = secrets_in(tmp_path, s3='{"secret_key": "chosen", "other": "not"}\n')
    text = WITH_KEYS.replace("acme-key", "s3#secret_key")
    assert secret_key(tmp_path, main, text) == "chosen"
    told = refusal(tmp_path, WITH_KEYS.replace("acme-key", "s3#nothing"), main)
    assert "the field 'nothing' of the secret 's3' is not there" in told
    assert "chosen" not in told


def test_secrets_that_kubernetes_replaces_are_read_together(tmp_path: Path) -> None:
    # As the kubelet mounts them: files are links into `..data`, a link to a folder of one generation.
    mounted = tmp_path / "vault"
    mounted.mkdir()

    def generation(name: str) -> None:
        (mounted / f"..{name}").mkdir()
        for secret in ("access", "secret"):
            (mounted / f"..{name}" / secret).write_text(f"{secret}-of-{name}\n")
        (mounted / "..data_tmp").symlink_to(f"..{name}")
        (mounted / "..data_tmp").replace(mounted / "..data")

    generation("first")
    for secret in ("access", "secret"):
        (mounted / secret).symlink_to(f"..data/{secret}")
    before = FileSecrets(mounted)
    assert before.get("access") == "access-of-first"
    generation("second")
    assert before.get("secret") == "secret-of-first"
    assert FileSecrets(mounted).get("secret") == "secret-of-second"
    # Its folder is deleted in the end, and then what there is counts.
    shutil.rmtree(mounted / "..first")
    assert before.get("secret") == "secret-of-second"
    assert (
        secret_key(tmp_path, "secrets: {folder: vault}", WITH_KEYS.replace("acme-key", "secret")) == "secret-of-second"
    )
