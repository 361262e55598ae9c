"""A dataset joins its schema once the walidata has let it: the schema's name stands on the connector.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What answers already has joined."""
    op.add_column("connector", sa.Column("joined", sa.String(64), nullable=True))
    connector = sa.table("connector", sa.column("id"), sa.column("active_revision"), sa.column("joined"))
    revisions = sa.table("connector_revision", sa.column("connector"), sa.column("revision"), sa.column("schema_ref"))
    connection = op.get_bind()
    active = sa.select(revisions.c.connector, revisions.c.schema_ref).join_from(
        connector,
        revisions,
        (revisions.c.connector == connector.c.id) & (revisions.c.revision == connector.c.active_revision),
    )
    for name, schema_ref in connection.execute(active).all():
        if schema_ref:
            joined = schema_ref.partition("@")[0]
            connection.execute(sa.update(connector).where(connector.c.id == name).values(joined=joined))


def downgrade() -> None:
    """Takes the column away."""
    op.drop_column("connector", "joined")
