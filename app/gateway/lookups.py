"""Looking up one key: what a list does, with all that does not depend on the key decided once and kept (`plans.py`)."""

from __future__ import annotations

from datetime import UTC, datetime

from app.access.days import local_day
from app.federation.binder import RawQuery
from app.federation.query import Answer, Query
from app.gateway import records
from app.gateway.exchange import Exchange
from app.gateway.plans import Plan
from app.gateway.state import State
from app.schemas.registry import SchemaDef


async def look_up(state: State, exchange: Exchange, schema: SchemaDef, raw: RawQuery) -> Answer:
    """The records of one key, at most one of each dataset. Raises as `records.read`, and `RecordNotFound`."""
    asserted, day = exchange.assertions, local_day(datetime.now(UTC), state.access.zone)
    given = (bool((asserted.officer or "").strip()), bool((asserted.case or "").strip()))
    mark = (schema.name, exchange.principal, asserted.purpose, asserted.agreement, given, raw.fields)
    datasets, snapshot = state.sources.of_schema(schema.name), state.access.snapshot
    plan = state.plans.find(mark, snapshot, datasets, day)
    if plan is None:
        asked = records.authorise(state, exchange, schema, "lookup", lambda: raw)
        plan = Plan(
            snapshot, datasets, day, asked.query.fields, asked.query.limit, asked.refs, exchange.providers,
            exchange.datasets, exchange.rule or "", exchange.agreement, exchange.purpose, exchange.basis, exchange.shape,
        )  # fmt: skip
        state.plans.keep(mark, plan)
    else:
        exchange.schemas = (schema.name,)
        plan.note(exchange)
    key = schema.key_of(schema.key_values(raw.key or ""))
    query = Query(schema=schema, fields=plan.fields, limit=plan.limit, key=key, partial=raw.partial, operation="lookup")
    return await records.run(state, exchange, query, plan.refs)
