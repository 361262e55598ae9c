"""Tables of the catalog room: agencies, connectors and their revisions, codes, quarantine, uploads.

SQL over them stands in the sibling modules, one per subject. No table here is read by another room.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    false,
    true,
)

from app.database import BigKey, Json, UtcTime, metadata

agency = Table(
    "agency",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_en", Text),
    Column("member_class", String(16), nullable=False),
    Column("contact", Text),
    Column("network_allow", Json, nullable=False),
    Column("env_allow", Json, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

connector = Table(
    "connector",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("agency", String(63), ForeignKey("agency.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("latest_revision", Integer, nullable=False),
    Column("active_revision", Integer),
    Column("joined", String(64)),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    CheckConstraint("state IN ('draft', 'checked', 'published', 'suspended', 'retired')", name="state"),
    Index(None, "agency"),
)

# The text of a revision never changes; `checked_at` and `published_at` are marks beside it, set once each.
connector_revision = Table(
    "connector_revision",
    metadata,
    Column("connector", String(63), ForeignKey("connector.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("schema_ref", String(128)),
    Column("kind", String(32), nullable=False),
    Column("title", Text, nullable=False),
    Column("manifest", Text, nullable=False),  # canonical JSON
    Column("original", Text, nullable=False),  # as it was sent
    Column("digest", String(128), nullable=False),
    Column("author", String(128), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("checked_at", UtcTime),
    Column("published_at", UtcTime),
)

connector_report = Table(
    "connector_report",
    metadata,
    Column("connector", String(63), ForeignKey("connector.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),  # check, discovery
    Column("revision", Integer, nullable=False),
    Column("passed", Boolean),
    Column("report", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
)

connector_health = Table(
    "connector_health",
    metadata,
    Column("connector", String(63), ForeignKey("connector.id"), primary_key=True),
    Column("last_success_at", UtcTime),
    Column("last_error", String(64)),
    Column("last_error_at", UtcTime),
)

quarantine_reject = Table(
    "quarantine_reject",
    metadata,
    Column("seq", BigKey, primary_key=True, autoincrement=True),
    Column("connector", String(63), ForeignKey("connector.id"), nullable=False),
    Column(
        "digest", String(32), nullable=False
    ),  # of the location: one row a rejected record, also when it is seen again
    Column("revision", Integer, nullable=False),
    Column("place", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("masked", Text, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("faults", Json, nullable=False, server_default="[]"),  # every (field, rule, detail, masked) of the record
    Index(None, "connector", "digest", unique=True),
)

quarantine_total = Table(
    "quarantine_total",
    metadata,
    Column("connector", String(63), ForeignKey("connector.id"), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("rejected_rows", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("version", Text),  # the source's own mark of freshness; what another version was rejected for is gone
    Column(
        "whole", Boolean, nullable=False, server_default=false()
    ),  # whether every record was counted, or those of parts
    Column("rules", Json, nullable=False, server_default="[]"),  # [field, rule, records]: counts, not the kept examples
)

change_mark = Table(
    "change_mark",
    metadata,
    Column("connector", String(63), ForeignKey("connector.id"), primary_key=True),
    Column("scope", String(32), primary_key=True),  # rows and masks of a grant: what one reader sees as the dataset
    Column("key", String(2000), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("new_key", String(2000)),
    Column("content", String(32), nullable=False),
    Column("fields", Json, nullable=False),  # field: [keyed digest, seq of its last change]
    Index(None, "connector", "scope", "seq"),
)

agency_file = Table(
    "agency_file",
    metadata,
    Column("agency", String(63), ForeignKey("agency.id"), primary_key=True),
    Column("path", String(512), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("uploaded_by", String(128), nullable=False),
    Column("uploaded_at", UtcTime, nullable=False),
    Column("kept", Boolean, nullable=False, server_default=true()),
)

region_code = Table(
    "region_code",
    metadata,
    Column("kode", String(13), primary_key=True),
    Column("nama", Text, nullable=False),
    Column("tingkat", String(16), nullable=False),
    Column("kode_induk", String(13)),
    Column("sumber", Text, nullable=False),
    Index(None, "kode_induk"),
)

code_crosswalk = Table(
    "code_crosswalk",
    metadata,
    Column("sistem", String(32), primary_key=True),
    Column("kode_asal", String(64), primary_key=True),
    Column("tingkat", String(16), nullable=False),
    Column("nama_asal", Text),
    Column("kode_kemendagri", String(13)),
    Column("metode", String(16), nullable=False),
    Column("sumber", Text, nullable=False),
    Index(None, "kode_kemendagri"),
)
