"""One instance of the log: a folder, and a database of its own on PostgreSQL; what an operator or an attacker does to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import psycopg
import sqlalchemy

from app.audit.entry.record import Gateway
from app.audit.keys.files import create_log_keys
from app.audit.store.contract import LogStore
from app.audit.store.postgres import PostgresLogStore
from app.audit.store.postgres_replicas import STOPPED_AFTER_SECONDS
from app.audit.store.sqlite import SqliteLogStore
from app.audit.store.tables import POSTGRES_GUARDS, metadata
from app.audit.verify.checks import Verification
from app.audit.verify.stored_log import verify_settings
from app.audit.write.log import ExchangeLog
from app.settings import Settings

ORIGIN = "simpul.jepara.example/log"
GATEWAY = Gateway("gw-1", "simpul 0.1.0")


class Instance:
    """One instance of the log: a folder, and a database of its own on PostgreSQL."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.url = url
        self.settings = Settings(dir=folder, database_url=url, log_origin=ORIGIN)
        create_log_keys(folder, ORIGIN)

    def store(
        self, replica: str = GATEWAY.replica, *, stopped_after_seconds: float = STOPPED_AFTER_SECONDS
    ) -> LogStore:
        if self.url is None:
            return SqliteLogStore(self.folder, ORIGIN)
        return PostgresLogStore(self.url, ORIGIN, replica, stopped_after_seconds=stopped_after_seconds)

    @asynccontextmanager
    async def opened(self, store: LogStore | None = None, **options: Any) -> AsyncIterator[ExchangeLog]:
        options.setdefault("gateway", GATEWAY)
        log = await ExchangeLog.open(
            store or self.store(options["gateway"].replica), self.folder, origin=ORIGIN, **options
        )
        try:
            yield log
        finally:
            await log.close()

    def verify(self, **options: Any) -> Verification:
        return verify_settings(self.settings, **options)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What an administrator of the database does: any statement, `$n` placeholders, guards out of the way."""
        if self.url is None:
            connection = apsw.Connection(str(self.folder / "log.db"))
            try:
                return list(connection.execute(statement.replace("$", "?"), values))
            finally:
                connection.close()
        with psycopg.connect(self.url, autocommit=True, cursor_factory=psycopg.RawCursor) as server:
            cursor = server.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def disarm(self) -> None:
        """Take away the triggers that refuse changes of entries."""
        if self.url is None:
            self.rows("DROP TRIGGER log_entry_no_update")
            self.rows("DROP TRIGGER log_entry_no_delete")
        else:
            self.rows("DROP TRIGGER log_entry_guard ON log_entry")


def prepare_database(url: str) -> None:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    metadata.create_all(engine)
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in POSTGRES_GUARDS:
            connection.execute(statement)
