"""Erasure requests and legal holds: who proposed, who approved, what came of it. Never the identifier, only its tags.

Does not live here: the erasing itself (`carrying_out.py`), the rule that two persons decide (`gateway/erasures.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.audit.erasure.carrying_out import Selection
from app.database import Json, UtcTime, metadata
from app.errors import NotFound, StateConflict

ErasureState = Literal["proposed", "approved", "done", "refused"]
HoldState = Literal["active", "released"]
NO_ERASURE: Final = "no erasure has this id, or it does not concern your agency; GET /v1/erasures lists yours"
NO_HOLD: Final = "no legal hold has this id, or it does not concern your agency; GET /v1/legal-holds lists yours"

erasure_request = sa.Table(
    "erasure_request",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("selection", Json, nullable=False),
    sa.Column("trail", sa.Boolean, nullable=False),
    sa.Column("before_idx", sa.BigInteger, nullable=False),
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("proposer", Json, nullable=False),
    sa.Column("approver", Json),
    sa.Column("result", Json),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
)

legal_hold = sa.Table(
    "legal_hold",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("selection", Json, nullable=False),
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("proposer", Json, nullable=False),
    sa.Column("approver", Json),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who took a step: agency, client (or person), and the credential by its public thumbprint."""

    agency: str
    client: str
    credential: str

    def document(self) -> dict[str, str]:
        """As stored."""
        return {"agency": self.agency, "client": self.client, "credential": self.credential}


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """A wanted erasure. `id_type` and the terms are shown, the tags are not."""

    id: str
    state: ErasureState
    selection: Mapping[str, Any]
    trail: bool
    before_idx: int
    basis: str
    reference: str
    proposer: Mapping[str, str]
    approver: Mapping[str, str] | None
    result: Mapping[str, Any] | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class LegalHold:
    """What must not be erased while it is active. It holds from its proposal on, until who placed it or the supervisor releases it."""

    id: str
    state: HoldState
    selection: Mapping[str, Any]
    basis: str
    reference: str
    proposer: Mapping[str, str]
    approver: Mapping[str, str] | None
    created_at: datetime
    changed_at: datetime


def stored_selection(selection: Selection, shown: Mapping[str, Any], concerned: Sequence[str]) -> dict[str, Any]:
    """A selection as a row keeps it; `shown` is what people may see of it, `concerned` the providers of what it selects."""
    return {
        "tags": [tag.hex() for tag in selection.tags],
        "from_us": selection.from_us,
        "to_us": selection.to_us,
        "terms": list(selection.terms),
        "shown": dict(shown),
        "concerned": list(concerned),
    }


def read_selection(stored: Mapping[str, Any]) -> Selection:
    """The selection that `stored_selection` kept."""
    return Selection(
        tags=tuple(bytes.fromhex(tag) for tag in stored["tags"]),
        from_us=stored["from_us"],
        to_us=stored["to_us"],
        terms=tuple(stored["terms"]),
    )


def new_id(prefix: str) -> str:
    """`prefix-` and twelve random hex digits."""
    return f"{prefix}-{secrets.token_hex(6)}"


async def add_erasure(connection: AsyncConnection, request: ErasureRequest) -> None:
    """Stores a proposal."""
    values = {name: getattr(request, name) for name in ErasureRequest.__slots__}
    await connection.execute(sa.insert(erasure_request).values(values))


async def get_erasure(connection: AsyncConnection, request_id: str) -> ErasureRequest:
    """One request; `NotFound` when there is none."""
    rows = await connection.execute(sa.select(erasure_request).where(erasure_request.c.id == request_id))
    row = rows.mappings().one_or_none()
    if row is None:
        raise NotFound(NO_ERASURE)
    return ErasureRequest(**row)


async def list_erasures(connection: AsyncConnection, state: ErasureState | None = None) -> list[ErasureRequest]:
    """All requests (of one state), newest first."""
    wanted = sa.select(erasure_request).order_by(erasure_request.c.created_at.desc(), erasure_request.c.id)
    if state is not None:
        wanted = wanted.where(erasure_request.c.state == state)
    return [ErasureRequest(**row) for row in (await connection.execute(wanted)).mappings()]


async def move_erasure(
    connection: AsyncConnection, request_id: str, expected: ErasureState, state: ErasureState, **more: Any
) -> ErasureRequest:
    """Takes a request from one state to the next; `StateConflict` when another was quicker."""
    table = erasure_request
    moved = await connection.execute(
        sa.update(table).where(table.c.id == request_id, table.c.state == expected).values(state=state, **more)
    )
    found = await get_erasure(connection, request_id)
    if moved.rowcount != 1:
        raise StateConflict(f"the erasure is {found.state}, not {expected}", state=found.state)
    return found


async def add_hold(connection: AsyncConnection, hold: LegalHold) -> None:
    """Stores a hold; it holds from now on."""
    await connection.execute(sa.insert(legal_hold).values({name: getattr(hold, name) for name in LegalHold.__slots__}))


async def get_hold(connection: AsyncConnection, hold_id: str) -> LegalHold:
    """One hold; `NotFound` when there is none."""
    row = (await connection.execute(sa.select(legal_hold).where(legal_hold.c.id == hold_id))).mappings().one_or_none()
    if row is None:
        raise NotFound(NO_HOLD)
    return LegalHold(**row)


async def list_holds(connection: AsyncConnection, *, active: bool = False) -> list[LegalHold]:
    """All holds (the active ones), newest first."""
    wanted = sa.select(legal_hold).order_by(legal_hold.c.created_at.desc(), legal_hold.c.id)
    if active:
        wanted = wanted.where(legal_hold.c.state == "active")
    return [LegalHold(**row) for row in (await connection.execute(wanted)).mappings()]


async def release_hold(connection: AsyncConnection, hold_id: str, approver: Actor, now: datetime) -> LegalHold:
    """Ends a hold; `StateConflict` when it has ended."""
    moved = await connection.execute(
        sa.update(legal_hold)
        .where(legal_hold.c.id == hold_id, legal_hold.c.state == "active")
        .values(state="released", approver=approver.document(), changed_at=now)
    )
    found = await get_hold(connection, hold_id)
    if moved.rowcount != 1:
        raise StateConflict("the hold was released already", state=found.state)
    return found
