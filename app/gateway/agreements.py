"""Agreements: proposing one whose terms fit, approving, ending and revoking it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import agreements
from app.access.agreements import Agreement, Expected, Terms
from app.access.days import local_day
from app.access.hands import require_hand
from app.access.terms import check_renewal, check_terms
from app.errors import FieldError, RequestError, ValidationFailed
from app.federation.question.binder import RawQuery, bind
from app.federation.reading.masks import mask_fault
from app.gateway.access import facts_of
from app.gateway.administration import act
from app.gateway.exchange import Exchange
from app.gateway.services import Services
from app.schemas import registry
from app.schemas.registry import SchemaDef


async def propose(state: Services, exchange: Exchange, terms: Terms, *, agreement_id: str | None) -> Agreement:
    """A proposal whose terms fit schema, purposes and agencies. Raises `AgencyUnknown`, `ValidationFailed`, `AgencyForbidden`."""
    require_hand(exchange.principal, "agreement.propose", concerned=(terms.consumer,))
    schema = registry.get(terms.schema)
    for agency in (terms.provider, terms.consumer):
        state.agency(agency)
    allowed = (state.settings.detail_days_least, state.settings.detail_days_most)
    purposes = state.access.snapshot.purposes
    check_terms(terms, facts_of(schema), purposes, today(state), agreement_id=agreement_id, detail_days=allowed)
    _check_row_filter(schema, terms.row_filter)
    _check_masks(schema, terms.masks)
    if terms.renews is not None:
        found = state.access.snapshot.agreements.get(terms.renews)
        parties = (terms.provider, terms.consumer)
        renewed = found if found and (found.terms.provider, found.terms.consumer) == parties else None
        check_renewal(terms, renewed, today(state))
    caller, now = exchange.principal, datetime.now(UTC)
    exchange.touches((terms.provider,))
    exchange.asks(schemas=(schema.name,))
    made = await act(
        state, exchange, lambda found: agreements.propose(found, terms, caller, now, agreement_id=agreement_id)
    )
    exchange.touches((terms.provider,), agreement=made.id)
    return made


async def approve(state: Services, exchange: Exchange, agreement: str, *, expected: Expected) -> Agreement:
    """The next signature: the provider's steward's, then the walidata's."""
    caller, now, day = exchange.principal, datetime.now(UTC), today(state)
    return await _moved(
        state,
        exchange,
        agreement,
        lambda found: agreements.approve(found, agreement, caller, now, today=day, expected=expected),
    )


async def end(state: Services, exchange: Exchange, agreement: str, reason: str, *, expected: Expected) -> Agreement:
    """Ends it before its last day, or withdraws a proposal."""
    caller, now = exchange.principal, datetime.now(UTC)
    return await _moved(
        state,
        exchange,
        agreement,
        lambda found: agreements.end(found, agreement, caller, now, reason=reason, expected=expected),
    )


async def revoke(state: Services, exchange: Exchange, agreement: str, reason: str, *, expected: Expected) -> Agreement:
    """Takes it back: nothing is granted under it any more once this returns (other replicas follow within a second)."""
    caller, now = exchange.principal, datetime.now(UTC)
    return await _moved(
        state,
        exchange,
        agreement,
        lambda found: agreements.revoke(found, agreement, caller, now, reason=reason, expected=expected),
    )


def today(state: Services) -> date:
    """The day by which agreements begin and end."""
    return local_day(datetime.now(UTC), state.settings.zone)


async def _moved(
    state: Services, exchange: Exchange, agreement: str, change: Callable[[AsyncConnection], Awaitable[Agreement]]
) -> Agreement:
    exchange.tells(agreement=agreement)
    made = await act(state, exchange, change)
    exchange.touches((made.terms.provider,), agreement=made.id)
    exchange.asks(schemas=(made.terms.schema,))
    return made


def _check_row_filter(schema: SchemaDef, text: str | None) -> None:
    """As it will be applied: names and literals fit the schema, or the agreement would deny everything on its first day."""
    if text is None:
        return
    try:
        lang = "cql2-json" if text.lstrip().startswith("{") else "cql2-text"
        bind(schema, RawQuery(filter=text, filter_lang=lang))
    except RequestError as error:
        raise ValidationFailed(
            "the row filter does not fit the schema", errors=[FieldError("/row_filter", error.code, error.detail)]
        ) from None


def _check_masks(schema: SchemaDef, masks: Mapping[str, str]) -> None:
    faults = {name: mask_fault(schema.fields[name], mask, schema.meta.key) for name, mask in masks.items()}
    errors = [FieldError(f"/masks/{name}", "mask_unfit", fault) for name, fault in faults.items() if fault]
    if errors:
        raise ValidationFailed(f"a mask does not fit its field: {errors[0].detail}", errors=errors)
