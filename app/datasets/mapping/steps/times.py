"""Steps on time: `date` and `datetime` by stated formats, Indonesian and English month names, a stated zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps.contract import Builder, Row, Step, StepContext, need_text
from app.datasets.mapping.text import lower, squeeze

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
_SAME = {"%b": "%m", "%B": "%m", "%y": "%Y"}
_ZONES = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura", "UTC": "UTC", "GMT": "UTC"}
_WIDTHS = {"%d": r"(?P<d>\d{2})", "%m": r"(?P<m>\d{2})", "%H": r"(?P<H>\d{2})", "%f": r"(?P<f>\d{6})"}
"""Fields whose number of digits varies, where they touch another number: there every digit must stand, else it would be guessed."""
_NUMBERS = frozenset({"%d", "%m", "%Y", "%y", "%H", "%M", "%S", "%f"})
_LITERAL_ZONE = re.compile(
    r"(?P<before>.*?)\s*(?:(?P<name>Z|UTC|GMT|WIB|WITA|WIT)|(?P<offset>[+-]\d{2}:?\d{2}))", re.DOTALL
)
_ZONE_WORD = re.compile(r"(?<![A-Za-z])(UTC|GMT|WIB|WITA|WIT)(?![A-Za-z])")
_CENTURY = 2000

Parser = Callable[[str], datetime | None]


def _expression(parts: list[str]) -> re.Pattern[str]:
    """The format as an expression. Numbers that touch have all their digits: `1012024` is no `%d%m%Y`."""
    made = []
    for index, part in enumerate(parts):
        touching = part in _NUMBERS and (
            (index > 0 and _ends_in_number(parts[index - 1]))
            or (index + 1 < len(parts) and _begins_with_number(parts[index + 1]))
        )
        made.append(_WIDTHS.get(part, _FIELDS[part]) if touching else _FIELDS.get(part, re.escape(part)))
    return re.compile("".join(made), re.ASCII | re.IGNORECASE)


def _ends_in_number(part: str) -> bool:
    return part in _NUMBERS or (not part.startswith("%") and part[-1:].isdigit())


def _begins_with_number(part: str) -> bool:
    return part in _NUMBERS or (not part.startswith("%") and part[:1].isdigit())


def _parser(pattern: str, context: StepContext) -> Parser:
    """A strict reader of one format (a subset of strptime's): the whole text must fit, the date must exist."""
    parts = [part for part in re.split(r"(%.)", pattern) if part]
    unknown = [part for part in parts if part.startswith("%") and part not in _FIELDS]
    if unknown:
        context.refuse(f"{unknown[0]} is not known; use {', '.join(_FIELDS)}")
    _once(parts, context)
    expression = _expression(parts)
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


def _once(parts: list[str], context: StepContext) -> None:
    """A format that tells one thing twice (`%d/%m/%d`, `%m %b`) is refused: which of the two counts would be a guess."""
    seen: dict[str, str] = {}
    for part in parts:
        told = _SAME.get(part, part)
        if part in _FIELDS and part != "%%" and told in seen:
            context.refuse(f"{seen[told]} and {part} tell the same; write one of them, once")
        seen[told] = part


def _zoned(pattern: str, context: StepContext) -> Parser:
    """A reader of a format with a time. A zone that stands in it as plain text (`Z`, `UTC`, `+07:00`) is the zone of the value."""
    parts = re.split(r"(%.)", pattern)
    literal = _LITERAL_ZONE.fullmatch(parts[-1]) if len(parts) > 1 else None
    if literal is None:
        if any(_ZONE_WORD.search(part) for part in parts if not part.startswith("%")):
            context.refuse("a zone stands at the end of a format, behind the time: %Y-%m-%d %H:%M:%S UTC")
        return _parser(pattern, context)
    zone = _offset(literal["offset"]) if literal["offset"] else ZoneInfo(_ZONES.get(literal["name"], "UTC"))
    parse = _parser(pattern, context)

    def zoned(text: str) -> datetime | None:
        found = parse(text)
        return None if found is None else found.replace(tzinfo=zone)

    return zoned


def _offset(text: str) -> timezone:
    digits = text[1:].replace(":", "")
    distance = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-distance if text[0] == "-" else distance)


def _iso_day(text: str) -> datetime | None:
    try:
        return (
            datetime.combine(date.fromisoformat(text), datetime.min.time()) if len(text) == len("2026-11-20") else None
        )
    except ValueError:
        return None


def _iso_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _formats(given: Any, context: StepContext, *, timed: bool) -> list[Parser]:
    listed = given if isinstance(given, list) else [given]
    if not listed or not all((isinstance(pattern, str) and pattern) or pattern is True for pattern in listed):
        context.refuse('give a format such as "%d/%m/%Y", or a list of them in the order to try; `iso` may stand in it')
    iso = _iso_moment if timed else _iso_day
    return [
        iso if pattern in ("iso", True) else _zoned(pattern, context) if timed else _dated(pattern, context)
        for pattern in listed
    ]


def _dated(pattern: str, context: StepContext) -> Parser:
    parts = re.split(r"(%.)", pattern)
    if any(_ZONE_WORD.search(part) for part in parts if not part.startswith("%")):
        context.refuse("a date has no zone; use datetime")
    return _parser(pattern, context)


def date_(given: Any, context: StepContext) -> Step:
    """`date: ["%d %b %y", "%d/%m/%Y"]`, tried in order; `%y` is 20YY. `iso` stands for 2026-11-20, also in a list."""
    parsers = _formats(given, context, timed=False)

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
    """`datetime: {formats: ["%d %b %Y %H:%M:%S"], zone: Asia/Jakarta}`; `iso` reads RFC 3339, also in a list.

    A zone behind the value counts (WIB, WITA, WIT, UTC, GMT), and one that the format itself ends with (`Z`, `UTC`, `+07:00`).

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
    parsers = _formats(formats, context, timed=True)

    def step(value: Any, _: Row) -> Any:
        if isinstance(value, datetime):
            return _in_utc(value) if value.tzinfo else _local(value, zone)
        text = squeeze(need_text(value))
        head, _separator, tail = text.rpartition(" ")
        known = _ZONES.get(tail)
        for parse in parsers:
            parsed = parse(text)
            if parsed is not None:
                return _in_utc(parsed) if parsed.tzinfo else _local(parsed, zone)
            parsed = parse(head) if known else None
            if parsed is not None and parsed.tzinfo is None:
                return _local(parsed, ZoneInfo(str(known)))
        raise StepReject("not_a_datetime")

    return step


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise StepReject("not_a_datetime") from None


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    first = moment.replace(tzinfo=zone, fold=0)
    second = moment.replace(tzinfo=zone, fold=1)
    if first.utcoffset() != second.utcoffset():
        there_and_back = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        raise StepReject("time_ambiguous" if there_and_back == moment else "time_not_existing")
    return first.astimezone(UTC)


STEPS: Mapping[str, Builder] = {"date": date_, "datetime": datetime_}
