"""One field of a mapping over a whole batch: by a kernel where every value is sure, else by the field's own function.

The function of a value is the meaning. A kernel answers for the values that it is certain of; all others, and all columns that have
no kernel, go to the function, once per distinct value. A row that the function refuses is doubtful: it is mapped as a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.columnar.kernels import NO, YES, kernel_of
from app.datasets.columnar.raw import RawColumns
from app.datasets.mapping.compile import CompiledField
from app.datasets.mapping.rules import Nulled, StepReject, null_warning
from app.datasets.records import RecordWarning
from app.schemas.base import FieldSpec
from app.schemas.constraints import EARLIEST_DATE, LATEST_DATE

_SAME_KINDS = frozenset({"integer", "number", "boolean", "datetime"})


@dataclass(slots=True)
class MappedColumn:
    """The values of one field. `doubtful`: rows whose value is not known here; `warnings`: what was made null, by row."""

    values: Any
    doubtful: Any = None
    warnings: dict[int, RecordWarning] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Made:
    """What the function made of one value."""

    value: Any = None
    doubtful: bool = False
    warning: RecordWarning | None = None


_DOUBTFUL = _Made(doubtful=True)


def map_column(
    compiled: CompiledField, spec: FieldSpec | None, to: pa.DataType, raw: RawColumns, *, key: bool
) -> MappedColumn:
    """The field's values of every row of the batch, in the Arrow type of the schema. `key`: a part of the key is never nulled."""
    function = _function(compiled, key=key)
    names = sorted(compiled.columns)
    if not names:
        return _spread([function({})], pa.repeat(0, raw.rows), to)
    if len(names) > 1:
        columns = [raw.values(name) for name in names]
        return _listed([function(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)], to)
    name = names[0]
    column = raw.arrow(name)
    if column is None:
        return _listed([function({name: value}) for value in raw.values(name)], to)
    if spec is not None:
        plain = kernel_of(compiled, spec, to, column)
        if plain is None and compiled.rename is not None:
            plain = _renamed(column, spec, to)
        if plain is not None:
            return _mended(plain, column, lambda value: function({name: value}), to)
    if pa.types.is_floating(column.type):
        return _listed([function({name: value}) for value in raw.values(name)], to)
    distinct = column.dictionary_encode() if not pa.types.is_null(column.type) else None
    if distinct is None:
        return _spread([function({name: None})], pa.repeat(0, raw.rows), to)
    indexes = distinct.indices.fill_null(len(distinct.dictionary))
    made = [function({name: value}) for value in _values(distinct.dictionary)]
    return _spread([*made, function({name: None})], indexes, to)


def _function(compiled: CompiledField, *, key: bool) -> Callable[[dict[str, Any]], _Made]:
    value_of, nulls = compiled.value, compiled.nulls

    def made(row: dict[str, Any]) -> _Made:
        try:
            return _Made(value_of(row))
        except StepReject as reject:
            if (nulls or isinstance(reject, Nulled)) and not key:
                return _Made(warning=RecordWarning(*null_warning(compiled.name, reject.rule)))
            return _DOUBTFUL

    return made


def _renamed(column: Any, spec: FieldSpec, to: pa.DataType) -> tuple[Any, Any] | None:
    """The column as the field's values, and which of them are sure; None where there is no kernel."""
    given = column.type
    if spec.kind == "date" and given == pa.date32():
        low, high = pa.scalar(EARLIEST_DATE, given), pa.scalar(LATEST_DATE, given)
        return column, pc.fill_null(pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high)), YES)
    if given == to and spec.kind in _SAME_KINDS:
        return column, pa.repeat(YES, len(column))
    if spec.kind == "decimal" and (pa.types.is_decimal(given) or pa.types.is_int64(given)):
        try:
            return column.cast(to), pa.repeat(YES, len(column))
        except pa.ArrowInvalid:
            return None
    return None


def _mended(plain: tuple[Any, Any], column: Any, function: Callable[[Any], _Made], to: pa.DataType) -> MappedColumn:
    """The kernel's values, and where it is not sure the function's."""
    values, sure = plain
    unsure = pc.invert(sure)
    indexes = pc.indices_nonzero(unsure)
    if not len(indexes):
        return MappedColumn(values.cast(to) if values.type != to else values)
    asked = column.take(indexes).dictionary_encode()
    made = _spread([function(value) for value in _values(asked.dictionary)], asked.indices, to)
    doubtful = None
    if made.doubtful is not None:
        doubtful = pc.replace_with_mask(pa.repeat(NO, len(column)), unsure, made.doubtful)
    rows = indexes.to_pylist()
    warnings = {rows[index]: warning for index, warning in made.warnings.items()}
    return MappedColumn(pc.replace_with_mask(values, unsure, made.values), doubtful, warnings)


def _values(dictionary: Any) -> list[Any]:
    found: list[Any] = dictionary.to_pylist()
    return found


def _listed(made: Sequence[_Made], to: pa.DataType) -> MappedColumn:
    """One made value a row."""
    values, doubtful = _typed(made, to)
    warnings = {row: one.warning for row, one in enumerate(made) if one.warning is not None}
    return MappedColumn(values, pa.array(doubtful, pa.bool_()) if any(doubtful) else None, warnings)


def _spread(made: Sequence[_Made], indexes: Any, to: pa.DataType) -> MappedColumn:
    """Made values of distinct ones, brought to their rows."""
    values, doubtful = _typed(made, to)
    found = MappedColumn(values.take(indexes))
    if any(doubtful):
        found.doubtful = pa.array(doubtful, pa.bool_()).take(indexes)
    warned = {index: one.warning for index, one in enumerate(made) if one.warning is not None}
    if warned:
        for row, index in enumerate(indexes.to_pylist()):
            if index in warned:
                found.warnings[row] = warned[index]
    return found


def _typed(made: Sequence[_Made], to: pa.DataType) -> tuple[Any, list[bool]]:
    """The values in Arrow; what the type cannot hold (too large, too precise, half a surrogate) is doubtful."""
    doubtful = [one.doubtful for one in made]
    try:
        return pa.array([one.value for one in made], to), doubtful
    except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError):
        pass
    values = []
    for index, one in enumerate(made):
        try:
            values.append(pa.scalar(one.value, to).as_py())
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError):
            values.append(None)
            doubtful[index] = True
    return pa.array(values, to), doubtful
