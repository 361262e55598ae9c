"""Callers' SQL: guard -> decide for every schema -> read what is granted -> run in a worker -> finished answer.

Only rows that policy filtered enter the worker. Strict by default: a join over half of the sources is no answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from sqlglot import exp

from app.audit.entry.record import DatasetUse
from app.errors import FieldForbidden, FieldUnknown, OverlapRefused, SimpulError
from app.federation.exports import Columns, Summary, writer_of
from app.federation.question.query import DatasetRef, Partial
from app.federation.reading.batches import Batch
from app.federation.reading.whole import WholeRead
from app.federation.sql.engine import MOST_ROWS, SECONDS, SqlWorker
from app.federation.sql.guard import guarded
from app.federation.sql.loading import Loader, merged_statuses
from app.federation.sql.refusals import SqlRowsExceeded, SqlTablePersonal
from app.federation.sql.regenerate import Bound, TableUse, bound, schemas_of
from app.federation.sql.results import Settled, settled
from app.federation.sql.structure import statement_structure
from app.federation.writers import source_documents
from app.gateway import records
from app.gateway.access import dataset_ref, note_decisions, refusal_of
from app.gateway.answers import AnswerForm, FinishedAnswer
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.gateway.spool import Spool
from app.gateway.under import begin
from app.lanes import in_bulk
from app.schemas import registry
from app.schemas.registry import SchemaDef

Overlap = Literal["refuse", "accept"]


@dataclass(frozen=True, slots=True)
class Statement:
    """A checked and authorised statement: what runs, and which datasets give its tables."""

    bound: Bound
    refs: Mapping[str, tuple[DatasetRef, ...]]
    partial: Partial
    overlap: Overlap = "refuse"


async def authorise(
    state: Services, exchange: Exchange, text: str, *, partial: Partial = "never", overlap: Overlap = "refuse"
) -> Statement:
    """Checks the statement, decides for every schema in it, and notes all of it in the exchange."""
    exchange.asks(op="sql")
    tree, schemas, structure = await in_bulk(_read, text)
    exchange.asks(schemas=schemas, structure=structure)
    closed = [name for name, schema in schemas.items() if schema.meta.lookup_only]
    if closed:
        slug = schemas[closed[0]].meta.slug
        raise SqlTablePersonal(f"{closed[0]} is never read by SQL; use POST /v1/records/{slug}/verify")
    rights = rights_needed(tree)
    named = frozenset(column.name.lower() for column in tree.find_all(exp.Column))
    granted = {name: _granted(state, exchange, schema, rights, named) for name, schema in schemas.items()}
    try:
        made = await in_bulk(bound, tree, schemas, granted)
    except FieldUnknown as unknown:
        _refuse_withheld(state, exchange, schemas, granted, unknown)
        raise
    refs = {table.schema.name: _refs(state, exchange, table, rights) for table in made.tables}
    asked = [ref for found in refs.values() for ref in found if ref.grant is not None]
    exchange.touches((ref.agency for ref in asked), (DatasetUse(ref.dataset, ref.revision) for ref in asked))
    return Statement(made, refs, partial, overlap)


def _read(text: str) -> tuple[exp.Query, dict[str, SchemaDef], str]:
    """The checked statement, its schemas, and its structure for the log."""
    tree = guarded(text, frozenset(schema.name for schema in registry.all_schemas()))
    schemas = {name: registry.get(name) for name in schemas_of(tree)}
    return tree, schemas, statement_structure(tree, schemas)


async def answer(
    state: Services,
    exchange: Exchange,
    statement: Statement,
    wanted: AnswerForm,
    spool: Spool,
    *,
    limit: int | None = None,
    seconds: float = SECONDS,
    progress: Callable[[Loader], None] | None = None,
) -> FinishedAnswer:
    """Intent, reads, the worker, the finished answer. Leaving this function ends the worker and every read."""
    ends = time.monotonic() + seconds
    await begin(state, exchange, [ref for refs in statement.refs.values() for ref in refs])
    client = exchange.principal.client_id
    rows = min(limit or MOST_ROWS, MOST_ROWS)
    loader = Loader(
        statement.bound,
        statement.refs,
        statement.partial,
        state.runtime.until(ends, client, exchange.assertions.max_age_seconds),
        progress,
        answer_rows=rows,
    )
    try:
        async with state.runtime.workers.slot(client, until=ends), SqlWorker(state.sql_workers) as worker:
            await loader.fill(worker)
            overlap = await _overlap(worker, statement, loader, ends)
            batches = await _rows(worker, statement.bound, limit, ends)
            result = worker.result
        found = await in_bulk(settled, batches, statement.bound.names, result.types)
    except SimpulError as error:
        _note(exchange, statement.bound, loader.reads, 0)
        error.legs = error.legs or exchange.sources
        records.note_sources(state, exchange.sources)
        raise
    count = sum(batch.num_rows for batch in batches)
    _note(exchange, statement.bound, loader.reads, count)
    records.note_sources(state, exchange.sources)
    summary = Summary(
        sources=source_documents(exchange.sources),
        complete=bool(exchange.complete),
        rows=count,
        question=exchange.structure or "",
        meta={"has_more": result.more, **overlap},
    )
    await in_bulk(_write, found, summary, wanted, spool)
    return FinishedAnswer(spool, summary.complete, count, wanted)


async def _rows(worker: SqlWorker, bound: Bound, limit: int | None, ends: float) -> list[pa.RecordBatch]:
    rows = min(limit or MOST_ROWS, MOST_ROWS)
    found = worker.run(bound.text, bound.parameters, rows=rows, seconds=max(ends - time.monotonic(), 0.01))
    async with aclosing(found):
        batches = [batch async for batch in found]
    if worker.result.more and limit is None:
        detail = f"the answer has more than {MOST_ROWS} rows; narrow it, aggregate, or give a limit"
        raise SqlRowsExceeded(detail, limit_rows=MOST_ROWS)
    return batches


async def _overlap(worker: SqlWorker, statement: Statement, loader: Loader, ends: float) -> dict[str, Any]:
    """`meta.overlap`: keys that several agencies hold. Refused where the statement would add them up for each agency."""
    found: dict[str, dict[str, Any]] = {}
    for check in (one for one in statement.bound.checks if loader.united(one.schema)):
        left = max(ends - time.monotonic(), 0.01)
        keys, agencies = await worker.shared(check.text, check.parameters, seconds=left)
        if keys and check.adds_up and statement.overlap == "refuse":
            raise OverlapRefused(
                f"{keys} keys of {check.schema} are held by several agencies ({', '.join(agencies)}): ask with "
                "WHERE _agency = '…', or GROUP BY _agency, or accept that they count for each agency with "
                '"overlap": "accept"',
                keys=keys,
                agencies=agencies,
            )
        if keys > found.get(check.schema, {"keys": 0})["keys"]:
            found[check.schema] = {"schema": check.schema, "keys": keys, "agencies": agencies}
    if not found:
        return {}
    most = max(found.values(), key=lambda one: int(one["keys"]))
    return {"overlap": most} if len(found) == 1 else {"overlap": most, "overlaps": list(found.values())}


def _write(found: Settled, summary: Summary, wanted: AnswerForm, spool: Spool) -> None:
    columns = Columns(schema=found.schema, sourced=False, types=found.types)
    writer = writer_of(wanted.form, columns, spool, indonesian=wanted.indonesian)
    try:
        for batch in found.batches:
            if batch.num_rows:
                writer.take(Batch(batch, "", "", summary.moment, tuple(columns.names)))
        writer.finish(summary)
    finally:
        writer.close()


def rights_needed(tree: exp.Query) -> frozenset[str]:
    """What a statement does beyond reading: `join` where it reads more than one table, or one twice; `aggregate`."""
    made = {found.alias.lower() for found in tree.find_all(exp.CTE)}
    tables = [table for table in tree.find_all(exp.Table) if table.name.lower() not in made]
    adds_up = tree.find(exp.AggFunc, exp.Group) is not None
    return frozenset([*(["join"] if len(tables) > 1 else []), *(["aggregate"] if adds_up else [])])


def _granted(
    state: Services, exchange: Exchange, schema: SchemaDef, rights: frozenset[str], named: frozenset[str]
) -> frozenset[str]:
    """The fields of a schema that some provider grants; the refusal when none grants any, or a named one for want of a right."""
    decisions = [
        state.access.decide(exchange.principal, schema, found.agency, "sql", exchange.assertions, rights=rights)
        for found in state.sources.of_schema(schema.name)
    ]
    note_decisions(exchange, decisions, state.access.agreement_rates)
    error = refusal_of(decisions, frozenset())
    if error is not None:
        raise error
    if not decisions:
        return frozenset(schema.open_fields)
    missing = named.difference(*(decision.fields for decision in decisions))
    for decision in decisions:
        short = decision.shortfall
        if short is not None and short.rule == "right_not_granted" and missing & decision.withheld:
            raise short.error()
    masked = [decision.fields.difference(decision.masks) for decision in decisions if decision.allow]
    return frozenset().union(*masked)


def _refuse_withheld(
    state: Services,
    exchange: Exchange,
    schemas: Mapping[str, SchemaDef],
    granted: Mapping[str, frozenset[str]],
    unknown: FieldUnknown,
) -> None:
    """A column that its schema has and no provider grants is refused as at every other door: by its rule, not as unknown."""
    column = str(unknown.facts.get("column", "")).lower()
    for name, schema in schemas.items():
        if column not in schema.fields or column in granted[name]:
            continue
        asked = frozenset({column})
        decisions = [
            state.access.decide(
                exchange.principal, schema, found.agency, "sql", exchange.assertions, fields=asked, needed=asked
            )
            for found in state.sources.of_schema(name)
        ]
        if not decisions:
            continue
        note_decisions(exchange, decisions, state.access.agreement_rates)
        error = refusal_of(decisions, asked)
        if error is None:
            error = FieldForbidden(
                f"whoever grants you {column} of {name} masks it, and SQL takes no column that all mask",
                rule="field_not_granted",
            )
        exchange.decide(allow=False, rule=str(error.facts.get("rule", error.code)))
        raise error


def _refs(state: Services, exchange: Exchange, table: TableUse, rights: frozenset[str]) -> tuple[DatasetRef, ...]:
    """The datasets of one table under the grants for just its fields. One that withholds a named field is left out."""
    datasets = state.sources.of_schema(table.schema.name)
    decisions = [
        state.access.decide(
            exchange.principal, table.schema, found.agency, "sql", exchange.assertions,
            fields=frozenset(table.fields) or None, needed=table.named, rights=rights,
        )
        for found in datasets
    ]  # fmt: skip
    error = refusal_of(decisions, table.named)
    if error is not None:
        raise error
    if any(decision.agreement for decision in decisions) or exchange.agreement is None:
        note_decisions(exchange, decisions, state.access.agreement_rates)
    return tuple(dataset_ref(opened, decision) for opened, decision in zip(datasets, decisions, strict=True))


def _note(exchange: Exchange, bound: Bound, reads: Sequence[WholeRead], rows: int) -> None:
    only_checked = {(table.schema.name, name) for table in bound.tables for name in table.also}
    fields = dict.fromkeys(
        name for read in reads for name in read.fields if (read.query.schema.name, name) not in only_checked
    )
    complete = all(read.complete for read in reads)
    exchange.answered(ReadOutcome(rows, tuple(fields), complete, merged_statuses(reads)))
