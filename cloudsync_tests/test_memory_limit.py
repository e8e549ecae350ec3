"""`database.memory_limit` is the limit of whoever reads or writes a lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.lake.lake import Lake

ASKED = "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
NEAR = pytest.approx(256_000_000, rel=0.01)
"""DuckDB rounds what it tells."""


def test_it_reaches_duckdb(tmp_path: Path) -> None:
    config = tmp_path / "cloudsync.yaml"
    config.write_text("database: {path: state, memory_limit: 256000000}\n", encoding="utf-8")
    settings = load_fleet(config).settings

    def told(lake: Lake) -> object:
        return lake.scalar(ASKED)

    with wiring.open_lake(settings, "one", run_id="run-1", purpose="a test") as written:
        assert told(written) == NEAR
    with wiring.open_lake(settings, "one", read_only=True) as read:
        assert told(read) == NEAR


def test_too_little_for_any_lake_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "cloudsync.yaml"
    config.write_text("database: {path: state, memory_limit: 1MB}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"memory_limit.*128000000"):
        load_fleet(config)
