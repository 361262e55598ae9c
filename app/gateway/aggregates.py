"""Aggregates over the union: authorise, read what the caller may see, refuse what would be wrong, add up here.

Strict unless the caller says otherwise: a count without one agency is a wrong count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from app.errors import SimpulError
from app.federation.adding import Adding
from app.federation.by_key import in_key_order
from app.federation.question.aggregate_binder import aggregation_structure
from app.federation.question.aggregation import Aggregation, Overlap, refuse_overlap
from app.federation.question.binder import RawQuery
from app.federation.question.query import AnswerRecord, Query, SourceStatus
from app.federation.reading.whole import WholeRead
from app.federation.sorting import sorted_records
from app.federation.spilling import Space
from app.federation.survivorship import grouped, merge_records
from app.filters.evaluation import compile_predicate
from app.gateway import records
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.gateway.under import begin
from app.gateway.views import merge_rules, split_by_key
from app.lanes import in_bulk
from app.schemas.arrow import batch_of
from app.schemas.registry import SchemaDef


@dataclass(frozen=True, slots=True)
class AggregateQuestion:
    """An aggregate as it is asked; `raw` holds filter, agencies and view."""

    raw: RawQuery
    aggregation: Aggregation
    overlap: Literal["refuse", "accept"] = "refuse"


@dataclass(frozen=True, slots=True)
class Groups:
    """The answer: one item a group."""

    schema: SchemaDef
    items: list[dict[str, Any]]
    sources: list[SourceStatus]
    complete: bool
    overlap: Overlap | None


async def add_up(
    state: Services, exchange: Exchange, schema: SchemaDef, asked_of: Callable[[], AggregateQuestion]
) -> Groups:
    """The groups. `asked_of` reads the question: it is called only once access is granted."""
    read: list[AggregateQuestion] = []

    def raw_of() -> RawQuery:
        read.append(asked_of())
        asked = read[0]
        fields = asked.aggregation.fields
        return replace(asked.raw, fields=tuple({*fields, *schema.meta.key}), needed=fields)

    allowed = records.authorise(state, exchange, schema, "aggregate", raw_of)
    asked = read[0]
    exchange.asks(structure=f"{exchange.structure} {aggregation_structure(asked.aggregation)}")
    query = allowed.query
    query = replace(query, fields=(*(query.fields or ()), *asked.aggregation.units(schema)), findings=False)
    if asked.raw.view == "merged":
        query = replace(query, sort=in_key_order(schema), filter=split_by_key(schema, query.filter)[0], fields=None)
    await begin(state, exchange, allowed.refs)
    deadline = time.monotonic() + state.settings.request_seconds
    whole = WholeRead(
        query,
        allowed.refs,
        state.runtime.until(deadline, exchange.principal.client_id, exchange.assertions.max_age_seconds),
    )
    try:
        space = state.space(exchange.principal.client_id)
        found = await _added(state, space, whole, allowed.query, asked)
    except SimpulError as error:
        error.legs = error.legs or whole.statuses
        exchange.answered(ReadOutcome(complete=whole.complete, sources=whole.statuses))
        raise
    finally:
        records.note_sources(state, whole.statuses)
    fields = tuple(name for name in schema.fields if name in asked.aggregation.fields)
    exchange.answered(ReadOutcome(len(found.items), fields, found.complete, found.sources))
    return found


async def _added(state: Services, space: Space, read: WholeRead, query: Query, asked: AggregateQuestion) -> Groups:
    """`query` is the question as it was asked: the reading of a merged view is wider."""
    schema, merged = query.schema, asked.raw.view == "merged"
    adding = Adding(schema, asked.aggregation, space, overlaps=read.united and not merged)
    try:
        if merged:
            overlap = await _merged(state, space, read, query, adding)
            complete = read.finish(counted=True)
        else:
            async with aclosing(read.together()) as batches:
                async for batch in batches:
                    await adding.take(batch.columns, batch.agency)
            complete, overlap = read.finish(counted=True), await adding.overlap()
            if asked.raw.agencies is None and asked.overlap == "refuse":
                refuse_overlap(asked.aggregation, overlap)
        return Groups(schema, await adding.items(), read.statuses, complete, overlap)
    finally:
        adding.close()


async def _merged(state: Services, space: Space, read: WholeRead, query: Query, adding: Adding) -> Overlap | None:
    """Adds one record a key, where it is wanted; the keys that several agencies hold."""
    schema, shared, agencies = query.schema, 0, set[str]()
    rules, holds = merge_rules(state, schema), compile_predicate(split_by_key(schema, query.filter)[1])
    waiting = list[AnswerRecord]()

    def one_each(found: list[AnswerRecord], *, last: bool) -> pa.RecordBatch:
        nonlocal shared, waiting
        groups = list(grouped([*waiting, *found]))
        waiting = [] if last or not groups else groups.pop()
        for group in groups:
            holders = {one.agency for one in group}
            if len(holders) > 1:
                shared += 1
                agencies.update(holders)
        values = [merge_records(schema, group, rules).values for group in groups]
        batch = batch_of(schema, [one for one in values if holds(one) is True])
        return batch.append_column("_id", pa.nulls(batch.num_rows, pa.string()))

    async with aclosing(sorted_records(read, space)) as parts:
        async for part in parts:
            await adding.take(await in_bulk(one_each, part, last=False), "")
    await adding.take(await in_bulk(one_each, [], last=True), "")
    return Overlap(shared, tuple(sorted(agencies))) if shared else None
