"""The exchange log on PostgreSQL: counting needs no entries (time and rows stand in the index), terms are ordered by bytes.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only PostgreSQL holds the log; the embedded log is a file of its own."""
    if op.get_context().dialect.name == "postgresql":
        op.create_index(
            "ix_log_entry_facet_counts", "log_entry", ["facet", "idx"], postgresql_include=["t_us", "row_count"]
        )
        op.drop_index("ix_log_entry_facet", table_name="log_entry")
        op.execute('ALTER TABLE log_facet ALTER COLUMN term TYPE text COLLATE "C"')


def downgrade() -> None:
    """Back to the narrow index and the order of the database."""
    if op.get_context().dialect.name == "postgresql":
        op.execute('ALTER TABLE log_facet ALTER COLUMN term TYPE text COLLATE "default"')
        op.create_index("ix_log_entry_facet", "log_entry", ["facet", "idx"])
        op.drop_index("ix_log_entry_facet_counts", table_name="log_entry")
