"""Views over the union: the merged view and the list of disagreements, read in key order in pieces and put together here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.access.decisions import Operation
from app.datasets.selection import LAST_KEY
from app.errors import AggregateTooLarge, FieldError, ValidationFailed
from app.federation.question import cursor
from app.federation.question.binder import RawQuery, query_hash
from app.federation.question.query import Answer, AnswerRecord, Query, SortKey, SourceStatus
from app.federation.survivorship import (
    Disagreement,
    Merged,
    MergedAnswer,
    MergeRules,
    disagreements,
    grouped,
    is_master,
    merge_records,
)
from app.filters.evaluation import compile_predicate
from app.filters.tree import TRUE, Filter, all_of, conjuncts, properties
from app.gateway import records
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.records import Authorised
from app.gateway.services import Services
from app.schemas.registry import SchemaDef

PIECE_ROWS = 1000
MOST_PIECES = 100


@dataclass(slots=True)
class _Seen:
    """What the pieces of one answer said of their sources: counts add up, the worst status stands."""

    sources: dict[str, SourceStatus] = field(default_factory=dict)
    complete: bool = True

    def note(self, answer: Answer) -> None:
        self.complete = self.complete and answer.complete
        for status in answer.sources:
            before = self.sources.get(status.dataset or status.agency)
            if before is not None:
                status.rows += before.rows
                status.elapsed_ms = round(status.elapsed_ms + before.elapsed_ms, 1)
                if before.problem is not None:
                    status.status, status.problem = before.status, before.problem
            self.sources[status.dataset or status.agency] = status


@dataclass(slots=True)
class ConflictPage:
    """Keys on which agencies disagree, field by field."""

    schema: SchemaDef
    items: list[tuple[str, list[Disagreement]]]
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


def in_key_order(schema: SchemaDef) -> tuple[SortKey, ...]:
    """The sort under which the records of one key stand together."""
    return tuple(SortKey(name) for name in schema.meta.key)


async def _merged_page(state: Services, exchange: Exchange, asked: Authorised) -> tuple[MergedAnswer, str | None]:
    schema, query = asked.query.schema, asked.query
    if query.sort not in ((), in_key_order(schema)):
        detail = f"a merged view is sorted by its key: {', '.join(schema.meta.key)}"
        raise ValidationFailed(detail, errors=[FieldError("/sort", "choice", detail)])
    rules, (ahead, behind) = merge_rules(state, schema), split_by_key(schema, query.filter)
    holds, seen, found = compile_predicate(behind), _Seen(), list[Merged]()
    # Every granted field is read: the filter looks at the merged record, and completeness is that of the whole record.
    query, bound = _resumed(state, asked, replace(query, filter=ahead, fields=None), "merged")
    async for group in _groups(state, exchange, query, asked, seen):
        merged = merge_records(schema, group, rules)
        if behind is TRUE or holds(merged.values) is True:
            found.append(_only(merged, asked.query.fields))
        if len(found) > query.limit:
            break
    kept = found[: query.limit]
    answer = MergedAnswer(schema, kept, list(seen.sources.values()), seen.complete)
    _note(exchange, len(kept), seen, asked.query.fields)
    last = kept[-1].records[-1] if len(found) > query.limit else None
    return answer, _following(state, query, last, bound)


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
    seen, found, last = _Seen(), list[tuple[str, list[Disagreement]]](), list[AnswerRecord]()
    query, bound = _resumed(state, asked, asked.query, "conflicts")
    async for group in _groups(state, exchange, query, asked, seen):
        differing = disagreements(schema, group) if len(group) > 1 else []
        if differing:
            found.append((group[0].record.key, differing))
            last.append(group[-1])
        if len(found) > query.limit:
            break
    page = ConflictPage(schema, found[: query.limit], list(seen.sources.values()), seen.complete)
    _note(exchange, len(page.items), seen)
    return page, _following(state, query, last[query.limit - 1] if len(found) > query.limit else None, bound)


async def _groups(
    state: Services, exchange: Exchange, query: Query, asked: Authorised, seen: _Seen
) -> AsyncIterator[list[AnswerRecord]]:
    """The records of each key, key by key; a key at the end of a piece waits for the next piece."""
    piece, waiting = replace(query, limit=PIECE_ROWS), list[AnswerRecord]()
    for _ in range(MOST_PIECES):
        answer = await records.run(state, exchange, piece, asked.refs)
        seen.note(answer)
        groups = list(grouped([*waiting, *answer.records]))
        waiting = groups.pop() if answer.after is not None and groups else []
        for group in groups:
            yield group
        if answer.after is None:
            return
        piece = replace(piece, after=answer.after, owed={})
    most = PIECE_ROWS * MOST_PIECES
    raise AggregateTooLarge(f"more than {most} records were read for one page; narrow the filter", limit_rows=most)


def _resumed(state: Services, asked: Authorised, query: Query, view: str) -> tuple[Query, str]:
    query = replace(query, sort=in_key_order(query.schema))
    bound = f"{view} {query_hash(asked.query, records.policy_of(asked.decisions))}"
    return cursor.resume(state.cursor_key, asked.raw.cursor, query, bound), bound


def _following(state: Services, query: Query, last: AnswerRecord | None, bound: str) -> str | None:
    """Behind every record of the last key."""
    if last is None:
        return None
    values: Sequence[Any] = [last.record.values.get(key.field) for key in query.sort]
    position = [*values, LAST_KEY, "", LAST_KEY]
    return cursor.make_token(state.cursor_key, "records", bound, [position])


def _note(exchange: Exchange, rows: int, seen: _Seen, fields: tuple[str, ...] | None = None) -> None:
    shown = None if fields is None else tuple(name for name in exchange.fields if name in fields)
    exchange.answered(ReadOutcome(rows, shown, seen.complete, list(seen.sources.values())))
