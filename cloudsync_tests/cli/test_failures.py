"""Whatever is wrong, there is one clear message that names the integration and the remedy, and no stack trace."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.demo.ports import free_ports
from cloudsync_tests.cli.builders import Place, Ran, plain_environment
from cloudsync_tests.servers import S3Server


def an_s3(server: S3Server, bucket: str, secret_key: str | None = None) -> str:
    return (
        f"storage:\n  type: s3\n  provider: seaweedfs\n  endpoint: {server.endpoint}\n  bucket: {bucket}\n"
        f"  addressing: path\n  credentials:\n    access_key: {server.access_key}\n"
        f"    secret_key: {secret_key or server.secret_key}\n"
    )


def into_a_folder(place: Place) -> str:
    folder = place.folder / "files"
    folder.mkdir(exist_ok=True)
    return f"file_manager: {{type: local, path: {folder}}}\n"


def the_message(ran: Ran) -> str:
    """The one error that was told."""
    assert "Traceback" not in ran.err + ran.out
    [line] = [one for one in ran.err.splitlines() if one.startswith("error: ")]
    return line


def test_wrong_credentials(place: Place, seaweedfs: S3Server) -> None:
    place.integration("acme", an_s3(seaweedfs, seaweedfs.new_bucket(), "wrong-secret-key") + into_a_folder(place))
    ran = place.run("initial-sync")
    assert ran.code == 6
    message = the_message(ran)
    assert message.startswith("error: acme: ")
    assert "credentials" in message or "key" in message
    assert "wrong-secret-key" not in ran.err


def test_a_missing_bucket(place: Place, seaweedfs: S3Server) -> None:
    place.integration("acme", an_s3(seaweedfs, "no-such-bucket") + into_a_folder(place))
    ran = place.run("initial-sync")
    assert ran.code == 6
    message = the_message(ran)
    assert message.startswith("error: acme: ")
    assert "no-such-bucket" in message


def test_a_file_manager_that_is_not_there(place: Place) -> None:
    [port] = free_ports(1)
    source = place.folder / "source"
    source.mkdir()
    place.integration(
        "acme",
        f"storage: {{type: local, path: {source}}}\nfile_manager: {{type: http_api, url: 'http://127.0.0.1:{port}'}}\n",
    )
    ran = place.run("initial-sync")
    assert ran.code == 6
    message = the_message(ran)
    assert message.startswith("error: acme: ")
    assert f"127.0.0.1:{port}" in message


def test_an_unknown_key(place: Place) -> None:
    place.local("acme", extra="sink: {}\n")
    ran = place.run("initial-sync")
    assert ran.code == 5
    message = the_message(ran)
    assert message.startswith("error: acme: ")
    assert "sink" in message
    assert "sync" in message


def test_an_unknown_key_in_the_main_file(place: Place) -> None:
    place.config.write_text("databases: {path: state}\n")
    ran = place.run("status")
    assert ran.code == 5
    assert "did you mean `database`?" in the_message(ran)


def test_a_missing_variable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_TOKEN", raising=False)
    place.integration(
        "acme",
        "storage: {type: memory}\n"
        "file_manager: {type: http_api, url: 'http://127.0.0.1:9', auth: {type: bearer, token: '${ACME_TOKEN}'}}\n",
    )
    ran = place.run("initial-sync")
    assert ran.code == 5
    message = the_message(ran)
    assert message.startswith("error: acme: ")
    assert "ACME_TOKEN" in message


def test_a_missing_configuration(place: Place) -> None:
    place.config.unlink()
    ran = place.run("status")
    assert ran.code == 5
    assert str(place.config) in the_message(ran)


def test_errors_are_json_too_where_json_is_asked_for(place: Place) -> None:
    place.local("one")
    ran = place.run("status", "-i", "ones", "--json")
    assert ran.code == 5
    error = ran.json()["error"]
    assert set(error) == {"kind", "message", "integration", "key", "remedy", "retryable", "exit_code"}
    assert (error["kind"], error["remedy"], error["exit_code"]) == ("ConfigError", "Did you mean 'one'?", 5)


def an_unexpected_error(place: Place, *whole: str, settings: str = "") -> tuple[int, str, str]:
    """A command in a process of its own whose control database breaks as nobody foresaw."""
    place.local("acme")
    place.config.write_text(f"database: {{path: state}}\n{settings}")
    breaking = (
        "from cloudsync_pipeline import cli, wiring\n"
        "def broken(settings): raise ZeroDivisionError('nobody foresaw this')\n"
        "wiring.open_control = broken\n"
        "cli.main()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", breaking, "--config", str(place.config), *whole],
        capture_output=True,
        text=True,
        env=plain_environment(),
        timeout=60,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


def test_an_unexpected_error_is_a_short_message_and_tells_how_to_see_more(place: Place) -> None:
    code, _, err = an_unexpected_error(place, "status")
    assert code == 1
    assert err == (
        "error: unexpected ZeroDivisionError: nobody foresaw this. Run it again with --debug for its traceback.\n"
    )


def test_an_unexpected_error_leaves_its_traceback_in_the_log(place: Place) -> None:
    log = place.folder / "cloudsync.log"
    code, _, err = an_unexpected_error(place, "status", settings=f"logging: {{file: {log}}}\n")
    assert code == 1
    assert "Traceback" not in err
    assert f"Its traceback is in {log}." in err
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("settings", ["", "logging: {level: DEBUG}\n"])
def test_debugging_shows_the_traceback(place: Place, settings: str) -> None:
    whole = () if settings else ("--debug",)
    code, _, err = an_unexpected_error(place, *whole, "status", settings=settings)
    assert code == 1
    assert "Traceback" in err


def test_an_unexpected_error_is_json_where_json_is_asked_for(place: Place) -> None:
    code, out, _ = an_unexpected_error(place, "status", "--json")
    assert code == 1
    assert '"kind": "ZeroDivisionError"' in out


def test_wiring_has_the_call_that_the_tests_above_break() -> None:
    assert callable(wiring.open_control)
