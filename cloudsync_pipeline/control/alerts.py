"""What people were told of integrations that are not well, by each channel, so that they are told once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from cloudsync_pipeline.control.database import Database, upsert
from cloudsync_pipeline.control.tables import alerts


@dataclass(frozen=True, slots=True)
class Told:
    """One condition that a channel has told of, and not yet that it is over.

    Attributes:
        channel: "webhook" or "email".
        condition: as `alerts.Condition` spells it.
        since: when it began.
    """

    integration: str
    channel: str
    condition: str
    since: datetime
    told_at: datetime


class Alerts:
    """See the module's docstring. Every call is one short transaction; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self, channel: str | None = None) -> Sequence[Told]:
        """What stands told, by integration; of one channel or of all."""
        query = sa.select(alerts).order_by(alerts.c.integration, alerts.c.channel, alerts.c.condition)
        if channel is not None:
            query = query.where(alerts.c.channel == channel)
        with self._database.reading() as connection:
            return [Told(**row) for row in connection.execute(query).mappings()]

    def note(
        self,
        channel: str,
        *,
        begun: Mapping[tuple[str, str], datetime],
        over: Iterable[tuple[str, str]],
        at: datetime,
    ) -> None:
        """Note what a channel has just told: conditions that began (since when), and those that are over.

        Args:
            begun, over: by integration and condition.
        """
        t = alerts.c
        with self._database.writing() as connection:
            for name, condition in over:
                connection.execute(
                    alerts.delete().where(t.integration == name, t.channel == channel, t.condition == condition)
                )
            for (name, condition), since in begun.items():
                values = {"since": since, "told_at": at}
                connection.execute(
                    upsert(connection, alerts)
                    .values(integration=name, channel=channel, condition=condition, **values)
                    .on_conflict_do_update(index_elements=["integration", "channel", "condition"], set_=values)
                )
