"""The health of a connector: its circuit here, its limits, what scheduled checks found, its snapshot; and how snapshots are removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.audit.entry.record import DatasetUse
from app.catalog import copies, probes, reports
from app.catalog.copies import StoredCopy
from app.catalog.probes import ProbeRun
from app.catalog.reports import Health
from app.datasets.copies.dataset import CopiedDataset
from app.datasets.copies.schedule import Age
from app.datasets.copies.shelf import Taking
from app.errors import SimpulError
from app.federation.reading.breaker import Circuit
from app.gateway import connectors as work
from app.gateway.administration import act
from app.gateway.exchange import Exchange
from app.gateway.services import Services
from app.gateway.sources import OpenDataset


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What a source is asked at most by one process."""

    deadline_seconds: float
    concurrency: int
    rate: str | None


@dataclass(frozen=True, slots=True)
class SnapshotHealth:
    """The copy that answers here, how old it is, and why there is no newer one."""

    stored: StoredCopy | None
    age: Age | None
    fresh_until: datetime | None
    next_at: datetime | None
    failed: Taking | None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Everything at one moment. `check_seconds`: None where no checks are scheduled."""

    circuit: Circuit
    problem: SimpulError | None
    limits: SourceLimits | None
    check_seconds: float | None
    probes: Sequence[ProbeRun]
    snapshot: SnapshotHealth | None
    noted: Health | None


async def report(state: Services, connector: str) -> HealthReport:
    """As it stands in this process and in the store."""
    opened = state.sources.get(connector)
    mark = (opened.revision, await opened.source.version()) if opened is not None else None
    state.runtime.circuit(connector, mark)
    await state.notes.flush()
    async with state.database.read() as connection:
        noted = (await reports.read_health(connection)).get(connector)
        history = await probes.history(connection, connector)
        stored = await copies.stored(connection)
    seconds = state.watcher.seconds(opened.manifest) if opened is not None and opened.manifest is not None else 0.0
    return HealthReport(
        circuit=state.runtime.report(connector),
        problem=opened.error if opened is not None else None,
        limits=_limits(state, opened) if opened is not None else None,
        check_seconds=seconds or None,
        probes=history,
        snapshot=_snapshot(state, opened, stored) if opened is not None else None,
        noted=noted,
    )


async def snapshot_of(state: Services, connector: str) -> SnapshotHealth | None:
    """The snapshot that answers here; None where the manifest asks for none."""
    opened = state.sources.get(connector)
    if opened is None:
        return None
    async with state.database.read() as connection:
        stored = await copies.stored(connection)
    return _snapshot(state, opened, stored)


async def forget(state: Services, exchange: Exchange, connector: str) -> int:
    """Removes every snapshot of the connector, by its own steward or an admin; returns how many."""
    record = await work.owned(state, exchange.principal, connector)
    exchange.touches((record.agency,), (DatasetUse(connector, record.active_revision or record.latest_revision),))
    gone = await act(state, exchange, lambda found: copies.forget(found, [connector]))
    await state.copies.forgotten(gone)
    return len(gone)


def _limits(state: Services, opened: OpenDataset) -> SourceLimits | None:
    if opened.manifest is None or opened.error is not None:
        return None
    slots = state.runtime.guards.bulkhead(opened.dataset, opened.slots).slots
    return SourceLimits(opened.source.deadline_seconds, slots, opened.manifest.source.rate)


def _snapshot(state: Services, opened: OpenDataset, stored: Sequence[StoredCopy]) -> SnapshotHealth | None:
    source = opened.source
    if not isinstance(source, CopiedDataset):
        return None
    failed = state.shelf.of(opened.dataset).failed
    copy = state.shelf.newest(opened.dataset, source.made_of)
    if copy is None:
        return SnapshotHealth(None, None, None, None, failed)
    found = next((one for one in stored if one.id == copy.id), None)
    plan = source.schedule
    return SnapshotHealth(
        found,
        plan.age(copy.as_of, datetime.now(UTC)),
        plan.fresh_until(copy.as_of),
        plan.begin(copy.as_of, copy.took_seconds),
        failed,
    )
