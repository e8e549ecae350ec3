"""What a file manager's answer means: a checked acknowledgement, or one of the project's errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloudsync_pipeline.core.errors import (
    BadAnswer,
    CloudSyncError,
    ConfigError,
    NotFound,
    PathRejected,
    Rejected,
)
from cloudsync_pipeline.core.fingerprint import Fingerprint
from cloudsync_pipeline.core.records import FileState, Permissions
from cloudsync_pipeline.transport.failures import status_error

_PATH_CODE = re.compile(r"(path|name)_|_(path|name)$|clash")
_PATH_WORDS = re.compile(
    r"\b(path|file ?name|name)\b.{0,40}\b(too long|invalid|illegal|not allowed|not permitted|unsupported|rejected)\b"
    r"|\b(invalid|illegal|unsupported|unsafe)\b.{0,10}\b(path|file ?name)\b",
    re.IGNORECASE,
)
_FAILED = frozenset({"error", "fail", "failed", "failure", "rejected", "denied", "invalid"})
_MISSING = frozenset({"not_found", "notfound", "not found", "missing"})
_DIGESTS = {"content_md5": ("md5", 32), "content_sha256": ("sha256", 64)}


def json_object(body: bytes, what: str, key: str | None) -> dict[str, Any]:
    """The JSON object that an answer is.

    Raises:
        BadAnswer: it is something else.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(
            f"{what} is not JSON.", key=key, remedy="Check that the address is a file manager's."
        ) from error
    if not isinstance(answer, dict):
        raise BadAnswer(f"{what} is no JSON object.", key=key)
    return answer


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, what: str, key: str | None, secrets: tuple[str, ...]
) -> CloudSyncError:
    """The error that a status outside 200 to 299 means.

    Args:
        what: the answer, in words.
        secrets: texts that must not be shown though the other side repeats them.
    """
    code, words = _told(body)
    for secret in secrets:
        words = words.replace(secret, "***")
    if 300 <= status < 400:
        return ConfigError(
            f"{what} is a redirect (HTTP {status}), and redirects are not followed.",
            key=key,
            remedy="Configure the address that it redirects to.",
        )
    if code == "no_such_route":
        return ConfigError(f"{what}: there is no such call at this address.", key=key, remedy="Check the base URL.")
    about_path = _PATH_CODE.search(code) or _PATH_WORDS.search(words)
    if status == 414 or (status in (400, 409, 413, 422) and about_path):
        return PathRejected(
            f"{what}: it cannot hold this path (HTTP {status}: {_short(words)}).",
            key=key,
            remedy="Rename the object, or exclude it from the sync.",
        )
    if status == 413:
        return Rejected(
            f"{what}: the file is too large for it (HTTP 413: {_short(words)}).",
            key=key,
            remedy="Raise the limit of the file manager or of the proxy before it, or exclude the object.",
        )
    return status_error(status, what=what, key=key, detail=words, headers=headers)


def _told(body: bytes) -> tuple[str, str]:
    """The error code and the words of a refusal, in any of the usual shapes."""
    text = body.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return "", "" if text.lstrip().startswith("<") else text
    if not isinstance(answer, dict):
        return "", text
    error = answer.get("error", answer)
    if not isinstance(error, dict):
        return str(answer.get("code", "")), str(error)
    words = error.get("message") or error.get("detail") or error.get("error") or ""
    return str(error.get("code", "")), str(words)


def _short(words: str) -> str:
    return " ".join(words.split())[:200] or "no reason given"


class Acknowledgement:
    """An answer to one operation on one file, checked field by field.

    Args:
        answer: the JSON object.
        what: the answer, in words.
        key: escaped path, for errors.
    """

    def __init__(self, answer: Mapping[str, Any], what: str, key: str) -> None:
        self._answer = answer
        self._what = what
        self._key = key

    def check_operation(self, operation: str) -> None:
        """Raises BadAnswer for another operation or a failed status, NotFound for one that means absence."""
        status = self._answer.get("status")
        if isinstance(status, str) and status.lower() in _MISSING:
            raise NotFound("No file stands at this path.", key=self._key)
        failed = isinstance(status, str) and status.lower() in _FAILED
        if failed or status is False or (isinstance(status, int) and status >= 400):
            raise self._bad(f"has the status {str(status)[:40]!r}")
        told = self._answer.get("operation")
        if told is not None and told != operation:
            raise self._bad(f"names the operation {str(told)[:40]!r} and not {operation!r}")

    def check_path(self, *allowed: str, field: str = "file_path", required: bool = True) -> str | None:
        """The path that a field names, one of `allowed`. Raises BadAnswer."""
        told = self._answer.get(field)
        if told is None and not required:
            return None
        for path in allowed:
            if told in (path, f"/{path}"):
                return path
        raise self._bad(f"does not name the path in {field!r}" if told is None else f"names another path in {field!r}")

    def state(self, path: str, *, content_hash: bool, needs_id: bool = True) -> FileState:
        """The file as the answer describes it. Raises BadAnswer where it is incomplete."""
        size = self._size()
        return FileState(
            path=path,
            internal_id=self._internal_id(needs_id),
            size=size,
            fingerprint=self._fingerprint(size) if content_hash else None,
            permissions=self.permissions(),
            saved_at=_moment(self._answer.get("saved_at")),
            content_type=self._text("file_type"),
            metadata=_texts(self._answer.get("metadata")),
        )

    def permissions(self) -> Permissions:
        return Permissions(self._text("permissions"), self._text("owner"), self._text("group"))

    def _internal_id(self, needed: bool) -> str | None:
        told = self._answer.get("internal_id")
        if isinstance(told, int) and not isinstance(told, bool):
            return str(told)
        if isinstance(told, str) and told:
            return told
        if needed or told not in (None, ""):
            raise self._bad("holds no internal_id")
        return None

    def _size(self) -> int | None:
        told = self._answer.get("size")
        if isinstance(told, str) and told.isascii() and told.isdigit():
            return int(told)
        if told is None or (isinstance(told, int) and not isinstance(told, bool) and told >= 0):
            return told
        raise self._bad("holds a size that is no number of bytes")

    def _fingerprint(self, size: int | None) -> Fingerprint | None:
        for field, (kind, digits) in _DIGESTS.items():
            told = self._answer.get(field)
            if isinstance(told, str) and size is not None and re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", told):
                return Fingerprint(kind, told.lower(), size)
        return None

    def _text(self, field: str) -> str | None:
        told = self._answer.get(field)
        return told if isinstance(told, str) and told else None

    def _bad(self, why: str) -> BadAnswer:
        return BadAnswer(
            f"{self._what} {why}.",
            key=self._key,
            remedy="The outcome is unknown until the path is looked at; report this to who runs the file manager.",
        )


def _moment(told: object) -> datetime | None:
    if not isinstance(told, str):
        return None
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _texts(told: object) -> dict[str, str]:
    if not isinstance(told, dict):
        return {}
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in told.items()}
