"""Reading records: authorise -> bind -> record the intent -> run -> note what came of it. The layer records the outcome.

List, search and lookup go to every agency that provides the schema; the order of refusals is that of `access.md`.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.access.decisions import Decision, Operation
from app.audit.entry.record import DatasetUse
from app.errors import FieldError, LookupOnly, SimpulError, ValidationFailed
from app.federation.question import cursor
from app.federation.question.binder import RawQuery, bind, query_hash, query_structure
from app.federation.question.query import Answer, DatasetRef, Query, SourceStatus
from app.federation.reading.counting import count_records
from app.federation.reading.page import read_page
from app.federation.reading.verdict import is_complete
from app.filters.tree import properties
from app.gateway.access import dataset_ref, note_decisions, refusal_of
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.gateway.sources import OpenDataset
from app.gateway.under import begin
from app.schemas.registry import SchemaDef


async def read(
    state: Services, exchange: Exchange, schema: SchemaDef, operation: Operation, raw_of: Callable[[], RawQuery]
) -> tuple[Answer, str | None]:
    """The federated answer to a list or search, and the cursor of the next page.

    `raw_of` reads the question from the request: it is called only once access is granted (403 comes before 415 and 422).
    """
    return await page(state, exchange, authorise(state, exchange, schema, operation, raw_of))


async def page(state: Services, exchange: Exchange, asked: Authorised) -> tuple[Answer, str | None]:
    """One page of an authorised question, and the cursor of the next."""
    bound = query_hash(asked.query, holder_of(exchange, asked.decisions))
    query = cursor.resume(state.cursor_key, asked.raw.cursor, asked.query, bound)
    answer = await run(state, exchange, query, asked.refs)
    return answer, cursor.following(state.cursor_key, answer, bound)


@dataclass(frozen=True, slots=True)
class Authorised:
    """A bound question with the datasets it may be put to."""

    raw: RawQuery
    query: Query
    refs: tuple[DatasetRef, ...]
    decisions: Sequence[Decision]


def authorise(
    state: Services, exchange: Exchange, schema: SchemaDef, operation: Operation, raw_of: Callable[[], RawQuery]
) -> Authorised:
    """Decides, binds, decides again for what is really asked, and notes all of it in the exchange."""
    exchange.asks(schemas=(schema.name,))
    datasets = state.sources.of_schema(schema.name)
    decisions = _decide(state, exchange, schema, operation, datasets, None)
    note_decisions(exchange, decisions, state.access.agreement_rates)
    _refuse(schema, decisions, frozenset())
    raw = raw_of()
    query = bind(schema, raw, state.settings.page_rows)
    known_agencies(state, query.agencies or ())
    exchange.asks(structure=query_structure(query), question=raw.told())
    chosen = datasets
    if query.agencies is not None:
        chosen = tuple(found for found in datasets if found.agency in query.agencies)
        chosen += state.sources.retired(schema.name, query.agencies)
    decisions = _decide(state, exchange, schema, operation, chosen, query)
    note_decisions(exchange, decisions, state.access.agreement_rates)
    _refuse(schema, decisions, _needed(query) | frozenset(query.fields or ()))
    refs = tuple(dataset_ref(opened, decision) for opened, decision in zip(chosen, decisions, strict=True))
    note_datasets(exchange, refs)
    return Authorised(raw, query, refs, decisions)


def known_agencies(state: Services, names: Sequence[str]) -> None:
    """Raises `ValidationFailed` for a name that no agency has: nothing is recorded of an agency that does not exist."""
    for index, name in enumerate(names):
        if name not in state.catalog.agencies:
            near = difflib.get_close_matches(name, state.catalog.agencies, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else "GET /v1/agencies lists them"
            detail = f"no agency has the id {name}; {hint}"
            raise ValidationFailed(detail, errors=[FieldError(f"agencies/{index}", "agency_unknown", detail)])


async def run(state: Services, exchange: Exchange, query: Query, refs: Sequence[DatasetRef]) -> Answer:
    """Intent, then the sources; what came of it is noted in the exchange also when it is an error."""
    await begin(state, exchange, refs)
    deadline = time.monotonic() + state.settings.request_seconds
    runtime = state.runtime.until(deadline, exchange.principal.client_id, exchange.assertions.max_age_seconds)
    try:
        answer = await read_page(query, refs, runtime)
        if query.count != "none":
            answer.count = await count_records(query, refs, runtime, answer)
    except SimpulError as error:
        legs = _legs(error)
        exchange.answered(ReadOutcome(complete=is_complete(legs, query.agencies) if legs else None, sources=legs))
        note_sources(state, legs)
        raise
    note_answer(exchange, answer)
    note_sources(state, answer.sources)
    return answer


def note_answer(exchange: Exchange, answer: Answer) -> None:
    """Counts and legs of the answer, for the closing entry."""
    exchange.answered(ReadOutcome(len(answer.records), answer.fields, answer.complete, answer.sources))


def note_sources(state: Services, sources: Sequence[SourceStatus]) -> None:
    """Counts what each source did, and notes the rejects that the reads met (quarantine) and how they ended (health)."""
    for source in sources:
        state.metrics.count_scan(source.agency, source.status, source.elapsed_ms / 1000)
    state.notes.take(sources)


def _decide(
    state: Services,
    exchange: Exchange,
    schema: SchemaDef,
    operation: Operation,
    datasets: Sequence[OpenDataset],
    query: Query | None,
) -> list[Decision]:
    """One decision a provider. While nobody provides the schema, the question is put for a provider of that kind."""
    fields = frozenset(query.fields) if query is not None and query.fields is not None else None
    needed = _needed(query) if query is not None else frozenset()
    providers = [found.agency for found in datasets]
    return [
        state.access.decide(
            exchange.principal, schema, provider, operation, exchange.assertions, fields=fields, needed=needed
        )
        for provider in providers
    ]


def _needed(query: Query) -> frozenset[str]:
    return properties(query.filter) | frozenset(key.field for key in query.sort) | query.also_needed


def policy_of(decisions: Sequence[Decision]) -> str:
    """What the caller was granted, as text: a cursor made under other grants does not fit."""
    grants = {(tuple(sorted(found.fields)), found.agreement or "") for found in decisions if found.allow}
    return repr(sorted(grants))


def holder_of(exchange: Exchange, decisions: Sequence[Decision]) -> str:
    """Whose a cursor is, as text: it fits no other client, no other purpose and no other grants."""
    asked, stated = exchange.principal, exchange.assertions
    return repr((asked.client_id, asked.agency, asked.role, stated.purpose, stated.agreement, policy_of(decisions)))


def _refuse(schema: SchemaDef, decisions: Sequence[Decision], asked: frozenset[str]) -> None:
    if not decisions and schema.meta.lookup_only:
        slug = schema.meta.slug
        raise LookupOnly(f"{schema.name} is never listed; use POST /v1/records/{slug}/verify", rule="lookup_only")
    error = refusal_of(decisions, asked)
    if error is not None:
        raise error


def note_datasets(exchange: Exchange, refs: Sequence[DatasetRef]) -> None:
    """The providers that may be asked, for the intent entry."""
    asked = [ref for ref in refs if ref.grant is not None]
    exchange.touches((ref.agency for ref in asked), (DatasetUse(ref.dataset, ref.revision) for ref in asked))


def _legs(error: SimpulError) -> Sequence[SourceStatus]:
    return [leg for leg in error.legs if isinstance(leg, SourceStatus)]
