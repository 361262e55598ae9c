"""Snapshots of datasets, whose turn it is among replicas, and what scheduled checks of sources found.

Revision ID: 0018
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.database import BigKey, UtcTime

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty tables: the first snapshots are taken, and the first checks made, by the next gateway that runs."""
    op.create_table(
        "turn",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("holder", sa.String(255)),
        sa.Column("until", UtcTime(), nullable=False),
        sa.Column("next_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_turn")),
    )
    op.create_table(
        "connector_copy",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("connector", sa.String(63), nullable=False),
        sa.Column("agency", sa.String(63), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("made_of", sa.String(64), nullable=False),
        sa.Column("as_of", UtcTime(), nullable=False),
        sa.Column("taken_at", UtcTime(), nullable=False),
        sa.Column("took_seconds", sa.Float(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("rejected_rows", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("replaced_at", UtcTime()),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_connector_copy_connector_connector")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connector_copy")),
    )
    op.create_index(op.f("ix_connector_copy_connector"), "connector_copy", ["connector"])
    op.create_table(
        "connector_copy_fault",
        sa.Column("connector", sa.String(63), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connector"], ["connector.id"], name=op.f("fk_connector_copy_fault_connector_connector")
        ),
        sa.PrimaryKeyConstraint("connector", name=op.f("pk_connector_copy_fault")),
    )
    op.create_table(
        "connector_probe",
        sa.Column("seq", BigKey, autoincrement=True, nullable=False),
        sa.Column("connector", sa.String(63), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("checks", sa.BigInteger(), nullable=False),
        sa.Column("elapsed_ms", sa.Float(), nullable=False),
        sa.Column("step", sa.String(32)),
        sa.Column("code", sa.String(64)),
        sa.Column("detail", sa.Text()),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_connector_probe_connector_connector")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_connector_probe")),
    )
    op.create_index(op.f("ix_connector_probe_connector_seq"), "connector_probe", ["connector", "seq"])


def downgrade() -> None:
    """Takes them away; files of snapshots are removed by the next gateway that has these tables."""
    for name in ("connector_probe", "connector_copy_fault", "connector_copy", "turn"):
        op.drop_table(name)
