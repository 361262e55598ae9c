"""Use cases of an agency's steward: register a manifest, check, discover, preview, publish, suspend, roll back.

Each is an exchange or an admin action: its intent is durable before the store or a source is touched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.principals import Principal, require_agency
from app.audit.entry import DatasetUse
from app.catalog import agencies, connectors, reports
from app.catalog.connectors import ConnectorRecord, PutOutcome, Revision, Submission
from app.connectors.contract import CheckStep, Connector, Discovery
from app.connectors.dataset import PreviewRow
from app.connectors.manifest import Manifest, canonical_manifest, manifest_digest, parse_manifest
from app.connectors.mapping import compile_mapping
from app.connectors.mapping.skeleton import suggest_skeleton
from app.errors import FieldError, ManifestInvalid, SimpulError, SourceSchemaMismatch, StateConflict
from app.gateway.exchange import Exchange
from app.gateway.state import State
from app.schemas import registry

Result = TypeVar("Result")
PREVIEW_ROWS = 20


@dataclass(frozen=True, slots=True)
class Checked:
    """A check report: the stages it went through; passed when none has an error."""

    revision: int
    steps: Sequence[CheckStep]

    @property
    def passed(self) -> bool:
        """True when every stage passed."""
        return all(step.error is None for step in self.steps)


async def act(state: State, exchange: Exchange, change: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """An admin action: intent, one transaction, then every snapshot of this process is fresh. The layer writes the outcome."""
    exchange.decide(allow=True, rule="role")
    await exchange.intend(state.log)
    async with state.database.begin() as connection:
        result = await change(connection)
    await state.refresh()
    return result


async def put(
    state: State, exchange: Exchange, connector: str, document: str | Mapping[str, Any], *, if_match: str | None
) -> tuple[PutOutcome, Manifest]:
    """Registers a manifest as a new revision (or finds that the latest says the same). A source alone is a draft."""
    draft = isinstance(document, Mapping) and "fields" not in document
    manifest = parse_manifest(document, draft=draft) if not isinstance(document, str) else _parse_text(document)
    if manifest.connector != connector:
        place = FieldError("/connector", "differs_from_path", f"the path says {connector}")
        raise ManifestInvalid("the manifest names another connector than the path", errors=[place])
    require_agency(exchange.principal, manifest.agency)
    if manifest.schema_ref is not None and manifest.fields:
        compile_mapping(manifest, registry.get(manifest.schema_ref), state.codes)
    _note(exchange, manifest)
    submission = Submission(
        connector=connector,
        agency=manifest.agency,
        kind=manifest.source.kind,
        title=manifest.title or connector,
        schema_ref=manifest.schema_ref if manifest.fields else None,
        manifest=canonical_manifest(manifest),
        original=document if isinstance(document, str) else canonical_manifest(manifest),
        digest=manifest_digest(manifest),
        author=exchange.principal.client_id,
    )
    outcome = await act(state, exchange, lambda found: connectors.put_manifest(found, submission, if_match=if_match))
    exchange.datasets = (DatasetUse(connector, outcome.revision),)
    return outcome, manifest


async def check(state: State, exchange: Exchange, connector: str) -> Checked:
    """Goes through dns, tcp, tls, auth, permission, read, columns; a passed check moves a draft to checked."""
    record, revision, manifest = await _latest(state, exchange, connector)
    exchange.decide(allow=True, rule="role")
    await exchange.intend(state.log)
    source = await _open(state, manifest)
    try:
        steps = list(await source.check())
        if all(step.error is None for step in steps) and manifest.fields:
            steps.append(await _columns(state, source, manifest))
    finally:
        await source.close()
    found = Checked(revision.revision, steps)
    document = {"steps": [step_document(step) for step in steps]}
    async with state.database.begin() as connection:
        await reports.record_check(connection, record.id, revision.revision, passed=found.passed, report=document)
    await state.refresh()
    return found


async def discover(state: State, exchange: Exchange, connector: str) -> tuple[Discovery, Mapping[str, Any]]:
    """What stands at the source, and a skeleton manifest filled from it. Sample values are shown, never stored."""
    record, revision, manifest = await _latest(state, exchange, connector)
    exchange.decide(allow=True, rule="role")
    await exchange.intend(state.log)
    source = await _open(state, manifest)
    try:
        found = await source.discover()
    finally:
        await source.close()
    columns = [{"name": column.name, "type": column.source_type} for column in found.columns]
    async with state.database.begin() as connection:
        await reports.record_discovery(
            connection, record.id, revision.revision, {"tables": list(found.tables), "columns": columns}
        )
    schema = registry.get(manifest.schema_ref) if manifest.schema_ref else None
    exchange.rows = len(found.sample)
    return found, suggest_skeleton(manifest, schema, found)


async def preview(state: State, exchange: Exchange, connector: str, rows: int = PREVIEW_ROWS) -> list[PreviewRow]:
    """The first raw records of the latest revision beside what the mapping makes of them."""
    _, revision, manifest = await _latest(state, exchange, connector)
    if manifest.schema_ref is None or not manifest.fields:
        raise StateConflict(
            f"{connector} has no schema and fields yet: there is nothing to preview", connector=connector
        )
    exchange.decide(allow=True, rule="role")
    await exchange.intend(state.log)
    agency = state.agency(manifest.agency)
    dataset = state.opener.dataset(manifest, revision.revision, agency, state.codes)
    try:
        shown = await dataset.preview(rows)
    finally:
        await dataset.close()
    exchange.rows = len(shown)
    exchange.rejected = sum(1 for row in shown if row.rejects)
    return shown


async def move(
    state: State,
    exchange: Exchange,
    connector: str,
    change: Callable[[AsyncConnection], Awaitable[ConnectorRecord]],
) -> ConnectorRecord:
    """Publish, suspend, roll back or retire: the agency's own steward or an admin."""
    await owned(state, exchange.principal, connector)
    record = await act(state, exchange, change)
    exchange.providers = (record.agency,)
    exchange.datasets = (DatasetUse(connector, record.active_revision or record.latest_revision),)
    return record


async def owned(state: State, principal: Principal, connector: str) -> ConnectorRecord:
    """The connector, if the caller's agency owns it (or the caller is an admin)."""
    async with state.database.read() as connection:
        record = await connectors.get_connector(connection, connector)
    require_agency(principal, record.agency)
    return record


def step_document(step: CheckStep) -> dict[str, Any]:
    """A stage of a check as JSON."""
    problem = None
    if step.error is not None:
        problem = {"code": step.error.code, "detail": step.error.detail, "retryable": step.error.retryable}
    return {
        "name": step.name,
        "ok": step.error is None,
        "elapsed_ms": round(step.elapsed_ms, 1),
        "field": step.field,
        "note": step.note,
        "problem": problem,
    }


async def _latest(state: State, exchange: Exchange, connector: str) -> tuple[ConnectorRecord, Revision, Manifest]:
    async with state.database.read() as connection:
        record = await connectors.get_connector(connection, connector)
        require_agency(exchange.principal, record.agency)
        revision = await connectors.get_revision(connection, connector, record.latest_revision)
    manifest = parse_manifest(revision.manifest, draft=revision.schema_ref is None)
    _note(exchange, manifest)
    exchange.datasets = (DatasetUse(connector, revision.revision),)
    return record, revision, manifest


async def _open(state: State, manifest: Manifest) -> Connector:
    async with state.database.read() as connection:
        agency = await agencies.get_agency(connection, manifest.agency)
    return state.opener.connector(manifest, agency)


async def _columns(state: State, source: Connector, manifest: Manifest) -> CheckStep:
    """The last stage: every raw column that the mapping needs stands at the source."""
    started = datetime.now(UTC)
    error: SimpulError | None = None
    mapping = compile_mapping(manifest, registry.get(manifest.schema_ref or ""), state.codes)
    try:
        found = await source.discover(sample_rows=1)
        missing = mapping.check_columns([column.name for column in found.columns])
        if missing:
            names = ", ".join(missing)
            error = SourceSchemaMismatch(
                f"the source has no column {names}; mend /fields or the source", columns=missing
            )
    except SimpulError as caught:
        error = caught
    elapsed_ms = (datetime.now(UTC) - started).total_seconds() * 1000
    return CheckStep("columns", elapsed_ms, error, field="/fields")


def _note(exchange: Exchange, manifest: Manifest) -> None:
    exchange.providers = (manifest.agency,)
    if manifest.schema_ref:
        exchange.schemas = (manifest.schema_ref.partition("@")[0],)


def _parse_text(document: str) -> Manifest:
    """YAML or JSON text; without `fields` it is a draft."""
    try:
        return parse_manifest(document)
    except ManifestInvalid as error:
        if any(place.pointer == "/fields" and place.code == "missing" for place in error.errors):
            return parse_manifest(document, draft=True)
        raise
