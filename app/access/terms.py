"""Whether the terms of a proposed agreement make sense: names, purposes, days. A row filter is parsed elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Final

from app.access.agreements import ALL_FIELDS, ALL_RIGHTS, Agreement, Terms
from app.access.clients import SLUG, SLUG_RULE
from app.access.facts import SchemaFacts
from app.access.quotas import KINDS
from app.errors import FieldError, ValidationFailed

MASKS: Final = ("hide", "hash", "last4", "year-only", "region-only")
FORMATS: Final = ("json", "ndjson", "csv", "xlsx", "parquet", "arrow", "geojson")
BASIS_CHARACTERS: Final = 500
LONGEST_YEARS: Final = 5
MOST_A_DAY: Final = 1_000_000_000_000
LONGEST_LIFE_DAYS: Final = 36_500


def check_terms(
    terms: Terms,
    facts: SchemaFacts,
    purposes: Collection[str],
    today: date,
    *,
    agreement_id: str | None = None,
    detail_days: tuple[int, int] = (1, LONGEST_LIFE_DAYS),
) -> None:
    """Pass, or `ValidationFailed` with every fault. `purposes` are the known codes, `detail_days` the least and most allowed."""
    problems = [
        *_check_parties(terms, agreement_id),
        *_check_fields(terms, facts),
        *_check_purposes(terms, purposes),
        *_check_days(terms, today),
        *_check_masks(terms, facts),
        *_check_rights(terms, facts),
        *_check_quota(terms, facts),
        *_check_formats(terms, facts),
        *_check_care(terms),
        *_check_detail_days(terms, *detail_days),
    ]
    if problems:
        raise ValidationFailed("The terms of the agreement are not well formed.", errors=problems)


def _check_parties(terms: Terms, agreement_id: str | None) -> Iterator[FieldError]:
    for pointer, value in (
        ("/id", agreement_id),
        ("/provider", terms.provider),
        ("/consumer", terms.consumer),
        ("/consumer_client", terms.consumer_client),
    ):
        if value is not None and not SLUG.fullmatch(value):
            yield FieldError(pointer, "pattern", SLUG_RULE)
    if not 0 < len(terms.basis) <= BASIS_CHARACTERS or not terms.basis.isprintable():
        yield FieldError("/basis", "text", f"1 to {BASIS_CHARACTERS} printable characters that name the legal basis")


def _check_fields(terms: Terms, facts: SchemaFacts) -> Iterator[FieldError]:
    if terms.schema != facts.name:
        yield FieldError("/schema", "choice", f"the terms are checked against schema {facts.name}")
    if not terms.fields:
        yield FieldError("/fields", "empty", 'name the granted fields, or "*" for all of the schema')
    if ALL_FIELDS in terms.fields:
        if len(terms.fields) > 1:
            yield FieldError("/fields", "choice", 'either "*" alone or names')
        return
    for position, name in enumerate(terms.fields):
        if name not in facts.names:
            yield FieldError(f"/fields/{position}", "field_unknown", _nearest(name, facts.names))
    missing = [name for name in facts.key if name not in facts.open_fields and name not in terms.fields]
    if terms.fields and missing:
        yield FieldError("/fields", "key_missing", f"without the key ({', '.join(missing)}) no record can be shown")


def _check_purposes(terms: Terms, purposes: Collection[str]) -> Iterator[FieldError]:
    if not terms.purposes:
        yield FieldError("/purposes", "empty", "name at least one purpose of GET /v1/purposes")
    for position, code in enumerate(terms.purposes):
        if code not in purposes:
            yield FieldError(f"/purposes/{position}", "purpose_unknown", _nearest(code, purposes))


def _check_days(terms: Terms, today: date) -> Iterator[FieldError]:
    if terms.valid_until < terms.valid_from:
        yield FieldError("/valid_until", "order", "the last day is before the first")
    elif terms.valid_until < today:
        yield FieldError("/valid_until", "past", f"the last day has passed; today is {today.isoformat()}")
    elif (terms.valid_until - terms.valid_from).days > LONGEST_YEARS * 366:
        yield FieldError("/valid_until", "range", f"at most {LONGEST_YEARS} years; an agreement ends by itself")


def _check_masks(terms: Terms, facts: SchemaFacts) -> Iterator[FieldError]:
    for name, mask in terms.masks.items():
        if name not in facts.names:
            yield FieldError(f"/masks/{name}", "field_unknown", _nearest(name, facts.names))
        elif mask not in MASKS:
            yield FieldError(f"/masks/{name}", "choice", f"one of {', '.join(MASKS)}")


def _check_rights(terms: Terms, facts: SchemaFacts) -> Iterator[FieldError]:
    known = ("match",) if facts.lookup_only else ALL_RIGHTS
    rights = terms.rights or ()
    for position, right in enumerate(rights):
        if right not in known:
            yield FieldError(f"/rights/{position}", "choice", f"of {facts.name} one of {', '.join(known)}")
        elif right in rights[:position]:
            yield FieldError(f"/rights/{position}", "repeated", f"{right} stands there already")


def _check_quota(terms: Terms, facts: SchemaFacts) -> Iterator[FieldError]:
    if terms.quota is None:
        return
    limits = {kind: terms.quota.of(kind) for kind in KINDS}
    if not any(limit is not None for limit in limits.values()):
        yield FieldError("/quota", "empty", f"name at least one of {', '.join(KINDS)}, or leave the quota out")
    for kind, limit in limits.items():
        if limit is not None and not 0 < limit <= MOST_A_DAY:
            yield FieldError(f"/quota/{kind}", "range", f"1 to {MOST_A_DAY} a day")
    if limits["subjects"] is not None and facts.subject is None:
        yield FieldError("/quota/subjects", "choice", f"{facts.name} is not about persons: it has no subjects to count")


def _check_formats(terms: Terms, facts: SchemaFacts) -> Iterator[FieldError]:
    for position, form in enumerate(terms.formats):
        if form not in FORMATS:
            yield FieldError(f"/formats/{position}", "choice", f"one of {', '.join(FORMATS)}")
        elif form in terms.formats[:position]:
            yield FieldError(f"/formats/{position}", "repeated", f"{form} stands there already")
    if terms.formats and facts.lookup_only and "json" not in terms.formats:
        yield FieldError("/formats", "json_missing", f"{facts.name} is answered in json alone")


def _check_care(terms: Terms) -> Iterator[FieldError]:
    if terms.data_life_days is not None and not 0 < terms.data_life_days <= LONGEST_LIFE_DAYS:
        yield FieldError("/data_life_days", "range", f"1 to {LONGEST_LIFE_DAYS} days")
    if terms.dpia is not None and (not 0 < len(terms.dpia) <= BASIS_CHARACTERS or not terms.dpia.isprintable()):
        yield FieldError("/dpia", "text", f"1 to {BASIS_CHARACTERS} printable characters that name the assessment")


def _check_detail_days(terms: Terms, least: int, most: int) -> Iterator[FieldError]:
    if terms.detail_days is not None and not least <= terms.detail_days <= most:
        yield FieldError("/detail_days", "range", f"this instance keeps details {least} to {most} days")


def check_renewal(terms: Terms, renewed: Agreement | None, today: date) -> None:
    """Pass, or `ValidationFailed`: a renewal is of the same parties and schema, and begins when the other has ended."""
    if renewed is None:
        faults = [FieldError("/renews", "agreement_unknown", "no agreement of these two agencies has this id")]
        raise ValidationFailed("The renewed agreement is not known.", errors=faults)
    old = renewed.terms
    if (old.schema, old.consumer_client) != (terms.schema, terms.consumer_client):
        wrong = f"{renewed.id} is about {old.schema} for {old.consumer_client or old.consumer}; a renewal keeps both"
        raise ValidationFailed(f"renews: {wrong}", errors=[FieldError("/renews", "choice", wrong)])
    state = renewed.state_on(today)
    if state in ("proposed", "approved"):
        wrong = f"{renewed.id} is only {state}: what never was in force is proposed again, not renewed"
        raise ValidationFailed(f"renews: {wrong}", errors=[FieldError("/renews", "state", wrong)])
    if state in ("active", "not_yet_valid") and terms.valid_from <= old.valid_until:
        first = (old.valid_until + timedelta(days=1)).isoformat()
        wrong = f"{renewed.id} is in force until {old.valid_until.isoformat()}: begin on {first}, or end it first"
        raise ValidationFailed(f"valid_from: {wrong}", errors=[FieldError("/valid_from", "overlap", wrong)])


def _nearest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, sorted(known), n=3)
    return (
        f"not known; closest: {', '.join(close)}" if close else f"not known; there are: {', '.join(sorted(known)[:20])}"
    )
