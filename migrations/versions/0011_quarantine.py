"""Quarantine: one entry a rejected record with all its faults, true counts by rule, the version of the source they belong to.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """What is kept is derived from reads and counted otherwise: it goes, the next read brings it back."""
    op.execute("DELETE FROM quarantine_reject")
    op.execute("DELETE FROM quarantine_total")
    op.add_column("quarantine_reject", sa.Column("faults", _JSON, nullable=False, server_default="[]"))
    op.add_column("quarantine_total", sa.Column("version", sa.Text(), nullable=True))
    op.add_column("quarantine_total", sa.Column("whole", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("quarantine_total", sa.Column("rules", _JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Takes the columns away, and what was counted by them."""
    op.execute("DELETE FROM quarantine_reject")
    op.execute("DELETE FROM quarantine_total")
    op.drop_column("quarantine_reject", "faults")
    for name in ("version", "whole", "rules"):
        op.drop_column("quarantine_total", name)
