"""The connector of kind `rest`: pages of JSON records, each asked for within the deadline, and once.

Only the first is asked for again, where a later one looks as if a member were called otherwise since (`drift.py`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import date, datetime
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
    milliseconds_since,
)
from app.connectors.environment import Environment
from app.connectors.http import HttpAnswer, HttpSource, document_of, merged
from app.connectors.json_records import json_batch, json_columns, records_at
from app.connectors.network import HttpAddress, resolve_allowed
from app.connectors.rest.drift import Members
from app.connectors.rest.paging import PagedReading
from app.connectors.rest.source import RestSource
from app.errors import (
    CapabilityUndeclared,
    SimpulError,
    SourceAuthFailed,
    SourceFailed,
    SourceMissing,
    SourceTooLarge,
)
from app.filters.tree import Compare, Filter, Literal, Property, Value, conjuncts
from app.lanes import in_bulk

MOST_PAGES = 10_000
_INLINE_RECORDS = 1_000


class RestConnector(Connector):
    """One REST service."""

    kind: ClassVar[str] = "rest"

    def __init__(self, source: RestSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._http = HttpSource(environment)
        self._token: tuple[str, float] | None = None

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
        params = {**self._source.params, **self._pushed(request.filter)}
        first, members = 1, Members(request.columns)
        async for records in self._pages(params, request.deadline):
            suspicion = members.look(records, first)
            if suspicion is not None:
                suspicion.confirm(await self._first_page(params, request.deadline))
            numbers = range(first, first + len(records))
            first += len(records)
            if len(records) <= _INLINE_RECORDS:
                yield _batch(records, numbers, request.columns)
            else:
                yield await in_bulk(_batch, records, numbers, request.columns)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    async def _first(self) -> RawBatch:
        return json_batch(await self._first_page(dict(self._source.params), None), "record")

    async def _first_page(self, params: dict[str, str], deadline: float | None) -> list[Any]:
        async with aclosing(self._pages(params, deadline)) as pages:
            return await anext(pages, [])

    def _pushed(self, wanted: Filter | None) -> dict[str, str]:
        params: dict[str, str] = {}
        for part in conjuncts(wanted) if wanted is not None else ():
            match part:
                case Compare("=", Property(name), Literal(value)) if name in self._source.pushdown:
                    params[self._source.pushdown[name]] = _parameter(value)
                case _:
                    raise CapabilityUndeclared("a REST service takes equality on its declared parameters only")
        return params

    async def _pages(self, params: dict[str, str], deadline: float | None) -> AsyncGenerator[list[Any]]:
        """The records of each page. A read ends where the service says so (`paging.py`), never where it says nothing."""
        paging, url = self._source.paging, self._source.url
        reading = PagedReading(paging, self._source.url)
        for _ in range(MOST_PAGES):
            try:
                answer = await self._ask(url, {**params, **reading.parameters()}, deadline)
            except SourceMissing:
                if not reading.behind_the_end:
                    raise
                return
            document = await document_of(answer)
            _refuse_errors(document)
            records = records_at(document, self._source.record_path)
            if records or reading.begins:
                yield records  # an empty page behind others says that they were all
            if not reading.goes_on(document, answer, records):
                return
            url, params = reading.following(url, params)
        raise SourceTooLarge(f"more than {MOST_PAGES} pages", field="/source/paging", limit_pages=MOST_PAGES)

    async def _ask(self, url: str, params: Mapping[str, str], deadline: float | None) -> HttpAnswer:
        auth, resolve = self._source.auth, self._environment.secrets.resolve
        headers = {
            "accept": "application/json",
            **{name: resolve(value) for name, value in self._source.headers.items()},
        }
        sent = {name: resolve(value) for name, value in params.items()}
        basic: tuple[str, str] | None = None
        if auth.kind == "basic":
            basic = (resolve(auth.user), resolve(auth.password))
        elif auth.kind == "bearer":
            headers["authorization"] = f"Bearer {resolve(auth.token)}"
        elif auth.kind == "api_key":
            (headers if auth.place == "header" else sent)[auth.name] = resolve(auth.value)
        elif auth.kind == "oauth2":
            kept = self._token
            headers["authorization"] = f"Bearer {await self._access_token(deadline)}"
            if self._token is kept:
                try:
                    return await self._http.get(merged(url, sent), deadline=deadline, headers=headers)
                except SourceAuthFailed:  # a kept token that is no longer believed is fetched anew, once
                    self._token = None
                    headers["authorization"] = f"Bearer {await self._access_token(deadline)}"
        return await self._http.get(merged(url, sent), deadline=deadline, headers=headers, auth=basic)

    async def _access_token(self, deadline: float | None) -> str:
        """A token of the source's own authorization server, kept until shortly before it ends."""
        if self._token is not None and time.monotonic() < self._token[1]:
            return self._token[0]
        auth, resolve = self._source.auth, self._environment.secrets.resolve
        form = {"grant_type": "client_credentials", **({"scope": auth.scope} if auth.scope else {})}
        credentials = (resolve(auth.client_id), resolve(auth.client_secret))
        answer = await document_of(
            await self._http.send("POST", auth.token_url, deadline=deadline, data=form, auth=credentials)
        )
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise SourceAuthFailed("the token endpoint gave no access_token", field="/source/auth")
        lifetime = str(answer.get("expires_in"))
        seconds = int(lifetime) if lifetime.isascii() and lifetime.isdigit() and len(lifetime) < 9 else 60
        self._token = (answer["access_token"], time.monotonic() + max(seconds - 30, 5))
        return self._token[0]


def _batch(records: list[Any], numbers: Sequence[int], columns: Sequence[str] | None) -> RawBatch:
    if columns is None:
        return json_batch(records, "record", numbers)
    return json_columns(records, columns, "record", numbers)


async def check_http(url: str, environment: Environment, first: Any) -> list[CheckStep]:
    """The stages of an HTTP source: dns, then what the first request shows."""
    started = time.perf_counter()
    try:
        address = HttpAddress.of(url)
        await resolve_allowed(address.host, address.port, environment.network)
    except SimpulError as error:
        return [CheckStep("dns", milliseconds_since(started), error, "/source/url")]
    steps = [CheckStep("dns", milliseconds_since(started), None, "/source/url")]
    started = time.perf_counter()
    try:
        await first()
    except SimpulError as error:
        stage = {
            "source_unreachable": "tcp",
            "source_tls_failed": "tls",
            "source_auth_failed": "auth",
            "source_permission_denied": "permission",
        }.get(error.code, "read")
        return [
            *steps,
            CheckStep(stage, milliseconds_since(started), error, str(error.facts.get("field", "/source/url"))),
        ]
    return [*steps, CheckStep("read", milliseconds_since(started), None, "/source/url")]


def _parameter(value: Value) -> str:
    """A value as JSON services write it in a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)


def _refuse_errors(document: Any) -> None:
    """`errors` beside the data (GraphQL says faults like that, with HTTP 200): the data is then not all there is."""
    if isinstance(document, dict) and isinstance(document.get("errors"), list) and document["errors"]:
        raise SourceFailed(f"the service tells {len(document['errors'])} errors beside its data", field="/source/url")
