"""The quality of a connector: what a check measures, and the report made of it, its history, the quarantine and the clock.

The report reads no source: a check does, and is an exchange of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.catalog import connectors, quality, quarantine
from app.catalog.quality import Drift, Measurement
from app.catalog.quarantine import QuarantinePage
from app.connectors.contract import RawColumn
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import Manifest, parse_manifest
from app.datasets.quality import QualityCounter, Yardstick
from app.datasets.records import ReadRequest
from app.datasets.trial import Trial
from app.errors import SimpulError
from app.gateway.services import Services

COUNT_SECONDS = 10.0
"""Longest time that a source is asked how many records it holds."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the newest record was promised to be at most, and how old it is now, in seconds; None where no record tells."""

    field: str
    slo_seconds: float
    newest: datetime | None
    age_seconds: float | None

    @property
    def kept(self) -> bool | None:
        """Whether the promise holds at this moment; None where no record tells."""
        return None if self.age_seconds is None else self.age_seconds <= self.slo_seconds


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The history (the newest first), drift against the check before, freshness now, and what reads rejected since."""

    history: Sequence[Measurement]
    drift: Drift | None
    freshness: Freshness | None
    rejects: QuarantinePage


def counter_of(state: Services, manifest: Manifest, dataset: MappedDataset) -> QualityCounter:
    """What counts along while a check maps the source."""
    promised = manifest.freshness
    against = Yardstick(
        state.codes, state.settings.region, state.settings.bbox, promised.field if promised is not None else None
    )
    return QualityCounter(dataset.schema, tuple(found.name for found in dataset.mapping.fields), against)


async def measured(dataset: MappedDataset, trial: Trial, counter: QualityCounter) -> Mapping[str, Any]:
    """What a check found, as it is kept. `declared`: how many records the source says it holds, None where it cannot tell surely."""
    mapped = {found.name for found in dataset.mapping.fields}
    return {
        **counter.document(trial.mapped, trial.nulls),
        "unmapped": [name for name in dataset.schema.fields if name not in mapped],
        "rows": trial.rows,
        "mapped": trial.mapped,
        "rejected": trial.rejected,
        "duplicate_keys": trial.duplicate_keys,
        "skipped_blank": trial.skipped_blank,
        "bounded": trial.bounded,
        "declared": await _declared(dataset),
        "rejects": [
            {"field": found.field, "rule": found.rule, "records": found.records}
            for found in sorted(trial.rejects.values(), key=lambda one: (-one.records, one.field, one.rule))
        ],
    }


async def _declared(dataset: MappedDataset) -> int | None:
    try:
        found = await dataset.estimate(ReadRequest(deadline=time.monotonic() + COUNT_SECONDS))
    except SimpulError:
        return None
    return found.rows if found is not None and found.sure else None


async def keep(
    state: Services,
    connector: str,
    revision: int,
    *,
    passed: bool,
    columns: Sequence[RawColumn],
    found: Mapping[str, Any] | None,
) -> None:
    """Adds what a check measured to the history."""
    named = [(column.name, str(column.arrow_type)) for column in columns]
    async with state.database.begin() as connection:
        await quality.record_quality(
            connection, connector, Measurement(datetime.now(UTC), revision, passed, named, found)
        )


async def report(state: Services, connector: str, limit: int) -> QualityReport:
    """The report as it stands; the history is empty where no check found the columns of the source yet."""
    await state.notes.flush()
    async with state.database.read() as connection:
        history = await quality.read_quality(connection, connector, limit=max(limit, 2))
        rejects = await quarantine.read_quarantine(connection, connector, limit=1)
        revision = await connectors.get_revision(connection, connector, history[0].revision) if history else None
    fresh = None
    if revision is not None:
        manifest = parse_manifest(revision.manifest, draft=revision.schema_ref is None)
        fresh = _freshness(manifest, history[0])
    drift = quality.drift_of(*history[:2]) if len(history) > 1 else None
    return QualityReport(history[:limit], drift, fresh, rejects)


def _freshness(manifest: Manifest, last: Measurement) -> Freshness | None:
    if manifest.freshness is None:
        return None
    told = last.measured["newest"] if last.measured is not None else None
    newest = datetime.fromisoformat(told) if told is not None else None
    age = (datetime.now(UTC) - newest).total_seconds() if newest is not None else None
    return Freshness(manifest.freshness.field, manifest.freshness.slo.total_seconds(), newest, age)
