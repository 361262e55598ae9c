"""How Alembic reaches the store: over the connection that `app.database` opened, or (for developers) one of its own.

On SQLite the exchange log has a file of its own and no tables here; on PostgreSQL its tables stand beside the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from alembic import context

import app.access.tables
import app.audit.acts
import app.audit.erasure.requests
import app.audit.read.incidents
import app.catalog.jobs
import app.catalog.tables  # noqa: F401 - importing a room's tables puts them into the metadata
from app.audit.store.tables import metadata as audit_metadata
from app.database import Json, UtcTime, metadata, migrating
from app.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection


def render(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Column types of the house as plain ones: a migration must not change when the software does."""
    if kind == "type" and isinstance(item, UtcTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Json):
        return 'sa.JSON().with_variant(sa.dialects.postgresql.JSONB(), "postgresql")'
    return False


def run(connection: Connection) -> None:
    """Runs the migrations in the caller's transaction, which also holds the DDL on both databases."""
    embedded = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=[metadata] if embedded else [metadata, audit_metadata],
        transactional_ddl=True,
        render_as_batch=embedded,
        render_item=render,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with migrating(load_settings()) as opened:
        run(opened)
