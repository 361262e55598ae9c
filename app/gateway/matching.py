"""Matching many keys against all agencies that provide a schema: authorised and recorded as a list is. Strict by default."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import orjson

from app.errors import FieldForbidden, SimpulError
from app.federation.match import Matching, MatchKey
from app.federation.question.binder import RawQuery
from app.federation.question.query import DatasetRef, Partial, SourceStatus
from app.federation.reading.runtime import Runtime
from app.federation.reading.whole import WholeRead
from app.federation.sql.loading import merged_statuses
from app.federation.writers import source_documents
from app.filters.tree import all_of
from app.gateway import records
from app.gateway.answers import AnswerForm, FinishedAnswer
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.gateway.spool import Spool
from app.lanes import in_bulk
from app.schemas.registry import SchemaDef

_LINES = 5_000


@dataclass(frozen=True, slots=True)
class Keys:
    """The question: keys with values to compare, and the fields to show."""

    wanted: list[MatchKey]
    """Empty once they were answered."""
    fields: tuple[str, ...]
    compared: tuple[str, ...] = ()


def authorise(
    state: Services, exchange: Exchange, schema: SchemaDef, keys_of: Callable[[], Keys], partial: Partial
) -> tuple[records.Authorised, Keys]:
    """As for a list, for the operation `match`: fields to show and to compare must be granted by somebody."""
    exchange.asks(op="match")
    read: list[Keys] = []

    def raw() -> RawQuery:
        keys = keys_of()
        read.append(keys)
        asked = tuple(dict.fromkeys((*schema.meta.key, *keys.fields, *keys.compared)))
        return RawQuery(fields=asked, needed=frozenset(keys.compared), partial=partial)

    asked = records.authorise(state, exchange, schema, "match", raw)
    keys = read[0]
    granted = {name for ref in asked.refs if ref.grant for name in ref.grant.fields}
    _refuse_masked(asked.refs, keys.compared)
    hidden = sorted({*keys.fields, *keys.compared} - granted)
    if hidden and asked.refs:
        raise FieldForbidden(f"no provider grants you {', '.join(hidden)}", rule="field_not_granted", fields=hidden)
    exchange.asks(structure=f"{schema.meta.ref} match keys=?x{len(keys.wanted)} compare={','.join(keys.compared)}")
    return asked, keys


def _refuse_masked(refs: Sequence[DatasetRef], compared: Sequence[str]) -> None:
    """A comparison with a masked value would tell what the mask hides. Sources that mask it are left out, and say so."""
    granted = [ref.grant for ref in refs if ref.grant is not None]
    masked = sorted({name for grant in granted for name in compared if name in grant.masks})
    if masked and all(any(name in grant.masks for name in compared) for grant in granted):
        names = ", ".join(masked)
        raise FieldForbidden(f"{names} is masked for you: it cannot be compared", rule="field_masked", fields=masked)


async def match(
    state: Services,
    exchange: Exchange,
    asked: records.Authorised,
    keys: Keys,
    spool: Spool,
    *,
    seconds: float,
    progress: Callable[[Sequence[WholeRead]], None] = lambda _: None,
) -> FinishedAnswer:
    """The finished answer, key by key in the order of the question; `progress` is told after each part."""
    schema = asked.query.schema
    await exchange.intend(state.log)
    matching = await in_bulk(Matching, schema, keys.wanted, (*keys.fields, *keys.compared))
    runtime = state.runtime.until(time.monotonic() + seconds, exchange.principal.client_id)
    reads: list[WholeRead] = []
    try:
        await _read(asked, matching, runtime, reads, progress)
    except SimpulError as error:
        error.legs = legs = merged_statuses(reads)
        exchange.answered(ReadOutcome(sources=legs))
        records.note_sources(state, legs)
        raise
    legs, complete = merged_statuses(reads), all(read.complete for read in reads)
    rows = await in_bulk(_write, matching, keys, spool, legs, complete=complete)
    exchange.answered(ReadOutcome(rows, keys.fields, complete, legs))
    records.note_sources(state, legs)
    await in_bulk(reads.clear)  # each holds a filter of thousands of values
    return FinishedAnswer(spool, complete, rows, AnswerForm("json"))


async def _read(
    asked: records.Authorised,
    matching: Matching,
    runtime: Runtime,
    reads: list[WholeRead],
    progress: Callable[[Sequence[WholeRead]], None],
) -> None:
    for wanted in await in_bulk(lambda: list(matching.filters())):
        read = WholeRead(replace(asked.query, filter=all_of(wanted, asked.query.filter)), asked.refs, runtime)
        reads.append(read)
        async with aclosing(read.batches()) as batches:
            async for batch in batches:
                await in_bulk(matching.take, batch)
                progress(reads)
        read.finish()


def _silent(sources: Sequence[SourceStatus]) -> list[str]:
    """The agencies that could hold a key and did not say so."""
    return sorted({status.agency for status in sources if status.status not in {"ok", "stale", "denied"}})


def _write(matching: Matching, keys: Keys, spool: Spool, legs: Sequence[SourceStatus], *, complete: bool) -> int:
    """Writes the answer and forgets the question; returns how many records it holds."""
    counts: Counter[str] = Counter()
    rows = 0
    lines: list[bytes] = []
    first = b'{"items":['
    missing = [] if complete else _silent(legs)
    for answer in matching.answers(keys.fields, missing):
        counts[answer["status"]] += 1
        rows += len(answer["records"])
        lines.append(orjson.dumps(answer))
        if len(lines) == _LINES:
            spool.write(first + b",".join(lines))
            first, lines = b",", []
    spool.write(first + b",".join(lines) if lines or first != b"," else b"")
    rest = {
        "counts": {name: counts[name] for name in ("matched", "unmatched", "unknown", "ambiguous", "invalid")},
        "sources": source_documents(legs),
        "complete": complete,
    }
    spool.write(b"]," + orjson.dumps(rest, default=str, option=orjson.OPT_UTC_Z)[1:])
    matching.forget()
    return rows
