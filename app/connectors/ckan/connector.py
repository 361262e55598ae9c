"""The connector of kind `ckan`: `datastore_search` with filters and paging, else the file behind the resource."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pyarrow as pa

from app.connectors.blocking import BulkThread, pull
from app.connectors.capabilities import Capabilities
from app.connectors.ckan.source import CkanSource
from app.connectors.contract import CheckStep, Connector, Discovery, RawBatch, RawColumn, ScanRequest
from app.connectors.environment import Environment
from app.connectors.file.csv_columns import read_table
from app.connectors.file.json_reader import read_json
from app.connectors.file.sniff import require_bytes
from app.connectors.file.source import FileSource
from app.connectors.http import HttpSource, document_of, merged
from app.connectors.http_check import check_http
from app.connectors.json_records import json_batch
from app.connectors.projection import project
from app.errors import CapabilityUndeclared, SourceFormatError, SourceMissing, SourceRejected
from app.filters.tree import Compare, Filter, Literal, Property, conjuncts
from app.lanes import in_bulk

PAGE_ROWS = 1_000
PAGE_PACKAGES = 100
_MIME_FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "text/csv": "CSV",
    "application/pdf": "PDF",
    "application/json": "JSON",
}
_OWN_COLUMNS = frozenset({"_id"})


class CkanConnector(Connector):
    """One CKAN resource, or the packages of a portal."""

    kind: ClassVar[str] = "ckan"

    def __init__(self, source: CkanSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._http = HttpSource(environment, source.rate)
        self._plain_file = False

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
        """The columns of the resource."""
        async for batch in self.scan(ScanRequest()):
            columns = tuple(RawColumn(name, "json", pa.string()) for name in batch.schema.names)
            return Discovery((), columns, tuple(batch.sample(sample_rows)))
        return Discovery((), ())

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The records, page by page."""
        if request.order or request.limit is not None:
            raise CapabilityUndeclared("this CKAN source does not sort or cut")
        batches = self._packages(request) if self._source.mode == "packages" else self._resource(request)
        async for batch in batches:
            yield batch if request.columns is None else await in_bulk(project, batch, request.columns)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    async def _packages(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        start = 0
        while True:
            params = {"rows": str(PAGE_PACKAGES), "start": str(start)}
            if self._source.query:
                params["q"] = self._source.query
            result = await self._action("package_search", params, request.deadline)
            found = result.get("results") if isinstance(result, dict) else None
            if not isinstance(found, list):
                raise SourceFormatError("package_search gave no list of results", field="/source/url")
            packages = [_described(package) for package in found]
            yield json_batch(packages, "package", range(start + 1, start + 1 + len(packages)))
            start += len(packages)
            if not packages or start >= int(result.get("count", 0)):
                return

    async def _resource(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        resource = self._source.resource or await self._resource_id(request.deadline)
        filters = _equalities(request.filter)
        offset = 0
        while not self._plain_file:
            params = {"resource_id": resource, "limit": str(PAGE_ROWS), "offset": str(offset)}
            if filters:
                params["filters"] = orjson.dumps(filters).decode()
            try:
                result = await self._action("datastore_search", params, request.deadline)
            except SourceMissing:  # 404 is the portal's word for "no datastore table"; any other refusal fails the read
                if offset:
                    raise
                self._plain_file = True  # the resource is no table of the datastore: its file is read instead
                break
            records = result.get("records") if isinstance(result, dict) else None
            if not isinstance(records, list):
                raise SourceFormatError("datastore_search gave no records", field="/source/url")
            plain = [{name: value for name, value in record.items() if name not in _OWN_COLUMNS} for record in records]
            yield json_batch(plain, "record", range(offset + 1, offset + 1 + len(plain)))
            offset += len(records)
            total = result.get("total")
            if not records or (isinstance(total, int) and offset >= total):
                return
        async for batch in self._file(resource, request):
            yield batch

    async def _file(self, resource: str, request: ScanRequest) -> AsyncIterator[RawBatch]:
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
        resources = package.get("resources", []) if isinstance(package, dict) else []
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


def _described(package: Any) -> Any:
    """A package with what its resources really are: `detected_format` by MIME type and file name, beside the label."""
    if not isinstance(package, dict):
        return package
    resources = []
    for entry in package.get("resources") or []:
        if isinstance(entry, dict):
            name = str(entry.get("url") or entry.get("name") or "")
            ending = name.rpartition(".")[2].upper() if "." in name.rpartition("/")[2] else None
            guessed = _MIME_FORMATS.get(str(entry.get("mimetype") or ""), ending)
            resources.append({**entry, "detected_format": guessed})
    return {**package, "resources": resources}
