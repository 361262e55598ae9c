"""Erasure and legal hold: proposed by one, approved by a provider concerned or the supervisor; details and copies go at once.

The entries and their proofs stay; the answer names what went and who had received data and must be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from app.access.hands import Hand, require_hand, sees
from app.access.principals import Principal
from app.audit.entry.record import Caller
from app.audit.erasure import requests as governance
from app.audit.erasure.carrying_out import Order, Selection, carry_out, providers, selected
from app.audit.erasure.requests import Actor, ErasureRequest, LegalHold
from app.audit.keys.subjects import normalise
from app.catalog import copies
from app.catalog.quarantine import forget_copies
from app.errors import AgencyForbidden, EntryInvalid, FieldError, HeldByLaw, NotFound, RoleForbidden, ValidationFailed
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
    require_hand(exchange.principal, "erasure.propose")
    now = datetime.now(UTC)
    selection = selection_of(state, draft)
    made = ErasureRequest(
        id=governance.new_id("ers"),
        state="proposed",
        selection=governance.stored_selection(
            selection, draft.shown, await _concerned(state, selection, draft.shown, state.log.size())
        ),
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
    """Carries it out, or goes on with one that a crash interrupted; by a steward of a provider concerned, or the supervisor.

    `AgencyForbidden` for others and for the proposer's own agency. `HeldByLaw` while a legal hold names any of the entries: nothing is
    erased then.
    """
    request = await seen_erasure(state, exchange, request_id)
    async with state.database.read() as connection:
        holds = await governance.list_holds(connection, active=True)
    with _deciding(exchange):
        require_hand(
            exchange.principal,
            "erasure.approve",
            concerned=_providers(request.selection),
            earlier=(Hand.of(request.proposer),),
        )
        _second_agency(exchange.principal, request.proposer)
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
    connectors = _copied(state, request.selection["shown"])
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
    """Ends a proposal that will not be carried out; by anyone who may approve, or the proposer's agency."""
    request = await seen_erasure(state, exchange, request_id)
    with _deciding(exchange):
        require_hand(exchange.principal, "erasure.refuse", concerned=concerned_of(request))
    change = {"approver": _actor(exchange).document(), "changed_at": datetime.now(UTC)}
    return await act(
        state, exchange, lambda found: governance.move_erasure(found, request_id, "proposed", "refused", **change)
    )


async def hold(state: Services, exchange: Exchange, draft: Draft) -> LegalHold:
    """A legal hold; it works from now on."""
    require_hand(exchange.principal, "hold.place")
    now = datetime.now(UTC)
    selection = selection_of(state, draft)
    made = LegalHold(
        id=governance.new_id("hld"),
        state="active",
        selection=governance.stored_selection(
            selection, draft.shown, await _concerned(state, selection, draft.shown, state.log.size())
        ),
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
    """Ends a hold; by the agency that placed it, or the supervisor. `AgencyForbidden` for all others."""
    async with state.database.read() as connection:
        found = await governance.get_hold(connection, hold_id)
    if not sees(exchange.principal, concerned_of(found)):
        raise NotFound(governance.NO_HOLD)
    with _deciding(exchange):
        require_hand(exchange.principal, "hold.release", concerned=(found.proposer["agency"],))
    now, actor = datetime.now(UTC), _actor(exchange)
    return await act(state, exchange, lambda writer: governance.release_hold(writer, hold_id, actor, now))


async def seen_erasure(state: Services, exchange: Exchange, request_id: str) -> ErasureRequest:
    """One request that concerns the caller; one of others is as unknown as none."""
    async with state.database.read() as connection:
        found = await governance.get_erasure(connection, request_id)
    if not sees(exchange.principal, concerned_of(found)):
        raise NotFound(governance.NO_ERASURE)
    return found


def concerned_of(found: ErasureRequest | LegalHold) -> frozenset[str]:
    """The agencies that a request or a hold concerns: the proposer's, and the providers of what it selects."""
    return frozenset({found.proposer["agency"], *_providers(found.selection)})


def _providers(selection: Mapping[str, Any]) -> frozenset[str]:
    """The providers concerned, as they were when it was proposed; nobody for what was proposed before they were kept."""
    return frozenset(selection.get("concerned", ()))


async def _concerned(state: Services, selection: Selection, shown: Mapping[str, Any], before_idx: int) -> list[str]:
    """The providers of the selected entries, and those whose copies may show the person."""
    members = await providers(state.log.reader, selection, before_idx)
    copied = {state.catalog.connectors[name].agency for name in _copied(state, shown)}
    return sorted({member.rsplit("/", 1)[-1] for member in members} | copied)


def _actor(exchange: Exchange) -> Actor:
    principal = exchange.principal
    return Actor(principal.agency, principal.client_id, principal.credential)


@contextmanager
def _deciding(exchange: Exchange) -> Iterator[None]:
    """A refusal stands in the entry under its rule."""
    try:
        yield
    except (AgencyForbidden, RoleForbidden) as refused:
        exchange.decide(allow=False, rule=str(refused.facts["rule"]))
        raise


def _second_agency(principal: Principal, proposer: Mapping[str, str]) -> None:
    if principal.agency == proposer["agency"]:
        raise AgencyForbidden(
            f"this erasure was proposed by {proposer['agency']}; a provider of another agency or the supervisor must decide",
            rule="second_agency",
        )


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


def _copied(state: Services, shown: Mapping[str, Any]) -> list[str]:
    """Connectors whose rejects and samples may show the person: those of schemas with this kind of identifier."""
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
