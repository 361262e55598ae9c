"""The filter tree over Arrow tables, by pyarrow's own kernels: the bulk twin of `residual.py`, equal by a property test.

No SQL text is made here; every literal is bound as a typed scalar. What a kernel cannot do exactly is done row by row.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.connectors.filters import (
    And,
    CaseFold,
    Compare,
    Filter,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
    Property,
    properties,
)
from app.connectors.like import compile_like
from app.connectors.residual import compile_predicate, fold_operand, is_literal, literal_value

_KERNELS = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_MIRROR = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WIDE = Context(prec=200)


def filter_table(node: Filter, table: pa.Table) -> pa.Table:
    """The rows of `table` for which the filter is true, in their order. Columns are named like the properties."""
    if node == And(()):
        return table
    return table.filter(mask(node, table))


def mask(node: Filter, table: pa.Table) -> pa.ChunkedArray | pa.Array:
    """A boolean array, null where unknown, one value a row."""
    match node:
        case And(parts):
            return _fold_masks(pc.and_kleene, [mask(part, table) for part in parts], table, empty=True)
        case Or(parts):
            return _fold_masks(pc.or_kleene, [mask(part, table) for part in parts], table, empty=False)
        case Not(part):
            return pc.invert(mask(part, table))
        case IsNull(prop):
            return pc.is_null(_column(prop, table))
        case Like(operand, pattern):
            return _like(operand, pattern, table)
        case In(operand, values):
            return _in(node, operand, [literal_value(value) for value in values], table)
        case Compare(op, left, right):
            return _compare(node, op, left, right, table)


def _fold_masks(kernel: Any, masks: list[Any], table: pa.Table, *, empty: bool) -> Any:
    if not masks:
        return _constant(empty, table.num_rows)
    folded = masks[0]
    for other in masks[1:]:
        folded = kernel(folded, other)
    return folded


def _constant(value: bool | None, rows: int) -> pa.Array:
    return pa.nulls(rows, pa.bool_()) if value is None else pa.repeat(pa.scalar(value), rows)


def _column(operand: Operand, table: pa.Table) -> Any:
    if isinstance(operand, CaseFold):
        return _each_text(_column(operand.operand, table), fold_operand, pa.string())
    if isinstance(operand, Property):
        return table.column(operand.name) if operand.name in table.column_names else pa.nulls(table.num_rows)
    return pa.repeat(pa.scalar(operand.value), table.num_rows)


def _each_text(column: Any, function: Any, kind: pa.DataType) -> Any:
    """`function` of every distinct text, spread over the rows; nulls stay null."""
    encoded = pc.dictionary_encode(column)
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.unify_dictionaries().chunks)
    words = [None if text is None else function(text) for text in encoded.dictionary.to_pylist()]
    return pc.take(pa.array(words, kind), encoded.indices)


def _like(operand: Operand, pattern: str, table: pa.Table) -> Any:
    column = _column(operand, table)
    if pa.types.is_null(column.type):
        return _constant(None, table.num_rows)
    return _each_text(column, compile_like(pattern), pa.bool_())


def _in(node: Filter, operand: Operand, values: list[Any], table: pa.Table) -> Any:
    column = _column(operand, table)
    if pa.types.is_null(column.type):
        return _constant(None, table.num_rows)
    if pa.types.is_decimal(column.type) or pa.types.is_integer(column.type):
        masks = [_numbers("=", column, value, table.num_rows) for value in values]
        return _fold_masks(pc.or_kleene, masks, table, empty=False)
    try:
        wanted = pa.array(values, column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _row_by_row(node, table)
    return pc.if_else(pc.is_valid(column), pc.is_in(column, value_set=wanted), pa.scalar(None, pa.bool_()))


def _compare(node: Filter, op: str, left: Operand, right: Operand, table: pa.Table) -> Any:
    if is_literal(left) and not is_literal(right):
        left, right, op = right, left, _MIRROR[op]
    if is_literal(left) or not is_literal(right):
        return _two_columns(node, op, left, right, table)
    column, value = _column(left, table), literal_value(right)
    if pa.types.is_null(column.type):
        return _constant(None, table.num_rows)
    exact = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if exact and (pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)):
        return _numbers(op, column, value, table.num_rows)
    try:
        scalar = pa.scalar(value, column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return _row_by_row(node, table)
    if scalar.as_py() != value:
        return _row_by_row(node, table)
    return _KERNELS[op](column, scalar)


def _two_columns(node: Filter, op: str, left: Operand, right: Operand, table: pa.Table) -> Any:
    one, other = _column(left, table), _column(right, table)
    if one.type == other.type and not pa.types.is_null(one.type):
        return _KERNELS[op](one, other)
    return _row_by_row(node, table)


def _numbers(op: str, column: Any, value: int | Decimal, rows: int) -> Any:
    """Exact comparison of an integer or decimal column with any number: the bound is moved to the column's own grid."""
    kind = column.type
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    step = Decimal(1).scaleb(-scale)
    wanted = Decimal(value)
    below = (wanted / step).to_integral_value(ROUND_FLOOR, _WIDE) if wanted.adjusted() < 150 else wanted  # noqa: PLR2004
    bound = _WIDE.multiply(below, step)
    on_grid = bound == wanted
    if not on_grid:
        if op in {"=", "<>"}:
            return _known(column, op == "<>", rows)
        op = "<=" if op in {"<", "<="} else ">"
    try:
        scalar = pa.scalar(int(bound) if scale == 0 and pa.types.is_integer(kind) else bound, kind)
    except (pa.ArrowInvalid, OverflowError):
        above = bound > 0
        return _known(column, op == "<>" or (op in {"<", "<="}) == above and op != "=", rows)
    return _KERNELS[op](column, scalar)


def _known(column: Any, value: bool, rows: int) -> Any:
    """`value` where the column is not null, unknown elsewhere."""
    return pc.if_else(pc.is_valid(column), _constant(value, rows), pa.scalar(None, pa.bool_()))


def _row_by_row(node: Filter, table: pa.Table) -> pa.Array:
    names = [name for name in table.column_names if name in properties(node)]
    predicate = compile_predicate(node)
    return pa.array([predicate(row) for row in table.select(names).to_pylist()], pa.bool_())
