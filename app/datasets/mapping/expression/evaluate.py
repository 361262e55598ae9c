"""Parses an expression with sqlglot, refuses every node that is not listed, and compiles the rest to Python closures.

Three-valued logic as SQL has it. Does not live here: the functions (`functions.py`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any, NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from app.connectors.cells import ErrorCell
from app.datasets.mapping.expression.functions import (
    FUNCTIONS,
    Unfit,
    as_decimal,
    as_number,
    as_text,
    compared,
    convert,
    joined,
)
from app.datasets.mapping.expression.refusals import NotOffered
from app.errors import ExpressionForbidden, FieldError
from app.filters.calls import without_classes
from app.filters.like import compile_like
from app.schemas.numbers import NumberBeyond, bounded, exact_number

MOST_CHARACTERS = 2048
MOST_NODES = 200
MOST_DEPTH = 24

Row = Mapping[str, Any]
Value = Callable[[Row], Any]

_COMPARE: dict[type[exp.Expression], Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
_ARITHMETIC: dict[type[exp.Expression], Callable[[Any, Any], Any]] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.Div: operator.truediv,
}
_SIZED_TYPE = re.compile(r"\b(DECIMAL|TEXT|VARCHAR|INT|BIGINT) L_PAREN\b")
_COMPUTED: Mapping[type[exp.Expression], frozenset[str]] = {
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Boolean: frozenset({"this"}),
    exp.Anonymous: frozenset({"this"}),
    exp.Like: frozenset({"negate"}),
    exp.Pad: frozenset({"is_left"}),
    exp.Concat: frozenset({"safe", "coalesce"}),
    exp.DPipe: frozenset({"safe"}),
    exp.Div: frozenset({"typed", "safe"}),
}
"""Marks of a node beside its parts that say what is computed anyhow."""
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
"""A text or a quoted name: what stands in it is no comment."""
_CASTS = {"TEXT": "text", "VARCHAR": "text", "INT": "integer", "BIGINT": "integer", "DECIMAL": "decimal"}


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression: its text, the raw columns it reads, and its value for a row (`Unfit` when it has none)."""

    text: str
    columns: frozenset[str]
    value: Value


def compile_expression(text: Any, pointer: str) -> Expression:
    """The compiled expression; raises `ExpressionForbidden` that names the node and the pointer in the manifest."""
    if not isinstance(text, str) or not text.strip():
        _refuse("an expression is a text", pointer)
    if len(text) > MOST_CHARACTERS:
        _refuse(f"an expression has at most {MOST_CHARACTERS} characters", pointer)
    bare = _QUOTED.sub("''", text)
    if "\x00" in text or any(mark in bare for mark in (";", "--", "/*", "$$")):
        _refuse("an expression holds no `;`, comments or `$$`", pointer)
    if _nesting(text) > MOST_DEPTH:
        _refuse(f"an expression is nested at most {MOST_DEPTH} deep", pointer)
    try:
        tree = sqlglot.parse_one(f"SELECT {text}", dialect="duckdb")
    except (SqlglotError, RecursionError) as error:
        _refuse(f"it cannot be read as SQL: {without_classes(str(error).splitlines()[0])[:200]}", pointer)
    if _SIZED_TYPE.search(_kinds(text)):
        _refuse("a CAST takes its type without a size: the value stays exact; use round or left for less", pointer)
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or set(_given(tree)) != {"expressions"}:
        _refuse("write one scalar expression, without FROM, WHERE or a list", pointer)
    node = tree.expressions[0]
    if sum(1 for _ in node.walk()) > MOST_NODES:
        _refuse(f"an expression has at most {MOST_NODES} parts", pointer)
    columns: set[str] = set()
    try:
        value = _compile(node, columns, pointer)
    except NotOffered as refused:
        _refuse(refused.detail(f"SELECT {text}"), pointer)
    return Expression(text, frozenset(columns), value)


def _kinds(text: str) -> str:
    """The kinds of its tokens, as words: what stands in quotes is one of them."""
    return " ".join(token.token_type.name for token in sqlglot.tokenize(text, dialect="duckdb"))


def _given(tree: exp.Expression) -> list[str]:
    return [name for name, part in tree.args.items() if part]


def _nesting(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


def _refuse(detail: str, pointer: str) -> NoReturn:
    raise ExpressionForbidden(f"{pointer}: {detail}", errors=[FieldError(pointer, "expression_forbidden", detail)])


def _compile(node: exp.Expression, columns: set[str], pointer: str) -> Value:
    """One node; anything not listed here is refused."""

    def sub(part: exp.Expression) -> Value:
        return _compile(part, columns, pointer)

    _refuse_variants(node)
    kind = type(node)
    if kind is exp.Paren:
        return sub(node.this)
    if kind is exp.Column:
        if node.args.get("table"):
            _refuse(f"a column stands alone, not as {node.sql()}", pointer)
        name = node.name
        columns.add(name)
        return _column(name)
    if kind is exp.Literal:
        constant = node.this if node.is_string else _number(node.this, pointer)
        return lambda _: constant
    if kind is exp.Null:
        return lambda _: None
    if kind is exp.Boolean:
        truth = bool(node.this)
        return lambda _: truth
    if kind in _COMPARE:
        return _comparison(_COMPARE[kind], sub(node.this), sub(node.expression))
    if kind in _ARITHMETIC:
        return _arithmetic(_ARITHMETIC[kind], sub(node.this), sub(node.expression))
    if kind is exp.Neg:
        inner = sub(node.this)
        return lambda row: None if (found := inner(row)) is None else -as_number(found)
    if kind in (exp.And, exp.Or, exp.Not):
        return _logic(node, sub)
    return _special(node, sub, columns, pointer)


def _refuse_variants(node: exp.Expression) -> None:
    """The parser marks `rpad`, `ltrim`, `BETWEEN SYMMETRIC` or `TRY_CAST` on the node of the function that is offered: what is marked
    and not computed here is refused, never computed as if it were not there.
    """
    kind = type(node)
    marked = {name for name, part in node.args.items() if part and not isinstance(part, exp.Expression | list)}
    strange = marked - _COMPUTED.get(kind, frozenset())
    if strange or kind is exp.TryCast or (kind is exp.Pad and not node.args["is_left"]):
        raise NotOffered(node, variant=True)


def _column(name: str) -> Value:
    def value(row: Row) -> Any:
        found = row.get(name)
        if isinstance(found, ErrorCell):
            raise Unfit("cell_error")
        return found

    return value


def _special(node: exp.Expression, sub: Callable[[Any], Value], columns: set[str], pointer: str) -> Value:
    del columns
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        inner = sub(node.this)
        return lambda row: inner(row) is None
    if isinstance(node, exp.In) and node.expressions and not node.args.get("query"):
        return _membership(sub(node.this), [sub(part) for part in node.expressions])
    if isinstance(node, exp.Between):
        value, low, high = sub(node.this), sub(node.args["low"]), sub(node.args["high"])
        return _and(_comparison(operator.ge, value, low), _comparison(operator.le, value, high))
    if isinstance(node, exp.Like) and isinstance(node.expression, exp.Literal) and node.expression.is_string:
        inner, matcher, liked = sub(node.this), compile_like(node.expression.this), not node.args.get("negate")
        return lambda row: None if (found := inner(row)) is None else matcher(as_text(found)) is liked
    if isinstance(node, exp.DPipe):
        left, right = sub(node.this), sub(node.expression)
        return lambda row: _joined(left(row), right(row))
    if isinstance(node, exp.Case):
        return _case(node, sub)
    if isinstance(node, exp.Cast):
        target = _CASTS.get(node.to.this.value)
        if target is not None:
            inner, wanted = sub(node.this), target
            return lambda row: convert(inner(row), wanted)
    if isinstance(node, exp.Pad):
        return _call("lpad", node, sub, pointer)
    called = not isinstance(node, exp.Anonymous) and isinstance(node, exp.Func)
    name = (node.sql_name() if called else str(node.name)).lower()  # type: ignore[attr-defined]
    if isinstance(node, exp.Func) and name in FUNCTIONS:
        return _call(name, node, sub, pointer)
    raise NotOffered(node)


def _call(name: str, node: exp.Expression, sub: Callable[[Any], Value], pointer: str) -> Value:
    arguments = [sub(part) for part in _arguments(node)]
    function, counts = FUNCTIONS[name]
    if len(arguments) not in counts:
        _refuse(f"{name} takes {' or '.join(map(str, counts))} arguments", pointer)
    return lambda row: function(*[argument(row) for argument in arguments])


def _arguments(node: exp.Expression) -> list[exp.Expression]:
    if isinstance(node, exp.Anonymous):
        return list(node.expressions)
    found: list[exp.Expression] = []
    for name in node.arg_types:
        part = node.args.get(name)
        if isinstance(part, exp.Expression):
            found.append(part)
        elif isinstance(part, list):
            found += [item for item in part if isinstance(item, exp.Expression)]
    return found


def _number(text: str, pointer: str) -> int | Decimal:
    try:
        return exact_number(text)
    except NumberBeyond as beyond:
        _refuse(f"a number is not read: {beyond}", pointer)


def _comparison(compare: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    def value(row: Row) -> Any:
        first, second = left(row), right(row)
        if first is None or second is None:
            return None
        try:
            return compare(*compared(first, second))
        except TypeError:
            raise Unfit("wrong_type") from None
        except InvalidOperation:  # a decimal that is no number
            raise Unfit("not_finite") from None

    return value


def _arithmetic(apply: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    def value(row: Row) -> Any:
        first, second = left(row), right(row)
        if first is None or second is None:
            return None
        try:
            return bounded(apply(as_decimal(first), as_decimal(second)))
        except (DivisionByZero, InvalidOperation, ZeroDivisionError):
            raise Unfit("not_a_number") from None
        except (NumberBeyond, Overflow):
            raise Unfit("number_out_of_range") from None

    return value


def _logic(node: exp.Expression, sub: Callable[[Any], Value]) -> Value:
    if isinstance(node, exp.Not):
        inner = sub(node.this)
        return lambda row: None if (found := inner(row)) is None else not found
    left, right = sub(node.this), sub(node.expression)
    return _and(left, right) if isinstance(node, exp.And) else _or(left, right)


def _and(left: Value, right: Value) -> Value:
    def value(row: Row) -> Any:
        first = left(row)
        if first is not None and not first:
            return False
        second = right(row)
        if second is not None and not second:
            return False
        return None if first is None or second is None else True

    return value


def _or(left: Value, right: Value) -> Value:
    def value(row: Row) -> Any:
        first = left(row)
        if first:
            return True
        second = right(row)
        if second:
            return True
        return None if first is None or second is None else False

    return value


def _membership(inner: Value, members: list[Value]) -> Value:
    tests = [_comparison(operator.eq, inner, member) for member in members]

    def value(row: Row) -> Any:
        answers = [test(row) for test in tests]
        if any(answers):
            return True
        return None if any(answer is None for answer in answers) else False

    return value


def _case(node: exp.Case, sub: Callable[[Any], Value]) -> Value:
    subject = sub(node.this) if node.this is not None else None
    branches = []
    for branch in node.args["ifs"]:
        condition = sub(branch.this)
        if subject is not None:
            condition = _comparison(operator.eq, subject, condition)
        branches.append((condition, sub(branch.args["true"])))
    otherwise = sub(node.args["default"]) if node.args.get("default") is not None else (lambda _: None)

    def value(row: Row) -> Any:
        for condition, result in branches:
            if condition(row):
                return result(row)
        return otherwise(row)

    return value


def _joined(left: Any, right: Any) -> Any:
    return None if left is None or right is None else joined(as_text(left), as_text(right))
