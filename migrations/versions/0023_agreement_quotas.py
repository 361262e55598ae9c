"""What was used of the quotas of agreements.

Revision ID: 0023
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty tables: no agreement had a quota."""
    op.create_table(
        "agreement_use",
        sa.Column("agreement", sa.String(64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("subjects", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "day", name=op.f("pk_agreement_use")),
    )
    op.create_table(
        "agreement_subject",
        sa.Column("agreement", sa.String(64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "day", "tag", name=op.f("pk_agreement_subject")),
    )
    op.create_index(op.f("ix_agreement_subject_day"), "agreement_subject", ["day"])


def downgrade() -> None:
    """Forgets what was used."""
    op.drop_table("agreement_subject")
    op.drop_table("agreement_use")
