"""What checks measure of a connector is kept with a history.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.database import BigKey, Json, UtcTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row a check; checks of before are not in it."""
    op.create_table(
        "connector_quality",
        sa.Column("seq", BigKey, autoincrement=True, nullable=False),
        sa.Column("connector", sa.String(63), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("columns", Json, nullable=False),
        sa.Column("measured", Json),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_connector_quality_connector_connector")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_connector_quality")),
    )
    op.create_index(op.f("ix_connector_quality_connector_seq"), "connector_quality", ["connector", "seq"])


def downgrade() -> None:
    """Takes it away with its history."""
    op.drop_table("connector_quality")
