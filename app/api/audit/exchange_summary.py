"""`/v1/exchanges/summary`: the exchange log counted, by time and by the values of one dimension."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.api.audit.exchange_filters import (
    FILTER_NAMES,
    exchange_filter,
    filter_parameters,
    moment,
    parameter,
    scope_of,
    whole,
    wrong,
)
from app.api.audit.log_wire import LOG_META, LogMeta
from app.api.layer.answers import Answer, Moment, Whole
from app.api.layer.bodies import answer
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.resource import AUDITORS, Resource, Rule
from app.audit.read.search import ExchangeSearch
from app.audit.read.summary import DIMENSIONS, Count, Dimension, Summary, summarise
from app.errors import LimitOutOfRange

routes = Resource("/v1/exchanges", "audit")

_WIDTHS = {"hour": 3_600, "day": 86_400, "week": 604_800}
_WEEK_BEGINS_US = 3 * 86_400 * 1_000_000
"""1970 began on a Thursday: three days make a week begin on Monday."""
_MOST_BUCKETS = 2000
_MOST_VALUES = 1000
_NAMES = {"consumer": "agency", "outcome": "effect"}


class LogCount(Answer):
    """Entries of the log, exchanges that they close, records that they name."""

    entries: Whole
    exchanges: Whole
    rows: Whole


class TimeCount(LogCount):
    """Counts of one stretch of time."""

    from_: Moment = Field(alias="from")
    to: Moment = Field(description="Not included")


class ValueCount(LogCount):
    """Counts of one value of the dimension."""

    value: Annotated[str, Field(max_length=500)]


class OtherCount(LogCount):
    """Counts of the values that are not named."""

    values: Whole


class SummaryAnswer(Answer):
    """The log counted: in all, by time where `bucket` asks for it, by value where `by` does."""

    total: LogCount
    meta: LogMeta
    buckets: Annotated[list[TimeCount], Field(max_length=_MOST_BUCKETS)] | SkipJsonSchema[None] = None
    values: Annotated[list[ValueCount], Field(max_length=_MOST_VALUES)] | SkipJsonSchema[None] = None
    others: OtherCount | SkipJsonSchema[None] = None


_COUNTED = {"entries": 84, "exchanges": 42, "rows": 42}
_SUMMARY = {
    "total": _COUNTED,
    "meta": LOG_META,
    "buckets": [{"from": "2026-11-19T17:00:00Z", "to": "2026-11-20T17:00:00Z", **_COUNTED}],
    "values": [{"value": "ID-JEPARA/GOV/disdukcapil", **_COUNTED}],
    "others": {"values": 0, "entries": 0, "exchanges": 0, "rows": 0},
}


def _parameters() -> dict[str, Any]:
    dimensions = sorted({*DIMENSIONS, *_NAMES} - set(_NAMES.values()))
    top = {"type": "integer", "format": "int32", "minimum": 1, "maximum": _MOST_VALUES, "default": 10}
    own = [
        parameter("bucket", "Width of the time buckets", {"type": "string", "enum": list(_WIDTHS)}, "day"),
        parameter("by", "Dimension whose values are counted", {"type": "string", "enum": dimensions}, "provider"),
        parameter("top", "How many values; `others` counts the rest", top, 10),
    ]
    return {"parameters": filter_parameters() + own}


@routes.get(
    "/summary",
    Rule("exchange.summary", AUDITORS, "audit_read"),
    summary="Count the exchange log",
    openapi_extra=_parameters(),
    answer=SummaryAnswer,
    example=_SUMMARY,
)
async def summarise_exchanges(request: Request) -> Response:
    """Entries, exchanges and records of a filter: in all, by time bucket, and by the most frequent values of a dimension.

    Buckets follow the zone of the instance, empty ones are named too; without `from` they begin with the first entry.
    An entry with several providers, schemas, fields or datasets counts under each of them.
    """
    given = only_parameters(request, *FILTER_NAMES, "bucket", "by", "top")
    state, under_way = services(request), exchange(request)
    width, dimension = _width(given.pop("bucket", None)), _dimension(given.pop("by", None))
    top = whole(given.pop("top", "10"), "top")
    if not 1 <= top <= _MOST_VALUES:
        raise LimitOutOfRange(f"top is between 1 and {_MOST_VALUES}", limit_rows=_MOST_VALUES)
    wanted, scope, zone = exchange_filter(state, given), scope_of(request, state), state.settings.zone
    under_way.decide(allow=True, rule="auditor_scope" if scope.agency else "supervisor")
    under_way.asks(structure="&".join(f"{name}=?" for name in sorted(given)) or None)
    under_way.tells(filter=given)
    offset = _offset_us(given, zone) + (_WEEK_BEGINS_US if width == _WIDTHS["week"] else 0)
    found = await summarise(
        ExchangeSearch(state.log, state.log.reader),
        state.log.reader,
        state.log.subject_keys,
        wanted,
        scope,
        width_us=(width or _WIDTHS["week"]) * 1_000_000,
        offset_us=offset,
        dimension=dimension,
    )
    document: dict[str, Any] = {
        "total": _count(found.total),
        "meta": {"tree_size": found.tree_size, "scope": scope.agency or "all", "zone": zone},
    }
    if width is not None:
        document["buckets"] = _buckets(found, width * 1_000_000, offset)
    if dimension is not None:
        document["values"] = [{"value": value, **_count(count)} for value, count in found.values[:top]]
        document["others"] = {"values": max(0, len(found.values) - top), **_rest(found, top)}
    return answer(document)


def _width(name: str | None) -> int | None:
    if name is not None and name not in _WIDTHS:
        raise wrong("bucket", f"one of {', '.join(_WIDTHS)}")
    return None if name is None else _WIDTHS[name]


def _dimension(name: str | None) -> Dimension | None:
    found = None if name is None else _NAMES.get(name, name)
    if found is not None and found not in DIMENSIONS:
        raise wrong("by", f"one of {', '.join(sorted({*DIMENSIONS, *_NAMES} - set(_NAMES.values())))}")
    return found


def _offset_us(given: dict[str, str], zone: str) -> int:
    """The zone's distance from UTC where the wanted time begins, else now."""
    start = datetime.now(UTC)
    if "from" in given:
        start = datetime.fromtimestamp(moment(given["from"], "from", zone) / 1_000_000, UTC)
    return int((start.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()).total_seconds()) * 1_000_000


def _buckets(found: Summary, width: int, offset: int) -> list[dict[str, Any]]:
    if not found.buckets:
        return []
    first, last = min(found.buckets), max(found.buckets)
    if last - first >= _MOST_BUCKETS:
        raise LimitOutOfRange(
            f"these are {last - first + 1} buckets, at most {_MOST_BUCKETS} are answered:"
            " narrow `from` and `to`, or take a wider bucket",
            limit_rows=_MOST_BUCKETS,
        )
    return [
        {
            "from": _utc(number * width - offset),
            "to": _utc((number + 1) * width - offset),
            **_count(found.buckets.get(number, Count())),
        }
        for number in range(first, last + 1)
    ]


def _utc(moment_us: int) -> datetime:
    return datetime.fromtimestamp(moment_us / 1_000_000, UTC)


def _count(count: Count) -> dict[str, int]:
    return {"entries": count.entries, "exchanges": count.exchanges, "rows": count.rows}


def _rest(found: Summary, top: int) -> dict[str, int]:
    rest = found.values[top:]
    return {
        "entries": sum(count.entries for _, count in rest),
        "exchanges": sum(count.exchanges for _, count in rest),
        "rows": sum(count.rows for _, count in rest),
    }
