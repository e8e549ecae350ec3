"""The order in which test files are run."""

from __future__ import annotations

from cloudsync_tests import conftest
from cloudsync_tests.house.root import ROOT


def test_files_that_are_run_first_are_there() -> None:
    assert [name for name in conftest.LONG if not (ROOT / "cloudsync_tests" / name).is_file()] == []
