"""What may stand in the files, and what is said where something else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline.config.fields import Retention, Rotation
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.core.rules import DeletePolicy, Policy
from cloudsync_tests.config.builders import ACME, LOCAL, load, refusal


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    acme = load(tmp_path, acme=ACME).integration("acme")

    assert acme.sync.interval == 300
    assert acme.sync.initial_sync_on_startup is True
    assert acme.destination_prefix == "acme"
    assert acme.feed is None
    assert acme.rules == Policy()


def test_the_familiar_keys_are_there(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        """
            database: {path: /var/lib/sync.db, backup_enabled: false, backup_interval: 12h}
            logging: {level: debug, file: logs/sync.log, rotation: 1 day, retention: 30 days}
            api:
              endpoints: {file_manager: "https://files.example.com/", reporting: "https://reports.example.com"}
              timeout: 45
              retry_attempts: 5
        """,
        acme="""
            storage:
              type: s3
              endpoint: http://10.0.0.1:9000
              bucket: acme
              credentials: {access_key: AKIA, secret_key: hidden}
            sync: {interval: 600, initial_sync_on_startup: false}
        """,
    )

    settings, acme = fleet.settings, fleet.integration("acme")
    file_manager = acme.file_manager.model_dump()
    assert settings.state_folder == Path("/var/lib/sync")
    assert settings.database.backup_enabled is False
    assert settings.database.backup_interval == 12 * 3600
    assert settings.logging.level == "DEBUG"
    assert settings.logging.file == tmp_path / "logs" / "sync.log"
    assert settings.logging.rotation == Rotation(seconds=86_400)
    assert settings.logging.retention == Retention(seconds=30 * 86_400)
    assert file_manager["url"] == "https://files.example.com"
    assert file_manager["reporting_url"].get_secret_value() == "https://reports.example.com"
    assert file_manager["timeout"] == 45
    assert acme.rules.retry_attempts == 5
    assert acme.sync.interval == 600
    assert acme.sync.initial_sync_on_startup is False


def test_an_integration_overrides_what_the_main_file_says_of_the_api(tmp_path: Path) -> None:
    acme = load(
        tmp_path,
        "api: {timeout: 45, retry_attempts: 5, endpoints: {file_manager: 'https://shared.example.com'}}",
        acme=f"{ACME}      timeout: 10\n    sync: {{retry_attempts: 2}}\n",
    ).integration("acme")

    assert acme.file_manager.model_dump()["url"] == "https://files.example.com"
    assert acme.file_manager.model_dump()["timeout"] == 10
    assert acme.rules.retry_attempts == 2


def test_the_policy_is_the_engines(tmp_path: Path) -> None:
    acme = load(
        tmp_path,
        acme=f"""{ACME}
    policy: {{deletes: keep, max_delete_ratio: 0.1, min_deletes: 5, quarantine_after: 2, read_permissions: false}}
    sync: {{transfers: 4, max_bytes_in_flight: 8MiB, retry_attempts: 1, events_per_run: 50}}
""",
    ).integration("acme")

    assert acme.rules == Policy(
        deletes=DeletePolicy.KEEP,
        max_delete_ratio=0.1,
        min_deletes=5,
        quarantine_after=2,
        read_permissions=False,
        transfers=4,
        max_bytes_in_flight=8 * 2**20,
        retry_attempts=1,
        events_per_run=50,
    )


def test_without_a_feed_every_sync_is_a_full_scan(tmp_path: Path) -> None:
    acme = load(tmp_path, acme=f"{LOCAL}\n    sync: {{interval: 15m}}\n").integration("acme")

    assert acme.sync.reconcile_interval == 900


def test_with_a_feed_the_full_scan_is_daily(tmp_path: Path) -> None:
    acme = load(tmp_path, acme=f"{LOCAL}\n    feed: {{type: memory}}\n").integration("acme")

    assert acme.sync.reconcile_interval == 86_400


def test_the_time_between_full_scans_can_be_said(tmp_path: Path) -> None:
    acme = load(tmp_path, acme=f"{LOCAL}\n    sync: {{reconcile_interval: 6h}}\n").integration("acme")

    assert acme.sync.reconcile_interval == 6 * 3600


def test_a_feed_is_the_file_managers_own_by_default(tmp_path: Path) -> None:
    feed = (
        load(
            tmp_path,
            acme=f"""{ACME}
      auth: {{type: bearer, token: t0ken}}
      timeout: 7
    feed: {{type: http}}
""",
        )
        .integration("acme")
        .feed
    )

    assert feed is not None
    values = feed.model_dump()
    assert values["url"] == "https://files.example.com"
    assert values["auth"]["token"].get_secret_value() == "t0ken"
    assert values["timeout"] == 7
    assert values["event_paths"] == "prefixed"


def test_a_file_managers_login_is_sent_to_no_other_server(tmp_path: Path) -> None:
    feed = (
        load(
            tmp_path,
            acme=f"""{ACME}
      auth: {{type: bearer, token: t0ken}}
    feed: {{type: http, url: "https://events.example.com"}}
""",
        )
        .integration("acme")
        .feed
    )

    assert feed is not None
    assert feed.model_dump()["auth"] == {"type": "none"}


def test_a_feed_needs_an_address_where_the_file_manager_has_none(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"{LOCAL}\n    feed: {{type: http}}\n")

    assert "feed.url: is missing; expected the feed's address" in error


def test_an_unknown_key_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    error = refusal(tmp_path, ACME.replace("bucket:", "bukcet:"))

    assert "acme.yaml: storage.bukcet: unknown key; did you mean `bucket`?" in error
    assert "is missing" not in error


def test_an_unknown_key_that_is_like_no_other_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"{ACME}\n    sync: {{zzz: 1}}\n")

    assert "sync.zzz: unknown key; known here are `interval`, `reconcile_interval`" in error


def test_an_unknown_key_of_the_main_file_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cloudsync\.yaml: database\.pth: unknown key; did you mean `path`\?"):
        load(tmp_path, "database: {pth: /tmp}")


def test_a_key_of_integrations_in_the_main_file_is_told_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"storage, sync: a key of integrations\. Put it under `defaults:`"):
        load(tmp_path, "storage: {type: s3}\nsync: {interval: 5}")


def test_a_missing_section_is_an_error_that_names_it(tmp_path: Path) -> None:
    error = refusal(tmp_path, "file_manager: {type: memory}")

    assert "acme.yaml: storage: is missing; expected where the objects are, with its `type`" in error


def test_an_unknown_type_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    error = refusal(tmp_path, ACME.replace("type: s3", "type: s33"))

    assert "storage.type: expected one of `s3`, `local`, `memory`, found 's33'" in error
    assert "Did you mean `s3`?" in error


def test_a_missing_type_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    error = refusal(tmp_path, ACME.replace("type: http_api", "timeout: 5"))

    assert "file_manager.type: is missing; expected one of `http_api`, `local`, `memory`" in error


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"{ACME}\n    sync: {{interval: soon, transfers: 0}}\n    ownr: ann\n")

    assert "acme: 3 problems in the configuration:" in error
    assert "\n  - " in error
    assert "sync.interval: expected a duration" in error
    assert "sync.transfers: expected at least 1, found 0" in error
    assert "ownr: unknown key; did you mean `owner`?" in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sync: {transfers: many}", "sync.transfers: expected a whole number, found 'many'."),
        ("sync: {transfers: 1.5}", "sync.transfers: expected a whole number, found 1.5."),
        ("sync: {initial_sync_on_startup: maybe}", "expected true or false, found 'maybe'."),
        ("sync: 5", "sync: expected a section of keys, found 5."),
        ("sync: [5]", "sync: expected a section of keys, found a list."),
        ("policy: {max_delete_ratio: 50}", "policy.max_delete_ratio: expected at most 1, found 50."),
        ("policy: {deletes: propogate}", "found 'propogate'. Did you mean `propagate`?"),
        ("owner: 5", "owner: expected text (in quotes where it looks like a number"),
        ("tags: {tier: 1}", "tags.tier: expected text"),
        ("destination_prefix: null", "destination_prefix: expected text"),
    ],
)
def test_an_error_tells_key_finding_and_expectation(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, f"{ACME}\n    {text}\n")


@pytest.mark.parametrize("prefix", ["../other", "a/../b", "/acme", "acme/", "a//b", ".", "a/./b", '"a\\tb"', '"\\0"'])
def test_a_destination_that_leaves_its_folder_is_an_error(tmp_path: Path, prefix: str) -> None:
    error = refusal(tmp_path, f"{ACME}\n    destination_prefix: {prefix}\n")

    assert "destination_prefix: expected a path like `acme` or `customers/acme`, without `..`" in error


@pytest.mark.parametrize("prefix", ["customers/acme", "Acme & Söhne", ""])
def test_a_destination_can_be_said(tmp_path: Path, prefix: str) -> None:
    acme = load(tmp_path, acme=f'{ACME}\n    destination_prefix: "{prefix}"\n').integration("acme")

    assert acme.destination_prefix == prefix


@pytest.mark.parametrize("address", ["files.example.com", "ftp://files", "http://", "http://host:0x", "https://h/?a=b"])
def test_an_address_that_is_none_is_an_error(tmp_path: Path, address: str) -> None:
    error = refusal(tmp_path, ACME.replace("https://files.example.com", f'"{address}"'))

    assert "file_manager.url: expected an address" in error


def test_the_address_of_a_webhook_may_have_a_query_and_is_not_shown(tmp_path: Path) -> None:
    fleet = load(tmp_path, acme=f"{ACME}      reporting_url: 'https://hooks.example.com/?key=hunter2'\n")

    assert "hunter2" not in repr(fleet.integration("acme"))
    assert "hunter2" in fleet.integration("acme").file_manager.model_dump()["reporting_url"].get_secret_value()


def test_keys_that_belong_together_are_told(tmp_path: Path) -> None:
    error = refusal(tmp_path, ACME.replace("bucket:", "credentials: {access_key: A}\n      bucket:"))

    assert "storage.credentials: expected `access_key` and `secret_key` together." in error


@pytest.mark.parametrize(
    ("source", "files"), [("/srv", "/srv/files"), ("/srv/files/acme/in", "/srv/files"), ("/srv/x", "/srv/y/../x")]
)
def test_a_folder_is_not_synced_into_itself(tmp_path: Path, source: str, files: str) -> None:
    error = refusal(
        tmp_path,
        f"""
            storage: {{type: local, path: {source}}}
            file_manager: {{type: local, path: {files}}}
        """,
    )

    assert "expected storage and file manager to be folders apart" in error


def test_folders_side_by_side_are_synced(tmp_path: Path) -> None:
    assert load(tmp_path, acme=LOCAL).errors == {}


def test_the_control_database_is_beside_the_state_by_default(tmp_path: Path) -> None:
    settings = load(tmp_path, "database: {path: var}").settings

    assert settings.control_url() == f"sqlite:///{tmp_path}/var/control.db"
    assert settings.integration_folder("acme") == tmp_path / "var" / "integrations" / "acme"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("type: sqs", "feed.queue_url: is missing; expected the queue's address, with its account and name"),
        ("type: sqs, queue_url: my-queue", "feed.queue_url: expected an address that begins with http:// or https://"),
        ("type: sqs, queue_url: 'https://q/1', wait: 30", "feed.wait: expected at most 20, found 30"),
        ("type: sqs, queue_url: 'https://q/1', visibility_timeout: 13h", "expected at most 43200"),
        ("type: sqs, queue_url: 'https://q/1', credentials: {anonymous: true}", "cannot be read anonymously"),
        ("type: inbox, event_path: bare", "feed.event_path: unknown key; did you mean `event_paths`?"),
        ("type: queue", "feed.type: expected one of `http`, `sqs`, `inbox`, `memory`, found 'queue'"),
    ],
)
def test_feeds_that_cannot_be_used_are_errors(tmp_path: Path, written: str, says: str) -> None:
    assert says in refusal(tmp_path, f"{LOCAL}\n    feed: {{{written}}}\n")
