"""What each error and each verdict means for a script."""

from __future__ import annotations

import inspect

import pytest

from cloudsync_pipeline.cli.exit_codes import MEANINGS, ExitCode, of_error, of_error_kind, of_verdict, worst
from cloudsync_pipeline.core import errors
from cloudsync_pipeline.engine.results import Verdict

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.CloudSyncError) and kind is not errors.CloudSyncError
]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 5),
        (errors.IdentityChanged("x"), 5),
        (errors.AccessDenied("x"), 6),
        (errors.ContainerNotFound("x"), 6),
        (errors.Unreachable("x"), 6),
        (errors.LockHeld("x"), 7),
        (errors.SnapshotGone("x"), 8),
        (errors.Paused("x"), 9),
        (errors.DeleteNotApproved("x"), 4),
        (ValueError("x"), 1),
    ],
)
def test_errors_have_the_documented_codes(error: Exception, code: int) -> None:
    assert of_error(error) == code


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_of_ours_has_a_code_of_its_own_kind(kind: type[errors.CloudSyncError]) -> None:
    assert of_error(kind("x")) not in {ExitCode.OK, ExitCode.UNEXPECTED}


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_known_by_its_name_alone_has_the_same_code(kind: type[errors.CloudSyncError]) -> None:
    assert of_error_kind(kind.__name__) == of_error(kind("x"))


@pytest.mark.parametrize("name", ["Failure", "annotations", "ClassVar", ""])
def test_a_name_that_is_no_error_of_ours_is_unexpected(name: str) -> None:
    assert of_error_kind(name) == ExitCode.UNEXPECTED


@pytest.mark.parametrize(
    ("verdict", "code"), [("in_sync", 0), ("planned", 0), ("partial", 3), ("held", 4), ("failed", 1)]
)
def test_verdicts_have_the_documented_codes(verdict: str, code: int) -> None:
    assert of_verdict(verdict) == code


def test_every_verdict_is_known() -> None:
    assert {of_verdict(verdict.value) for verdict in Verdict if verdict is not Verdict.FAILED} == {0, 3, 4}


def test_the_worst_of_several_counts() -> None:
    assert worst([ExitCode.OK, ExitCode.HELD, ExitCode.PARTIAL]) == ExitCode.PARTIAL
    assert worst([ExitCode.CONNECTION, ExitCode.CONFIGURATION, ExitCode.LOCKED]) == ExitCode.CONFIGURATION
    assert worst([ExitCode.UNEXPECTED, ExitCode.STATE]) == ExitCode.UNEXPECTED
    assert worst([]) == ExitCode.OK


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_code_can_be_compared_and_is_explained(code: ExitCode) -> None:
    assert worst([ExitCode.OK, code]) == code
    assert MEANINGS[code]
