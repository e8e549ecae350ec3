"""An integration's two ends and its feed, from their settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudsync_pipeline.config.ends import (
    AuthConfig,
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    HttpApiFileManager,
    HttpConnection,
    HttpFeed,
    InboxFeed,
    LocalFileManager,
    LocalStorage,
    MemoryFeed,
    MemoryFileManager,
    MemoryStorage,
    NoAuth,
    S3Storage,
    SqsFeed,
)
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.wiring import messages

if TYPE_CHECKING:
    from cloudsync_pipeline.config import IntegrationConfig, Settings
    from cloudsync_pipeline.feeds import memory as memory_feeds
    from cloudsync_pipeline.feeds.base import EventFeed
    from cloudsync_pipeline.file_managers.base import FileManager
    from cloudsync_pipeline.storage import memory as memory_storages
    from cloudsync_pipeline.storage.base import Storage
    from cloudsync_pipeline.transport.auth import Auth
    from cloudsync_pipeline.transport.settings import HttpSettings


def open_storage(integration: IntegrationConfig) -> Storage:
    """The integration's storage; close it, or enter it.

    Raises:
        ConfigError: the settings contradict each other, or a file that they name cannot be used.
    """
    storage = integration.storage
    with _named(integration):
        match storage:
            case S3Storage():
                return _s3(storage)
            case LocalStorage():
                from cloudsync_pipeline.storage.local import LocalStorage as Folder

                return Folder(storage.path)
            case MemoryStorage():
                return shared_storage(storage.name)


def open_file_manager(integration: IntegrationConfig) -> FileManager:
    """The integration's file manager, rooted at its destination prefix, not connected yet; close it, or enter it.

    Raises:
        ConfigError: the settings contradict each other, or a file that they name cannot be used.
    """
    file_manager = integration.file_manager
    with _named(integration):
        match file_manager:
            case HttpApiFileManager():
                return _http_api(file_manager, integration.destination_prefix)
            case LocalFileManager():
                from cloudsync_pipeline.file_managers.local import LocalFileManager as Folder
                from cloudsync_pipeline.file_managers.local import LocalSettings

                return Folder(
                    LocalSettings(
                        root=file_manager.path,
                        destination_prefix=integration.destination_prefix,
                        create_root=file_manager.create,
                        case_sensitive=file_manager.case_sensitive,
                    )
                )
            case MemoryFileManager():
                from cloudsync_pipeline.file_managers import memory

                files = memory.named(file_manager.name)
                return memory.MemoryFileManager(files, destination_prefix=integration.destination_prefix)


def open_feed(integration: IntegrationConfig, settings: Settings) -> EventFeed:
    """The integration's event feed; close it, or enter it.

    Args:
        integration: whose it is.
        settings: where state is, for what is sent to us.

    Raises:
        ConfigError: it has none (`integration.feed` is None), or the settings contradict each other.
    """
    feed = integration.feed
    with _named(integration):
        match feed:
            case HttpFeed():
                from cloudsync_pipeline.feeds.http import HttpFeed as Feed

                return Feed(
                    feed.url,
                    destination_prefix=integration.destination_prefix,
                    prefixed=feed.event_paths == "prefixed",
                    settings=_http_settings(feed),
                    auth=_auth(feed.auth),
                    timeout=feed.timeout,
                )
            case SqsFeed():
                return messages.queue(feed, integration)
            case InboxFeed():
                return messages.inbox(feed, integration, settings)
            case MemoryFeed():
                return shared_feed(feed.name)
            case None:
                raise ConfigError("it has no event feed.", remedy="Add a section `feed:` to its file.")


def identity(storage: Storage, file_manager: FileManager) -> dict[str, str]:
    """Which storage and which destination an integration is about, as its lake remembers them."""
    ends: tuple[tuple[str, Mapping[str, str]], ...] = (
        ("storage", storage.identity),
        ("file_manager", file_manager.identity),
    )
    return {f"{end}.{name}": value for end, names in ends for name, value in names.items()}


_storages: dict[str, memory_storages.MemoryStorage] = {}
_feeds: dict[str, memory_feeds.MemoryFeed] = {}


def shared_storage(name: str) -> memory_storages.MemoryStorage:
    """The storage in memory that configurations of this process mean by a name."""
    from cloudsync_pipeline.storage.memory import MemoryStorage as Fake

    return _storages.setdefault(name, Fake())


def shared_feed(name: str) -> memory_feeds.MemoryFeed:
    """The feed in memory that configurations of this process mean by a name."""
    from cloudsync_pipeline.feeds.memory import MemoryFeed as Fake

    return _feeds.setdefault(name, Fake(name=name))


# --- from settings to settings ------------------------------------------------------------------


def _s3(storage: S3Storage) -> Storage:
    from cloudsync_pipeline.storage.s3 import S3Settings
    from cloudsync_pipeline.storage.s3 import S3Storage as Bucket
    from cloudsync_pipeline.transport.settings import HttpSettings

    keys = storage.credentials
    return Bucket(
        S3Settings(
            bucket=storage.bucket,
            endpoint=storage.endpoint,
            prefix=storage.prefix,
            region=storage.region,
            access_key=keys.access_key.get_secret_value() if keys.access_key else None,
            secret_key=keys.secret_key.get_secret_value() if keys.secret_key else None,
            session_token=keys.session_token.get_secret_value() if keys.session_token else None,
            profile=keys.profile,
            anonymous=keys.anonymous,
            addressing=storage.addressing,
            provider=storage.provider,
            page_size=storage.page_size,
            listing_parallelism=storage.listing_parallelism,
            http=HttpSettings(
                connect_timeout=storage.connect_timeout,
                read_timeout=storage.read_timeout,
                max_connections=storage.max_connections,
                verify_tls=storage.verify_tls,
                ca_file=_text(storage.ca_file),
            ),
        )
    )


def _http_api(file_manager: HttpApiFileManager, destination_prefix: str) -> FileManager:
    from cloudsync_pipeline.file_managers.confirming import Confirming
    from cloudsync_pipeline.file_managers.http_api import HttpApiFileManager as Api
    from cloudsync_pipeline.file_managers.http_settings import HttpApiSettings

    reporting = file_manager.reporting_url
    opened = Api(
        HttpApiSettings(
            base_url=file_manager.url,
            destination_prefix=destination_prefix,
            auth=_auth(file_manager.auth),
            http=_http_settings(file_manager),
            capabilities=file_manager.capabilities.given(),
            opaque_paths=file_manager.opaque_paths,
            reporting_url=reporting.get_secret_value() if reporting else None,
            reporting_auth=_auth(file_manager.reporting_auth),
            timeout=file_manager.timeout,
        )
    )
    return Confirming(opened) if file_manager.confirm == "probe" else opened


def _http_settings(connection: HttpConnection) -> HttpSettings:
    from cloudsync_pipeline.transport.settings import HttpSettings

    return HttpSettings(
        connect_timeout=connection.connect_timeout,
        read_timeout=connection.read_timeout,
        max_connections=connection.max_connections,
        verify_tls=connection.verify_tls,
        ca_file=_text(connection.ca_file),
        client_cert_file=_text(connection.client_certificate),
        client_key_file=_text(connection.client_key),
    )


def _auth(login: AuthConfig) -> Auth | None:
    from cloudsync_pipeline.transport import auth

    match login:
        case NoAuth():
            return None
        case BearerAuth(token=token):
            return auth.BearerAuth(token.get_secret_value())
        case BasicAuth(username=username, password=password):
            return auth.BasicAuth(username, password.get_secret_value())
        case HeaderAuth(name=name, value=value):
            return auth.HeaderAuth(name, value.get_secret_value())


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


@contextmanager
def _named(integration: IntegrationConfig) -> Iterator[None]:
    """An adapter does not know whose settings it refuses."""
    try:
        yield
    except ConfigError as error:
        error.integration = error.integration or integration.name
        raise
