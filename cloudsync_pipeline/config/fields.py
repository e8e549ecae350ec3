"""The kinds of value that settings have: durations, sizes, addresses, places on disk.

Validators raise `PydanticCustomError` whose text completes "expected ...", see `config.explain`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from cloudsync_pipeline.config.deferred import Deferred, is_deferred

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LONG_UNITS = {
    "millisecond": "ms",
    "sec": "s",
    "second": "s",
    "min": "m",
    "minute": "m",
    "hour": "h",
    "day": "d",
    "week": "w",
}
_BYTES = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}

_DURATION_HELP = "a duration: seconds, or text like `30s`, `5m`, `1h30m`, `1 day`"
_SIZE_HELP = "a size: bytes, or text like `512KiB`, `64MiB`, `10 MB`"


class Section(BaseModel):
    """A mapping in the configuration: unknown keys are errors, and no error shows a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)


def parse_duration(value: object) -> float | None:
    """Seconds, or None where `value` is no duration."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) and value >= 0 else None
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if _AMOUNT.sub("", text).strip():
        return None
    total = 0.0
    for amount, name in _AMOUNT.findall(text):
        unit = name if name in _SECONDS else _LONG_UNITS.get(name.removesuffix("s"), "")
        if unit not in _SECONDS:
            return None
        total += float(amount) * _SECONDS[unit]
    return total


def _parse_size(value: object) -> int | None:
    """Bytes, or None where `value` is no size."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if not isinstance(value, str):
        return None
    text = value.strip().lower()
    if text.isdecimal():
        return int(text)
    match = _AMOUNT.fullmatch(text)
    if not match or match[2] not in _BYTES:
        return None
    return int(float(match[1]) * _BYTES[match[2]])


def _duration(value: object) -> float:
    seconds = parse_duration(value)
    if seconds is None or seconds == 0:
        raise PydanticCustomError("duration", f"{_DURATION_HELP}; more than 0")
    return seconds


def _size(value: object) -> int:
    size = _parse_size(value)
    if not size:
        raise PydanticCustomError("size", f"{_SIZE_HELP}; more than 0")
    return size


Seconds = Annotated[float, BeforeValidator(_duration)]
"""A duration above 0."""


def at_least(shortest: str) -> Callable[[float], float]:
    """A validator: a duration of so much or more."""
    least = parse_duration(shortest) or 0

    def check(value: float) -> float:
        if value < least:
            raise PydanticCustomError("too_short", f"a duration of at least {shortest}")
        return value

    return check


Bytes = Annotated[int, BeforeValidator(_size)]
"""A size above 0."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a log file is closed and a new one begun: at a size in bytes or an age in seconds; one of them is set."""

    bytes: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """Which closed log files are kept: so many, or those younger than so many seconds; one of them is set."""

    files: int | None = None
    seconds: float | None = None


def _rotation(value: object) -> Rotation:
    if isinstance(value, Rotation):
        return value
    if size := _parse_size(value):
        return Rotation(bytes=size)
    if seconds := parse_duration(value):
        return Rotation(seconds=seconds)
    raise PydanticCustomError("rotation", "a size like `10 MB`, or an age like `1 day`")


def _retention(value: object) -> Retention:
    if isinstance(value, Retention):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return Retention(files=value)
    if isinstance(value, str) and (seconds := parse_duration(value)):
        return Retention(seconds=seconds)
    raise PydanticCustomError("retention", "a number of files like 7, or an age like `30 days`")


RotationRule = Annotated[Rotation, BeforeValidator(_rotation)]
RetentionRule = Annotated[Retention, BeforeValidator(_retention)]


def _check_address(value: str) -> None:
    try:
        parts = urlsplit(value.strip())
        good = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise PydanticCustomError("address", "an address that begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError(
            "address_login", "an address without user name and password: they belong under `auth` or `credentials`"
        )


def _address(value: str) -> str:
    _check_address(value)
    if "?" in value or "#" in value:
        raise PydanticCustomError("address_query", "an address without `?` and `#`")
    return value.strip().rstrip("/")


def _secret_address(value: SecretStr) -> SecretStr:
    if is_deferred(value.get_secret_value()):
        return Deferred(value.get_secret_value(), _check_address)
    _check_address(value.get_secret_value())
    return value


Address = Annotated[str, AfterValidator(_address)]
"""An http(s) address, without a trailing slash."""

SecretAddress = Annotated[SecretStr, AfterValidator(_secret_address)]
"""An http(s) address that is a secret itself, like a webhook's; it may have a query."""


def _broker_address(value: SecretStr) -> SecretStr:
    if is_deferred(value.get_secret_value()):
        return Deferred(value.get_secret_value(), _check_broker)
    _check_broker(value.get_secret_value())
    return value


def _check_broker(value: str) -> None:
    try:
        parts = urlsplit(value.strip())
        good = parts.scheme in {"amqp", "amqps"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise PydanticCustomError("broker", "an address that begins with amqp:// or amqps://")


BrokerAddress = Annotated[SecretStr, AfterValidator(_broker_address)]
"""A RabbitMQ's address with its login, a secret."""


def _place(value: Path, info: ValidationInfo) -> Path:
    """Relative places count from the folder of the main file, not from where a process was started."""
    folder = (info.context or {}).get("folder") or Path.cwd()
    return Path(folder, value.expanduser()).absolute()


Place = Annotated[Path, AfterValidator(_place)]
"""A file or folder on disk, absolute."""


def _state_folder(value: Path) -> Path:
    return value.with_suffix("") if value.suffix == ".db" else value


StateFolder = Annotated[Place, AfterValidator(_state_folder)]
"""A folder; one that ends in `.db` means the folder of that name without the ending."""


def _destination(value: str) -> str:
    if value and (
        any(part in {"", ".", ".."} for part in value.split("/"))
        or any(ord(char) < 32 or char == "\x7f" for char in value)
    ):
        raise PydanticCustomError(
            "destination", "a path like `acme` or `customers/acme`, without `..`, and no `/` at either end"
        )
    return value


DestinationPrefix = Annotated[str, AfterValidator(_destination)]


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]


def _filled(value: SecretStr) -> SecretStr:
    if is_deferred(value.get_secret_value()):
        return Deferred(value.get_secret_value())
    if not value.get_secret_value().strip():
        raise PydanticCustomError("empty_secret", "a secret that is not empty")
    return value


Secret = Annotated[SecretStr, AfterValidator(_filled)]
"""Text that no repr, log or error shows."""
