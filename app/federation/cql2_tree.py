"""CQL2-JSON nodes to the filter tree: exactly the operators that this gateway answers, everything else is named and refused.

Literals keep the type they were written with; `binder.py` gives them the type of the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NoReturn, cast

from app.connectors.filters import (
    And,
    CaseFold,
    Compare,
    Comparison,
    Filter,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
    Property,
    conjuncts,
)
from app.errors import FieldError, FilterMalformed
from app.federation.cql2_lexer import unsupported

_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
MAX_IN_VALUES = 1000


def build(node: Any, pointer: str = "/filter") -> Filter:
    """The filter of one CQL2-JSON node. Raises FilterMalformed or OperatorUnsupported with the pointer of the node."""
    if isinstance(node, bool):
        return And(()) if node else Or(())
    if not isinstance(node, dict) or "op" not in node:
        _wrong(pointer, "a condition is expected here, such as nama = 'x'; write a boolean field as field = TRUE")
    op, args = node["op"], node.get("args")
    if not isinstance(op, str) or not isinstance(args, list):
        _wrong(pointer, "`op` is a text and `args` a list")
    name = op.lower() if op.lower() in {"and", "or", "not", "in", "between", "like", "isnull"} else op
    if name in _COMPARISONS:
        left, right = _operands(args, 2, pointer)
        return Compare(cast("Comparison", name), left, right)
    if name not in _BUILDERS:
        raise unsupported(op)
    return _BUILDERS[name](args, f"{pointer}/args")


def _wrong(pointer: str, detail: str) -> NoReturn:
    text = f"the filter is not valid at {pointer}: {detail}"
    raise FilterMalformed(text, errors=[FieldError(pointer, "filter_malformed", detail)])


def _operands(args: Sequence[Any], count: int, pointer: str) -> list[Operand]:
    if len(args) != count:
        _wrong(f"{pointer}/args", f"{count} values are expected, {len(args)} are given")
    return [_operand(arg, f"{pointer}/args/{index}") for index, arg in enumerate(args)]


def _operand(node: Any, pointer: str) -> Operand:
    if isinstance(node, str):
        return Literal(_text(node, pointer))
    if isinstance(node, int | Decimal | bool):
        return Literal(node)
    if node is None:
        _wrong(pointer, "null is no value to compare with; use IS NULL")
    if isinstance(node, list):
        raise unsupported("[ ] (arrays)")
    if not isinstance(node, dict):
        _wrong(pointer, "a field, text, number, boolean, date or timestamp is expected")
    if "property" in node:
        if not isinstance(node["property"], str):
            _wrong(f"{pointer}/property", "the name of a field is a text")
        return Property(node["property"])
    if "date" in node:
        return Literal(parse_date(node["date"], f"{pointer}/date"))
    if "timestamp" in node:
        return Literal(parse_timestamp(node["timestamp"], f"{pointer}/timestamp"))
    return _function(node, pointer)


def _text(text: str, pointer: str) -> str:
    """The text, when every source can be asked for it: valid Unicode without NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        _wrong(pointer, "the text holds half a surrogate pair")
    if "\0" in text:
        _wrong(pointer, "the text holds the character NUL")
    return text


def _function(node: dict[str, Any], pointer: str) -> Operand:
    op = node.get("op", node.get("function"))
    if op in {"casei", "CASEI"}:
        args = node.get("args")
        if not isinstance(args, list) or len(args) != 1:
            _wrong(pointer, "casei takes one value")
        inner = _operand(args[0], f"{pointer}/args/0")
        if isinstance(inner, Literal):
            if not isinstance(inner.value, str):
                _wrong(pointer, "casei takes a text")
            return Literal(inner.value.casefold())
        return inner if isinstance(inner, CaseFold) else CaseFold(inner)
    if op in _COMPARISONS or op in _BUILDERS:
        _wrong(pointer, f"a value is expected here, not a condition ({op}); put conditions together by AND or OR")
    raise unsupported(str(op or next((key for key in ("interval", "type", "bbox") if key in node), "unknown")))


def parse_date(text: Any, pointer: str) -> date:
    """An RFC 3339 full-date."""
    try:
        if isinstance(text, str) and len(text) == len("2024-05-01"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    _wrong(pointer, "a date is written DATE('2024-05-01')")


def parse_timestamp(text: Any, pointer: str) -> datetime:
    """An RFC 3339 date-time with its zone, in UTC."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) and len(text) > len("2024-05-01") else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    _wrong(pointer, "a timestamp is written TIMESTAMP('2024-05-01T07:30:00Z'), with its zone")


def _and(args: list[Any], pointer: str) -> Filter:
    parts = [build(arg, f"{pointer}/{index}") for index, arg in enumerate(_several(args, pointer))]
    return And(tuple(inner for part in parts for inner in conjuncts(part)))


def _or(args: list[Any], pointer: str) -> Filter:
    parts = [build(arg, f"{pointer}/{index}") for index, arg in enumerate(_several(args, pointer))]
    flat: list[Filter] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Or) else (part,))
    return Or(tuple(flat))


def _several(args: list[Any], pointer: str) -> list[Any]:
    if len(args) < 2:
        _wrong(pointer, "AND and OR put two or more conditions together")
    return args


def _not(args: list[Any], pointer: str) -> Filter:
    if len(args) != 1:
        _wrong(pointer, "NOT takes one condition")
    return Not(build(args[0], f"{pointer}/0"))


def _between(args: list[Any], pointer: str) -> Filter:
    operand, low, high = _operands(args, 3, pointer.removesuffix("/args"))
    return And((Compare(">=", operand, low), Compare("<=", operand, high)))


def _in(args: list[Any], pointer: str) -> Filter:
    if len(args) != 2 or not isinstance(args[1], list) or not args[1]:
        _wrong(pointer, "IN takes a field and a list with at least one value")
    if len(args[1]) > MAX_IN_VALUES:
        _wrong(f"{pointer}/1", f"a list holds at most {MAX_IN_VALUES} values")
    operand = _field_operand(args[0], f"{pointer}/0")
    values = [_operand(value, f"{pointer}/1/{index}") for index, value in enumerate(args[1])]
    if not all(isinstance(value, Literal) for value in values):
        _wrong(f"{pointer}/1", "the list holds values only, no fields")
    return In(operand, tuple(value for value in values if isinstance(value, Literal)))


def _field_operand(node: Any, pointer: str) -> Operand:
    operand = _operand(node, pointer)
    if isinstance(operand, Literal):
        _wrong(pointer, "a field is expected here, not a value")
    return operand


def _like(args: list[Any], pointer: str) -> Filter:
    _operands(args, 2, pointer.removesuffix("/args"))
    operand, pattern = _field_operand(args[0], f"{pointer}/0"), _operand(args[1], f"{pointer}/1")
    if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
        _wrong(f"{pointer}/1", "a LIKE pattern is a text such as '%Jepara%'")
    return Like(operand, pattern.value)


def _is_null(args: list[Any], pointer: str) -> Filter:
    operand = _operand(args[0], f"{pointer}/0") if len(args) == 1 else None
    if not isinstance(operand, Property):
        _wrong(pointer, "IS NULL takes one field")
    return IsNull(operand)


_BUILDERS = {
    "and": _and,
    "or": _or,
    "not": _not,
    "between": _between,
    "in": _in,
    "like": _like,
    "isNull": _is_null,
    "isnull": _is_null,
}
