"""Whether the terms of a proposed agreement make sense: names, purposes, days. A row filter is parsed elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from difflib import get_close_matches
from typing import Final

from app.access.agreements import ALL_FIELDS, Terms
from app.access.clients import SLUG, SLUG_RULE
from app.access.facts import SchemaFacts
from app.errors import FieldError, ValidationFailed

MASKS: Final = ("hide", "hash", "last4", "year-only", "region-only")
RIGHTS: Final = ("match",)
BASIS_CHARACTERS: Final = 500
LONGEST_YEARS: Final = 5


def check_terms(
    terms: Terms,
    facts: SchemaFacts,
    purposes: Collection[str],
    today: date,
    *,
    agreement_id: str | None = None,
) -> None:
    """Pass, or `ValidationFailed` with every fault. `purposes` are the known codes."""
    problems = [
        *_check_parties(terms, agreement_id),
        *_check_fields(terms, facts),
        *_check_purposes(terms, purposes),
        *_check_days(terms, today),
        *_check_masks(terms, facts),
        *_check_rights(terms, facts),
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
    for position, right in enumerate(terms.rights):
        if right not in RIGHTS:
            yield FieldError(f"/rights/{position}", "choice", f"one of {', '.join(RIGHTS)}")
        elif not facts.lookup_only:
            yield FieldError(f"/rights/{position}", "choice", f"{facts.name} may be matched without this right")


def _nearest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, sorted(known), n=3)
    return (
        f"not known; closest: {', '.join(close)}" if close else f"not known; there are: {', '.join(sorted(known)[:20])}"
    )
