"""Tables of access: clients and their keys, what may be used once, purposes, agreements, sealed secrets and signing keys.

Days are dates of the instance's zone. References to agencies and schemas are plain text: those belong to other rooms.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from app.database import Json, UtcTime, metadata

ACCESS_TOPIC: Final = "access"
"""Change stamp of clients, purposes, agreements and signing keys: every change to them bumps it."""
SECRETS_TOPIC: Final = "secrets"
"""Change stamp of the secrets of sources."""
REVOKED_TOPIC: Final = "revoked"
"""Change stamp of the tokens that were revoked one by one."""

client = sa.Table(
    "client",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("agency", sa.String(64), nullable=False, index=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("secret_hash", sa.String(256), nullable=False),
    sa.Column("credential", sa.String(64), nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("dpop", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("rotated_at", UtcTime, nullable=False),
)

client_key = sa.Table(
    "client_key",
    metadata,
    sa.Column("client", sa.String(64), primary_key=True),
    sa.Column("kid", sa.String(128), primary_key=True),
    sa.Column("thumbprint", sa.String(43), nullable=False),
    sa.Column("jwk", Json, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)
"""Public keys (RFC 7517) by which clients prove who they are; `thumbprint` is that of RFC 7638."""

used_once = sa.Table(
    "used_once",
    metadata,
    sa.Column("digest", sa.String(43), primary_key=True),
    sa.Column("expires_at", UtcTime, nullable=False, index=True),
)
"""What was used and may not be used again, by its SHA-256: for as long as it would be accepted."""

enrolment = sa.Table(
    "enrolment",
    metadata,
    sa.Column("client", sa.String(64), primary_key=True),
    sa.Column("code_hash", sa.String(64), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
)
"""The one code by which a client may register its keys; gone once it was used."""

revoked_token = sa.Table(
    "revoked_token",
    metadata,
    sa.Column("jti", sa.String(64), primary_key=True),
    sa.Column("expires_at", UtcTime, nullable=False, index=True),
)

purpose = sa.Table(
    "purpose",
    metadata,
    sa.Column("code", sa.String(64), primary_key=True),
    sa.Column("title_id", sa.String(200), nullable=False),
    sa.Column("title_en", sa.String(200), nullable=False),
    sa.Column("legal_basis", sa.String(500), nullable=False),
)

agreement = sa.Table(
    "agreement",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("provider", sa.String(64), nullable=False, index=True),
    sa.Column("consumer", sa.String(64), nullable=False, index=True),
    sa.Column("consumer_client", sa.String(64), nullable=True),
    sa.Column("schema", sa.String(100), nullable=False, index=True),
    sa.Column("fields", Json, nullable=False),
    sa.Column("purposes", Json, nullable=False),
    sa.Column("basis", sa.String(500), nullable=False),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_until", sa.Date, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("signatories", Json, nullable=False),
    sa.Column("reason", sa.String(500), nullable=True),
    sa.Column("row_filter", sa.Text, nullable=True),
    sa.Column("masks", Json, nullable=True),
    sa.Column("quota", Json, nullable=True),
    sa.Column("formats", Json, nullable=True),
    sa.Column("rights", Json, nullable=True),
    sa.Column("data_life_days", sa.Integer, nullable=True),
    sa.Column("detail_days", sa.Integer, nullable=True),
    sa.Column("dpia", sa.String(500), nullable=True),
    sa.Column("renews", sa.String(64), nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
)

agreement_use = sa.Table(
    "agreement_use",
    metadata,
    sa.Column("agreement", sa.String(64), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("subjects", sa.BigInteger, nullable=False),
)
"""What was used of the quotas of agreements, with what replicas hold for requests to come."""

agreement_subject = sa.Table(
    "agreement_subject",
    metadata,
    sa.Column("agreement", sa.String(64), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True, index=True),
    sa.Column("tag", sa.LargeBinary, primary_key=True),
)
"""Keyed tags of the subjects asked about today, where a quota counts them."""

secret = sa.Table(
    "secret",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("nonce", sa.LargeBinary, nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("rotated_at", UtcTime, nullable=False),
)

signing_key = sa.Table(
    "signing_key",
    metadata,
    sa.Column("kid", sa.String(64), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("nonce", sa.LargeBinary, nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)

rate_window = sa.Table(
    "rate_window",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("whole_at", sa.Double, nullable=False),
)
"""When the allowance of a client or an agreement is whole again by the count of all replicas (seconds since 1970)."""

person = sa.Table(
    "person",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("agency", sa.String(64), nullable=False, index=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("login", sa.String(100), nullable=False, unique=True),
    sa.Column("email", sa.String(254), nullable=True, unique=True),
    sa.Column("credential", sa.String(64), nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("password_hash", sa.String(256), nullable=True),
    sa.Column("totp", Json, nullable=True),
    sa.Column("totp_counter", sa.BigInteger, nullable=False, default=0),
    sa.Column("failed", sa.Integer, nullable=False, default=0),
    sa.Column("locked_until", UtcTime, nullable=True),
    sa.Column("code_hash", sa.String(64), nullable=True),
    sa.Column("code_until", UtcTime, nullable=True),
    sa.Column("code_totp", Json, nullable=True),
    sa.Column("oidc_issuer", sa.String(500), nullable=True),
    sa.Column("oidc_subject", sa.String(255), nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
    sa.UniqueConstraint("oidc_issuer", "oidc_subject"),
)
"""People, each of one agency and one role. `totp` and `code_totp` are sealed; `totp_counter` is the last step that was used."""

person_recovery = sa.Table(
    "person_recovery",
    metadata,
    sa.Column("person", sa.String(16), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
)
"""Recovery codes that were not used yet, by their SHA-256."""

person_session = sa.Table(
    "person_session",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("person", sa.String(16), nullable=False, index=True),
    sa.Column("credential", sa.String(64), nullable=False),
    sa.Column("means", sa.String(16), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("last_seen", UtcTime, nullable=False),
    sa.Column("idle_until", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False, index=True),
    sa.Column("fresh_until", UtcTime, nullable=True),
)
"""Sessions of people; `id` is the SHA-256 of the cookie's value."""
