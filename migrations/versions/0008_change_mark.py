"""What the change feed remembers of every record: digests of its fields and when each last moved.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.database import Json

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row a record, reader's scope and dataset."""
    op.create_table(
        "change_mark",
        sa.Column("connector", sa.String(63), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("key", sa.String(2000), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("new_key", sa.String(2000)),
        sa.Column("content", sa.String(32), nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_change_mark_connector_connector")),
        sa.PrimaryKeyConstraint("connector", "scope", "key", name=op.f("pk_change_mark")),
    )
    op.create_index(op.f("ix_change_mark_connector_scope_seq"), "change_mark", ["connector", "scope", "seq"])


def downgrade() -> None:
    """Forgets it."""
    op.drop_table("change_mark")
