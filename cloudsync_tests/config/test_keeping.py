"""Backups, and how long what is remembered is kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config.fields import Retention
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.lake import maintenance
from cloudsync_tests.config.builders import load


def test_backups_lie_beside_the_main_file_unless_told_otherwise(tmp_path: Path) -> None:
    plain = load(tmp_path, "database: {}").settings.database
    assert plain.backup_enabled is False
    assert plain.backup_path == tmp_path / "backups"
    assert plain.backup_retention == Retention(files=7)

    told = load(tmp_path, "database: {backup_enabled: true, backup_path: /mnt/backups, backup_retention: 30 days}")
    assert told.settings.database.backup_path == Path("/mnt/backups")
    assert told.settings.database.backup_retention == Retention(seconds=30 * 86_400)


def test_what_is_kept_how_long_reaches_maintenance(tmp_path: Path) -> None:
    plain = load(tmp_path, "database: {}").settings
    assert wiring.retention(plain) == maintenance.Retention()
    told = load(tmp_path, "retention: {snapshots: 2d, events: 3d, event_identities: 4d, history: 5d}").settings
    days = [timedelta(days=number) for number in (2, 3, 4, 5)]
    assert wiring.retention(told) == maintenance.Retention(*days)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("{snapshots: 1h}", r"retention\.snapshots.*a duration of at least 1d"),
        ("{history: 1d}", r"retention\.history.*a duration of at least 2d"),
        ("{dagster_runs: 1h}", r"retention\.dagster_runs.*a duration of at least 1d"),
        ("{events: 10d, event_identities: 9d}", r"retention\.event_identities.*at least as long as that of `events`"),
    ],
)
def test_what_maintenance_must_not_forget_so_soon_is_refused(tmp_path: Path, section: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        load(tmp_path, f"retention: {section}")
