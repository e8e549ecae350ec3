"""State on a network file system is noticed, because locks there cannot be relied on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cloudsync_pipeline.control import Control, database
from cloudsync_pipeline.control.mounts import network_file_system

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:50 / /srv rw,relatime shared:2 - nfs4 server:/export rw,vers=4.2
31 30 8:2 / /srv/local\040disk rw,relatime - xfs /dev/sdb1 rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/srv/state", "nfs4"), ("/srv", "nfs4"), ("/srv/local disk/state", None), ("/srvx", None), ("/home", None)],
)
def test_the_nearest_mount_tells(tmp_path: Path, folder: str, kind: str | None) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert network_file_system(Path(folder), tmp_path / "mountinfo") == kind


def test_nobody_can_tell_without_such_a_list(tmp_path: Path) -> None:
    assert network_file_system(tmp_path, tmp_path / "none") is None


def test_a_control_database_on_a_network_file_system_is_warned_about_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "network_file_system", lambda folder: "nfs4")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            Control.open(f"sqlite:///{tmp_path}/control.db").close()
    (record,) = caplog.records
    assert f"{tmp_path}/control.db is on a network file system (nfs4)" in record.getMessage()
    assert "set database.url to a PostgreSQL database" in record.getMessage()
