"""What the stores say, in memory: one snapshot, swapped whole. After a refresh the hot path touches no database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from app.access.keys import KeySet, load_keys
from app.access.revocation import load_revoked
from app.access.sealing import Seal
from app.access.snapshot import AccessSnapshot
from app.access.snapshot import load_snapshot as load_access
from app.access.source_secrets import SecretStore
from app.access.tables import REVOKED_TOPIC
from app.catalog.codes import code_tables
from app.catalog.snapshot import CatalogSnapshot
from app.catalog.snapshot import load_snapshot as load_catalog
from app.database import Database, read_stamps
from app.datasets.mapping.codes import InMemoryCodeBook, empty_code_book
from app.gateway.access import Gate
from app.gateway.exchange import Names
from app.gateway.sources import PublishedConnector, SourcePool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Catalogue, codes, keys and grants as they stood at these stamps. Not to be changed."""

    names: Names
    catalog: CatalogSnapshot = field(default_factory=lambda: CatalogSnapshot(stamp=-1))
    codes: InMemoryCodeBook = field(default_factory=empty_code_book)
    keys: KeySet = field(default_factory=lambda: KeySet(()))
    granted: AccessSnapshot = field(default_factory=lambda: AccessSnapshot(stamp=-1))
    """Clients and agreements as they stand in the store; what holds while agencies are disabled is the gate's."""
    revoked: frozenset[str] = frozenset()
    """Tokens that were revoked one by one."""
    stamps: Mapping[str, int] = field(default_factory=dict)

    @property
    def disabled(self) -> frozenset[str]:
        """Agencies that are disabled."""
        return frozenset(agency.id for agency in self.catalog.agencies.values() if agency.disabled)


class Present(Protocol):
    """What tells the snapshot as it stands."""

    @property
    def snapshot(self) -> Snapshot:
        """As it stands."""

    async def refresh(self) -> None:
        """Loads what changed since the last call."""


class Current:
    """The present snapshot, and what is derived from it: the gate's grants, the opened datasets."""

    def __init__(
        self, database: Database, seal: Seal, secrets: SecretStore, gate: Gate, sources: SourcePool, names: Names
    ) -> None:
        """Empty until the first `refresh`."""
        self.snapshot = Snapshot(names)
        self._database, self._seal, self._secrets = database, seal, secrets
        self._gate, self._sources = gate, sources
        self._refreshing = asyncio.Lock()

    async def refresh(self) -> None:
        """Loads what changed since the last call; returns when this process answers by the new state."""
        async with self._refreshing:
            old = self.snapshot
            new = await self._loaded(old)
            if new is old:
                return
            if new.granted is not old.granted or new.disabled != old.disabled:
                self._gate.snapshot = new.granted.without(new.disabled)
                self._gate.issuer.install(new.keys, self._gate.snapshot)
            if new.revoked != old.revoked:
                self._gate.issuer.revoke(new.revoked)
            await self._sources.replace(_published(new.catalog), new.codes, new.stamps.get("secrets", 0))
            self.snapshot = new

    async def _loaded(self, old: Snapshot) -> Snapshot:
        """The stores as they stand; the old snapshot itself when nothing moved."""
        async with self._database.read() as connection:
            stamps = await read_stamps(connection)
            moved = {topic for topic in stamps if stamps[topic] != old.stamps.get(topic)}
            if not moved and old.stamps:
                return old
            new = replace(old, stamps=stamps)
            if "access" in moved or not old.stamps:
                granted, keys = await load_access(connection), await load_keys(connection, self._seal)
                new = replace(new, granted=granted, keys=keys)
            if REVOKED_TOPIC in moved or not old.stamps:
                new = replace(new, revoked=await load_revoked(connection))
            if "codes" in moved or not old.stamps:
                codes = InMemoryCodeBook(str(stamps.get("codes", 0)), *await code_tables(connection))
                new = replace(new, codes=codes)
            if "secrets" in moved or not old.stamps:
                await self._secrets.refresh(connection)
            catalog = await load_catalog(connection)
        classes = {agency.id: agency.member_class for agency in catalog.agencies.values()}
        return replace(new, catalog=catalog, names=Names(old.names.instance, old.names.gateway, classes))


def _published(catalog: CatalogSnapshot) -> list[PublishedConnector]:
    published = [
        PublishedConnector(catalog.agencies[found.agency], found)
        for datasets in catalog.datasets.values()
        for found in datasets
    ]
    away = [*catalog.paused, *catalog.retired]
    return published + [PublishedConnector(catalog.agencies[found.agency], found, away=True) for found in away]
