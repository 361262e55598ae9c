"""Migrations on both databases: up, down, nothing left to generate, one head; the log's guards on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import func, insert, select, text

import app.access.tables
import app.audit.acts
import app.audit.erasure.requests
import app.audit.read.incidents
import app.catalog.idempotency
import app.catalog.jobs  # noqa: F401 - importing tables puts them into the metadata
from app.audit.store.tables import metadata as audit_metadata
from app.catalog import tables
from app.database import _alembic, current_revision, downgrade, head_revision, metadata, migrating, upgrade
from app.settings import Settings

FEEDS = (tables.change_feed, tables.change_step, tables.change_mark)


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return Settings(dir=tmp_path)
    return Settings(dir=tmp_path, database_url=SecretStr(request.getfixturevalue("postgres_url")))


def test_up_and_down(settings: Settings) -> None:
    upgrade(settings)
    assert current_revision(settings) == head_revision()
    downgrade(settings, "base")
    assert current_revision(settings) is None
    upgrade(settings)

    assert current_revision(settings) == head_revision()


def test_nothing_is_left_to_generate(settings: Settings) -> None:
    upgrade(settings)
    wanted = [metadata] if settings.embedded else [metadata, audit_metadata]
    with migrating(settings) as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), wanted)  # type: ignore[arg-type]

    assert found == []


def test_one_head() -> None:
    assert len(ScriptDirectory.from_config(_alembic()).get_heads()) == 1


def test_entries_cannot_be_changed_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    upgrade(Settings(dir=tmp_path, database_url=SecretStr(postgres_url)))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO log_entry (idx, leaf_hash, entry, id, xid, kind, t_us, op, facet) "
            "VALUES (0, '', '', 'i', 'x', 'intent', 0, 'list', 0)"
        )
        for statement in ("UPDATE log_entry SET kind = 'outcome'", "DELETE FROM log_entry", "TRUNCATE log_entry"):
            with pytest.raises(psycopg.errors.RaiseException):
                connection.execute(statement)


def test_replicas_of_an_earlier_version_count_as_long_not_heard_of(tmp_path: Path, postgres_url: str) -> None:
    settings = Settings(dir=tmp_path, database_url=SecretStr(postgres_url))
    upgrade(settings)
    downgrade(settings, "0009")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("INSERT INTO log_replica (replica, open_from) VALUES ('a', 1), ('b', 2)")
    upgrade(settings)
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT * FROM log_replica ORDER BY replica").fetchall()

    assert found == [("a", 1, None, 0, None), ("b", 2, None, 0, None)]


def test_marks_of_digests_that_cannot_be_compared_are_dropped(settings: Settings) -> None:
    upgrade(settings, "0014")
    with migrating(settings) as connection:
        times = {"created_at": datetime.now(UTC), "updated_at": datetime.now(UTC)}
        lists = {"network_allow": [], "env_allow": [], "disabled": False}
        agency = {"id": "dinkes", "name": "Dinkes", "member_class": "GOV", **lists, **times}
        connection.execute(insert(tables.agency).values(**agency))
        connector = {"id": "dinkes-faskes", "agency": "dinkes", "state": "published", "latest_revision": 1, **times}
        connection.execute(insert(tables.connector).values(**connector))
        connection.execute(
            text(
                "INSERT INTO change_mark VALUES ('dinkes-faskes', 'open', 'K1', 1, true, NULL, 'ab', '{\"nama\": \"cd\"}')"
            )
        )
    upgrade(settings)
    with migrating(settings) as connection:
        found = [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in FEEDS]
        assert connection.execute(select(tables.connector.c.id)).scalar_one() == "dinkes-faskes"
    downgrade(settings, "0014")

    assert found == [0, 0, 0]
    assert current_revision(settings) == "0014"
