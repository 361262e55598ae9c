"""What a running gateway knows, in memory: snapshots of catalogue and access, the code book, the opened datasets.

`refresh` reads the change stamps and loads again what moved; after it returns the hot path touches no database.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from app.access.credentials import SecretVerifier
from app.access.keys import KeySet, load_keys
from app.access.rates import ByteQuota, RateLimiter
from app.access.sealing import Seal
from app.access.snapshot import AccessSnapshot
from app.access.snapshot import load_snapshot as load_access
from app.access.source_secrets import SecretStore
from app.audit.write.log import ExchangeLog
from app.catalog.agencies import Agency
from app.catalog.codes import code_tables
from app.catalog.snapshot import CatalogSnapshot
from app.catalog.snapshot import load_snapshot as load_catalog
from app.database import Database, read_stamps
from app.datasets.mapping.codes import InMemoryCodeBook
from app.errors import AgencyUnknown, StoreUnavailable
from app.federation.reading.executor import Runtime
from app.gateway.access import Gate
from app.gateway.admission import Admission
from app.gateway.exchange import Names
from app.gateway.notes import Notes
from app.gateway.plans import PlanCache
from app.gateway.sources import Opener, Published, SourcePool
from app.gateway.storage import Storage
from app.gateway.unclosed import Unclosed
from app.gateway.verification_limits import VerificationLimits
from app.settings import Settings
from app.telemetry import Metrics

log = structlog.get_logger("simpul.state")

POLL_SECONDS = 0.5


class UnderWay:
    """Counts the requests under way. Services stay open until the last one has recorded what became of it."""

    def __init__(self) -> None:
        self.count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """One more."""
        self.count += 1
        self._idle.clear()

    def leave(self) -> None:
        """One less."""
        self.count -= 1
        if self.count == 0:
            self._idle.set()

    async def idle(self, seconds: float) -> bool:
        """Waits until nothing is under way; False when that takes longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        return self.count == 0


@dataclass(slots=True)
class State:
    """Everything a use case works with. Built once by `wiring`, changed only by `refresh`."""

    settings: Settings
    database: Database
    log: ExchangeLog
    access: Gate
    seal: Seal
    secrets: SecretStore
    verifier: SecretVerifier
    opener: Opener
    sources: SourcePool
    runtime: Runtime
    names: Names
    metrics: Metrics
    spool: Path
    cursor_key: bytes
    catalog: CatalogSnapshot
    codes: InMemoryCodeBook
    usage_rate: RateLimiter
    notes: Notes
    admission: Admission
    storage: Storage
    verifications: VerificationLimits
    details: ByteQuota
    """What each client's requests put into the details of the log."""
    under_way: UnderWay = field(default_factory=UnderWay)
    stamps: Mapping[str, int] = field(default_factory=dict)
    granted: AccessSnapshot = field(default_factory=lambda: AccessSnapshot(stamp=-1))
    """Clients and agreements as they stand in the store; what holds while agencies are disabled is `access.snapshot`."""
    keys: KeySet = field(default_factory=lambda: KeySet(()))
    disabled: frozenset[str] = frozenset()
    plans: PlanCache = field(default_factory=PlanCache)
    unclosed: Unclosed = field(default_factory=Unclosed)
    background: Any = None
    """The runner of jobs (`gateway/jobs.py`), which itself works with this state."""
    _refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def agency(self, agency_id: str) -> Agency:
        """The agency as the snapshot has it; raises `AgencyUnknown`."""
        found = self.catalog.agencies.get(agency_id)
        if found is None:
            raise AgencyUnknown(f"no agency has the id {agency_id[:63]}; GET /v1/agencies lists them", agency=agency_id)
        return found

    async def refresh(self) -> None:
        """Loads what changed since the last call; returns when this process answers by the new state."""
        async with self._refreshing:
            async with self.database.read() as connection:
                stamps = await read_stamps(connection)
                moved = {topic for topic in stamps if stamps[topic] != self.stamps.get(topic)}
                if not moved and self.stamps:
                    return
                if "access" in moved or not self.stamps:
                    self.granted, self.keys = await load_access(connection), await load_keys(connection, self.seal)
                if "codes" in moved or not self.stamps:
                    regions, crosswalk = await code_tables(connection)
                    self.codes = InMemoryCodeBook(str(stamps.get("codes", 0)), regions, crosswalk)
                if "secrets" in moved or not self.stamps:
                    await self.secrets.refresh(connection)
                self.catalog = await load_catalog(connection)
            catalog = self.catalog
            disabled = frozenset(agency.id for agency in catalog.agencies.values() if agency.disabled)
            if "access" in moved or disabled != self.disabled or not self.stamps:
                self.disabled = disabled
                self.access.snapshot = self.granted.without(disabled)
                self.access.issuer.install(self.keys, self.access.snapshot)
            published = [
                Published(catalog.agencies[found.agency], found)
                for datasets in catalog.datasets.values()
                for found in datasets
            ]
            away = [*catalog.paused, *catalog.retired]
            published += [Published(catalog.agencies[found.agency], found, away=True) for found in away]
            classes = {agency.id: agency.member_class for agency in self.catalog.agencies.values()}
            self.names = Names(self.names.instance, self.names.gateway, classes)
            await self.sources.replace(published, self.codes, stamps.get("secrets", 0))
            self.stamps = stamps

    async def follow(self) -> None:
        """Keeps the state fresh until cancelled: changes by other replicas and offline commands show within a second."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.refresh()
                await self.notes.follow()
                await self.unclosed.close(self.log)
            except StoreUnavailable as error:
                log.warning("state_not_refreshed", code=error.code)
            except Exception as error:
                log.exception("state_not_refreshed", kind=type(error).__name__, exc_info=error)

    async def close(self) -> None:
        """Writes what was noted, closes sources, log and store, in this order; may be called twice."""
        with contextlib.suppress(Exception):
            await self.notes.flush()
        with contextlib.suppress(Exception):
            await self.sources.close()
        await self.log.close()
        await self.database.close()
