"""Keys of clients, what may be used once, codes of enrolment, revoked tokens.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.database import Json, UtcTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Clients that are there keep their secrets and are bound to no key."""
    with op.batch_alter_table("client") as batch:
        batch.add_column(sa.Column("dpop", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "client_key",
        sa.Column("client", sa.String(64), primary_key=True),
        sa.Column("kid", sa.String(128), primary_key=True),
        sa.Column("thumbprint", sa.String(43), nullable=False),
        sa.Column("jwk", Json, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_table(
        "used_once",
        sa.Column("digest", sa.String(43), primary_key=True),
        sa.Column("expires_at", UtcTime, nullable=False),
    )
    op.create_index("ix_used_once_expires_at", "used_once", ["expires_at"])
    op.create_table(
        "enrolment",
        sa.Column("client", sa.String(64), primary_key=True),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
    )
    op.create_table(
        "revoked_token",
        sa.Column("jti", sa.String(64), primary_key=True),
        sa.Column("expires_at", UtcTime, nullable=False),
    )
    op.create_index("ix_revoked_token_expires_at", "revoked_token", ["expires_at"])


def downgrade() -> None:
    """Clients with keys alone can get no token then; `POST /v1/clients/{client}/rotate` gives them a secret."""
    for table in ("revoked_token", "enrolment", "used_once", "client_key"):
        op.drop_table(table)
    with op.batch_alter_table("client") as batch:
        batch.drop_column("dpop")
