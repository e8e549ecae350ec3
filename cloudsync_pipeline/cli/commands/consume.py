"""`consume`: syncs that other programs ask for by messages."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloudsync_pipeline.cli import interrupts, invocation
from cloudsync_pipeline.core.errors import ConfigError

if TYPE_CHECKING:
    from cloudsync_pipeline.config.settings import QueueSettings
    from cloudsync_pipeline.queue.broker import BrokerSettings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("consume")(consume)


def consume(
    context: typer.Context,
    heartbeat: Annotated[
        Path | None,
        typer.Option("--heartbeat", help="A file to touch every few seconds, for probes to look at its age."),
    ] = None,
) -> None:
    """Launch the syncs that a RabbitMQ queue asks for.

    A message is {"type": "initial"|"incremental"|"reconcile", "integration": NAME}. It is acknowledged once its run is
    stored in Dagster; one that cannot be granted goes to the queue of dead letters, with the reason in its headers.

    Runs until SIGTERM or Ctrl-C: the launch under way is ended, everything else stays in the queue. A second one that
    is started meanwhile waits until the first ends.
    """
    from cloudsync_pipeline import launch
    from cloudsync_pipeline.config import load_fleet
    from cloudsync_pipeline.queue.accepting import Launching
    from cloudsync_pipeline.queue.consumer import Consumer

    called = invocation.of(context)
    # It has no other output than its log.
    called.verbose = True
    settings = called.fleet().settings.queue
    if settings is None:
        raise ConfigError(
            "No queue is configured.",
            remedy="Write `queue: {url: amqp://user:password@host/vhost}` into the main file.",
        )
    if not launch.instance_configured():
        raise ConfigError(
            "Requests become runs in Dagster, and no Dagster instance is configured here.",
            remedy="Set DAGSTER_HOME to a folder with a dagster.yaml.",
        )
    stop = threading.Event()
    consumer = Consumer(_broker(settings), Launching(lambda: load_fleet(called.config)), stop, heartbeat=heartbeat)
    with interrupts.setting(stop):
        consumer.run()


def _broker(settings: QueueSettings) -> BrokerSettings:
    from cloudsync_pipeline.queue.broker import BrokerSettings

    return BrokerSettings(
        url=settings.url.get_secret_value(),
        name=settings.name,
        dead_letters=settings.dead_letters or f"{settings.name}.dead",
        kind=settings.type,
        prefetch=settings.prefetch,
        ca_file=settings.ca_file,
    )
