"""How the devserver answers: JSON, and refusals with a code."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

MAX_PATH_BYTES = 4096
MAX_NESTING = 100


class Refusal(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        code: stable word for programs.
        message: one sentence for people.
        also: more fields of the answer.
    """

    def __init__(self, status: int, code: str, message: str, **also: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.also = also

    def answer(self) -> Answer:
        return Answer({"error": {"code": self.code, "message": self.message}, **self.also}, self.status)


class Answer(JSONResponse):
    """JSON in ASCII: metadata and events may hold lone surrogates, which have no UTF-8 form."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def not_found(path: str) -> Refusal:
    """Nothing stands at this path: the one meaning of 404 beside an unknown route."""
    return Refusal(404, "not_found", "there is no file at this path", file_path=path)


def strict_json(text: str | bytes, what: str) -> Any:
    """Parse JSON as RFC 8259 has it: no NaN, no Infinity; and not so deep that it could not be written again.

    Raises:
        Refusal: 400 `invalid_json`.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"{what} is not valid JSON: {error}") from error
    if _deeper(value, MAX_NESTING):
        raise Refusal(400, "invalid_json", f"{what} is nested deeper than {MAX_NESTING} levels")
    return value


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(each, levels - 1) for each in inner)


def checked_path(path: str, name: str = "file_path") -> str:
    """The path itself, if this server can hold it.

    Raises:
        Refusal: 400 `missing_field` for an empty one, `path_rejected` for one it cannot hold.
    """
    if not path:
        raise Refusal(400, "missing_field", f"{name} is missing or empty")
    if "\x00" in path:
        raise Refusal(400, "path_rejected", f"{name} holds the character U+0000", **{name: path})
    size = len(path.encode("utf-8", "surrogatepass"))
    if size > MAX_PATH_BYTES:
        raise Refusal(400, "path_rejected", f"{name} has {size} bytes; at most {MAX_PATH_BYTES} are possible")
    return path
