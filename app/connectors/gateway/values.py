"""Records of a shared schema between gateways: from the JSON of an answer to values and back, filters as CQL2 in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
import pyarrow as pa

from app.connectors.contract import JSON_COLUMN
from app.filters.tree import And, Compare, DayLiteral, Filter, IsNull, Literal, Operand, Or, Property
from app.schemas.arrow import arrow_type
from app.schemas.base import FieldSpec
from app.schemas.registry import SchemaDef

OPERATORS = frozenset({"=", "<>", "<", "<=", ">", ">=", "isnull", "and", "or"})
_KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int,),
    "decimal": (int, Decimal),
    "number": (int, float, Decimal),
    "boolean": (bool,),
    "date": (date,),
    "datetime": (datetime,),
}


def column_of(spec: FieldSpec) -> pa.Field[Any]:
    """The raw column of a field: its own type; lists, objects and geometries as JSON."""
    if spec.kind in {"geometry", "object"} or spec.item is not None:
        return pa.field(spec.name, pa.string(), metadata=JSON_COLUMN)
    return pa.field(spec.name, arrow_type(spec))


def value_of(spec: FieldSpec, given: Any) -> Any:
    """A value as the schema has it. Raises `ValueError` for what no gateway writes."""
    if given is None or spec.kind not in {"decimal", "number", "date", "datetime"}:
        return given
    if spec.kind == "number" and isinstance(given, int | float | Decimal):
        return float(given)
    if not isinstance(given, str):
        raise ValueError(spec.kind)
    if spec.kind == "date":
        return date.fromisoformat(given)
    if spec.kind == "datetime":
        return datetime.fromisoformat(given).astimezone(UTC)
    try:
        return Decimal(given)
    except InvalidOperation:
        raise ValueError(spec.kind) from None


def comparable(schema: SchemaDef, node: Filter) -> bool:
    """Whether every comparison in a filter is one of a field with a value of its own kind, the field on the left."""
    match node:
        case And(parts) | Or(parts):
            return all(comparable(schema, part) for part in parts)
        case IsNull(Property(name)):
            return name in schema.fields
        case Compare(_, Property(name), Literal(value)) if name in schema.fields:
            spec = schema.fields[name]
            own = spec.item is None and isinstance(value, _KINDS.get(spec.kind, ()))
            dated = isinstance(value, date) and isinstance(value, datetime) is not (spec.kind == "datetime")
            return own and not dated and isinstance(value, bool) is (spec.kind == "boolean")
        case _:
            return False


def cql2(node: Filter) -> dict[str, Any]:
    """A filter that is `comparable`, as CQL2 in JSON."""
    match node:
        case And(parts):
            return {"op": "and", "args": [cql2(part) for part in parts]}
        case Or(parts):
            return {"op": "or", "args": [cql2(part) for part in parts]}
        case IsNull(operand):
            return {"op": "isNull", "args": [_operand(operand)]}
        case Compare(op, left, right):
            return {"op": op, "args": [_operand(left), _operand(right)]}
        case _:
            raise TypeError(type(node).__name__)


def _operand(operand: Operand) -> Any:
    match operand:
        case Property(name):
            return {"property": name}
        case DayLiteral(value) | Literal(value):
            if isinstance(value, datetime):
                return {"timestamp": value.astimezone(UTC).isoformat().replace("+00:00", "Z")}
            return {"date": value.isoformat()} if isinstance(value, date) else value
        case _:
            raise TypeError(type(operand).__name__)


def written(document: Mapping[str, Any]) -> bytes:
    """A body to be sent, decimals with all their digits."""
    return orjson.dumps(document, default=_decimal)


def _decimal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(type(value).__name__)
