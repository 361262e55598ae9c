"""Matching of persons: a capped list of identifiers with values, put to the one agency that keeps the register.

The answer says of each whether the person with these values is there, and nothing else: who is not there and who is there with
other values are told alike, in the answer and in what the log shows of it. Counted and tagged as so many verifications.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from app.audit.entry.record import Subject
from app.errors import AllSourcesFailed, SimpulError
from app.federation.question.query import Query
from app.federation.reading.keyed import Keys
from app.federation.reading.whole import WholeRead
from app.gateway.access import dataset_ref
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.records import note_datasets, note_sources
from app.gateway.services import Services
from app.gateway.under import begin
from app.gateway.verification import COMPARED, Allowed, count_subjects, counted_under, require_granted, same
from app.schemas.registry import SchemaDef
from app.schemas.validation import validate_row

MOST_PERSONS: Final = 100
_NOT_MATCHED: Final = "no_match"

Status = Literal["matched", "unmatched", "invalid"]


@dataclass(frozen=True, slots=True)
class Person:
    """An identifier and what is asserted of who has it."""

    number: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PersonAnswer:
    """Whether that person is in the register with these values. `reason` is the same whatever does not fit."""

    number: str
    status: Status
    reason: str | None = None


async def match_persons(
    state: Services, exchange: Exchange, schema: SchemaDef, allowed: Allowed, persons: Sequence[Person]
) -> list[PersonAnswer]:
    """One answer a person, in order. The intent, with everybody's tag, is durable before the source is asked.

    `RateLimited` when the agreement may not ask about so many today; then nobody is asked about.
    """
    _, decision = allowed
    subject = schema.meta.subject or schema.meta.key[0]
    names = frozenset(name for person in persons for name in person.values)
    require_granted(decision, names | {subject})
    problems = {person.number: _problem(schema, subject, person.number) for person in persons}
    numbers = [number for number, problem in problems.items() if problem is None]
    held: Mapping[str, Mapping[str, Any]] = {}
    if numbers:
        state.access.check_keys(
            exchange.principal,
            schema,
            "match",
            lambda: [schema.key_of({subject: number}) for number in numbers],
            state.quotas,
        )
        agreement = counted_under(exchange, decision)
        await state.verifications.admit(state.log, agreement, subject, *numbers)
        await count_subjects(state, agreement, subject, *numbers)
        held = await _held(state, exchange, schema, allowed, numbers, names)
    return [_answer(person, problems[person.number], held.get(person.number)) for person in persons]


async def _held(
    state: Services,
    exchange: Exchange,
    schema: SchemaDef,
    allowed: Allowed,
    numbers: Sequence[str],
    names: frozenset[str],
) -> dict[str, Mapping[str, Any]]:
    """The values of those that the register has, by identifier."""
    datasets, decision = allowed
    subject = schema.meta.subject or schema.meta.key[0]
    refs = [dataset_ref(opened, decision) for opened in datasets]
    note_datasets(exchange, refs)
    compared = [name for name in COMPARED if name in names]
    exchange.asks(structure=f"{schema.meta.ref} match {subject}=?x{len(numbers)} compare={','.join(compared)}")
    for number in numbers:
        exchange.concerns(Subject(subject, number, "asked"))
    await begin(state, exchange, refs)
    fields = (subject, *compared)
    query = Query(
        schema, fields=fields, operation="verify", partial="never", also_needed=frozenset(compared), findings=False
    )
    runtime = state.runtime.until(time.monotonic() + state.settings.request_seconds, exchange.principal.client_id)
    ids = pa.array([schema.key_of({subject: number}) for number in numbers], pa.string())
    keys = Keys(subject, ids, pa.array(numbers, pa.string()))
    read, rows = WholeRead(query, refs, runtime, keys), list[dict[str, Any]]()
    try:
        async with aclosing(read.batches()) as batches:
            async for batch in batches:
                rows += batch.columns.select(list(fields)).to_pylist()
        read.finish()
    except SimpulError as error:
        error.legs = read.statuses
        raise
    finally:
        note_sources(state, read.statuses)
        for status in read.statuses:  # neither the log nor a refusal tells how many of them are there
            status.rows = status.rejected_rows = 0
        exchange.answered(ReadOutcome(0, complete=read.complete, sources=read.statuses))
    held: dict[str, Mapping[str, Any]] = {str(row[subject]): row for row in rows}
    if len(held) < len(rows):
        raise AllSourcesFailed(f"{datasets[0].agency} holds a {subject} more than once; it must mend its register")
    for number in numbers:  # of everybody: how many there are would tell how many the register has
        exchange.concerns(Subject(subject, number, "compared"))
        if number not in held:
            state.verifications.missed(counted_under(exchange, decision), exchange.principal.client_id)
    return held


def _problem(schema: SchemaDef, subject: str, number: str) -> str | None:
    """The rule that an identifier breaks, by its own form alone."""
    _, failures = validate_row(schema, {subject: number})
    return next((f"{subject}: {failure.detail}" for failure in failures if failure.field == subject), None)


def _answer(person: Person, problem: str | None, held: Mapping[str, Any] | None) -> PersonAnswer:
    if problem is not None:
        return PersonAnswer(person.number, "invalid", problem)
    fits = [same(value, (held or {}).get(name)) for name, value in person.values.items()]
    if held is not None and fits and all(fits):
        return PersonAnswer(person.number, "matched")
    return PersonAnswer(person.number, "unmatched", _NOT_MATCHED)
