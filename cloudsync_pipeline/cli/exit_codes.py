"""What the command's exit code says. Scripts rely on these numbers: they never change their meaning."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from cloudsync_pipeline.core import errors


class ExitCode(IntEnum):
    """See `MEANINGS`."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    PARTIAL = 3
    HELD = 4
    CONFIGURATION = 5
    CONNECTION = 6
    LOCKED = 7
    STATE = 8
    PAUSED = 9
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done: in sync, or nothing was wrong",
    ExitCode.UNEXPECTED: "an unexpected error; the log holds its traceback",
    ExitCode.USAGE: "the command line cannot be understood",
    ExitCode.PARTIAL: "some operations failed or are quarantined; they stay owed",
    ExitCode.HELD: "the delete guard holds deletes; everything else was done",
    ExitCode.CONFIGURATION: "the configuration cannot be used",
    ExitCode.CONNECTION: "a storage, feed or file manager could not be reached, or refused",
    ExitCode.LOCKED: "another run holds the integration",
    ExitCode.STATE: "the stored state cannot be used (damaged, expired, of a newer release)",
    ExitCode.PAUSED: "the integration is paused or removed",
    ExitCode.INTERRUPTED: "ended by Ctrl-C",
    ExitCode.TERMINATED: "ended by SIGTERM",
}

_MILDEST_FIRST = (
    ExitCode.OK,
    ExitCode.PAUSED,
    ExitCode.HELD,
    ExitCode.PARTIAL,
    ExitCode.LOCKED,
    ExitCode.CONNECTION,
    ExitCode.CONFIGURATION,
    ExitCode.STATE,
    ExitCode.USAGE,
    ExitCode.UNEXPECTED,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
)

_BY_ERROR: tuple[tuple[type[errors.CloudSyncError], ExitCode], ...] = (
    (errors.ConfigError, ExitCode.CONFIGURATION),
    (errors.CapabilityMissing, ExitCode.CONFIGURATION),
    (errors.Paused, ExitCode.PAUSED),
    (errors.DeleteNotApproved, ExitCode.HELD),
    (errors.LockHeld, ExitCode.LOCKED),
    (errors.StateError, ExitCode.STATE),
    (errors.RemoteError, ExitCode.CONNECTION),
)

_BY_VERDICT = {
    "in_sync": ExitCode.OK,
    "planned": ExitCode.OK,
    "partial": ExitCode.PARTIAL,
    "held": ExitCode.HELD,
}


def of_error(error: BaseException) -> ExitCode:
    """The code of an error that ended something."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.UNEXPECTED)


def of_error_kind(name: str) -> ExitCode:
    """The code of an error of which only its class's name is known, as in stored results."""
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.CloudSyncError)):
        return ExitCode.UNEXPECTED
    return next((code for known, code in _BY_ERROR if issubclass(kind, known)), ExitCode.UNEXPECTED)


def of_verdict(verdict: str) -> ExitCode:
    """The code of a sync's verdict; of a failed one its error knows better."""
    return _BY_VERDICT.get(verdict, ExitCode.UNEXPECTED)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The one that counts where several integrations ended differently; 0 where there is none."""
    return max(codes, key=_MILDEST_FIRST.index, default=ExitCode.OK)


def explained() -> str:
    """The list for `--help`."""
    lines = [f"{code.value:>3}  {meaning}" for code, meaning in MEANINGS.items()]
    # With \b the help keeps the lines as they are.
    return "\b\n" + "\n".join(["Exit codes (the worst of several integrations counts):", *lines])
