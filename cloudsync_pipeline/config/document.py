"""Configuration as plain nested mappings: read from a file, references filled in, defaults merged under."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cloudsync_pipeline.config.secrets import Secrets
from cloudsync_pipeline.core.errors import ConfigError

Key = str | int

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<body>[^{}]*)\}|\$\{")
_BODY = re.compile(r"(?P<secret>secret:)?(?P<name>[^:]+?)(?P<default>:-.*)?", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Document:
    """Nested mappings as a person wrote them, with the name of the place where they are written.

    Attributes:
        label: the file, as errors name it.
        content: before references are filled in, so that it can be shown.
    """

    label: str
    content: Mapping[str, Any]

    def at(self, path: tuple[Key, ...]) -> Any:
        """What is written at a path.

        Raises:
            KeyError: nothing.
        """
        value: Any = self.content
        for part in path:
            if not isinstance(value, Mapping):
                raise KeyError(part)
            value = value[part]
        return value


def dotted(path: tuple[Key, ...]) -> str:
    """A path as a person reads it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


class _StrictLoader(_Loader):  # type: ignore[misc]
    """YAML that refuses what it would otherwise swallow: a key that stands twice, a key that is no text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is no text; put it in quotes", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def read_document(file: Path) -> Document:
    """A YAML file whose top is a mapping; an empty one is an empty mapping.

    Raises:
        ConfigError: it cannot be read or is no such YAML. Names line and column, never what stands there.
    """
    label = str(file)
    try:
        content = yaml.load(file.read_bytes(), _StrictLoader)  # noqa: S506 - derived from SafeLoader
    except OSError as error:
        raise ConfigError(
            f"{label} cannot be read: {error.strerror}.", remedy="Make it a file that this process may read."
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # The original error quotes the line it stumbled on, and that may hold a secret.
        raise ConfigError(
            f"{label} is no valid YAML{where}: {error.problem}.", remedy="Correct it there or just before."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{label} is no valid YAML: it is no UTF-8 text.", remedy="Save it as UTF-8.") from None
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{label} holds no keys at its top.", remedy="Write `key: value` lines, like `sync:`.")
    return Document(label, content)


def fill_references(document: Document, environ: Mapping[str, str], secrets: Secrets | None) -> dict[str, Any]:
    """The document's content with `${NAME}`, `${NAME:-default}` and `${secret:NAME}` replaced; `$${` means `${`.

    Args:
        document: read only.
        environ: where `${NAME}` is looked up.
        secrets: where `${secret:NAME}` is looked up; None where secrets may not be used.

    Raises:
        ConfigError: names every reference that leads nowhere, with file and key.
    """
    problems: list[str] = []
    remedies: list[str] = []

    def replace(text: str, path: tuple[Key, ...]) -> str:
        def one(match: re.Match[str]) -> str:
            if match.group() == "$${":
                return "${"
            try:
                return _resolve(match["body"], environ, secrets)
            except ConfigError as error:
                problems.append(f"{document.label}: {dotted(path)}: {error.message}")
                if error.remedy and error.remedy not in remedies:
                    remedies.append(error.remedy)
                return ""

        return _REFERENCE.sub(one, text)

    filled: dict[str, Any] = _map_text(document.content, replace, ())
    if problems:
        raise ConfigError(" ".join(problems), remedy=" ".join(remedies))
    return filled


def merge(defaults: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """`document` over `defaults`, mapping by mapping. A section of another `type` inherits nothing."""
    merged = dict(defaults)
    for key, value in document.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping) and _same_type(under, value):
            merged[key] = merge(under, value)
        else:
            merged[key] = value
    return merged


def _same_type(under: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    return "type" not in under or "type" not in over or under["type"] == over["type"]


def _map_text(value: Any, replace: Callable[[str, tuple[Key, ...]], str], path: tuple[Key, ...]) -> Any:
    if isinstance(value, str):
        return replace(value, path)
    if isinstance(value, Mapping):
        return {key: _map_text(item, replace, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_text(item, replace, (*path, index)) for index, item in enumerate(value)]
    return value


def _resolve(body: str | None, environ: Mapping[str, str], secrets: Secrets | None) -> str:
    match = _BODY.fullmatch(body) if body else None
    if not match:
        raise ConfigError(
            "`${` begins no reference.",
            remedy="Write `${NAME}`, `${NAME:-default}`, `${secret:NAME}`, or `$${` for `${`.",
        )
    name, default = match["name"], match["default"]
    if match["secret"]:
        if secrets is None:
            raise ConfigError("a secret cannot be used here.", remedy="Use an environment variable: `${NAME}`.")
        return secrets.get(name)
    if not _VARIABLE.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name an environment variable.", remedy="Write `${NAME}` or `${secret:NAME}`."
        )
    if default is not None:
        return environ.get(name) or default.removeprefix(":-")
    if name not in environ:
        raise ConfigError(
            f"the environment variable {name} is not set.", remedy=f"Set {name}, or write `${{{name}:-default}}`."
        )
    return environ[name]
