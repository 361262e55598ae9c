"""The connector of kind `gateway`: the records that another Simpul gives, with what it says of its own sources."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import pyarrow as pa

from app.connectors.capabilities import Capabilities
from app.connectors.chain import HEADER, going_out
from app.connectors.contract import (
    CheckStep,
    Connector,
    Discovery,
    RawBatch,
    RawColumn,
    ScanRequest,
)
from app.connectors.environment import Environment
from app.connectors.gateway.source import GatewaySource
from app.connectors.gateway.upstream import Granted, Page, Reading, granted
from app.connectors.gateway.values import OPERATORS, column_of, comparable, cql2, value_of, written
from app.connectors.http import HttpAnswer, HttpSource, document_of
from app.connectors.http_check import check_http
from app.connectors.tokens import TokenEndpoint, Tokens
from app.errors import CapabilityUndeclared, ManifestInvalid, SourceFormatError, SourceSchemaMismatch
from app.filters.tree import Filter
from app.schemas import registry
from app.schemas.registry import SchemaDef

PAGE_ROWS = 1_000
_MOST_PAGES = 100_000


class GatewayConnector(Connector):
    """One shared schema at another gateway."""

    kind: ClassVar[str] = "gateway"

    def __init__(self, source: GatewaySource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._http = HttpSource(environment, source.rate)
        endpoint = TokenEndpoint(
            f"{source.url}/oauth/token", source.client_id, source.client_secret, field="/source/client_secret"
        )
        self._tokens = Tokens(endpoint, environment.secrets, self._http)
        self._schema: SchemaDef | None = None if source.schema_ref is None else registry.get(source.schema_ref)
        self._granted: Granted | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Fields and comparisons go to the other gateway, and so does the end of a read; order stays here: two agencies may share a key."""
        fields = frozenset() if self._schema is None else frozenset(self._schema.fields)
        if self._granted is not None:
            fields -= self._granted.withheld | self._granted.masked
        return Capabilities(
            columns=True,
            filter_operators=OPERATORS,
            filter_columns=fields,
            filter_exactness="superset",
            limit=True,
            concurrent_scans=self._environment.limits.concurrency,
        )

    async def learn(self) -> None:
        """Asks the other gateway which fields it gives this client unmasked: only those may decide there over records."""
        if self._granted is None or self._granted.old:
            self._granted = granted(await self._explained(None))

    def takes(self, node: Filter) -> bool:
        """Comparisons of a field with a value of its kind."""
        return super().takes(node) and self._schema is not None and comparable(self._schema, node)

    async def check(self) -> Sequence[CheckStep]:
        """Stages: dns, then what the first page shows."""
        return await check_http(self._source.url, self._environment, lambda: self.discover(sample_rows=1))

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """The schemas of the other gateway; fields and a sample of the stated one, and what is missing there."""
        listed = await document_of(await self._ask("GET", "/v1/schemas", None, None))
        items = listed.get("items") if isinstance(listed, dict) else None
        tables = tuple(str(one.get("name")) for one in items or () if isinstance(one, dict))
        if self._schema is None:
            return Discovery(tables, (), notes=("state source.schema: one of those that the other gateway has",))
        columns = tuple(
            RawColumn(one.name, spec.kind, one.type, not spec.required) for one, spec in self._columns(None)
        )
        await self.learn()
        sample: list[Mapping[str, Any]] = []
        notes: list[str] = []
        async with aclosing(self._batches(ScanRequest(limit=sample_rows))) as batches:
            async for batch in batches:
                sample += [dict(zip(batch.schema.names, row, strict=True)) for row in batch.rows or ()]
                notes += batch.notes
        return Discovery(tables, columns, tuple(sample[:sample_rows]), tuple(notes))

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The records, page by page."""
        if request.order or request.after is not None:
            raise CapabilityUndeclared("another gateway is not asked for an order: two of its agencies may share a key")
        if request.filter is not None and not self.takes(request.filter):
            raise CapabilityUndeclared("another gateway takes comparisons of a field with a value of its kind only")
        async with aclosing(self._batches(request)) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    async def _batches(self, request: ScanRequest) -> AsyncGenerator[RawBatch]:
        columns = self._columns(request.columns)
        question: dict[str, Any] = {"limit": min(request.limit or PAGE_ROWS, PAGE_ROWS)}
        if request.columns and self._granted is not None and self._granted.withheld.isdisjoint(request.columns):
            question["fields"] = list(request.columns)  # a question that names what is withheld would be refused
        if request.filter is not None:
            question["filter"] = cql2(request.filter)
        if self._source.agencies:
            question["agencies"] = list(self._source.agencies)
        reading = Reading(self._source.url)
        left, first = request.limit, 1
        for _ in range(_MOST_PAGES):
            answer = await self._ask(
                "POST", f"/v1/records/{self._known().meta.slug}/search", question, request.deadline
            )
            page = reading.page(await document_of(answer), answer)
            items = page.items if left is None else page.items[:left]
            yield self._batch(columns, items, first, page)
            first += len(items)
            left = None if left is None else left - len(items)
            if page.cursor is None or left == 0:
                return
            question["cursor"] = page.cursor

    def _batch(
        self, columns: Sequence[tuple[Any, Any]], items: Sequence[Mapping[str, Any]], first: int, page: Page
    ) -> RawBatch:
        specs = [spec for _, spec in columns]
        try:
            rows = [tuple([value_of(spec, item.get(spec.name)) for spec in specs]) for item in items]
        except ValueError as wrong:
            detail = f"the other gateway gave a value that is no {wrong}"
            raise SourceFormatError(detail, field="/source/schema") from None
        return RawBatch(
            pa.schema([column for column, _ in columns]),
            rows=rows,
            location="record",
            numbers=range(first, first + len(rows)),
            upstream=page.upstream,
            notes=[*page.notes, *(self._withheld() if first == 1 else ())],
            origins=[item.get("_source") for item in items],
        )

    def _columns(self, names: Sequence[str] | None) -> list[tuple[Any, Any]]:
        """The raw columns with the fields that they are. Raises `SourceSchemaMismatch` for a name that the schema has not."""
        fields = self._known().fields
        wanted = tuple(fields) if names is None else names
        gone = [name for name in wanted if name not in fields]
        if gone:
            detail = f"{self._known().meta.ref} has no field {', '.join(gone)}"
            raise SourceSchemaMismatch(detail, field="/fields", missing=gone)
        return [(column_of(fields[name]), fields[name]) for name in wanted]

    def _withheld(self) -> list[str]:
        withheld = () if self._granted is None else sorted(self._granted.withheld)
        return (
            [f"some agency of the other gateway does not give this client: {', '.join(withheld)}"] if withheld else []
        )

    def _known(self) -> SchemaDef:
        if self._schema is None:
            raise ManifestInvalid(
                "source.schema says whose records the other gateway is asked for", field="/source/schema"
            )
        return self._schema

    async def _explained(self, deadline: float | None) -> Any:
        question: dict[str, Any] = {"schema": self._known().name}
        if self._source.agencies:
            question["agencies"] = list(self._source.agencies)
        return await document_of(await self._ask("POST", "/v1/explain", question, deadline))

    async def _ask(
        self, method: str, path: str, document: Mapping[str, Any] | None, deadline: float | None
    ) -> HttpAnswer:
        headers = {"accept": "application/json", HEADER: going_out(self._environment.instance)}
        if document is not None:
            headers["content-type"] = "application/json"
        if self._source.purpose:
            headers["simpul-purpose"] = self._source.purpose
        if self._source.agreement:
            headers["simpul-agreement"] = self._source.agreement
        body = None if document is None else written(document)

        async def sent(token: str) -> HttpAnswer:
            more = {**headers, "authorization": f"Bearer {token}"}
            return await self._http.send(method, self._source.url + path, deadline=deadline, headers=more, data=body)

        return await self._tokens.with_token(sent, deadline)
