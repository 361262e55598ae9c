"""The exchange log on PostgreSQL: terms of a facet are found by the facet too.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only PostgreSQL holds the log; the embedded log is a file of its own."""
    if op.get_context().dialect.name == "postgresql":
        op.create_index(op.f("ix_log_facet_facet"), "log_facet", ["facet"])


def downgrade() -> None:
    """Takes the index away."""
    if op.get_context().dialect.name == "postgresql":
        op.drop_index(op.f("ix_log_facet_facet"), table_name="log_facet")
