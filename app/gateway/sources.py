"""The opened datasets of the gateway: one per published connector revision, opened without I/O.

A connector that cannot be opened stands here as its error: it answers for itself and affects nobody else.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from app.access.source_secrets import SecretStore
from app.catalog.agencies import Agency
from app.catalog.inbox import Inbox
from app.catalog.snapshot import ActiveConnector
from app.catalog.states import State
from app.children import work_folder
from app.connectors.contract import Connector, RowEstimate
from app.connectors.environment import Environment, Limits, NetworkPolicy
from app.connectors.file_cache import FileCache
from app.connectors.pace import Pace
from app.connectors.registry import open_connector, paces_requests
from app.datasets.contract import Dataset
from app.datasets.copies.dataset import CopiedDataset
from app.datasets.copies.schedule import Schedule
from app.datasets.copies.shelf import Shelf
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import Manifest, manifest_digest, parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import CodeBook
from app.datasets.outline import Outline
from app.datasets.records import ReadRequest, ReadResult
from app.errors import SchemaUnknown, SimpulError, SourceSuspended
from app.gateway.storage import AgencyShare, Storage
from app.schemas import registry
from app.schemas.registry import SchemaDef
from app.settings import Settings
from app.tls import verified

log = structlog.get_logger("simpul.sources")


@dataclass(frozen=True, slots=True)
class OpenDataset:
    """A dataset ready to be asked (or the error that it answers with)."""

    agency: str
    dataset: str
    revision: int
    schema: SchemaDef
    source: Dataset
    manifest: Manifest | None
    error: SimpulError | None = None
    retired: bool = False

    @property
    def slots(self) -> int | None:
        """Reads at once that its manifest allows; None where it says nothing."""
        return None if self.manifest is None else self.manifest.source.concurrency


class BrokenDataset:
    """A `Dataset` that could not be opened: whatever is asked of its records raises the reason."""

    def __init__(self, error: SimpulError, schema: SchemaDef) -> None:
        self.error = error
        self.schema = schema
        self.deadline_seconds = 1.0

    async def read(self, request: ReadRequest) -> ReadResult:
        """Raises why the dataset could not be opened."""
        del request
        raise self.error

    async def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """Raises why the dataset could not be opened."""
        yield await self.read(request)

    async def outline(self, request: ReadRequest) -> Outline:
        """Raises why the dataset could not be opened."""
        del request
        raise self.error

    async def estimate(self, request: ReadRequest) -> RowEstimate | None:
        """Raises why the dataset could not be opened."""
        del request
        raise self.error

    async def version(self) -> str | None:
        """There is nothing to have one."""
        return None

    async def close(self) -> None:
        """Nothing was opened."""


class Opener:
    """Opens connectors and datasets from manifests: folders, secrets, network policy and limits are put in here."""

    def __init__(self, settings: Settings, secrets: SecretStore, storage: Storage) -> None:
        self._settings = settings
        self._secrets = secrets
        self._storage = storage
        self._file_caches: dict[str, FileCache] = {}
        verified(settings.ca_file)  # a file that cannot be read stops the start, not the first question
        self.cache = work_folder(settings.dir / "cache", "of")
        """What is kept of sources on disk: of this process alone, and gone with it."""
        self._paces: dict[str, tuple[str, Pace]] = {}

    def _pace(self, manifest: Manifest) -> Pace | None:
        """The turns at a connector's source: of reads, checks and looks alike, as long as the rate is the same."""
        rate = manifest.source.rate
        if rate is None:
            return None
        known = self._paces.get(manifest.connector)
        if known is None or known[0] != rate:
            known = self._paces[manifest.connector] = rate, Pace(rate)
        return known[1]

    def network(self, agency: Agency) -> NetworkPolicy:
        """What the agency's sources may be dialled at; this gateway's own port never."""
        return replace(agency.network_policy(), own_ports=frozenset({self._settings.port}))

    def environment(self, manifest: Manifest, agency: Agency, *, whole_checks: bool = True) -> Environment:
        """What the connector may use. `whole_checks`: whether its check asks for records."""
        settings, source = self._settings, manifest.source
        deadline = settings.source_deadline_seconds
        if source.deadline is not None:
            deadline = min(deadline, source.deadline.total_seconds())
        cache = self.cache / manifest.connector
        cache.mkdir(parents=True, exist_ok=True)
        return Environment(
            agency=agency.id,
            connector=manifest.connector,
            root=Inbox(settings.dir, agency.id).root,
            cache=cache,
            secrets=self._secrets.resolver(agency.id, agency.env_allow, os.environ),
            network=self.network(agency),
            limits=Limits(
                deadline_seconds=deadline,
                rows=settings.source_rows,
                bytes=settings.source_bytes,
                parse_memory_bytes=settings.parse_memory_bytes,
                concurrency=min(settings.source_concurrency, source.concurrency or settings.source_concurrency),
            ),
            zone=settings.zone,
            ca_file=settings.ca_file,
            file_cache=self._file_cache_of(agency.id),
            instance=settings.origin,
            pace=self._pace(manifest),
            whole_checks=whole_checks,
        )

    def _file_cache_of(self, agency: str) -> FileCache:
        """One for all connectors of an agency: those that ask the same share what came."""
        share = AgencyShare(self._storage, self._settings.agency_file_bytes)
        return self._file_caches.setdefault(agency, FileCache(self.cache / f".{agency}", share))

    def connector(self, manifest: Manifest, agency: Agency, *, whole_checks: bool = True) -> Connector:
        """The raw source of a manifest, for check and discover."""
        return open_connector(manifest.source, self.environment(manifest, agency, whole_checks=whole_checks))

    def dataset(self, manifest: Manifest, revision: int, agency: Agency, codes: CodeBook) -> MappedDataset:
        """The whole dataset of a manifest that has a schema."""
        environment = self.environment(manifest, agency)
        schema = registry.get(manifest.schema_ref or "")
        return MappedDataset(
            manifest=manifest,
            revision=revision,
            schema=schema,
            connector=open_connector(manifest.source, environment),
            mapping=compile_mapping(manifest, schema, codes, zone=self._settings.zone, bbox=self._settings.bbox),
            limits=environment.limits,
            pace=None if paces_requests(manifest.source.kind) else environment.pace,
        )


@dataclass(frozen=True, slots=True)
class PublishedConnector:
    """A connector with an active revision as the catalogue has it; one that is `away` (suspended, retired) is not asked."""

    agency: Agency
    connector: ActiveConnector
    away: bool = False


class Opens(Protocol):
    """What makes the datasets of a pool."""

    def dataset(self, manifest: Manifest, revision: int, agency: Agency, codes: CodeBook) -> Dataset:
        """The dataset of a manifest that has a schema, opened without I/O."""


@dataclass(frozen=True, slots=True)
class Copied:
    """How datasets are opened that have a `snapshot` in their manifest. `setting`: what else the mapping is made of."""

    shelf: Shelf
    zone: str
    setting: str

    def dataset(self, live: Dataset, manifest: Manifest, revision: int, codes: CodeBook) -> Dataset:
        """The dataset itself where no copy of it is taken."""
        if manifest.snapshot is None:
            return live
        made_of = "\n".join(
            [
                str(revision),
                manifest_digest(manifest),
                live.schema.meta.ref,
                str(live.schema.arrow),
                codes.version,
                self.setting,
            ]
        )
        return CopiedDataset(
            live,
            connector=manifest.connector,
            made_of=hashlib.sha256(made_of.encode()).hexdigest(),
            schedule=Schedule.of(manifest.snapshot, self.zone),
            shelf=self.shelf,
        )


class SourcePool:
    """All opened datasets by connector id. Replaced as a whole; readers see one consistent set."""

    def __init__(self, opener: Opens, copied: Copied | None = None) -> None:
        """`copied`: where the copies of datasets stand; without it every dataset is its source."""
        self._opener = opener
        self._copied = copied
        self._opened: Mapping[str, OpenDataset] = {}
        self._by_schema: Mapping[str, tuple[OpenDataset, ...]] = {}
        self._marks: Mapping[str, object] = {}

    def of_schema(self, schema: str) -> tuple[OpenDataset, ...]:
        """Datasets of one schema, by agency and dataset."""
        return self._by_schema.get(schema, ())

    def retired(self, schema: str, agencies: Collection[str]) -> tuple[OpenDataset, ...]:
        """Datasets of one schema that these agencies retired: whoever names the agency is told that they are gone."""
        found = [one for one in self._opened.values() if one.retired and one.schema.name == schema]
        return tuple(sorted((one for one in found if one.agency in agencies), key=lambda one: one.dataset))

    def get(self, connector: str) -> OpenDataset | None:
        """The dataset of a published connector."""
        return self._opened.get(connector)

    def all(self) -> Iterable[OpenDataset]:
        """Every opened dataset that is not retired."""
        return [found for found in self._opened.values() if not found.retired]

    async def replace(self, published: Iterable[PublishedConnector], codes: CodeBook, secrets_stamp: int) -> None:
        """Opens what is new or changed, keeps what is the same, closes what is gone (after readers let go)."""
        marks: dict[str, object] = {}
        opened: dict[str, OpenDataset] = {}
        for item in published:
            name = item.connector.id
            marks[name] = (
                item.connector.revision,
                item.agency,
                codes.version,
                secrets_stamp,
                item.away,
                item.connector.state,
            )
            same = self._opened.get(name) if self._marks.get(name) == marks[name] else None
            found = same if same is not None else await asyncio.to_thread(self._open, item, codes)
            if found is not None:
                opened[name] = found
        gone = [old for name, old in self._opened.items() if opened.get(name) is not old]
        by_schema: dict[str, list[OpenDataset]] = {}
        for dataset in sorted(opened.values(), key=lambda found: (found.agency, found.dataset)):
            if not dataset.retired:
                by_schema.setdefault(dataset.schema.name, []).append(dataset)
        self._opened, self._marks = opened, marks
        self._by_schema = {name: tuple(datasets) for name, datasets in by_schema.items()}
        for old in gone:
            await old.source.close()

    async def close(self) -> None:
        """Closes every dataset."""
        opened, self._opened, self._by_schema, self._marks = self._opened, {}, {}, {}
        for dataset in opened.values():
            await dataset.source.close()

    def _open(self, item: PublishedConnector, codes: CodeBook) -> OpenDataset | None:
        """The dataset, a broken one where its source cannot be opened; None for a schema that this version does not have."""
        active = item.connector
        try:
            schema = registry.get(active.schema_ref)
        except SchemaUnknown as caught:
            log.warning("connector_not_opened", connector=active.id, code=caught.code)
            return None
        manifest: Manifest | None = None
        error: SimpulError | None = None
        source: Dataset
        try:
            manifest = parse_manifest(active.manifest)
            if item.away:
                what = "retired" if active.state is State.RETIRED else "suspended"
                raise SourceSuspended(f"{item.agency.id} has {what} {active.id}: what it holds is missing here")
            source = self._opener.dataset(manifest, active.revision, item.agency, codes)
            if self._copied is not None:
                source = self._copied.dataset(source, manifest, active.revision, codes)
        except SimpulError as caught:
            if not item.away:
                log.warning("connector_not_opened", connector=active.id, code=caught.code)
            error, source = caught, BrokenDataset(caught, schema)
        return OpenDataset(
            item.agency.id, active.id, active.revision, schema, source, manifest, error, active.state is State.RETIRED
        )
