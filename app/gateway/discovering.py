"""Use case of a steward who connects a source: what stands there, how it has to be read, and a manifest that says so.

Nothing that is found out is used: a proposal becomes a mapping when a steward sends it as a manifest and publishes it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from app.catalog import reports
from app.connectors.contract import Connector, Discovery
from app.connectors.diagnosis import Diagnoses, Diagnosis, Guess
from app.connectors.personal import looks_personal, masked_where_personal, named_personal
from app.connectors.requests import ScanRequest
from app.datasets.manifest import Manifest, parse_manifest
from app.datasets.preview import shown_raw
from app.datasets.suggesting.choosing import Suggestion, suggest
from app.datasets.suggesting.document import written
from app.gateway.connectors import in_time, latest, opened
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.lanes import in_bulk
from app.schemas import registry
from app.schemas.registry import SchemaDef

SHOWN_ROWS = 20
_LOOKED_AT = 20_000
_KEPT = 400
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Discovered:
    """What was found at a source. `sample` is masked; `suggestion` is None where there are no columns to map."""

    found: Discovery
    sample: Sequence[Mapping[str, Any]]
    guesses: Sequence[Guess]
    notes: Sequence[str]
    suggestion: Suggestion | None
    schemas: Sequence[tuple[str, float]]
    """Schemas that the source may be of, best first, where the manifest names none."""
    manifest: str


async def discover(state: Services, exchange: Exchange, connector: str, schema: SchemaDef | None = None) -> Discovered:
    """Looks at the source of the latest revision (a draft is enough). Sample values are shown, never stored.

    `schema`: proposals are for this one; else for the manifest's own, or for the one that fits best.
    """
    record, revision, _ = await latest(state, exchange, connector)
    manifest = parse_manifest(
        revision.original, draft=True
    )  # as it was sent: what it states, also where that is the default
    exchange.decide(allow=True, rule="role")
    await exchange.intend(state.log)
    source = await opened(state, manifest)
    diagnosis = Diagnosis()
    try:
        if isinstance(source, Diagnoses):
            diagnosis = await in_time(state, source.diagnose())
        if diagnosis.source:
            await source.close()
            manifest = _stated(manifest, diagnosis)
            source = await opened(state, manifest)
        found = await in_time(state, source.discover(sample_rows=SHOWN_ROWS))
        rows = await in_time(state, _sampled(source)) if found.columns else []
    finally:
        await source.close()
    columns = [{"name": column.name, "type": column.source_type} for column in found.columns]
    async with state.database.begin() as connection:
        await reports.record_discovery(
            connection, record.id, revision.revision, {"tables": list(found.tables), "columns": columns}
        )
    suggestion, schemas = await in_bulk(_suggested, state, manifest, diagnosis, rows, schema)
    exchange.answered(ReadOutcome(len(found.sample)))
    notes = (*diagnosis.notes, *found.notes, *_personal(found, rows))
    return Discovered(
        found,
        [_masked(row) for row in rows[:SHOWN_ROWS]],
        diagnosis.guesses,
        notes,
        suggestion,
        schemas,
        written(_head(manifest), _source(manifest), diagnosis.guesses, suggestion),
    )


def _stated(manifest: Manifest, diagnosis: Diagnosis) -> Manifest:
    """The manifest with what was found out of its source; what it states itself stays."""
    stated = {name: getattr(manifest.source, name) for name in manifest.source.model_fields_set}
    source = type(manifest.source).model_validate({**diagnosis.source, **stated})
    return manifest.model_copy(update={"source": source})


async def _sampled(source: Connector) -> list[Mapping[str, Any]]:
    """Up to 400 records, spread over the first 20,000 (or those of 5 s)."""
    kept: list[Mapping[str, Any]] = []
    step, seen, ends = 1, 0, time.monotonic() + _SECONDS
    async with aclosing(_rows(source)) as batches:
        async for batch in batches:
            for row in batch:
                if seen % step == 0:
                    kept.append(row)
                seen += 1
                if len(kept) > _KEPT:
                    kept, step = kept[::2], step * 2
            if seen >= _LOOKED_AT or time.monotonic() > ends:
                break
    return kept


async def _rows(source: Connector) -> AsyncGenerator[list[dict[str, Any]], None]:
    """The records of a scan as Python rows, batch by batch."""
    limit = _LOOKED_AT if source.capabilities.limit else None
    scanned = source.scan(ScanRequest(limit=limit))
    try:
        async for batch in scanned:
            yield batch.sample(len(batch))
    finally:
        await scanned.aclose()  # type: ignore[attr-defined]


def _suggested(
    state: Services,
    manifest: Manifest,
    diagnosis: Diagnosis,
    rows: Sequence[Mapping[str, Any]],
    wanted: SchemaDef | None,
) -> tuple[Suggestion | None, list[tuple[str, float]]]:
    if not rows:
        return None, []
    stated = manifest.read.model_dump(mode="json", exclude_unset=True)
    read = {**diagnosis.read, **stated}
    location = str(getattr(manifest.source, "location", "") or getattr(manifest.source, "table", "") or "")
    words = [text for text in (manifest.title, *diagnosis.titles, location, manifest.connector) if text]
    if wanted is None and manifest.schema_ref is not None:
        wanted = registry.get(manifest.schema_ref)
    if wanted is not None:
        return suggest(wanted, rows, state.codes, read=read, words=words), []
    every = [suggest(schema, rows, state.codes, read=read, words=words) for schema in registry.all_schemas()]
    ranked = sorted(every, key=_fit, reverse=True)
    return ranked[0], [(one.schema.meta.ref, round(_fit(one), 3)) for one in ranked[:3]]


def _fit(found: Suggestion) -> float:
    """How well a schema fits: the mean score over its required fields and the columns that it takes."""
    scores = [proposal.score for proposal in found.chosen.values() if proposal.column]
    weight = len(scores) + len(found.lacking) + 0.5 * len(found.unused)
    return sum(scores) / weight if weight else 0.0


def _head(manifest: Manifest) -> dict[str, Any]:
    return {"connector": manifest.connector, "agency": manifest.agency, "title": manifest.title or None}


def _source(manifest: Manifest) -> dict[str, Any]:
    stated = manifest.source.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"kind": manifest.source.kind, **stated}


def _masked(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shown_raw(masked_where_personal(value, name)) for name, value in row.items()}


def _personal(found: Discovery, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which columns look personal."""
    named = [column.name for column in found.columns if named_personal(column.name)]
    valued = [
        column.name
        for column in found.columns
        if column.name not in named and any(looks_personal(row.get(column.name)) for row in rows)
    ]
    told = []
    if named:
        told.append(
            f"these columns look personal by their name: {', '.join(named)}; map them only where the schema has such a field"
        )
    if valued:
        told.append(f"these columns hold what looks like numbers or addresses of persons: {', '.join(valued)}")
    return told
