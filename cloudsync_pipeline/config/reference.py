"""docs/configuration.md, made from the fields themselves: `python -m cloudsync_pipeline.config.reference > FILE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cloudsync_pipeline.config.fields import Retention, Rotation
from cloudsync_pipeline.config.integration import IntegrationConfig
from cloudsync_pipeline.config.settings import Defaults, Settings

HEAD = """# Configuration

One main file (`cloudsync.yaml`, or what `CLOUDSYNC_CONFIG` or `--config` names), and beside it a folder with one file
an integration. `${NAME}` and `${NAME:-default}` are read from the environment, `${secret:NAME}` from the secrets
backend. Durations are seconds, or text like `30s`, `5m`, `1h30m`, `1 day`; sizes are bytes, or text like `64MiB`.
Unknown keys are errors. A key without a default must be given.

This page is made from the code: `make docs` writes it anew.
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: where it stands, its default as written in YAML (None: it must be given), what it means."""

    path: str
    default: str | None
    meaning: str


def sections() -> Iterator[tuple[str, list[Key]]]:
    """Every section of the reference, with its keys."""
    yield "The main file", list(_keys(Settings, "", stop=(Defaults,)))
    yield "`defaults`, in the main file", list(_keys(Defaults, "defaults."))
    yield "An integration's file", list(_keys(IntegrationConfig, "", leave_out=("name",), alternatives=False))
    for key in ("storage", "file_manager", "feed"):
        for model in _models(IntegrationConfig.model_fields[key].annotation):
            [kind] = get_args(model.model_fields["type"].annotation)
            yield f"`{key}` with `type: {kind}`", list(_keys(model, f"{key}.", leave_out=("type",)))


def markdown() -> str:
    """The whole page."""
    lines = [HEAD]
    for title, keys in sections():
        lines += [f"## {title}", "", "| key | default | meaning |", "|---|---|---|"]
        lines += [f"| `{one.path}` | {_cell(one.default)} | {one.meaning.replace('|', '&#124;')} |" for one in keys]
        lines.append("")
    return "\n".join(lines)


def _keys(
    model: type[BaseModel],
    before: str,
    *,
    leave_out: tuple[str, ...] = (),
    stop: tuple[type[BaseModel], ...] = (),
    alternatives: bool = True,
) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        if name in leave_out:
            continue
        below = _models(field.annotation)
        path = f"{before}{name}"
        if len(below) == 1 and below[0] not in stop:
            if not field.is_required() and field.default is None:
                yield Key(path, "none", field.description or "")
            yield from _keys(below[0], f"{path}.", stop=stop, alternatives=alternatives)
            continue
        yield Key(path, _default(field), _meaning(field))
        if alternatives:
            for one in below if len(below) > 1 else ():
                [kind] = get_args(one.model_fields["type"].annotation)
                for key in _keys(one, f"{path}.", leave_out=("type",)):
                    yield Key(key.path, key.default, f"with `type: {kind}`: {key.meaning}")


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (dict, list, tuple):
        return []
    return [model for part in get_args(annotation) for model in _models(part)]


def _meaning(field: FieldInfo) -> str:
    told = field.description or ""
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f"{told} ({', '.join(f'`{word}`' for word in words)})" if len(words) > 1 else told


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return None
    return _written(value)


def _written(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case SecretStr():
            return "(a secret)"
        case Rotation() | Retention():
            amount = getattr(value, "bytes", None) or getattr(value, "files", None) or value.seconds
            return f"{amount:g}" if isinstance(amount, float) else str(amount)
        case float():
            return f"{value:.10g}"
        case Path() | str() | int():
            return str(value) or '""'
        case BaseModel():
            return "see below"
        case _:
            return ", ".join(map(str, value)) if value else "empty"


def _cell(default: str | None) -> str:
    if default is None:
        return "**required**"
    return default if default in {"none", "empty", "see below"} else f"`{default}`"


if __name__ == "__main__":
    sys.stdout.write(markdown())
