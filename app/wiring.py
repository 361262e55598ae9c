"""The only place that constructs things: from settings to the open `Services` of one gateway process."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex

from app.access.attempts import FailedAttempts
from app.access.credentials import SecretVerifier
from app.access.dpop import Nonces
from app.access.keys import ensure_keys
from app.access.once import OnceRegister
from app.access.people.oidc import Provider, ProviderSettings
from app.access.rates import ByteQuota, RateLimiter
from app.access.sealing import Seal, load_seal
from app.access.shared_rates import SharedRates
from app.access.snapshot import AccessSnapshot
from app.access.source_secrets import SecretStore
from app.access.tokens import TokenIssuer
from app.audit.acts import Act, ActsEntered, note_migration, noted
from app.audit.entry.record import Gateway
from app.audit.write.from_settings import open_exchange_log
from app.audit.write.log import ExchangeLog
from app.children import remove_left
from app.database import STORE_FILE, Database, check_revision, upgrade
from app.datasets.copies.shelf import Shelf
from app.errors import InstanceMissing, LogError, SettingsInvalid
from app.federation.reading.runtime import Runtime
from app.federation.sql.ahead import WorkersAhead
from app.gateway import extensions
from app.gateway.access import Gate
from app.gateway.admission import Admission
from app.gateway.copying import CopyMeans, CopyTaker
from app.gateway.exchange import Names
from app.gateway.idempotency import IdempotencyKeys
from app.gateway.jobs import JobMeans, JobRunner
from app.gateway.notes import Notes
from app.gateway.practice import Practice
from app.gateway.quotas import Quotas
from app.gateway.retention import Retention
from app.gateway.services import Services
from app.gateway.snapshot import Current
from app.gateway.sources import Copied, Opener, SourcePool
from app.gateway.storage import Storage
from app.gateway.unclosed import Unclosed
from app.gateway.uploads import Uploads
from app.gateway.verification_limits import VerificationLimits
from app.gateway.watching import Watcher, WatchMeans
from app.settings import INSTANCE_FILE, Settings
from app.telemetry import Metrics

_COMMAND = "simpul serve"


@asynccontextmanager
async def open_services(settings: Settings, metrics: Metrics | None = None) -> AsyncIterator[Services]:
    """Opens stores and log, loads the state and keeps it fresh; closes everything in reverse order.

    An embedded store is migrated here; PostgreSQL must have been (`simpul db upgrade`), else `StoreOutdated`.
    Raises `InstanceMissing` naming `simpul init`, `LogLocked`, `LogBroken`, `StoreUnavailable`.
    """
    _require_instance(settings)
    if settings.embedded:
        await asyncio.to_thread(upgrade, settings, note=note_migration(_COMMAND))
    else:
        await asyncio.to_thread(check_revision, settings)
    seal = load_seal(settings.dir, os.environ.get("SIMPUL_SECRET_KEY"))
    gateway = Gateway(replica=_replica(settings), build=version("simpul"))
    async with contextlib.AsyncExitStack() as stack:
        database = Database.open(settings)
        stack.push_async_callback(database.close)
        metrics = metrics or Metrics()
        log = await open_exchange_log(settings, gateway, metrics)
        stack.push_async_callback(log.close)
        async with database.begin() as connection:
            if (kid := await ensure_keys(connection, seal, datetime.now(UTC))) is not None:
                await connection.execute(noted(Act("keys.rotate", _COMMAND, {"kid": kid, "revoke_others": False})))
        state = _services(settings, database, log, seal, gateway, metrics)
        stack.callback(shutil.rmtree, state.opener.cache, ignore_errors=True)
        stack.push_async_callback(state.quotas.close)
        stack.push_async_callback(state.sources.close)
        stack.push_async_callback(state.sql_workers.close)
        extensions.report()
        await state.current.refresh()
        with contextlib.suppress(LogError):  # tried again each second
            await state.acts.enter(state.names)
        await state.jobs.start()
        stack.push_async_callback(state.jobs.stop)
        await state.practice.start(state.opener.cache)
        stack.push_async_callback(state.practice.stop)
        await state.copies.start()
        stack.push_async_callback(state.copies.stop)
        await state.watcher.start()
        stack.push_async_callback(state.watcher.stop)
        retention = Retention(state, gateway)
        retention.start()
        stack.push_async_callback(retention.stop)
        follower = asyncio.create_task(state.follow())
        stack.push_async_callback(_stop, follower)
        yield state


def _require_instance(settings: Settings) -> None:
    if not (settings.dir / INSTANCE_FILE).is_file():
        raise InstanceMissing(f"{settings.dir} holds no instance; make one with: simpul init --dir {settings.dir}")
    if settings.embedded and not (settings.dir / STORE_FILE).exists():
        raise InstanceMissing(f"{settings.dir} has no {STORE_FILE}; restore it, or make an instance with: simpul init")


def _gate(settings: Settings, issuer: TokenIssuer) -> Gate:
    clients = RateLimiter(settings.rate_per_minute)
    agreements = RateLimiter(settings.agreement_rate_per_minute, policy="agreement")
    return Gate(issuer, clients, agreements, settings.zone, AccessSnapshot(stamp=-1))


def _services(
    settings: Settings, database: Database, log: ExchangeLog, seal: Seal, gateway: Gateway, metrics: Metrics
) -> Services:
    spool = _spool(settings)
    secrets, unclosed, shelf = SecretStore(seal), Unclosed(), Shelf()
    storage = Storage(settings.dir, reserve_bytes=settings.log_reserve_bytes, spool_bytes=settings.spool_bytes)
    opener = Opener(settings, secrets, storage)
    sources = SourcePool(opener, Copied(shelf, settings.zone, f"{settings.zone} {settings.bbox}"))
    issuer = TokenIssuer(settings.base_url, token_seconds=settings.token_seconds)
    access, public_rates = _gate(settings, issuer), RateLimiter(settings.public_rate_per_minute, policy="address")
    runtime = Runtime.from_settings(settings, hmac.digest(_cursor_key(settings), b"masks", "sha256"))
    current = Current(database, seal, secrets, access, sources, Names(settings.instance, gateway))
    notes = Notes(database, settings.quarantine_rows, metrics.store_failures.inc)
    copies = CopyMeans(
        settings, database, log, seal, storage, spool, sources, runtime, notes, metrics, unclosed, shelf, gateway.replica,
        lambda: current.snapshot.names,
    )  # fmt: skip
    watching = WatchMeans(
        settings, database, opener, sources, runtime, metrics, gateway.replica,
        lambda name: current.snapshot.catalog.agencies[name],
    )  # fmt: skip
    means = JobMeans(
        settings, database, log, access, sources, seal, storage, spool, unclosed, metrics, gateway.replica, Quotas(database, settings.zone)
    )  # fmt: skip
    return Services(
        settings=settings,
        database=database,
        log=log,
        access=access,
        seal=seal,
        secrets=secrets,
        verifier=SecretVerifier(),
        opener=opener,
        sources=sources,
        runtime=runtime,
        current=current,
        metrics=metrics,
        spool=spool,
        cursor_key=_cursor_key(settings),
        usage_rate=RateLimiter(settings.subject_usage_per_minute),
        admission=Admission.of(settings.concurrent_requests),
        storage=storage,
        verifications=VerificationLimits(
            requests=settings.verify_requests_per_day,
            people=settings.verify_people_per_day,
            burst=settings.not_found_burst,
            zone=settings.zone,
            metrics=metrics,
        ),
        shared_rates=SharedRates(database, (access.rates, access.agreement_rates, public_rates)),
        details=ByteQuota(settings.detail_bytes_per_hour),
        notes=notes,
        unclosed=unclosed,
        jobs=JobRunner(means),
        copies=CopyTaker(copies),
        shelf=shelf,
        watcher=Watcher(watching),
        idempotency=IdempotencyKeys(database, seal, request_seconds=settings.request_seconds),
        uploads=Uploads(settings, database, storage),
        once=OnceRegister(database),
        attempts=FailedAttempts(settings.refusals_per_minute),
        quotas=means.quotas,
        acts=ActsEntered(database, log, gateway.replica),
        nonces=Nonces(_cursor_key(settings)),
        public_rates=public_rates,
        sql_workers=WorkersAhead(spool, settings.sql_workers),
        oidc=_provider(settings),
        practice=Practice(means, opener),
    )


def _provider(settings: Settings) -> Provider | None:
    """The OIDC provider that the operator named; `SettingsInvalid` for half of one."""
    if not settings.oidc_issuer:
        return None
    secret = settings.oidc_client_secret
    if not settings.oidc_client_id or secret is None:
        raise SettingsInvalid("SIMPUL_OIDC_ISSUER needs SIMPUL_OIDC_CLIENT_ID and SIMPUL_OIDC_CLIENT_SECRET")
    return Provider(
        ProviderSettings(
            settings.oidc_issuer,
            settings.oidc_client_id,
            secret.get_secret_value(),
            settings.base_url,
            settings.ca_file,
            settings.port,
        )
    )


def _spool(settings: Settings) -> Path:
    """The folder of what waits on disk, without what dead processes left."""
    spool = settings.dir / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    remove_left(spool, "sql", "sort")
    remove_left(settings.dir / "cache", "of", others=True)
    return spool


def _replica(settings: Settings) -> str:
    """Name of this process among replicas; one embedded store has one process and so one name.

    Host and process id are for people: containers share both. The random part makes the name one that no process had.
    """
    return settings.instance if settings.embedded else f"{socket.gethostname()}-{os.getpid()}-{token_hex(8)}"


def _cursor_key(settings: Settings) -> bytes:
    """The key that signs cursors: derived from the sealing key, so that replicas accept each other's cursors."""
    text = os.environ.get("SIMPUL_SECRET_KEY")
    secret = text.encode() if text else Path(settings.dir / "keys" / "seal.key").read_bytes()
    return hmac.digest(hashlib.sha256(secret).digest(), b"simpul-cursor/1", "sha256")


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
