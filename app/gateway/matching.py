"""Matching many keys against all agencies that provide a schema: authorised and recorded as a list is. Strict by default."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import orjson

from app.errors import FieldForbidden, SimpulError
from app.federation.match.answers import answers
from app.federation.match.found import Found
from app.federation.match.question import Question
from app.federation.question.binder import RawQuery
from app.federation.question.query import DatasetRef, Partial, SourceStatus
from app.federation.reading.whole import WholeRead
from app.federation.writers import source_documents
from app.gateway import records
from app.gateway.answers import AnswerForm, FinishedAnswer
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.gateway.spool import Spool
from app.gateway.under import begin
from app.lanes import in_bulk
from app.schemas.registry import SchemaDef

_LINES = 5_000


@dataclass(frozen=True, slots=True)
class Asked:
    """The question: keys with values to compare, and the fields to show."""

    question: Question
    fields: tuple[str, ...]


def authorise(
    state: Services, exchange: Exchange, schema: SchemaDef, keys_of: Callable[[], Asked], partial: Partial
) -> tuple[records.Authorised, Asked]:
    """As for a list, for the operation `match`: fields to show and to compare must be granted by somebody."""
    exchange.asks(op="match")
    read: list[Asked] = []

    def raw() -> RawQuery:
        keys = keys_of()
        read.append(keys)
        compared = keys.question.compared
        asked = tuple(dict.fromkeys((*schema.meta.key, *keys.fields, *compared)))
        return RawQuery(fields=asked, needed=frozenset(compared), partial=partial)

    asked = records.authorise(state, exchange, schema, "match", raw)
    keys = read[0]
    compared = keys.question.compared
    granted = {name for ref in asked.refs if ref.grant for name in ref.grant.fields}
    _refuse_masked(asked.refs, compared)
    hidden = sorted({*keys.fields, *compared} - granted)
    if hidden and asked.refs:
        raise FieldForbidden(f"no provider grants you {', '.join(hidden)}", rule="field_not_granted", fields=hidden)
    exchange.asks(structure=f"{schema.meta.ref} match keys=?x{keys.question.size} compare={','.join(compared)}")
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
    keys: Asked,
    spool: Spool,
    *,
    seconds: float,
    progress: Callable[[WholeRead], None] = lambda _: None,
) -> FinishedAnswer:
    """The finished answer, key by key in the order of the question; `progress` is told after each part."""
    question = keys.question
    wanted = await in_bulk(question.keys)
    if wanted is not None:
        state.access.check_keys(exchange.principal, asked.query.schema, "match", wanted.ids.to_pylist, state.quotas)
    await begin(state, exchange, asked.refs)
    names = (*keys.fields, *question.compared)
    found = await in_bulk(Found, question, names, lambda: _waiting_room(state, exchange))
    runtime = state.runtime.until(
        time.monotonic() + seconds, exchange.principal.client_id, exchange.assertions.max_age_seconds
    )
    query = replace(asked.query, findings=False)
    read = WholeRead(query, asked.refs if wanted is not None else (), runtime, wanted)
    try:
        async with aclosing(read.batches()) as batches:
            async for batch in batches:
                await in_bulk(found.take, batch)
                progress(read)
        if wanted is not None:
            read.finish()
        rows = await in_bulk(_write, keys, found, spool, read)
    except SimpulError as error:
        error.legs = read.statuses
        exchange.answered(ReadOutcome(complete=read.complete, sources=read.statuses))
        records.note_sources(state, read.statuses)
        raise
    finally:
        found.close()
    exchange.answered(ReadOutcome(rows, keys.fields, read.complete, read.statuses))
    records.note_sources(state, read.statuses)
    return FinishedAnswer(spool, read.complete, rows, AnswerForm("json"))


def _waiting_room(state: Services, exchange: Exchange) -> Spool:
    """Where records wait that memory does not hold."""
    settings = state.settings
    room = state.storage.room(exchange.principal.client_id)
    return Spool(state.spool, memory_bytes=0, most_bytes=settings.answer_spool_bytes, room=room)


def _silent(sources: Sequence[SourceStatus]) -> list[str]:
    """The agencies that could hold a key and did not say so."""
    return sorted({status.agency for status in sources if status.status not in {"ok", "stale", "denied"}})


def _write(keys: Asked, found: Found, spool: Spool, read: WholeRead) -> int:
    """Writes the answer, and lets go of the question meanwhile; returns how many records it holds."""
    counts: Counter[str] = Counter()
    rows = 0
    first = b'{"items":['
    missing = [] if read.complete else _silent(read.statuses)
    for window in answers(keys.question, found, keys.fields, missing):
        counts.update(window.statuses)
        rows += window.records
        for start in range(0, len(window.texts), _LINES):
            spool.write(first + ",".join(window.texts[start : start + _LINES]).encode())
            first = b","
    spool.write(b"" if first == b"," else first)
    rest = {
        "counts": {name: counts[name] for name in ("matched", "unmatched", "unknown", "ambiguous", "invalid")},
        "sources": source_documents(read.statuses),
        "complete": read.complete,
    }
    spool.write(b"]," + orjson.dumps(rest, default=str, option=orjson.OPT_UTC_Z)[1:])
    return rows
