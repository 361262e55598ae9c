"""Verification of a person against the one agency that keeps the register: never listed, never fanned out, never cached.

The answer says whether the asserted values fit; the only value it shows is the masked name.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from app.access.decisions import Decision
from app.audit.entry.record import Subject
from app.datasets.records import MappedRecord
from app.errors import (
    AgreementAmbiguous,
    AgreementMissing,
    AllSourcesFailed,
    FieldError,
    FieldForbidden,
    RecordNotFound,
    ValidationFailed,
)
from app.federation.question.query import Query
from app.federation.reading.page import read_page
from app.gateway.access import dataset_ref, note_decisions
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.records import note_answer, note_datasets, note_sources
from app.gateway.services import Services
from app.gateway.sources import OpenDataset
from app.gateway.under import begin
from app.schemas.registry import SchemaDef
from app.schemas.validation import validate_row

Verdict = Literal["cocok", "tidak_cocok", "tidak_ditemukan"]
COMPARED = ("nama", "tanggal_lahir")


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict, one per field compared, the masked name and the basic status of the person."""

    hasil: Verdict
    per_field: Mapping[str, bool]
    nama_tersamar: str | None
    status_dasar: str | None


Allowed = tuple[tuple[OpenDataset, ...], Decision]
"""The datasets of the one provider under the one agreement that fits."""


def authorise(
    state: Services, exchange: Exchange, schema: SchemaDef, operation: Literal["verify", "match"] = "verify"
) -> Allowed:
    """The decision, before any look at the values. The datasets of the provider that an agreement names, or the refusal."""
    exchange.asks(schemas=(schema.name,))
    datasets = state.sources.of_schema(schema.name)
    if not datasets:
        exchange.decide(allow=False, rule="no_agreement")
        raise AgreementMissing(f"nobody provides {schema.name} to you; propose an agreement", rule="no_agreement")
    decisions = [
        state.access.decide(exchange.principal, schema, found.agency, operation, exchange.assertions)
        for found in datasets
    ]
    allowed = [(opened, decision) for opened, decision in zip(datasets, decisions, strict=True) if decision.allow]
    if allowed:
        fitting = sorted({decision.agreement or "" for _, decision in allowed})
        if len(fitting) > 1:
            exchange.decide(allow=False, rule="agreement_ambiguous")
            detail = f"More than one agreement fits: {', '.join(fitting)}. Choose with the header Simpul-Agreement."
            raise AgreementAmbiguous(detail, rule="agreement_ambiguous", agreements=fitting)
        note_decisions(exchange, [allowed[0][1]], state.access.agreement_rates)
        return tuple(opened for opened, _ in allowed), allowed[0][1]
    note_decisions(exchange, decisions, state.access.agreement_rates)
    error = next((decision.error for decision in decisions if decision.agreement), None) or decisions[0].error
    raise error or AgreementMissing(rule="no_agreement")


async def verify(
    state: Services,
    exchange: Exchange,
    schema: SchemaDef,
    allowed: Allowed,
    asserted: Mapping[str, Any],
) -> Verification:
    """Asks the one provider and compares. The intent, with the subject's tag, is durable before the source is asked.

    `RateLimited` when the agreement has asked enough for today.
    """
    datasets, decision = allowed
    subject = schema.meta.subject or schema.meta.key[0]
    given = {name: asserted[name] for name in COMPARED if asserted.get(name) is not None}
    needed = frozenset({subject, *given})
    require_granted(decision, needed)
    number, agreement = str(asserted[subject]), counted_under(exchange, decision)
    state.access.check_keys(
        exchange.principal, schema, "verify", lambda: (schema.key_of({subject: number}),), state.quotas
    )
    await state.verifications.admit(state.log, agreement, subject, number)
    await count_subjects(state, agreement, subject, number)
    refs = [dataset_ref(opened, decision) for opened in datasets]
    note_datasets(exchange, refs)
    exchange.asks(structure=f"{subject} = ?" + "".join(f" and {name} ~ ?" for name in given))
    exchange.concerns(Subject(subject, number, "asked"))
    await begin(state, exchange, refs)
    query = Query(schema=schema, key=schema.key_of({subject: number}), operation="verify", partial="never", limit=2)
    deadline = time.monotonic() + state.settings.request_seconds
    try:
        answer = await read_page(query, refs, state.runtime.until(deadline, exchange.principal.client_id))
    except RecordNotFound:
        exchange.answered(ReadOutcome(0))
        state.verifications.missed(agreement, exchange.principal.client_id)
        return Verification("tidak_ditemukan", {}, None, None)
    note_answer(exchange, answer)
    note_sources(state, answer.sources)
    if len(answer.records) > 1:
        raise AllSourcesFailed(f"{datasets[0].agency} holds this {subject} more than once; it must mend its register")
    exchange.concerns(Subject(subject, number, "compared"))
    return _compared(answer.records[0].record, given, decision)


def counted_under(exchange: Exchange, decision: Decision) -> str:
    """What limits count by: the agreement; in practice, which rests on none, the agency that practises."""
    return decision.agreement or f"uji {exchange.principal.agency}"


async def count_subjects(state: Services, agreement: str, subject: str, *numbers: str) -> None:
    """Counts persons where the agreement has a quota of them, all or none; raises `AgreementQuotaSpent`."""
    found = state.access.snapshot.agreements.get(agreement)
    quota = found.terms.quota if found is not None else None
    if quota is not None and quota.subjects is not None:
        asked = tuple(Subject(subject, number, "asked") for number in numbers)
        tags = {tag for tag, _, _ in state.log.subject_keys.tags(asked, datetime.now(UTC).year)}
        await state.quotas.note_subjects(agreement, quota.subjects, tags)


def require_granted(decision: Decision, needed: frozenset[str]) -> None:
    """`FieldForbidden` for a field that the agreement does not grant as it is: a masked value is neither compared nor shown."""
    missing = sorted(needed - decision.fields.difference(decision.masks))
    if missing:
        raise FieldForbidden(
            f"the agreement does not grant {', '.join(missing)}", rule="field_not_granted", fields=missing
        )


def check_subject(schema: SchemaDef, asserted: Mapping[str, Any]) -> None:
    """The identifier must be one by its own rules; raises `ValidationFailed` naming the rule, never the value."""
    subject = schema.meta.subject or schema.meta.key[0]
    _, failures = validate_row(schema, {subject: asserted.get(subject)})
    wrong = [failure for failure in failures if failure.field == subject]
    if wrong:
        faults = [FieldError(f"/{subject}", failure.rule, failure.detail) for failure in wrong]
        raise ValidationFailed(f"{subject}: {wrong[0].detail}", errors=faults)


def _compared(record: MappedRecord, given: Mapping[str, Any], decision: Decision) -> Verification:
    values = record.values
    per_field = {name: same(value, values.get(name)) for name, value in given.items()}
    name, granted = values.get("nama"), decision.fields.difference(decision.masks)
    shown = masked_name(str(name)) if name and "nama" in granted else None
    status = values.get("status_dasar") if "status_dasar" in granted else None
    return Verification("cocok" if all(per_field.values()) else "tidak_cocok", per_field, shown, status)


def same(asserted: Any, held: Any) -> bool:
    """Dates exactly; names without regard to case, accents of typing, and repeated blanks."""
    if held is None:
        return False
    if isinstance(held, date):
        return str(asserted) == held.isoformat()
    return _plain(str(asserted)) == _plain(str(held))


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def masked_name(name: str) -> str:
    """`Siti Contoh Aminah` as `S*** C***** A*****`: enough to see that it is the right person, too little to learn it."""
    return " ".join(word[0] + "*" * (len(word) - 1) for word in name.split())
