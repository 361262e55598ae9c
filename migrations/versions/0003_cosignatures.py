"""The exchange log on PostgreSQL: cosignatures of witnesses over its checkpoints.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only PostgreSQL holds the log; the embedded log is a file of its own."""
    if op.get_context().dialect.name == "postgresql":
        op.create_table(
            "log_cosignature",
            sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("name", sa.Text(), nullable=False),
            sa.Column("line", sa.Text(), nullable=False),
            sa.Column("time", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("size", "name", name=op.f("pk_log_cosignature")),
        )


def downgrade() -> None:
    """Takes the table away."""
    if op.get_context().dialect.name == "postgresql":
        op.drop_table("log_cosignature")
