"""Looking up one key: what a list does, with all that does not depend on the key decided once and kept (`plans.py`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from app.access.days import local_day
from app.errors import RequestError
from app.federation.question.binder import RawQuery
from app.federation.question.query import Answer, Query
from app.gateway import records
from app.gateway.exchange import Exchange
from app.gateway.plans import Plan
from app.gateway.services import Services
from app.schemas.registry import SchemaDef


async def look_up(state: Services, exchange: Exchange, schema: SchemaDef, raw_of: Callable[[], RawQuery]) -> Answer:
    """The records of one key, at most one of each dataset. Raises as `records.read`, and `RecordNotFound`."""
    try:
        raw = raw_of()
    except RequestError:
        records.authorise(state, exchange, schema, "lookup", raw_of)  # 403 comes before 422
        raise
    asserted, day = exchange.assertions, local_day(datetime.now(UTC), state.access.zone)
    given = (bool((asserted.officer or "").strip()), bool((asserted.case or "").strip()))
    mark = (schema.name, exchange.principal, asserted.purpose, asserted.agreement, given, raw.fields, raw.agencies)
    datasets, snapshot = state.sources.of_schema(schema.name), state.access.snapshot
    plan = state.plans.find(mark, snapshot, datasets, day)
    if plan is None:
        asked = records.authorise(state, exchange, schema, "lookup", lambda: raw)
        plan = Plan(
            snapshot, datasets, day, asked.query.fields, asked.query.limit, asked.query.agencies, asked.refs, exchange.providers,
            exchange.datasets, exchange.authority, exchange.structure,
        )  # fmt: skip
        state.plans.keep(mark, plan)
    else:
        exchange.asks(schemas=(schema.name,))
        plan.note(exchange)
    exchange.asks(question={"key": raw.key})
    key = schema.key_of(schema.key_values(raw.key or ""))
    state.access.check_keys(exchange.principal, schema, "lookup", lambda: (key,), state.quotas)
    query = Query(
        schema=schema, fields=plan.fields, limit=plan.limit, agencies=plan.agencies, key=key, partial=raw.partial,
        operation="lookup",
    )  # fmt: skip
    return await records.run(state, exchange, query, plan.refs)
