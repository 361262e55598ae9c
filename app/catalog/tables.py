"""Tables of the catalog room: agencies, connectors and their revisions, codes, quarantine, uploads.

SQL over them stands in the sibling modules, one per subject. No table here is read by another room.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    false,
    true,
)

from app.database import BigKey, Json, KeyText, UtcTime, metadata

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

# One row a check that found the columns of the source; `app/catalog/quality.py` keeps the newest, and one a day of those before.
connector_quality = Table(
    "connector_quality",
    metadata,
    Column("seq", BigKey, primary_key=True, autoincrement=True),
    Column("connector", String(63), ForeignKey("connector.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("columns", Json, nullable=False),  # [name, type] of each column at the source
    Column("measured", Json),  # null: the mapping was not tried
    Index(None, "connector", "seq"),
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

change_feed = Table(
    "change_feed",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=True),
    Column("connector", String(63), ForeignKey("connector.id"), nullable=False),
    Column(
        "scope", String(32), nullable=False
    ),  # rows, fields and masks of a grant: what one reader sees as the dataset
    Column("digest_version", Integer, nullable=False),  # digests of another version cannot be compared
    Index(None, "connector", "scope", "digest_version", unique=True),
)

change_step = Table(
    "change_step",
    metadata,
    Column("feed", BigInteger, ForeignKey("change_feed.id"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("found_at", UtcTime, nullable=False),  # when everything that moved in it was known
)

change_mark = Table(
    "change_mark",
    metadata,
    Column("feed", BigInteger, ForeignKey("change_feed.id"), primary_key=True, autoincrement=False),
    Column("key", KeyText, primary_key=True),
    Column("seq", BigInteger, nullable=False),  # of a step that may not have ended yet
    Column("present", Boolean, nullable=False),
    Column("new_key", KeyText),
    Column("content", LargeBinary(16), nullable=False),  # keyed digest of all fields but the key
    Index(None, "feed", "seq", "key"),
    sqlite_with_rowid=False,
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

# Whose turn it is among replicas to do something once for all of them, and when it is to be done next.
turn = Table(
    "turn",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("holder", String(255)),
    Column("until", UtcTime, nullable=False),
    Column("next_at", UtcTime, nullable=False),
)

# A sealed copy of a whole dataset; the file is named after `id`.
connector_copy = Table(
    "connector_copy",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("connector", String(63), ForeignKey("connector.id"), nullable=False),
    Column("agency", String(63), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("made_of", String(64), nullable=False),  # digest of what the mapping was
    Column("as_of", UtcTime, nullable=False),
    Column("taken_at", UtcTime, nullable=False),
    Column("took_seconds", Float, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("rejected_rows", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),  # of the sealed bytes
    Column("sealed_key", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("replaced_at", UtcTime),
    Index(None, "connector"),
)

connector_copy_fault = Table(
    "connector_copy_fault",
    metadata,
    Column("connector", String(63), ForeignKey("connector.id"), primary_key=True),
    Column("code", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("failures", Integer, nullable=False),
)

# What scheduled checks found: one row a run of checks that found the same.
connector_probe = Table(
    "connector_probe",
    metadata,
    Column("seq", BigKey, primary_key=True, autoincrement=True),
    Column("connector", String(63), ForeignKey("connector.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("checks", BigInteger, nullable=False),
    Column("elapsed_ms", Float, nullable=False),
    Column("step", String(32)),
    Column("code", String(64)),
    Column("detail", Text),
    Index(None, "connector", "seq"),
)

region_code = Table(
    "region_code",
    metadata,
    Column("kode", String(13), primary_key=True),
    Column("nama", Text, nullable=False),
    Column("tingkat", String(16), nullable=False),
    Column("kode_induk", String(13)),
    Column("sumber", Text, nullable=False),
    Column("valid_from", String(10)),
    Column("valid_to", String(10)),
    Column("pengganti", Text),
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
    Column("valid_from", String(10)),
    Column("valid_to", String(10)),
    Column("pengganti", Text),
    Index(None, "kode_kemendagri"),
)
