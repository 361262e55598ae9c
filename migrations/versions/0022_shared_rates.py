"""Requests of clients and agreements are counted over all replicas.

Revision ID: 0022
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody owes anything."""
    op.create_table(
        "rate_window",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("whole_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rate_window")),
    )


def downgrade() -> None:
    """Each process counts for itself."""
    op.drop_table("rate_window")
