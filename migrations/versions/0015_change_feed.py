"""The change feed remembers one digest a record, and when each of its steps was found.

Digests of before cannot be compared with those of now: they are dropped, and readers of the feed start again (their
`since` is refused with that advice).

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.database import BigKey, Json, KeyText, UtcTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A feed is one reader's view of one dataset; its steps have times, its marks digests."""
    op.drop_table("change_mark")
    op.create_table(
        "change_feed",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("connector", sa.String(63), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("digest_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_change_feed_connector_connector")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_feed")),
    )
    found_by = op.f("ix_change_feed_connector_scope_digest_version")
    op.create_index(found_by, "change_feed", ["connector", "scope", "digest_version"], unique=True)
    op.create_table(
        "change_step",
        sa.Column("feed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("found_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["feed"], ["change_feed.id"], name=op.f("fk_change_step_feed_change_feed")),
        sa.PrimaryKeyConstraint("feed", "seq", name=op.f("pk_change_step")),
    )
    op.create_table(
        "change_mark",
        sa.Column("feed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", KeyText, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("new_key", KeyText),
        sa.Column("content", sa.LargeBinary(16), nullable=False),
        sa.ForeignKeyConstraint(["feed"], ["change_feed.id"], name=op.f("fk_change_mark_feed_change_feed")),
        sa.PrimaryKeyConstraint("feed", "key", name=op.f("pk_change_mark")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_change_mark_feed_seq_key"), "change_mark", ["feed", "seq", "key"])


def downgrade() -> None:
    """The table as it was, empty: readers start again."""
    for name in ("change_mark", "change_step", "change_feed"):
        op.drop_table(name)
    op.create_table(
        "change_mark",
        sa.Column("connector", sa.String(63), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("key", sa.String(2000), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("new_key", sa.String(2000)),
        sa.Column("content", sa.String(32), nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_change_mark_connector_connector")),
        sa.PrimaryKeyConstraint("connector", "scope", "key", name=op.f("pk_change_mark")),
    )
    op.create_index(op.f("ix_change_mark_connector_scope_seq"), "change_mark", ["connector", "scope", "seq"])
