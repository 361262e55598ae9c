"""The last conversion of a mapped value: into the Python type that the schema's field takes, exactly or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from app.connectors.cells import LongNumber
from app.datasets.mapping.rules import StepReject
from app.schemas.base import FieldSpec
from app.schemas.numbers import NumberBeyond, bounded, whole

Fit = Callable[[Any], Any]


def fitting(spec: FieldSpec) -> Fit:
    """The conversion for a field; raises `StepReject` where the value is of another type."""
    return _FITS.get(spec.kind, _same)


def _same(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise StepReject("wrong_type")


def _integer(value: Any) -> int:
    if isinstance(value, LongNumber) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise StepReject("wrong_type")
    if isinstance(value, int):
        return value
    try:
        found = whole(value)
    except NumberBeyond:
        raise StepReject("number_out_of_range") from None
    if found is None:
        raise StepReject("not_whole")
    return found


def _decimal(value: Any) -> Decimal:
    """A binary float is taken by its shortest decimal form, which is what its source shows."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        raise StepReject("wrong_type")
    try:
        return bounded(Decimal(repr(value)) if isinstance(value, float) else Decimal(value))
    except NumberBeyond:
        finite = isinstance(value, int) or Decimal(value).is_finite()
        raise StepReject("number_out_of_range" if finite else "not_finite") from None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise StepReject("wrong_type")
    return float(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise StepReject("wrong_type")


def _date(value: Any) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise StepReject("wrong_type")
    return value


def _moment(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise StepReject("wrong_type")
    return value.astimezone(UTC)


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise StepReject("not_a_list")


def _object(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value
    raise StepReject("not_an_object")


def _geometry(value: Any) -> Any:
    """A GeoJSON object as the source gives it; its exact numbers become the doubles that coordinates are."""
    if not isinstance(value, Mapping):
        raise StepReject("not_an_object")
    return {name: _doubles(part) for name, part in value.items()}


def _doubles(value: Any) -> Any:
    if isinstance(value, list):
        return [_doubles(part) for part in value]
    return float(value) if isinstance(value, Decimal) else value


_FITS: Mapping[str, Fit] = {
    "text": _text,
    "integer": _integer,
    "decimal": _decimal,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _moment,
    "list": _list,
    "object": _object,
    "geometry": _geometry,
}
