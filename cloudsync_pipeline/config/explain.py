"""What is wrong with a configuration, as text for the person who wrote it.

Every problem names file, key, what was found and what is expected. What was found is shown as it was
written, before references are filled in, and not at all where a secret may stand.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cloudsync_pipeline.config.document import Document, Key, dotted
from cloudsync_pipeline.core.errors import ConfigError

_PRIVATE = {"auth", "credentials", "password", "token", "secret", "secret_key", "access_key", "session_token"}
_LONGEST = 80

_EXPECTED = {
    "string_type": "text (in quotes where it looks like a number, a date or a truth value)",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a file or folder",
    "finite_number": "a number",
    "string_too_short": "text that is not empty",
    "dict_type": "a section of keys",
    "model_type": "a section of keys",
    "model_attributes_type": "a section of keys",
}
_CHOSEN = {"union_tag_invalid", "union_tag_not_found", "literal_error", "enum"}
_COMPARED = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_long": "at most {max_length} characters",
}


def explain(
    error: ValidationError,
    model: type[BaseModel],
    sources: Iterable[tuple[Document, tuple[Key, ...]]],
    integration: str | None = None,
) -> ConfigError:
    """The error as text.

    Args:
        error: of validating `model`.
        model: what the whole document was validated as.
        sources: where its keys are written, the nearest first, each with the path under which they stand there.
        integration: whose document it is, if anyone's.
    """
    places = list(sources)
    found = error.errors(include_url=False, include_input=False)
    suggested: set[tuple[Key, ...]] = set()
    problems: list[str] = []
    for details in sorted(found, key=lambda one: one["type"] != "extra_forbidden"):
        where = _locate(model, details["loc"])
        if details["type"] == "missing" and where.path in suggested:
            continue
        if details["type"] == "extra_forbidden" and (near := where.nearest()):
            suggested.add((*where.path[:-1], near))
        problems.append(_problem(details, where, places))
    if len(problems) == 1:
        return ConfigError(problems[0], integration=integration)
    listed = "".join(f"\n  - {problem}" for problem in problems)
    return ConfigError(f"{len(problems)} problems in the configuration:{listed}", integration=integration)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely meant to be."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


class _Where:
    """A place in a model: the path of keys that leads there, and what the model says about it."""

    def __init__(self, path: tuple[Key, ...], field: FieldInfo | None, owner: type[BaseModel] | None) -> None:
        self.path = path
        self.field = field
        self.owner = owner

    @property
    def known(self) -> list[str]:
        return list(self.owner.model_fields) if self.owner else []

    def nearest(self) -> str | None:
        return nearest(str(self.path[-1]), self.known) if self.path else None

    @property
    def choices(self) -> list[str]:
        return _choices(self.field.annotation) if self.field else []

    @property
    def private(self) -> bool:
        return not _PRIVATE.isdisjoint(str(part) for part in self.path) or (
            self.field is not None and SecretStr in _members(self.field.annotation)
        )


def _locate(model: type[BaseModel], loc: tuple[Key, ...]) -> _Where:
    """Follow pydantic's location, which holds the chosen `type` of a section besides its keys."""
    here: list[Any] = [model]
    path: tuple[Key, ...] = ()
    field: FieldInfo | None = None
    owner: type[BaseModel] | None = None
    for part in loc:
        if isinstance(part, int):
            path = (*path, part)
            here = [item for one in here if get_origin(one) is list for item in get_args(one)]
            field = FieldInfo(annotation=here[0]) if here else None
            continue
        models = [one for one in here if isinstance(one, type) and issubclass(one, BaseModel)]
        if len(models) > 1:
            here = [one for one in models if part in get_args(one.model_fields["type"].annotation)]
            continue
        path = (*path, part)
        owner = models[0] if models else None
        field = owner.model_fields.get(str(part)) if owner else None
        here = _members(field.annotation) if field else []
    return _Where(path, field, owner)


def _members(annotation: Any) -> list[Any]:
    """The types that an annotation allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return [member for one in get_args(annotation) for member in _members(one)]
    return [annotation]


def _problem(details: ErrorDetails, where: _Where, places: list[tuple[Document, tuple[Key, ...]]]) -> str:
    kind, path = details["type"], where.path
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        path = (*path, "type")
    document, under, value, there = _written(path, places)
    place = f"{document.label}: {dotted((*under, *path))}" if path else document.label
    if kind == "extra_forbidden":
        near = where.nearest()
        hint = f"did you mean `{near}`?" if near else f"known here are {_listed(where.known)}."
        return f"{place}: unknown key; {hint}"
    expected = _expected(details, where)
    if kind in {"missing", "union_tag_not_found"}:
        return f"{place}: is missing; expected {expected}."
    if not there or where.private or (isinstance(value, Mapping | list) and kind not in _EXPECTED):
        return f"{place}: expected {expected}."
    near = nearest(value, where.choices) if isinstance(value, str) else None
    hint = f" Did you mean `{near}`?" if near else ""
    return f"{place}: expected {expected}, found {_shown(value)}.{hint}"


def _written(
    path: tuple[Key, ...], places: list[tuple[Document, tuple[Key, ...]]]
) -> tuple[Document, tuple[Key, ...], Any, bool]:
    """The document that holds a path, or the nearest one where none does."""
    for document, under in places:
        try:
            return document, under, document.at((*under, *path)), True
        except KeyError:
            continue
    document, under = places[0]
    return document, under, None, False


def _expected(details: ErrorDetails, where: _Where) -> str:
    kind, context = details["type"], details.get("ctx", {})
    description = where.field.description if where.field else None
    if kind in _CHOSEN:
        return f"one of {_listed(where.choices)}"
    if kind == "missing":
        return description or "a value"
    if kind == "string_pattern_mismatch":
        return description or "other text"
    if kind in _COMPARED:
        return _COMPARED[kind].format_map({key: _number(value) for key, value in context.items()})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    return details["msg"]


def _choices(annotation: Any) -> list[str]:
    """The words that may stand for an annotation: of a choice, or the `type`s of a section that has one."""
    words: list[str] = []
    for one in _members(annotation):
        if get_origin(one) is Literal:
            words += map(str, get_args(one))
        elif isinstance(one, type) and issubclass(one, Enum):
            words += [str(member.value) for member in one]
        elif isinstance(one, type) and issubclass(one, BaseModel) and "type" in one.model_fields:
            words += _choices(one.model_fields["type"].annotation)
    return words


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _shown(value: Any) -> str:
    """What was found, as it was written; never something that may hold a password."""
    if isinstance(value, Mapping):
        return "a section of keys"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if "://" in text and "@" in text:
        return "an address with a login in it"
    text = repr(value) if isinstance(value, str) else text
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
