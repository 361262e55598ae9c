"""A page of the merged union, or the records of a key: the legs side by side, in the answer's order, merged and cut."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.datasets.records import ReadResult
from app.federation.question.query import Answer, AnswerRecord, DatasetRef, Grant, Query
from app.federation.reading.leg import Leg, fields_of, legs_of, read
from app.federation.reading.merge import merge
from app.federation.reading.paging import Part, next_position
from app.federation.reading.runtime import Runtime
from app.federation.reading.verdict import ASKED, judge
from app.lanes import in_bulk

_INLINE_RECORDS = 1_000


@dataclass(slots=True)
class _Piece:
    """What one leg gives for the page."""

    leg: Leg
    records: list[AnswerRecord] = field(default_factory=list)
    more: bool = False
    answered: bool = False
    """It gave its records, if not those of everybody behind it."""


async def read_page(query: Query, refs: Sequence[DatasetRef], runtime: Runtime) -> Answer:
    """The merged answer; errors are those of `verdict.judge`."""
    legs = legs_of(query, refs, runtime)
    pieces = [_Piece(leg) for leg in legs]
    waiting = [_fill(piece, query, runtime) for piece in pieces if piece.leg.runs]
    if len(waiting) == 1:
        await waiting[0]
    elif waiting:
        await asyncio.gather(*waiting)
    pages = [piece.records for piece in pieces]
    many = sum(map(len, pages)) > _INLINE_RECORDS
    found = await in_bulk(merge, pages, query.sort, query.limit) if many else merge(pages, query.sort, query.limit)
    statuses = [leg.status for leg in legs]
    complete = judge(query, statuses, len(found))
    answered = [piece.leg.status for piece in pieces if piece.answered]
    if len(answered) == 1:
        answered[0].rows = len(found)
    else:
        given = Counter(one.dataset for one in found)
        for status in answered:
            status.rows = given[status.dataset]
    answer = Answer(query.schema, fields_of(query, legs), found, statuses, complete)
    if found and (sum(map(len, pages)) > len(found) or any(piece.more for piece in pieces)):
        parts = [
            Part(piece.leg.ref.agency, piece.leg.ref.dataset, _given(piece))
            for piece in pieces
            if piece.leg.status.status in ASKED
        ]
        position = next_position(query, found, parts)
        answer.after, answer.owed = position.after, position.owed
    return answer


async def _fill(piece: _Piece, query: Query, runtime: Runtime) -> None:
    leg = piece.leg
    result = await read(leg, query, runtime)
    grant = leg.ref.grant
    if result is None or grant is None:
        return
    if result.stale:
        leg.status.status = "stale"
    piece.more, piece.answered = result.more, True
    many = len(result.records) > _INLINE_RECORDS
    made = (leg, grant, query, result, runtime)
    piece.records = await in_bulk(_cut, *made) if many else _cut(*made)


def _cut(leg: Leg, grant: Grant, query: Query, result: ReadResult, runtime: Runtime) -> list[AnswerRecord]:
    """The records with what the grant leaves of them, and where they came from."""
    ref, fields, moment = leg.ref, leg.scan.fields, result.as_of
    records = runtime.cut(query.schema, grant).records(result.records)
    return [AnswerRecord(record, ref.agency, ref.dataset, moment, fields) for record in records]


def _given(piece: _Piece) -> list[AnswerRecord] | None:
    return piece.records if piece.answered else None
