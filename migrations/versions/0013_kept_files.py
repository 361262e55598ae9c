"""Old versions of uploads lose their bytes when an agency's space is used up; their digests stay listed.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is there is kept."""
    op.add_column("agency_file", sa.Column("kept", sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    """Takes the mark away."""
    op.drop_column("agency_file", "kept")
