"""Instances of the log on both stores. The same tests run on each: what holds on SQLite holds on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
import sqlalchemy

from app.audit.entry import Caller, DatasetUse, Entry, Gateway, Record, SourceLeg, Subject, Verdict, uuid7
from app.audit.keys import create_log_keys
from app.audit.log import ExchangeLog
from app.audit.store import LogStore
from app.audit.store_postgres import PostgresLogStore
from app.audit.store_sqlite import SqliteLogStore
from app.audit.tables import POSTGRES_GUARDS, metadata
from app.audit.verify import Verification
from app.audit.verify_store import verify_settings
from app.settings import Settings

ORIGIN = "simpul.jepara.example/log"
GATEWAY = Gateway("gw-1", "simpul 0.1.0")
HOSPITAL = "ID-JEPARA/GOV/rsud-kartini"
REGISTRY = "ID-JEPARA/GOV/disdukcapil"
HEALTH = "ID-JEPARA/GOV/dinkes"


class Instance:
    """One instance of the log: a folder, and a database of its own on PostgreSQL."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.url = url
        self.settings = Settings(dir=folder, database_url=url, log_origin=ORIGIN)
        create_log_keys(folder, ORIGIN)

    def store(self, replica: str = GATEWAY.replica) -> LogStore:
        if self.url is None:
            return SqliteLogStore(self.folder, ORIGIN)
        return PostgresLogStore(self.url, ORIGIN, replica)

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


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Instance:
    if request.param == "sqlite":
        return Instance(tmp_path, None)
    url = request.getfixturevalue("postgres_url")
    prepare_database(url)
    return Instance(tmp_path, url)


@pytest.fixture
def postgres(postgres_url: str, tmp_path: Path) -> Instance:
    prepare_database(postgres_url)
    return Instance(tmp_path, postgres_url)


@pytest.fixture
def embedded(tmp_path: Path) -> Instance:
    return Instance(tmp_path, None)


@pytest.fixture
def exchange() -> Callable[..., list[Record]]:
    """Makes the two records of one exchange: the hospital verifies a person at the registry (or what `facts` say)."""

    def make(*, nik: str = "3320010101900001", **facts: Any) -> list[Record]:
        common: dict[str, Any] = {
            "xid": uuid7(),
            "gw": GATEWAY,
            "op": "verify",
            "client": Caller(HOSPITAL, "pendaftaran", "3bO8ZV0mXcQ"),
            "schemas": ("penduduk_verifikasi",),
            "providers": (REGISTRY,),
            "datasets": (DatasetUse("disdukcapil-penduduk", 3),),
            "agreement": "PKS-2026-014",
            "purpose": "pelayanan-kesehatan",
            "dec": Verdict("allow", "agreement"),
            "q": "nik = ?",
        }
        closing: dict[str, Any] = {
            "status": 200,
            "rows": 1,
            "fields": ("hasil", "status_dasar"),
            "sources": (SourceLeg(REGISTRY, "ok", 1),),
            "body_c": "ab" * 32,
        }
        for name, value in facts.items():
            (closing if name in closing else common)[name] = value
        detail = {"user": "198503122010012001", "case": "RM-1", "query": {"nik": nik}}
        asked, released = Subject("nik", nik, "asked"), Subject("nik", nik, "released")
        return [
            Record(Entry(kind="intent", **common), detail, (asked,)),
            Record(Entry(kind="outcome", **common, **closing), detail, (asked, released)),
        ]

    return make
