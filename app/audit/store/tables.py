"""Tables of the log on PostgreSQL. The migrations create them; SQLite's own are in `sqlite_schema.py`.

Times are integer microseconds since 1970. Every column of `log_entry` beside `entry` can be derived from it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

log_head = Table(
    "log_head",
    metadata,
    Column("log_id", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("tail", LargeBinary, nullable=False),
)

log_entry = Table(
    "log_entry",
    metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("id", Text, nullable=False, unique=True),
    Column("xid", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("t_us", BigInteger, nullable=False),
    Column("agency", Text),
    Column("client", Text),
    Column("op", Text, nullable=False),
    Column("effect", Text),
    Column("status", Integer),
    Column("row_count", BigInteger),
    Column("facet", BigInteger, nullable=False),
    Index("ix_log_entry_facet_counts", "facet", "idx", postgresql_include=["t_us", "row_count"]),
)

log_facet = Table(
    "log_facet",
    metadata,
    Column("term", Text(collation="C"), primary_key=True),
    Column("facet", BigInteger, primary_key=True, autoincrement=False, index=True),
)

log_node = Table(
    "log_node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("leaves", LargeBinary),
    Column("t_min_us", BigInteger),
    Column("t_max_us", BigInteger),
    Index("ix_log_node_times", "level", "n", "t_min_us", "t_max_us"),
)

log_checkpoint = Table(
    "log_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)

log_cosignature = Table(
    "log_cosignature",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("line", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
)

log_replica = Table(
    "log_replica",
    metadata,
    Column("replica", Text, primary_key=True),
    Column("open_from", BigInteger, nullable=False),
    Column("lock_key", BigInteger, unique=True),
    Column("seen_us", BigInteger, nullable=False, server_default="0"),
    Column("stopped_by", Text),
)

exchange_detail = Table(
    "exchange_detail",
    metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    Column("detail", LargeBinary, nullable=False),
)

exchange_subject = Table(
    "exchange_subject",
    metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("tag", LargeBinary, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Index("ix_exchange_subject_tag", "tag", "idx"),
)

POSTGRES_GUARDS: tuple[str, ...] = (
    """CREATE OR REPLACE FUNCTION log_entry_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'entries of the exchange log are immutable'; END $$""",
    """CREATE OR REPLACE TRIGGER log_entry_guard BEFORE UPDATE OR DELETE ON log_entry
FOR EACH ROW EXECUTE FUNCTION log_entry_is_immutable()""",
    """CREATE OR REPLACE TRIGGER log_entry_guard_truncate BEFORE TRUNCATE ON log_entry
FOR EACH STATEMENT EXECUTE FUNCTION log_entry_is_immutable()""",
)
"""DDL that makes PostgreSQL refuse to change or remove entries; run after the tables exist."""

POSTGRES_GUARDS_DOWN: tuple[str, ...] = (
    "DROP TRIGGER IF EXISTS log_entry_guard_truncate ON log_entry",
    "DROP TRIGGER IF EXISTS log_entry_guard ON log_entry",
    "DROP FUNCTION IF EXISTS log_entry_is_immutable()",
)
