"""Exports: a whole answer, finished in a spool before it is released. Authorised and recorded exactly as a list is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from app.errors import NotAcceptable, SimpulError
from app.federation.exports import FORMS, Columns, Summary, Writer, writer_of
from app.federation.question.binder import RawQuery
from app.federation.question.query import Answer, DatasetRef, Query
from app.federation.reading.batches import Batch, batches_of
from app.federation.reading.whole import WholeRead
from app.federation.sorting import sorted_batches
from app.federation.writers import source_documents
from app.gateway import records
from app.gateway.answers import AnswerForm, FinishedAnswer
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.gateway.spool import Spool
from app.gateway.under import begin, check_rows
from app.lanes import in_bulk, in_writing
from app.schemas.registry import SchemaDef


def new_spool(state: Services, client: str) -> Spool:
    """A spool without a name, within the limits of the settings."""
    settings = state.settings
    return Spool(
        state.spool,
        memory_bytes=settings.answer_memory_bytes,
        most_bytes=settings.answer_spool_bytes,
        room=state.storage.room(client),
    )


def authorise(
    state: Services, exchange: Exchange, schema: SchemaDef, raw_of: Callable[[], RawQuery]
) -> records.Authorised:
    """As for a list, for the operation `export`."""
    exchange.asks(op="export")
    return records.authorise(state, exchange, schema, "export", raw_of)


async def write_page(exchange: Exchange, answer: Answer, wanted: AnswerForm, spool: Spool) -> FinishedAnswer:
    """A page in a format that is not the page's own."""
    columns = Columns.of(answer.schema, answer.fields)
    writer = writer_of(wanted.form, columns, spool, indonesian=wanted.indonesian)
    batches = batches_of(answer)
    summary = Summary(
        sources=source_documents(answer.sources),
        complete=answer.complete,
        rows=len(answer.records),
        question=exchange.structure or "",
        meta={"schema": answer.schema.meta.ref},
    )

    def write() -> None:
        try:
            for batch in batches:
                writer.take(batch)
            writer.finish(summary)
        finally:
            writer.close()

    await in_bulk(write)
    return FinishedAnswer(spool, answer.complete, len(answer.records), wanted)


async def write_whole(
    state: Services,
    exchange: Exchange,
    query: Query,
    refs: Sequence[DatasetRef],
    wanted: AnswerForm,
    spool: Spool,
    *,
    seconds: float,
    progress: Callable[[WholeRead], None] | None = None,
) -> FinishedAnswer:
    """Every record of the question. Intent first; what came of it is noted in the exchange also when it is an error."""
    query = replace(query, findings=FORMS[wanted.form].findings)
    read = WholeRead(
        query,
        refs,
        state.runtime.until(
            time.monotonic() + seconds, exchange.principal.client_id, exchange.assertions.max_age_seconds
        ),
    )
    columns = Columns.of(query.schema, read.fields)
    if wanted.form == "geojson" and not columns.located:
        raise NotAcceptable(f"{query.schema.name} has no position or geometry that you may see; choose another format")
    await begin(state, exchange, refs)

    def told(reading: WholeRead) -> None:
        check_rows(state.quotas, state.access.snapshot, exchange, reading.statuses, reading.rows)
        if progress is not None:
            progress(reading)

    writer = await in_writing(writer_of, wanted.form, columns, spool, indonesian=wanted.indonesian)
    try:
        source = sorted_batches(read, state.space(exchange.principal.client_id)) if query.sort else read.batches()
        await _write(read, source, writer, exchange, told)
    except SimpulError as error:
        note_read(exchange, read)
        error.legs = error.legs or read.statuses
        records.note_sources(state, read.statuses)
        raise
    finally:
        await in_writing(writer.close)
    note_read(exchange, read)
    records.note_sources(state, read.statuses)
    return FinishedAnswer(spool, read.complete, read.rows, wanted)


async def _write(
    read: WholeRead,
    source: AsyncGenerator[Batch],
    writer: Writer,
    exchange: Exchange,
    progress: Callable[[WholeRead], None],
) -> None:
    written: asyncio.Future[None] | None = None
    try:
        async with aclosing(source) as batches:
            async for batch in batches:
                if written is not None:
                    await written
                written = in_writing(writer.take, batch)  # while the next one is read and mapped
                progress(read)
        if written is not None:
            await written
    finally:
        if written is not None and not written.cancelled():
            await asyncio.wait((written,))
            written.exception()  # what ended the answer is told already
    read.finish()
    summary = Summary(
        sources=source_documents(read.statuses),
        complete=read.complete,
        rows=read.rows,
        question=exchange.structure or "",
        meta={"schema": read.query.schema.meta.ref},
    )
    await in_writing(writer.finish, summary)


def note_read(exchange: Exchange, read: WholeRead) -> None:
    """Counts and legs of a bulk reading, for the closing entry."""
    exchange.answered(ReadOutcome(read.rows, read.fields, read.complete, read.statuses))
