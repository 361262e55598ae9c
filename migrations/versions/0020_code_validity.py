"""Codes know from when to when they are valid, and what replaced them.

Revision ID: 0020
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None

_TABLES = ("region_code", "code_crosswalk")


def upgrade() -> None:
    """Codes that are there are valid at any time, as far as anybody knows."""
    for table in _TABLES:
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("valid_from", sa.String(10)))
            batch.add_column(sa.Column("valid_to", sa.String(10)))
            batch.add_column(sa.Column("pengganti", sa.Text()))


def downgrade() -> None:
    """Forgets it."""
    for table in _TABLES:
        with op.batch_alter_table(table) as batch:
            for name in ("pengganti", "valid_to", "valid_from"):
                batch.drop_column(name)
