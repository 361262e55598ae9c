"""Use cases of an agency's steward: register a manifest, check, discover, preview, publish, suspend, roll back.

Each is an exchange or an admin action: its intent is durable before the store or a source is touched.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.principals import Principal, require_agency
from app.audit.entry.record import DatasetUse
from app.catalog import agencies, connectors, reports
from app.catalog.connectors import ConnectorRecord, PutOutcome, Revision, Submission
from app.conditions import Precondition
from app.connectors.contract import CheckStep, Connector, RawColumn
from app.connectors.network import refusal
from app.datasets.manifest import Manifest, canonical_manifest, load_manifest, manifest_digest, parse_manifest
from app.datasets.manifest_structure import require_structure
from app.datasets.mapping import compile_mapping
from app.datasets.records import PreviewRow
from app.datasets.trial import Trial
from app.errors import (
    FieldError,
    ManifestInvalid,
    MappingRejects,
    SimpulError,
    SourceSchemaMismatch,
    SourceTimeout,
    StateConflict,
)
from app.gateway import quality
from app.gateway.administration import act
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.lanes import in_bulk
from app.schemas import registry

Result = TypeVar("Result")
PREVIEW_ROWS = 20


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A check report: the stages it went through; passed when none has an error."""

    revision: int
    steps: Sequence[CheckStep]
    mapping: Mapping[str, Any] | None = None
    """What came of mapping the source (`Trial.document`, and the columns found); None where it did not come to that."""

    @property
    def passed(self) -> bool:
        """True when every stage passed."""
        return all(step.error is None for step in self.steps)


async def put(
    state: Services, exchange: Exchange, connector: str, document: str | Mapping[str, Any], *, condition: Precondition
) -> tuple[PutOutcome, Manifest]:
    """Registers a manifest as a new revision (or finds that the latest says the same). One without `fields` is a draft."""
    given = await in_bulk(load_manifest, document) if isinstance(document, str) else document
    manifest = await in_bulk(_manifest, given)
    if manifest.connector != connector:
        fault = FieldError("/connector", "differs_from_path", f"the path says {connector}")
        raise ManifestInvalid("the manifest names another connector than the path", errors=[fault])
    require_agency(exchange.principal, manifest.agency)
    if manifest.schema_ref is not None and manifest.fields:
        try:
            await in_bulk(compile_mapping, manifest, registry.get(manifest.schema_ref), state.codes)
        except ManifestInvalid as error:
            await in_bulk(require_structure, given, error)
    await in_bulk(require_structure, given)
    await _may_be_dialled(state, manifest)
    _note(exchange, manifest)
    submission = Submission(
        connector=connector,
        agency=manifest.agency,
        kind=manifest.source.kind,
        title=manifest.title or connector,
        schema_ref=manifest.schema_ref if manifest.fields else None,
        manifest=canonical_manifest(manifest),
        original=document if isinstance(document, str) else json.dumps(document, ensure_ascii=False, default=str),
        digest=manifest_digest(manifest),
        author=exchange.principal.client_id,
    )
    outcome = await act(state, exchange, lambda found: connectors.put_manifest(found, submission, condition=condition))
    exchange.touches((manifest.agency,), (DatasetUse(connector, outcome.revision),))
    return outcome, manifest


async def _may_be_dialled(state: Services, manifest: Manifest) -> None:
    """Raises `ManifestInvalid` naming each address that the agency's network policy does not allow. Dialling asks again."""
    stated = manifest.source.dialled()
    if not stated:
        return
    async with state.database.read() as connection:
        agency = await agencies.get_agency(connection, manifest.agency)
    policy = state.opener.network(agency)
    told = await asyncio.gather(*(refusal(address, policy) for address in stated))
    faults = [
        FieldError(address.pointer, "network_forbidden", detail)
        for address, detail in zip(stated, told, strict=True)
        if detail is not None
    ]
    if faults:
        raise ManifestInvalid("the manifest names an address that may not be dialled for this agency", errors=faults)


def _manifest(given: Mapping[str, Any]) -> Manifest:
    try:
        return parse_manifest(given, draft="fields" not in given)
    except ManifestInvalid as error:
        require_structure(given, error)
        raise


async def check(state: Services, exchange: Exchange, connector: str) -> CheckReport:
    """Goes through dns, tcp, tls, auth, permission, read, columns, map; a passed check moves a draft to checked.

    The last stage maps the whole source, up to `check_rows` records and `check_seconds`.
    """
    record, revision, manifest = await latest(state, exchange, connector)
    exchange.decide(allow=True, rule="role")
    await exchange.intend(state.log)
    source = await opened(state, manifest)
    columns: list[RawColumn] = []
    try:
        steps = list(await in_time(state, source.check()))
        if all(step.error is None for step in steps) and manifest.fields:
            steps.append(await in_time(state, _columns(state, source, manifest, columns)))
    finally:
        await source.close()
    trial: Trial | None = None
    measured: Mapping[str, Any] | None = None
    if all(step.error is None for step in steps) and manifest.fields:
        step, trial, measured = await _tried(state, manifest, revision)
        steps.append(step)
    names = [column.name for column in columns]
    mapping = None if trial is None else {**trial.document(tuple(manifest.fields)), "columns": names}
    found = CheckReport(revision.revision, steps, mapping)
    document = {"steps": [step_document(step) for step in steps], "mapping": mapping}
    async with state.database.begin() as connection:
        await reports.record_check(connection, record.id, revision.revision, passed=found.passed, report=document)
    if columns:
        await quality.keep(state, record.id, revision.revision, passed=found.passed, columns=columns, found=measured)
    await state.current.refresh()
    return found


async def _tried(
    state: Services, manifest: Manifest, revision: Revision
) -> tuple[CheckStep, Trial | None, Mapping[str, Any] | None]:
    """The stage `map`: fails where nothing is a record, too much is rejected, or a path is found in no record.

    With it what was measured of the records on the way.
    """
    started, settings = time.perf_counter(), state.settings
    dataset = state.opener.dataset(manifest, revision.revision, state.agency(manifest.agency), state.codes)
    trial: Trial | None = None
    measured: Mapping[str, Any] | None = None
    error: SimpulError | None = None
    try:
        counter = quality.counter_of(state, manifest, dataset)
        trial = await dataset.trial(settings.check_rows, settings.check_seconds, counter)
        measured = await quality.measured(dataset, trial, counter)
        error = _verdict(trial, manifest.accept_rejects, settings.check_reject_share)
    except SimpulError as caught:
        error = caught
    finally:
        await dataset.close()
    note = _summary(trial) if trial is not None else ""
    return CheckStep("map", (time.perf_counter() - started) * 1000, error, "/fields", note), trial, measured


def _verdict(trial: Trial, accepted: float | None, asked_above: float) -> MappingRejects | None:
    """Why the trial fails the check, None where it does not."""
    if trial.absent:
        detail = "; ".join(
            f"{path.text} ({path.pointer}) stands in none of {trial.rows} records" for path in trial.absent
        )
        faults = [
            FieldError(path.pointer, "path_never_found", f"{path.text} stands in no record") for path in trial.absent
        ]
        return MappingRejects(detail, errors=faults)
    if not trial.rejected:
        return None
    said = " ".join([_most_frequent(trial), *trial.hints])
    if trial.mapped == 0:
        return MappingRejects(f"every one of {trial.rows} records is rejected. {said}", rejected=trial.rejected)
    most = asked_above if accepted is None else accepted
    if trial.reject_share <= most:
        return None
    ask = f"mend the source or the mapping, or state accept_rejects: {_rounded_up(trial.reject_share)} in the manifest"
    return MappingRejects(
        f"{trial.rejected} of {trial.rows} records are rejected ({trial.reject_share:.1%}, at most {most:.1%} are accepted): "
        f"{ask}. {said}",
        rejected=trial.rejected,
    )


def _most_frequent(trial: Trial) -> str:
    worst = max(trial.rejects.values(), key=lambda found: found.records)
    location = f" at {worst.locations[0]}" if worst.locations else ""
    return f"Most often {worst.field or 'the row'}: {worst.rule} ({worst.records} records, first{location}: {worst.detail})."


def _rounded_up(share: float) -> float:
    return min(math.ceil(share * 10_000) / 10_000, 0.9999)


def _summary(trial: Trial) -> str:
    end = {"rows": "; not all: the bound of rows was reached", "seconds": "; not all: the bound of time was reached"}
    told = (
        f"{trial.rows} records read, {trial.mapped} mapped, {trial.rejected} rejected{end.get(trial.bounded or '', '')}"
    )
    return "; ".join([told, *trial.hints])


async def preview(state: Services, exchange: Exchange, connector: str, rows: int = PREVIEW_ROWS) -> list[PreviewRow]:
    """The first raw records of the latest revision beside what the mapping makes of them."""
    _, revision, manifest = await latest(state, exchange, connector)
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
    exchange.answered(ReadOutcome(len(shown), rejected=sum(1 for row in shown if row.rejects)))
    return shown


async def move(
    state: Services,
    exchange: Exchange,
    connector: str,
    change: Callable[[AsyncConnection], Awaitable[ConnectorRecord]],
) -> ConnectorRecord:
    """Publish, suspend, roll back or retire: the agency's own steward or an admin."""
    await owned(state, exchange.principal, connector)
    record = await act(state, exchange, change)
    exchange.touches((record.agency,), (DatasetUse(connector, record.active_revision or record.latest_revision),))
    return record


async def owned(state: Services, principal: Principal, connector: str) -> ConnectorRecord:
    """The connector, if the caller's agency owns it (or the caller is an admin).

    `AgencyForbidden` for another agency's that is published, which everybody sees; one that is not is as unknown as none.
    """
    async with state.database.read() as connection:
        return _own(principal, await connectors.get_connector(connection, connector))


def _own(principal: Principal, record: ConnectorRecord) -> ConnectorRecord:
    if principal.role != "admin" and principal.agency != record.agency and not record.known:
        raise connectors.unknown(record.id)
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


async def latest(state: Services, exchange: Exchange, connector: str) -> tuple[ConnectorRecord, Revision, Manifest]:
    """The connector, its newest revision and that manifest, noted in the exchange; only for the agency's own steward or an admin."""
    async with state.database.read() as connection:
        record = _own(exchange.principal, await connectors.get_connector(connection, connector))
        revision = await connectors.get_revision(connection, connector, record.latest_revision)
    manifest = parse_manifest(revision.manifest, draft=revision.schema_ref is None)
    _note(exchange, manifest)
    exchange.touches((manifest.agency,), (DatasetUse(connector, revision.revision),))
    return record, revision, manifest


async def in_time(state: Services, work: Awaitable[Result]) -> Result:
    """What a steward sees of a source ends as the request does, whatever the source's text would go on to do."""
    seconds = state.settings.request_seconds
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise SourceTimeout(f"the source did not answer within {seconds:g} s", limit_seconds=seconds) from None


async def opened(state: Services, manifest: Manifest) -> Connector:
    """The raw source of a manifest."""
    async with state.database.read() as connection:
        agency = await agencies.get_agency(connection, manifest.agency)
    return state.opener.connector(manifest, agency)


async def _columns(state: Services, source: Connector, manifest: Manifest, columns: list[RawColumn]) -> CheckStep:
    """Every raw column that the mapping needs stands at the source; `columns` takes those that were found."""
    started = datetime.now(UTC)
    error: SimpulError | None = None
    mapping = compile_mapping(manifest, registry.get(manifest.schema_ref or ""), state.codes)
    try:
        found = await source.discover(sample_rows=1)
        columns += found.columns
        missing = mapping.check_columns([column.name for column in columns])
        if missing:
            error = SourceSchemaMismatch(
                f"the source has no column {', '.join(missing)}; mend /fields or the source", columns=missing
            )
    except SimpulError as caught:
        error = caught
    elapsed_ms = (datetime.now(UTC) - started).total_seconds() * 1000
    return CheckStep("columns", elapsed_ms, error, field="/fields")


def _note(exchange: Exchange, manifest: Manifest) -> None:
    exchange.touches((manifest.agency,))
    if manifest.schema_ref:
        exchange.asks(schemas=(manifest.schema_ref.partition("@")[0],))
