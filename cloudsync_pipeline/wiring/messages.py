"""Feeds that storages send messages to: queues and our own inbox, from their settings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cloudsync_pipeline.config.ends import InboxFeed, S3Credentials, S3Storage, SqsFeed

if TYPE_CHECKING:
    from cloudsync_pipeline.config import IntegrationConfig, Settings
    from cloudsync_pipeline.feeds.base import EventFeed
    from cloudsync_pipeline.feeds.scope import Scope
    from cloudsync_pipeline.transport.aws_keys import AwsCredentials


def queue(feed: SqsFeed, integration: IntegrationConfig) -> EventFeed:
    """A queue of Amazon SQS.

    Raises:
        ConfigError: the settings contradict each other.
    """
    from cloudsync_pipeline.feeds.sqs import SqsFeed as Queue
    from cloudsync_pipeline.feeds.sqs_client import SqsSettings
    from cloudsync_pipeline.transport.settings import HttpSettings

    settings = SqsSettings(
        queue_url=feed.queue_url,
        region=feed.region,
        endpoint=feed.endpoint,
        wait=feed.wait,
        visibility_timeout=int(feed.visibility_timeout),
        page_size=feed.page_size,
        http=HttpSettings(
            connect_timeout=feed.connect_timeout,
            read_timeout=feed.read_timeout,
            verify_tls=feed.verify_tls,
            ca_file=str(feed.ca_file) if feed.ca_file else None,
        ),
    )
    credentials = _credentials(feed, integration, amazon=settings.address is None)
    return Queue(replace(settings, credentials=credentials), _scope(feed, integration, shared=feed.shared))


def inbox(feed: InboxFeed, integration: IntegrationConfig, settings: Settings) -> EventFeed:
    """The integration's part of the inbox in the control database."""
    from cloudsync_pipeline.control import Inbox
    from cloudsync_pipeline.feeds.inbox import InboxFeed as Feed

    url = settings.control_url()
    prefix = integration.destination_prefix if feed.event_paths == "prefixed" else ""
    return Feed(lambda: Inbox.open(url), integration.name, _scope(feed, integration, path_prefix=prefix))


def _credentials(feed: SqsFeed, integration: IntegrationConfig, *, amazon: bool) -> AwsCredentials:
    from cloudsync_pipeline.transport.aws_keys import AwsCredentials

    storage, keys = integration.storage, feed.credentials
    # Keys go to nobody but whom they are meant for: a bucket's to a queue only where both are Amazon's.
    if keys is None and amazon and isinstance(storage, S3Storage) and storage.endpoint is None:
        keys = storage.credentials
    if keys is None or keys.anonymous:
        keys = S3Credentials()
    return AwsCredentials(
        access_key=keys.access_key.get_secret_value() if keys.access_key else None,
        secret_key=keys.secret_key.get_secret_value() if keys.secret_key else None,
        session_token=keys.session_token.get_secret_value() if keys.session_token else None,
        profile=keys.profile,
    )


def _scope(
    feed: SqsFeed | InboxFeed, integration: IntegrationConfig, *, path_prefix: str = "", shared: bool = False
) -> Scope:
    from cloudsync_pipeline.feeds.scope import Scope

    storage = integration.storage
    bucket, prefix = (storage.bucket, storage.prefix) if isinstance(storage, S3Storage) else (None, "")
    # `team` means the folder, as it does to the storage: `team2/x` is not in it.
    folder = f"{prefix}/" if prefix and not prefix.endswith("/") else prefix
    return Scope(bucket=feed.bucket or bucket, prefix=folder, path_prefix=path_prefix or None, shared=shared)
