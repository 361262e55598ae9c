"""Questions in bodies, read through their models. A fault that a parameter can have too has the same code and text in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, get_args

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.api.layer.bodies import field_errors
from app.api.layer.dependencies import services
from app.api.records.wire import Measure
from app.errors import CursorInvalid, FieldError, FilterMalformed, RequestError, ValidationFailed
from app.federation.question.aggregate_binder import MEASURES_RULE, MOST_GROUP_FIELDS, RawMeasure
from app.federation.question.aggregation import Function
from app.federation.question.binder import limit_refused
from app.federation.question.query import CountMode

Model = TypeVar("Model", bound=BaseModel)


class _Rule(NamedTuple):
    """What a member is, and the error of a question in which nothing else is wrong."""

    code: str
    text: str
    leaf: type[RequestError] = ValidationFailed


_NAMES = _Rule("type", "a list of texts")
_RULES = {
    "filter": _Rule("filter_malformed", "CQL2 as text or as a JSON object", FilterMalformed),
    "having": _Rule("type", "CQL2 as text or as a JSON object"),
    "fields": _NAMES,
    "sort": _NAMES,
    "agencies": _NAMES,
    "cursor": _Rule("cursor_invalid", "the text of `next_cursor`", CursorInvalid),
    "view": _Rule("choice", "records (both sides of a disagreement) or merged"),
    "count": _Rule("choice", "none, estimated or exact"),
    "overlap": _Rule("choice", "refuse or accept"),
    "group_by": _Rule("type", f"a list of at most {MOST_GROUP_FIELDS} fields"),
    "aggregates": _Rule("count", MEASURES_RULE),
    "purpose": _Rule("type", "a text of at most 64 characters"),
}
_IN_A_MEASURE = {
    "function": _Rule("choice", f"one of {', '.join(get_args(Function))}"),
    "field": _Rule("type", "the name of a field"),
    "as": _Rule("pattern", "a lower-case letter, then at most 62 of a-z, 0-9 and _"),
}
_MEASURE = _Rule("type", "an object of function, field and as")
VIEWS = ("records", "merged")
COUNTS: tuple[CountMode, ...] = get_args(CountMode)


def question(request: Request, model: type[Model], document: Any) -> Model:
    """The document as this question; raises the error of the member that is wrong, `ValidationFailed` where several are."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _refusal(error, model, document, services(request).settings.page_rows) from None


def wrong(member: str) -> RequestError:
    """The error of a question in which this member is wrong."""
    rule = _RULES[member]
    return rule.leaf(f"{member}: {rule.text}", errors=[FieldError(f"/{member}", rule.code, rule.text)])


def names(given: list[str] | None) -> tuple[str, ...] | None:
    """An empty list says what an absent one says: some generated clients always send it."""
    return tuple(given) if given else None


def filter_language(given: str | dict[str, Any] | None) -> str:
    """How a filter of a body is written."""
    return "cql2-json" if isinstance(given, dict) else "cql2-text"


def raw_measures(given: Sequence[Measure]) -> list[RawMeasure]:
    """Measures as the binder takes them."""
    return [RawMeasure(found.function, found.field, found.as_) for found in given]


def _refusal(error: ValidationError, model: type[BaseModel], document: Any, most_rows: int) -> RequestError:
    refusals = [_refused(fault, most_rows) for fault in field_errors(error, model, document)]
    found = list(dict.fromkeys(fault for one in refusals for fault in one.errors))
    if len(found) == 1:
        return refusals[0]
    return ValidationFailed("the question does not fit", errors=found)


def _refused(fault: FieldError, most_rows: int) -> RequestError:
    """The error of one finding of Pydantic. Of a list the whole is named, of a measure the member."""
    member, *inner = fault.pointer.split("/")[1:] or [""]
    if member == "limit":
        return limit_refused(most_rows)
    if fault.pointer == "":
        return _failed("", _Rule("type", "object"))
    if fault.code == "unknown" and not inner:
        return _failed(fault.pointer, _Rule(fault.code, fault.detail))
    if member == "aggregates" and inner:
        part = inner[1] if len(inner) > 1 else ""
        rule = _IN_A_MEASURE.get(part, _MEASURE)
        return _failed(f"/aggregates/{inner[0]}" + (f"/{part}" if part in _IN_A_MEASURE else ""), rule)
    if member in _RULES:
        return wrong(member)
    return _failed(fault.pointer, _Rule(fault.code, fault.detail))


def _failed(pointer: str, rule: _Rule) -> ValidationFailed:
    return ValidationFailed("the question does not fit", errors=[FieldError(pointer, rule.code, rule.text)])
