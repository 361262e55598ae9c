"""Adds up any number of records in bounded memory, exactly: `question/aggregation.py` says what, the engine how much.

Only the number of groups is bounded. Whole numbers are added as 128 bits, decimals as decimals of 38 digits. Binary floats are
added as the decimals that they stand for: of each group every distinct value once, times its count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.selection import comparable
from app.errors import AggregateTooLarge, MixedLevels, MixedUnits
from app.federation.exports.expressions import quoted
from app.federation.question.aggregation import Aggregation, Measure, Overlap
from app.federation.spilling import SpillingEngine
from app.filters.evaluation import compile_predicate
from app.schemas.registry import SchemaDef

MOST_GROUPS = 10_000
MOST_INTEGER = 2**53 - 1
MOST_DIGITS = 38
_FIRST_LOOK = 200_000
_FLOATS_A_PIECE = 50_000
_EXACT = Context(prec=60)
_AVERAGE = Context(prec=18)
_REGION_CODES = frozenset({"KodeWilayah", "KodeWilayahAtauAsal"})
_COUNTED_ONLY = frozenset({"list", "object", "geometry"})
_LEVEL = "least(length({0}) - length(replace({0}, '.', '')), 3)"

Group = tuple[Any, ...]


class Adding:
    """Takes records as columns, then answers. `overlaps`: whether keys may be held by several agencies."""

    def __init__(self, schema: SchemaDef, asked: Aggregation, engine: SpillingEngine, *, overlaps: bool) -> None:
        self._schema, self._asked, self._engine, self._overlaps = schema, asked, engine, overlaps
        keys = schema.meta.key if asked.adds_up else ()
        self._regions = [name for name in keys if schema.fields[name].semantic in _REGION_CODES]
        self._units = asked.units(schema)
        self._columns = sorted({*asked.fields, *self._regions, *self._units})
        self._agencies: dict[str, int] = {}
        self._rows, self._look = 0, _FIRST_LOOK
        self._made = False

    async def take(self, columns: pa.RecordBatch, agency: str) -> None:
        """Adds some records; raises `AggregateTooLarge` as soon as there are too many groups."""
        number = self._agencies.setdefault(agency, len(self._agencies))
        await self._engine.run(self._insert, columns, number)
        self._rows += columns.num_rows
        if self._asked.group_by and self._rows >= self._look:
            self._look = 2 * self._rows
            await self._engine.run(self._refuse_groups)

    async def overlap(self) -> Overlap | None:
        """The keys that several agencies hold, None when there are none."""
        if not self._overlaps or len(self._agencies) < 2:
            return None
        keys, numbers = await self._engine.run(_shared)
        names = {number: name for name, number in self._agencies.items()}
        return Overlap(keys, tuple(sorted(names[number] for number in numbers))) if keys else None

    async def items(self) -> list[dict[str, Any]]:
        """One item a group, in the order of the groups' values; without groups exactly one."""
        return await self._engine.run(self._items)

    def _insert(self, engine: duckdb.DuckDBPyConnection, columns: pa.RecordBatch, agency: int) -> None:
        rows = columns.num_rows
        parts = {name: self._column(columns, name) for name in self._columns}
        if self._overlaps:
            parts["_id"] = columns.column("_id")
        parts["_agency"] = pa.repeat(pa.scalar(agency, pa.int32()), rows)
        engine.register("part", pa.table(parts))
        engine.execute("INSERT INTO whole SELECT * FROM part" if self._made else "CREATE TABLE whole AS FROM part")
        engine.unregister("part")
        self._made = True

    def _column(self, columns: pa.RecordBatch, name: str) -> Any:
        found = columns.column(name)
        if self._schema.fields[name].kind in _COUNTED_ONLY:  # whether there is a value is all that is asked
            return pc.if_else(pc.is_valid(found), pa.scalar(1), pa.scalar(None, pa.int64()))
        return found

    def _refuse_groups(self, engine: duckdb.DuckDBPyConnection) -> None:
        groups = ", ".join(map(quoted, self._asked.group_by))
        found = _one(engine, f"SELECT count(*) FROM (SELECT DISTINCT {groups} FROM whole)")  # noqa: S608 - names are quoted
        if found[0] > MOST_GROUPS:
            detail = f"more than {MOST_GROUPS} groups; group by fewer fields or narrow the filter"
            raise AggregateTooLarge(detail, limit_groups=MOST_GROUPS)

    def _items(self, engine: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
        if not self._made:
            self._insert(engine, _empty(self._schema), 0)
        if self._asked.group_by:
            self._refuse_groups(engine)
        sums = self._float_sums(engine)
        items: dict[Group, dict[str, Any]] = {}
        for row in self._groups(engine):
            self._refuse_mixed(row)
            group = tuple([_plain(row[name]) for name in self._asked.group_by])
            items[group] = dict(zip(self._asked.group_by, group, strict=True))
            for index, measure in enumerate(self._asked.measures):
                items[group][measure.name] = self._measured(measure, row, index, sums.get((group, measure.field)))
        order = sorted(items, key=lambda group: [comparable(value, descending=False) for value in group])
        holds = compile_predicate(self._asked.having) if self._asked.having is not None else None
        return [items[group] for group in order if holds is None or holds(items[group]) is True]

    def _groups(self, engine: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
        """One row a group: its values, the measures (`m0`, …; of an average the values' number too), what may not be mixed."""
        asked, groups = self._asked, [quoted(name) for name in self._asked.group_by]
        parts = [*groups]
        for index, measure in enumerate(asked.measures):
            parts.append(f"{self._expression(measure)} AS m{index}")
            if measure.function == "avg":
                parts.append(f"count({quoted(str(measure.field))}) AS n{index}")
        for index, name in enumerate(self._regions):
            parts.append(f"bit_count(bit_or(1 << CAST({_LEVEL.format(quoted(name))} AS INTEGER))) AS l{index}")
        for index, name in enumerate(map(quoted, self._units)):
            differs = f"min({name}) <> max({name}) OR (count({name}) > 0 AND count({name}) < count(*))"
            parts.append(f"coalesce({differs}, false) AS u{index}")
        grouped = f" GROUP BY {', '.join(groups)}" if groups else ""
        try:
            found = engine.sql(f"SELECT {', '.join(parts)} FROM whole{grouped}")  # noqa: S608 - names are quoted
            rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
        except duckdb.OutOfRangeException:
            raise _too_long() from None
        return rows

    def _expression(self, measure: Measure) -> str:
        if measure.field is None:
            return "count(*)"
        name = quoted(measure.field)
        match measure.function:
            case "count":
                return f"count({name})"
            case "count_distinct":
                return f"count(DISTINCT {name})"
            case "min" | "max":
                return f"{measure.function}({name})"
            case _ if self._floats(measure):
                return "NULL"
        return f"CAST(sum({name}) AS VARCHAR)"  # as text: no type on the way holds 128 bits and 38 digits

    def _measured(self, measure: Measure, row: Mapping[str, Any], index: int, total: Decimal | None) -> Any:
        value = row[f"m{index}"]
        if measure.function not in {"sum", "avg"} or measure.field is None:
            return _plain(value)
        if not self._floats(measure):
            total = None if value is None else Decimal(value)
        if total is None:
            return None
        kind = self._schema.fields[measure.field].kind
        if kind == "decimal" and len(total.as_tuple().digits) > MOST_DIGITS:
            raise _too_long()
        if measure.function == "avg":
            mean = _AVERAGE.divide(total, Decimal(row[f"n{index}"]))
            return float(mean) if kind == "number" else mean
        if kind == "number":
            return float(total)
        return int(total) if kind == "integer" and abs(total) <= MOST_INTEGER else total

    def _floats(self, measure: Measure) -> bool:
        """Whether a sum of binary floats is asked for."""
        adds = measure.function in {"sum", "avg"}
        return adds and measure.field is not None and self._schema.fields[measure.field].kind == "number"

    def _float_sums(self, engine: duckdb.DuckDBPyConnection) -> dict[tuple[Group, str | None], Decimal]:
        """The exact sums of binary floats by group and field."""
        sums: dict[tuple[Group, str | None], Decimal] = {}
        for field in dict.fromkeys(measure.field for measure in self._asked.measures if self._floats(measure)):
            name, groups = quoted(str(field)), "".join(f"{quoted(group)}, " for group in self._asked.group_by)
            asked = f"SELECT {groups}{name}, count(*) FROM whole WHERE {name} IS NOT NULL GROUP BY {groups}{name}"  # noqa: S608
            for batch in engine.sql(asked).to_arrow_reader(_FLOATS_A_PIECE):
                for row in zip(*[column.to_pylist() for column in batch.columns], strict=True):
                    *group, value, times = row
                    of = tuple(map(_plain, group)), field
                    added = _EXACT.multiply(Decimal(repr(value)), Decimal(times))
                    sums[of] = _EXACT.add(sums.get(of, Decimal(0)), added)
        return sums

    def _refuse_mixed(self, row: Mapping[str, Any]) -> None:
        """A province holds its regencies: adding both counts the people twice. Units cannot be added to others."""
        for index, name in enumerate(self._regions):
            levels = row[f"l{index}"]
            if levels is not None and levels > 1:
                raise MixedLevels(
                    f"{name} holds regions of {levels} levels in one group, and a region contains those below it; "
                    f"filter to one level or group by {name}",
                    field=name,
                )
        if any(row[f"u{index}"] for index in range(len(self._units))):
            listed = " and ".join(self._units)
            detail = f"{listed} differ within one group; filter to one or group by {listed}"
            raise MixedUnits(detail, fields=list(self._units))


def _shared(engine: duckdb.DuckDBPyConnection) -> tuple[int, Sequence[int]]:
    """How many keys several agencies hold, and which agencies."""
    engine.execute(
        "CREATE TABLE shared AS SELECT _id FROM whole GROUP BY _id HAVING min(_agency) <> max(_agency)",
    )
    keys = _one(engine, "SELECT count(*) FROM shared")[0]
    holders = engine.execute("SELECT DISTINCT _agency FROM whole SEMI JOIN shared USING (_id)").fetchall()
    engine.execute("DROP TABLE shared")
    return keys, [number for (number,) in holders]


def _one(engine: duckdb.DuckDBPyConnection, asked: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] = engine.execute(asked).fetchall()[0]
    return found


def _empty(schema: SchemaDef) -> pa.RecordBatch:
    kinds = schema.arrow.append(pa.field("_id", pa.string()))
    return pa.RecordBatch.from_pylist([], schema=kinds)


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _too_long() -> AggregateTooLarge:
    detail = f"a sum has more than {MOST_DIGITS} digits; narrow the filter or group by more fields"
    return AggregateTooLarge(detail, limit_digits=MOST_DIGITS)
