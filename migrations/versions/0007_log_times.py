"""The exchange log on PostgreSQL: the times of tiles are found without reading their hashes.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only PostgreSQL holds the log; the embedded log is a file of its own."""
    if op.get_context().dialect.name == "postgresql":
        op.create_index("ix_log_node_times", "log_node", ["level", "n", "t_min_us", "t_max_us"])


def downgrade() -> None:
    """Takes the index away."""
    if op.get_context().dialect.name == "postgresql":
        op.drop_index("ix_log_node_times", table_name="log_node")
