"""Aggregates over the union: authorise, read what the caller may see, refuse what would be wrong, add up here.

Strict unless the caller says otherwise: a count without one agency is a wrong count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.datasets.records import MappedRecord
from app.errors import AggregateTooLarge, PartialAnswerRefused
from app.federation.question.aggregate_binder import aggregation_structure
from app.federation.question.aggregation import Aggregation, Overlap, aggregate, overlap_of, refuse_overlap
from app.federation.question.binder import RawQuery
from app.federation.question.query import Answer, AnswerRecord, SourceStatus
from app.federation.survivorship import grouped, merge_records
from app.filters.evaluation import compile_predicate
from app.gateway import records
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.gateway.views import in_key_order, merge_rules, split_by_key
from app.lanes import in_bulk
from app.schemas.registry import SchemaDef

MOST_RECORDS = 100_000


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
    merged = asked.raw.view == "merged"
    exchange.asks(structure=f"{exchange.structure} {aggregation_structure(asked.aggregation)}")
    query = replace(allowed.query, limit=MOST_RECORDS)
    ahead, behind = split_by_key(schema, query.filter)
    if merged:
        query = replace(query, sort=in_key_order(schema), filter=ahead, fields=None)
    answer = await records.run(state, exchange, query, allowed.refs)
    _whole(answer, strict=asked.raw.partial == "never")
    found, overlap = answer.records, await in_bulk(overlap_of, answer.records)
    if merged:
        rules, holds = merge_rules(state, schema), compile_predicate(behind)

        def one_each() -> list[AnswerRecord]:
            values = [merge_records(schema, group, rules).values for group in grouped(found)]
            return [_standing_for(found[0], one) for one in values if holds(one) is True]

        found = await in_bulk(one_each)
    elif asked.raw.agencies is None and asked.overlap == "refuse":
        refuse_overlap(asked.aggregation, overlap)
    items = await in_bulk(aggregate, schema, found, asked.aggregation)
    fields = tuple(name for name in schema.fields if name in asked.aggregation.fields)
    exchange.answered(ReadOutcome(len(items), fields))
    return Groups(schema, items, answer.sources, answer.complete, overlap)


def _whole(answer: Answer, *, strict: bool) -> None:
    if answer.after is not None:
        detail = f"more than {MOST_RECORDS} records would have to be added up; narrow the filter or name agencies"
        raise AggregateTooLarge(detail, limit_rows=MOST_RECORDS)
    if strict and not answer.complete:
        missing = ", ".join(sorted({status.agency for status in answer.sources if status.problem is not None}))
        detail = f"{missing} cannot be counted in; send Prefer: partial=allow to go on without"
        error = PartialAnswerRefused(detail, sources=answer.sources)
        error.legs = answer.sources
        raise error


def _standing_for(found: AnswerRecord, values: dict[str, Any]) -> AnswerRecord:
    return replace(found, record=MappedRecord("", values))
