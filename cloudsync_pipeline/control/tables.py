"""The control database's tables, in SQLAlchemy's words, so that SQLite and PostgreSQL hold the same."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """Aware times in and out, UTC in the database, whatever it thinks of time zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData()

schema_version = sa.Table(
    "control_schema",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("migrated_at", UtcDateTime, nullable=False),
)

integrations = sa.Table(
    "integrations",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("config_fingerprint", sa.String(200)),
    sa.Column("added_at", UtcDateTime, nullable=False),
    sa.Column("state_changed_at", UtcDateTime, nullable=False),
    sa.Column("last_run_id", sa.String(200)),
    sa.Column("last_mode", sa.String(20)),
    sa.Column("last_verdict", sa.String(20)),
    sa.Column("last_started_at", UtcDateTime),
    sa.Column("last_finished_at", UtcDateTime),
    sa.Column("last_success_at", UtcDateTime),
    sa.Column("last_scan_at", UtcDateTime),
    sa.Column("next_incremental_at", UtcDateTime),
    sa.Column("next_scan_at", UtcDateTime),
    sa.Column("initial_done", sa.Boolean, nullable=False, default=False),
    sa.Column("initial_attempts", sa.Integer, nullable=False, default=0),
    sa.Column("initial_next_try", UtcDateTime),
    sa.Column("owed", sa.BigInteger, nullable=False, default=0),
    sa.Column("quarantined", sa.BigInteger, nullable=False, default=0),
    sa.Column("held", sa.BigInteger, nullable=False, default=0),
    sa.Column("objects", sa.BigInteger, nullable=False, default=0),
    sa.Column("files", sa.BigInteger, nullable=False, default=0),
    sa.Column("bytes", sa.BigInteger, nullable=False, default=0),
    sa.Column("scan_requested", sa.Boolean, nullable=False, default=False),
    sa.Column("scan_requested_at", UtcDateTime),
    sa.Column("scan_reason", sa.Text),
    sa.Column("feed_mark", sa.Text),
    sa.Column("next_try_at", UtcDateTime),
    sa.Column("last_checked_at", UtcDateTime),
    sa.Column("put_off_until", UtcDateTime),
    sa.Column("unfinished_since", UtcDateTime),
)

run_results = sa.Table(
    "run_results",
    metadata,
    sa.Column("run_id", sa.String(200), primary_key=True),
    sa.Column("integration", sa.String(200), primary_key=True),
    sa.Column("mode", sa.String(20), nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime, nullable=False),
    sa.Column("results", sa.Text, nullable=False),
    sa.Index("run_results_by_integration", "integration", "finished_at"),
)

heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("integration", sa.String(200), primary_key=True),
    sa.Column("run_id", sa.String(200), nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("integration", sa.String(200), nullable=False),
    sa.Column("identity", sa.String(200), nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("integration", "identity", name="inbox_identity"),
    sa.Index("inbox_by_integration", "integration", "id"),
    # Otherwise SQLite gives the id of a deleted row to the next one.
    sqlite_autoincrement=True,
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("integration", sa.String(200), primary_key=True),
    sa.Column("fence", sa.BigInteger, nullable=False),
    # Of the holder; no run where nobody holds it.
    sa.Column("run_id", sa.String(200)),
    sa.Column("purpose", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("pid", sa.BigInteger),
    sa.Column("command", sa.Text),
    sa.Column("lock_file", sa.Text),
    sa.Column("since", UtcDateTime),
    sa.Column("heartbeat_at", UtcDateTime),
    sa.Column("expires_at", UtcDateTime),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("integration", sa.String(200), primary_key=True),
    sa.Column("channel", sa.String(20), primary_key=True),
    sa.Column("condition", sa.String(20), primary_key=True),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("told_at", UtcDateTime, nullable=False),
)

measures = sa.Table(
    "measures",
    metadata,
    sa.Column("integration", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("kind", sa.String(40), primary_key=True),
    sa.Column("status", sa.String(40), primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
)
