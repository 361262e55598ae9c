"""Adds up any number of records in bounded memory, exactly: `question/aggregation.py` says what.

Only the number of groups is bounded. The engine adds each part up, whole numbers as 128 bits and decimals as decimals of 38
digits; the parts are put together here. Binary floats are added as the decimals that they stand for. Distinct values, and keys
that several agencies hold, are found by sorting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.selection import comparable
from app.errors import AggregateTooLarge, MixedLevels, MixedUnits
from app.federation.exports.expressions import quoted
from app.federation.question.aggregation import Aggregation, Measure, Overlap
from app.federation.spilling import ExternalSort, OwnThread, Space
from app.filters.evaluation import compile_predicate
from app.schemas.registry import SchemaDef

MOST_GROUPS = 10_000
MOST_INTEGER = 2**53 - 1
MOST_DIGITS = 38
PART_BYTES = 128_000_000
"""Memory that the engine has for one part. Nothing of it stands on disk: a part that needs more is halved."""
_EXACT = Context(prec=60)
_AVERAGE = Context(prec=18)
_REGION_CODES = frozenset({"KodeWilayah", "KodeWilayahAtauAsal"})
_COUNTED_ONLY = frozenset({"list", "object", "geometry"})
_LEVEL = "least(length({0}) - length(replace({0}, '.', '')), 3)"

Group = tuple[Any, ...]


class Adding:
    """Takes records as columns, then answers; `close` it. `overlaps`: whether keys may be held by several agencies."""

    def __init__(
        self, schema: SchemaDef, asked: Aggregation, space: Space, *, overlaps: bool, part_bytes: int = PART_BYTES
    ) -> None:
        self._schema, self._asked, self._part_bytes = schema, asked, part_bytes
        keys = schema.meta.key if asked.adds_up else ()
        self._regions = [name for name in keys if schema.fields[name].semantic in _REGION_CODES]
        self._units = asked.units(schema)
        self._columns = sorted({*asked.fields, *self._regions, *self._units})
        self._agencies: dict[str, int] = {}
        self._groups: dict[Group, _Total] = {} if asked.group_by else {(): _Total()}
        self._thread = OwnThread()
        self._query = self._partial()
        order = [(name, False) for name in asked.group_by]
        fields = dict.fromkeys(str(one.field) for one in asked.measures if one.function == "count_distinct")
        self._distinct = {  # a field that is grouped by has one value in its group
            name: ExternalSort(space, [*order, *([] if name in asked.group_by else [(name, False)])], distinct=True)
            for name in fields
        }
        self._holders = ExternalSort(space, [("_id", False)]) if overlaps else None

    async def take(self, columns: pa.RecordBatch, agency: str) -> None:
        """Adds some records; raises `AggregateTooLarge` as soon as there are too many groups, errors of `Spool.add`."""
        await self._thread.run(self._take, columns, self._agencies.setdefault(agency, len(self._agencies)))

    async def overlap(self) -> Overlap | None:
        """The keys that several agencies hold, None when there are none. Asked once."""
        if self._holders is None or len(self._agencies) < 2:
            return None
        keys, numbers = await self._thread.run(_shared, self._holders)
        names = {number: name for name, number in self._agencies.items()}
        return Overlap(keys, tuple(sorted(names[number] for number in numbers))) if keys else None

    async def items(self) -> list[dict[str, Any]]:
        """One item a group, in the order of the groups' values; without groups exactly one. Asked once."""
        return await self._thread.run(self._items)

    def close(self) -> None:
        """Forgets everything."""
        self._thread.end(self._forget)

    @cached_property
    def _engine(self) -> duckdb.DuckDBPyConnection:
        """Opened in its thread: that takes a while."""
        limits: dict[str, str | int | float | list[str]] = {
            "threads": 1, "memory_limit": f"{self._part_bytes}B", "temp_directory": "",
        }  # fmt: skip
        return duckdb.connect(":memory:", config=limits)

    def _forget(self) -> None:
        if "_engine" in self.__dict__:
            self._engine.close()
        for sort in (*self._distinct.values(), *([self._holders] if self._holders is not None else [])):
            sort.close()

    def _take(self, columns: pa.RecordBatch, agency: int) -> None:
        rows = pa.table({name: self._column(columns, name) for name in self._columns} or {"_id": columns.column("_id")})
        self._add_up(rows)
        for name, sort in self._distinct.items():
            wanted = list(dict.fromkeys((*self._asked.group_by, name)))
            for part in rows.select(wanted).filter(pc.is_valid(rows.column(name))).to_batches():
                sort.add(part)
        if self._holders is not None:
            numbers = pa.repeat(pa.scalar(agency, pa.int32()), columns.num_rows)
            self._holders.add(pa.RecordBatch.from_arrays([columns.column("_id"), numbers], names=["_id", "_agency"]))

    def _add_up(self, rows: pa.Table) -> None:
        """Adds a part, in two halves where memory does not hold it whole; raises `AggregateTooLarge` where it does not hold one record."""
        try:
            self._engine.register("part", rows)
            found, numbers = _rows(self._engine, self._query), self._floats_of_part()
        except duckdb.OutOfMemoryException:
            if rows.num_rows < 2:
                detail = f"the values of one record need more than {self._part_bytes} bytes of memory; aggregate fewer fields"
                raise AggregateTooLarge(detail, limit_bytes=self._part_bytes) from None
            half = rows.num_rows // 2
            self._add_up(rows.slice(0, half))
            self._add_up(rows.slice(half))
            return
        finally:
            self._engine.unregister("part")
        for row in found:
            group = tuple([_plain(row[name]) for name in self._asked.group_by])
            total = self._groups.get(group)
            if total is None:
                if len(self._groups) == MOST_GROUPS:
                    detail = f"more than {MOST_GROUPS} groups; group by fewer fields or narrow the filter"
                    raise AggregateTooLarge(detail, limit_groups=MOST_GROUPS)
                total = self._groups[group] = _Total()
            total.take(row)
        for group, name, value in numbers:
            self._groups[group].add(name, value)

    def _column(self, columns: pa.RecordBatch, name: str) -> Any:
        found, kind = columns.column(name), self._schema.fields[name].kind
        if kind in _COUNTED_ONLY:  # whether there is a value is all that is asked
            return pc.if_else(pc.is_valid(found), pa.scalar(1), pa.scalar(None, pa.int64()))
        return pc.add(found, pa.scalar(0.0)) if kind == "number" else found  # no negative zero

    def _partial(self) -> str:
        """One row a group of a part: see `_Total`."""
        groups = [quoted(name) for name in self._asked.group_by]
        parts = [*groups, "count(*) AS n"]
        for name in sorted(self._asked.fields):
            column = quoted(name)
            parts.append(f"count({column}) AS {quoted('n ' + name)}")
            for function in sorted({one.function for one in self._asked.measures if one.field == name}):
                if function in {"min", "max"}:
                    parts.append(f"{function}({column}) AS {quoted(f'{function} {name}')}")
                elif function in {"sum", "avg"} and self._schema.fields[name].kind != "number":
                    # as text: no type on the way holds 128 bits and 38 digits
                    parts.append(f"CAST(sum({column}) AS VARCHAR) AS {quoted(f'{function} {name}')}")
        for name in self._regions:
            parts.append(f"bit_or(1 << CAST({_LEVEL.format(quoted(name))} AS INTEGER)) AS {quoted('level ' + name)}")
        for name in self._units:
            parts.append(f"list(DISTINCT {quoted(name)}) AS {quoted('unit ' + name)}")
            parts.append(f"count(*) > count({quoted(name)}) AS {quoted('none ' + name)}")
        grouped = f" GROUP BY {', '.join(groups)}" if groups else ""
        return f"SELECT {', '.join(parts)} FROM part{grouped}"  # noqa: S608 - names are quoted

    def _floats_of_part(self) -> list[tuple[Group, str, Decimal]]:
        """Binary floats: of each group every distinct value once, times its count."""
        found = []
        for field in sorted({str(one.field) for one in self._asked.measures if self._floats(one)}):
            name, groups = quoted(field), "".join(f"{quoted(group)}, " for group in self._asked.group_by)
            asked = f"SELECT {groups}{name}, count(*) FROM part WHERE {name} IS NOT NULL GROUP BY {groups}{name}"  # noqa: S608
            table = self._engine.sql(asked).to_arrow_table()
            for row in zip(*[column.to_pylist() for column in table.columns], strict=True):
                *group, value, times = row
                added = _EXACT.multiply(Decimal(repr(value)), Decimal(times))
                found.append((tuple(map(_plain, group)), f"sum {field}", added))
        return found

    def _items(self) -> list[dict[str, Any]]:
        for total in self._groups.values():
            self._refuse_mixed(total)
        distinct = {name: self._counted(name, sort) for name, sort in self._distinct.items()}
        holds = compile_predicate(self._asked.having) if self._asked.having is not None else None
        items = []
        for group in sorted(self._groups, key=lambda one: [comparable(value, descending=False) for value in one]):
            item = dict(zip(self._asked.group_by, group, strict=True))
            for measure in self._asked.measures:
                if measure.function == "count_distinct":
                    item[measure.name] = distinct[str(measure.field)].get(group, 0)
                else:
                    item[measure.name] = self._measured(measure, self._groups[group])
            if holds is None or holds(item) is True:
                items.append(item)
        return items

    def _counted(self, name: str, sort: ExternalSort) -> Counter[Group]:
        """How many values of a field each group has."""
        found = Counter[Group]()
        groups = list(self._asked.group_by)
        for block in sort.blocks():
            if not groups:
                found[()] += block.num_rows
                continue
            table = pa.Table.from_batches([block.select(groups)])
            counts = table.group_by(groups, use_threads=False).aggregate([([], "count_all")])
            for *group, count in zip(
                *[counts.column(name).to_pylist() for name in (*groups, "count_all")], strict=True
            ):
                found[tuple(map(_plain, group))] += count
        return found

    def _measured(self, measure: Measure, total: _Total) -> Any:
        if measure.field is None:
            return total.counts["n"]
        count, kind = total.counts[f"n {measure.field}"], self._schema.fields[measure.field].kind
        if measure.function == "count" or not count:
            return count if measure.function == "count" else None
        if measure.function in {"min", "max"}:
            return total.ends[f"{measure.function} {measure.field}"]
        found = total.sums[f"{'sum' if kind == 'number' else measure.function} {measure.field}"]
        if kind == "decimal" and len(found.as_tuple().digits) > MOST_DIGITS:
            raise _too_long()
        if measure.function == "avg":
            mean = _AVERAGE.divide(found, Decimal(count))
            return float(mean) if kind == "number" else mean
        if kind == "number":
            return float(found)
        return int(found) if kind == "integer" and abs(found) <= MOST_INTEGER else found

    def _floats(self, measure: Measure) -> bool:
        """Whether a sum of binary floats is asked for."""
        adds = measure.function in {"sum", "avg"}
        return adds and measure.field is not None and self._schema.fields[measure.field].kind == "number"

    def _refuse_mixed(self, total: _Total) -> None:
        """A province holds its regencies: adding both counts the people twice. Units cannot be added to others."""
        for name in self._regions:
            levels = total.levels[f"level {name}"].bit_count()
            if levels > 1:
                raise MixedLevels(
                    f"{name} holds regions of {levels} levels in one group, and a region contains those below it; "
                    f"filter to one level or group by {name}",
                    field=name,
                )
        if any(len(found) > 1 for found in total.units.values()):
            listed = " and ".join(self._units)
            detail = f"{listed} differ within one group; filter to one or group by {listed}"
            raise MixedUnits(detail, fields=list(self._units))


class _Total:
    """What is known of a group so far, by the names that the parts' columns have."""

    __slots__ = ("counts", "ends", "levels", "sums", "units")

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.sums: dict[str, Decimal] = {}
        self.ends: dict[str, Any] = {}
        self.levels = Counter[str]()
        self.units: dict[str, set[Any]] = {}
        """At most two values each: more are not needed to tell that they differ."""

    def take(self, row: Mapping[str, Any]) -> None:
        """Adds one part's row of this group."""
        for name, value in row.items():
            what, _, field = name.partition(" ")
            if what == "n":
                self.counts[name] += value
            elif what == "none":
                if value:
                    self._unit(field, None)
            elif value is None or not field:
                continue
            else:
                self._take(name, what, field, value)

    def _take(self, name: str, what: str, field: str, value: Any) -> None:
        match what:
            case "sum" | "avg":
                self.add(name, Decimal(value))
            case "min":
                self.ends[name] = min(self.ends.get(name, _plain(value)), _plain(value))
            case "max":
                self.ends[name] = max(self.ends.get(name, _plain(value)), _plain(value))
            case "level":
                self.levels[name] |= value
            case "unit":
                for one in value:
                    if one is not None:
                        self._unit(field, one)

    def add(self, name: str, value: Decimal) -> None:
        """Adds to a sum."""
        self.sums[name] = _EXACT.add(self.sums.get(name, Decimal(0)), value)

    def _unit(self, field: str, value: Any) -> None:
        held = self.units.setdefault(field, set())
        if len(held) < 2:
            held.add(value)


def _shared(holders: ExternalSort) -> tuple[int, Collection[int]]:
    """How many keys several agencies hold, and which agencies. The last key of a block may go on in the next."""
    keys, numbers, rest = 0, set[int](), None
    for block in holders.blocks():
        rows = pa.Table.from_batches([block] if rest is None else [rest, block]).combine_chunks()
        last = rows.column("_id")[-1]
        ends = pc.equal(rows.column("_id"), last)
        rest = rows.filter(ends).combine_chunks().to_batches()[0]
        found, agencies = _shared_in(rows.filter(pc.invert(ends)))
        keys, numbers = keys + found, numbers | agencies
    if rest is not None:
        found, agencies = _shared_in(pa.Table.from_batches([rest]))
        keys, numbers = keys + found, numbers | agencies
    return keys, numbers


def _shared_in(rows: pa.Table) -> tuple[int, set[int]]:
    found = rows.group_by("_id", use_threads=False).aggregate([("_agency", "min"), ("_agency", "max")])
    shared = found.filter(pc.not_equal(found.column("_agency_min"), found.column("_agency_max"))).column("_id")
    if not len(shared):
        return 0, set()
    held = rows.filter(pc.is_in(rows.column("_id"), value_set=shared.combine_chunks()))
    agencies: list[Any] = pc.unique(held.column("_agency")).to_pylist()
    return len(shared), set(agencies)


def _rows(engine: duckdb.DuckDBPyConnection, asked: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = engine.sql(asked).to_arrow_table().to_pylist()
    except duckdb.OutOfRangeException:
        raise _too_long() from None
    return rows


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _too_long() -> AggregateTooLarge:
    detail = f"a sum has more than {MOST_DIGITS} digits; narrow the filter or group by more fields"
    return AggregateTooLarge(detail, limit_digits=MOST_DIGITS)
