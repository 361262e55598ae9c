"""What operators do straight in the store, until a gateway has entered it into the exchange log.

Revision ID: 0025
Revises: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An empty table: what was done before left no note."""
    op.create_table(
        "operator_act",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("op", sa.String(80), nullable=False),
        sa.Column("command", sa.String(200), nullable=False),
        sa.Column("agency", sa.String(64), nullable=True),
        sa.Column("facts", sa.JSON().with_variant(sa.dialects.postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("os_user", sa.String(200), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("taken_by", sa.String(200), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_act")),
    )


def downgrade() -> None:
    """Forgets acts that no gateway entered yet."""
    op.drop_table("operator_act")
