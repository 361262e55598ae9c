"""The first store: agencies, connectors, codes, access; on PostgreSQL the exchange log as well.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_GUARDS = (
    """CREATE OR REPLACE FUNCTION log_entry_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'entries of the exchange log are immutable'; END $$""",
    """CREATE OR REPLACE TRIGGER log_entry_guard BEFORE UPDATE OR DELETE ON log_entry
FOR EACH ROW EXECUTE FUNCTION log_entry_is_immutable()""",
    """CREATE OR REPLACE TRIGGER log_entry_guard_truncate BEFORE TRUNCATE ON log_entry
FOR EACH STATEMENT EXECUTE FUNCTION log_entry_is_immutable()""",
)
_GUARDS_DOWN = (
    "DROP TRIGGER IF EXISTS log_entry_guard_truncate ON log_entry",
    "DROP TRIGGER IF EXISTS log_entry_guard ON log_entry",
    "DROP FUNCTION IF EXISTS log_entry_is_immutable()",
)


def upgrade() -> None:
    """All tables. The embedded log has a file of its own and none here."""
    _upgrade_store()
    if op.get_bind().dialect.name == "postgresql":
        _upgrade_log()
        for statement in _GUARDS:
            op.execute(statement)


def downgrade() -> None:
    """No tables."""
    if op.get_bind().dialect.name == "postgresql":
        for statement in _GUARDS_DOWN:
            op.execute(statement)
        _downgrade_log()
    _downgrade_store()


def _upgrade_store() -> None:
    op.create_table(
        "agency",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("member_class", sa.String(length=16), nullable=False),
        sa.Column("contact", sa.Text(), nullable=True),
        sa.Column("network_allow", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("env_allow", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agency")),
    )
    op.create_table(
        "agreement",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("consumer", sa.String(length=64), nullable=False),
        sa.Column("consumer_client", sa.String(length=64), nullable=True),
        sa.Column("schema", sa.String(length=100), nullable=False),
        sa.Column("fields", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("purposes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("basis", sa.String(length=500), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("signatories", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("row_filter", sa.Text(), nullable=True),
        sa.Column("masks", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("quota", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("formats", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("rights", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("data_life_days", sa.Integer(), nullable=True),
        sa.Column("dpia", sa.String(length=500), nullable=True),
        sa.Column("renews", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
    )
    op.create_index(op.f("ix_agreement_consumer"), "agreement", ["consumer"], unique=False)
    op.create_index(op.f("ix_agreement_provider"), "agreement", ["provider"], unique=False)
    op.create_index(op.f("ix_agreement_schema"), "agreement", ["schema"], unique=False)
    op.create_index(op.f("ix_agreement_state"), "agreement", ["state"], unique=False)
    op.create_table(
        "change_stamp",
        sa.Column("topic", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_change_stamp")),
    )
    op.create_table(
        "client",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("secret_hash", sa.String(length=256), nullable=False),
        sa.Column("credential", sa.String(length=64), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
    )
    op.create_index(op.f("ix_client_agency"), "client", ["agency"], unique=False)
    op.create_table(
        "code_crosswalk",
        sa.Column("sistem", sa.String(length=32), nullable=False),
        sa.Column("kode_asal", sa.String(length=64), nullable=False),
        sa.Column("tingkat", sa.String(length=16), nullable=False),
        sa.Column("nama_asal", sa.Text(), nullable=True),
        sa.Column("kode_kemendagri", sa.String(length=13), nullable=True),
        sa.Column("metode", sa.String(length=16), nullable=False),
        sa.Column("sumber", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sistem", "kode_asal", name=op.f("pk_code_crosswalk")),
    )
    op.create_index(op.f("ix_code_crosswalk_kode_kemendagri"), "code_crosswalk", ["kode_kemendagri"], unique=False)
    op.create_table(
        "purpose",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("title_id", sa.String(length=200), nullable=False),
        sa.Column("title_en", sa.String(length=200), nullable=False),
        sa.Column("legal_basis", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_purpose")),
    )
    op.create_table(
        "region_code",
        sa.Column("kode", sa.String(length=13), nullable=False),
        sa.Column("nama", sa.Text(), nullable=False),
        sa.Column("tingkat", sa.String(length=16), nullable=False),
        sa.Column("kode_induk", sa.String(length=13), nullable=True),
        sa.Column("sumber", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kode", name=op.f("pk_region_code")),
    )
    op.create_index(op.f("ix_region_code_kode_induk"), "region_code", ["kode_induk"], unique=False)
    op.create_table(
        "secret",
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agency", "name", name=op.f("pk_secret")),
        sa.UniqueConstraint("id", name=op.f("uq_secret_id")),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    op.create_table(
        "agency_file",
        sa.Column("agency", sa.String(length=63), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("uploaded_by", sa.String(length=128), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agency"], ["agency.id"], name=op.f("fk_agency_file_agency_agency")),
        sa.PrimaryKeyConstraint("agency", "path", "version", name=op.f("pk_agency_file")),
    )
    op.create_table(
        "connector",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("agency", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("latest_revision", sa.Integer(), nullable=False),
        sa.Column("active_revision", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'checked', 'published', 'suspended', 'retired')", name=op.f("ck_connector_state")
        ),
        sa.ForeignKeyConstraint(["agency"], ["agency.id"], name=op.f("fk_connector_agency_agency")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connector")),
    )
    op.create_index(op.f("ix_connector_agency"), "connector", ["agency"], unique=False)
    op.create_table(
        "connector_health",
        sa.Column("connector", sa.String(length=63), nullable=False),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(length=64), nullable=True),
        sa.Column("last_error_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_connector_health_connector_connector")),
        sa.PrimaryKeyConstraint("connector", name=op.f("pk_connector_health")),
    )
    op.create_table(
        "connector_report",
        sa.Column("connector", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=True),
        sa.Column("report", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_connector_report_connector_connector")),
        sa.PrimaryKeyConstraint("connector", "kind", name=op.f("pk_connector_report")),
    )
    op.create_table(
        "connector_revision",
        sa.Column("connector", sa.String(length=63), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("schema_ref", sa.String(length=128), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["connector"], ["connector.id"], name=op.f("fk_connector_revision_connector_connector")
        ),
        sa.PrimaryKeyConstraint("connector", "revision", name=op.f("pk_connector_revision")),
    )
    op.create_table(
        "quarantine_reject",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("connector", sa.String(length=63), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("masked", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_quarantine_reject_connector_connector")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_quarantine_reject")),
    )
    op.create_index(
        op.f("ix_quarantine_reject_connector_digest"), "quarantine_reject", ["connector", "digest"], unique=True
    )
    op.create_table(
        "quarantine_total",
        sa.Column("connector", sa.String(length=63), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rejected_rows", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connector"], ["connector.id"], name=op.f("fk_quarantine_total_connector_connector")),
        sa.PrimaryKeyConstraint("connector", name=op.f("pk_quarantine_total")),
    )


def _downgrade_store() -> None:
    op.drop_table("quarantine_total")
    op.drop_index(op.f("ix_quarantine_reject_connector_digest"), table_name="quarantine_reject")
    op.drop_table("quarantine_reject")
    op.drop_table("connector_revision")
    op.drop_table("connector_report")
    op.drop_table("connector_health")
    op.drop_index(op.f("ix_connector_agency"), table_name="connector")
    op.drop_table("connector")
    op.drop_table("agency_file")
    op.drop_table("signing_key")
    op.drop_table("secret")
    op.drop_index(op.f("ix_region_code_kode_induk"), table_name="region_code")
    op.drop_table("region_code")
    op.drop_table("purpose")
    op.drop_index(op.f("ix_code_crosswalk_kode_kemendagri"), table_name="code_crosswalk")
    op.drop_table("code_crosswalk")
    op.drop_index(op.f("ix_client_agency"), table_name="client")
    op.drop_table("client")
    op.drop_table("change_stamp")
    op.drop_index(op.f("ix_agreement_state"), table_name="agreement")
    op.drop_index(op.f("ix_agreement_schema"), table_name="agreement")
    op.drop_index(op.f("ix_agreement_provider"), table_name="agreement")
    op.drop_index(op.f("ix_agreement_consumer"), table_name="agreement")
    op.drop_table("agreement")
    op.drop_table("agency")


def _upgrade_log() -> None:
    op.create_table(
        "exchange_detail",
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_exchange_detail")),
    )
    op.create_table(
        "exchange_subject",
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("idx", "tag", "role", name=op.f("pk_exchange_subject")),
    )
    op.create_index("ix_exchange_subject_tag", "exchange_subject", ["tag", "idx"], unique=False)
    op.create_table(
        "log_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_log_checkpoint")),
    )
    op.create_table(
        "log_entry",
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("xid", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("t_us", sa.BigInteger(), nullable=False),
        sa.Column("agency", sa.Text(), nullable=True),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("facet", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_log_entry")),
        sa.UniqueConstraint("id", name=op.f("uq_log_entry_id")),
    )
    op.create_index("ix_log_entry_facet", "log_entry", ["facet", "idx"], unique=False)
    op.create_index(op.f("ix_log_entry_xid"), "log_entry", ["xid"], unique=False)
    op.create_table(
        "log_facet",
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("facet", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("term", "facet", name=op.f("pk_log_facet")),
    )
    op.create_table(
        "log_head",
        sa.Column("log_id", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("tail", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", name=op.f("pk_log_head")),
    )
    op.create_table(
        "log_node",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=True),
        sa.Column("t_min_us", sa.BigInteger(), nullable=True),
        sa.Column("t_max_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("level", "n", name=op.f("pk_log_node")),
    )
    op.create_table(
        "log_replica",
        sa.Column("replica", sa.Text(), nullable=False),
        sa.Column("open_from", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("replica", name=op.f("pk_log_replica")),
    )


def _downgrade_log() -> None:
    op.drop_table("log_replica")
    op.drop_table("log_node")
    op.drop_table("log_head")
    op.drop_table("log_facet")
    op.drop_index(op.f("ix_log_entry_xid"), table_name="log_entry")
    op.drop_index("ix_log_entry_facet", table_name="log_entry")
    op.drop_table("log_entry")
    op.drop_table("log_checkpoint")
    op.drop_index("ix_exchange_subject_tag", table_name="exchange_subject")
    op.drop_table("exchange_subject")
    op.drop_table("exchange_detail")
