"""The connector of kind `rest`: pages of JSON records, each asked for within the deadline, and once.

Only the first is asked for again, where a later one looks as if a member were called otherwise since (`drift.py`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import pyarrow as pa

from app.connectors.capabilities import Capabilities
from app.connectors.contract import (
    CheckStep,
    Connector,
    Discovery,
    RawBatch,
    RawColumn,
    ScanRequest,
)
from app.connectors.diagnosis import Diagnoses, Diagnosis, Findings
from app.connectors.environment import Environment
from app.connectors.http import HttpAnswer, HttpSource, document_of
from app.connectors.http_check import check_http
from app.connectors.http_credentials import Credentials
from app.connectors.json_records import json_batch, json_columns, records_at
from app.connectors.rest.answers import flattened, refuse_errors
from app.connectors.rest.drift import Members
from app.connectors.rest.paging import PagedReading, first_at
from app.connectors.rest.questions import Question
from app.connectors.rest.recognising import Recognition, expected
from app.connectors.rest.source import RestSource
from app.connectors.rest.xml_answers import is_xml, proposed_path, xml_of
from app.errors import CapabilityUndeclared, SimpulError, SourceFormatError, SourceMissing, SourceTooLarge
from app.filters.tree import Compare, Filter, Literal, Property, conjuncts
from app.lanes import in_bulk

MOST_PAGES = 10_000
_INLINE_RECORDS = 1_000


class RestConnector(Connector, Diagnoses):
    """One REST service."""

    kind: ClassVar[str] = "rest"

    def __init__(self, source: RestSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._http = HttpSource(environment, source.rate)
        self._credentials = Credentials(source.auth, environment.secrets, self._http)

    @property
    def capabilities(self) -> Capabilities:
        """Equality on the configured parameters, as a superset: a service may compare loosely."""
        pushed = frozenset(self._source.pushdown)
        if not pushed:
            return Capabilities(columns=True, concurrent_scans=self._environment.limits.concurrency)
        return Capabilities(
            columns=True,
            filter_operators=frozenset({"=", "and"}),
            filter_columns=pushed,
            filter_exactness="superset",
            concurrent_scans=self._environment.limits.concurrency,
        )

    async def check(self) -> Sequence[CheckStep]:
        """Stages: dns, then tcp, tls, auth and read as the first page shows them."""
        return await check_http(self._source.url, self._environment, self._first)

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """The members of the records on the first page."""
        batch = await self._first()
        columns = tuple(RawColumn(name, "json", pa.string()) for name in batch.schema.names)
        rows = list(batch.rows or ())[:sample_rows]
        return Discovery((), columns, tuple(dict(zip(batch.schema.names, row, strict=True)) for row in rows))

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The records, page by page."""
        if request.order or request.limit is not None:
            raise CapabilityUndeclared("a REST service does not sort or cut")
        question = self._question(self._pushed(request.filter))
        first, members = 1, Members(request.columns)
        async for records in self._pages(question, request.deadline):
            suspicion = members.look(records, first)
            if suspicion is not None:
                suspicion.confirm(await self._first_page(question, request.deadline))
            numbers = range(first, first + len(records))
            first += len(records)
            if len(records) <= _INLINE_RECORDS:
                yield _batch(records, numbers, request.columns)
            else:
                yield await in_bulk(_batch, records, numbers, request.columns)

    async def diagnose(self) -> Diagnosis:
        """Where the records are and how the next page is asked for: told by the first answer, tried on the second."""
        source = expected(self._source)
        first = RestConnector(source, self._environment)
        try:
            reading = PagedReading(source.paging.resolved(), source.url)
            answer = await first._ask(source.url, first._question(reading.parameters()), None)
            if is_xml(answer):
                return self._told_of_xml(answer)
            document = await document_of(answer)
        finally:
            await first.close()
        refuse_errors(document)
        recognised = Recognition(self._source, document, answer)
        for candidate in recognised.candidates():
            if recognised.accepts(candidate, await self._second_page(candidate.source)):
                break
        return recognised.diagnosis()

    def _told_of_xml(self, answer: HttpAnswer) -> Diagnosis:
        """Where the records of an answer in XML are; how it pages has to be stated."""
        found = Findings()
        if self._source.format == "json":
            found.source("format", "xml", "the first answer is XML")
        if self._source.record_path is None:
            proposed = proposed_path(answer.content)
            if proposed is None:
                raise SourceFormatError("no element of the XML has children or attributes", field="/source/url")
            found.source("record_path", *proposed)
        if self._source.paging.kind == "none":
            found.note("if the answer is one page of several, state under paging how the others are asked for")
        return found.diagnosis()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    async def _second_page(self, proposed: RestSource) -> list[Any] | SimpulError | None:
        """What the second page holds when it is asked for as proposed; None where there is none, a fault where it cannot be read."""
        opened = RestConnector(proposed, self._environment)
        pages = opened._pages(opened._question({}), None)
        try:
            first, second = await anext(pages), await anext(pages, None)
            if second == first:
                return SourceFormatError("the second page is the first again", field="/source/paging")
            return second
        except SimpulError as error:
            return error
        finally:
            await pages.aclose()
            await opened.close()

    async def _first(self) -> RawBatch:
        return json_batch(await self._first_page(self._question({}), None), "record")

    async def _first_page(self, question: Question, deadline: float | None) -> list[Any]:
        async with aclosing(self._pages(question, deadline)) as pages:
            return await anext(pages, [])

    def _question(self, values: Mapping[str, Any]) -> Question:
        return Question.of(self._source, values, self._environment.secrets.resolve)

    def _pushed(self, wanted: Filter | None) -> dict[str, Any]:
        pushed: dict[str, Any] = {}
        for part in conjuncts(wanted) if wanted is not None else ():
            match part:
                case Compare("=", Property(name), Literal(value)) if name in self._source.pushdown:
                    pushed[self._source.pushdown[name]] = value
                case _:
                    raise CapabilityUndeclared("a REST service takes equality on its declared parameters only")
        return pushed

    async def _pages(self, question: Question, deadline: float | None) -> AsyncGenerator[list[Any]]:
        """The records of each page. A read ends where the service says so (`paging.py`), never where it says nothing."""
        url, preset = self._source.url, self._source.preset
        reading = PagedReading(self._source.page_rules, url)
        for _ in range(MOST_PAGES):
            try:
                answer = await self._ask(url, question.with_values(reading.parameters()), deadline)
            except SourceMissing:
                if not reading.behind_the_end:
                    raise
                reading.close()
                return
            document, records = await self._records(answer, first=reading.begins)
            if preset is not None and preset.parts:
                records = flattened(records, preset.parts)
            if records or reading.begins:
                yield records  # an empty page behind others says that they were all
            if not reading.goes_on(document, answer, records):
                return
            link = reading.link(url)
            if link is not None:
                url, question = link, question.alone()
        raise SourceTooLarge(f"more than {MOST_PAGES} pages", field="/source/paging", limit_pages=MOST_PAGES)

    async def _records(self, answer: HttpAnswer, *, first: bool) -> tuple[Any, list[Any]]:
        """What stands beside the records of an answer, as a document, and the records."""
        if self._source.format == "json":
            document = await document_of(answer)
            refuse_errors(document)
            return document, records_at(document, self._source.records)
        if self._source.record_path is None:
            detail = (
                "state record_path, the path to the element of each record, such as /data/item; discover proposes one"
            )
            raise SourceFormatError(detail, field="/source/record_path")
        found = await xml_of(answer, self._source.record_path)
        totals = self._source.page_rules.totals
        if first and found.lacking is not None and first_at(found.beside, totals) != 0:
            raise found.lacking  # behind other pages, or where the total is 0, that there are no records is no fault
        return found.beside, list(found.records)

    async def _ask(self, url: str, question: Question, deadline: float | None) -> HttpAnswer:
        resolve = self._environment.secrets.resolve
        headers = {
            "accept": "application/json" if self._source.format == "json" else "application/xml, text/xml;q=0.9",
            **{name: resolve(value) for name, value in self._source.headers.items()},
        }
        return await self._credentials.send(question.request(url), headers, deadline)


def _batch(records: list[Any], numbers: Sequence[int], columns: Sequence[str] | None) -> RawBatch:
    if columns is None:
        return json_batch(records, "record", numbers)
    return json_columns(records, columns, "record", numbers)
