"""Pages hold every row once, wherever their edges fall."""

from __future__ import annotations

import pytest

from cloudsync_pipeline.lake import Lake, pages
from cloudsync_tests.lake.builders import run_sql


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_an_edge_between_the_two_debts_of_one_path_loses_neither(lake: Lake, limit: int) -> None:
    owed = [(path, aspect) for path in ("a", "b", "c") for aspect in ("content", "permissions")]
    for path, aspect in reversed(owed):
        run_sql(
            lake,
            "INSERT INTO owed (path, aspect, since, touched_at, quarantined_at) VALUES (?, ?, now(), now(), now())",
            [path, aspect],
        )
    found: list[tuple[str, str]] = []
    while page := pages.quarantine(lake, limit=limit, after=found[-1] if found else None):
        assert len(page) <= limit
        found += [(one.path, one.aspect) for one in page]
    assert found == owed
