"""Where log lines go: standard error, and a file with rotation and retention; each line says which run it is about."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from cloudsync_pipeline.core.errors import ConfigError

if TYPE_CHECKING:
    from cloudsync_pipeline.config.settings import LoggingSettings

_PACKAGE = "cloudsync_pipeline"
_configuring = threading.Lock()
_about: ContextVar[tuple[str | None, str | None]] = ContextVar("about", default=(None, None))


class _Rotation(Protocol):
    @property
    def bytes(self) -> int | None: ...
    @property
    def seconds(self) -> float | None: ...


class _Retention(Protocol):
    @property
    def files(self) -> int | None: ...
    @property
    def seconds(self) -> float | None: ...


def configure(settings: LoggingSettings, *, console: str | None = None, details: bool = True) -> None:
    """Log as configured; calling it again replaces what an earlier call set up.

    Args:
        settings: level, file, rotation, retention and format.
        console: the least level on standard error; by default the configured one.
        details: show records marked with `extra={"details": True}` there too; False keeps them for the file.

    Raises:
        ConfigError: the file cannot be written.
    """
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, LogFile | _Console)]:
        root.removeHandler(old)
        old.close()
    handlers: list[logging.Handler] = [_Console(console or settings.level)]
    if settings.file is not None:
        handlers.append(LogFile(settings.file, settings.rotation, settings.retention, level=settings.level))
    formatter = JsonLines() if settings.format == "json" else TextLines()
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(_add_about)
        root.addHandler(handler)
    if not details:
        handlers[0].addFilter(lambda record: not getattr(record, "details", False))
    # The libraries' own details are theirs; their warnings are ours.
    logging.getLogger(_PACKAGE).setLevel(min(rank(settings.level), *(one.level for one in handlers)))


def configure_file(settings: LoggingSettings) -> LogFile | None:
    """Log to the configured file from a process whose console and root logger are somebody else's.

    Calling it again changes nothing, unless the settings did: then it replaces what an earlier call set up.

    Returns:
        The file, or None where none is configured.

    Raises:
        ConfigError: the file cannot be written.
    """
    logger = logging.getLogger(_PACKAGE)
    with _configuring:
        # Dagster sets its own level for every run.
        logger.setLevel(settings.level)
        for old in [one for one in logger.handlers if isinstance(one, LogFile)]:
            if old.settings == settings:
                return old
            logger.removeHandler(old)
            old.close()
        for other in [one for one in logging.getLogger().handlers if isinstance(one, _Libraries)]:
            logging.getLogger().removeHandler(other)
        if settings.file is None:
            return None
        file = LogFile(settings.file, settings.rotation, settings.retention, level=settings.level)
        file.settings = settings
        file.setFormatter(JsonLines() if settings.format == "json" else TextLines())
        file.addFilter(_add_about)
        # Before any other: Dagster's handler changes the message.
        logger.handlers.insert(0, file)
        logging.getLogger().addHandler(_Libraries(file))
        return file


def rank(level: str) -> int:
    """A level's number; a higher one is more urgent."""
    return logging.getLevelNamesMapping()[level]


@contextmanager
def about(*, integration: str | None = None, run_id: str | None = None) -> Iterator[None]:
    """Within it, log lines of this task or thread, and of those it starts, carry the integration and the run id.

    What is not given stays as it was outside. A thread that is started by hand takes its starter's context along
    (`contextvars.copy_context().run`), as `asyncio.to_thread` does by itself.
    """
    before = _about.get()
    _about.set((integration or before[0], run_id or before[1]))
    try:
        yield
    finally:
        # Not by a token: a session may be closed from another task than the one that opened it.
        _about.set(before)


def mark(*, integration: str) -> None:
    """Let all further lines of this task carry an integration."""
    _about.set((integration, None))


def _add_about(record: logging.LogRecord) -> bool:
    integration, run_id = _about.get()
    record.integration = getattr(record, "integration", None) or integration
    record.run_id = getattr(record, "run_id", None) or run_id
    return True


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO engine.sync [acme 01HX...] message`."""

    def format(self, record: logging.LogRecord) -> str:
        """One record, its traceback below it."""
        which = " ".join(filter(None, (getattr(record, "integration", None), getattr(record, "run_id", None))))
        line = f"{_time(record)} {record.levelname} {record.name.removeprefix(_PACKAGE + '.')}"
        line += f" [{which}] {_one_line(record.getMessage())}" if which else f" {_one_line(record.getMessage())}"
        return line + _trace(self, record)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, integration, run_id, and traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        document: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "integration": getattr(record, "integration", None),
            "run_id": getattr(record, "run_id", None),
        }
        if trace := _trace(self, record).strip():
            document["traceback"] = trace
        return json.dumps(document)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(message: str) -> str:
    # A key with a line break in it must not look like a log line of its own.
    return message.replace("\r", "\\r").replace("\n", "\\n").encode("utf-8", "backslashreplace").decode()


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return "\n" + formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


class _Console(logging.StreamHandler[TextIO]):
    """Standard error as it is at the moment, so that progress bars, which replace it, stay whole."""

    def __init__(self, level: str) -> None:
        logging.Handler.__init__(self, level)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """Ignore what the base class sets."""


class _Libraries(logging.Handler):
    """Lets a file have what libraries warn of, where the package's own lines reach it by another way."""

    def __init__(self, file: LogFile) -> None:
        super().__init__(logging.WARNING)
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on; Dagster keeps what it says itself in its own logs."""
        room = record.name.partition(".")[0]
        if room not in {_PACKAGE, "dagster"}:
            self._file.handle(record)


class LogFile(logging.Handler):
    """A file that is closed and named by its time when it is large or old enough; closed ones are deleted in time.

    Several processes may write to one file: whoever finds it large enough first begins the next one, under a lock,
    and the others notice and follow.

    Args:
        file: where to write; its folder is made.
        rotation: at how many bytes, or how many seconds after it was begun, a new file is begun.
        retention: how many closed files are kept, or for how many seconds.
        level: the least level.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, file: Path, rotation: _Rotation, retention: _Retention, *, level: str = "INFO") -> None:
        super().__init__(level)
        self.settings: LoggingSettings | None = None
        self._file = file
        self._rotation = rotation
        self._retention = retention
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._open()
        except OSError as error:
            raise ConfigError(
                f"the log file {file} cannot be written: {error.strerror}.", remedy="Correct `logging.file`."
            ) from error
        self._delete_old()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, in a new file where it is time for one."""
        try:
            self._follow()
            if self._is_due():
                self._begin_next()
            self._stream.write(self.format(record) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.handleError(record)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._stream.close()
        super().close()

    def _open(self) -> TextIO:
        stream = self._file.open("a", encoding="utf-8", errors="backslashreplace")
        begun = self._file.with_name(f".{self._file.name}.begun")
        # A file's age: its own times change with every line.
        if stream.tell() == 0 or not begun.exists():
            begun.touch()
            os.utime(begun)
        self._begun = begun.stat().st_mtime
        return stream

    def _is_ours(self) -> bool:
        try:
            there = self._file.stat()
        except FileNotFoundError:
            return False
        ours = os.fstat(self._stream.fileno())
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _follow(self) -> None:
        if not self._is_ours():
            self._stream.close()
            self._stream = self._open()

    def _is_due(self) -> bool:
        if self._stream.tell() == 0:
            return False
        if self._rotation.bytes is not None:
            return self._stream.tell() >= self._rotation.bytes
        return self._rotation.seconds is not None and time.time() - self._begun >= self._rotation.seconds

    def _begin_next(self) -> None:
        fcntl.flock(self._stream, fcntl.LOCK_EX)
        # Another process may have begun the next one while we waited for the lock.
        if self._is_ours():
            self._file.rename(self._closed_name())
        self._stream.close()
        self._stream = self._open()
        self._delete_old()

    def _closed_name(self) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        return self._file.with_name(f"{self._file.stem}-{stamp}{self._file.suffix}")

    def _delete_old(self) -> None:
        closed = sorted(self._file.parent.glob(f"{self._file.stem}-[0-9]*T[0-9]*{self._file.suffix}"), reverse=True)
        if self._retention.files is not None:
            old = closed[self._retention.files :]
        else:
            limit = time.time() - (self._retention.seconds or 0)
            old = [one for one in closed if _modified(one) < limit]
        for one in old:
            one.unlink(missing_ok=True)


def _modified(file: Path) -> float:
    with suppress(FileNotFoundError):
        return file.stat().st_mtime
    return time.time()
