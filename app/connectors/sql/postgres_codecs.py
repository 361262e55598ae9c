"""Values of PostgreSQL as they are: `infinity`, years before 1 and behind 9999, bytes that are no UTF-8 are told cell by cell.

asyncpg 0.32 gives 9999-12-31 for a date of `infinity`, and ends the whole read with an OverflowError at a year that no Python date holds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg

from app.connectors.cells import DATE_BEYOND, NOT_UTF8, Unreadable

_FIRST_DAY = date(2000, 1, 1).toordinal()
_MOST_DAYS = date.max.toordinal() - _FIRST_DAY
_LEAST_DAYS = date.min.toordinal() - _FIRST_DAY
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - a timestamp has no zone
_MOST_MICROS = (datetime.max - _EPOCH) // timedelta(microseconds=1)  # noqa: DTZ901 - the same
_LEAST_MICROS = (datetime.min - _EPOCH) // timedelta(microseconds=1)  # noqa: DTZ901 - the same
_ENDLESS_DAYS = frozenset({2**31 - 1, -(2**31)})
_ENDLESS_MICROS = frozenset({2**63 - 1, -(2**63)})
ENDLESS = Unreadable("date_infinite", "the date is infinity; make it NULL at the source, or state a real date there")


async def read_as_it_is(session: asyncpg.Connection) -> None:
    """Puts the codecs of `date`, `timestamp` and `timestamptz` on a new connection; of texts too where they may be no UTF-8."""
    for name, zoned in (("timestamp", False), ("timestamptz", True)):
        encode, decode = _moments(zoned=zoned)
        await _put(session, name, encode, decode)
    await _put(session, "date", lambda day: (day.toordinal() - _FIRST_DAY,), _day)
    if getattr(session.get_settings(), "server_encoding", "") == "SQL_ASCII":  # the server holds any bytes as text
        await session.execute("SET client_encoding = 'SQL_ASCII'")  # in UTF8 one wrong byte ends the whole answer
        for name in ("text", "varchar", "bpchar", "name"):
            await session.set_type_codec(name, schema="pg_catalog", format="binary", encoder=str.encode, decoder=_text)


async def _put(
    session: asyncpg.Connection, name: str, encode: Callable[[Any], Any], decode: Callable[[Any], Any]
) -> None:
    await session.set_type_codec(name, schema="pg_catalog", format="tuple", encoder=encode, decoder=decode)


def _text(stored: bytes) -> str | Unreadable:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return NOT_UTF8


def _day(parts: tuple[int]) -> date | Unreadable:
    days = parts[0]
    if _LEAST_DAYS <= days <= _MOST_DAYS:
        return date.fromordinal(days + _FIRST_DAY)
    return ENDLESS if days in _ENDLESS_DAYS else DATE_BEYOND


def _moments(*, zoned: bool) -> tuple[Callable[[datetime], tuple[int]], Callable[[tuple[int]], datetime | Unreadable]]:
    """To and from microseconds since 2000."""
    epoch = _EPOCH.replace(tzinfo=UTC) if zoned else _EPOCH

    def encode(moment: datetime) -> tuple[int]:
        return ((moment - epoch) // timedelta(microseconds=1),)

    def decode(parts: tuple[int]) -> datetime | Unreadable:
        micros = parts[0]
        if _LEAST_MICROS <= micros <= _MOST_MICROS:
            return epoch + timedelta(microseconds=micros)
        return ENDLESS if micros in _ENDLESS_MICROS else DATE_BEYOND

    return encode, decode
