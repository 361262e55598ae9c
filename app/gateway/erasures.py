"""Erasure and legal hold: proposed by one, approved by another of a different agency; details and copies go at once.

The entries and their proofs stay; the answer names what went and who had received data and must be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from app.audit.entry.record import Caller
from app.audit.erasure import requests as governance
from app.audit.erasure.carrying_out import Order, Selection, carry_out, selected
from app.audit.erasure.requests import Actor, ErasureRequest, LegalHold
from app.audit.keys.subjects import normalise
from app.catalog import copies
from app.catalog.quarantine import forget_copies
from app.errors import AgencyForbidden, EntryInvalid, FieldError, HeldByLaw, SimpulError, ValidationFailed
from app.gateway.administration import act
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.schemas import registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody wants erased or held: a person (`id_type`, `value`), or a range of time and terms."""

    id_type: str | None = None
    value: str | None = None
    from_us: int | None = None
    to_us: int | None = None
    terms: tuple[str, ...] = ()
    shown: Mapping[str, Any]
    basis: str
    reference: str
    trail: bool = False


def selection_of(state: Services, draft: Draft) -> Selection:
    """The tags of the person under every key that is there, or the range. `ValidationFailed` for an empty identifier."""
    tags: tuple[bytes, ...] = ()
    if draft.id_type is not None:
        tags = subject_tags(state, draft.id_type, draft.value or "")
    return Selection(tags=tags, from_us=draft.from_us, to_us=draft.to_us, terms=draft.terms)


def subject_tags(state: Services, id_type: str, value: str) -> tuple[bytes, ...]:
    """Tags of a person; `ValidationFailed` for a type that no schema has, or a value without letter or digit."""
    known = sorted(set(personal_schemas().values()))
    if id_type not in known:
        rule = f"one of {', '.join(known)}"
        raise ValidationFailed(f"id_type: {rule}", errors=[FieldError("/subject/id_type", "choice", rule)])
    try:
        normalise(value)  # also where no key exists yet, and so no tag
        return tuple(tag for _, tag in state.log.subject_keys.search_tags(id_type, value))
    except EntryInvalid as error:
        raise ValidationFailed(error.detail, errors=[FieldError("/subject/value", "format", error.detail)]) from None


async def propose(state: Services, exchange: Exchange, draft: Draft) -> tuple[ErasureRequest, int]:
    """Stores the wish, bounded to the entries that stand now; returns it and how many entries it would touch (up to 5000)."""
    now = datetime.now(UTC)
    selection = selection_of(state, draft)
    made = ErasureRequest(
        id=governance.new_id("ers"),
        state="proposed",
        selection=governance.stored_selection(selection, draft.shown),
        trail=draft.trail,
        before_idx=state.log.size(),
        basis=draft.basis,
        reference=draft.reference,
        proposer=_actor(exchange).document(),
        approver=None,
        result=None,
        created_at=now,
        changed_at=now,
    )
    await act(state, exchange, lambda found: governance.add_erasure(found, made))
    order = _order(exchange, made, ())
    return made, len(await selected(state.log.reader, order, 0, held=False, limit=5000))


async def approve(state: Services, exchange: Exchange, request_id: str) -> ErasureRequest:
    """Carries it out, or goes on with one that a crash interrupted. `AgencyForbidden` for the proposer's own agency.

    `HeldByLaw` while a legal hold names any of the entries: nothing is erased then.
    """
    async with state.database.read() as connection:
        request = await governance.get_erasure(connection, request_id)
        holds = await governance.list_holds(connection, active=True)
    _second_agency(exchange, request.proposer, "erasure")
    order = _order(exchange, request, holds)
    held = [
        hold.id
        for hold in holds
        if await selected(
            state.log.reader, replace(order, holds=(governance.read_selection(hold.selection),)), 0, held=True, limit=1
        )
    ]
    if held:
        raise HeldByLaw(f"a legal hold keeps what is to be erased: {', '.join(held)}", holds=held)
    now, actor = datetime.now(UTC), _actor(exchange).document()
    if request.state != "approved":
        change = {"approver": actor, "changed_at": now}
        request = await act(
            state,
            exchange,
            lambda found: governance.move_erasure(found, request_id, "proposed", "approved", **change),
        )
    went = await carry_out(state.log, order)
    connectors = _copied(state, request)
    async with state.database.begin() as connection:
        kept = await forget_copies(connection, connectors)
        snapshots = await copies.forget(connection, _snapshot_of(state, request))
        result = {
            "details": went.details,
            "tags": went.tags,
            "entries": went.entries,
            "receivers": sorted(went.receivers),
            "copies": {**kept, "snapshots": len(snapshots), "connectors": connectors},
        }
        done = await governance.move_erasure(
            connection, request_id, "approved", "done", result=result, changed_at=datetime.now(UTC)
        )
    await state.copies.forgotten(snapshots)
    exchange.answered(ReadOutcome(went.details))
    return done


async def refuse(state: Services, exchange: Exchange, request_id: str) -> ErasureRequest:
    """Ends a proposal that will not be carried out; by anyone who may approve, or the proposer."""
    change = {"approver": _actor(exchange).document(), "changed_at": datetime.now(UTC)}
    return await act(
        state, exchange, lambda found: governance.move_erasure(found, request_id, "proposed", "refused", **change)
    )


async def hold(state: Services, exchange: Exchange, draft: Draft) -> LegalHold:
    """A legal hold; it works from now on."""
    now = datetime.now(UTC)
    made = LegalHold(
        id=governance.new_id("hld"),
        state="active",
        selection=governance.stored_selection(selection_of(state, draft), draft.shown),
        basis=draft.basis,
        reference=draft.reference,
        proposer=_actor(exchange).document(),
        approver=None,
        created_at=now,
        changed_at=now,
    )
    await act(state, exchange, lambda found: governance.add_hold(found, made))
    return made


async def release(state: Services, exchange: Exchange, hold_id: str) -> LegalHold:
    """Ends a hold. `AgencyForbidden` for the agency that placed it: a second one has to agree."""
    async with state.database.read() as connection:
        found = await governance.get_hold(connection, hold_id)
    _second_agency(exchange, found.proposer, "hold")
    now, actor = datetime.now(UTC), _actor(exchange)
    return await act(state, exchange, lambda writer: governance.release_hold(writer, hold_id, actor, now))


def _actor(exchange: Exchange) -> Actor:
    return Actor(exchange.principal.agency, exchange.principal.client_id)


def _second_agency(exchange: Exchange, proposer: Mapping[str, str], what: str) -> None:
    if exchange.principal.agency == proposer["agency"]:
        error: SimpulError = AgencyForbidden(
            f"this {what} was proposed by {proposer['agency']}; somebody of another agency must decide",
            rule="second_agency",
        )
        exchange.decide(allow=False, rule="second_agency")
        raise error


def _order(exchange: Exchange, request: ErasureRequest, holds: Any) -> Order:
    selection = governance.read_selection(request.selection)
    principal = exchange.principal
    return Order(
        op="erasure.subject" if selection.tags else "erasure.range",
        selection=selection,
        holds=tuple(governance.read_selection(found.selection) for found in holds),
        by=Caller(exchange.names.member(principal.agency), principal.client_id, principal.credential),
        gateway=exchange.names.gateway,
        basis=request.basis,
        request=request.id,
        before_idx=request.before_idx,
        trail=request.trail,
    )


def _copied(state: Services, request: ErasureRequest) -> list[str]:
    """Connectors whose rejects and samples may show the person: those of schemas with this kind of identifier."""
    shown = request.selection["shown"]
    id_type, wanted, provider = shown.get("id_type"), shown.get("schema"), shown.get("provider")
    personal = {name for name, subject in personal_schemas().items() if id_type in (None, subject)}
    return sorted(
        found.id
        for found in state.catalog.connectors.values()
        if found.schema in personal and wanted in (None, found.schema) and provider in (None, found.agency)
    )


def _snapshot_of(state: Services, request: ErasureRequest) -> list[str]:
    """Connectors whose snapshots were taken before: what their sources erased meanwhile must not be answered from there."""
    shown = request.selection["shown"]
    wanted, provider = shown.get("schema"), shown.get("provider")
    return sorted(
        found.id
        for found in state.catalog.connectors.values()
        if wanted in (None, found.schema) and provider in (None, found.agency)
    )


def personal_schemas() -> dict[str, str]:
    """Schemas about people, each with the type of identifier that names them."""
    return {
        schema.name: schema.meta.subject or schema.meta.key[0]
        for schema in registry.all_schemas()
        if schema.meta.lookup_only
    }
