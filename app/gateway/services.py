"""What a running gateway works with: opened once, never exchanged. What changes stands in `snapshot.py`."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from app.access.attempts import FailedAttempts
from app.access.credentials import SecretVerifier
from app.access.dpop import Nonces
from app.access.oauth import Means
from app.access.once import OnceRegister
from app.access.people.oidc import Provider
from app.access.rates import ByteQuota, RateLimiter
from app.access.sealing import Seal
from app.access.shared_rates import SharedRates
from app.access.source_secrets import SecretStore
from app.audit.acts import ActsEntered
from app.audit.write.log import ExchangeLog
from app.catalog.agencies import Agency
from app.catalog.snapshot import CatalogSnapshot
from app.database import Database
from app.datasets.copies.shelf import Shelf
from app.datasets.mapping.codes import InMemoryCodeBook
from app.errors import AgencyUnknown, StoreUnavailable
from app.federation.reading.runtime import Runtime
from app.federation.spilling import Space
from app.federation.sql.ahead import WorkersAhead
from app.gateway.access import Gate
from app.gateway.admission import Admission
from app.gateway.copying import CopyTaker
from app.gateway.exchange import Names
from app.gateway.idempotency import IdempotencyKeys
from app.gateway.jobs import JobRunner
from app.gateway.notes import Notes
from app.gateway.plans import PlanCache
from app.gateway.quotas import Quotas
from app.gateway.snapshot import Present
from app.gateway.sources import Opener, SourcePool
from app.gateway.storage import Storage
from app.gateway.unclosed import Unclosed
from app.gateway.uploads import Uploads
from app.gateway.verification_limits import VerificationLimits
from app.gateway.watching import Watcher
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


class Practising(Protocol):
    """What answers `Simpul-Mode: uji`."""

    def of(self, state: Services) -> Services:
        """The services with which a door answers in practice."""

    async def start(self, folder: Path) -> None:
        """Opens what it remembers, in a folder of this process."""

    async def stop(self) -> None:
        """Ends its work."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a use case may work with. Built once, by `wiring`."""

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
    current: Present
    metrics: Metrics
    spool: Path
    cursor_key: bytes
    usage_rate: RateLimiter
    notes: Notes
    admission: Admission
    storage: Storage
    verifications: VerificationLimits
    shared_rates: SharedRates
    details: ByteQuota
    """What each client's requests put into the details of the log."""
    unclosed: Unclosed
    jobs: JobRunner
    copies: CopyTaker
    shelf: Shelf
    watcher: Watcher
    idempotency: IdempotencyKeys
    uploads: Uploads
    once: OnceRegister
    attempts: FailedAttempts
    quotas: Quotas
    acts: ActsEntered
    nonces: Nonces
    public_rates: RateLimiter
    """Of addresses that send no token."""
    sql_workers: WorkersAhead
    oidc: Provider | None
    """Where people may sign in elsewhere."""
    practice: Practising
    under_way: UnderWay = field(default_factory=UnderWay)
    plans: PlanCache = field(default_factory=PlanCache)

    @property
    def catalog(self) -> CatalogSnapshot:
        """Agencies and published datasets as they stand."""
        return self.current.snapshot.catalog

    @property
    def codes(self) -> InMemoryCodeBook:
        """The code book as it stands."""
        return self.current.snapshot.codes

    @property
    def names(self) -> Names:
        """How agencies stand in entries."""
        return self.current.snapshot.names

    def practising(self) -> Services:
        """The services of `Simpul-Mode: uji`."""
        return self.practice.of(self)

    def client_means(self, address: str) -> Means:
        """What proves a client, as it stands."""
        return Means(self.access.snapshot, self.verifier, self.access.issuer, self.once, self.attempts, address)

    def agency(self, agency_id: str) -> Agency:
        """The agency as the snapshot has it; raises `AgencyUnknown`."""
        found = self.catalog.agencies.get(agency_id)
        if found is None:
            raise AgencyUnknown(f"no agency has the id {agency_id[:63]}; GET /v1/agencies lists them", agency=agency_id)
        return found

    def space(self, client: str) -> Space:
        """Where a computation of a client may put aside what memory does not hold."""
        return self.storage.space(self.spool, client)

    async def follow(self) -> None:
        """Keeps the snapshot fresh until cancelled: changes by other replicas and offline commands show within a second."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.current.refresh()
                await self.notes.follow()
                await self.unclosed.close(self.log)
                await self.idempotency.sweep()
                await self.once.sweep()
                await self.quotas.sweep()
                await self.uploads.sweep(self.log, self.names)
                await self.shared_rates.share()
                await self.acts.enter(self.names)
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
        await self.quotas.close()
        await self.log.close()
        await self.database.close()
