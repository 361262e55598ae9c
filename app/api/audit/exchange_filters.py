"""The auditors' filter on the wire: its query parameters, and the `ExchangeFilter` that they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request

from app.api.layer.dependencies import principal
from app.audit.read.filters import ExchangeFilter, Scope
from app.errors import FieldError, ValidationFailed
from app.gateway.services import Services

_TEXTS = {
    "consumer": "agency",
    "client": "client",
    "provider": "provider",
    "schema": "schema",
    "dataset": "dataset",
    "field": "field",
    "purpose": "purpose",
    "basis": "basis",
    "agreement": "agreement",
    "outcome": "outcome",
    "rule": "rule",
    "kind": "kind",
    "op": "op",
    "mode": "mode",
    "exchange_id": "xid",
    "case": "case",
    "text": "text",
}
_CHOICES = {
    "outcome": ("allow", "deny", "1xx", "2xx", "3xx", "4xx", "5xx"),
    "kind": ("intent", "outcome", "delivery", "aborted", "admin", "audit_read", "erasure"),
    "mode": ("uji",),
}
_DESCRIPTIONS = {
    "case": "Only entries with this case reference (whole, however it is spelled)",
    "text": "Purpose or legal basis holds this text, or the case reference is this one",
    "mode": "`uji`: only practice",
}
_FIRST_YEAR, _LAST_YEAR = 1900, 9000
"""Beyond these a calendar with zones runs over its edge; no entry of the log is that old or that young."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_CHARACTERS = 10

_NUMBERS = {"status": (100, 599), "min_rows": (0, 2_147_483_647)}
_LONGEST = 200
FILTER_NAMES = (*sorted({*_TEXTS, "from", "to", "status", "min_rows"}),)
"""Parameters that `exchange_filter` reads."""


def parameter(name: str, text: str, json_schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    """A query parameter of the document."""
    found = {"name": name, "in": "query", "description": text, "schema": json_schema}
    return found if example is None else {**found, "example": example}


def filter_parameters() -> list[dict[str, Any]]:
    """The parameters of the filter, for the document."""
    word = {"type": "string", "maxLength": _LONGEST}
    examples = {"consumer": "rsud-kartini", "provider": "disdukcapil", "schema": "penduduk_verifikasi"}
    listed = [
        parameter(
            name,
            _DESCRIPTIONS.get(name, f"Only entries with this {name}"),
            {**word, **({"enum": list(_CHOICES[name])} if name in _CHOICES else {})},
            examples.get(name),
        )
        for name in _TEXTS
    ]
    return [
        *listed,
        parameter("from", "From this time (RFC 3339), or this day of the instance's zone", word, "2026-11-01"),
        parameter("to", "Until before this time, or to the end of this day of the instance's zone", word),
        parameter("status", "HTTP status of the answer", _number("status"), 200),
        parameter("min_rows", "At least so many records were released", _number("min_rows")),
    ]


def _number(name: str) -> dict[str, Any]:
    least, most = _NUMBERS[name]
    return {"type": "integer", "format": "int32", "minimum": least, "maximum": most}


def _between(number: int, name: str) -> int:
    least, most = _NUMBERS[name]
    if not least <= number <= most:
        raise wrong(name, f"between {least} and {most}")
    return number


def scope_of(request: Request, state: Services) -> Scope:
    """Whose entries the caller sees."""
    caller = principal(request)
    return Scope(None) if caller.role == "supervisor" else Scope(state.names.member(caller.agency))


def exchange_filter(state: Services, given: dict[str, str]) -> ExchangeFilter:
    """The filter of these parameters (names of `FILTER_NAMES`); `ValidationFailed` names what is wrong."""
    wanted: dict[str, Any] = {}
    for name, value in given.items():
        if len(value) > _LONGEST:
            raise wrong(name, f"at most {_LONGEST} characters")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise wrong(name, f"one of {', '.join(_CHOICES[name])}")
        if name in {"consumer", "provider"}:
            wanted[_TEXTS[name]] = value if "/" in value else state.names.member(value)
        elif name in _TEXTS:
            if not value.strip():
                raise wrong(name, "a text; leave the parameter out to mean any")
            wanted[_TEXTS[name]] = value
        elif name in _NUMBERS:
            wanted[name] = _between(whole(value, name), name)
        else:
            wanted[f"{name}_us"] = moment(value, name, state.settings.zone)
    return ExchangeFilter(**wanted)


def moment(text: str, name: str, zone: str) -> int:
    """Microseconds since 1970. A bare day is a day of the instance's zone; as `to` it counts whole."""
    try:
        whole_day = len(text) == _DAY_CHARACTERS
        found = datetime.fromisoformat(text if whole_day else text.replace(" ", "+"))
        if whole_day:
            found = found.replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        raise wrong(name, "a day (2026-11-20) or a time with zone (2026-11-20T08:00:00+07:00)") from None
    if found.tzinfo is None:
        raise wrong(name, "a time needs its zone: end it with Z or +07:00")
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise wrong(name, f"a time of the years {_FIRST_YEAR} to {_LAST_YEAR}")
    if whole_day and name == "to":
        found += timedelta(days=1)
    return (found - _EPOCH) // timedelta(microseconds=1)


def whole(text: str, name: str) -> int:
    """A whole number."""
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise wrong(name, "a whole number")
    return int(text)


def wrong(name: str, rule: str) -> ValidationFailed:
    """The error for a parameter that breaks a rule."""
    return ValidationFailed(f"{name}: {rule}", errors=[FieldError(name, "format", rule)])
