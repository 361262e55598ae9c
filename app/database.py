"""The store: engine, transactions, column types, change stamps, and the state of the migrations.

Lives here: everything that is the same for every table. Does not live here: tables and SQL of a room (its `tables.py`
and modules), the migrations themselves (`migrations/`), the file of the exchange log (`app/audit`; never opened here).
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.errors import StoreOutdated, StoreUnavailable
from app.settings import Settings

STORE_FILE = "simpul.db"
BUSY_SECONDS = 5.0
POOL_CONNECTIONS = 5
POOL_OVERFLOW_CONNECTIONS = 10
POOL_WAIT_SECONDS = 5.0
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
UPGRADE_LOCK = 0x53494D50  # key of the advisory lock that lets one process at a time migrate a PostgreSQL store

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# --- column types that behave alike on both databases ---------------------------------------------------------------

BigKey = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database counts up by itself (on SQLite only INTEGER does)."""

KeyText = String(2000).with_variant(String(2000, collation="C"), "postgresql")
"""The key of a record, in the order of its bytes on both databases."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware datetimes in, aware UTC datetimes out; a naive one is a programming error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC; SQLite keeps it without a zone, so that text order is time order."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a moment without a zone cannot be stored"
            raise ValueError(message)
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A JSON value: JSONB on PostgreSQL, text on SQLite; None is SQL NULL. The order of members is not kept."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """JSONB where there is one."""
        kind = JSONB(none_as_null=True) if dialect.name == "postgresql" else JSON(none_as_null=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """The value with its texts made `storable`."""
        del dialect
        return _storable_json(value)


def storable(value: str) -> str:
    """The text with NUL as U+2400 and lone surrogates as U+FFFD: PostgreSQL stores neither, and both must be alike."""
    return _SURROGATE.sub("\ufffd", value.replace("\0", "\u2400"))


def _storable_json(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(key)): _storable_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable_json(item) for item in value]
    return value


# --- the engine and its transactions --------------------------------------------------------------------------------


class Database:
    """The open store of one gateway. Opening does no I/O; every driver failure leaves as `StoreUnavailable`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, settings: Settings) -> Database:
        """SQLite `DIR/simpul.db` through aiosqlite, or the PostgreSQL of the settings through psycopg."""
        url = store_url(settings)
        if settings.embedded:
            engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
            _prepare_sqlite(engine.sync_engine)
        else:
            engine = create_async_engine(
                url,
                hide_parameters=True,
                pool_pre_ping=True,
                pool_size=POOL_CONNECTIONS,
                max_overflow=POOL_OVERFLOW_CONNECTIONS,
                pool_timeout=POOL_WAIT_SECONDS,
                connect_args={"connect_timeout": CONNECT_SECONDS, "application_name": "simpul"},
            )
            _prepare_postgresql(engine.sync_engine)
        return cls(engine)

    @classmethod
    async def apart(cls, path: Path, tables: Sequence[Table]) -> Database:
        """A store of these tables for one process, in a file that is made; what they refer to need not be there."""
        url = URL.create("sqlite+aiosqlite", database=str(path))
        engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
        _prepare_sqlite(engine.sync_engine, referring=False)
        with _driver_faults():
            async with engine.begin() as connection:
                await connection.run_sync(metadata.create_all, list(tables))
        return cls(engine)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: committed at the end of the block, rolled back by any exception.

        On SQLite it holds the one write lock from its start (BEGIN IMMEDIATE): never await a source or the log inside.
        """
        with _driver_faults():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only transaction that sees one consistent state, however many statements it runs."""
        options: dict[str, Any] = {"simpul_reads": True}
        if self.dialect == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with _driver_faults():
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(**options)
                async with connection.begin():
                    yield connection

    async def ping(self) -> None:
        """Answers when the store does; raises `StoreUnavailable` otherwise."""
        async with self.read() as connection:
            await connection.execute(select(1))

    async def close(self) -> None:
        """Gives back all connections; may be called twice."""
        await self._engine.dispose()


def store_url(settings: Settings) -> URL:
    """Where the store is, with the driver that serves both the async engine and the migrations."""
    if settings.database_url is None:
        path = quote(str((settings.dir / STORE_FILE).absolute()))
        # mode=rw: a store that is not there is reported, never made by opening it
        return URL.create("sqlite+aiosqlite", database=f"file:{path}", query={"uri": "true", "mode": "rw"})
    given = settings.database_url.get_secret_value()
    try:
        return make_url(re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql+psycopg://", given))
    except SQLAlchemyError:
        message = "SIMPUL_DATABASE_URL is no database address; it looks like postgresql://user:password@host:5432/name"
        raise StoreUnavailable(message) from None


def _prepare_sqlite(engine: Engine, *, referring: bool = True) -> None:
    @event.listens_for(engine, "connect")
    def _opened(driver: Any, _record: Any) -> None:
        driver.isolation_level = None  # the driver opens no transactions of its own; `_begun` does
        cursor = driver.cursor()
        for pragma in ("journal_mode = DELETE", "synchronous = FULL", f"foreign_keys = {int(referring)}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        reads = bool(connection.get_execution_options().get("simpul_reads"))
        connection.exec_driver_sql(f"PRAGMA query_only = {int(reads)}")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _opened(driver: Any, _record: Any) -> None:
        cursor = driver.cursor()
        cursor.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
        cursor.close()
        driver.commit()


@contextmanager
def _driver_faults() -> Iterator[None]:
    """Turns what the driver reports about the store into `StoreUnavailable`; faults of a statement pass as they are."""
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError, NotSupportedError):
        raise
    except (DBAPIError, PoolTimeout) as error:
        raise _unavailable(error) from error


def _unavailable(error: SQLAlchemyError) -> StoreUnavailable:
    origin = getattr(error, "orig", None) or error
    reason = getattr(origin, "sqlite_errorname", None) or getattr(origin, "sqlstate", None) or type(origin).__name__
    return StoreUnavailable(f"the store did not answer ({reason}); is it running and reachable, and is the disk free?")


async def upsert(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> None:
    """Inserts rows, or updates the given columns where the key stands already. All rows name the same columns.

    `keys`: columns of a unique index, else the primary key; `keep`: columns that an update leaves as they were.
    """
    if not rows:
        return
    make = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = make(table)
    keys = list(keys) or [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys and name not in keep}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed)
        if changed
        else statement.on_conflict_do_nothing(index_elements=keys),
        [dict(row) for row in rows],
    )


# --- change stamps: how a snapshot in memory learns that its tables changed -----------------------------------------

change_stamp = Table(
    "change_stamp",
    metadata,
    Column("topic", String(32), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)


async def bump_stamp(connection: AsyncConnection, topic: str) -> None:
    """Marks the topic as changed, in the transaction of the change; writers of one topic thereby queue up."""
    make = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = make(change_stamp).values(topic=topic, version=1, changed_at=datetime.now(UTC))
    changed = {"version": change_stamp.c.version + 1, "changed_at": statement.excluded.changed_at}
    await connection.execute(statement.on_conflict_do_update(index_elements=["topic"], set_=changed))


async def read_stamps(connection: AsyncConnection) -> dict[str, int]:
    """Version of every topic that ever changed; a topic that is absent has version 0."""
    rows = await connection.execute(select(change_stamp.c.topic, change_stamp.c.version))
    return {row.topic: row.version for row in rows}


# --- migrations -----------------------------------------------------------------------------------------------------

Noting = Callable[[Connection, str | None, str | None], None]


def migrations_folder() -> Path:
    """`migrations/` beside the package in a checkout, inside the package where the distribution is installed."""
    package = Path(__file__).resolve().parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _alembic(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def migrating(settings: Settings) -> Iterator[Connection]:
    """A plain (not async) connection in one transaction that shuts out other migrating processes."""
    url = store_url(settings)
    if settings.embedded:
        engine = create_engine(url.set(drivername="sqlite+pysqlite"), connect_args={"timeout": BUSY_SECONDS})
        _prepare_sqlite(engine)
    else:
        engine = create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS})
    try:
        with _driver_faults(), engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
            yield connection
    finally:
        engine.dispose()


def upgrade(settings: Settings, revision: str = "head", *, note: Noting | None = None) -> None:
    """Brings the store to `revision`, all or nothing; makes a missing embedded file (mode 0600) first. Blocks.

    `note` is called in the same transaction when the revision changed, with the one before and the one after.
    """
    if settings.embedded:
        settings.dir.mkdir(parents=True, exist_ok=True)
        os.close(os.open(settings.dir / STORE_FILE, os.O_RDWR | os.O_CREAT, 0o600))
    with migrating(settings) as connection:
        before = MigrationContext.configure(connection).get_current_revision()
        command.upgrade(_alembic(connection), revision)
        after = MigrationContext.configure(connection).get_current_revision()
        if note is not None and after != before:
            note(connection, before, after)


def downgrade(settings: Settings, revision: str) -> None:
    """Takes the store back to `revision` (`base`: no tables). Loses what the newer tables held. Blocks."""
    with migrating(settings) as connection:
        command.downgrade(_alembic(connection), revision)


def current_revision(settings: Settings) -> str | None:
    """Revision of the store, None when it was never migrated (or an embedded file is missing). Blocks."""
    if settings.embedded and not (settings.dir / STORE_FILE).is_file():
        return None
    with migrating(settings) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str | None:
    """Revision that this software needs."""
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def knows_revision(revision: str) -> bool:
    """True for a revision of this version or an older one."""
    return revision in {script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()}


def check_revision(settings: Settings) -> None:
    """Raises `StoreOutdated` unless the store stands at exactly the revision that this software needs. Blocks."""
    current, scripts = current_revision(settings), ScriptDirectory.from_config(_alembic())
    head = scripts.get_current_head()
    if current == head:
        return
    message = f"the store is at revision {current or 'none'} and this version needs {head}: run `simpul db upgrade`"
    if current is not None and not knows_revision(current):
        message = f"the store is at revision {current}, made by a newer version than this one: install that version"
    raise StoreOutdated(message, current=current, head=head)
