"""CQL2-JSON nodes to the filter tree: exactly the operators that this gateway answers, everything else is named and refused.

Literals keep the type they were written with; `binder.py` gives them the type of the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NoReturn, cast

from app.filters.cql2.lexer import invalid, unsupported
from app.filters.cql2.regions import FUNCTIONS, RegionTest, negated, region_test
from app.filters.cql2.times import RELATIONS, Open, Span, compare
from app.filters.evaluation import fold_accents, fold_case
from app.filters.tree import (
    AccentFold,
    And,
    Arithmetic,
    ArithmeticOp,
    CaseFold,
    Compare,
    Comparison,
    DayLiteral,
    Filter,
    In,
    Intersects,
    IsNull,
    Like,
    Literal,
    Operand,
    Or,
    Property,
    conjuncts,
)

_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "div", "^"})
_FOLDS = {"casei": fold_case, "accenti": fold_accents}
MAX_IN_VALUES = 1000


def build(node: Any, pointer: str = "/filter") -> Filter:
    """The filter of one CQL2-JSON node. Raises FilterMalformed or OperatorUnsupported with the pointer of the node."""
    if isinstance(node, bool):
        return And(()) if node else Or(())
    if isinstance(node, dict) and isinstance(node.get("property"), str):
        return Compare("=", Property(node["property"]), Literal(value=True))
    if not isinstance(node, dict) or "op" not in node:
        _wrong(pointer, "a condition is expected here, such as nama = 'x'")
    op, args = node["op"], node.get("args")
    if not isinstance(op, str) or not isinstance(args, list):
        _wrong(pointer, "`op` is a text and `args` a list")
    name = op.lower()
    region = region_test(name, args, pointer)
    if region is not None:
        return region
    if name in _COMPARISONS:
        left, right = _operands(args, 2, pointer)
        return compare(cast("Comparison", name), left, right)
    if name in RELATIONS:
        if len(args) != 2:
            _wrong(f"{pointer}/args", f"{op} takes two times or intervals")
        return RELATIONS[name](*_span(args[0], f"{pointer}/args/0"), *_span(args[1], f"{pointer}/args/1"))
    if name in _ARITHMETIC or name in _FOLDS:
        _wrong(pointer, f"a condition is expected here, not a value ({op})")
    if name not in _BUILDERS:
        raise unsupported(op)
    return _BUILDERS[name](args, f"{pointer}/args")


def _wrong(pointer: str, detail: str) -> NoReturn:
    raise invalid(pointer, detail)


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
        if len(node) != 1:
            _wrong(pointer, "`property` stands alone")
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
    op, args = node.get("op", node.get("function")), node.get("args")
    name = op.lower() if isinstance(op, str) else ""
    if name in _FOLDS:
        if not isinstance(args, list) or len(args) != 1:
            _wrong(pointer, f"{name} takes one value")
        inner = _operand(args[0], f"{pointer}/args/0")
        if isinstance(inner, Literal):
            if not isinstance(inner.value, str):
                _wrong(pointer, f"{name} takes a text")
            return Literal(_FOLDS[name](inner.value))
        if isinstance(inner, Arithmetic):
            _wrong(pointer, f"{name} takes a text")
        if name == "casei":
            return inner if isinstance(inner, CaseFold) else CaseFold(inner)
        return inner if isinstance(inner, AccentFold) else AccentFold(inner)
    if name in _ARITHMETIC:
        if not isinstance(args, list):
            _wrong(pointer, "`args` is a list")
        left, right = _operands(args, 2, pointer)
        return Arithmetic(cast("ArithmeticOp", name), left, right)
    if name in FUNCTIONS:
        _wrong(pointer, f"{name} is compared with texts by =, <> or IN")
    if name in _COMPARISONS or name in _BUILDERS or name in RELATIONS:
        _wrong(pointer, f"a value is expected here, not a condition ({op}); put conditions together by AND or OR")
    if "interval" in node or "type" in node or "bbox" in node:
        _wrong(pointer, "intervals stand in relations of time (T_DURING), geometries in S_INTERSECTS")
    raise unsupported(str(op or "unknown"))


def _span(node: Any, pointer: str) -> Span:
    """The start and end of an instant or an interval."""
    if not isinstance(node, dict) or "interval" not in node:
        found = _operand(node, pointer)
        if isinstance(found, Literal) and not isinstance(found.value, date):
            _wrong(pointer, "a time is expected: a field, DATE('2024-05-01'), TIMESTAMP('…') or INTERVAL('…', '…')")
        return _day(found, last=False), _day(found, last=True)
    ends = node["interval"]
    if not isinstance(ends, list) or len(ends) != 2:
        _wrong(f"{pointer}/interval", "an interval has a start and an end, either may be '..'")
    start, end = (_end(part, f"{pointer}/interval/{index}", index == 1) for index, part in enumerate(ends))
    if isinstance(start, Literal) and isinstance(end, Literal) and not _ascending(start.value, end.value):
        _wrong(f"{pointer}/interval", "the interval ends before it starts, or mixes a date with a timestamp")
    return start, end


def _end(node: Any, pointer: str, last: bool) -> Operand | Open:
    if node == ".." or node is None:
        return Open(1 if last else -1)
    if isinstance(node, str):
        plain = len(node) == len("2024-05-01")
        node = {"date": node} if plain else {"timestamp": node}
    found = _operand(node, pointer)
    if isinstance(found, Property) or (isinstance(found, Literal) and isinstance(found.value, date)):
        return _day(found, last=last)
    _wrong(pointer, "an end of an interval is a field, a date, a timestamp or '..'")


def _day(operand: Operand, *, last: bool) -> Operand:
    if isinstance(operand, Literal) and isinstance(operand.value, date) and not isinstance(operand.value, datetime):
        return DayLiteral(operand.value, last)
    return operand


def _ascending(start: Any, end: Any) -> bool:
    return isinstance(start, datetime) == isinstance(end, datetime) and start <= end


def _intersects(args: list[Any], pointer: str) -> Filter:
    if len(args) != 2:
        _wrong(pointer, "S_INTERSECTS takes a place and a geometry")
    first, second = args
    if not (isinstance(first, dict) and isinstance(first.get("property"), str)):
        first, second = second, first
    if not (isinstance(first, dict) and isinstance(first.get("property"), str)):
        _wrong(pointer, "one side of S_INTERSECTS is a field")
    return Intersects((Property(first["property"]),), _geometry(second, f"{pointer}/1"))


def _geometry(node: Any, pointer: str) -> str:
    from app.filters import geometry as geometries  # noqa: PLC0415 - GEOS and numpy are loaded by the first question about coordinates

    try:
        if isinstance(node, dict) and isinstance(node.get("bbox"), list):
            numbers = [_plain_number(part) for part in node["bbox"]]
            if len(numbers) == 6:
                numbers = [numbers[0], numbers[1], numbers[3], numbers[4]]
            if len(numbers) != 4:
                _wrong(pointer, "a BBOX is west, south, east, north")
            return geometries.box_text(*numbers)
        if isinstance(node, dict) and node.get("type") in geometries.KINDS:
            return geometries.geometry_text(_plain(node))
    except ValueError as error:
        _wrong(pointer, str(error))
    _wrong(
        pointer, "a geometry is expected here: BBOX(west, south, east, north), POINT(lng lat), POLYGON((…)) or GeoJSON"
    )


def _plain(node: Any) -> Any:
    """GeoJSON with plain floats; the members of a collection written in text are nodes already."""
    if isinstance(node, dict):
        return {name: _plain(part) for name, part in node.items()}
    if isinstance(node, list):
        return [_plain(part) for part in node]
    return node if isinstance(node, str) else _plain_number(node)


def _plain_number(number: Any) -> float:
    if isinstance(number, bool) or not isinstance(number, int | Decimal | float):
        raise ValueError("a coordinate is a number")
    try:
        return float(number)
    except OverflowError:
        raise ValueError("a coordinate is a number within the range of the earth") from None


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
        flat.extend(part.parts if isinstance(part, Or) and not isinstance(part, RegionTest) else (part,))
    return Or(tuple(flat))


def _several(args: list[Any], pointer: str) -> list[Any]:
    if len(args) < 2:
        _wrong(pointer, "AND and OR put two or more conditions together")
    return args


def _not(args: list[Any], pointer: str) -> Filter:
    if len(args) != 1:
        _wrong(pointer, "NOT takes one condition")
    return negated(build(args[0], f"{pointer}/0"))


def _between(args: list[Any], pointer: str) -> Filter:
    operand, low, high = _operands(args, 3, pointer.removesuffix("/args"))
    return And((compare(">=", operand, low), compare("<=", operand, high)))


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
    "isnull": _is_null,
    "s_intersects": _intersects,
}
