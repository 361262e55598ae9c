"""Runs long answers in the background: `Prefer: respond-async`. Each run is an exchange of its own, recorded as any other.

A job's result is finished, encrypted, digested and recorded before it can be fetched. A job never outlives its process:
after a restart it has failed cleanly, and says so.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

import structlog

from app.access.decisions import Operation
from app.access.principals import Principal
from app.access.quotas import AgreementQuotaSpent
from app.access.sealing import Seal, Sealed
from app.audit.entry.record import DatasetUse, uuid7
from app.audit.write.log import ExchangeLog
from app.catalog import jobs
from app.catalog.jobs import Job
from app.database import Database
from app.errors import (
    AccessDenied,
    EntryInvalid,
    EntryTooLarge,
    JobUnknown,
    QuotaExceeded,
    RateLimited,
    SimpulError,
    StateConflict,
)
from app.federation.question.query import SourceStatus
from app.federation.reading.bulkhead import Bulkhead
from app.federation.writers import source_documents
from app.gateway.access import Gate
from app.gateway.answers import MARK, MARKED_FORMS, FinishedAnswer
from app.gateway.exchange import Authority, Exchange, ReadOutcome
from app.gateway.quotas import Quotas
from app.gateway.sources import SourcePool
from app.gateway.spool import Spool, read_spooled
from app.gateway.storage import Storage
from app.gateway.unclosed import Unclosed
from app.gateway.under import settle
from app.schemas import registry
from app.settings import Settings
from app.telemetry import Metrics

log = structlog.get_logger("simpul.jobs")

JOBS_A_CLIENT = 10
RESULTS_A_CLIENT = 50
JOBS_AT_ONCE = 2
RESULT_HOURS = 24
JOB_SECONDS = 3600.0
_BEAT_SECONDS = 1.0
_SWEEP_SECONDS = 10.0


@dataclass(slots=True)
class Progress:
    """How far a run is; shown once a second."""

    rows: int = 0
    sources: list[SourceStatus] | None = None


_LOOK_SECONDS = 0.5
_CHANGED = "what you may see has changed since this job was accepted; ask again"

Run = Callable[[Exchange, Spool, Progress], Awaitable[FinishedAnswer]]


@dataclass(frozen=True, slots=True)
class JobMeans:
    """What running jobs takes. `replica`: the name of this process among those that share the table."""

    settings: Settings
    database: Database
    log: ExchangeLog
    access: Gate
    sources: SourcePool
    seal: Seal
    storage: Storage
    spool: Path
    unclosed: Unclosed
    metrics: Metrics
    replica: str
    quotas: Quotas


class JobRunner:
    """The jobs of one process; those of practice have a runner of their own, and do not count as the client's."""

    def __init__(self, means: JobMeans, *, mode: Literal["uji"] | None = None) -> None:
        self._means = means
        self._mode = mode
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = Bulkhead(JOBS_AT_ONCE)
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Fails what an earlier process left (at once, or when it was silent for a while), and keeps the table clean from now on."""
        async with self._means.database.begin() as connection:
            await jobs.close_orphans(connection, datetime.now(UTC), self._replica)
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Cancels what is under way; it has failed cleanly when this returns."""
        tasks = [*self._tasks.values(), *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def submit(self, exchange: Exchange, form: str, facts: dict[str, Any], run: Run) -> Job:
        """A new job for an authorised question; `exchange` is the one of the request, which ends with 202."""
        means, moment = self._means, datetime.now(UTC)
        new = Job(
            id=uuid7(), client=self._owner(exchange.principal), replica=self._replica, op=exchange.op,
            schemas=list(exchange.schemas), form=form, state="queued", created_at=moment, seen_at=moment,
            expires_at=moment + timedelta(hours=RESULT_HOURS), facts=facts, sources=[],
        )  # fmt: skip
        async with means.database.begin() as connection:
            if await jobs.waiting(connection, new.client) >= JOBS_A_CLIENT:
                detail = f"a client has at most {JOBS_A_CLIENT} unfinished jobs; wait for one or cancel one"
                raise RateLimited(detail, retry_after_seconds=30)
            kept = await jobs.kept(connection, new.client)
            if len(kept) >= RESULTS_A_CLIENT or sum(kept) >= means.settings.job_result_bytes:
                detail = (
                    f"your finished jobs hold {len(kept)} results of {sum(kept)} bytes (at most {RESULTS_A_CLIENT}, and "
                    f"{means.settings.job_result_bytes} bytes): fetch them, then DELETE them"
                )
                raise QuotaExceeded(detail, limit_bytes=means.settings.job_result_bytes, limit=RESULTS_A_CLIENT)
            await jobs.add(connection, new)
        exchange.tells(job=new.id)
        own = exchange.anew()
        task = asyncio.create_task(self._run(new, own, run))
        self._tasks[new.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(new.id, None))
        return new

    async def find(self, principal: Principal, job_id: str) -> Job:
        """The caller's own job; raises `JobUnknown` for everything else."""
        async with self._means.database.read() as connection:
            found = await jobs.find(connection, job_id) if len(job_id) <= 36 else None
        if found is None or found.client != self._owner(principal):
            raise JobUnknown("no job of yours has this id; results are kept for 24 hours")
        return found

    async def cancel(self, principal: Principal, job_id: str) -> None:
        """Cancels a job under way (the work at the sources too), or throws its result away."""
        found = await self.find(principal, job_id)
        moment = datetime.now(UTC)
        async with self._means.database.begin() as connection:
            ended = await jobs.change(connection, found.id, state="cancelled", finished_at=moment)
            if not ended:
                await jobs.forget(connection, found.id)
        task = self._tasks.get(found.id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(self._path(found.id).unlink, missing_ok=True)

    async def result(self, exchange: Exchange, job_id: str) -> tuple[Job, Spool]:
        """The finished result, if the caller may still see what was granted when it was made."""
        found = await self.find(exchange.principal, job_id)
        exchange.asks(schemas=found.schemas)
        exchange.tells(job=found.id)
        if found.state != "done" or found.sealed_key is None or found.expires_at < datetime.now(UTC):
            raise StateConflict(
                f"the job is {found.state}; its result can be fetched when it is done", state=found.state
            )
        facts = found.facts
        _same_authority(exchange, facts)
        exchange.asserts(purpose=facts.get("purpose"), agreement=facts.get("agreement"))
        grants = grants_of(self._means, exchange, found.op)
        if policy_of(grants) != found.facts.get("policy"):
            exchange.decide(allow=False, rule="grants_changed")
            raise AccessDenied("what you may see has changed since this job ran; ask again", rule="grants_changed")
        exchange.authorised(
            Authority(allow=True, rule="job_result", agreement=facts.get("held"), purpose=facts.get("stated"))
        )
        datasets = (DatasetUse(name, revision) for name, revision in facts.get("datasets", ()))
        exchange.touches(facts.get("providers", ()), datasets)
        exchange.answered(ReadOutcome(found.rows, tuple(facts.get("fields", ())), facts.get("complete")))
        key = self._means.seal.open(Sealed(found.sealed_key, found.nonce or b"", found.key_id or ""), "job", found.id)
        path = self._path(found.id)
        digest = await asyncio.to_thread(_digest, path, key) if await asyncio.to_thread(path.is_file) else ""
        if digest != found.digest:
            raise StateConflict("the stored result is gone or was changed; ask again", state="lost")
        return found, _Kept(self._means.spool, path, key, found.size_bytes or 0)

    def _owner(self, principal: Principal) -> str:
        """Whose a job is; no client's id has a blank."""
        return principal.client_id if self._mode is None else f"{principal.client_id} {self._mode}"

    @property
    def _replica(self) -> str:
        return self._means.replica

    def _path(self, job_id: str) -> Path:
        return self._means.spool / f"job-{job_id}.bin"

    async def _run(self, new: Job, exchange: Exchange, run: Run) -> None:
        """One job from its turn to its end. Every end is in the table and in the log."""
        progress = Progress()
        beat = asyncio.create_task(self._beat(new, exchange, progress, asyncio.current_task()))
        path = self._path(new.id)
        means = self._means
        spool = Spool(
            means.spool,
            memory_bytes=0,
            most_bytes=means.settings.answer_spool_bytes,
            path=path,
            room=means.storage.room(new.client),
            first=MARK if self._mode is not None and new.form in MARKED_FORMS else b"",
        )
        try:
            async with self._turn.slot(new.client):
                if self._lost(new, exchange):
                    raise AccessDenied(_CHANGED, rule="grants_changed")
                await self._change(new.id, state="running")
                made = await run(exchange, spool, progress)
                await settle(means.quotas, means.access.snapshot, exchange)
                await self._finish(new, exchange, made)
        except asyncio.CancelledError:
            told = ("job_cancelled", "cancelled, or the gateway stopped", 499)
            if self._lost(new, exchange):
                exchange.decide(allow=False, rule="grants_changed")
                told = ("access_denied", _CHANGED, 403)
            await asyncio.shield(self._fail(new, exchange, path, *told))
            raise
        except AccessDenied as error:
            rule = str(error.facts.get("rule", "grants_changed"))
            exchange.decide(allow=False, rule=rule)
            status = 429 if isinstance(error, AgreementQuotaSpent) else 403
            await self._fail(new, exchange, path, error.code, error.detail, status)
        except SimpulError as error:
            await self._fail(new, exchange, path, error.code, error.detail, 500)
        except Exception as error:
            log.exception("job_failed", job=new.id, kind=type(error).__name__, exc_info=error)
            await self._fail(new, exchange, path, "internal_error", "a fault in the gateway; report the job's id", 500)
        finally:
            spool.close()
            beat.cancel()

    async def _finish(self, new: Job, exchange: Exchange, made: FinishedAnswer) -> None:
        spool = made.spool
        spool.flush()
        plain, commitment = await asyncio.to_thread(spool.sealed)
        found = "sha-256=:" + base64.b64encode(plain).decode() + ":"
        await exchange.close(
            self._means.log, status=200, size=spool.size, commitment=commitment if spool.size else None
        )
        sealed = self._means.seal.seal(spool.key, "job", new.id)
        facts = {**new.facts, "complete": made.complete, "fields": list(exchange.fields), "exchange": exchange.id}
        await self._change(
            new.id, state="done", rows=made.rows, sources=_documents(exchange.sources), facts=facts, size_bytes=spool.size,
            digest=found, sealed_key=sealed.sealed, nonce=sealed.nonce, key_id=sealed.key_id, finished_at=datetime.now(UTC),
        )  # fmt: skip

    async def _fail(self, new: Job, exchange: Exchange, path: Path, code: str, detail: str, status: int) -> None:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        exchange.failed(error=f"{code}: {detail}")
        try:
            if not exchange.closed:
                await self._close_failed(exchange, status)
        except SimpulError:
            self._means.unclosed.add(exchange)
        with suppress(SimpulError):
            await self._change(
                new.id, state="failed", error_code=code, error_detail=detail, sources=_documents(exchange.sources),
                finished_at=datetime.now(UTC),
            )  # fmt: skip

    async def _close_failed(self, exchange: Exchange, status: int) -> None:
        try:
            await exchange.close(self._means.log, status=status, size=0, commitment=None)
        except (EntryInvalid, EntryTooLarge) as fault:
            log.critical("exchange_facts_refused", code=fault.code, fault=fault.detail, exchange_id=exchange.id)
            self._means.metrics.entry_faults.inc()
            await exchange.close_bare(self._means.log, status=status, size=0, commitment=None, fault=fault)

    async def _change(self, job_id: str, **values: Any) -> bool:
        async with self._means.database.begin() as connection:
            return await jobs.change(connection, job_id, seen_at=datetime.now(UTC), **values)

    async def _beat(self, new: Job, exchange: Exchange, progress: Progress, task: asyncio.Task[None] | None) -> None:
        """Shows that the job lives, and how far it is; ends it when it was cancelled on another replica, or what it was granted is gone."""
        beats = 0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._lost(new, exchange) and task is not None:
                task.cancel()
                return
            beats += 1
            if beats * _LOOK_SECONDS < _BEAT_SECONDS:
                continue
            beats = 0
            with suppress(SimpulError):
                known = await self._change(new.id, rows=progress.rows, sources=_documents(progress.sources or ()))
                if not known and task is not None:
                    task.cancel()
                    return

    def _lost(self, new: Job, exchange: Exchange) -> bool:
        """Whether a grant under which the job was accepted is another one now, or gone. Datasets that came since take no part."""
        now = grants_of(self._means, exchange, new.op)
        served = {opened.dataset for name in new.schemas for opened in self._means.sources.of_schema(name)}
        return any(now.get(name) != digest for name, digest in new.facts.get("grants", {}).items() if name in served)

    async def _sweep(self) -> None:
        while True:
            with suppress(SimpulError):
                moment = datetime.now(UTC)
                async with self._means.database.begin() as connection:
                    await jobs.close_orphans(connection, moment, None)
                    gone = await jobs.expired(connection, moment)
                    for job_id in gone:
                        await jobs.forget(connection, job_id)
                for job_id in gone:
                    await asyncio.to_thread(self._path(job_id).unlink, missing_ok=True)
            await asyncio.sleep(_SWEEP_SECONDS)


class _Kept(Spool):
    """A finished result on its way out."""

    def __init__(self, folder: Path, path: Path, key: bytes, size: int) -> None:
        super().__init__(folder, memory_bytes=0, most_bytes=size, key=key)
        self._kept, self.size = path, size

    def chunks(self) -> Iterator[bytes]:
        """The plain bytes."""
        yield from read_spooled(self._kept, self.key)


def _same_authority(exchange: Exchange, facts: Mapping[str, Any]) -> None:
    """A result leaves for the purpose and under the agreement that it was asked for: a request that names others gets none of it."""
    stated = exchange.assertions
    for header, name, said in (
        ("Simpul-Purpose", "purpose", stated.purpose),
        ("Simpul-Agreement", "agreement", stated.agreement),
    ):
        if said is not None and said != facts.get(name):
            exchange.decide(allow=False, rule="job_bound")
            detail = (
                f"this job was asked for under another {name}; leave {header} out, or ask the question again with it"
            )
            raise AccessDenied(detail, rule="job_bound")


class Grants(Protocol):
    """What tells the grants of the present."""

    @property
    def access(self) -> Gate:
        """Decisions."""

    @property
    def sources(self) -> SourcePool:
        """The opened datasets."""


def grants_of(means: Grants, exchange: Exchange, op: str) -> dict[str, str]:
    """What the caller is granted now on each dataset of the exchange's schemas, as digests; empty once the client is disabled."""
    if not means.access.snapshot.enabled(exchange.principal):
        return {}
    operation: Operation = "sql" if op == "sql" else "export"
    found = {}
    for name in exchange.schemas:
        schema = registry.get(name)
        for opened in means.sources.of_schema(name):
            decision = means.access.decide(exchange.principal, schema, opened.agency, operation, exchange.assertions)
            granted = (
                decision.allow,
                sorted(decision.fields),
                decision.agreement,
                decision.row_filter,
                sorted(decision.masks.items()),
            )
            found[opened.dataset] = hashlib.sha256(repr(granted).encode()).hexdigest()[:32]
    return found


def policy_of(grants: Mapping[str, str]) -> str:
    """All grants as one digest: a result made under other ones is not released."""
    return hashlib.sha256(repr(sorted(grants.items())).encode()).hexdigest()


def _documents(sources: Any) -> list[dict[str, Any]]:
    documents = source_documents(sources)
    for document in documents:
        moment = document["as_of"]
        document["as_of"] = _utc(moment) if isinstance(moment, datetime) else None
        document["pushed"] = list(document.get("pushed") or ())  # type: ignore[call-overload]
        if "withheld" in document:
            document["withheld"] = list(document["withheld"])  # type: ignore[call-overload]
    return documents


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _digest(path: Path, key: bytes) -> str:
    plain = hashlib.sha256()
    for chunk in read_spooled(path, key):
        plain.update(chunk)
    return "sha-256=:" + base64.b64encode(plain.digest()).decode() + ":"
