"""Signs of life of runs that hold an integration's lock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from cloudsync_pipeline.control.database import Database, upsert
from cloudsync_pipeline.control.records import Heartbeat
from cloudsync_pipeline.control.tables import heartbeats


class Heartbeats:
    """Every call is one short transaction; safe to use from several threads.

    Args:
        database: shared with whoever opened it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, name: str, *, run_id: str, holder: str, at: datetime) -> None:
        """Note that a run which holds an integration's lock is alive.

        Args:
            holder: host and process.
            at: aware.
        """
        with self._database.writing() as connection:
            values = {"run_id": run_id, "holder": holder, "at": at}
            connection.execute(
                upsert(connection, heartbeats)
                .values(integration=name, **values)
                .on_conflict_do_update(index_elements=["integration"], set_=values)
            )

    def end(self, name: str, *, run_id: str) -> None:
        """Note that a run let go of an integration; does nothing where another run holds it by now."""
        with self._database.writing() as connection:
            connection.execute(
                heartbeats.delete().where(heartbeats.c.integration == name, heartbeats.c.run_id == run_id)
            )

    def all(self, *, before: datetime | None = None) -> Sequence[Heartbeat]:
        """Every running run's last sign of life, oldest first; with `before`, those that have been silent since."""
        query = sa.select(heartbeats).order_by(heartbeats.c.at)
        if before is not None:
            query = query.where(heartbeats.c.at < before)
        with self._database.reading() as connection:
            return [Heartbeat(**row) for row in connection.execute(query).mappings()]
