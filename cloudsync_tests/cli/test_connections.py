"""`test` looks at every connection and says what to do about those that are broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cloudsync_pipeline import devserver
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.demo.ports import free_ports
from cloudsync_pipeline.lake import attach, location
from cloudsync_pipeline.wiring import checks
from cloudsync_tests.cli.builders import Place
from cloudsync_tests.cli.test_failures import an_s3
from cloudsync_tests.servers import S3Server


def test_all_is_well(place: Place, seaweedfs: S3Server, tmp_path: Path) -> None:
    with devserver.running(tmp_path / "devserver") as server:
        place.integration(
            "acme",
            an_s3(seaweedfs, seaweedfs.new_bucket())
            + f"file_manager: {{type: http_api, url: '{server.url}'}}\nfeed: {{type: http}}\n",
        )
        ran = place.run("test")
    assert ran.code == 0, ran.out
    lines = ran.out.splitlines()
    assert all(line.startswith("ok    ") for line in lines)
    for what in (
        "control database",
        "DuckDB extensions",
        "configuration",
        "storage",
        "file manager",
        "event feed",
        "stored state",
    ):
        assert sum(what in line for line in lines) == 1, what


def test_each_broken_connection_is_a_line_with_a_remedy(place: Place) -> None:
    source = place.local("one", {"a.txt": "alpha"})
    place.run("initial-sync")
    shutil.rmtree(source)
    shutil.rmtree(place.folder / "files")
    ran = place.run("test")
    assert ran.code == 6
    broken = [line for line in ran.out.splitlines() if line.startswith("FAIL  ")]
    assert [line.split(": ")[:2] for line in broken] == [["FAIL  one", "storage"], ["FAIL  one", "file manager"]]
    assert all(line.endswith(".") for line in broken)


def test_one_integration_does_not_hide_another(place: Place) -> None:
    [port] = free_ports(1)
    place.integration("broken", "nonsense: 1\n")
    place.integration(
        "away", f"storage: {{type: memory}}\nfile_manager: {{type: http_api, url: 'http://127.0.0.1:{port}'}}\n"
    )
    place.local("good")
    ran = place.run("test")
    assert ran.code == 5
    assert "FAIL  broken: configuration" in ran.out
    assert "FAIL  away: file manager" in ran.out
    assert "ok    good: file manager" in ran.out


def test_json_has_the_documented_shape(place: Place) -> None:
    shutil.rmtree(place.local("one"))
    document = place.run("test", "-i", "one", "--json").json()
    assert set(document) == {"ok", "exit_code", "checks"}
    assert (document["ok"], document["exit_code"]) == (False, 6)
    assert {one["check"]: one["ok"] for one in document["checks"]} == {
        "control database": True,
        "DuckDB extensions": True,
        "configuration": True,
        "storage": False,
        "file manager": True,
        "event feed": True,
        "stored state": True,
    }
    [broken] = [one for one in document["checks"] if not one["ok"]]
    assert broken["error"]["remedy"]


def test_an_extension_that_duckdb_did_not_sign_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = attach._in_wheel("ducklake")
    assert real is not None
    forged = tmp_path / real.name
    forged.write_bytes(real.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(attach, "_in_wheel", lambda name: forged if name == "ducklake" else None)
    monkeypatch.setattr(location.Folder, "extensions", ("ducklake",))
    (tmp_path / "cloudsync.yaml").touch()
    checked = checks.check_extensions(load_fleet(tmp_path / "cloudsync.yaml", {}))
    assert checked.error is not None
    assert "signature" in checked.error.message
    assert checked.error.remedy is not None
    assert "--force-reinstall" in checked.error.remedy
