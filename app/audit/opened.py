"""Opening the exchange log that the settings describe: SQLite in the instance's folder, or PostgreSQL."""

from __future__ import annotations

from app.audit.entry import Gateway
from app.audit.log import ExchangeLog
from app.audit.store import LogStore
from app.audit.store_postgres import PostgresLogStore
from app.audit.store_sqlite import SqliteLogStore
from app.settings import Settings


def log_store(settings: Settings, replica: str) -> LogStore:
    """The store of the settings, not opened yet."""
    if settings.database_url is None:
        return SqliteLogStore(settings.dir, settings.origin)
    return PostgresLogStore(settings.database_url.get_secret_value(), settings.origin, replica)


async def open_exchange_log(settings: Settings, gateway: Gateway) -> ExchangeLog:
    """Open the log for writing; errors as for `ExchangeLog.open`."""
    return await ExchangeLog.open(
        log_store(settings, gateway.replica),
        settings.dir,
        origin=settings.origin,
        gateway=gateway,
        batch_entries=settings.log_batch_entries,
        queue_entries=settings.log_queue_entries,
        checkpoint_seconds=settings.checkpoint_seconds,
    )
