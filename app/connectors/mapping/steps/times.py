"""Steps on time: `date` and `datetime` by stated formats, Indonesian and English month names, a stated zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.connectors.mapping.rules import StepReject
from app.connectors.mapping.steps.contract import Builder, Row, Step, StepContext, need_text
from app.connectors.mapping.text import lower, squeeze

_ID = (
    ("januari", "jan"), ("februari", "feb", "pebruari", "peb"), ("maret", "mar"), ("april", "apr"), ("mei",),
    ("juni", "jun"), ("juli", "jul"), ("agustus", "agu", "agt", "ags"), ("september", "sep", "sept"),
    ("oktober", "okt"), ("november", "nov", "nopember", "nop"), ("desember", "des"),
)  # fmt: skip
_EN = (
    ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may",), ("june", "jun"),
    ("july", "jul"), ("august", "aug"), ("september", "sep", "sept"), ("october", "oct"), ("november", "nov"),
    ("december", "dec"),
)  # fmt: skip
_MONTHS = {
    language: {word: number for number, words in enumerate(names, 1) for word in words}
    for language, names in (("id", _ID), ("en", _EN))
}
_FIELDS = {
    "%d": r"(?P<d>\d{1,2})", "%m": r"(?P<m>\d{1,2})", "%Y": r"(?P<Y>\d{4})", "%y": r"(?P<y>\d{2})",
    "%b": r"(?P<b>[^\W\d_]+)\.?", "%B": r"(?P<b>[^\W\d_]+)\.?", "%H": r"(?P<H>\d{1,2})", "%M": r"(?P<M>\d{2})",
    "%S": r"(?P<S>\d{2})", "%f": r"(?P<f>\d{1,6})", "%%": "%",
}  # fmt: skip
_ZONES = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}
_CENTURY = 2000

Parser = Callable[[str], datetime | None]


def _parser(pattern: str, context: StepContext) -> Parser:
    """A strict reader of one format (a subset of strptime's): the whole text must fit, the date must exist."""
    parts = re.split(r"(%.)", pattern)
    unknown = [part for part in parts if part.startswith("%") and part not in _FIELDS]
    if unknown:
        context.refuse(f"{unknown[0]} is not known; use {', '.join(_FIELDS)}")
    expression = re.compile("".join(_FIELDS.get(part, re.escape(part)) for part in parts), re.ASCII | re.IGNORECASE)
    months = _MONTHS[context.months]

    def parse(text: str) -> datetime | None:
        match = expression.fullmatch(text)
        if match is None:
            return None
        found = match.groupdict()
        year = int(found["Y"]) if found.get("Y") else _CENTURY + int(found["y"]) if found.get("y") else None
        word = found.get("b")
        month = months.get(lower(word)) if word else int(found.get("m") or 1)
        if year is None or month is None:
            return None
        try:
            return datetime(  # noqa: DTZ001 - a local time, its zone follows
                year,
                month,
                int(found.get("d") or 1),
                int(found.get("H") or 0),
                int(found.get("M") or 0),
                int(found.get("S") or 0),
                int((found.get("f") or "0").ljust(6, "0")),
            )
        except ValueError:
            return None

    return parse


def _formats(given: Any, context: StepContext) -> list[Parser]:
    listed = given if isinstance(given, list) else [given]
    if not listed or not all(isinstance(pattern, str) and pattern for pattern in listed):
        context.refuse('give a format such as "%d/%m/%Y", or a list of them in the order to try')
    return [_parser(pattern, context) for pattern in listed]


def date_(given: Any, context: StepContext) -> Step:
    """`date: ["%d %b %y", "%d/%m/%Y"]`, tried in order; `%y` is 20YY. `iso` stands for 2026-11-20."""
    parsers = _formats(["%Y-%m-%d"] if given in ("iso", True) else given, context)

    def step(value: Any, _: Row) -> Any:
        if isinstance(value, datetime):
            if value.time() != datetime.min.time():
                raise StepReject("time_part")
            return value.date()
        if isinstance(value, date):
            return value
        text = squeeze(need_text(value))
        for parse in parsers:
            found = parse(text)
            if found is not None:
                return found.date()
        raise StepReject("not_a_date")

    return step


def datetime_(given: Any, context: StepContext) -> Step:
    """`datetime: {formats: ["%d %b %Y %H:%M:%S"], zone: Asia/Jakarta}`; `iso` reads RFC 3339. A trailing WIB, WITA or WIT counts.

    The result is UTC. A local time that does not exist or happened twice is rejected.
    """
    options: dict[str, Any] = (
        context.options(given, "formats", "zone") if isinstance(given, Mapping) else {"formats": given}
    )
    formats = options.get("formats", "iso")
    zone_name = options.get("zone", context.zone)
    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        context.refuse(f"unknown time zone {zone_name}; write a name such as Asia/Jakarta")
    parsers = [] if formats in ("iso", True) else _formats(formats, context)

    def step(value: Any, _: Row) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else _local(value, zone)
        text = squeeze(need_text(value))
        if not parsers:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                raise StepReject("not_a_datetime") from None
            return moment.astimezone(UTC) if moment.tzinfo else _local(moment, zone)
        head, _separator, tail = text.rpartition(" ")
        known = _ZONES.get(tail)
        for parse in parsers:
            parsed = parse(head if known else text)
            if parsed is not None:
                return _local(parsed, ZoneInfo(known) if known else zone)
        raise StepReject("not_a_datetime")

    return step


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    first = moment.replace(tzinfo=zone, fold=0)
    second = moment.replace(tzinfo=zone, fold=1)
    if first.utcoffset() != second.utcoffset():
        there_and_back = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        raise StepReject("time_ambiguous" if there_and_back == moment else "time_not_existing")
    return first.astimezone(UTC)


STEPS: Mapping[str, Builder] = {"date": date_, "datetime": datetime_}
