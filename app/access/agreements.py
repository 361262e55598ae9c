"""Agreements between agencies (perjanjian bagi pakai data): proposed, approved twice, ended by day or by word.

No function changes the terms of an agreement: a change is a new agreement. What one allows: `decisions.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import quotas, tables
from app.access.hands import Hand, require_hand
from app.access.principals import Principal
from app.access.quotas import Quota
from app.access.tables import ACCESS_TOPIC
from app.database import bump_stamp
from app.errors import Conflict, NotFound, StateConflict

State = Literal["proposed", "approved", "active", "ended", "revoked"]
EffectiveState = Literal["proposed", "approved", "active", "ended", "revoked", "expired", "not_yet_valid"]
ALL_FIELDS: Final = "*"
ALL_RIGHTS: Final = ("aggregate", "join", "match")
SEES_ALL: Final = frozenset({"admin", "supervisor"})
_UNKNOWN: Final = "No agreement {!r} is one of yours; GET /v1/agreements lists them."


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed. `fields` is `("*",)` for every field of the schema; both days are included."""

    provider: str
    consumer: str
    schema: str
    fields: tuple[str, ...]
    purposes: tuple[str, ...]
    basis: str
    valid_from: date
    valid_until: date
    consumer_client: str | None = None
    row_filter: str | None = None
    masks: Mapping[str, str] = field(default_factory=dict)
    rights: tuple[str, ...] | None = None
    """Of `match`, `join` and `aggregate`. None, in agreements that do not say: all of a listed schema, none of one about persons."""
    quota: Quota | None = None
    formats: tuple[str, ...] = ()
    """In which answers may leave; none named: in all."""
    data_life_days: int | None = None
    """How long the consumer may keep what it got."""
    detail_days: int | None = None
    """How long the log keeps the details of exchanges under it; None: as long as nobody erases them."""
    dpia: str | None = None
    """Reference of the data protection impact assessment (UU 27/2022 Ps. 34)."""
    renews: str | None = None
    """The agreement that this one goes on from."""

    def rights_in(self, *, lookup_only: bool) -> tuple[str, ...]:
        """The rights as they hold."""
        if self.rights is not None:
            return self.rights
        return () if lookup_only else ALL_RIGHTS


@dataclass(frozen=True, slots=True)
class Signatory:
    """Who signed which step (propose, provider, walidata, end, revoke) and when. `credential`: its public thumbprint."""

    step: str
    agency: str
    client: str
    at: str
    credential: str = ""

    @property
    def hand(self) -> Hand:
        """Who it was."""
        return Hand(self.agency, self.client, self.credential)


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement as stored. `state` is the stored one; days make it `expired` or `not_yet_valid` (see `state_on`)."""

    id: str
    terms: Terms
    state: State
    signatories: tuple[Signatory, ...]
    reason: str | None
    created_at: datetime
    changed_at: datetime

    def state_on(self, day: date) -> EffectiveState:
        """The state on a local day. A proposal whose last day has passed is expired too."""
        if self.state in ("ended", "revoked"):
            return self.state
        if day > self.terms.valid_until:
            return "expired"
        return "not_yet_valid" if self.state == "active" and day < self.terms.valid_from else self.state

    def concerns(self, principal: Principal) -> bool:
        """Whether the principal is the consumer: its agency, and its client where one is named."""
        terms = self.terms
        return principal.agency == terms.consumer and terms.consumer_client in (None, principal.client_id)

    def granted(self, names: frozenset[str]) -> frozenset[str]:
        """The granted ones among the schema's field names."""
        return names if ALL_FIELDS in self.terms.fields else names & frozenset(self.terms.fields)


Expected = Callable[[Agreement], None]
"""Refuses an agreement that is not as the caller last saw it."""


async def propose(
    connection: AsyncConnection, terms: Terms, principal: Principal, now: datetime, *, agreement_id: str | None = None
) -> Agreement:
    """Store a proposal; by the consumer's steward. Check the terms first (`terms.check_terms`)."""
    require_hand(principal, "agreement.propose", concerned=(terms.consumer,))
    row = _columns(terms) | {
        "id": agreement_id or f"agr-{secrets.token_hex(6)}",
        "state": "proposed",
        "signatories": [_signature("propose", principal, now)],
        "created_at": now,
        "changed_at": now,
    }
    try:
        async with connection.begin_nested():
            await connection.execute(sa.insert(tables.agreement).values(row))
    except IntegrityError:
        raise Conflict(f"Agreement {row['id']} exists already; terms never change, propose under a new id.") from None
    await bump_stamp(connection, ACCESS_TOPIC)
    return await get_agreement(connection, str(row["id"]))


async def approve(
    connection: AsyncConnection,
    agreement_id: str,
    principal: Principal,
    now: datetime,
    *,
    today: date,
    expected: Expected = lambda _: None,
) -> Agreement:
    """The next signature: the provider's (its steward), then the walidata's (an admin): active. No credential signs twice."""
    agreement = await visible_agreement(connection, agreement_id, principal)
    state, provider = agreement.state_on(today), (agreement.terms.provider,)
    earlier = [one.hand for one in agreement.signatories]
    if state == "proposed":
        require_hand(principal, "agreement.provider", concerned=provider, earlier=earlier)
        expected(agreement)
        return await _step(connection, agreement, "approved", "provider", principal, now)
    if state == "approved":
        require_hand(principal, "agreement.walidata", earlier=earlier)
        expected(agreement)
        return await _step(connection, agreement, "active", "walidata", principal, now)
    require_hand(
        principal, "agreement.walidata" if principal.role == "admin" else "agreement.provider", concerned=provider
    )
    expected(agreement)
    raise StateConflict(
        f"Agreement {agreement_id} is {state}; only a proposed or approved one can be approved. "
        "An ended one is renewed by a new proposal.",
        state=state,
        allowed=["proposed", "approved"],
    )


async def end(
    connection: AsyncConnection,
    agreement_id: str,
    principal: Principal,
    now: datetime,
    *,
    reason: str | None = None,
    expected: Expected = lambda _: None,
) -> Agreement:
    """End before the last day, or withdraw a proposal; by a steward of either side or an admin."""
    agreement = await visible_agreement(connection, agreement_id, principal)
    require_hand(principal, "agreement.end", concerned=(agreement.terms.provider, agreement.terms.consumer))
    expected(agreement)
    return await _close(connection, agreement, "ended", principal, now, reason)


async def revoke(
    connection: AsyncConnection,
    agreement_id: str,
    principal: Principal,
    now: datetime,
    *,
    reason: str,
    expected: Expected = lambda _: None,
) -> Agreement:
    """Take it back at once; by the provider's steward or an admin. Acts within a second on every replica."""
    agreement = await visible_agreement(connection, agreement_id, principal)
    require_hand(principal, "agreement.revoke", concerned=(agreement.terms.provider,))
    expected(agreement)
    return await _close(connection, agreement, "revoked", principal, now, reason)


async def get_agreement(connection: AsyncConnection, agreement_id: str) -> Agreement:
    """One agreement, or `NotFound`."""
    found = await connection.execute(sa.select(tables.agreement).where(tables.agreement.c.id == agreement_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound(_UNKNOWN.format(agreement_id))
    return _agreement(row)


async def visible_agreement(connection: AsyncConnection, agreement_id: str, principal: Principal) -> Agreement:
    """One agreement of the caller's agency (any for the walidata and the supervisor); one of others is as unknown as none."""
    found = await get_agreement(connection, agreement_id)
    if principal.role not in SEES_ALL and principal.agency not in {found.terms.provider, found.terms.consumer}:
        raise NotFound(_UNKNOWN.format(agreement_id))
    return found


async def list_agreements(
    connection: AsyncConnection, *, agency: str | None = None, after: str | None = None, limit: int | None = None
) -> list[Agreement]:
    """Agreements by id; with `agency`, those in which it is provider or consumer."""
    column = tables.agreement.c
    query = sa.select(tables.agreement).order_by(column.id).limit(limit)
    if agency is not None:
        query = query.where(sa.or_(column.provider == agency, column.consumer == agency))
    if after is not None:
        query = query.where(column.id > after)
    return [_agreement(row) for row in (await connection.execute(query)).mappings()]


async def _close(
    connection: AsyncConnection,
    agreement: Agreement,
    state: Literal["ended", "revoked"],
    principal: Principal,
    now: datetime,
    reason: str | None,
) -> Agreement:
    if agreement.state in ("ended", "revoked"):
        raise StateConflict(
            f"Agreement {agreement.id} is {agreement.state} already; nothing is left to stop.",
            state=agreement.state,
            allowed=["proposed", "approved", "active"],
        )
    step = "end" if state == "ended" else "revoke"
    return await _step(connection, agreement, state, step, principal, now, reason)


async def _step(
    connection: AsyncConnection,
    agreement: Agreement,
    state: State,
    step: str,
    principal: Principal,
    now: datetime,
    reason: str | None = None,
) -> Agreement:
    """Move on from exactly the state that was read: of two at once, one wins and the other is told."""
    signed = [*(asdict(entry) for entry in agreement.signatories), _signature(step, principal, now)]
    column = tables.agreement.c
    moved = await connection.execute(
        sa.update(tables.agreement)
        .where(column.id == agreement.id, column.state == agreement.state)
        .values(state=state, signatories=signed, reason=reason, changed_at=now)
    )
    if moved.rowcount != 1:
        raise StateConflict(f"Agreement {agreement.id} was changed by someone else just now; read it again.")
    await bump_stamp(connection, ACCESS_TOPIC)
    return await get_agreement(connection, agreement.id)


def _signature(step: str, principal: Principal, now: datetime) -> dict[str, str]:
    moment = now.isoformat().replace("+00:00", "Z")
    return asdict(Signatory(step, principal.agency, principal.client_id, moment, principal.credential))


def _columns(terms: Terms) -> dict[str, Any]:
    row = asdict(terms)
    row["fields"] = list(terms.fields)
    row["purposes"] = list(terms.purposes)
    row["masks"] = dict(terms.masks) or None
    row["rights"] = None if terms.rights is None else list(terms.rights)
    row["formats"] = list(terms.formats) or None
    row["quota"] = quotas.stored(terms.quota)
    return row


def _agreement(row: Mapping[Any, Any]) -> Agreement:
    terms = Terms(
        provider=row["provider"],
        consumer=row["consumer"],
        schema=row["schema"],
        fields=tuple(row["fields"]),
        purposes=tuple(row["purposes"]),
        basis=row["basis"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        consumer_client=row["consumer_client"],
        row_filter=row["row_filter"],
        masks=row["masks"] or {},
        rights=None if row["rights"] is None else tuple(row["rights"]),
        quota=quotas.read(row["quota"]),
        formats=tuple(row["formats"] or ()),
        data_life_days=row["data_life_days"],
        detail_days=row["detail_days"],
        dpia=row["dpia"],
        renews=row["renews"],
    )
    return Agreement(
        id=row["id"],
        terms=terms,
        state=row["state"],
        signatories=tuple(Signatory(**entry) for entry in row["signatories"]),
        reason=row["reason"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )
