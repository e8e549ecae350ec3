"""Secrets that a deployment holds, each of its own kind, and the search for them in all that it leaves behind."""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import sqlalchemy as sa

from cloudsync_pipeline.config import Fleet
from cloudsync_pipeline.lake import Lake, frames, schema

# Characters that are spelled otherwise in addresses, in JSON and in HTML, where the kind of secret allows them.
SECRETS = {
    "wrong secret key of the storage": "planted/wrong+key=2",
    "bearer token": "planted-bearer/token+3",
    "wrong bearer token": "planted-wrong/token+4",
    "password of a basic login": "planted basic&password 5",
    "password in an address": "planted@address/password6",
    "token from the environment": "planted-environment/token+7",
    "password of the control database": "planted@database/password8",
    "password of a database that is away": "planted@away/password9",
    "address of the alerts' webhook": "planted-hook-of-alerts-10",
    "address that results are reported to": "planted-hook-of-reports-11",
    "password of the mail server": "planted mail&password 12",
    "password of the message queue": "planted@queue/password13",
    "key of the API": "cloudsync_planted-api-key-14",
    "wrong key of the API": "cloudsync_planted-wrong-key-15",
    "token from Secrets Manager": "planted-vault/token+16",
    "rotated token from Secrets Manager": "planted-rotated/token+17",
    "password of the lakes' catalogs": "planted@catalog/password19",
    "secret key of the lakes' bucket": "planted/lakes+key=20",
    "wrong secret key of the lakes' bucket": "planted/wrong/lakes+key=21",
    "field of a secret in Secrets Manager": "planted/vault+field=18",
}


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, as addresses and JSON spell it, and what base64 makes of it behind anything else."""
    found = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}
    found |= {json.dumps(secret)[1:-1], secret.replace("/", "\\/"), secret.replace("&", "&amp;")}
    texts = {one.encode() for one in found}
    for shift in range(3):
        # The first characters depend on what stands before, and the last ones on what comes after.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"x" * shift + secret.encode()).rstrip(b"=")
            texts.add(whole[4 if shift else 0 : len(whole) // 4 * 4 - 4])
    return texts


@dataclass
class Remains(logging.Handler):
    """Everything that was said and stored, by where it was; as a handler of logging it keeps what is logged."""

    found: dict[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    __hash__ = logging.Handler.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        self.add("records of logging", self.format(record) + "\n")

    def add(self, where: str, text: str | bytes) -> None:
        content = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        self.found[where] = self.found.get(where, b"") + content

    def places_of(self, secret: str) -> list[str]:
        """Where a secret can be read, in any spelling that a person or a program could turn back."""
        looked_for = spellings(secret)
        return sorted(where for where, content in self.found.items() if any(one in content for one in looked_for))

    def add_folder(self, folder: Path) -> None:
        """Every file as it is, and the rows of every SQLite database, unpacked where they are compressed."""
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_symlink():
                name = f"{folder.name}/{file.relative_to(folder)}"
                content = file.read_bytes()
                self.add(name, content)
                if content.startswith(b"SQLite format 3"):
                    self.add(f"{name} (rows)", b"\n".join(_rows(file)))

    def add_lakes(self, fleet: Fleet) -> None:
        """Every table of every lake: on disk they are compressed."""
        for name in fleet.integrations:
            folder = fleet.settings.integration_folder(name)
            if (folder / "catalog.sqlite").exists():
                with Lake.open(folder, integration=name, read_only=True) as lake:
                    for table in schema.TABLES:
                        self.add(f"lake of {name}: {table}", frames.table(lake, table).to_csv())

    def add_database(self, server: sa.URL) -> None:
        """Every row of a PostgreSQL database: the control database's tables, and the lakes' catalogs."""
        engine = sa.create_engine(server)
        with engine.connect() as connection:
            names = sa.text(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
            )
            for schema_name, table in connection.execute(names).all():
                rows = connection.execute(sa.select("*").select_from(sa.table(table, schema=schema_name))).all()
                self.add(f"database: {schema_name}.{table}", "\n".join(map(str, rows)))
        engine.dispose()


def _rows(file: Path) -> Iterator[bytes]:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        connection.text_factory = bytes
        names = [name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                yield b"\t".join(_unpacked(value) for value in row)


def _unpacked(value: object) -> bytes:
    if not isinstance(value, bytes):
        return str(value).encode()
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value
