"""Replicas of the exchange log: a lock of their own, when each was last heard of, and who closes what a stopped one left.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMNS = ("stopped_by", "seen_us", "lock_key")


def upgrade() -> None:
    """Only PostgreSQL has replicas. What stands there was left by processes that have ended: long not heard of."""
    if op.get_context().dialect.name == "postgresql":
        op.add_column("log_replica", sa.Column("lock_key", sa.BigInteger(), nullable=True))
        op.add_column("log_replica", sa.Column("seen_us", sa.BigInteger(), nullable=False, server_default="0"))
        op.add_column("log_replica", sa.Column("stopped_by", sa.Text(), nullable=True))
        op.create_unique_constraint("uq_log_replica_lock_key", "log_replica", ["lock_key"])


def downgrade() -> None:
    """Takes the columns away."""
    if op.get_context().dialect.name == "postgresql":
        op.drop_constraint("uq_log_replica_lock_key", "log_replica", type_="unique")
        for name in _COLUMNS:
            op.drop_column("log_replica", name)
