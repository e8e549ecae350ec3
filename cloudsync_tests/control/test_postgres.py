"""Nobody takes a run without PostgreSQL for one with it."""

from __future__ import annotations

import pytest
from _pytest.outcomes import Failed, Skipped

from cloudsync_tests.control import postgres


@pytest.mark.parametrize(("ci", "outcome"), [("true", Failed), ("", Skipped)])
def test_without_postgresql_tests_are_skipped_and_fail_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(postgres, "_program", lambda name: None)

    with pytest.raises(outcome, match="PostgreSQL is not installed"), postgres.postgres():
        pytest.fail("it started")
