"""Two integrations that would get into each other's way: they write into one place, or empty one queue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import urlsplit

from cloudsync_pipeline.config.ends import HttpApiFileManager, LocalFileManager, SqsFeed
from cloudsync_pipeline.config.integration import IntegrationConfig
from cloudsync_pipeline.core.errors import ConfigError

_PORTS = {"http": 80, "https": 443}


def find_overlaps(integrations: Mapping[str, IntegrationConfig]) -> dict[str, ConfigError]:
    """An error for each integration whose destination is, contains or lies in another's, or whose queue is another's.

    Both stop: which of them was there first cannot be read from the configuration, and one of them would
    overwrite the other's files.
    """
    servers: dict[tuple[str, ...], dict[tuple[str, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, integration in integrations.items():
        server, folder = _destination(integration)
        servers[server][folder].append(name)
    errors: dict[str, ConfigError] = {}
    for folders in servers.values():
        for folder, names in folders.items():
            above = [other for depth in range(len(folder)) for other in folders.get(folder[:depth], [])]
            for name in names:
                for other in [*above, *(one for one in names if one != name)]:
                    errors.setdefault(name, _overlap(name, other, integrations))
                    errors.setdefault(other, _overlap(other, name, integrations))
    return _one_queue(integrations) | errors


def _one_queue(integrations: Mapping[str, IntegrationConfig]) -> dict[str, ConfigError]:
    readers: dict[str, list[tuple[str, SqsFeed]]] = defaultdict(list)
    for name, integration in integrations.items():
        if isinstance(integration.feed, SqsFeed):
            readers[integration.feed.queue_url].append((name, integration.feed))
    return {
        name: ConfigError(
            f"{', '.join(repr(one) for one, _ in beside)} read the same queue: one would delete the others' messages.",
            integration=name,
            remedy="Give each a queue of its own, or set `shared: true` in the feed of each.",
        )
        for beside in readers.values()
        if len(beside) > 1 and not all(feed.shared for _, feed in beside)
        for name, _ in beside
    }


def _destination(integration: IntegrationConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which file manager, and the parts of the folder in it."""
    file_manager = integration.file_manager
    prefix = tuple(part for part in integration.destination_prefix.split("/") if part)
    if isinstance(file_manager, HttpApiFileManager):
        parts = urlsplit(file_manager.url)
        port = parts.port or _PORTS[parts.scheme]
        return ("http_api", parts.hostname or "", str(port), parts.path), prefix
    if isinstance(file_manager, LocalFileManager):
        return ("local",), (file_manager.path.resolve() / integration.destination_prefix).parts
    return ("memory", file_manager.name), prefix


def _overlap(name: str, other: str, integrations: Mapping[str, IntegrationConfig]) -> ConfigError:
    def place(one: str) -> str:
        return f"{one!r} (destination_prefix {integrations[one].destination_prefix!r})"

    return ConfigError(
        f"the destinations of {place(name)} and {place(other)} overlap: each would overwrite the other's files.",
        integration=name,
        remedy="Give each a `destination_prefix` of its own that does not lie in the other.",
    )
