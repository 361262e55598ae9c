"""Views over the union: the merged view and the list of disagreements, put together here key by key as they are read.

A page ends with its limit, or when most of the request's time is over: its cursor goes on behind the last key that was looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

from app.access.decisions import Operation
from app.errors import FieldError, SimpulError, ValidationFailed
from app.federation.by_key import ReadByKey, behind, in_key_order
from app.federation.question import cursor
from app.federation.question.binder import RawQuery, query_hash
from app.federation.question.query import Answer, AnswerRecord, DatasetRef, Query, SourceStatus
from app.federation.reading.verdict import is_complete
from app.federation.survivorship import (
    Disagreement,
    Merged,
    MergedAnswer,
    MergeRules,
    disagreements,
    is_master,
    merge_records,
)
from app.filters.evaluation import compile_predicate
from app.filters.tree import TRUE, Filter, all_of, conjuncts, properties
from app.gateway import records
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.records import Authorised
from app.gateway.services import Services
from app.gateway.under import begin
from app.lanes import in_bulk
from app.schemas.registry import SchemaDef

Item = TypeVar("Item")

LEAST_PIECE_ROWS = 100
_TIME_SHARE = 0.6
"""Of the request's time, what reading on may take: the rest is for what is under way and the answer."""


@dataclass(slots=True)
class ConflictPage:
    """Keys on which agencies disagree, field by field."""

    schema: SchemaDef
    items: list[tuple[str, list[Disagreement]]]
    sources: Sequence[SourceStatus]
    complete: bool


@dataclass(slots=True)
class _Page(Generic[Item]):
    """What of the keys that were looked at is wanted. `last`: values of the last key, None when there are no more."""

    items: list[Item]
    last: Sequence[Any] | None
    sources: list[SourceStatus]
    complete: bool


async def read(
    state: Services, exchange: Exchange, schema: SchemaDef, operation: Operation, raw_of: Callable[[], RawQuery]
) -> tuple[Answer | MergedAnswer, str | None]:
    """A list or search in the view that it asks for, and the cursor of the next page."""
    asked = records.authorise(state, exchange, schema, operation, raw_of)
    if asked.raw.view == "merged":
        return await _merged_page(state, exchange, asked)
    return await records.page(state, exchange, asked)


def merge_rules(state: Services, schema: SchemaDef) -> MergeRules:
    """Data induk by the agencies' names, freshness by the manifests."""
    agencies = state.catalog.agencies.values()
    masters = frozenset(agency.id for agency in agencies if is_master(schema, agency.name))
    changed = {
        opened.dataset: opened.manifest.freshness.field
        for opened in state.sources.of_schema(schema.name)
        if opened.manifest is not None and opened.manifest.freshness is not None
    }
    return MergeRules(masters, changed)


def split_by_key(schema: SchemaDef, wanted: Filter) -> tuple[Filter, Filter]:
    """What of a filter can be asked of each source (it looks at the key alone), and what only of the merged record."""
    keys = frozenset(schema.meta.key)
    parts = conjuncts(wanted)
    ahead = [part for part in parts if properties(part) <= keys]
    return all_of(*ahead), all_of(*[part for part in parts if not properties(part) <= keys])


async def _merged_page(state: Services, exchange: Exchange, asked: Authorised) -> tuple[MergedAnswer, str | None]:
    schema, query = asked.query.schema, asked.query
    if query.sort not in ((), in_key_order(schema)):
        detail = f"a merged view is sorted by its key: {', '.join(schema.meta.key)}"
        raise ValidationFailed(detail, errors=[FieldError("/sort", "choice", detail)])
    rules, (ahead, rest) = merge_rules(state, schema), split_by_key(schema, query.filter)
    holds = compile_predicate(rest)

    def merged(group: list[AnswerRecord]) -> Merged | None:
        found = merge_records(schema, group, rules)
        return _only(found, asked.query.fields) if rest is TRUE or holds(found.values) is True else None

    # Every granted field is read: the filter looks at the merged record, and completeness is that of the whole record.
    query, bound = _resumed(state, exchange, asked, replace(query, filter=ahead, fields=None), "merged")
    page = await _page(state, exchange, query, asked.refs, merged)
    shown = (
        None if asked.query.fields is None else tuple(name for name in exchange.fields if name in asked.query.fields)
    )
    exchange.answered(ReadOutcome(len(page.items), shown, page.complete, page.sources))
    return MergedAnswer(schema, page.items, page.sources, page.complete), _following(state, page, bound)


def _only(merged: Merged, fields: tuple[str, ...] | None) -> Merged:
    if fields is not None:
        merged.values = {name: value for name, value in merged.values.items() if name in fields}
        merged.provenance = {name: told for name, told in merged.provenance.items() if name in fields}
    return merged


async def conflicts(
    state: Services, exchange: Exchange, schema: SchemaDef, raw_of: Callable[[], RawQuery]
) -> tuple[ConflictPage, str | None]:
    """Keys of which agencies say different things, in key order; only fields that the caller may see."""
    asked = records.authorise(state, exchange, schema, "list", raw_of)
    query, bound = _resumed(state, exchange, asked, asked.query, "conflicts")

    def differing(group: list[AnswerRecord]) -> tuple[str, list[Disagreement]] | None:
        found = disagreements(schema, group) if len(group) > 1 else []
        return (group[0].record.key, found) if found else None

    page = await _page(state, exchange, query, asked.refs, differing)
    exchange.answered(ReadOutcome(len(page.items), None, page.complete, page.sources))
    return ConflictPage(schema, page.items, page.sources, page.complete), _following(state, page, bound)


async def _page(
    state: Services,
    exchange: Exchange,
    query: Query,
    refs: Sequence[DatasetRef],
    wanted: Callable[[list[AnswerRecord]], Item | None],
) -> _Page[Item]:
    """Looks at one key after the other until the page is full, the time is over, or there are no more. Intent first."""
    await begin(state, exchange, refs)
    begun, seconds = time.monotonic(), state.settings.request_seconds
    runtime = state.runtime.until(begun + seconds, exchange.principal.client_id, exchange.assertions.max_age_seconds)
    space = state.space(exchange.principal.client_id)
    reading = ReadByKey(query, refs, runtime, space, first=max(query.limit + 1, LEAST_PIECE_ROWS))
    items, last, more = list[Item](), None, False
    try:
        async with aclosing(reading.groups()) as parts:
            async for groups in parts:
                found, looked = await in_bulk(partial(_look, groups, wanted, query.limit - len(items)))
                items += found
                last = groups[looked - 1][-1] if looked else last
                more = looked < len(groups) or time.monotonic() - begun > _TIME_SHARE * seconds
                if more:
                    break
        complete = reading.finish()
    except SimpulError as error:
        error.legs = error.legs or reading.statuses
        exchange.answered(ReadOutcome(complete=is_complete(reading.statuses, query.agencies), sources=reading.statuses))
        raise
    finally:
        records.note_sources(state, reading.statuses)
    exchange.answered(ReadOutcome(fields=reading.fields))
    values = [last.record.values.get(key.field) for key in query.sort] if more and last is not None else None
    return _Page(items, values, reading.statuses, complete)


def _look(
    groups: list[list[AnswerRecord]], wanted: Callable[[list[AnswerRecord]], Item | None], room: int
) -> tuple[list[Item], int]:
    """What is wanted of these keys, and how many keys were looked at: one that finds no room is for the next page."""
    found = list[Item]()
    for index, group in enumerate(groups):
        item = wanted(group)
        if item is not None:
            if len(found) == room:
                return found, index
            found.append(item)
    return found, len(groups)


def _resumed(state: Services, exchange: Exchange, asked: Authorised, query: Query, view: str) -> tuple[Query, str]:
    query = replace(query, sort=in_key_order(query.schema))
    bound = f"{view} {query_hash(asked.query, records.holder_of(exchange, asked.decisions))}"
    return cursor.resume(state.cursor_key, asked.raw.cursor, query, bound), bound


def _following(state: Services, page: _Page[Item], bound: str) -> str | None:
    """Behind every record of the last key."""
    if page.last is None:
        return None
    position = [list(behind(page.last)), *cursor.copies_of(page.sources)]
    return cursor.make_token(state.cursor_key, "records", bound, position)
