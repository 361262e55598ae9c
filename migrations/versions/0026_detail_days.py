"""How long agreements keep the details of exchanges.

Revision ID: 0026
Revises: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Agreements that are there say nothing: their details stay."""
    with op.batch_alter_table("agreement") as batch:
        batch.add_column(sa.Column("detail_days", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Details stay then, whatever was agreed."""
    with op.batch_alter_table("agreement") as batch:
        batch.drop_column("detail_days")
