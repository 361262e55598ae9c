"""The connector of kind `ckan`: `datastore_search` with filters and paging, else the file behind the resource."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pyarrow as pa

from app.connectors.blocking import BulkThread, pull
from app.connectors.capabilities import Capabilities
from app.connectors.ckan.packages import Harvest, described, listed, mislabelled
from app.connectors.ckan.source import CkanSource
from app.connectors.ckan.table import Table
from app.connectors.contract import CheckStep, Connector, Discovery, RawBatch, RawColumn, ScanRequest
from app.connectors.diagnosis import Diagnoses, Diagnosis, Findings
from app.connectors.environment import Environment
from app.connectors.file.csv_columns import read_table
from app.connectors.file.json_reader import read_json
from app.connectors.file.sniff import require_bytes
from app.connectors.file.source import FileSource
from app.connectors.http import HttpSource, document_of, merged
from app.connectors.http_check import check_http
from app.connectors.json_records import json_batch
from app.connectors.projection import project
from app.errors import (
    CapabilityUndeclared,
    SourceFormatError,
    SourceMissing,
    SourcePermissionDenied,
    SourceRejected,
)
from app.filters.tree import Compare, Filter, Literal, Property, conjuncts
from app.lanes import in_bulk

PAGE_ROWS = 1_000
PAGE_PACKAGES = 100


class CkanConnector(Connector, Diagnoses):
    """One CKAN resource, or the packages of a portal."""

    kind: ClassVar[str] = "ckan"

    def __init__(self, source: CkanSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._http = HttpSource(environment, source.rate)
        self._plain_file = False
        self._sorts = True

    @property
    def capabilities(self) -> Capabilities:
        """Equality filters go to the datastore; a resource that is only a file is filtered by the gateway."""
        if self._source.mode == "packages" or self._plain_file:
            return Capabilities(columns=True)
        return Capabilities(columns=True, filter_operators=frozenset({"=", "and"}), filter_exactness="superset")

    async def check(self) -> Sequence[CheckStep]:
        """Stages: dns, then what the first page shows."""
        return await check_http(self._source.url, self._environment, lambda: self.discover(sample_rows=1))

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """The columns of the resource, and what is known of it besides."""
        async with aclosing(self.scan(ScanRequest())) as batches:  # type: ignore[type-var]
            async for batch in batches:
                columns = tuple(RawColumn(name, "json", pa.string()) for name in batch.schema.names)
                return Discovery((), columns, tuple(batch.sample(sample_rows)), tuple(batch.notes))
        return Discovery((), ())

    async def diagnose(self) -> Diagnosis:
        """The name of the portal; which resource of a package is meant, where one alone stands in the datastore."""
        found = Findings()
        if self._source.mode == "packages":
            await self._portal(found)
        elif self._source.resource is None and self._source.resource_name is None:
            package = await self._action("package_show", {"id": self._source.package or ""}, None)
            _choose(package if isinstance(package, dict) else {}, found)
        return found.diagnosis()

    async def _portal(self, found: Findings) -> None:
        try:
            status = await self._action("status_show", {}, None)
        except (SourceMissing, SourceRejected, SourcePermissionDenied):  # a portal need not tell it
            status = None
        title = status.get("site_title") if isinstance(status, dict) else None
        if isinstance(title, str) and title.strip():
            found.title(title.strip()[:300])
        asked = {"rows": str(PAGE_PACKAGES), **({"q": self._source.query} if self._source.query else {})}
        result = await self._action("package_search", asked, None)
        harvest = Harvest()
        packages, _, _ = harvest.page(result)
        found.note(f"the portal says that it has {harvest.count} packages")
        for text in mislabelled(packages):
            found.note(text)

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The records, page by page."""
        if request.order or request.limit is not None:
            raise CapabilityUndeclared("this CKAN source does not sort or cut")
        if self._source.mode == "packages" and request.filter is not None:
            raise CapabilityUndeclared("the packages of a portal are not filtered there")
        batches = self._packages(request) if self._source.mode == "packages" else self._resource(request)
        async with aclosing(batches):
            async for batch in batches:
                yield batch if request.columns is None else await in_bulk(project, batch, request.columns)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    async def _packages(self, request: ScanRequest) -> AsyncGenerator[RawBatch]:
        """The public packages of the portal in the order of their ids, so that one that is edited meanwhile keeps its turn."""
        harvest = Harvest()
        params = {"rows": str(PAGE_PACKAGES), "sort": "id asc"}
        if self._source.query:
            params["q"] = self._source.query
        while not harvest.ended:
            result = await self._action("package_search", {**params, "start": str(harvest.start)}, request.deadline)
            first = harvest.start == 0
            packages, numbers, notes = harvest.page(result)
            if packages or first or notes:
                batch = json_batch([described(package) for package in packages], "package", numbers)
                batch.notes += notes
                yield batch

    async def _resource(self, request: ScanRequest) -> AsyncGenerator[RawBatch]:
        resource = self._source.resource or await self._resource_id(request.deadline)
        filters, table = _equalities(request.filter), Table()
        while not self._plain_file:
            params = {"resource_id": resource, "limit": str(PAGE_ROWS), "offset": str(table.start)}
            if self._sorts:
                params["sort"] = "_id asc"
            if filters:
                params["filters"] = orjson.dumps(filters).decode()
            try:
                result = await self._action("datastore_search", params, request.deadline)
            except SourceMissing:  # 404 is the portal's word for "no datastore table"; any other refusal fails the read
                if table.read:
                    raise
                self._plain_file = True  # the resource is no table of the datastore: its file is read instead
                break
            except SourceRejected:
                if table.read or not self._sorts:
                    raise
                self._sorts = False  # a view of the datastore has no numbers of rows: it is read in its own order
                continue
            first = table.read + 1
            records = table.page(result)
            if records or first == 1:
                yield json_batch(records, "record", range(first, first + len(records)))
            if table.ended:
                return
        async with aclosing(self._file(resource, request)) as batches:
            async for batch in batches:
                yield batch

    async def _file(self, resource: str, request: ScanRequest) -> AsyncGenerator[RawBatch]:
        """The file behind the resource; one whose content is not what its label says is reported, not read."""
        shown = await self._action("resource_show", {"id": resource}, request.deadline)
        if not isinstance(shown, dict) or not isinstance(shown.get("url"), str):
            raise SourceFormatError("resource_show gave no address of a file", field="/source/resource")
        label = str(shown.get("format", "")).strip().lower() or "csv"
        answer = await self._http.get(shown["url"], deadline=request.deadline)
        require_bytes(answer.content[:64], label)
        if label not in {"csv", "json", "ndjson", "geojson"}:
            raise SourceFormatError(
                f"a resource of format {label} is not read; give CSV or JSON", field="/source/resource"
            )
        with tempfile.NamedTemporaryFile(dir=self._environment.cache, suffix=f".{label}") as file:
            file.write(answer.content)
            file.flush()
            source = FileSource.model_validate({"location": f"resource.{label}", **self._table_options(label)})
            path, named = Path(file.name), f"resource {resource}"
            read = read_table(path, source, named, None) if label == "csv" else read_json(path, source, named)
            batches = pull(BulkThread(), read, request.deadline)
            async for batch in batches:
                yield batch

    def _table_options(self, label: str) -> dict[str, str]:
        """How the CSV behind the resource is written. Raises `SourceFormatError` where it is stated of a file that is none."""
        stated = {
            name: getattr(self._source, name)
            for name in ("delimiter", "encoding")
            if getattr(self._source, name) != CkanSource.model_fields[name].default
        }
        if stated and label != "csv":
            name = next(iter(stated))
            detail = f"{name} does nothing for a resource of format {label}; leave it out"
            raise SourceFormatError(detail, field=f"/source/{name}")
        return stated

    async def _resource_id(self, deadline: float | None) -> str:
        package = await self._action("package_show", {"id": self._source.package or ""}, deadline)
        resources = listed(package.get("resources")) if isinstance(package, dict) else []
        resources = [entry for entry in resources if isinstance(entry, dict)]
        wanted = self._source.resource_name
        found = [entry for entry in resources if wanted is None or entry.get("name") == wanted]
        if len(found) != 1:
            names = ", ".join(str(entry.get("name")) for entry in resources[:20])
            raise SourceMissing(
                f"the package has {len(found)} such resources; it has: {names}", field="/source/resource_name"
            )
        return str(found[0].get("id"))

    async def _action(self, action: str, params: dict[str, str], deadline: float | None) -> Any:
        headers = {"accept": "application/json"}
        if self._source.api_key:
            headers["authorization"] = self._environment.secrets.resolve(self._source.api_key)
        url = f"{self._source.url}/api/3/action/{action}"
        document = await document_of(await self._http.get(merged(url, params), deadline=deadline, headers=headers))
        if not isinstance(document, dict) or document.get("success") is not True:
            raise SourceRejected(f"the portal refused {action}", field="/source/url")
        return document.get("result")


def _equalities(wanted: Filter | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in conjuncts(wanted) if wanted is not None else ():
        match part:
            case Compare("=", Property(name), Literal(value)):
                found[name] = str(value)
            case _:
                raise CapabilityUndeclared("a CKAN datastore takes equality only")
    return found


def _choose(package: dict[str, Any], found: Findings) -> None:
    """Proposes the only resource of a package that is a table of the datastore; tells those that there are."""
    resources = [one for one in listed(package.get("resources")) if isinstance(one, dict)]
    if len(resources) < 2:
        return
    told = ", ".join(f"{one.get('name')} ({one.get('format') or 'no format'})" for one in resources[:20])
    found.note(f"the package has {len(resources)} resources: {told}"[:2_000])
    tables = [one for one in resources if one.get("datastore_active") is True and isinstance(one.get("name"), str)]
    if len(tables) == 1 and [one.get("name") for one in resources].count(tables[0]["name"]) == 1:
        found.source("resource_name", tables[0]["name"], "it alone is a table of the portal's datastore")
