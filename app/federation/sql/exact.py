"""Expressions that the engine would compute otherwise than they read, written so that nothing is cut or rounded silently.

`median` of decimals is cut to their scale by the engine (1.87 of 1.25 and 2.50); half of each of the two middle values is
exact in every type. Of whole numbers and decimals it is a decimal. `//` of anything but whole numbers is refused.
"""

from __future__ import annotations

from typing import Any, Final

from sqlglot import exp

from app.federation.sql.refusals import SqlTooComplex

MOST_NESTED: Final = 3


def write_exactly(tree: exp.Query) -> None:
    """Rewrites the tree. What is written twice may not be nested deep: its text would grow without bound."""
    _limit(tree, exp.Median, "median")
    _limit(tree, exp.IntDiv, "//")
    _write_medians(tree)
    for node in list(tree.find_all(exp.IntDiv)):
        node.replace(exp.Anonymous(this="whole_quotient", expressions=[node.left.unnest(), node.right.unnest()]))


def _limit(tree: exp.Query, kind: type[exp.Expr], name: str) -> None:
    for node in tree.find_all(kind):
        if sum(1 for _ in _above(node, kind)) >= MOST_NESTED:
            raise SqlTooComplex(f"{name} stands inside of {name} at most {MOST_NESTED} deep", limit_depth=MOST_NESTED)


def _write_medians(tree: exp.Query) -> None:
    """Replaces every `median(x)` by half of the lower and half of the upper middle value, under its FILTER and OVER."""
    for node in reversed(list(tree.find_all(exp.Median))):
        top: Any = node
        while isinstance(top.parent, exp.Filter | exp.Window) and top.arg_key == "this":
            top = top.parent
        halves = exp.Sub(this=_half(top, node, below=True), expression=_half(top, node, below=False))
        top.replace(exp.Paren(this=halves))


def _half(top: Any, node: exp.Median, *, below: bool) -> exp.Mul:
    """Half of the lower middle value or, negative, of the upper one: the lower of the negated values."""
    copy = top.copy()
    found = next(inner for inner in _down(copy) if isinstance(inner, exp.Median))
    values: Any = node.this.copy()
    if not below:
        if isinstance(values, exp.Distinct):
            values.set("expressions", [_negative(value) for value in values.expressions])
        else:
            values = _negative(values)
    middle = exp.PercentileDisc(this=values, expression=exp.Literal.number("0.5"))
    if found is copy:
        copy = middle
    else:
        found.replace(middle)
    return exp.Mul(this=copy, expression=exp.Literal.number("0.5"))


def _negative(value: exp.Expr) -> exp.Neg:
    return exp.Neg(this=exp.Paren(this=value.copy()))


def _down(node: Any) -> Any:
    while True:
        yield node
        if not isinstance(node, exp.Filter | exp.Window):
            return
        node = node.this


def _above(node: exp.Expr, kind: type[exp.Expr]) -> Any:
    current = node.parent
    while current is not None:
        if isinstance(current, kind):
            yield current
        current = current.parent
