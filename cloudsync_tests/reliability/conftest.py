"""Shares the soak's time among its tests, and adds up what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from cloudsync_tests.reliability import budget

_DONE = "done in the soak"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    budget.share_out(sum(1 for item in items if item.get_closest_marker("soak")))


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Counter[str]]:
    """What a test did, counted in words ("syncs", "kills"): printed at the end, all tests together."""
    counted = Counter[str]()
    yield counted
    for what, count in counted.items():
        record_property(f"{_DONE}: {what}", count)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    total = Counter[str]()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, count in getattr(report, "user_properties", ()):
                if getattr(report, "when", "") == "teardown" and name.startswith(_DONE):
                    total[name.removeprefix(f"{_DONE}: ")] += count
    if total:
        terminalreporter.write_line("; ".join(f"{what}: {count}" for what, count in sorted(total.items())))
